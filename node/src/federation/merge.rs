//! Aggregates over several members, from the parts that they have answered.
//!
//! A part that a member withholds is missing, and so is the member in the aggregate: the others are combined. Where all are missing, the
//! aggregate is missing too, and not zero. Means and variances are combined around the mean of what was combined before (Chan, Golub and
//! LeVeque 1983, "Algorithms for computing the sample variance"), so that no difference of large sums is taken.

use concordat_engine::Output;

/// A part of one member.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    /// A whole number.
    Whole(i128),
    /// Any number.
    Real(f64),
}

/// How an aggregate follows from the parts of members, each of which is named by its position.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Combined {
    /// The sum of a part.
    Sum(usize),
    /// The sum of one part divided by that of another one.
    Quotient {
        /// The dividend.
        of: usize,
        /// The divisor.
        by: usize,
    },
    /// A function of the values of a column.
    Values {
        /// Their number.
        count: usize,
        /// Their mean.
        mean: usize,
        /// Their variance, divided by their number.
        variance: Option<usize>,
        /// The function.
        output: Output,
    },
    /// A function of pairs of values.
    Pairs {
        /// Their number.
        count: usize,
        /// The means of the first and the second values.
        means: [usize; 2],
        /// Their variances, divided by the number of pairs.
        variances: [usize; 2],
        /// Their covariance, divided by the number of pairs.
        covariance: usize,
        /// The function.
        output: Output,
    },
    /// A multiple of another aggregate, and a constant.
    Scaled {
        /// The other aggregate.
        of: Box<Self>,
        /// What it is multiplied by.
        by: f64,
        /// What is added.
        plus: f64,
    },
}

impl Combined {
    /// The parts that a member must have for its rows to be in the aggregate.
    pub(super) fn parts(&self) -> Vec<usize> {
        match self {
            Self::Scaled { of, .. } => of.parts(),
            Self::Sum(part) => vec![*part],
            Self::Quotient { of, by } => vec![*of, *by],
            Self::Values {
                count, mean, variance, ..
            } => [*count, *mean].into_iter().chain(*variance).collect(),
            Self::Pairs {
                count,
                means,
                variances,
                covariance,
                ..
            } => {
                let [first, second] = *means;
                let [of_first, of_second] = *variances;
                vec![*count, first, second, of_first, of_second, *covariance]
            }
        }
    }

    /// The part that is the number of values.
    pub(super) fn count(&self) -> Option<usize> {
        match self {
            Self::Scaled { of, .. } => of.count(),
            Self::Sum(_) => None,
            Self::Quotient { by, .. } => Some(*by),
            Self::Values { count, .. } | Self::Pairs { count, .. } => Some(*count),
        }
    }

    /// Whether a member with these parts has all that it needs.
    pub(super) fn is_in(&self, parts: &[Option<Number>]) -> bool {
        self.parts()
            .iter()
            .all(|at| parts.get(*at).copied().flatten().is_some())
    }

    /// Whether a member with these parts has stated that it has no value, so that the aggregate does not lack any.
    pub(super) fn is_of_none(&self, parts: &[Option<Number>]) -> bool {
        let count = self.count().and_then(|at| parts.get(at).copied().flatten());
        count == Some(Number::Whole(0))
    }

    /// The aggregate over members with these parts; `None` if it is missing.
    pub(super) fn over(&self, members: &[&[Option<Number>]]) -> Option<Number> {
        let needed = self.parts();
        let parts = members.iter().filter_map(|member| {
            let of = |at: &usize| member.get(*at).copied().flatten();
            needed.iter().map(of).collect::<Option<Vec<Number>>>()
        });
        match self {
            Self::Scaled { of, by, plus } => of.over(members)?.scaled(*by, *plus),
            Self::Sum(_) => parts.filter_map(|parts| parts.first().copied()).reduce(Number::plus),
            Self::Quotient { .. } => {
                let pairs = parts.filter_map(|parts| <[Number; 2]>::try_from(parts).ok());
                let [of, by] = pairs.reduce(|[a, b], [c, d]| [a.plus(c), b.plus(d)])?;
                let quotient = of.real() / by.real();
                quotient.is_finite().then_some(Number::Real(quotient))
            }
            Self::Values { output, .. } => {
                let moments = parts.filter_map(|parts| Moments::of_values(&parts));
                moments.reduce(Moments::and)?.output(*output).map(Number::Real)
            }
            Self::Pairs { output, .. } => {
                let moments = parts.filter_map(|parts| Moments::of_pairs(&parts));
                moments.reduce(Moments::and)?.output(*output).map(Number::Real)
            }
        }
    }
}

impl Number {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a mean is as precise as a floating point number"
    )]
    pub(super) const fn real(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Real(number) => number,
        }
    }

    /// A multiple, and a constant; `None` if it is not finite. With the other sign a whole number stays one.
    fn scaled(self, by: f64, plus: f64) -> Option<Self> {
        if let (Self::Whole(number), true) = (self, by.to_bits() == (-1.0_f64).to_bits() && plus == 0.0) {
            return number.checked_neg().map(Self::Whole);
        }
        let value = self.real() * by + plus;
        value.is_finite().then_some(Self::Real(value))
    }

    fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Whole(one), Self::Whole(other)) => one
                .checked_add(other)
                .map_or_else(|| Self::Real(self.real() + Self::Whole(other).real()), Self::Whole),
            _ => Self::Real(self.real() + other.real()),
        }
    }
}

/// Moments of values or pairs around their means. Values have zero in place of what pairs have besides.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Moments {
    count: f64,
    means: [f64; 2],
    /// Sums of squares around the means.
    squares: [f64; 2],
    /// The sum of products around the means.
    products: f64,
}

impl Moments {
    fn of_values(parts: &[Number]) -> Option<Self> {
        let mut parts = parts.iter().map(|part| part.real());
        let count = parts.next()?;
        let mean = parts.next()?;
        let variance = parts.next().unwrap_or(0.0);
        Self {
            count,
            means: [mean, 0.0],
            squares: [count * variance, 0.0],
            products: 0.0,
        }
        .checked()
    }

    fn of_pairs(parts: &[Number]) -> Option<Self> {
        let parts: Vec<f64> = parts.iter().map(|part| part.real()).collect();
        let [count, first, second, of_first, of_second, covariance] = <[f64; 6]>::try_from(parts).ok()?;
        Self {
            count,
            means: [first, second],
            squares: [count * of_first, count * of_second],
            products: count * covariance,
        }
        .checked()
    }

    /// A member without values has no moments, whatever it states, and neither has one that states what is not a number.
    fn checked(self) -> Option<Self> {
        let [x, y] = self.means;
        let [square_x, square_y] = self.squares;
        let all = [self.count, x, y, square_x, square_y, self.products];
        (self.count > 0.0 && all.iter().all(|number| number.is_finite())).then_some(self)
    }

    fn and(self, other: Self) -> Self {
        let count = self.count + other.count;
        let weight = other.count / count;
        let [x, y] = self.means;
        let [other_x, other_y] = other.means;
        let away = [other_x - x, other_y - y];
        let [away_x, away_y] = away;
        let between = self.count * weight;
        let [square_x, square_y] = self.squares;
        let [more_x, more_y] = other.squares;
        Self {
            count,
            means: [x + away_x * weight, y + away_y * weight],
            squares: [
                square_x + more_x + away_x * away_x * between,
                square_y + more_y + away_y * away_y * between,
            ],
            products: self.products + other.products + away_x * away_y * between,
        }
    }

    /// The function; `None` if these values have none.
    fn output(&self, output: Output) -> Option<f64> {
        let Self {
            count,
            means: [mean, other_mean],
            squares: [square, other_square],
            products,
        } = *self;
        // Noise of a private figure can be larger than what there is.
        let square = square.max(0.0);
        let other_square = other_square.max(0.0);
        let of_sample = (count > 1.0).then_some(count - 1.0);
        let value = match output {
            Output::Sum => mean * count,
            Output::Mean => mean,
            Output::VarianceOfSample => square / of_sample?,
            Output::VarianceOfPopulation => square / count,
            Output::DeviationOfSample => (square / of_sample?).sqrt(),
            Output::DeviationOfPopulation => (square / count).sqrt(),
            Output::Correlation => (products / (square * other_square).sqrt()).clamp(-1.0, 1.0),
            Output::CovarianceOfSample => products / of_sample?,
            Output::CovarianceOfPopulation => products / count,
            Output::Slope => products / other_square,
            Output::Intercept => mean - products / other_square * other_mean,
            Output::Determination => (products * products / (square * other_square)).clamp(0.0, 1.0),
        };
        value.is_finite().then_some(value)
    }
}

#[cfg(test)]
mod tests;
