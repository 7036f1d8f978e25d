//! What a steward can say about a file before it is read.

use encoding_rs::Encoding;

use super::error::IngestError;

/// How to read a delimited text file; the default detects everything and takes all rows or none.
#[derive(Clone, Debug, Default)]
pub struct CsvOptions {
    /// Whose records the rows are.
    pub subject: SubjectRule,
    /// The byte between fields; `None` chooses among comma, semicolon, tab and vertical bar.
    pub delimiter: Option<u8>,
    /// Whether the first line holds the column names.
    pub header: Header,
    /// The encoding of the text; a byte order mark goes before it, and without either the text must be UTF-8.
    pub encoding: Option<TextEncoding>,
    /// Which fields count as missing.
    pub missing: Missing,
    /// What happens to a file that holds rows that cannot be taken.
    pub refused: Refused,
    /// Columns kept as text whatever they hold, such as codes in which `250.00` and `250.0` differ.
    pub text_columns: Vec<String>,
}

/// Whose records the rows are, as the steward says. Everything that counts people counts by it, so a new dataset is not made
/// before it is stated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SubjectRule {
    /// Nothing was stated: a dataset that exists keeps its rule, and a reader alone numbers the rows.
    #[default]
    Unstated,
    /// The value of this column says so.
    Column(String),
    /// Each row is a subject of its own.
    EachRow,
}

impl SubjectRule {
    /// The column that is named, if one is.
    #[must_use]
    pub fn column(&self) -> Option<&String> {
        match self {
            Self::Column(column) => Some(column),
            Self::Unstated | Self::EachRow => None,
        }
    }
}

/// Whether the first line holds the column names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// Decided by comparing the first line with the ones below it.
    #[default]
    Auto,
    /// The first line holds the names.
    Present,
    /// The first line is data already.
    Absent {
        /// The names to use, one a column; if empty, `column_1`, `column_2` and so on.
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

/// What happens to a file that holds rows that cannot be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refused {
    /// The file is not imported until they are fixed.
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
