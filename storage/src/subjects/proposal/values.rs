//! The different values of a column, and whose they are.

use std::collections::BTreeMap;

use super::{
    frequent::Frequent,
    kept::{Kept, Listed},
    sample::Sample,
};
use crate::subjects::row_hash::SipHash;

/// Values of a column that are kept.
const MAX_VALUES: usize = 1 << 12;
/// Values that are kept of each column of a dataset with the most columns.
const MIN_VALUES: usize = 1 << 8;
/// Subjects of values of columns, of which each takes 8 bytes.
const MAX_CELLS: usize = 1 << 21;
/// Subjects of a value that are kept at least: as many as are needed to see that a column has names.
const MIN_SUBJECTS: usize = 8;
/// The longest text that is listed. A label of a group is not longer, and longer texts are not codes.
const MAX_LISTED_BYTES: usize = 128;

/// The values of a column with the smallest keyed hashes.
pub(super) struct Values {
    hash: SipHash,
    kept: BTreeMap<u64, Kept>,
    most: usize,
    /// Subjects that are kept of each value.
    subjects: usize,
    are_all: bool,
    frequent: Frequent,
}

/// The values of a column, as far as they are of subjects in the sample.
pub(super) struct Counted {
    /// Those that enough subjects have, ascending.
    pub(super) common: Vec<Listed>,
    /// The most frequent of those that enough subjects have, the most frequent one first.
    pub(super) frequent: Vec<Listed>,
    /// How many there are, if all of them were kept.
    pub(super) number: Option<usize>,
    /// How many subjects a value has on average, counted up to a limit.
    pub(super) subjects_each: f64,
}

impl Values {
    pub(super) fn new(hash: SipHash, least: usize, columns: usize) -> Self {
        let subjects = least.max(MIN_SUBJECTS);
        let most = MAX_CELLS / columns.max(1).saturating_mul(subjects);
        let most = most.clamp(MIN_VALUES, MAX_VALUES);
        Self {
            hash,
            kept: BTreeMap::new(),
            most,
            subjects,
            are_all: true,
            frequent: Frequent::new(most / 4),
        }
    }

    pub(super) fn observe_whole(&mut self, value: i64, subject: u64) {
        let mut hash = self.hash;
        hash.absorb(value.cast_unsigned());
        self.observe(hash.finish(), subject, || Some(Listed::Whole(value)));
    }

    pub(super) fn observe_text(&mut self, value: &str, subject: u64) {
        let mut hash = self.hash;
        hash.absorb(value.len() as u64);
        hash.absorb_bytes(value.as_bytes());
        self.observe(hash.finish(), subject, || {
            let is_listed = value.len() <= MAX_LISTED_BYTES && !value.contains(char::is_control);
            is_listed.then(|| Listed::Text(value.to_owned()))
        });
    }

    fn observe(&mut self, hash: u64, subject: u64, value: impl Fn() -> Option<Listed>) {
        self.frequent.observe(hash, subject, self.subjects, &value);
        if let Some(kept) = self.kept.get_mut(&hash) {
            return kept.add(subject, self.subjects);
        }
        if self.kept.len() >= self.most {
            self.are_all = false;
            if self.kept.last_key_value().is_some_and(|(largest, _)| hash > *largest) {
                return;
            }
            self.kept.pop_last();
        }
        self.kept.insert(hash, Kept::new(value(), subject));
    }

    /// What was observed of the subjects in the sample.
    pub(super) fn counted(self, subjects: &Sample, least: usize) -> Counted {
        let mut common = Vec::new();
        let mut number = 0_u32;
        let mut pairs = 0_u32;
        for kept in self.kept.into_values() {
            let sampled = kept.subjects.iter().filter(|subject| subjects.has(**subject)).count();
            number += u32::from(sampled > 0);
            pairs = pairs.saturating_add(u32::try_from(sampled).unwrap_or(u32::MAX));
            common.extend(kept.value.filter(|_| sampled >= least));
        }
        common.sort_unstable();
        Counted {
            common,
            frequent: self.frequent.listed(subjects, least),
            number: self.are_all.then(|| usize::try_from(number).unwrap_or(usize::MAX)),
            subjects_each: f64::from(pairs) / f64::from(number.max(1)),
        }
    }
}
