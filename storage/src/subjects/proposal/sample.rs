//! A sample of subjects: those with the smallest keyed hashes of their ordinals.
//!
//! As many are sampled as bound the memory and the time of the observation: up to a number of subjects, and of their rows. Of a subject
//! with very many rows only some count for that, so that one does not displace all others.

use std::collections::BTreeMap;

use arrow::array::UInt32Array;

use crate::subjects::row_hash::SipHash;

/// Subjects that are sampled from a dataset with few columns.
const MAX_SUBJECTS_SAMPLED: usize = 1 << 16;
/// Subjects that are sampled in any case.
const MIN_SUBJECTS_SAMPLED: usize = 1 << 8;
/// Subjects times columns, each of which takes up to 64 bytes.
const MAX_SUBJECT_CELLS: usize = 1 << 19;
/// Rows that are sampled from a dataset with few columns.
const MAX_ROWS_SAMPLED: usize = 1 << 18;
/// Rows times columns. Each takes about 400 nanoseconds, and of a dataset with 20 times as many rows four times as many are observed,
/// because the sample shrinks only as its rows are read.
const MAX_ROW_CELLS: usize = 1 << 20;
/// Rows of one subject that count.
const MAX_ROWS_COUNTED: usize = 1 << 10;

/// A row of a subject in the sample, and the hash of the subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sampled {
    pub(super) row: usize,
    pub(super) subject: u64,
}

/// The limits of a sample.
#[derive(Clone, Copy, Debug)]
pub(super) struct SampleLimits {
    /// The most subjects.
    pub(super) subjects: usize,
    /// Subjects that are sampled, whatever the number of their rows.
    always: usize,
    /// The most rows.
    rows: usize,
}

impl SampleLimits {
    /// Those of a dataset with this many columns.
    pub(super) fn of(columns: usize) -> Self {
        let columns = columns.max(1);
        Self {
            subjects: (MAX_SUBJECT_CELLS / columns).clamp(MIN_SUBJECTS_SAMPLED, MAX_SUBJECTS_SAMPLED),
            always: MIN_SUBJECTS_SAMPLED,
            rows: (MAX_ROW_CELLS / columns).min(MAX_ROWS_SAMPLED),
        }
    }
}

/// The subjects in the sample.
#[derive(Debug)]
pub(super) struct Sample {
    limits: SampleLimits,
    /// The hashes of the subjects, with the rows that count.
    subjects: BTreeMap<u64, usize>,
    /// The sum of these rows.
    rows: usize,
    /// The smallest hash of a subject that is not in the sample. None with that hash or a larger one is.
    bound: Option<u64>,
}

impl Sample {
    pub(super) fn new(limits: SampleLimits) -> Self {
        Self {
            limits,
            subjects: BTreeMap::new(),
            rows: 0,
            bound: None,
        }
    }

    /// Adds rows by their owners, and returns those whose subjects are in the sample.
    pub(super) fn rows(&mut self, owners: &UInt32Array, hash: SipHash) -> Vec<Sampled> {
        let mut last = None;
        let mut rows = Vec::new();
        for (row, owner) in owners.iter().enumerate() {
            let Some(owner) = owner else { continue };
            let subject = match last {
                Some((known, subject)) if known == owner => subject,
                Some(_) | None => hash_of(owner, hash),
            };
            last = Some((owner, subject));
            if self.has(subject) {
                self.count(subject);
                rows.push(Sampled { row, subject });
            }
        }
        rows.retain(|sampled| self.has(sampled.subject));
        rows
    }

    /// Whether a subject that was observed is in the sample, as far as it is known yet.
    pub(super) fn has(&self, subject: u64) -> bool {
        self.bound.is_none_or(|bound| subject < bound)
    }

    fn count(&mut self, subject: u64) {
        let rows = self.subjects.entry(subject).or_default();
        if *rows < MAX_ROWS_COUNTED {
            *rows += 1;
            self.rows += 1;
        }
        while self.is_too_large() {
            let Some((largest, rows)) = self.subjects.pop_last() else {
                return;
            };
            self.rows = self.rows.saturating_sub(rows);
            self.bound = Some(largest);
        }
    }

    fn is_too_large(&self) -> bool {
        let has_many_rows = self.rows > self.limits.rows && self.subjects.len() > self.limits.always;
        self.subjects.len() > self.limits.subjects || has_many_rows
    }
}

fn hash_of(owner: u32, mut hash: SipHash) -> u64 {
    hash.absorb(u64::from(owner));
    hash.finish()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// The subjects with the smallest hashes: as many as the limits allow.
    fn model(owners: &[u32], limits: SampleLimits, hash: SipHash) -> BTreeSet<u64> {
        let mut rows: BTreeMap<u64, usize> = BTreeMap::new();
        for owner in owners {
            *rows.entry(hash_of(*owner, hash)).or_default() += 1;
        }
        let mut total = 0;
        let within = rows.into_iter().enumerate().take_while(|(at, (_, rows))| {
            total += rows.min(&MAX_ROWS_COUNTED);
            *at < limits.subjects && (*at < limits.always || total <= limits.rows)
        });
        within.map(|(_, (subject, _))| subject).collect()
    }

    proptest! {
        /// Whatever the order and the batches: all rows of the same subjects are observed.
        #[test]
        fn sample_is_that_of_the_smallest_hashes(
            owners in prop::collection::vec(0_u32..40, 0..400),
            subjects in 1_usize..30,
            always in 0_usize..6,
            rows in 0_usize..300,
            size in 1_usize..50,
        ) {
            let hash = SipHash::new([7; 16]);
            let limits = SampleLimits { subjects, always, rows };
            let mut sample = Sample::new(limits);
            let mut observed: BTreeMap<u64, usize> = BTreeMap::new();
            for part in owners.chunks(size) {
                for sampled in sample.rows(&UInt32Array::from(part.to_vec()), hash) {
                    *observed.entry(sampled.subject).or_default() += 1;
                }
            }
            observed.retain(|subject, _| sample.has(*subject));
            let expected = model(&owners, limits, hash);
            prop_assert_eq!(observed.keys().copied().collect::<BTreeSet<_>>(), expected);
            for (subject, count) in observed {
                let all = owners.iter().filter(|owner| hash_of(**owner, hash) == subject).count();
                prop_assert_eq!(count, all);
            }
        }
    }

    #[test]
    fn subject_with_most_rows_leaves_those_of_others() {
        let hash = SipHash::new([7; 16]);
        let limits = SampleLimits {
            always: 0,
            ..SampleLimits::of(1)
        };
        let mut sample = Sample::new(limits);
        let first = (0..2_000).min_by_key(|owner| hash_of(*owner, hash)).unwrap();
        sample.rows(&UInt32Array::from(vec![first; 2 * MAX_ROWS_SAMPLED]), hash);
        let rows = sample.rows(&UInt32Array::from_iter_values(0..2_000), hash);
        assert_eq!(rows.len(), 2_000);
    }
}
