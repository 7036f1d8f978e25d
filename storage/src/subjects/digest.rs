//! What the rows of each subject contain, as one number: whose rows have changed from one version to the next.
//!
//! The digest of a subject is the sum of the hashes of its rows modulo 2^64 - 59, the largest prime below 2^64. So it does not depend on
//! the order of the rows or on batches, rows can be added later, and digests of several datasets can be added up.
//!
//! Two different multisets of rows have the same digest with a probability of about 2^-64. The hashes are independent random numbers to
//! who does not have the key (a pseudorandom function of the row), and a supplier of data sees no digest. The difference of the two sums is
//! then a sum of random numbers, each times how much more often its row occurs on one side. Modulo a prime each such product is random
//! unless the factor is a multiple of the prime, so the sum is zero with a probability of 1 / p. Modulo 2^64 it would not be: a row that
//! occurs 2^32 times more often would be missed with a probability of 2^-32. With 2^28 subjects and 2^10 versions, one change is missed
//! with a probability of 2^-26.

use std::sync::Arc;

use arrow::{
    array::{AsArray as _, UInt32Array, UInt64Array},
    datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type},
    error::ArrowError,
    record_batch::RecordBatch,
};

use super::{
    ChangedSubjects, MAX_SUBJECTS, RowHasher, SubjectError,
    stored::{OTHER_COLUMNS, StoredBatches, read_stored},
};

/// The largest prime below 2^64.
const PRIME: u64 = u64::MAX - 58;

/// The column of stored digests, one row for each subject in the order of the ordinals.
#[must_use]
pub fn digest_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("digest", DataType::UInt64, false)]))
}

/// The digests of the subjects of a collection: 8 bytes each. A subject without rows has zero.
#[derive(Clone, Debug, Default)]
pub struct SubjectDigests {
    sums: Vec<u64>,
}

impl SubjectDigests {
    /// No rows yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the digests that a version stores, with the number of subjects that its manifest states.
    ///
    /// # Errors
    /// [`SubjectError::Read`] of the batches; [`SubjectError::Damaged`] for a number that is not a digest, other columns, and more or fewer
    /// rows; [`SubjectError::TooManySubjects`] for more than [`MAX_SUBJECTS`].
    pub fn open(
        subjects: u32,
        batches: impl IntoIterator<Item = Result<RecordBatch, ArrowError>>,
    ) -> Result<Self, SubjectError> {
        if subjects > MAX_SUBJECTS {
            return Err(SubjectError::TooManySubjects { limit: MAX_SUBJECTS });
        }
        let mut sums = Vec::new();
        read_stored(&digest_schema(), subjects, batches, |columns| {
            let column = columns
                .first()
                .and_then(|column| column.as_primitive_opt::<UInt64Type>());
            let digests = column.ok_or(OTHER_COLUMNS)?.values();
            if digests.iter().any(|digest| *digest >= PRIME) {
                return Err(SubjectError::Damaged {
                    what: "a number is not a digest",
                });
            }
            sums.extend_from_slice(digests);
            Ok(())
        })?;
        Ok(Self { sums })
    }

    /// Adds rows, with the owners that [`OwnerResolver`](super::OwnerResolver) found. Rows without an owner are in no digest.
    ///
    /// # Errors
    /// [`SubjectError::Lengths`] and [`SubjectError::Type`]; [`SubjectError::TooManySubjects`] for an ordinal that is not one.
    pub fn add(&mut self, rows: &RowHasher, batch: &RecordBatch, owners: &UInt32Array) -> Result<(), SubjectError> {
        if batch.num_rows() != owners.len() {
            return Err(SubjectError::Lengths {
                rows: batch.num_rows(),
                others: owners.len(),
            });
        }
        let highest = owners.iter().flatten().max();
        if let Some(highest) = highest {
            self.grow(highest)?;
        }
        for (hash, owner) in rows.hashes(batch)?.into_iter().zip(owners) {
            let sum = owner.and_then(|owner| self.sums.get_mut(index(owner)));
            if let Some(sum) = sum {
                *sum = added(*sum, hash);
            }
        }
        Ok(())
    }

    fn grow(&mut self, highest: u32) -> Result<(), SubjectError> {
        if highest >= MAX_SUBJECTS {
            return Err(SubjectError::TooManySubjects { limit: MAX_SUBJECTS });
        }
        let len = self.sums.len().max(index(highest) + 1);
        self.sums.resize(len, 0);
        Ok(())
    }

    /// Adds the digests of other rows of the same subjects.
    pub fn merge(&mut self, other: &Self) {
        let len = self.sums.len().max(other.sums.len());
        self.sums.resize(len, 0);
        for (sum, other) in self.sums.iter_mut().zip(&other.sums) {
            *sum = added(*sum, *other);
        }
    }

    /// The subjects whose rows are not those of an earlier version, with those that are new or have no rows any more.
    #[must_use]
    pub fn changed(&self, before: &Self) -> ChangedSubjects {
        let len = self.sums.len().max(before.sums.len());
        let digest = |sums: &[u64], at: usize| sums.get(at).copied().unwrap_or_default();
        let changed = (0..len).filter(|at| digest(&self.sums, *at) != digest(&before.sums, *at));
        ChangedSubjects::of_sorted(changed.filter_map(|at| u32::try_from(at).ok()).collect())
    }

    /// The digests as they are stored, by the column of [`digest_schema`], for a collection with `subjects` ordinals.
    ///
    /// # Errors
    /// [`SubjectError::Lengths`] if rows were added of more.
    pub fn finish(mut self, subjects: u32) -> Result<StoredBatches, SubjectError> {
        let len = index(subjects);
        if self.sums.len() > len {
            return Err(SubjectError::Lengths {
                rows: self.sums.len(),
                others: len,
            });
        }
        self.sums.resize(len, 0);
        Ok(StoredBatches::new(digest_schema(), len, move |rows| {
            let digests = self.sums.get(rows).unwrap_or_default().iter().copied();
            Ok(vec![Arc::new(UInt64Array::from_iter_values(digests))])
        }))
    }
}

/// The sum modulo [`PRIME`], of a number below it and any hash.
fn added(sum: u64, hash: u64) -> u64 {
    let (total, overflows) = sum.overflowing_add(reduced(hash));
    if overflows {
        // 2^64 is 59 more than the prime.
        total.wrapping_add(u64::MAX - PRIME + 1)
    } else {
        reduced(total)
    }
}

fn reduced(number: u64) -> u64 {
    number.checked_sub(PRIME).unwrap_or(number)
}

fn index(ordinal: u32) -> usize {
    usize::try_from(ordinal).unwrap_or(usize::MAX)
}
