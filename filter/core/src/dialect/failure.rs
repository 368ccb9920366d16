//! How failures are told: inside events and answers, and as the body of a refusal. Nobody agrees, and
//! gateways pass on the words of others, so one tree holds all forms.

use super::Field;
use crate::error::{MAX_MESSAGE, MAX_NAME};
use crate::json::{Node, each, leaf, object};

pub(super) const NAME: Node = leaf(Field::ErrorName).text(MAX_NAME);
pub(super) const MESSAGE: Node = leaf(Field::ErrorMessage).text(MAX_MESSAGE);

/// The value of `error`: an object, or words. Google nests more precise names in `details`.
pub(super) const ERROR: Node = object(&[
    ("message", MESSAGE),
    ("detail", MESSAGE),
    ("type", NAME),
    ("code", NAME),
    ("status", NAME),
    ("http_status_code", NAME),
    ("status_code", NAME),
    ("details", each(&object(&[("reason", NAME)]))),
    ("metadata", object(&[("raw", MESSAGE)])),
    ("error", object(&[("message", MESSAGE), ("type", NAME), ("code", NAME)])),
])
.is(Field::Error)
.text(MAX_MESSAGE);

/// A whole body: nested or flat, or a list of one (Gemini).
pub(super) static BODY: Node = OBJECT.or_each(&OBJECT);

const OBJECT: Node = object(&[
    ("error", ERROR),
    ("errors", each(&ERROR)),
    ("message", MESSAGE),
    ("Message", MESSAGE),
    ("detail", MESSAGE.or_each(&object(&[("msg", MESSAGE)]))),
    ("type", NAME),
    ("code", NAME),
    ("error_type", NAME),
    ("statusCode", NAME),
    ("model", leaf(Field::Model).text(super::MODEL_BYTES)),
]);
