//! Reads fields of JSON responses without panicking on missing ones.

use serde_json::Value;

/// Fields of a JSON value.
pub(crate) trait Field {
    /// The field `key`; null if it is missing or the value is not an object.
    fn at(&self, key: &str) -> &Value;
}

impl Field for Value {
    fn at(&self, key: &str) -> &Value {
        self.get(key).unwrap_or(&Self::Null)
    }
}
