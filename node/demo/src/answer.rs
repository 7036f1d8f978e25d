//! Reads what commands print if there is no type for its document: imports and grants.

use anyhow::{Context, Result};
use serde_json::Value;

/// The field `key`; null if it is missing or the value is not an object.
pub(crate) fn field<'a>(value: &'a Value, key: &str) -> &'a Value {
    value.get(key).unwrap_or(&Value::Null)
}

/// The text in the field `key`.
pub(crate) fn text(value: &Value, key: &str) -> Result<String> {
    field(value, key)
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("`{key}` is missing in {value}"))
}

/// The elements of the list in the field `key`; none if it is missing or not a list.
pub(crate) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    field(value, key).as_array().map_or(&[], Vec::as_slice)
}

/// A value as people read it.
pub(crate) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
