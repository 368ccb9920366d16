//! Going through JSON, or YAML that was read as JSON.

use serde_json::{Map, Value};

/// Visits every object, the outer ones first.
pub fn walk(value: &Value, visit: &mut impl FnMut(&Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            visit(object);
            object.values().for_each(|value| walk(value, visit));
        }
        Value::Array(array) => array.iter().for_each(|value| walk(value, visit)),
        _ => {}
    }
}
