//! Imports: a file is sent with its options, and the response reports the progress line by line.
//!
//! ```text
//! {"inspecting":true}  {"refused":{"line":3,"reason":"…"}} …  {"written":{"rows":8192,"of":50000}} …  {"committing":true}
//! {"imported":{…}}    or    {"problem":{…}}
//! ```

mod inspection;
mod notes;
mod reading;

use std::path::PathBuf;

use concordat_protocol::ids::{DatasetName, SegmentName};
use concordat_protocol::schema::VersionNumber;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::Problem;

pub use inspection::{
    ColumnProposal, InspectedColumn, Inspection, InspectionPermission, InspectionRequest, RefusedRow,
};
pub use notes::grouped;
pub use reading::{ColumnReading, HeaderLine, MissingValues, QuoteSign, ReadingOptions, RepeatedHeaderLine};

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
    /// What happens to the existing rows.
    pub mode: ImportMode,
    /// The segment of a new dataset.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub segment: Option<SegmentName>,
    /// Whether the other rows are imported if some are invalid.
    #[serde(default)]
    pub skip_refused: bool,
    /// Whether rows may be added from a file whose rows the dataset has already.
    #[serde(default)]
    pub again: bool,
    /// Whether the options of the latest import of the dataset are left out; otherwise they are in use where `reading` states nothing.
    #[serde(default)]
    pub without_kept_options: bool,
    /// How the file is read.
    #[serde(default)]
    pub reading: ReadingOptions,
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
    Imported(Box<Imported>),
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
    /// The options in use, of the request and of the import before.
    pub reading: ReadingOptions,
    /// Whether the dataset was published and no longer is, because the new version has columns without a class, or other subjects.
    pub withdrawn: bool,
}

/// What is kept of the latest import of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetNotes {
    /// The dataset.
    #[schema(value_type = String)]
    pub dataset: DatasetName,
    /// The version that the import created.
    #[schema(value_type = u64)]
    pub version: VersionNumber,
    /// What the steward should know, one sentence each.
    pub notes: Vec<String>,
    /// The options that the next import of the dataset uses where it states none.
    pub reading: ReadingOptions,
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
            (options.reading.clone(), options.mode),
            (ReadingOptions::default(), ImportMode::Create)
        );
        let written = serde_json::to_string(&options).unwrap();
        assert_eq!(serde_json::from_str::<ImportOptions>(&written).unwrap(), options);
        assert!(serde_json::from_str::<ImportOptions>("{}").is_err());
        assert!(serde_json::from_str::<ImportOptions>(r#"{"mode":"create","path":"/etc/passwd"}"#).is_err());
    }
}
