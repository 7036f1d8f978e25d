//! Options of a steward for reading a file.

use encoding_rs::Encoding;

use super::{error::IngestError, format::Format};

/// How to read a table; the default detects everything and imports all rows or none.
#[derive(Clone, Debug, Default)]
pub struct TableOptions {
    /// The format of the file; `None` recognizes it by its contents.
    pub format: Option<Format>,
    /// The subjects of the rows.
    pub subject: SubjectRule,
    /// The byte between fields of delimited text; `None` chooses among comma, semicolon, tab and vertical bar.
    pub delimiter: Option<u8>,
    /// Whether the first line of delimited text has the column names.
    pub header: Header,
    /// The encoding of the text; a byte order mark takes precedence over it, and without either the text must be UTF-8.
    pub encoding: Option<TextEncoding>,
    /// Which fields count as missing.
    pub missing: Missing,
    /// What happens to a file with rows that cannot be imported.
    pub refused: Refused,
    /// Columns that are always kept as text, such as codes in which `250.00` and `250.0` differ.
    pub text_columns: Vec<String>,
}

/// The subjects of the rows, as stated by the steward. Everything that counts people uses this rule, so a new dataset
/// is not created unless it is stated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SubjectRule {
    /// Nothing was stated: an existing dataset keeps its rule, and reading a file without a dataset numbers the rows.
    #[default]
    Unstated,
    /// The subject is the value of this column.
    Column(String),
    /// Each row is its own subject.
    EachRow,
}

impl SubjectRule {
    /// The subject column, if one is named.
    #[must_use]
    pub fn column(&self) -> Option<&String> {
        match self {
            Self::Column(column) => Some(column),
            Self::Unstated | Self::EachRow => None,
        }
    }
}

/// Whether the first line has the column names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// Decided by comparing the first line with the ones below it.
    #[default]
    Auto,
    /// The first line has the names.
    Present,
    /// The first line is data.
    Absent {
        /// The names to use, one for each column; if empty, `column_1`, `column_2` and so on.
        names: Vec<String>,
    },
}

/// Which fields count as missing; a blank field always does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// Markers such as `?` and `NA` count in typed columns and stay text in text columns.
    #[default]
    Auto,
    /// Markers count in every column.
    Everywhere,
    /// Only blank fields count, so a marker makes its column text.
    BlankOnly,
}

/// What happens to a file with rows that cannot be imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refused {
    /// The file is not imported.
    #[default]
    Stop,
    /// The other rows are imported; the refused ones are counted and listed.
    Skip,
}

/// A text encoding of the WHATWG Encoding Standard, by its label.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TextEncoding(pub(super) &'static Encoding);

impl TextEncoding {
    /// Finds an encoding by a label such as `utf-8`, `windows-1252` or `utf-16le`.
    ///
    /// # Errors
    /// [`IngestError::UnknownEncoding`] if the standard lists no such label.
    pub fn from_label(label: &str) -> Result<Self, IngestError> {
        Encoding::for_label_no_replacement(label.as_bytes())
            .map(Self)
            .ok_or_else(|| IngestError::UnknownEncoding {
                label: label.to_owned(),
            })
    }

    /// The encoding's name in the standard.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }
}

impl std::fmt::Debug for TextEncoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
