//! The sets of neighbors.

use std::sync::Arc;

use crate::UnitSet;
use crate::boxes::{CellBox, Neighbors};
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

/// The sizes that are required.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Of what a wider set has and the set has not.
    pub(super) rest: u64,
    /// Of parts.
    pub(super) part: u64,
    /// Whether the rest is also required where the clause is a condition on one column: an exact figure that is equal to the number of those
    /// who could be in it shows the value of each of them.
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
            let is_required = sizes.is_exact || !wider.is_plain;
            !is_required || wider.subjects.difference(subjects).len() >= sizes.rest
        };
        let is_large =
            |part: &PartSet| part.subjects.len() >= sizes.part && part.neighbors.are_large(&part.subjects, sizes);
        self.wider.iter().all(has_rest) && self.parts.iter().all(is_large)
    }

    /// The alternatives of all clauses, each alone. A union counts as released with them: where the people of one are known, the number of the others
    /// follows.
    pub(super) fn alternatives<'s>(&'s self, all: &mut Vec<(&'s UnitSet, &'s CellBox)>) {
        // A part with several alternatives has no neighbors.
        let alone = self.parts.iter().filter(|part| part.neighbors != Self::default());
        for part in alone {
            all.push((&part.subjects, &part.cell));
            part.neighbors.alternatives(all);
        }
    }

    /// All of them, as the audit examines them.
    pub(super) fn add_to<'s>(&'s self, all: &mut Vec<Neighbor<'s>>) {
        all.extend(self.wider.iter().map(|wider| Neighbor {
            is_examined: wider.is_examined,
            units: &wider.subjects,
            cell: &wider.cell,
        }));
        for part in &self.parts {
            all.push(Neighbor {
                is_examined: true,
                units: &part.subjects,
                cell: &part.cell,
            });
            part.neighbors.add_to(all);
        }
    }
}
