//! What each subject contributes to the sums of each cell, for a slice of the subjects at a time.
//!
//! A slice has as many subjects as fit in memory: if there are more pairs of a cell and a subject than that, it loses its upper half, and the
//! rows are read again for what is left. Sums do not depend on the slices, because they are exact ([`fixed`](super::fixed)).

use std::collections::HashMap;

/// The sums of the subjects of a slice.
#[derive(Debug)]
pub(super) struct Pairs {
    from: u32,
    /// The first subject after the slice.
    to: u32,
    /// Most pairs; at least as many as there are cells.
    most: usize,
    /// How many sums each pair has.
    width: usize,
    /// The position of the sums of each cell and subject.
    index: HashMap<(usize, u32), usize>,
    sums: Vec<i128>,
}

impl Pairs {
    /// The slice from this subject up to all that there are.
    pub(super) fn new(from: u32, subjects: u32, most: usize, width: usize) -> Self {
        Self {
            from,
            to: subjects,
            most,
            width,
            index: HashMap::new(),
            sums: Vec::new(),
        }
    }

    /// The first subject after the slice.
    pub(super) const fn to(&self) -> u32 {
        self.to
    }

    /// Adds to the sums of a subject in a cell, from the one at `first` on. Subjects outside of the slice are left out.
    pub(super) fn add(&mut self, (cell, owner): (usize, u32), first: usize, contributions: &[i128]) {
        if contributions.is_empty() || !(self.from..self.to).contains(&owner) {
            return;
        }
        let next = self.index.len();
        let at = *self.index.entry((cell, owner)).or_insert(next);
        if at == next {
            let length = self.sums.len().saturating_add(self.width);
            self.sums.resize(length, 0);
        }
        let from = at.saturating_mul(self.width).saturating_add(first);
        let sums = self.sums.get_mut(from..from.saturating_add(contributions.len()));
        for (sum, contribution) in sums.into_iter().flatten().zip(contributions) {
            *sum = sum.saturating_add(*contribution);
        }
        while self.index.len() > self.most && self.to - self.from > 1 {
            self.halve();
        }
    }

    /// Leaves the upper half of the slice to a later pass.
    fn halve(&mut self) {
        self.to = self.from + (self.to - self.from) / 2;
        let index = std::mem::take(&mut self.index);
        let sums = std::mem::take(&mut self.sums);
        for ((cell, owner), at) in index.into_iter().filter(|((_, owner), _)| *owner < self.to) {
            let from = at.saturating_mul(self.width);
            let known = sums.get(from..from.saturating_add(self.width)).unwrap_or_default();
            let next = self.index.len();
            self.index.insert((cell, owner), next);
            self.sums.extend_from_slice(known);
        }
    }

    /// The cells of all pairs, each with the sums.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &[i128])> {
        self.index.iter().map(|((cell, _), at)| {
            let from = at.saturating_mul(self.width);
            let sums = self.sums.get(from..from.saturating_add(self.width));
            (*cell, sums.unwrap_or_default())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn pairs_of_all_slices_are_those_of_one(
            rows in prop::collection::vec((0_usize..4, 0_u32..30, 0_usize..2, -5_i128..6), 0..200),
            most in 4_usize..40,
        ) {
            let mut expected: BTreeMap<(usize, u32), [i128; 2]> = BTreeMap::new();
            for (cell, owner, sum, number) in &rows {
                expected.entry((*cell, *owner)).or_default()[*sum] += number;
            }
            let mut expected: Vec<(usize, Vec<i128>)> =
                expected.into_iter().map(|((cell, _), sums)| (cell, sums.to_vec())).collect();
            let mut found = Vec::new();
            let mut from = 0;
            while from < 30 {
                let mut pairs = Pairs::new(from, 30, most, 2);
                for (cell, owner, sum, number) in &rows {
                    pairs.add((*cell, *owner), *sum, &[*number]);
                }
                prop_assert!(pairs.index.len() <= most);
                prop_assert!(pairs.to() > from);
                found.extend(pairs.iter().map(|(cell, sums)| (cell, sums.to_vec())));
                from = pairs.to();
            }
            expected.sort();
            found.sort();
            prop_assert_eq!(found, expected);
        }
    }
}
