//! Gemini and Vertex: one shape for events, array elements, whole answers and embeddings.

use super::Field;
use super::failure::ERROR;
use super::openai::{FINISH, OUTPUT, count};
use crate::json::{Node, each, leaf, object};
use crate::usage::Count;

pub(super) static EVENT: Node = object(&[
    (
        "candidates",
        each(&object(&[("content", object(&[("parts", each(&PART))])), ("finishReason", FINISH)])),
    ),
    ("usageMetadata", USAGE),
    ("modelVersion", super::openai::MODEL),
    ("promptFeedback", object(&[("blockReason", leaf(Field::Blocked).text(8))])),
    ("error", ERROR),
    ("predictions", each(&object(&[("embeddings", STATISTICS)]))),
]);

/// What a tool returned (`codeExecutionResult`) and signatures are not generated.
const PART: Node = object(&[
    ("text", leaf(Field::PartText)),
    ("thought", leaf(Field::PartThought)),
    (
        "functionCall",
        object(&[("name", OUTPUT), ("partialArgs", each(&object(&[("jsonPath", OUTPUT)])))]),
    ),
    ("inlineData", object(&[("data", OUTPUT)])),
    ("executableCode", object(&[("code", OUTPUT)])),
])
.is(Field::Part);

const USAGE: Node = object(&[
    ("promptTokenCount", count(Count::Input)),
    ("candidatesTokenCount", count(Count::Output)),
    ("totalTokenCount", count(Count::Total)),
    ("thoughtsTokenCount", count(Count::Reasoning)),
    ("cachedContentTokenCount", count(Count::CacheRead)),
    ("toolUsePromptTokenCount", count(Count::ToolInput)),
]);
const STATISTICS: Node = object(&[("statistics", object(&[("token_count", count(Count::Input))]))]);
