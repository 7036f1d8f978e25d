//! Reads fields of JSON responses without panicking on missing ones.

use serde_json::Value;

/// Fields of a JSON value.
pub(crate) trait Field {
    /// The field `key`; null if it is missing or the value is not an object.
    fn at(&self, key: &str) -> &Value;

    /// The field `key` as text; empty if it is not a string.
    fn text(&self, key: &str) -> String;
}

impl Field for Value {
    fn at(&self, key: &str) -> &Value {
        self.get(key).unwrap_or(&Self::Null)
    }

    fn text(&self, key: &str) -> String {
        self.at(key).as_str().unwrap_or_default().to_owned()
    }
}
