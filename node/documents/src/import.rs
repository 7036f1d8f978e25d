//! Imports: a file is sent with its options, and the response reports the progress line by line.
//!
//! ```text
//! {"inspecting":true}  {"refused":{"line":3,"reason":"…"}} …  {"written":{"rows":8192,"of":50000}} …  {"committing":true}
//! {"imported":{…}}    or    {"problem":{…}}
//! ```

use std::path::PathBuf;

use concordat_protocol::ids::{DatasetName, SegmentName};
use concordat_protocol::schema::VersionNumber;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::Problem;

/// Media type of the request: the [`ImportOptions`] as one line of JSON, and the bytes of the file.
pub const UPLOAD: &str = "application/vnd.concordat.import";
/// Media type of the response: one [`ImportLine`] on each line.
pub const REPORT: &str = "application/x-ndjson";

/// Whether the caller may import the dataset; a client learns this before it sends a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportPermission {
    /// The dataset.
    #[schema(value_type = String)]
    pub dataset: DatasetName,
    /// Always true: without the permission, the response is a problem.
    pub may_import: bool,
}

/// How a file is imported; the first line of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportOptions {
    /// The sender's name of the file; it is used in the manifest and in messages, and is never opened.
    #[serde(default)]
    pub name: String,
    /// A file below an inbox of the node, instead of bytes.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub inbox: Option<PathBuf>,
    /// The format of the file, `csv`, `parquet` or `ndjson`; it is recognized if none is stated.
    #[serde(default)]
    pub kind: Option<String>,
    /// What happens to the existing rows.
    pub mode: ImportMode,
    /// The segment of a new dataset.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub segment: Option<SegmentName>,
    /// The column that identifies the subject of a row; an existing dataset keeps its own.
    #[serde(default)]
    pub subject_column: Option<String>,
    /// Whether each row is a subject of its own.
    #[serde(default)]
    pub each_row_is_a_subject: bool,
    /// Whether the other rows are imported if some are invalid.
    #[serde(default)]
    pub skip_refused: bool,
    /// The encoding of the text, such as `windows-1252`; it is recognized if none is stated.
    #[serde(default)]
    pub encoding: Option<String>,
    /// Whether the first line of a CSV file contains the names of the columns.
    #[serde(default)]
    pub header: HeaderLine,
    /// Where markers such as `?` and `NA` mean that a value is missing.
    #[serde(default)]
    pub missing: MissingValues,
    /// Columns that are imported as text regardless of their contents.
    #[serde(default)]
    pub text_columns: Vec<String>,
}

/// What an import does with the existing rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportMode {
    /// There are none: the dataset must be new.
    Create,
    /// They stay.
    Append,
    /// The new version contains only the rows of the file.
    Replace,
}

/// Whether the first line contains the names of the columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeaderLine {
    /// It is recognized by the contents.
    #[default]
    Auto,
    /// It does.
    Present,
    /// It is a row.
    Absent,
}

/// Where markers mean that a value is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissingValues {
    /// In columns whose other values are not text.
    #[default]
    Auto,
    /// In every column.
    Everywhere,
    /// Nowhere: only a blank field is a missing value.
    BlankOnly,
}

/// One line of the report: an event, or why the import failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum ImportLine {
    /// The import has failed, and the dataset is unchanged. No line follows.
    Failed {
        /// Why.
        problem: Problem,
    },
    /// The import has got this far.
    Event(ImportEvent),
}

/// How far an import has got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ImportEvent {
    /// The first pass over the file begins; always true.
    Inspecting(bool),
    /// A row was refused; there is one such line for each.
    Refused(RefusedRow),
    /// Rows have been written.
    Written(RowsWritten),
    /// Everything is written, and the new version is about to become visible; always true.
    Committing(bool),
    /// The new version is current. No line follows.
    Imported(Imported),
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

/// How many rows have been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RowsWritten {
    /// Rows written.
    pub rows: u64,
    /// Rows of the file.
    pub of: u64,
}

/// What an import did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Imported {
    /// The dataset.
    #[schema(value_type = String)]
    pub dataset: DatasetName,
    /// The version that is current now.
    #[schema(value_type = u64)]
    pub version: VersionNumber,
    /// Rows of this file.
    pub rows: u64,
    /// Rows of the version.
    pub total_rows: u64,
    /// Rows of the file that were refused, as the options allowed.
    pub refused: u64,
    /// What the steward should know, one sentence each.
    pub notes: Vec<String>,
    /// Whether the dataset was published and no longer is, because the new version has columns without a class.
    pub withdrawn: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn import_line_has_the_key_of_its_event() {
        let refused = RefusedRow {
            line: 3,
            reason: "why".to_owned(),
        };
        let problem = Problem::usage("no");
        let event = |event: ImportEvent| ImportLine::Event(event);
        let lines = [
            (event(ImportEvent::Inspecting(true)), r#"{"inspecting":true}"#),
            (
                event(ImportEvent::Refused(refused)),
                r#"{"refused":{"line":3,"reason":"why"}}"#,
            ),
            (
                event(ImportEvent::Written(RowsWritten { rows: 1, of: 2 })),
                r#"{"written":{"rows":1,"of":2}}"#,
            ),
            (event(ImportEvent::Committing(true)), r#"{"committing":true}"#),
        ];
        for (line, text) in lines {
            assert_eq!(serde_json::to_string(&line).unwrap(), text);
            assert_eq!(serde_json::from_str::<ImportLine>(text).unwrap(), line);
        }
        let failed = ImportLine::Failed { problem };
        let text = serde_json::to_string(&failed).unwrap();
        assert!(text.starts_with(r#"{"problem":{"#), "{text}");
        assert_eq!(serde_json::from_str::<ImportLine>(&text).unwrap(), failed);
        assert!(serde_json::from_str::<ImportLine>(r#"{"finished":true}"#).is_err());
    }

    #[test]
    fn import_options_need_only_the_mode() {
        let options: ImportOptions = serde_json::from_str(r#"{"mode":"create"}"#).unwrap();
        assert_eq!(
            (options.header, options.missing, options.mode),
            (HeaderLine::Auto, MissingValues::Auto, ImportMode::Create)
        );
        let written = serde_json::to_string(&options).unwrap();
        assert_eq!(serde_json::from_str::<ImportOptions>(&written).unwrap(), options);
        assert!(serde_json::from_str::<ImportOptions>("{}").is_err());
        assert!(serde_json::from_str::<ImportOptions>(r#"{"mode":"create","path":"/etc/passwd"}"#).is_err());
    }
}
