//! The subjects of the version that an import creates.
//!
//! Ordinals continue those of the version before if the rows lead to subjects as they did there. Otherwise they begin again, and all subjects
//! are noted as changed: an ordinal is another subject then.

use std::sync::Arc;

use arrow::{array::ArrayRef, record_batch::RecordBatch};
use concordat_keys::SubjectsKey;
use concordat_protocol::{collection::DatasetKind, ids::DatasetName};
use tokio::runtime::Handle;

use super::{
    super::{
        ChangedTable, DatasetManifest, OpenCollection, SubjectTables, subject_tables::stored,
        version::collection::with_ordinals,
    },
    ImportError,
    objects::ImportObjects,
};
use crate::subjects::{Link, OwnerCounts, OwnerResolver, Registry, RowHasher, SubjectDigests, SubjectError};

/// The subjects of a version that is being written.
pub(super) struct VersionSubjects {
    key: Arc<SubjectsKey>,
    /// Those of all keys; unused if each row is a subject.
    registry: Registry,
    digests: SubjectDigests,
    /// The ordinal of the next row that is a subject.
    next_row: u32,
    before: Before,
}

/// What there was before.
enum Before {
    /// No subjects with ordinals.
    None,
    /// Other subjects had the ordinals.
    Others,
    /// The same subjects, and what their rows contained.
    Same { count: u32, digests: SubjectDigests },
}

/// How the ordinals of an import relate to those of the version before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbering {
    /// The rows that stay have none, so none are given.
    Absent,
    /// There was no version.
    First,
    /// They begin again.
    Restarted,
    /// The version before has the same subjects. Whether its rows stay too.
    Continued { rows_stay: bool },
}

/// The owners of the rows of one dataset, while they are written.
pub(super) struct DatasetOwners<'a> {
    resolver: OwnerResolver<'a>,
    /// `None` if each row is a subject: its digest is never compared.
    digests: Option<(RowHasher, &'a mut SubjectDigests)>,
    counts: OwnerCounts,
}

impl Numbering {
    /// Of a dataset alone. `rows_stay` if rows are added to it.
    pub(super) fn of(kind: &DatasetKind, before: &DatasetManifest, rows_stay: bool) -> Self {
        // Rows that are subjects themselves are not recognized in another file.
        let recognized = rows_stay || matches!(kind, DatasetKind::Keyed { .. });
        if before.ordinals && same_rule(&before.kind, kind) && recognized {
            Self::Continued { rows_stay }
        } else if rows_stay && !before.objects.is_empty() {
            Self::Absent
        } else {
            Self::Restarted
        }
    }
}

/// Whether rows lead to subjects in the same way.
fn same_rule(one: &DatasetKind, other: &DatasetKind) -> bool {
    match (one, other) {
        (DatasetKind::Keyed { subject: one, .. }, DatasetKind::Keyed { subject: other, .. }) => one == other,
        (one, other) => one == other,
    }
}

impl VersionSubjects {
    /// Reads what the version before stores about the subjects, as far as they are the same.
    pub(super) fn begin(
        runtime: &Handle,
        key: Arc<SubjectsKey>,
        numbering: Numbering,
        before: Option<&OpenCollection>,
    ) -> Result<Self, ImportError> {
        let mut subjects = Self {
            key,
            registry: Registry::new(),
            digests: SubjectDigests::new(),
            next_row: 0,
            before: match numbering {
                Numbering::Restarted => Before::Others,
                Numbering::Absent | Numbering::First | Numbering::Continued { .. } => Before::None,
            },
        };
        if let (Numbering::Continued { rows_stay }, Some(before)) = (numbering, before) {
            subjects.proceed(runtime, before, rows_stay)?;
        }
        Ok(subjects)
    }

    fn proceed(&mut self, runtime: &Handle, before: &OpenCollection, rows_stay: bool) -> Result<(), ImportError> {
        let tables = before.manifest().subjects();
        let count = tables.count;
        self.next_row = count;
        if let Some(registry) = &tables.registry {
            self.registry = Registry::open(count, stored(runtime, before, registry)?)?;
        }
        let digests = match &tables.digests {
            Some(digests) => SubjectDigests::open(count, stored(runtime, before, digests)?)?,
            None => SubjectDigests::new(),
        };
        if rows_stay {
            self.digests = digests.clone();
        }
        self.before = Before::Same { count, digests };
        Ok(())
    }

    /// Numbers the rows of a dataset of which each is a subject.
    pub(super) fn of_rows(&self) -> DatasetOwners<'_> {
        DatasetOwners {
            resolver: OwnerResolver::each_row(Arc::clone(&self.key), self.next_row),
            digests: None,
            counts: OwnerCounts::default(),
        }
    }

    /// Finds the owners of the rows of a dataset with the key of the subject in a column. Subjects that are unknown get ordinals if it
    /// `registers` them.
    pub(super) fn of_keyed(&mut self, name: &DatasetName, column: usize, registers: bool) -> DatasetOwners<'_> {
        let resolver = if registers {
            OwnerResolver::registering(Arc::clone(&self.key), column, &mut self.registry)
        } else {
            OwnerResolver::registered(Arc::clone(&self.key), column, &self.registry)
        };
        DatasetOwners {
            resolver,
            digests: Some((RowHasher::new(Arc::clone(&self.key), name), &mut self.digests)),
            counts: OwnerCounts::default(),
        }
    }

    /// Finds the owners of the rows of a dataset through keys of others.
    pub(super) fn of_linked<'a>(&'a mut self, name: &DatasetName, links: Vec<Link<'a>>) -> DatasetOwners<'a> {
        DatasetOwners {
            resolver: OwnerResolver::linked(Arc::clone(&self.key), links),
            digests: Some((RowHasher::new(Arc::clone(&self.key), name), &mut self.digests)),
            counts: OwnerCounts::default(),
        }
    }

    /// How many subjects have been added.
    pub(super) fn added(&self) -> u32 {
        match self.before {
            Before::None | Before::Others => self.registry.len(),
            Before::Same { count, .. } => self.registry.len().saturating_sub(count),
        }
    }

    /// The subjects of a version of which each row is one.
    pub(super) fn finish_rows(self, rows: u64) -> Result<SubjectTables, ImportError> {
        let added = u32::try_from(rows).ok();
        let count = added.and_then(|added| self.next_row.checked_add(added));
        Ok(SubjectTables {
            count: count.ok_or(SubjectError::TooManySubjects {
                limit: crate::subjects::MAX_SUBJECTS,
            })?,
            changed: match self.before {
                Before::Others => ChangedTable::All,
                Before::None | Before::Same { .. } => ChangedTable::Added,
            },
            ..SubjectTables::none()
        })
    }

    /// Writes who the subjects are, and whose rows have changed.
    pub(super) fn finish_keys(self, objects: &mut ImportObjects<'_>) -> Result<SubjectTables, ImportError> {
        let count = self.registry.len();
        let changed = match &self.before {
            Before::None => ChangedTable::Added,
            Before::Others => ChangedTable::All,
            Before::Same { count: known, digests } => {
                let changed = self.digests.changed(digests);
                if changed.ordinals().iter().copied().eq(*known..count) {
                    ChangedTable::Added
                } else {
                    let listed = objects.write_table(changed.finish())?;
                    listed.map_or(ChangedTable::Added, ChangedTable::Listed)
                }
            }
        };
        Ok(SubjectTables {
            count,
            registry: objects.write_table(self.registry.finish())?,
            digests: objects.write_table(self.digests.finish(count)?)?,
            changed,
        })
    }
}

impl DatasetOwners<'_> {
    /// The rows with the ordinals of their owners as the last column.
    pub(super) fn add(&mut self, rows: &RecordBatch) -> Result<RecordBatch, ImportError> {
        let owners = self.resolver.resolve(rows)?;
        self.counts += owners.counts;
        if let Some((hasher, digests)) = &mut self.digests {
            digests.add(hasher, rows, &owners.ordinals)?;
        }
        let ordinals: ArrayRef = Arc::new(owners.ordinals);
        let columns = rows.columns().iter().map(Arc::clone).chain([ordinals]);
        let numbered = RecordBatch::try_new(with_ordinals(&rows.schema()), columns.collect());
        Ok(numbered.map_err(SubjectError::Arrow)?)
    }

    /// How many rows have an owner, and why the others have none.
    pub(super) fn counts(&self) -> OwnerCounts {
        self.counts
    }
}

/// Whether a subject has at most one row, as far as is known: rows that stay are not read again.
pub(super) fn is_unique(counts: OwnerCounts, added: u32, stay: Option<&DatasetManifest>) -> bool {
    let stays_unique = stay.is_none_or(|before| {
        let was_unique = matches!(before.kind, DatasetKind::Keyed { unique: true, .. });
        before.objects.is_empty() || was_unique && counts.owned == u64::from(added)
    });
    counts.repeated == 0 && stays_unique
}
