//! What is measured, up to a factor and a constant: the same sum for all multiples of a quantity.

use concordat_protocol::scope::Finite;

use super::arithmetic::is_one;
use crate::statistic::{measure::Output, terms::Quantity};

/// What is measured: a multiple of a quantity, and a constant. Two texts that differ in these only are one sum, so that its noise and what is
/// known of it are one too.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scaled {
    pub(super) of: Quantity,
    pub(super) by: f64,
    pub(super) plus: f64,
}

impl Scaled {
    /// Whether it is the quantity itself.
    pub(super) fn is_plain(&self) -> bool {
        is_one(self.by) && self.plus == 0.0
    }

    /// The same as a quantity of its own, for functions that do not follow from those of the other one.
    pub(super) fn into_quantity(self) -> Option<Quantity> {
        if self.is_plain() {
            return Some(self.of);
        }
        let times = |factor: f64| Finite::new(factor * self.by).ok();
        let terms = match self.of {
            Quantity::Column(path) => vec![(times(1.0)?, path)],
            Quantity::Linear { terms, plus } if plus.get() == 0.0 => {
                let terms = terms
                    .into_iter()
                    .map(|(factor, path)| Some((times(factor.get())?, path)));
                terms.collect::<Option<Vec<_>>>()?
            }
            of @ (Quantity::Days { .. } | Quantity::Seconds { .. }) if is_one(-self.by) && self.plus == 0.0 => {
                return reversed(of);
            }
            Quantity::InText(_)
            | Quantity::Seconds { .. }
            | Quantity::Days { .. }
            | Quantity::Age { .. }
            | Quantity::Linear { .. }
            | Quantity::OfSubject { .. } => return None,
        };
        Some(Quantity::Linear {
            terms,
            plus: Finite::new(self.plus).ok()?,
        })
    }
}

/// The days or seconds in the other direction. Ages have none.
pub(super) fn reversed(of: Quantity) -> Option<Quantity> {
    match of {
        Quantity::Days { from, to } => Some(Quantity::Days { from: to, to: from }),
        Quantity::Seconds { from, to } => Some(Quantity::Seconds { from: to, to: from }),
        Quantity::Column(_)
        | Quantity::InText(_)
        | Quantity::Age { .. }
        | Quantity::Linear { .. }
        | Quantity::OfSubject { .. } => None,
    }
}

/// The operands of which a function follows from that of what they are multiples of. A sum of values with a constant depends on their number,
/// and an intercept with a constant in its second operand on the slope: these are measured as they are written.
pub(super) fn scalable((of, with): (Scaled, Option<Scaled>), output: Output) -> Option<(Scaled, Option<Scaled>)> {
    let written = |operand: Scaled| {
        let of = operand.into_quantity()?;
        Some(Scaled { of, by: 1.0, plus: 0.0 })
    };
    let has_constant = |operand: &Scaled| operand.plus != 0.0;
    Some(match output {
        Output::Sum if has_constant(&of) => (written(of)?, with),
        Output::Intercept => match with {
            Some(with) if has_constant(&with) => (of, Some(written(with)?)),
            with => (of, with),
        },
        Output::Sum
        | Output::Mean
        | Output::VarianceOfSample
        | Output::VarianceOfPopulation
        | Output::DeviationOfSample
        | Output::DeviationOfPopulation
        | Output::Correlation
        | Output::CovarianceOfSample
        | Output::CovarianceOfPopulation
        | Output::Slope
        | Output::Determination => (of, with),
    })
}

/// By what a function of the quantities is multiplied, and what is added, for that of the operands.
pub(super) fn scale(output: Output, of: &Scaled, with: Option<&Scaled>) -> (f64, f64) {
    let by_second = with.map_or(1.0, |with| with.by);
    match output {
        Output::Sum => (of.by, 0.0),
        Output::Mean | Output::Intercept => (of.by, of.plus),
        Output::VarianceOfSample | Output::VarianceOfPopulation => (of.by * of.by, 0.0),
        Output::DeviationOfSample | Output::DeviationOfPopulation => (of.by.abs(), 0.0),
        Output::Correlation => (of.by.signum() * by_second.signum(), 0.0),
        Output::CovarianceOfSample | Output::CovarianceOfPopulation => (of.by * by_second, 0.0),
        // The first operand is the dependent one.
        Output::Slope => (of.by / by_second, 0.0),
        Output::Determination => (1.0, 0.0),
    }
}
