//! Which fields count as missing.

use super::{
    options::{ColumnOptions, Missing, TableOptions},
    parse_field::is_marker,
};

/// The rule of one import. A blank field is always missing.
#[derive(Clone, Debug)]
pub(super) struct MissingRule {
    markers: Missing,
    /// Words that are stated: first those of all columns, then those of this one.
    stated: Vec<String>,
    /// How many are those of all columns.
    common: usize,
}

impl MissingRule {
    pub(super) fn of(options: &TableOptions) -> Self {
        Self {
            markers: options.missing,
            stated: options.missing_words.clone(),
            common: options.missing_words.len(),
        }
    }

    /// The rule for a column for which something is stated.
    pub(super) fn of_column(options: &TableOptions, column: Option<&ColumnOptions>) -> Self {
        let mut rule = Self::of(options);
        let words = column.map_or(&[][..], |column| column.missing_words.as_slice());
        rule.stated.extend_from_slice(words);
        rule
    }

    /// The words that are stated.
    pub(super) fn words(&self) -> &[String] {
        &self.stated
    }

    /// How many of these are stated for all columns; they come first.
    pub(super) fn common_words(&self) -> usize {
        self.common
    }

    /// Which of the stated words a trimmed field is.
    pub(super) fn stated_word(&self, trimmed: &str) -> Option<usize> {
        self.stated.iter().position(|word| word == trimmed)
    }

    /// Whether the steward states that a trimmed field with this text is missing.
    pub(super) fn is_stated(&self, trimmed: &str) -> bool {
        self.stated_word(trimmed).is_some()
    }

    /// Whether a trimmed field is one of the usual markers, which count as missing in typed columns.
    pub(super) fn is_marker(&self, trimmed: &str) -> bool {
        self.markers != Missing::BlankOnly && is_marker(trimmed)
    }

    /// Whether the usual markers are missing in a column that is typed or has no values, or in one that is text.
    pub(super) fn markers_are_missing(&self, is_typed: bool) -> bool {
        match self.markers {
            Missing::Auto => is_typed,
            Missing::Everywhere => true,
            Missing::BlankOnly => false,
        }
    }

    /// Whether a trimmed field is missing before the kind of its column is known. A marker may be a value in a column of text.
    pub(super) fn is_no_value_in_a_row(&self, trimmed: &str) -> bool {
        self.is_without_value(trimmed) || (self.markers == Missing::Everywhere && self.is_marker(trimmed))
    }

    /// Whether a trimmed field has no value in any column, whatever its kind.
    pub(super) fn is_without_value(&self, trimmed: &str) -> bool {
        trimmed.is_empty() || self.is_stated(trimmed)
    }
}
