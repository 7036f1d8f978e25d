//! The decision about the cells of one answer.

use std::collections::{BTreeMap, BTreeSet};

use super::audit::{Accepted, Audit, Candidate, Position, RowSpace, Spaces};
use super::error::DecideError;
use super::grid::{Counted, Grid, Outline, ReportedSet, SetPart};
use super::keys::CellKeys;
use super::neighbors::{Sizes, Together};
use super::rules::DisclosureRules;
use super::set_keys::{SetKeys, keys_of};
use super::sums::{FigureName, ReleasedSums, SetName};
use crate::answer::Mode;
use crate::perturbation::CellKey;
use crate::space::{Offer, ReleasedSet, Space, Themselves};
use crate::{CellBox, Entropy};

/// Which figures of a set are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetVerdict {
    /// The number of subjects.
    pub subjects: bool,
    /// The number of units.
    pub units: bool,
    /// The sums, in the order of the outline.
    pub sums: Vec<bool>,
    /// The numbers of the parts: all of them or none.
    pub parts: bool,
}

/// What is shown of an answer, and what is remembered of it.
pub struct Decision {
    verdicts: Vec<Vec<SetVerdict>>,
    pub(super) keys: Vec<Vec<SetKeys>>,
    subjects: Accepted,
    rows: Option<Accepted>,
    sums: NewSums,
}

/// What is stored before an answer is shown.
#[derive(Debug)]
pub struct NewRecords<'a> {
    /// Sets of subjects, in this order.
    pub subjects: &'a [ReleasedSet],
    /// Sets of rows, in this order.
    pub rows: &'a [ReleasedSet],
    /// Sums that were not released before, by their set.
    pub sums: &'a [(SetName, Vec<FigureName>)],
}

/// Decides which figures of exact and perturbed mode are shown. `released` are the sums over sets that were released before.
///
/// The same grid with its cells in another order leads to the same figures: nothing depends on an order that a text could change. Nothing
/// is changed, and nothing is shown before what the decision adds to memory is durable.
///
/// # Errors
/// [`DecideError`]; none of the figures may be shown then. Private figures are not decided ([`DecideError::OtherMode`]).
pub fn decide(
    grid: &Grid<'_>,
    rules: &DisclosureRules,
    spaces: Spaces<'_>,
    released: &ReleasedSums,
    keys: &CellKeys,
    entropy: &mut dyn Entropy,
) -> Result<Decision, DecideError> {
    if rules.mode() == Mode::Private {
        return Err(DecideError::OtherMode);
    }
    let Spaces { subjects, rows } = spaces;
    if rows.is_some() != (grid.counted() == Counted::Rows) {
        return Err(DecideError::Shape);
    }
    let row_space = rows.as_ref().map(|rows| rows.space);
    let set_keys = keys_of(grid, rules, (subjects, row_space), keys)?;
    let deciding = Deciding {
        grid,
        rules,
        keys: &set_keys,
    };
    deciding.within_budget(subjects, row_space)?;
    let of_subjects = deciding.subjects(subjects, entropy)?;
    let known: BTreeSet<Position> = of_subjects.at.iter().copied().collect();
    let of_rows = rows.map(|rows| deciding.rows(rows, &known, entropy)).transpose()?;
    let of_units = of_rows.as_ref().unwrap_or(&of_subjects);
    let units: BTreeSet<Position> = of_units.at.iter().copied().collect();
    let (verdicts, sums) = deciding.verdicts((&known, &units), released.clone());
    Ok(Decision {
        verdicts,
        keys: set_keys,
        subjects: of_subjects,
        rows: of_rows,
        sums,
    })
}

impl Decision {
    /// What is shown, by cell and set.
    #[must_use]
    pub fn verdicts(&self) -> &[Vec<SetVerdict>] {
        &self.verdicts
    }

    /// Whether a set was withheld because a figure about few subjects, or none, would or could follow from it and from what was released before. It depends on
    /// data, and is for the holder only.
    #[must_use]
    pub fn isolates(&self) -> bool {
        self.subjects.isolates || self.rows.as_ref().is_some_and(|rows| rows.isolates)
    }

    /// What is stored before the answer is shown.
    #[must_use]
    pub fn records(&self) -> NewRecords<'_> {
        NewRecords {
            subjects: &self.subjects.certified,
            rows: self.rows.as_ref().map_or(&[][..], |rows| rows.certified.as_slice()),
            sums: &self.sums,
        }
    }

    /// What is committed to the space of subjects, and to that of rows, once the records are durable.
    #[must_use]
    pub fn into_offers(self) -> (Offer, Option<Offer>) {
        (self.subjects.offer, self.rows.map(|rows| rows.offer))
    }
}

impl std::fmt::Debug for Decision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decision")
            .field("verdicts", &self.verdicts)
            .finish_non_exhaustive()
    }
}

/// A grid while it is decided.
struct Deciding<'a> {
    grid: &'a Grid<'a>,
    rules: &'a DisclosureRules,
    keys: &'a [Vec<SetKeys>],
}

/// A set with its position, what is released of it, and its keys.
struct Placed<'a> {
    at: (usize, usize),
    outline: &'a Outline,
    set: &'a ReportedSet<'a>,
    keys: &'a SetKeys,
}

impl<'a> Deciding<'a> {
    fn sets(&self) -> impl Iterator<Item = Placed<'a>> + use<'a> {
        let (grid, keys) = (self.grid, self.keys);
        let cells = grid.cells().iter().zip(keys).enumerate();
        cells.flat_map(move |(cell, (sets, keys))| {
            let sets = grid.outlines().iter().zip(sets).zip(keys).enumerate();
            sets.map(move |(at, ((outline, set), keys))| Placed {
                at: (cell, at),
                outline,
                set,
                keys,
            })
        })
    }

    /// Whether a set has the subjects that its threshold requires.
    fn is_large(&self, placed: &Placed<'_>) -> bool {
        placed.set.subjects.len() >= self.rules.threshold(&placed.keys.subjects)
    }

    /// Whether the neighbors of a set have the subjects that are required of them. A set with too many neighbors has not.
    fn has_large_neighbors(&self, placed: &Placed<'_>) -> bool {
        let sizes = Sizes {
            rest: u64::from(self.rules.k()),
            part: self.rules.certain_threshold(),
            is_exact: self.rules.mode() == Mode::Exact,
        };
        let neighbors = placed.set.neighbors.as_ref();
        neighbors.is_some_and(|neighbors| neighbors.are_large(placed.set.subjects, sizes))
    }

    /// Refuses the query if the budget is used up and it has a description that was not released of this version. A description follows
    /// from the text, and the set does not.
    fn within_budget(&self, subjects: &Space, rows: Option<&Space>) -> Result<(), DecideError> {
        let version = self.grid.version();
        let refuse = |space: &Space, mut cells: Box<dyn Iterator<Item = &CellBox> + '_>| {
            if space.distinctions_left() > 0 {
                return Ok(());
            }
            let released = space.descriptions(version);
            if cells.all(|cell| released.contains(&cell.normal())) {
                return Ok(());
            }
            Err(DecideError::NoDistinctions {
                limit: space.distinctions(),
            })
        };
        refuse(subjects, Box::new(self.sets().map(|placed| &placed.set.cell)))?;
        let needed = self.sets().filter(|placed| placed.outline.needs_units());
        let of_rows = needed.filter_map(|placed| placed.set.rows.as_ref().map(|rows| &rows.cell));
        rows.map_or(Ok(()), |rows| refuse(rows, Box::new(of_rows)))
    }

    /// Offers the sets of subjects.
    fn subjects(&self, space: &'a Space, entropy: &mut dyn Entropy) -> Result<Accepted, DecideError> {
        let mut candidates = Vec::new();
        let large: Vec<(Placed<'_>, bool)> = self
            .sets()
            .filter(|placed| self.is_large(placed))
            .map(|placed| {
                let is_withheld = !self.has_large_neighbors(&placed);
                (placed, is_withheld)
            })
            .collect();
        let together = |(placed, is_withheld): &(Placed<'a>, bool)| {
            if *is_withheld {
                Vec::new()
            } else {
                released_with(placed.set)
            }
        };
        let together: Vec<Vec<Together<'_>>> = large.iter().map(together).collect();
        for ((placed, is_withheld), together) in large.iter().zip(&together) {
            let is_withheld = *is_withheld;
            let mut neighbors = Vec::new();
            if let Some(sets) = &placed.set.neighbors {
                sets.add_to(&mut neighbors);
            }
            // Positions after those of all parts of values.
            let positions = (0..=usize::MAX)
                .rev()
                .map(|part| (placed.at.0, placed.at.1, Some(part)));
            let alternatives: Vec<(Position, &Together<'_>)> = positions.zip(together).collect();
            candidates.push(Candidate {
                units: placed.set.subjects,
                cell: &placed.set.cell,
                key: &placed.keys.subjects,
                at: (placed.at.0, placed.at.1, None),
                neighbors,
                is_withheld,
                alternatives: alternatives.iter().map(|(at, ..)| *at).collect(),
                is_alternative: false,
            });
            candidates.extend(alternatives.into_iter().map(|(at, (units, cell))| Candidate {
                units,
                cell,
                key: &placed.keys.subjects,
                at,
                neighbors: Vec::new(),
                is_withheld: false,
                alternatives: Vec::new(),
                is_alternative: true,
            }));
            if self.grid.counted() == Counted::Subjects && !is_withheld {
                candidates.extend(self.parts(placed));
            }
        }
        let empty = self.sets().filter(|placed| placed.set.subjects.is_empty());
        let mut audit = Audit {
            space,
            owners: &mut Themselves,
            entropy,
            version: self.grid.version(),
            empty: self.empty_cells(empty.map(|placed| &placed.set.cell)),
        };
        audit.accepted(candidates)
    }

    /// Offers the sets of rows whose subjects are accepted: a number of rows, or a sum over them, is a figure about these subjects.
    fn rows(
        &self,
        RowSpace { space, owners }: RowSpace<'_>,
        subjects: &BTreeSet<Position>,
        entropy: &mut dyn Entropy,
    ) -> Result<Accepted, DecideError> {
        let mut candidates = Vec::new();
        for placed in self.sets() {
            let (cell, set) = placed.at;
            let reported = placed.set.rows.as_ref().filter(|_| placed.outline.needs_units());
            let reported = reported.filter(|_| subjects.contains(&(cell, set, None)));
            let Some(reported) = reported else { continue };
            candidates.push(Candidate {
                units: reported.units,
                cell: &reported.cell,
                key: &placed.keys.units,
                at: (cell, set, None),
                neighbors: Vec::new(),
                is_withheld: false,
                alternatives: Vec::new(),
                is_alternative: false,
            });
            candidates.extend(self.parts(&placed));
        }
        let empty = self.sets().filter(|placed| placed.outline.needs_units());
        let empty = empty.filter_map(|placed| placed.set.rows.as_ref());
        let empty = empty.filter(|rows| rows.units.is_empty()).map(|rows| &rows.cell);
        let mut audit = Audit {
            space,
            owners,
            entropy,
            version: self.grid.version(),
            empty: self.empty_cells(empty),
        };
        audit.accepted(candidates)
    }

    /// The parts of a set, each of which has to be large enough on its own.
    fn parts(&self, placed: &Placed<'a>) -> Vec<Candidate<'a>> {
        let least = self.rules.certain_threshold();
        let (cell, set) = placed.at;
        let parts = placed.set.parts.iter().zip(&placed.keys.parts).enumerate();
        let large = parts.filter(|(_, (part, _))| placed.outline.parts && part.units.len() >= least);
        let candidate = |(at, (part, key)): (usize, (&'a SetPart<'a>, &'a CellKey))| Candidate {
            units: &part.units,
            cell: &part.cell,
            key,
            at: (cell, set, Some(at)),
            neighbors: Vec::new(),
            is_withheld: false,
            alternatives: Vec::new(),
            is_alternative: false,
        };
        large.map(candidate).collect()
    }

    /// The cells without units, whose number could follow from exact ones. That of cells which no possible unit is in is known.
    fn empty_cells(&self, cells: impl Iterator<Item = &'a CellBox>) -> Option<Vec<&'a CellBox>> {
        let possible = cells.filter(|cell| !cell.condition().is_impossible());
        (self.rules.mode() == Mode::Exact).then(|| possible.collect())
    }

    /// What is shown of sets that were accepted, and the sums that were not released before.
    fn verdicts(
        &self,
        (subjects, units): (&BTreeSet<Position>, &BTreeSet<Position>),
        released: ReleasedSums,
    ) -> (Vec<Vec<SetVerdict>>, NewSums) {
        let mut verdicts: Vec<Vec<SetVerdict>> = vec![Vec::new(); self.grid.cells().len()];
        let mut requested = Vec::new();
        for placed in self.sets() {
            let (cell, set) = placed.at;
            let outline = placed.outline;
            let has_units = units.contains(&(cell, set, None)) && !self.are_rows_dominated(placed.set);
            if has_units && outline.units {
                requested.extend(self.sums(&placed));
            }
            let mut parts = (0..placed.set.parts.len()).map(|part| (cell, set, Some(part)));
            let verdict = SetVerdict {
                subjects: outline.subjects && subjects.contains(&(cell, set, None)),
                units: outline.units && has_units,
                sums: vec![false; outline.sums.len()],
                parts: outline.parts && has_units && parts.all(|part| units.contains(&part)),
            };
            if let Some(sets) = verdicts.get_mut(cell) {
                sets.push(verdict);
            }
        }
        let new = admit(requested, released, &mut verdicts, self.rules.mode() == Mode::Exact);
        (verdicts, new)
    }

    /// Whether the number of rows is that of few subjects.
    fn are_rows_dominated(&self, set: &ReportedSet<'_>) -> bool {
        let rows = set.rows.as_ref();
        rows.is_some_and(|rows| self.rules.is_dominated(&rows.contributions))
    }

    /// The sums of a set that no few subjects dominate.
    fn sums(&self, placed: &Placed<'_>) -> Vec<RequestedSum> {
        let sums = placed.outline.sums.iter().zip(&placed.set.sums).enumerate();
        let shared = sums.filter(|(_, (_, sum))| !self.rules.is_dominated(&sum.contributions));
        let shared: Vec<(usize, FigureName)> = shared.map(|(at, (outline, _))| (at, outline.figure)).collect();
        if shared.is_empty() {
            return Vec::new();
        }
        let set = SetName::of(placed.set.units(), self.grid.counted() == Counted::Rows);
        let requested = shared.into_iter().map(|(at, figure)| RequestedSum {
            set,
            figure,
            subjects: placed.set.subjects.len(),
            at: (placed.at.0, placed.at.1, at),
        });
        requested.collect()
    }
}

/// What counts as released with a set.
fn released_with<'a>(set: &'a ReportedSet<'_>) -> Vec<Together<'a>> {
    let mut found = Vec::new();
    if let Some(sets) = &set.neighbors {
        sets.released_with((set.subjects, &set.cell), &mut found);
    }
    found
}

/// Sums that were not released before, by their set.
type NewSums = Vec<(SetName, Vec<FigureName>)>;

/// A sum over an accepted set. They are ordered by what they are, so that the order of cells and aggregates does not decide which are shown.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct RequestedSum {
    set: SetName,
    figure: FigureName,
    subjects: u64,
    /// The cell, the set, and the sum.
    at: (usize, usize, usize),
}

/// Shows as many sums over each set as its subjects allow if they are exact, and all of them with noise: how many there are would show the number
/// of subjects, and the figures with noise are limited in number as they are.
fn admit(
    mut requested: Vec<RequestedSum>,
    mut released: ReleasedSums,
    verdicts: &mut [Vec<SetVerdict>],
    are_exact: bool,
) -> NewSums {
    requested.sort_unstable();
    let mut new: BTreeMap<SetName, Vec<FigureName>> = BTreeMap::new();
    for sum in requested {
        let is_known = released.contains(sum.set, sum.figure);
        if are_exact && !released.admit(sum.set, sum.figure, sum.subjects) {
            continue;
        }
        let (cell, set, at) = sum.at;
        let verdict = verdicts.get_mut(cell).and_then(|sets| sets.get_mut(set));
        if let Some(shown) = verdict.and_then(|verdict| verdict.sums.get_mut(at)) {
            *shown = true;
        }
        // Equal sets of several cells have the same sums, which are next to each other here.
        let noted = new.get(&sum.set).and_then(|figures| figures.last());
        if !is_known && noted != Some(&sum.figure) {
            new.entry(sum.set).or_default().push(sum.figure);
        }
    }
    new.into_iter().collect()
}
