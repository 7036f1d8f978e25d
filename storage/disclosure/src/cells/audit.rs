//! Sets offered to the spaces of what was released.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use concordat_protocol::schema::VersionNumber;

use super::error::DecideError;
use crate::boxes::{CellBox, Condition};
use crate::interval::{IntervalCheck, check_intervals};
use crate::perturbation::CellKey;
use crate::space::{Neighbor, Offer, Offered, OwnersOf, ReleasedSet, Space, Verdict};
use crate::{Entropy, UnitSet};

/// How often cells are offered again without those that would complete an interval. Each time there are fewer.
const MAX_OFFERS: u32 = 8;

/// What was released to one owner of memory.
#[derive(Debug)]
pub struct Spaces<'a> {
    /// Sets of subjects.
    pub subjects: &'a Space,
    /// Sets of rows of the dataset that the answer counts.
    pub rows: Option<RowSpace<'a>>,
}

/// The space of the rows of a dataset.
pub struct RowSpace<'a> {
    /// What was released.
    pub space: &'a Space,
    /// The subjects of rows.
    pub owners: &'a mut dyn OwnersOf,
}

impl std::fmt::Debug for RowSpace<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowSpace")
            .field("space", self.space)
            .finish_non_exhaustive()
    }
}

/// Where a set is in the grid: the cell, the set, and the part.
pub(super) type Position = (usize, usize, Option<usize>);

/// A set that would be released.
pub(super) struct Candidate<'a> {
    pub(super) units: &'a UnitSet,
    pub(super) cell: &'a CellBox,
    /// The key of the set.
    pub(super) key: &'a CellKey,
    pub(super) at: Position,
    /// The sets without which it is not released.
    pub(super) neighbors: Vec<Neighbor<'a>>,
    /// Whether its neighbors are too small.
    pub(super) is_withheld: bool,
    /// Where the sets are that count as released with it, its alternatives and what they leave out: it is not
    /// released without them, nor they without it.
    pub(super) alternatives: Vec<Position>,
    /// Whether it is one of them.
    pub(super) is_alternative: bool,
}

/// What the audit accepted.
pub(super) struct Accepted {
    pub(super) offer: Offer,
    /// The sets by which the space grows.
    pub(super) certified: Vec<ReleasedSet>,
    /// Where the accepted sets are in the grid.
    pub(super) at: Vec<Position>,
    /// Whether a set was not accepted because a figure about few subjects, or none, would follow from it, or could for other data.
    pub(super) isolates: bool,
}

/// One space, and what is offered to it.
pub(super) struct Audit<'a, 'b> {
    pub(super) space: &'a Space,
    pub(super) owners: &'b mut dyn OwnersOf,
    pub(super) entropy: &'b mut dyn Entropy,
    pub(super) version: VersionNumber,
    /// The descriptions of cells without units, if what follows from intervals is checked.
    pub(super) empty: Option<Vec<&'a CellBox>>,
}

impl<'a> Audit<'a, '_> {
    /// The sets that may be released, of which those with few units are withheld for the sake of others.
    pub(super) fn accepted(&mut self, mut candidates: Vec<Candidate<'a>>) -> Result<Accepted, DecideError> {
        candidates.sort_by_cached_key(|candidate| {
            let cell = candidate.cell.to_bytes();
            // Of sets with the same units the one with the shorter description counts as released: more queries are about it.
            (Reverse(candidate.units.len()), cell.len(), candidate.key.order(&cell))
        });
        let mut isolates = false;
        for _ in 0..MAX_OFFERS {
            let offer = self.offer(&candidates)?;
            let mut own = candidates.iter().zip(offer.verdicts());
            // Which of these it is can depend on the few, so that a count of one of them would show it.
            let is_withheld = |verdict: &Verdict| match verdict {
                Verdict::Isolates | Verdict::RevealsEmpty | Verdict::Neighbor => true,
                Verdict::Certified | Verdict::Derivable | Verdict::Dense | Verdict::NoBudget => false,
            };
            isolates |= own.any(|(candidate, verdict)| is_withheld(verdict) && !candidate.is_alternative);
            let accepted = verdicts_are(&offer, |verdict| {
                matches!(verdict, Verdict::Certified | Verdict::Derivable)
            });
            let shown: Vec<&Candidate<'_>> = chosen(&candidates, &accepted);
            let found: BTreeSet<Position> = shown.iter().map(|candidate| candidate.at).collect();
            let whole = whole(&shown, &found);
            if whole != found {
                candidates.retain(|candidate| whole.contains(&candidate.at));
                continue;
            }
            let withheld = self.withheld_for_intervals(&shown);
            if withheld.is_empty() {
                return Ok(self.result((offer, isolates), &candidates, &accepted));
            }
            let kept = shown.iter().enumerate().filter(|(at, _)| !withheld.contains(at));
            let kept: Vec<Position> = kept.map(|(_, candidate)| candidate.at).collect();
            candidates.retain(|candidate| kept.contains(&candidate.at));
        }
        candidates.clear();
        let offer = self.offer(&candidates)?;
        Ok(self.result((offer, isolates), &candidates, &[]))
    }

    fn offer(&mut self, candidates: &[Candidate<'_>]) -> Result<Offer, DecideError> {
        let offered: Vec<Offered<'_>> = candidates
            .iter()
            .map(|candidate| Offered {
                units: candidate.units,
                version: self.version,
                cell: candidate.cell,
                neighbors: &candidate.neighbors,
                is_withheld: candidate.is_withheld,
            })
            .collect();
        let offer = self.space.offer(&offered, self.owners, self.entropy)?;
        if offer.verdicts().contains(&Verdict::NoBudget) {
            return Err(DecideError::NoDistinctions {
                limit: self.space.distinctions(),
            });
        }
        Ok(offer)
    }

    fn result(&self, (offer, isolates): (Offer, bool), candidates: &[Candidate<'_>], accepted: &[bool]) -> Accepted {
        let certified = verdicts_are(&offer, |verdict| verdict == Verdict::Certified);
        let set = |candidate: &&Candidate<'_>| ReleasedSet {
            units: candidate.units.clone(),
            version: self.version,
            cell: candidate.cell.clone(),
        };
        Accepted {
            certified: chosen(candidates, &certified).iter().map(set).collect(),
            at: chosen(candidates, accepted)
                .iter()
                .map(|candidate| candidate.at)
                .collect(),
            offer,
            isolates,
        }
    }

    /// The positions of the cells that are withheld so that no small count follows from the others.
    fn withheld_for_intervals(&self, shown: &[&Candidate<'_>]) -> Vec<usize> {
        let Some(empty) = &self.empty else { return Vec::new() };
        let before = self.space.released();
        let released: Vec<&UnitSet> = before.iter().map(|(units, _)| &**units).collect();
        let cells: Vec<&UnitSet> = shown.iter().map(|candidate| candidate.units).collect();
        let boxes = before.iter().map(|(_, cell)| *cell);
        let boxes: Vec<&CellBox> = boxes.chain(shown.iter().map(|candidate| candidate.cell)).collect();
        let within = |cell: &&CellBox| {
            let sets = boxes.iter().enumerate();
            let around = sets.filter(|(_, set)| is_within(cell.condition(), set.condition()));
            around.map(|(at, _)| at).collect::<Vec<usize>>()
        };
        let empty: Vec<Vec<usize>> = empty.iter().map(within).collect();
        match check_intervals(&released, &cells, &empty, u64::from(self.space.threshold())) {
            IntervalCheck::Withhold(withheld) => withheld,
            IntervalCheck::All => (0..shown.len()).collect(),
            IntervalCheck::NotChecked => Vec::new(),
        }
    }
}

/// Those of some sets that are released with all of their alternatives, and these.
fn whole(shown: &[&Candidate<'_>], found: &BTreeSet<Position>) -> BTreeSet<Position> {
    let own = shown.iter().filter(|candidate| !candidate.is_alternative);
    let whole = own.filter(|candidate| candidate.alternatives.iter().all(|at| found.contains(at)));
    let all = whole.flat_map(|candidate| candidate.alternatives.iter().chain([&candidate.at]));
    all.copied().collect()
}

fn verdicts_are(offer: &Offer, is: impl Fn(Verdict) -> bool) -> Vec<bool> {
    offer.verdicts().iter().map(|verdict| is(*verdict)).collect()
}

fn chosen<'a, 'b>(candidates: &'a [Candidate<'b>], are: &[bool]) -> Vec<&'a Candidate<'b>> {
    let chosen = candidates.iter().zip(are).filter(|(_, is)| **is);
    chosen.map(|(candidate, _)| candidate).collect()
}

/// Whether everyone who meets `inner` meets `outer`, as far as that is seen from the parts of both: a cell that has more conditions than
/// another one, or fewer atoms of a column.
pub(super) fn is_within(inner: &Condition, outer: &Condition) -> bool {
    if inner == outer {
        return true;
    }
    match (inner, outer) {
        (_, Condition::Everyone) => true,
        (_, Condition::All(parts)) => parts.iter().all(|part| is_within(inner, part)),
        (Condition::All(parts), _) => parts.iter().any(|part| is_within(part, outer)),
        (
            Condition::Atoms { path, of, atoms },
            Condition::Atoms {
                path: outer_path,
                of: outer_of,
                atoms: outer_atoms,
            },
        ) => path == outer_path && of == outer_of && atoms.difference(outer_atoms).is_empty(),
        (
            Condition::Events { events, at_least, that },
            Condition::Events {
                events: outer_events,
                at_least: outer_least,
                that: outer_that,
            },
        ) => events == outer_events && at_least >= outer_least && is_within(that, outer_that),
        (
            Condition::Everyone
            | Condition::Atoms { .. }
            | Condition::Events { .. }
            | Condition::Not(_)
            | Condition::Any(_),
            Condition::Atoms { .. } | Condition::Events { .. } | Condition::Not(_) | Condition::Any(_),
        ) => false,
    }
}
