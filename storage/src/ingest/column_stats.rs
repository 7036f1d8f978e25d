//! Infers the type of a column, field by field.

use concordat_protocol::schema::ColumnKind;

use super::{
    options::Missing,
    values::{Kinds, classify, is_marker, trim},
};

/// The statistics of one column so far.
#[derive(Clone, Debug)]
pub(super) struct ColumnStats {
    kinds: Kinds,
    forced_text: bool,
    missing_rule: Missing,
    values: u64,
    blanks: u64,
    markers: u64,
    became_text: Option<(ColumnKind, u64)>,
}

impl ColumnStats {
    pub(super) fn new(missing_rule: Missing, forced_text: bool) -> Self {
        let kinds = if forced_text { Kinds::NONE } else { Kinds::ALL };
        Self {
            kinds,
            forced_text,
            missing_rule,
            values: 0,
            blanks: 0,
            markers: 0,
            became_text: None,
        }
    }

    /// Adds the field of the row that starts on `line`.
    pub(super) fn observe(&mut self, field: &str, line: u64) {
        let value = trim(field);
        if value.is_empty() {
            self.blanks += 1;
        } else if self.missing_rule != Missing::BlankOnly && is_marker(value) {
            self.markers += 1;
        } else {
            self.value(value, line);
        }
    }

    fn value(&mut self, value: &str, line: u64) {
        if !self.kinds.is_none() {
            let narrowed = self.kinds.and(classify(value));
            if narrowed.is_none() && self.values > 0 {
                self.became_text = Some((self.kinds.best(), line));
            }
            self.kinds = narrowed;
        }
        self.values += 1;
    }

    /// The narrowest kind that can represent every value; a column without values is text.
    pub(super) fn kind(&self) -> ColumnKind {
        if self.values == 0 || self.forced_text {
            ColumnKind::Text
        } else {
            self.kinds.best()
        }
    }

    /// Whether there is any value.
    pub(super) fn has_values(&self) -> bool {
        self.values > 0
    }

    /// Whether markers count as missing in this column.
    pub(super) fn markers_are_missing(&self) -> bool {
        match self.missing_rule {
            Missing::Auto => self.values == 0 || self.kind() != ColumnKind::Text,
            Missing::Everywhere => true,
            Missing::BlankOnly => false,
        }
    }

    /// Fields that count as missing.
    pub(super) fn missing(&self) -> u64 {
        self.blanks + if self.markers_are_missing() { self.markers } else { 0 }
    }

    /// Markers that stay in the column as text.
    pub(super) fn markers_as_text(&self) -> u64 {
        if self.markers_are_missing() { 0 } else { self.markers }
    }

    /// The kind of the column before the line that made it text, and this line.
    pub(super) fn became_text(&self) -> Option<(ColumnKind, u64)> {
        self.became_text
    }
}
