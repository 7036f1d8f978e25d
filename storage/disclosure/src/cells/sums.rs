//! How many sums were released over one set.
//!
//! Each sum of values, squares or products over a set is an equation about its subjects' values. With as many as there are subjects the values
//! could be computed, whatever the number of subjects of each sum is (the "0.33" of DataSHIELD's `glm` limits the same). So a set of `n`
//! subjects has at most a third of `n` sums, of whatever columns, over all answers.

use std::collections::{BTreeMap, BTreeSet};

use crate::UnitSet;

/// Subjects for each sum.
const SUBJECTS_FOR_A_SUM: u64 = 3;

/// What is added: a hash of the column, its range and the power, in one form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FigureName([u8; 32]);

impl FigureName {
    /// The figure with this hash.
    #[must_use]
    pub const fn new(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// The hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A set of units of one space, as a hash. The version is not part of it: a set in another version counts as the same, which is the
/// stricter rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetName([u8; 32]);

impl SetName {
    /// The name of a set of subjects, or of rows of the dataset that a memory of rows is about.
    #[must_use]
    pub fn of(units: &UnitSet, are_rows: bool) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[u8::from(are_rows)]).update(&units.to_bytes());
        Self(*hasher.finalize().as_bytes())
    }

    /// The set with this hash, as it was stored.
    #[must_use]
    pub const fn new(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// The hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Which sums were released over which sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReleasedSums(BTreeMap<SetName, BTreeSet<FigureName>>);

impl ReleasedSums {
    /// Notes that sums over a set were released.
    pub fn add(&mut self, set: SetName, figures: impl IntoIterator<Item = FigureName>) {
        self.0.entry(set).or_default().extend(figures);
    }

    /// Whether a sum over a set was released.
    pub(super) fn contains(&self, set: SetName, figure: FigureName) -> bool {
        self.0.get(&set).is_some_and(|released| released.contains(&figure))
    }

    /// Whether one more sum over a set of `subjects` subjects may be released, or was already. If so it is noted.
    pub(super) fn admit(&mut self, set: SetName, figure: FigureName, subjects: u64) -> bool {
        if self.contains(set, figure) {
            return true;
        }
        let released = self.0.entry(set).or_default();
        let is_free = (released.len() as u64) < subjects / SUBJECTS_FOR_A_SUM;
        if is_free {
            released.insert(figure);
        }
        is_free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_over_a_set_are_a_third_of_its_subjects() {
        let units = UnitSet::all(10);
        let set = SetName::of(&units, false);
        let mut sums = ReleasedSums::default();
        let figure = |number: u8| FigureName::new([number; 32]);
        let admitted: Vec<bool> = (0..5).map(|number| sums.admit(set, figure(number), 10)).collect();
        assert_eq!(admitted, [true, true, true, false, false]);
        assert!(sums.admit(set, figure(1), 10), "it was released before");
        assert!(!sums.admit(set, figure(7), 10));
        assert!(
            sums.admit(SetName::of(&units, true), figure(7), 10),
            "rows are another set"
        );
        let mut restored = ReleasedSums::default();
        restored.add(set, [figure(0), figure(1), figure(2)]);
        assert!(!restored.admit(set, figure(3), 10));
    }
}
