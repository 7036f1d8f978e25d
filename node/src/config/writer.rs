//! Writes values as TOML.

use std::fmt::Display;

use toml::Value;

/// A text.
pub(super) fn text(value: &(impl Display + ?Sized)) -> Value {
    Value::String(value.to_string())
}

/// A list of texts.
pub(super) fn list<'a, T: Display + 'a>(values: impl IntoIterator<Item = &'a T>) -> Value {
    Value::Array(values.into_iter().map(text).collect())
}
