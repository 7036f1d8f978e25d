//! Other spellings of the names of columns in headers.

use concordat_protocol::{collection::HeaderSpelling, ids::ColumnName};

/// Columns that a header may name in another spelling than their names, as some exports write `date(birth_date,'unixepoch')`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnSpellings {
    /// The columns.
    pub columns: Vec<ColumnName>,
    /// The spellings of each of them.
    pub spellings: Vec<HeaderSpelling>,
}

impl ColumnSpellings {
    /// The column that a header names in one of the spellings.
    pub(super) fn column(&self, header: &str) -> Option<&ColumnName> {
        let is_named = |column: &&ColumnName| self.spellings.iter().any(|spelling| spelling.names(header, column));
        self.columns.iter().find(is_named)
    }
}
