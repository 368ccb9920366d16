//! As much of protobuf as discovery needs: fields that are written and read by number.

use serde_json::{Map, Value};

/// A message that is being written.
#[derive(Clone, Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// Adds text, bytes or a message.
    pub(super) fn with(mut self, field: u32, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref();
        self.varint(u64::from(field) << 3 | 2);
        self.varint(content.len() as u64);
        self.0.extend_from_slice(content);
        self
    }

    /// Adds a whole number.
    pub(super) fn with_number(mut self, field: u32, number: u64) -> Self {
        self.varint(u64::from(field) << 3);
        self.varint(number);
        self
    }

    fn with_double(mut self, field: u32, number: f64) -> Self {
        self.varint(u64::from(field) << 3 | 1);
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The fields of a message that are text, bytes or messages, in their order.
pub(super) fn fields(mut message: &[u8]) -> Vec<(u64, &[u8])> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let key = read_varint(&mut message);
        match key & 7 {
            0 => drop(read_varint(&mut message)),
            2 => {
                let length = read_varint(&mut message) as usize;
                let (content, rest) = message.split_at(length);
                fields.push((key >> 3, content));
                message = rest;
            }
            kind => panic!("a field of discovery has the wire type {kind}"),
        }
    }
    fields
}

fn read_varint(message: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first().expect("a number has an end");
        *message = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    number
}

/// `google.protobuf.Any` of a message.
pub(super) fn any(type_url: &str, message: &Message) -> Message {
    Message::default().with(1, type_url).with(2, message)
}

/// `google.protobuf.Any` of what JSON says, which names its type in `@type`. It travels as `xds.type.v3.TypedStruct`,
/// from which Envoy makes the message that is meant, so that nobody need know the numbers of its fields.
pub(super) fn any_of(json: &Value) -> Message {
    let mut fields = json.as_object().expect("a message is an object").clone();
    let type_url = fields.remove("@type").expect("a message has a type");
    let typed = Message::default()
        .with(1, type_url.as_str().expect("a type is text"))
        .with(2, structure(&fields));
    any("type.googleapis.com/xds.type.v3.TypedStruct", &typed)
}

/// `google.protobuf.Struct`.
fn structure(fields: &Map<String, Value>) -> Message {
    fields.iter().fold(Message::default(), |message, (key, value)| {
        message.with(1, Message::default().with(1, key).with(2, self::value(value)))
    })
}

/// `google.protobuf.Value`.
fn value(json: &Value) -> Message {
    let empty = Message::default();
    match json {
        Value::Null => empty.with_number(1, 0),
        Value::Number(number) => empty.with_double(2, number.as_f64().expect("a number")),
        Value::String(text) => empty.with(3, text),
        Value::Bool(yes) => empty.with_number(4, u64::from(*yes)),
        Value::Object(fields) => empty.with(5, structure(fields)),
        Value::Array(items) => {
            let list =
                items.iter().fold(Message::default(), |list, item| list.with(1, value(item)));
            empty.with(6, list)
        }
    }
}
