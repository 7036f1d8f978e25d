//! The subjects of a collection and their ordinals.
//!
//! In memory a subject takes 16 bytes for its key and 6 to 11 bytes to find it; one whose key has another loose form takes 18 to 23 bytes
//! more. At rest it is a row with its key; the ordinal is the number of the row.

use std::sync::Arc;

use arrow::{
    array::{AsArray as _, FixedSizeBinaryArray, UInt64Array},
    datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type},
    error::ArrowError,
    record_batch::RecordBatch,
};

use super::{
    SubjectError, SubjectKey,
    slots::Slots,
    stored::{OTHER_COLUMNS, StoredBatches, read_stored},
};

/// The most subjects of a collection: more than any institution has. Their registry takes 7 GB.
pub const MAX_SUBJECTS: u32 = 1 << 28;

/// The number of a subject within its collection, from 0. It is the same in every version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectOrdinal(u32);

impl SubjectOrdinal {
    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

/// The columns of a stored registry, one row for each subject in the order of the ordinals: its key, and the first 8 bytes of the hash of
/// the loose form of its key, if that is another form and the subject is the first with it.
#[must_use]
pub fn registry_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("key", DataType::FixedSizeBinary(16), false),
        Field::new("loose", DataType::UInt64, true),
    ]))
}

/// The subjects of a collection.
#[derive(Debug)]
pub struct Registry {
    keys: Vec<u128>,
    by_key: Slots,
    /// Loose forms that are not the form of their subject, with its ordinal; in the order of the ordinals.
    loose: Vec<u64>,
    loose_of: Vec<u32>,
    by_loose: Slots,
    limit: u32,
}

/// What came of adding a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inserted {
    /// Its ordinal.
    pub ordinal: SubjectOrdinal,
    /// Whether it was not there before.
    pub is_new: bool,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// The registry of a collection without subjects.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(MAX_SUBJECTS)
    }

    pub(super) fn with_limit(limit: u32) -> Self {
        Self {
            keys: Vec::new(),
            by_key: Slots::default(),
            loose: Vec::new(),
            loose_of: Vec::new(),
            by_loose: Slots::default(),
            limit: limit.min(MAX_SUBJECTS),
        }
    }

    /// Reads the registry that a version stores, with the number of subjects that its manifest states.
    ///
    /// # Errors
    /// [`SubjectError::Read`] of the batches; [`SubjectError::Damaged`] if a subject occurs twice, a loose form does, the columns are
    /// others, or there are more or fewer rows; [`SubjectError::TooManySubjects`] for more than [`MAX_SUBJECTS`].
    pub fn open(
        subjects: u32,
        batches: impl IntoIterator<Item = Result<RecordBatch, ArrowError>>,
    ) -> Result<Self, SubjectError> {
        let mut registry = Self::new();
        if subjects > registry.limit {
            return Err(registry.too_many());
        }
        read_stored(&registry_schema(), subjects, batches, |columns| {
            let keys = columns.first().and_then(|keys| keys.as_fixed_size_binary_opt());
            let loose = columns.get(1).and_then(|loose| loose.as_primitive_opt::<UInt64Type>());
            match keys.zip(loose) {
                Some((keys, loose)) => registry.read(keys, loose),
                None => Err(OTHER_COLUMNS),
            }
        })?;
        Ok(registry)
    }

    fn read(&mut self, keys: &FixedSizeBinaryArray, loose: &UInt64Array) -> Result<(), SubjectError> {
        for (row, loose) in loose.iter().enumerate() {
            let bytes = <[u8; 16]>::try_from(keys.value(row)).unwrap_or_default();
            let inserted = self.insert(SubjectKey(u128::from_be_bytes(bytes)))?;
            if !inserted.is_new {
                return Err(SubjectError::Damaged {
                    what: "a subject occurs twice",
                });
            }
            if let Some(loose) = loose {
                if self.has_loose(loose) {
                    return Err(SubjectError::Damaged {
                        what: "a loose form occurs twice",
                    });
                }
                self.add_loose(loose, inserted.ordinal);
            }
        }
        Ok(())
    }

    /// How many ordinals have been given.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.keys.len()).unwrap_or(u32::MAX)
    }

    /// Whether there are no subjects.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The ordinal of a subject.
    #[must_use]
    pub fn ordinal(&self, key: SubjectKey) -> Option<SubjectOrdinal> {
        let is_same = |index: u32| known(&self.keys, index) == Some(key.0);
        self.by_key.find(hash_of(key.0), is_same).map(SubjectOrdinal)
    }

    /// The ordinal of a subject, which is given now if it has none.
    ///
    /// # Errors
    /// [`SubjectError::TooManySubjects`] if no ordinal is left.
    pub fn insert(&mut self, key: SubjectKey) -> Result<Inserted, SubjectError> {
        if let Some(ordinal) = self.ordinal(key) {
            return Ok(Inserted { ordinal, is_new: false });
        }
        let ordinal = self.len();
        if ordinal >= self.limit {
            return Err(self.too_many());
        }
        self.keys.push(key.0);
        let keys = &self.keys;
        self.by_key
            .insert(ordinal, |index| hash_of(known(keys, index).unwrap_or_default()));
        Ok(Inserted {
            ordinal: SubjectOrdinal(ordinal),
            is_new: true,
        })
    }

    /// Whether a subject is registered whose key has the same loose form as this one. `loose` is that of the key, if it is another form.
    pub(super) fn is_respelled(&self, key: SubjectKey, loose: Option<SubjectKey>) -> bool {
        match loose {
            None => self.has_loose(hash_of(key.0)),
            Some(loose) => self.ordinal(loose).is_some() || self.has_loose(hash_of(loose.0)),
        }
    }

    /// Notes that the key of the subject that was added last has this loose form.
    pub(super) fn note_loose(&mut self, loose: SubjectKey, ordinal: SubjectOrdinal) {
        if !self.has_loose(hash_of(loose.0)) {
            self.add_loose(hash_of(loose.0), ordinal);
        }
    }

    fn has_loose(&self, loose: u64) -> bool {
        let is_same = |index: u32| known(&self.loose, index) == Some(loose);
        self.by_loose.find(loose, is_same).is_some()
    }

    fn add_loose(&mut self, loose: u64, ordinal: SubjectOrdinal) {
        let index = u32::try_from(self.loose.len()).unwrap_or(u32::MAX);
        self.loose.push(loose);
        self.loose_of.push(ordinal.0);
        let all = &self.loose;
        self.by_loose
            .insert(index, |index| known(all, index).unwrap_or_default());
    }

    /// The registry as it is stored, by the columns of [`registry_schema`].
    #[must_use]
    pub fn finish(self) -> StoredBatches {
        let rows = self.keys.len();
        StoredBatches::new(registry_schema(), rows, move |rows| {
            let keys = self.keys.get(rows.clone()).unwrap_or_default();
            let keys = FixedSizeBinaryArray::try_from_iter(keys.iter().map(|key| key.to_be_bytes()))?;
            let mut at = self.loose_of.partition_point(|ordinal| index(*ordinal) < rows.start);
            let loose: UInt64Array = rows
                .map(|row| {
                    let is_here = self.loose_of.get(at).is_some_and(|ordinal| index(*ordinal) == row);
                    let loose = self.loose.get(at).copied().filter(|_| is_here);
                    at += usize::from(is_here);
                    loose
                })
                .collect();
            Ok(vec![Arc::new(keys), Arc::new(loose)])
        })
    }

    fn too_many(&self) -> SubjectError {
        SubjectError::TooManySubjects { limit: self.limit }
    }
}

/// The upper half of a key, which is as random as the whole.
fn hash_of(key: u128) -> u64 {
    u64::try_from(key >> 64).unwrap_or_default()
}

fn known<T: Copy>(all: &[T], at: u32) -> Option<T> {
    all.get(index(at)).copied()
}

fn index(ordinal: u32) -> usize {
    usize::try_from(ordinal).unwrap_or(usize::MAX)
}
