//! A dataset whose rows are about to be written: its columns, and where the rows come from.

use arrow::record_batch::RecordBatch;
use concordat_protocol::{
    collection::DatasetKind,
    ids::{ActorId, ColumnName, DatasetName, Digest32},
    schema::{ColumnClass, ColumnKind, VersionNumber},
    text::Text,
    time::Timestamp,
};
use tokio::runtime::Handle;

use super::{
    super::{
        CollectionRecord, DatasetManifest, LatestImport, OpenCollection, Provenance,
        version::collection::subject_column,
    },
    ImportError, Progress,
    shape::Shape,
    stored_rows::for_each_stored,
};
use crate::ingest::{
    Inspection, Note, Refused, Reject, RejectSink, Source, SubjectRule, TableOptions, batches, infer_schema_into,
};

/// A dataset whose rows are about to be written.
pub(super) struct Prepared<'a> {
    pub(super) name: &'a DatasetName,
    /// As it is declared.
    pub(super) kind: DatasetKind,
    pub(super) shape: Shape,
    pub(super) rows: Rows<'a>,
    pub(super) proposing: Proposing,
    /// The indices of the columns that are declared to have another value in each row.
    pub(super) keys: Vec<usize>,
    /// That the key of its subjects is of another kind than in other datasets.
    pub(super) about_subject: Option<Note>,
}

/// For which columns of a dataset something is proposed.
#[derive(Clone, Debug, Default)]
pub(super) struct Proposing {
    /// Their indices.
    pub(super) columns: Vec<usize>,
    /// The indices of those that are declared to have codes of an open list.
    pub(super) coded: Vec<usize>,
    /// Fewest subjects on each side of what is proposed.
    pub(super) least: u32,
}

impl Proposing {
    /// For the columns of a dataset alone: all but the one with the subject, and but those that identify people.
    pub(super) fn alone(shape: &Shape, kind: &DatasetKind, old: Option<&CollectionRecord>, least: u32) -> Self {
        let subject = subject_column(kind);
        let classes = old.and_then(CollectionRecord::alone).map(|old| old.classification);
        let is_open = |name: &ColumnName| {
            let class = classes.as_ref().and_then(|classes| classes.class(name));
            !name.is_reserved() && subject.as_ref() != Some(name) && class != Some(ColumnClass::DirectIdentifier)
        };
        let columns = shape.columns().iter().zip(0..);
        let open = columns.filter(|(column, _)| is_open(&column.name));
        Self {
            columns: open.map(|(_, index)| index).collect(),
            coded: Vec::new(),
            least,
        }
    }
}

/// Where the rows of a dataset come from.
pub(super) enum Rows<'a> {
    File(InspectedFile<'a>),
    Stored(StoredRows<'a>),
}

/// A file that was read once.
pub(super) struct InspectedFile<'a> {
    pub(super) source: &'a Source,
    pub(super) inspection: Box<Inspection>,
    /// Kept for the next import.
    pub(super) kept_options: &'a str,
}

/// What the dataset has already.
pub(super) struct StoredRows<'a> {
    pub(super) version: &'a OpenCollection,
    pub(super) dataset: &'a DatasetManifest,
    /// What was kept of the latest import.
    pub(super) latest: Option<LatestImport>,
}

impl<'a> InspectedFile<'a> {
    /// Reads the file once.
    pub(super) fn read(
        source: &'a Source,
        options: &TableOptions,
        kept_options: &'a str,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, ImportError> {
        progress(Progress::Inspecting);
        let inspection = infer_schema_into(source, options, &mut Reporter(progress))?;
        Ok(Self {
            source,
            inspection: Box::new(inspection),
            kept_options,
        })
    }

    /// If rows were refused and must not be: the second pass refuses to start, with the reason, before anything is written.
    pub(super) fn check_refused(&self, refused: Refused) -> Result<(), ImportError> {
        if refused == Refused::Stop && self.inspection.rejects().count() > 0 {
            batches(self.source, &self.inspection)?;
        }
        Ok(())
    }

    pub(super) fn blake3(&self) -> Digest32 {
        Digest32::from_bytes(self.inspection.fingerprint().blake3)
    }

    fn provenance(&self, now: Timestamp, by: Option<&ActorId>) -> Provenance {
        let file = self.source.name().file_name().unwrap_or_default();
        Provenance {
            file: Text::sanitized(&file.to_string_lossy()),
            len: self.inspection.fingerprint().length,
            blake3: self.blake3(),
            imported_at: now,
            by: by.cloned(),
        }
    }
}

impl Rows<'_> {
    /// How many.
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::File(file) => file.inspection.rows(),
            Self::Stored(stored) => stored.dataset.rows,
        }
    }

    /// How many were skipped.
    pub(super) fn refused(&self) -> u64 {
        match self {
            Self::File(file) => file.inspection.rejects().count(),
            Self::Stored(_) => 0,
        }
    }

    /// Rows that were stored keep the origin that they have.
    pub(super) fn provenance(&self, now: Timestamp, by: Option<&ActorId>) -> Provenance {
        match self {
            Self::File(file) => file.provenance(now, by),
            Self::Stored(stored) => stored.dataset.provenance.clone(),
        }
    }

    fn notes(&self) -> &[Note] {
        match self {
            Self::File(file) => file.inspection.notes(),
            Self::Stored(_) => &[],
        }
    }
}

impl Prepared<'_> {
    /// Passes on the rows with the columns of the version.
    pub(super) fn for_each(
        &self,
        runtime: &Handle,
        each: &mut dyn FnMut(RecordBatch) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        match &self.rows {
            Rows::File(file) => {
                for batch in batches(file.source, &file.inspection)? {
                    each(self.shape.cast(&batch?)?)?;
                }
                Ok(())
            }
            Rows::Stored(stored) => for_each_stored(runtime, stored.version, stored.dataset, &mut |batch| {
                each(self.shape.conform(batch)?)
            }),
        }
    }

    /// What the steward should know about the file, and about the columns to which its rows are added.
    pub(super) fn notes(&self) -> impl Iterator<Item = &Note> {
        let about_file = self.rows.notes().iter().chain(self.shape.notes());
        self.about_subject.iter().chain(about_file)
    }

    /// What is kept of the import that creates the version, with what the steward should know.
    pub(super) fn latest<'n>(
        &self,
        version: VersionNumber,
        notes: impl Iterator<Item = &'n Note>,
    ) -> Option<LatestImport> {
        match &self.rows {
            Rows::File(file) => Some(LatestImport {
                version,
                options: file.kept_options.to_owned(),
                notes: Note::sentences(notes),
            }),
            Rows::Stored(stored) => stored.latest.clone().map(|latest| LatestImport { version, ..latest }),
        }
    }
}

/// The rule by which a file of a dataset alone is read.
pub(super) fn subject_rule(kind: &DatasetKind) -> SubjectRule {
    match kind {
        DatasetKind::Keyed { subject, .. } => SubjectRule::Column(subject.to_string()),
        DatasetKind::EachRow | DatasetKind::Owned { .. } | DatasetKind::Reference | DatasetKind::Unowned => {
            SubjectRule::EachRow
        }
    }
}

/// The kinds of the columns to which rows are added; a column that has none yet takes that of the rows.
pub(super) fn existing_kinds(stays: Option<&DatasetManifest>) -> Vec<(String, ColumnKind)> {
    let columns = stays.into_iter().flat_map(DatasetManifest::own_columns);
    let typed = columns.filter(|column| !column.is_untyped());
    typed.map(|column| (column.name.to_string(), column.kind)).collect()
}

/// Reports refused rows as progress events.
struct Reporter<'a>(&'a mut dyn FnMut(Progress));

impl RejectSink for Reporter<'_> {
    fn reject(&mut self, reject: Reject) -> std::io::Result<()> {
        (self.0)(Progress::Refused(reject));
        Ok(())
    }
}
