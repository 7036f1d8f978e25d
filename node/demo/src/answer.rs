//! Reads what commands print if there is no type for its document: imports.

use serde_json::Value;

/// The field `key`; null if it is missing or the value is not an object.
pub(crate) fn field<'a>(value: &'a Value, key: &str) -> &'a Value {
    value.get(key).unwrap_or(&Value::Null)
}
