//! Reading fields of JSON answers without panicking on what is not there.

use serde_json::Value;

/// Fields of a JSON value.
pub(crate) trait Field {
    /// The field `key`; null when it is not there or this is no object.
    fn at(&self, key: &str) -> &Value;

    /// The field `key` as text; empty when it is no text.
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
