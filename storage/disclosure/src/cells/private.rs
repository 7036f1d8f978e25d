//! Private figures.
//!
//! Each figure of the statistic, with its values in all cells, is a linear function of the subjects. How far one subject can change it is
//! bounded by the rule, and not by the data:
//!
//! - Where each subject is counted once, it is in one cell of each figure. A computed grid in which it is in two is refused.
//! - Numbers of subjects over rows of which a subject may have several: it is counted in at most [`MAX_CELLS`] cells. The cells are filled in
//!   an order that is drawn for the answer; with a fixed one, the first cells would be the ones that are complete.
//! - Sums over such rows are not bounded, and are refused.
//!
//! Sums are whole numbers of [`STEPS`] for the largest contribution. Rounding to them moves a sum by less than one step, which is part of
//! what one subject can change.

use std::num::NonZeroU32;

use super::error::DecideError;
use super::figures::{ReleasedSum, SetFigures};
use super::grid::{Counted, Grid, Outline, ReportedSet};
use crate::loss::{Portion, Reserved};
use crate::perturbation::Noisy;
use crate::random::position;
use crate::sampling::Gaussian;
use crate::{Entropy, UnitSet};

/// Cells in which one subject is counted, where it may have several rows.
const MAX_CELLS: usize = 4;

/// Steps of the largest contribution to a sum.
const STEPS: u32 = 1_024;

/// The figures of private mode, by cell and set. The loss that was reserved for the query is divided evenly among its figures.
///
/// # Errors
/// [`DecideError::Unbounded`] if a subject could change a figure by more than the rule allows, and [`DecideError::Gaussian`].
pub fn draw(
    grid: &Grid<'_>,
    reserved: Reserved,
    entropy: &mut dyn Entropy,
) -> Result<Vec<Vec<SetFigures>>, DecideError> {
    let has_rows = grid.counted() == Counted::Rows;
    if grid.outlines().iter().any(|outline| has_rows && outline.needs_units()) {
        return Err(DecideError::Unbounded);
    }
    let figures: usize = grid.outlines().iter().map(figures_of).sum();
    let figures = u32::try_from(figures).ok().and_then(NonZeroU32::new);
    let mut portions = reserved.split(figures.ok_or(DecideError::Shape)?);
    let withheld = |_: &Vec<ReportedSet<'_>>| grid.outlines().iter().map(SetFigures::withheld).collect();
    let mut drawn: Vec<Vec<SetFigures>> = grid.cells().iter().map(withheld).collect();
    for (at, outline) in grid.outlines().iter().enumerate() {
        let mut drawing = Drawing {
            grid,
            at,
            entropy: &mut *entropy,
            drawn: &mut drawn,
        };
        drawing.column(outline, &mut portions)?;
    }
    Ok(drawn)
}

/// The number of figures of a set, each of which has noise of its own.
fn figures_of(outline: &Outline) -> usize {
    usize::from(outline.subjects || outline.units) + outline.sums.len()
}

/// The sets at one position of all cells.
struct Drawing<'a, 'g> {
    grid: &'a Grid<'g>,
    at: usize,
    entropy: &'a mut dyn Entropy,
    drawn: &'a mut Vec<Vec<SetFigures>>,
}

impl Drawing<'_, '_> {
    fn column(&mut self, outline: &Outline, portions: &mut impl Iterator<Item = Portion>) -> Result<(), DecideError> {
        let (counts, cells) = self.counts()?;
        if outline.subjects || outline.units {
            let noise = portion(portions)?.noise(cells)?;
            for (cell, count) in counts.iter().enumerate() {
                let count = self.noisy(i64::try_from(*count).unwrap_or(i64::MAX), &noise);
                if let Some(figures) = self.figures(cell) {
                    figures.subjects = outline.subjects.then_some(count);
                    figures.units = outline.units.then_some(count);
                }
            }
        }
        for (sum, sum_outline) in outline.sums.iter().enumerate() {
            let steps = u64::from(STEPS) + 1;
            let noise = portion(portions)?.noise(cells.saturating_mul(steps * steps))?;
            self.sums(sum, sum_outline.bound.get() / f64::from(STEPS), &noise)?;
        }
        Ok(())
    }

    /// The numbers of subjects that are counted in each cell, and in how many cells a subject may be counted.
    fn counts(&mut self) -> Result<(Vec<u64>, u64), DecideError> {
        let grid = self.grid;
        let sets = grid.cells().iter().filter_map(|cell| cell.get(self.at));
        let sets: Vec<&UnitSet> = sets.map(|set| set.subjects).collect();
        if grid.counted() == Counted::Subjects {
            let mut seen = UnitSet::new();
            for set in &sets {
                if !set.is_disjoint(&seen) {
                    return Err(DecideError::Unbounded);
                }
                seen = seen.union(set);
            }
            return Ok((sets.iter().map(|set| set.len()).collect(), 1));
        }
        let mut order: Vec<usize> = (0..sets.len()).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, position(self.entropy, last + 1));
        }
        Ok((counts_in(&sets, &order), MAX_CELLS as u64))
    }

    fn sums(&mut self, sum: usize, step: f64, noise: &Gaussian) -> Result<(), DecideError> {
        let grid = self.grid;
        for (cell, sets) in grid.cells().iter().enumerate() {
            let reported = sets
                .get(self.at)
                .and_then(|set| set.sums.get(sum))
                .ok_or(DecideError::Shape)?;
            let steps = whole(reported.total.get() / step);
            let drawn = self.noisy(steps, noise);
            let Some(figures) = self.figures(cell) else { continue };
            let total = Noisy {
                value: drawn.value * step,
                standard_deviation: drawn.standard_deviation * step,
            };
            // Computed from what is released; without a number of units there is no mean.
            let units = figures.units.filter(|units| units.value >= 1.0);
            let mean = units.map(|units| Noisy {
                value: total.value / units.value,
                standard_deviation: total.standard_deviation / units.value,
            });
            if let (Some(shown), Some(mean)) = (figures.sums.get_mut(sum), mean) {
                *shown = Some(ReleasedSum { total, mean });
            }
        }
        Ok(())
    }

    fn figures(&mut self, cell: usize) -> Option<&mut SetFigures> {
        self.drawn.get_mut(cell)?.get_mut(self.at)
    }

    fn noisy(&mut self, value: i64, noise: &Gaussian) -> Noisy {
        let (numerator, denominator) = noise.variance();
        Noisy {
            value: as_f64(value.saturating_add(noise.sample(self.entropy))),
            standard_deviation: (unsigned_as_f64(numerator) / unsigned_as_f64(denominator)).sqrt(),
        }
    }
}

fn portion(portions: &mut impl Iterator<Item = Portion>) -> Result<Portion, DecideError> {
    portions.next().ok_or(DecideError::Shape)
}

/// How many units of each set are counted if each unit is counted in the first [`MAX_CELLS`] sets of the order that it is in.
fn counts_in(sets: &[&UnitSet], order: &[usize]) -> Vec<u64> {
    let mut counts = vec![0; sets.len()];
    // Units that were counted once or more, twice or more, and so on.
    let mut counted = vec![UnitSet::new(); MAX_CELLS];
    for at in order {
        let Some(set) = sets.get(*at) else { continue };
        let Some(full) = counted.last() else { continue };
        let mut carried = set.difference(full);
        if let Some(count) = counts.get_mut(*at) {
            *count = carried.len();
        }
        for level in &mut counted {
            let again = carried.intersection(level);
            *level = level.union(&carried);
            carried = again;
        }
    }
    counts
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "rounded; what is beyond `i64`, which no sum of 2^32 contributions is, becomes its end"
)]
fn whole(steps: f64) -> i64 {
    steps.round() as i64
}

#[expect(clippy::cast_precision_loss, reason = "noise is larger than what is lost above 2^53")]
const fn as_f64(number: i64) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "at most 2^48")]
const fn unsigned_as_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The definition: in the order of the sets, a unit counts until it was counted four times.
        #[test]
        fn private_subjects_count_in_four_cells(
            sets in prop::collection::vec(prop::collection::btree_set(0_u32..12, 0..12), 0..9),
            seed: u64,
        ) {
            let units: Vec<UnitSet> = sets.iter().map(|set| set.iter().copied().collect()).collect();
            let mut order: Vec<usize> = (0..sets.len()).collect();
            order.sort_by_key(|at| (*at as u64 + 1).wrapping_mul(seed | 1));
            let found = counts_in(&units.iter().collect::<Vec<_>>(), &order);
            let mut times = [0; 12];
            for at in order {
                let mut expected = 0;
                for unit in &sets[at] {
                    expected += u64::from(times[*unit as usize] < MAX_CELLS);
                    times[*unit as usize] += 1;
                }
                prop_assert_eq!(found[at], expected);
            }
        }
    }
}
