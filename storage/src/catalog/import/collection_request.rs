//! The request and the result of an import of a collection.

use std::collections::BTreeMap;

use concordat_protocol::{
    collection::{CollectionRules, ColumnRole, DatasetKind, KnownColumns, Levels},
    ids::{CollectionName, ColumnName, DatasetName, Digest32, SegmentName},
    schema::VersionNumber,
};

use super::{
    super::{OpenColumns, VersionEntries},
    request::{ImportMode, LEAST_SUBJECTS, ROWS_PER_OBJECT},
};
use crate::{
    ingest::{Note, Source, TableOptions},
    ledger::Attribution,
    subjects::OwnerCounts,
};

/// What to import as one version of a collection.
#[derive(Clone, Debug)]
pub struct CollectionImport {
    /// The collection.
    pub name: CollectionName,
    /// The datasets. With [`ImportMode::Append`], others keep their rows; with [`ImportMode::Replace`], others are not in the new version.
    pub datasets: Vec<DatasetImport>,
    /// The segment of a new collection, [`super::MAIN_SEGMENT`] if none is given; an existing one stays in its segment.
    pub segment: Option<SegmentName>,
    /// What happens to the existing rows.
    pub mode: ImportMode,
    /// Whether rows may be added from files whose rows the collection has already.
    pub again: bool,
    /// Rows after which a new object begins.
    pub rows_per_object: u64,
    /// Fewest subjects on each side of what is proposed for a column.
    pub least_subjects: u32,
    /// Who imports. They must still be permitted to when the version becomes visible.
    pub by: Option<Attribution>,
}

/// A dataset of a collection, to be imported.
#[derive(Clone, Debug)]
pub struct DatasetImport {
    /// The dataset.
    pub name: DatasetName,
    /// What to import.
    pub source: Source,
    /// How to read it; what it states about subjects does not matter.
    pub options: TableOptions,
    /// The options in a form of the caller's choice, which is kept for the next import.
    pub kept_options: String,
}

/// What is declared about the datasets of a collection.
///
/// If a dataset states that a subject has at most one row in it, only the subjects of such datasets are registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Declared {
    /// How their rows lead to subjects; a dataset that is not in it leads to none.
    Kinds(BTreeMap<DatasetName, DatasetKind>),
    /// That, and everything else. Levels and ranges are proposed for the open columns.
    Rules(CollectionRules, OpenColumns),
}

/// Declares what is imported, once its columns are known: those of all datasets that the new version will have. Returns everything that is
/// wrong, one sentence each.
pub type Declare<'a> = dyn Fn(&KnownColumns) -> Result<Declared, Vec<String>> + 'a;

impl Declared {
    pub(super) fn kind(&self, dataset: &DatasetName) -> DatasetKind {
        let kind = match self {
            Self::Kinds(kinds) => kinds.get(dataset),
            Self::Rules(rules, _) => rules.dataset(dataset).map(|rules| rules.kind()),
        };
        kind.cloned().unwrap_or(DatasetKind::Unowned)
    }

    pub(super) fn rules(&self) -> Option<&CollectionRules> {
        match self {
            Self::Kinds(_) => None,
            Self::Rules(rules, _) => Some(rules),
        }
    }

    /// Whether a column is declared to have codes of an open list.
    pub(super) fn has_codes(&self, dataset: &DatasetName, column: &ColumnName) -> bool {
        let rules = self.rules().and_then(|rules| rules.dataset(dataset)?.column(column));
        rules.is_some_and(|rules| matches!(rules.levels(), Levels::Codes(_)))
    }

    /// Whether a column is declared to be a key of the dataset: to have another value in each row.
    pub(super) fn is_key(&self, dataset: &DatasetName, column: &ColumnName) -> bool {
        let rules = self.rules().and_then(|rules| rules.dataset(dataset)?.column(column));
        rules.is_some_and(|rules| *rules.role() == ColumnRole::Key)
    }

    /// Whether levels and a range are proposed for a column.
    pub(super) fn is_open(&self, dataset: &DatasetName, column: &ColumnName) -> bool {
        match self {
            Self::Kinds(_) => false,
            Self::Rules(_, open) => open.contains(&(dataset.clone(), column.clone())),
        }
    }
}

impl CollectionImport {
    /// A new collection with the defaults for everything.
    #[must_use]
    pub fn new(name: CollectionName, datasets: Vec<DatasetImport>) -> Self {
        Self {
            name,
            datasets,
            segment: None,
            mode: ImportMode::Create,
            again: false,
            rows_per_object: ROWS_PER_OBJECT,
            least_subjects: LEAST_SUBJECTS,
            by: None,
        }
    }
}

/// What an import of a collection did.
#[derive(Clone, Debug)]
pub struct ImportedCollection {
    /// The version that is current now.
    pub version: VersionNumber,
    /// The datasets that were imported, in the order in which they were written.
    pub datasets: Vec<ImportedDataset>,
    /// The datasets of the version before that are not in this one, with their rows there.
    pub removed: Vec<(DatasetName, u64)>,
    /// How many ordinals of subjects have been given.
    pub subjects: u32,
    /// The digest of the manifest, for the ledger.
    pub manifest: Digest32,
    /// What the caller enters in the ledger about the version, with what is declared from then on.
    pub entries: VersionEntries,
}

impl ImportedCollection {
    /// Whether the collection was published and no longer is: the new version has columns without a class, or is declared to reveal more.
    #[must_use]
    pub const fn is_withdrawn(&self) -> bool {
        self.entries.is_withdrawn()
    }
}

/// What was imported of a dataset.
#[derive(Clone, Debug)]
pub struct ImportedDataset {
    /// The dataset.
    pub name: DatasetName,
    /// Rows of the file.
    pub rows: u64,
    /// Rows of the version.
    pub total_rows: u64,
    /// Rows of the file that were skipped, as the options allowed.
    pub refused: u64,
    /// How many rows of the file have an owner, and why the others have none.
    pub owners: OwnerCounts,
    /// What the steward should know.
    pub notes: Vec<Note>,
}
