//! What is imported, as what, and what came of it.

use concordat_protocol::{
    ids::{ActorId, DatasetName, Digest32, SegmentName},
    schema::VersionNumber,
};

use crate::ingest::{CsvOptions, Note, Reject, Source};

/// The segment of datasets for which none is named.
pub const MAIN_SEGMENT: &str = "main";

/// Rows in an object unless the request says otherwise: eight row groups, a file that is easy to move and to read in
/// parallel.
pub const ROWS_PER_OBJECT: u64 = 1024 * 1024;

/// What to import, and as what.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// The dataset.
    pub name: DatasetName,
    /// What to import.
    pub source: Source,
    /// How to read it. A new dataset needs its subjects to be stated; one that exists keeps its own where they are not.
    pub options: CsvOptions,
    /// The segment of a new dataset, [`MAIN_SEGMENT`] if none is named; a dataset that exists stays in its own.
    pub segment: Option<SegmentName>,
    /// What becomes of the rows that are there.
    pub mode: ImportMode,
    /// Rows after which a new object begins.
    pub rows_per_object: u64,
    /// Who imports.
    pub by: Option<ActorId>,
}

impl ImportRequest {
    /// A new dataset with the defaults for everything.
    #[must_use]
    pub fn new(name: DatasetName, source: Source) -> Self {
        Self {
            name,
            source,
            options: CsvOptions::default(),
            segment: None,
            mode: ImportMode::Create,
            rows_per_object: ROWS_PER_OBJECT,
            by: None,
        }
    }
}

/// What becomes of the rows that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportMode {
    /// There must be none: the dataset is new.
    Create,
    /// They stay, and the file's rows follow them. Its columns must be the same, but may lack values where none did; columns
    /// that are new stand last, and the rows before lack them.
    Append,
    /// The new version holds the file's rows only; older versions keep theirs.
    Replace,
}

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The first pass over the file begins.
    Inspecting,
    /// A row cannot be taken; comes once for each.
    Refused(Reject),
    /// So many rows are written.
    Writing {
        /// Rows written.
        rows: u64,
        /// Rows in the file.
        of: u64,
    },
    /// Everything is written; the new version is about to appear.
    Committing,
}

/// What an import did.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The version that is current now.
    pub version: VersionNumber,
    /// Rows that came with this file.
    pub rows: u64,
    /// Rows of the version.
    pub total_rows: u64,
    /// Rows of the file that were left out, as the request allowed.
    pub refused: u64,
    /// What the steward should know.
    pub notes: Vec<Note>,
    /// Names the manifest, for the ledger.
    pub manifest: Digest32,
    /// The dataset was published and no longer is, because the new version has columns without a class.
    pub withdrawn: bool,
}
