//! The request, the progress and the result of an import.

use concordat_protocol::{
    ids::{DatasetName, Digest32, SegmentName},
    schema::VersionNumber,
};

use super::super::VersionEntries;
use crate::ingest::{Note, Reject, Source, TableOptions};
use crate::ledger::Attribution;

/// The segment of datasets for which none is given.
pub const MAIN_SEGMENT: &str = "main";

/// Default number of rows in an object: eight row groups, which makes a file that is easy to transfer and to read in
/// parallel.
pub const ROWS_PER_OBJECT: u64 = 1024 * 1024;

/// The default number of subjects on each side of what is proposed for a column, as policies have it for cells.
pub(super) const LEAST_SUBJECTS: u32 = 10;

/// What to import, and as what.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// The dataset.
    pub name: DatasetName,
    /// What to import.
    pub source: Source,
    /// How to read it. The subjects of a new dataset must be stated; an existing one keeps its rule if the request
    /// states none.
    pub options: TableOptions,
    /// The segment of a new dataset, [`MAIN_SEGMENT`] if none is given; an existing dataset stays in its segment.
    pub segment: Option<SegmentName>,
    /// What happens to the existing rows.
    pub mode: ImportMode,
    /// Whether rows may be added from a file whose rows the dataset has already.
    pub again: bool,
    /// The options in a form of the caller's choice, which is kept for the next import.
    pub kept_options: String,
    /// Rows after which a new object begins.
    pub rows_per_object: u64,
    /// Fewest subjects on each side of what conditions and groups may distinguish in a column.
    pub least_subjects: u32,
    /// Who imports. They must still be permitted to when the version becomes visible.
    pub by: Option<Attribution>,
}

impl ImportRequest {
    /// A new dataset with the defaults for everything.
    #[must_use]
    pub fn new(name: DatasetName, source: Source) -> Self {
        Self {
            name,
            source,
            options: TableOptions::default(),
            segment: None,
            mode: ImportMode::Create,
            again: false,
            kept_options: String::new(),
            rows_per_object: ROWS_PER_OBJECT,
            least_subjects: LEAST_SUBJECTS,
            by: None,
        }
    }
}

/// What happens to the existing rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportMode {
    /// There are none: the dataset must be new.
    Create,
    /// They stay, and the file's rows follow them. The columns must be the same, but may have missing values where
    /// there were none; a value of a narrower kind is taken where it loses nothing (whole numbers as numbers, dates as date-times, and
    /// anything as text), and a column in which no row has a value takes the type of the first values. New columns come last, and the
    /// existing rows have no values in them.
    Append,
    /// The new version contains only the file's rows; older versions keep theirs.
    Replace,
}

/// The progress of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The first pass over the file begins.
    Inspecting,
    /// A row was refused; reported once for each.
    Refused(Reject),
    /// This many rows are written.
    Writing {
        /// Rows written.
        rows: u64,
        /// Rows in the file.
        of: u64,
    },
    /// Everything is written; the new version is about to become visible.
    Committing,
}

/// What an import did.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The version that is current now.
    pub version: VersionNumber,
    /// Rows of this file.
    pub rows: u64,
    /// Rows of the version.
    pub total_rows: u64,
    /// Rows of the file that were skipped, as the request allowed.
    pub refused: u64,
    /// What the steward should know.
    pub notes: Vec<Note>,
    /// The version that has the rows of the same file already.
    pub repeats: Option<VersionNumber>,
    /// The digest of the manifest, for the ledger.
    pub manifest: Digest32,
    /// What the caller enters in the ledger about the version, with what is declared from then on.
    pub entries: VersionEntries,
}

impl Imported {
    /// Whether the dataset was published and no longer is: the new version has columns without a class, or is declared to reveal more.
    #[must_use]
    pub const fn is_withdrawn(&self) -> bool {
        self.entries.is_withdrawn()
    }
}
