//! What is released of an answer: values, and how precise they are.
//!
//! A cell that is withheld has no value, for whichever reason: below its threshold, empty, dominated, or isolating. How precise values
//! are is stated once for a column, so that it does not show anything about a cell.

use concordat_protocol::scope::Finite;
use serde::{Deserialize, Serialize};

use crate::loss::half_width;
use crate::perturbation::{Noisy, Perturbation};
use crate::sampling::Gaussian;

/// How the figures of an answer are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// As computed.
    Exact,
    /// With noise that depends on the set of subjects.
    Perturbed,
    /// With noise that is drawn for each answer.
    Private,
}

/// How far the values of a column are from what was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// They are what was computed.
    Exact,
    /// The noise of each has at most this standard deviation.
    StandardDeviation(Finite),
    /// Each is within this distance of what was computed, in 95 of 100 answers.
    HalfWidth(Finite),
}

/// One figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// A count.
    Whole(i64),
    /// A sum, a mean or a moment.
    Real(Finite),
}

/// The figures of one column, one for each cell of the grid; `None` is withheld.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleasedColumn {
    values: Vec<Option<Value>>,
    precision: Precision,
}

impl ReleasedColumn {
    /// Figures without noise.
    pub const fn exact(values: Vec<Option<Value>>) -> Self {
        Self {
            values,
            precision: Precision::Exact,
        }
    }

    /// Figures that were computed from figures of this precision, or were stored.
    pub const fn new(precision: Precision, values: Vec<Option<Value>>) -> Self {
        Self { values, precision }
    }

    /// Counts of the perturbed mode.
    ///
    /// # Errors
    /// [`AnswerError::NotFinite`] for a count beyond `i64`.
    pub fn perturbed_counts(perturbation: &Perturbation, counts: &[Option<u64>]) -> Result<Self, AnswerError> {
        let value = |count: &Option<u64>| {
            let count = count.map(|count| i64::try_from(count).map(Value::Whole)).transpose();
            count.map_err(|_| AnswerError::NotFinite)
        };
        Ok(Self {
            values: counts.iter().map(value).collect::<Result<_, _>>()?,
            precision: Precision::StandardDeviation(finite(perturbation.count_deviation())?),
        })
    }

    /// Means or sums of the perturbed mode. The largest of their standard deviations is stated.
    ///
    /// # Errors
    /// [`AnswerError::NotFinite`] if one of them is not a finite number.
    pub fn perturbed(figures: &[Option<Noisy>]) -> Result<Self, AnswerError> {
        let value = |figure: &Option<Noisy>| figure.map(|figure| finite(figure.value).map(Value::Real)).transpose();
        let deviations = figures.iter().flatten().map(|figure| finite(figure.standard_deviation));
        let deviations: Vec<Finite> = deviations.collect::<Result<_, _>>()?;
        Ok(Self {
            values: figures.iter().map(value).collect::<Result<_, _>>()?,
            precision: Precision::StandardDeviation(deviations.into_iter().max().map_or_else(|| finite(0.0), Ok)?),
        })
    }

    /// Counts of the private mode: what was computed and a draw of `noise`, for each cell. None is withheld.
    ///
    /// # Errors
    /// [`AnswerError::NotFinite`] if the interval is not a finite number.
    pub fn private_counts(noise: &Gaussian, counts: &[i64]) -> Result<Self, AnswerError> {
        Ok(Self {
            values: counts.iter().map(|count| Some(Value::Whole(*count))).collect(),
            precision: Precision::HalfWidth(finite(as_f64(half_width(noise)))?),
        })
    }

    /// Sums of the private mode, as numbers of `step`. None is withheld.
    ///
    /// # Errors
    /// [`AnswerError::NotFinite`] if one of them or the interval is not a finite number.
    pub fn private_sums(noise: &Gaussian, step: Finite, sums: &[i64]) -> Result<Self, AnswerError> {
        let value = |sum: &i64| finite(signed_as_f64(*sum) * step.get()).map(|sum| Some(Value::Real(sum)));
        Ok(Self {
            values: sums.iter().map(value).collect::<Result<_, _>>()?,
            precision: Precision::HalfWidth(finite(as_f64(half_width(noise)) * step.get().abs())?),
        })
    }

    /// One value for each cell.
    pub fn values(&self) -> &[Option<Value>] {
        &self.values
    }

    /// How precise they are.
    pub const fn precision(&self) -> Precision {
        self.precision
    }

    /// The interval that contains the figure without noise in 95 of 100 answers: of a private figure, and of an exact one, which is its
    /// own. `None` if the cell is withheld or unknown, or has noise of another kind.
    pub fn interval(&self, cell: usize) -> Option<(f64, f64)> {
        let value = match (*self.values.get(cell)?)? {
            Value::Whole(count) => signed_as_f64(count),
            Value::Real(number) => number.get(),
        };
        match self.precision {
            Precision::Exact => Some((value, value)),
            Precision::HalfWidth(width) => Some((value - width.get(), value + width.get())),
            Precision::StandardDeviation(_) => None,
        }
    }

    const fn mode(&self) -> Mode {
        match self.precision {
            Precision::Exact => Mode::Exact,
            Precision::StandardDeviation(_) => Mode::Perturbed,
            Precision::HalfWidth(_) => Mode::Private,
        }
    }
}

/// All of an answer. INVARIANT: each column is of its mode and has one value for each cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released {
    mode: Mode,
    columns: Vec<ReleasedColumn>,
}

/// Columns that are not one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// One has another mode.
    #[error("a column of the answer is protected in another way than the answer")]
    MixedModes,
    /// One has more values than another.
    #[error("the columns of the answer do not have one value for each cell")]
    Cells,
    /// Infinities and what is not a number are never released.
    #[error("a figure with noise is not a finite number")]
    NotFinite,
}

impl Released {
    /// Checks that the columns belong together.
    ///
    /// # Errors
    /// [`AnswerError`] if one is of another mode, or does not have `cells` values.
    pub fn new(mode: Mode, cells: usize, columns: Vec<ReleasedColumn>) -> Result<Self, AnswerError> {
        if columns.iter().any(|column| column.mode() != mode) {
            return Err(AnswerError::MixedModes);
        }
        if columns.iter().any(|column| column.values.len() != cells) {
            return Err(AnswerError::Cells);
        }
        Ok(Self { mode, columns })
    }

    /// How it is protected.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The number of cells.
    pub fn cells(&self) -> usize {
        self.columns.first().map_or(0, |column| column.values.len())
    }

    /// Its columns.
    pub fn columns(&self) -> &[ReleasedColumn] {
        &self.columns
    }

    /// Whether the figures of the parts of a set add up to that of the set: only without noise.
    pub const fn is_additive(&self) -> bool {
        matches!(self.mode, Mode::Exact)
    }
}

fn finite(number: f64) -> Result<Finite, AnswerError> {
    Finite::new(number).map_err(|_| AnswerError::NotFinite)
}

#[expect(clippy::cast_precision_loss, reason = "below 2^28")]
const fn as_f64(half_width: u64) -> f64 {
    half_width as f64
}

#[expect(clippy::cast_precision_loss, reason = "noise is larger than what is lost above 2^53")]
const fn signed_as_f64(number: i64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use concordat_protocol::scope::Noise;

    use super::*;

    fn number(number: f64) -> Finite {
        Finite::new(number).unwrap()
    }

    #[test]
    fn answer_states_its_precision_by_mode() {
        let exact = ReleasedColumn::exact(vec![Some(Value::Whole(12)), None]);
        assert_eq!(
            (exact.interval(0), exact.interval(1), exact.interval(2)),
            (Some((12.0, 12.0)), None, None)
        );

        let noise = Gaussian::new(100, 1).unwrap();
        let counts = ReleasedColumn::private_counts(&noise, &[-3, 40]).unwrap();
        assert_eq!(counts.precision(), Precision::HalfWidth(number(20.0)));
        assert_eq!(
            counts.interval(0),
            Some((-23.0, 17.0)),
            "a count with noise may be negative"
        );
        let sums = ReleasedColumn::private_sums(&noise, number(0.5), &[-3, 40]).unwrap();
        assert_eq!(sums.interval(1), Some((10.0, 30.0)));

        let noisy = |value, standard_deviation| {
            Some(Noisy {
                value,
                standard_deviation,
            })
        };
        let means = ReleasedColumn::perturbed(&[noisy(1.0, 0.2), None, noisy(2.0, 0.4)]).unwrap();
        assert_eq!(means.precision(), Precision::StandardDeviation(number(0.4)));
        assert_eq!((means.interval(0), means.values()[1]), (None, None));

        let perturbation = Perturbation::of(Noise::new(3, 5, 5).unwrap(), NonZeroU32::MIN).unwrap();
        let counts = ReleasedColumn::perturbed_counts(&perturbation, &[Some(10), None]).unwrap();
        assert_eq!(counts.precision(), Precision::StandardDeviation(number(5.0_f64.sqrt())));
        let released = Released::new(Mode::Perturbed, 2, vec![counts]).unwrap();
        assert!(!released.is_additive());
    }

    #[test]
    fn answer_of_columns_that_differ_is_refused() {
        let exact = || ReleasedColumn::exact(vec![Some(Value::Whole(1))]);
        let private = ReleasedColumn::private_counts(&Gaussian::new(1, 1).unwrap(), &[1]).unwrap();
        assert!(
            Released::new(Mode::Exact, 1, vec![exact(), exact()])
                .unwrap()
                .is_additive()
        );
        assert_eq!(
            Released::new(Mode::Private, 1, vec![private, exact()]),
            Err(AnswerError::MixedModes)
        );
        assert_eq!(Released::new(Mode::Exact, 2, vec![exact()]), Err(AnswerError::Cells));
    }

    #[test]
    fn answer_never_has_a_number_that_is_not_finite() {
        let noisy = |value, standard_deviation| {
            [Some(Noisy {
                value,
                standard_deviation,
            })]
        };
        for figures in [noisy(f64::NAN, 1.0), noisy(f64::INFINITY, 1.0), noisy(1.0, f64::NAN)] {
            assert_eq!(ReleasedColumn::perturbed(&figures), Err(AnswerError::NotFinite));
        }
        let noise = Gaussian::new(1, 1).unwrap();
        assert!(ReleasedColumn::private_sums(&noise, number(f64::MAX), &[2]).is_err());
    }
}
