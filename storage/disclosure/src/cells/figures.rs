//! The values of exact and perturbed figures.

use concordat_protocol::scope::Finite;

use super::decide::{Decision, SetVerdict};
use super::error::DecideError;
use super::grid::{Counted, Grid, Outline, ReportedSet, ReportedSum, SumOutline};
use super::rules::DisclosureRules;
use super::set_keys::SetKeys;
use crate::perturbation::{Measured, Noisy, Perturbation, Scale};

/// The released figures of one set; `None` is withheld.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SetFigures {
    /// The number of subjects.
    pub subjects: Option<Noisy>,
    /// The number of units.
    pub units: Option<Noisy>,
    /// The sums, in the order of the outline.
    pub sums: Vec<Option<ReleasedSum>>,
    /// The numbers of units of the parts.
    pub parts: Option<Vec<Noisy>>,
}

/// A released sum. With noise, both are computed so that they do not show the number of units ([`Noisy::sum_of`]).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReleasedSum {
    /// The sum.
    pub total: Noisy,
    /// The sum divided by the number of units.
    pub mean: Noisy,
}

impl SetFigures {
    /// Nothing of a set with this outline.
    #[must_use]
    pub fn withheld(outline: &Outline) -> Self {
        Self {
            sums: vec![None; outline.sums.len()],
            ..Self::default()
        }
    }
}

impl Decision {
    /// The figures of the grid that was decided, by cell and set, under the rules that it was decided by.
    ///
    /// # Errors
    /// [`DecideError::Scale`] if the range of a sum has no noise, and [`DecideError::Shape`] for another grid.
    pub fn figures(&self, grid: &Grid<'_>, rules: &DisclosureRules) -> Result<Vec<Vec<SetFigures>>, DecideError> {
        if grid.cells().len() != self.verdicts().len() {
            return Err(DecideError::Shape);
        }
        let cells = grid.cells().iter().zip(self.verdicts()).zip(&self.keys);
        let of_cell = |((sets, verdicts), keys): ((&Vec<ReportedSet<'_>>, &Vec<SetVerdict>), &Vec<SetKeys>)| {
            let sets = grid.outlines().iter().zip(sets).zip(verdicts.iter().zip(keys));
            let figures = sets.map(|((outline, set), (verdict, keys))| {
                let shown = Shown {
                    counted: grid.counted(),
                    outline,
                    set,
                    verdict,
                };
                rules
                    .perturbation()
                    .map_or_else(|| Ok(shown.exact()), |perturbation| shown.perturbed(perturbation, keys))
            });
            figures.collect::<Result<Vec<SetFigures>, DecideError>>()
        };
        cells.map(of_cell).collect()
    }
}

/// A set with what is shown of it.
struct Shown<'a> {
    counted: Counted,
    outline: &'a Outline,
    set: &'a ReportedSet<'a>,
    verdict: &'a SetVerdict,
}

impl Shown<'_> {
    fn exact(&self) -> SetFigures {
        let units = self.set.units().len();
        let sum = |(sum, is_shown): (&ReportedSum, &bool)| {
            is_shown.then(|| ReleasedSum {
                total: plain(sum.total.get()),
                mean: plain(sum.total.get() / as_f64(units)),
            })
        };
        let parts = self.set.parts.iter();
        SetFigures {
            subjects: self.verdict.subjects.then(|| count(self.set.subjects.len())),
            units: self.verdict.units.then(|| count(units)),
            sums: self.set.sums.iter().zip(&self.verdict.sums).map(sum).collect(),
            parts: self
                .verdict
                .parts
                .then(|| parts.map(|part| count(part.units.len())).collect()),
        }
    }

    fn perturbed(&self, perturbation: &Perturbation, keys: &SetKeys) -> Result<SetFigures, DecideError> {
        let subjects = self.set.subjects.len();
        let counted = perturbation.count(subjects, &keys.subjects);
        let counted = counted.map(|count| perturbation.counted(count));
        let units = match &self.set.rows {
            Some(rows) => perturbation.rows(subjects, rows.units.len(), rows.most, &keys.units),
            None => counted,
        };
        let units = units.filter(|_| self.verdict.units);
        let sums = self.outline.sums.iter().zip(&self.set.sums).zip(&self.verdict.sums);
        let sums = sums.map(|(sum, is_shown)| match units.filter(|_| *is_shown) {
            Some(units) => self.noisy_sum(sum, units, (perturbation, keys)),
            None => Ok(None),
        });
        let parts = self.set.parts.iter().zip(&keys.parts);
        let parts = parts.map(|(part, key)| {
            // Numbers of rows would need the rows of the subject with most of them, in each part.
            let count = perturbation.count(part.units.len(), key);
            let count = count.filter(|_| self.counted == Counted::Subjects);
            count.map(|count| perturbation.counted(count))
        });
        Ok(SetFigures {
            subjects: counted.filter(|_| self.verdict.subjects),
            units,
            sums: sums.collect::<Result<_, _>>()?,
            parts: parts.collect::<Option<Vec<Noisy>>>().filter(|_| self.verdict.parts),
        })
    }

    fn noisy_sum(
        &self,
        (outline, sum): (&SumOutline, &ReportedSum),
        units: Noisy,
        (perturbation, keys): (&Perturbation, &SetKeys),
    ) -> Result<Option<ReleasedSum>, DecideError> {
        let most = self.set.rows.as_ref().map_or(1, |rows| rows.most.max(1));
        let measured = Measured {
            subjects: self.set.subjects.len(),
            units: self.set.units().len(),
            total: sum.total,
            largest: sum.largest,
            scale: scale(outline.bound, most)?,
        };
        let mean = perturbation.mean(&measured, units, &keys.units, outline.figure.as_bytes());
        Ok(mean.and_then(|mean| {
            let total = mean.sum_of(units)?;
            Some(ReleasedSum { total, mean })
        }))
    }
}

/// How large the contribution of a subject with up to `most` rows can be, in steps of two, so that the number of rows does not show.
fn scale(bound: Finite, most: u64) -> Result<Scale, DecideError> {
    let rows = most.checked_next_power_of_two().unwrap_or(u64::MAX);
    // What is too large becomes infinite, which is not a number of the type, and then has no scale either.
    let magnitude = Finite::new(bound.get() * as_f64(rows)).unwrap_or(bound);
    Ok(Scale::new(magnitude)?)
}

const fn plain(value: f64) -> Noisy {
    Noisy {
        value,
        standard_deviation: 0.0,
    }
}

const fn count(number: u64) -> Noisy {
    plain(as_f64(number))
}

#[expect(clippy::cast_precision_loss, reason = "numbers of subjects and rows are below 2^53")]
const fn as_f64(number: u64) -> f64 {
    number as f64
}
