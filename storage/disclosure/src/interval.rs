//! What follows from exact counts because counts are not negative.
//!
//! Linear algebra misses that the cells of a table are between two numbers: if 3 of 4 subjects are in one set and 2 in another, 1 or 2 are
//! in both. Subjects in the same released sets are a *class*. The number of a class is not released, but interval propagation narrows what
//! it may be: at most what remains of a set if all other classes in it are as small as possible, and at least what remains if they are as
//! large as possible. If a single number is left for a class of few subjects, or of none, this number is known.
//!
//! The check is not complete: integer programming would find more, and is too expensive here.

mod division;
#[cfg(test)]
mod tests;

use crate::UnitSet;
use division::Division;

/// With more classes nothing is checked.
const MAX_CLASSES: usize = 4_096;

/// Rounds of propagation.
const MAX_ROUNDS: u32 = 8;

/// Bounds of classes that are computed, over all rounds.
const MAX_OPERATIONS: usize = 20_000_000;

/// Constraints on what is in one set and not in a set within it.
const MAX_DIFFERENCES: usize = 2_048;

/// Cells that are withheld one after the other before all are.
const MAX_TRIES: usize = 16;

/// What is to be done with the cells of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntervalCheck {
    /// These cells are to be withheld, by their position; the others may be released.
    Withhold(Vec<usize>),
    /// The whole answer is to be withheld.
    All,
    /// There are too many classes to check.
    NotChecked,
}

/// Checks the counts of `cells` with those of the sets that were `released` before: whether the number of a class of 0 to `k - 1` subjects
/// follows.
///
/// A class of 0 subjects is not in the sets; `empty` lists those that the answer names, each by the positions of the sets, the released
/// ones and then the cells, whose conditions it meets. Cells are withheld from the smallest on.
#[must_use]
pub fn check_intervals(released: &[&UnitSet], cells: &[&UnitSet], empty: &[Vec<usize>], k: u64) -> IntervalCheck {
    let sets = [released, cells].concat();
    let Some(classes) = Classes::of(&sets, empty) else {
        return IntervalCheck::NotChecked;
    };
    let mut by_size: Vec<(u64, usize)> = cells.iter().zip(0..).map(|(cell, at)| (cell.len(), at)).collect();
    by_size.sort_unstable();
    for withheld in 0..=MAX_TRIES.min(by_size.len()) {
        let withheld: Vec<usize> = by_size.iter().take(withheld).map(|(_, at)| *at).collect();
        let is_shown = |set: usize| {
            set.checked_sub(released.len())
                .is_none_or(|cell| !withheld.contains(&cell))
        };
        if !classes.reveals(k, is_shown) {
            return if withheld.len() < cells.len() || withheld.is_empty() {
                IntervalCheck::Withhold(withheld)
            } else {
                IntervalCheck::All
            };
        }
    }
    IntervalCheck::All
}

/// The smallest and the largest number that a class may have.
type Bounds = (u64, u64);

/// Classes of subjects, with the sets that each is in.
#[derive(Debug)]
struct Classes {
    counts: Vec<u64>,
    sets: Vec<Vec<usize>>,
    totals: Vec<u64>,
}

impl Classes {
    /// `None` if there are too many.
    fn of(sets: &[&UnitSet], empty: &[Vec<usize>]) -> Option<Self> {
        let mut division = Division::of(sets.iter().filter_map(|set| set.largest()).max());
        for (at, set) in sets.iter().enumerate() {
            division.divide(at, set);
            if division.len() > MAX_CLASSES {
                return None;
            }
        }
        let (counts, within) = division.finish();
        let mut found = Self {
            counts,
            sets: within,
            totals: sets.iter().map(|set| set.len()).collect(),
        };
        empty.iter().for_each(|sets| found.add_empty(sets));
        (found.sets.len() <= MAX_CLASSES).then_some(found)
    }

    /// Adds a class without subjects; one that is in the same sets as another class is part of it.
    fn add_empty(&mut self, sets: &[usize]) {
        let mut sets = sets.to_vec();
        sets.sort_unstable();
        sets.dedup();
        sets.retain(|set| *set < self.totals.len());
        if !sets.is_empty() && !self.sets.contains(&sets) {
            self.counts.push(0);
            self.sets.push(sets);
        }
    }

    /// Whether the number of a class below `k` follows from the sets that are shown.
    fn reveals(&self, k: u64, is_shown: impl Fn(usize) -> bool) -> bool {
        let mut bounds = self.bounds(is_shown).into_iter().zip(&self.counts);
        bounds.any(|((low, high), count)| low == high && *count < k)
    }

    fn bounds(&self, is_shown: impl Fn(usize) -> bool) -> Vec<Bounds> {
        let constraints = self.constraints(is_shown);
        let mut bounds = vec![(0, u64::MAX); self.counts.len()];
        for constraint in &constraints {
            for class in &constraint.classes {
                if let Some((_, high)) = bounds.get_mut(*class) {
                    *high = constraint.total.min(*high);
                }
            }
        }
        let mut operations = 0;
        for _ in 0..MAX_ROUNDS {
            let mut is_changed = false;
            for constraint in &constraints {
                operations += constraint.classes.len();
                if operations > MAX_OPERATIONS {
                    return bounds;
                }
                is_changed |= constraint.narrow(&mut bounds);
            }
            if !is_changed {
                break;
            }
        }
        bounds
    }

    /// The numbers of sets, and of what is in one set and not in another one within it.
    fn constraints(&self, is_shown: impl Fn(usize) -> bool) -> Vec<Constraint> {
        let mut constraints: Vec<Constraint> = self
            .totals
            .iter()
            .enumerate()
            .filter(|(set, _)| is_shown(*set))
            .map(|(set, total)| Constraint {
                classes: (0..)
                    .zip(&self.sets)
                    .filter(|(_, sets)| sets.contains(&set))
                    .map(|(class, _)| class)
                    .collect(),
                total: *total,
            })
            .collect();
        let pairs = constraints
            .iter()
            .flat_map(|outer| constraints.iter().map(move |inner| (outer, inner)));
        let differences = pairs.filter_map(|(outer, inner)| outer.without(inner));
        let differences: Vec<Constraint> = differences.take(MAX_DIFFERENCES).collect();
        constraints.extend(differences);
        constraints
    }
}

/// The sum of the numbers of some classes is known.
#[derive(Debug)]
struct Constraint {
    /// Ascending.
    classes: Vec<usize>,
    total: u64,
}

impl Constraint {
    /// The classes that are not in `inner`, if `inner` is a part of this one.
    fn without(&self, inner: &Self) -> Option<Self> {
        let is_outside = |class: &&usize| inner.classes.binary_search(class).is_err();
        let is_part = inner.classes.len() < self.classes.len() && !inner.classes.is_empty();
        let rest = self.classes.iter().filter(is_outside);
        if !is_part || rest.clone().count() + inner.classes.len() != self.classes.len() {
            return None;
        }
        Some(Self {
            classes: rest.copied().collect(),
            total: self.total.checked_sub(inner.total)?,
        })
    }

    /// Narrows the bounds of its classes; whether any changed.
    fn narrow(&self, bounds: &mut [Bounds]) -> bool {
        let of = |class: &usize| bounds.get(*class).copied().unwrap_or_default();
        let (lows, highs) = self
            .classes
            .iter()
            .map(of)
            .fold((0_u64, 0_u64), |(lows, highs), (low, high)| {
                (lows.saturating_add(low), highs.saturating_add(high))
            });
        let mut is_changed = false;
        for class in &self.classes {
            let Some(bound) = bounds.get_mut(*class) else { continue };
            let (low, high) = *bound;
            let others_high = highs.saturating_sub(high);
            let others_low = lows.saturating_sub(low);
            let narrowed = (
                low.max(self.total.saturating_sub(others_high)),
                high.min(self.total.saturating_sub(others_low)),
            );
            is_changed |= narrowed != *bound;
            *bound = narrowed;
        }
        is_changed
    }
}
