//! What would be imported of a file.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::reading::ReadingOptions;

/// Whether the caller may inspect a file; a client learns this before it sends one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InspectionPermission {
    /// Always true: without the permission, the response is a problem.
    pub may_inspect: bool,
}

/// Which file is inspected; the first line of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InspectionRequest {
    /// The sender's name of the file; it is used in messages, and is never opened.
    pub name: String,
    /// A file below an inbox of the node, instead of bytes.
    #[schema(value_type = Option<String>)]
    pub inbox: Option<PathBuf>,
    /// How the file is read.
    pub reading: ReadingOptions,
}

/// What would be imported of a file. Of its contents it has the first value of each column, if the caller has sent the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Inspection {
    /// The format.
    pub format: String,
    /// What separates the fields, in CSV.
    pub delimiter: Option<String>,
    /// The encoding, in text.
    pub encoding: Option<String>,
    /// How the file is compressed, if it is: `gzip`, `zstd`, `xz`, `bzip2` or `zip`.
    pub compression: Option<String>,
    /// The sheet, in a spreadsheet.
    pub sheet: Option<String>,
    /// Whether the first line contains the names of the columns, in CSV and spreadsheets.
    pub header: Option<bool>,
    /// The column that identifies the subject of a row; `null` if none was stated.
    pub subject_column: Option<String>,
    /// Rows that can be imported.
    pub rows: u64,
    /// Rows that cannot.
    pub refused: u64,
    /// The first of these.
    pub refused_rows: Vec<RefusedRow>,
    /// The columns.
    pub columns: Vec<InspectedColumn>,
    /// What the steward should know, one sentence each.
    pub notes: Vec<String>,
    /// What can be stated so that columns of text are typed; the notes contain the same.
    pub proposals: Vec<ColumnProposal>,
    /// The options in use.
    pub reading: ReadingOptions,
}

/// A column of an inspected file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InspectedColumn {
    /// The name that it would have.
    pub name: String,
    /// The name in the file.
    pub given: String,
    /// Its type, for people.
    pub kind: String,
    /// The beginning of its first value as it would be stored; `null` if it has none, or if the node opened the file.
    pub first: Option<String>,
    /// Rows without a value in it.
    pub missing: u64,
}

/// What can be stated so that a column of text is typed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnProposal {
    /// The column.
    pub column: String,
    /// Options of the command line, of which one is to be chosen.
    pub options: Vec<String>,
    /// Words that would have to mean that a value is missing.
    pub missing_words: Vec<String>,
}

/// A row that cannot be imported; never its contents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefusedRow {
    /// The line, counted from 1; the number of the row in a file without lines, such as Parquet.
    pub line: u64,
    /// Why it cannot be imported.
    pub reason: String,
}
