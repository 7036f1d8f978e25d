//! Collections of datasets: imported as one version, declared by a template, and shown on one screen.
//!
//! A folder is sent as a line of JSON ([`FolderImport`]), its files in the order in which the line names them, and a last line
//! ([`Closing`]) that states that the folder is the same as when it was listed. Anything else is not imported.

mod files;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;

use concordat_protocol::ids::{CollectionName, DatasetName, SegmentName};
use concordat_protocol::schema::VersionNumber;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::import::{ImportMode, ReadingOptions, RowsWritten};
use crate::problem::Problem;

pub use files::table_of;

/// Media type of the request: a [`FolderImport`] as one line of JSON, the bytes of the files, and a [`Closing`] as one line of JSON.
pub const FOLDER: &str = "application/vnd.concordat.folder";
/// Most files of one import, as many as a collection can have datasets.
pub const MAX_FILES: usize = 256;

/// Whether the caller may import the collection; a client learns this before it sends files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectionPermission {
    /// The collection.
    #[schema(value_type = String)]
    pub collection: CollectionName,
    /// Always true: without the permission, the response is a problem.
    pub may_import: bool,
}

/// How a folder is imported; the first line of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FolderImport {
    /// The files that follow, in this order. The dataset of a file is named as the file.
    #[serde(default)]
    pub files: Vec<FolderFile>,
    /// Whether the only file is a zip or tar archive of the files.
    #[serde(default)]
    pub archive: bool,
    /// A folder, or an archive, below an inbox of the node, instead of files.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub inbox: Option<PathBuf>,
    /// What is declared about the datasets. `null` for what is declared about the collection already.
    #[serde(default)]
    pub template: Option<TemplateChoice>,
    /// What happens to the existing rows.
    pub mode: ImportMode,
    /// The segment of a new collection.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub segment: Option<SegmentName>,
    /// Whether the other rows are imported if some are invalid.
    #[serde(default)]
    pub skip_refused: bool,
    /// Whether rows are added from files whose rows the collection has already.
    #[serde(default)]
    pub again: bool,
    /// How the files of single datasets are read.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, ReadingOptions>)]
    pub reading: BTreeMap<DatasetName, ReadingOptions>,
}

/// A file of a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FolderFile {
    /// Its name; it is never opened.
    pub name: String,
    /// Its bytes.
    pub len: u64,
}

/// A template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TemplateChoice {
    /// That of a data model, which the program contains.
    Shipped(String),
    /// The text of a template file about this collection: all that it names must exist.
    Text(String),
}

/// The last line of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Closing {
    /// Whether the folder had the same files after they were read, each of the same length and time. Only `true` is imported.
    pub unchanged: bool,
}

/// One line of the report: an event, or why the import failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum CollectionLine {
    /// The import has failed, and the collection is unchanged. No line follows.
    Failed {
        /// Why.
        problem: Problem,
    },
    /// The import has got this far.
    Event(CollectionEvent),
}

/// How far an import has got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CollectionEvent {
    /// The first pass over the file of this dataset begins.
    Inspecting(InspectedFile),
    /// A row was refused; there is one such line for each.
    Refused(RefusedFileRow),
    /// Rows of a dataset have been written.
    Written(RowsWritten),
    /// Everything is written, and the new version is about to become visible; always true.
    Committing(bool),
    /// The new version is current. No line follows.
    Imported(Box<CollectionImported>),
}

/// A file that is read for the first time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InspectedFile {
    /// The dataset of the file.
    #[schema(value_type = String)]
    pub dataset: DatasetName,
}

/// A row that cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefusedFileRow {
    /// The dataset of the file.
    #[schema(value_type = String)]
    pub dataset: DatasetName,
    /// Its line, or its number.
    pub line: u64,
    /// Why.
    pub reason: String,
}

/// What an import of a collection did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectionImported {
    /// The collection.
    #[schema(value_type = String)]
    pub collection: CollectionName,
    /// The version that is current now.
    #[schema(value_type = u64)]
    pub version: VersionNumber,
    /// Rows of all files.
    pub rows: u64,
    /// Rows of all files that were refused, as the options allowed.
    pub refused: u64,
    /// How many subjects have been numbered.
    pub subjects: u32,
    /// What was imported, in the order in which it was written.
    pub datasets: Vec<ImportedDataset>,
    /// The datasets of the version before that are not in this one.
    #[serde(default)]
    pub removed: Vec<RemovedDataset>,
    /// Files that were not imported, because their names do not end as those of tables do; the first fifty.
    pub left_out: Vec<String>,
    /// How many more such files there are.
    pub more_left_out: u64,
    /// Columns that have no class; the collection cannot be published before all have one.
    pub unclassified: u64,
    /// The quasi-identifiers that cannot be generalized, by dataset: the default policy shows them to no one.
    pub withheld: Vec<WithheldColumns>,
    /// Whether the collection was published and no longer is, because the new version has columns without a class, or is declared to reveal more.
    pub withdrawn: bool,
}

/// What was imported of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportedDataset {
    /// The dataset.
    #[schema(value_type = String)]
    pub dataset: DatasetName,
    /// Rows of the file.
    pub rows: u64,
    /// Rows of the version.
    pub total_rows: u64,
    /// Rows of the file that were refused.
    pub refused: u64,
    /// Rows of the file that have no owner.
    pub unowned: u64,
    /// What the steward should know, one sentence each.
    pub notes: Vec<String>,
}

/// A dataset that is not in the new version of a collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemovedDataset {
    /// The dataset.
    #[schema(value_type = String)]
    pub dataset: DatasetName,
    /// The rows that it has in the version before.
    pub rows: u64,
}

/// A collection in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectionSummary {
    /// Its name.
    #[schema(value_type = String)]
    pub name: CollectionName,
    /// Its segment.
    #[schema(value_type = String)]
    pub segment: SegmentName,
    /// Its current version.
    #[schema(value_type = u64)]
    pub version: VersionNumber,
    /// How many datasets it has.
    pub datasets: u64,
    /// Their rows.
    pub rows: u64,
    /// Their columns.
    pub columns: u64,
    /// How many of them have no class; it cannot be published before all have one.
    pub unclassified: u64,
    /// Whether it is published.
    pub published: bool,
}

/// A collection with its datasets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Collection {
    /// Its name.
    #[schema(value_type = String)]
    pub name: CollectionName,
    /// Its segment.
    #[schema(value_type = String)]
    pub segment: SegmentName,
    /// Its current version.
    #[schema(value_type = u64)]
    pub version: VersionNumber,
    /// The oldest version that is retained.
    #[schema(value_type = u64)]
    pub oldest_version: VersionNumber,
    /// How many versions are retained; `null` for all.
    #[schema(value_type = Option<u32>)]
    pub keep: Option<NonZeroU32>,
    /// How many subjects have been numbered.
    pub subjects: u32,
    /// Whether it is published.
    pub published: bool,
    /// Its datasets, in the order of their names.
    pub datasets: Vec<CollectionDataset>,
    /// The columns without a class, by dataset; it cannot be published before there are none.
    pub unclassified: Vec<UnclassifiedColumns>,
    /// The quasi-identifiers that cannot be generalized, by dataset: the default policy shows them to no one.
    pub withheld: Vec<WithheldColumns>,
}

/// A dataset of a collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectionDataset {
    /// Its name.
    #[schema(value_type = String)]
    pub name: DatasetName,
    /// How its rows lead to subjects: `keyed`, `owned`, `reference`, `each-row` or `unowned`.
    pub kind: String,
    /// Whether each subject has at most one row in it, as far as is known.
    pub one_row_a_subject: bool,
    /// Its rows.
    pub rows: u64,
    /// Those that have no owner.
    pub unowned: u64,
    /// Its columns.
    pub columns: u64,
    /// Those without a class.
    pub unclassified: u64,
    /// Those of which conditions and groups may distinguish more than whether a value is missing.
    pub with_levels: u64,
    /// Those for which levels or a range are proposed from the rows, which apply once the collection is published.
    pub proposed: u64,
    /// The name of the file that its rows were imported from last.
    pub file: String,
}

/// The columns of a dataset that have no class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnclassifiedColumns {
    /// The dataset.
    #[schema(value_type = String)]
    pub dataset: DatasetName,
    /// The columns; `*` alone if none of the dataset has a class.
    pub columns: Vec<String>,
}

/// The columns of a dataset that the default policy shows to no one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WithheldColumns {
    /// The dataset.
    #[schema(value_type = String)]
    pub dataset: DatasetName,
    /// The columns, at least one.
    pub columns: Vec<String>,
}

impl WithheldColumns {
    /// Each column with its dataset, as notes name it.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let of = move |column: &String| format!("`{}.{column}`", self.dataset);
        self.columns.iter().map(of)
    }
}

/// What to declare about a collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRules {
    /// The text of a template file; all that it names must exist.
    pub template: String,
    /// Whether what was declared before ends; otherwise it stays where the template declares nothing else.
    #[serde(default)]
    pub replace: bool,
}

/// The text of a template file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateText {
    /// The name of the template.
    pub name: String,
    /// The file.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_import_needs_only_the_mode() {
        let import: FolderImport = serde_json::from_str(r#"{"mode":"create"}"#).unwrap();
        assert_eq!((import.files.len(), import.template.clone()), (0, None));
        let written = serde_json::to_string(&import).unwrap();
        assert_eq!(serde_json::from_str::<FolderImport>(&written).unwrap(), import);
        for wrong in [
            "{}",
            r#"{"mode":"create","path":"/etc/passwd"}"#,
            r#"{"mode":"create","template":{"file":"/etc/passwd"}}"#,
            r#"{"mode":"create","files":[{"name":"a.csv","len":-1}]}"#,
        ] {
            assert!(serde_json::from_str::<FolderImport>(wrong).is_err(), "{wrong}");
        }
        let shipped = r#"{"mode":"create","template":{"shipped":"omop-5.3"}}"#;
        let import: FolderImport = serde_json::from_str(shipped).unwrap();
        assert_eq!(import.template, Some(TemplateChoice::Shipped("omop-5.3".to_owned())));
    }

    #[test]
    fn collection_line_has_the_key_of_its_event() {
        let person = DatasetName::new("person").unwrap();
        let refused = RefusedFileRow {
            dataset: person.clone(),
            line: 3,
            reason: "why".to_owned(),
        };
        for (event, text) in [
            (
                CollectionEvent::Inspecting(InspectedFile { dataset: person }),
                r#"{"inspecting":{"dataset":"person"}}"#,
            ),
            (
                CollectionEvent::Refused(refused),
                r#"{"refused":{"dataset":"person","line":3,"reason":"why"}}"#,
            ),
            (CollectionEvent::Committing(true), r#"{"committing":true}"#),
        ] {
            let line = CollectionLine::Event(event);
            assert_eq!(serde_json::to_string(&line).unwrap(), text);
            assert_eq!(serde_json::from_str::<CollectionLine>(text).unwrap(), line);
        }
        let failed = CollectionLine::Failed {
            problem: Problem::usage("no"),
        };
        let text = serde_json::to_string(&failed).unwrap();
        assert_eq!(serde_json::from_str::<CollectionLine>(&text).unwrap(), failed);
    }
}
