//! The values of a column that most subjects have.
//!
//! Of a column with very many values only some can be kept. These are the ones with the smallest keyed hash of a subject that has them: of
//! a value that many subjects have, one subject is among those with the smallest hashes. So what is kept is a function of the rows, apart
//! from a value that was left out and came back: it may be counted with fewer subjects than it has.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    kept::{Kept, Listed},
    sample::Sample,
};

/// The most values in the list. With missing and all other ones a group by them is well below the cells that a query may have.
pub(super) const MAX_FREQUENT: usize = 200;

/// The values of a column with the smallest keyed hashes of subjects that have them.
pub(super) struct Frequent {
    most: usize,
    /// By the hash of the value.
    kept: BTreeMap<u64, Kept>,
    /// The smallest hash of a subject of each, with the hash of the value.
    order: BTreeSet<(u64, u64)>,
}

impl Frequent {
    /// Keeps this many values, some of which are in the list.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            kept: BTreeMap::new(),
            order: BTreeSet::new(),
        }
    }

    /// Observes a value with this hash of a subject, with up to `subjects` subjects of each value.
    pub(super) fn observe(&mut self, hash: u64, subject: u64, subjects: usize, value: impl FnOnce() -> Option<Listed>) {
        if let Some(kept) = self.kept.get_mut(&hash) {
            let least = kept.least();
            kept.add(subject, subjects);
            if subject < least {
                self.order.remove(&(least, hash));
                self.order.insert((subject, hash));
            }
            return;
        }
        if self.kept.len() >= self.most {
            if self.order.last().is_some_and(|last| (subject, hash) > *last) {
                return;
            }
            if let Some((_, last)) = self.order.pop_last() {
                self.kept.remove(&last);
            }
        }
        self.kept.insert(hash, Kept::new(value(), subject));
        self.order.insert((subject, hash));
    }

    /// The values that `least` subjects in the sample have: at most [`MAX_FREQUENT`] of them, those with the most subjects first, as far as
    /// their hashes show it. The hashes are uniform, so the `least` smallest ones of more subjects are closer to zero.
    pub(super) fn listed(self, sample: &Sample, least: usize) -> Vec<Listed> {
        let found = self.kept.into_values().filter_map(|kept| {
            let nth = *kept.subjects.get(least.checked_sub(1)?)?;
            // Those before it have smaller hashes, so they are in the sample too.
            sample.has(nth).then_some((nth, kept.value?))
        });
        let mut found: Vec<(u64, Listed)> = found.collect();
        found.sort_unstable();
        found.truncate(MAX_FREQUENT);
        found.into_iter().map(|(_, value)| value).collect()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::UInt32Array;
    use proptest::prelude::*;

    use super::*;
    use crate::subjects::{proposal::sample::SampleLimits, row_hash::SipHash};

    const LEAST: usize = 3;

    fn hashed(value: u64) -> u64 {
        let mut hash = SipHash::new([9; 16]);
        hash.absorb(value);
        hash.finish()
    }

    /// What is listed of rows with the owner and the value of each, ascending.
    fn listed(rows: &[(u32, i64)]) -> Vec<i64> {
        let mut found = ranked(rows);
        found.sort_unstable();
        found
    }

    fn ranked(rows: &[(u32, i64)]) -> Vec<i64> {
        let hash = SipHash::new([7; 16]);
        let mut sample = Sample::new(SampleLimits::of(1));
        let mut frequent = Frequent::new(1_024);
        let owners = UInt32Array::from_iter_values(rows.iter().map(|row| row.0));
        for sampled in sample.rows(&owners, hash) {
            let value = rows[sampled.row].1;
            frequent.observe(hashed(value.cast_unsigned()), sampled.subject, LEAST, || {
                Some(Listed::Whole(value))
            });
        }
        let listed = frequent.listed(&sample, LEAST).into_iter();
        listed
            .map(|value| match value {
                Listed::Whole(value) => value,
                Listed::Text(text) => panic!("{text}"),
            })
            .collect()
    }

    proptest! {
        /// As long as all values are kept: those of enough different subjects, however many rows there are.
        #[test]
        fn frequent_values_are_those_of_enough_subjects(rows in prop::collection::vec((0_u32..30, 0_i64..12), 0..300)) {
            let mut subjects: BTreeMap<i64, BTreeSet<u32>> = BTreeMap::new();
            for (owner, value) in &rows {
                subjects.entry(*value).or_default().insert(*owner);
            }
            subjects.retain(|_, owners| owners.len() >= LEAST);
            prop_assert_eq!(listed(&rows), subjects.into_keys().collect::<Vec<_>>());
        }
    }

    /// A hundred codes of a tenth of the subjects each, among twenty thousand of one subject each.
    #[test]
    fn frequent_codes_are_found_among_very_many() {
        let mut rows: Vec<(u32, i64)> = (0..20_000_u32)
            .map(|subject| (subject, 1_000 + i64::from(subject)))
            .collect();
        for code in 0..100_u32 {
            rows.extend((0..2_000).map(|at| (at * 10 + code % 10, i64::from(code))));
        }
        assert_eq!(listed(&rows), (0..100).collect::<Vec<i64>>());
        rows.reverse();
        assert_eq!(listed(&rows), (0..100).collect::<Vec<i64>>());
    }

    /// More codes than are listed: those of twenty times as many subjects are.
    #[test]
    fn frequent_codes_are_listed_before_rare_ones() {
        let mut rows = Vec::new();
        for code in 0..400_u32 {
            let subjects = if code < 150 { 400 } else { 20 };
            rows.extend((0..subjects).map(|at| (code * 7 + at, i64::from(code))));
        }
        let found = ranked(&rows);
        assert_eq!(found.len(), MAX_FREQUENT);
        let (first, _) = found.split_at(150);
        assert!((0..150).all(|code| first.contains(&code)), "{found:?}");
    }
}
