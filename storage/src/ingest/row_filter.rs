//! Which rows of a file are no data: those without any value, and those that repeat the names of the columns.

use super::{
    missing::MissingRule,
    options::{RepeatedHeader, TableOptions},
    parse_field::trim,
};

/// The rule of one import. Both passes use it, so that they have the same rows.
#[derive(Clone, Debug)]
pub(super) struct RowFilter {
    missing: MissingRule,
    /// The trimmed names in the file; empty if it has none.
    header: Vec<String>,
    repeated: RepeatedHeader,
}

/// What a row is, besides data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowKind {
    /// A row of data.
    Data,
    /// No field has a value.
    WithoutValues,
    /// Each field is the name of its column.
    Header,
}

impl RowFilter {
    /// The rule for a file with these names in its first line; `None` if its format has no such line, or the file does not have it.
    pub(super) fn new(options: &TableOptions, header: Option<&[String]>) -> Self {
        let header = header.unwrap_or_default().iter().map(|name| trim(name).to_owned());
        Self {
            missing: MissingRule::of(options),
            header: header.collect(),
            repeated: options.repeated_header,
        }
    }

    /// What the row with these fields is. A row of one column without a value is data: its value is missing.
    pub(super) fn kind_of<'a>(&self, fields: impl Iterator<Item = &'a str> + Clone, width: usize) -> RowKind {
        let has_no_value = |field: &str| self.missing.is_no_value_in_a_row(trim(field));
        if width > 1 && fields.clone().all(has_no_value) {
            return RowKind::WithoutValues;
        }
        let is_header = width == self.header.len()
            && fields.zip(&self.header).all(|(field, name)| trim(field) == name)
            && self.header.iter().any(|name| !name.is_empty());
        if is_header { RowKind::Header } else { RowKind::Data }
    }

    /// Whether a row of this kind is left out.
    pub(super) fn leaves_out(&self, kind: RowKind) -> bool {
        match kind {
            RowKind::Data => false,
            RowKind::WithoutValues => true,
            RowKind::Header => self.repeated == RepeatedHeader::LeftOut,
        }
    }
}
