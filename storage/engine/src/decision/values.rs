//! Aggregates from released figures: nothing here is computed from anything else.

use concordat_disclosure::{
    DisclosureRules, Mode, Precision, Released, ReleasedColumn, ReleasedSum, SetFigures, Value,
};
use concordat_protocol::scope::Finite;

use super::{
    grid::{Requested, RequestedSet, malformed},
    quantiles::{self, Band, BandNoise},
};
use crate::{
    QueryError,
    compute::{CellReport, Monomial},
    statistic::{CellAggregate, Output},
};

/// How many standard deviations contain 95 of 100 draws of the noise of private figures.
const HALF_WIDTH: f64 = 1.96;

/// A figure, with the standard deviation of its noise.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Figure {
    value: f64,
    deviation: f64,
    is_whole: bool,
}

/// What is released of a statistic: one column for each of its aggregates.
///
/// # Errors
/// [`QueryError::Engine`] if the figures do not have the form of the statistic.
pub(super) fn released(
    requested: &Requested<'_>,
    report: &CellReport,
    figures: &[Vec<SetFigures>],
    (rules, noise): (&DisclosureRules, Option<&BandNoise>),
) -> Result<Released, QueryError> {
    let mut columns = Vec::new();
    for (aggregate, at) in requested.statistic.cells().iter().zip(&requested.set_of) {
        let set = requested.sets.get(*at).ok_or(malformed())?;
        let mut column = Vec::new();
        for (cell, sets) in report.cells.iter().zip(figures) {
            let shown = sets.get(*at).zip(cell.sets.get(*at));
            let (shown, measured) = shown.ok_or(malformed())?;
            let bands = || set.bands(measured, (rules.certain_threshold(), noise));
            column.push(value(requested, set, aggregate, (shown, &bands)));
        }
        columns.push(released_column(&column, rules.mode())?);
    }
    Released::new(rules.mode(), report.cells.len(), columns).map_err(|_| malformed())
}

/// A column with the largest deviation of its figures, so that how precise one is does not show more about it.
fn released_column(figures: &[Option<Figure>], mode: Mode) -> Result<ReleasedColumn, QueryError> {
    let finite = |number: f64| Finite::new(number).map_err(|_| malformed());
    let value = |figure: &Option<Figure>| match figure {
        Some(figure) if figure.is_whole => Ok(Some(Value::Whole(whole(figure.value)))),
        Some(figure) => finite(figure.value).map(|number| Some(Value::Real(number))),
        None => Ok(None),
    };
    let values = figures.iter().map(value).collect::<Result<Vec<_>, QueryError>>()?;
    let deviations = figures.iter().flatten().map(|figure| figure.deviation);
    let largest = deviations.fold(0.0, f64::max);
    let precision = match mode {
        Mode::Exact => Precision::Exact,
        Mode::Perturbed => Precision::StandardDeviation(finite(largest)?),
        Mode::Private => Precision::HalfWidth(finite(largest * HALF_WIDTH)?),
    };
    Ok(ReleasedColumn::new(precision, values))
}

fn value(
    requested: &Requested<'_>,
    set: &RequestedSet<'_>,
    aggregate: &CellAggregate,
    (shown, bands): (&SetFigures, &dyn Fn() -> Vec<Band>),
) -> Option<Figure> {
    let counted = |noisy: concordat_disclosure::Noisy| Figure {
        value: noisy.value,
        deviation: noisy.standard_deviation,
        is_whole: true,
    };
    let found = match aggregate {
        CellAggregate::Subjects { .. } => shown.subjects.map(counted),
        CellAggregate::Rows { .. } => shown.units.map(counted),
        CellAggregate::Moments { output, .. } => Moments::new(set, shown)?.output(*output),
        CellAggregate::Quantile { of, at, .. } => {
            let counts: Vec<f64> = shown.parts.as_ref()?.iter().map(|part| part.value).collect();
            let edges = set.outline.edges.as_ref()?;
            let range = requested.known.range(of)?;
            let value = quantiles::quantile(at.get(), &bands(), &counts, edges, range)?;
            Some(Figure {
                value,
                // Within the part that the quantile is in.
                deviation: 0.0,
                is_whole: false,
            })
        }
    };
    found.filter(|figure| figure.value.is_finite() && figure.deviation.is_finite())
}

/// The released sums of a set.
struct Moments<'a> {
    units: f64,
    centers: [f64; 2],
    sums: Vec<(Monomial, &'a ReleasedSum)>,
}

impl<'a> Moments<'a> {
    fn new(set: &RequestedSet<'_>, shown: &'a SetFigures) -> Option<Self> {
        let sums = set.outline.sums.iter().filter(|sum| sum.of != Monomial::One);
        let sums = sums.zip(&shown.sums);
        Some(Self {
            units: shown.units?.value,
            centers: set.outline.centers,
            sums: sums
                .filter_map(|(outline, sum)| Some((outline.of, sum.as_ref()?)))
                .collect(),
        })
    }

    fn sum(&self, of: Monomial) -> Option<&'a ReleasedSum> {
        let found = self.sums.iter().find(|(monomial, _)| *monomial == of);
        found.map(|(_, sum)| *sum)
    }

    fn mean(&self, of: Monomial) -> Option<f64> {
        Some(self.sum(of)?.mean.value)
    }

    fn output(&self, output: Output) -> Option<Figure> {
        match output {
            Output::Sum => {
                let total = self.sum(Monomial::X)?.total;
                Some(real(total.value, total.standard_deviation))
            }
            Output::Mean => {
                let mean = self.sum(Monomial::X)?.mean;
                Some(real(mean.value, mean.standard_deviation))
            }
            Output::VarianceOfPopulation => self.of_squares(self.variance_of_first()?, 1.0),
            Output::VarianceOfSample => self.of_squares(self.variance_of_first()? * self.sample()?, 1.0),
            Output::DeviationOfPopulation => self.of_squares(self.variance_of_first()?.sqrt(), 0.5),
            Output::DeviationOfSample => self.of_squares((self.variance_of_first()? * self.sample()?).sqrt(), 0.5),
            Output::CovarianceOfPopulation => Some(real(self.covariance()?, 0.0)),
            Output::CovarianceOfSample => Some(real(self.covariance()? * self.sample()?, 0.0)),
            Output::Correlation => Some(real(self.correlation()?, 0.0)),
            Output::Determination => Some(real(self.correlation()?.powi(2), 0.0)),
            Output::Slope => Some(real(self.slope()?, 0.0)),
            Output::Intercept => {
                let [first, second] = self.centers;
                let y = first + self.mean(Monomial::CenteredX)?;
                let x = second + self.mean(Monomial::CenteredY)?;
                Some(real(y - self.slope()? * x, 0.0))
            }
        }
    }

    /// A variance, or a power of it, with the part of its deviation that follows from the noise of squares.
    fn of_squares(&self, value: f64, power: f64) -> Option<Figure> {
        let squares = self.sum(Monomial::CenteredXX)?.mean;
        let variance = self.variance_of_first()?;
        let relative = if variance > 0.0 {
            squares.standard_deviation / variance
        } else {
            0.0
        };
        Some(real(value, value * relative * power))
    }

    /// The factor from a variance to that of a sample.
    fn sample(&self) -> Option<f64> {
        (self.units > 1.0).then(|| self.units / (self.units - 1.0))
    }

    fn variance_of_first(&self) -> Option<f64> {
        self.variance(Monomial::CenteredX, Monomial::CenteredXX)
    }

    /// `None` if it is negative, which noise can lead to.
    fn variance(&self, of: Monomial, squares: Monomial) -> Option<f64> {
        let variance = self.mean(squares)? - self.mean(of)?.powi(2);
        (variance >= 0.0).then_some(variance)
    }

    fn covariance(&self) -> Option<f64> {
        let product = self.mean(Monomial::CenteredXY)?;
        Some(product - self.mean(Monomial::CenteredX)? * self.mean(Monomial::CenteredY)?)
    }

    /// `None` unless both vary and the result is one of numbers: with noise it need not be.
    fn correlation(&self) -> Option<f64> {
        let first = self.variance_of_first()?;
        let second = self.variance(Monomial::CenteredY, Monomial::CenteredYY)?;
        let correlation = self.covariance()? / (first * second).sqrt();
        // Rounding of exact sums leads beyond one by no more than this.
        (first > 0.0 && second > 0.0 && correlation.abs() <= 1.0 + 1e-9).then(|| correlation.clamp(-1.0, 1.0))
    }

    /// Of the first value over the second one.
    fn slope(&self) -> Option<f64> {
        let second = self.variance(Monomial::CenteredY, Monomial::CenteredYY)?;
        // Only where noise left what numbers can be.
        self.correlation()?;
        (second > 0.0)
            .then(|| self.covariance().map(|covariance| covariance / second))
            .flatten()
    }
}

const fn real(value: f64, deviation: f64) -> Figure {
    Figure {
        value,
        deviation,
        is_whole: false,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a count, which is a whole number below 2^53"
)]
fn whole(number: f64) -> i64 {
    number.round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use concordat_disclosure::Noisy;

    /// The moments of pairs, as they are released without noise.
    fn sums(pairs: &[(f64, f64)], centers: [f64; 2]) -> Vec<(Monomial, ReleasedSum)> {
        let n = pairs.len() as f64;
        let of = |term: &dyn Fn(f64, f64) -> f64| {
            let total: f64 = pairs.iter().map(|(x, y)| term(x - centers[0], y - centers[1])).sum();
            let plain = |value| Noisy {
                value,
                standard_deviation: 0.0,
            };
            ReleasedSum {
                total: plain(total),
                mean: plain(total / n),
            }
        };
        vec![
            (Monomial::X, of(&|x, _| x + centers[0])),
            (Monomial::CenteredX, of(&|x, _| x)),
            (Monomial::CenteredY, of(&|_, y| y)),
            (Monomial::CenteredXX, of(&|x, _| x * x)),
            (Monomial::CenteredYY, of(&|_, y| y * y)),
            (Monomial::CenteredXY, of(&|x, y| x * y)),
        ]
    }

    #[test]
    fn aggregates_follow_from_moments() {
        let pairs = [(1.0, 2.0), (2.0, 1.0), (4.0, 5.0), (7.0, 6.0)];
        let sums = sums(&pairs, [3.0, -1.0]);
        let moments = Moments {
            units: 4.0,
            centers: [3.0, -1.0],
            sums: sums.iter().map(|(of, sum)| (*of, sum)).collect(),
        };
        let near = |output: Output, expected: f64| {
            let found = moments.output(output).unwrap().value;
            assert!((found - expected).abs() < 1e-12, "{output:?}: {found} {expected}");
        };
        near(Output::Sum, 14.0);
        near(Output::Mean, 3.5);
        near(Output::VarianceOfPopulation, 5.25);
        near(Output::VarianceOfSample, 7.0);
        near(Output::DeviationOfSample, 7.0_f64.sqrt());
        near(Output::CovarianceOfPopulation, 4.25);
        near(Output::CovarianceOfSample, 17.0 / 3.0);
        // The second value has the mean 3.5 and the variance 4.25.
        near(Output::Slope, 1.0);
        near(Output::Intercept, 0.0);
        near(Output::Determination, 4.25 * 4.25 / (5.25 * 4.25));
    }

    /// Noise may lead to what no numbers have: it is missing, and not shown.
    #[test]
    fn aggregates_of_impossible_moments_are_missing() {
        let mut sums = sums(&[(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)], [0.0, 0.0]);
        sums[3].1.mean.value = 1.0;
        let moments = Moments {
            units: 3.0,
            centers: [0.0, 0.0],
            sums: sums.iter().map(|(of, sum)| (*of, sum)).collect(),
        };
        assert_eq!(moments.output(Output::VarianceOfSample), None);
        assert_eq!(moments.output(Output::Correlation), None);
        assert!(moments.output(Output::Mean).is_some());
    }
}
