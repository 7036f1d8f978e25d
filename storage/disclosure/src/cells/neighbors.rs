//! The sets of neighbors.

use std::borrow::Cow;
use std::sync::Arc;

use crate::UnitSet;
use crate::boxes::{CellBox, Condition, Neighbors};
use crate::space::Neighbor;

/// The subjects of the [`Neighbors`] of a set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NeighborSets {
    /// Without one clause.
    pub wider: Vec<WiderSet>,
    /// With some of the alternatives of a clause.
    pub parts: Vec<PartSet>,
}

/// The subjects of a wider description.
#[derive(Clone, Debug, PartialEq)]
pub struct WiderSet {
    /// The subjects. Cells with the same neighbor have the same object.
    pub subjects: Arc<UnitSet>,
    /// What they have in common.
    pub cell: CellBox,
    /// Whether the clause that it lacks is not one of alternatives.
    pub is_plain: bool,
    /// Whether it may neither isolate subjects nor reveal that a region is empty. It may where that is not what the clause decides on: that nearly
    /// all subjects have a row.
    pub is_examined: bool,
}

/// The subjects of a part.
#[derive(Clone, Debug, PartialEq)]
pub struct PartSet {
    /// The subjects.
    pub subjects: Arc<UnitSet>,
    /// What they have in common.
    pub cell: CellBox,
    /// The neighbors of the part.
    pub neighbors: NeighborSets,
}

/// A set that counts as released with another one.
pub(super) type Together<'a> = (Cow<'a, UnitSet>, Cow<'a, CellBox>);

/// How many times the least cell a group has whose number of people is not known to those who ask. That all of a larger one have a value is
/// shown in `exact`, as that most of it have.
const SMALL_GROUP: u64 = 10;

/// The sizes that are required.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Of what a wider set has and the set has not.
    pub(super) rest: u64,
    /// Of parts.
    pub(super) part: u64,
    /// Whether the rest is also required where the clause is a condition on one column, in a group of which it may be known how many people are
    /// in it: an exact figure that is equal to their number shows the value of each of them.
    pub(super) is_exact: bool,
}

impl NeighborSets {
    /// The sets of these descriptions.
    #[must_use]
    pub fn of(neighbors: &Neighbors, subjects: &mut dyn FnMut(&CellBox) -> Arc<UnitSet>) -> Self {
        let wider = neighbors.wider.iter().map(|wider| WiderSet {
            subjects: subjects(&wider.cell),
            cell: wider.cell.clone(),
            is_plain: wider.is_plain,
            is_examined: true,
        });
        let wider = wider.collect();
        let parts = neighbors.parts.iter().map(|part| PartSet {
            subjects: subjects(&part.cell),
            cell: part.cell.clone(),
            neighbors: Self::of(&part.neighbors, subjects),
        });
        Self {
            wider,
            parts: parts.collect(),
        }
    }

    /// Whether the neighbors of a set with these subjects are large enough. A rest of no one is as small as one of few: that it is empty is known
    /// of all then.
    pub(super) fn are_large(&self, subjects: &UnitSet, sizes: Sizes) -> bool {
        let has_rest = |wider: &WiderSet| {
            let is_small = wider.subjects.len() < sizes.rest.saturating_mul(SMALL_GROUP);
            let is_required = !wider.is_plain || sizes.is_exact && is_small;
            !is_required || wider.subjects.difference(subjects).len() >= sizes.rest
        };
        let is_large =
            |part: &PartSet| part.subjects.len() >= sizes.part && part.neighbors.are_large(&part.subjects, sizes);
        self.wider.iter().all(has_rest) && self.parts.iter().all(is_large)
    }

    /// What counts as released together with a set of these subjects and this description: each alternative of its clauses alone, and what a clause of
    /// alternatives leaves out. Where the people of one are known, the number of the others follows.
    pub(super) fn released_with<'s>(&'s self, (subjects, cell): (&UnitSet, &CellBox), all: &mut Vec<Together<'s>>) {
        for wider in self.wider.iter().filter(|wider| !wider.is_plain) {
            let rest = Condition::All(vec![
                wider.cell.condition().clone(),
                Condition::Not(Box::new(cell.condition().clone())),
            ]);
            // What is too large to be described is comparable with itself only, and then no set of the same name has other people.
            if let Ok(cell) = CellBox::new(rest) {
                let subjects = Cow::Owned(wider.subjects.difference(subjects));
                all.push((subjects, Cow::Owned(cell)));
            }
        }
        // A part with several alternatives has no neighbors.
        for part in self.parts.iter().filter(|part| part.neighbors != Self::default()) {
            all.push((Cow::Borrowed(&*part.subjects), Cow::Borrowed(&part.cell)));
            part.neighbors.released_with((&part.subjects, &part.cell), all);
        }
    }

    /// All of them, as the audit examines them.
    pub(super) fn add_to<'s>(&'s self, all: &mut Vec<Neighbor<'s>>) {
        all.extend(self.wider.iter().map(|wider| Neighbor {
            is_examined: wider.is_examined,
            is_plain: wider.is_plain,
            units: &wider.subjects,
            cell: &wider.cell,
        }));
        for part in &self.parts {
            all.push(Neighbor {
                is_examined: true,
                is_plain: false,
                units: &part.subjects,
                cell: &part.cell,
            });
            part.neighbors.add_to(all);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rest_of_a_condition_is_required_in_small_groups_of_exact_figures() {
        let is_large = |people: u32, rest: u32, (is_plain, is_exact): (bool, bool)| {
            let wider = WiderSet {
                subjects: Arc::new((0..people).collect()),
                cell: CellBox::new(Condition::Everyone).unwrap(),
                is_plain,
                is_examined: true,
            };
            let neighbors = NeighborSets {
                wider: vec![wider],
                parts: Vec::new(),
            };
            let sizes = Sizes {
                rest: 5,
                part: 7,
                is_exact,
            };
            neighbors.are_large(&(0..people - rest).collect(), sizes)
        };
        for rest in [0, 1, 4] {
            assert!(!is_large(49, rest, (true, true)), "{rest}");
            assert!(is_large(50, rest, (true, true)), "{rest}");
            assert!(is_large(49, rest, (true, false)), "{rest}");
            // With alternatives the rest is about those that are left out, however many there are.
            assert!(!is_large(5_000, rest, (false, false)), "{rest}");
        }
        assert!(is_large(49, 5, (true, true)));
    }
}
