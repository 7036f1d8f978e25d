//! Figures of values that are limited to a declared range, or known by bands only: the reader of an answer has to know of both.
//!
//! They follow from the text and the declarations, whatever the values are.

use std::collections::BTreeSet;

use concordat_protocol::scope::Finite;

use super::conditions::described;
use crate::statistic::{block::Statistic, known::KnownCollection, measure::CellAggregate, terms::Quantity};

/// What figures are computed of, of which values beyond a declared range count as its nearest end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LimitedValues {
    /// The column, or what is computed from several.
    pub column: String,
    /// The least value, in the unit of the column.
    pub low: Finite,
    /// The greatest value.
    pub high: Finite,
    /// The figures.
    pub figures: LimitedFigures,
}

/// How figures depend on a declared range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LimitedFigures {
    /// Sums, means and other functions of them: each value is limited to the range.
    Sums,
    /// Quantiles: the values of a band count as evenly distributed between its ends, of which the outermost are those of the range.
    Quantiles,
}

impl LimitedValues {
    /// Those of a statistic over a collection that is shown so.
    #[must_use]
    pub fn of(statistic: &Statistic, known: &KnownCollection) -> BTreeSet<Self> {
        let mut found = BTreeSet::new();
        for aggregate in statistic.cells() {
            let (operands, figures) = match aggregate {
                CellAggregate::Moments { of, with, .. } => ([Some(of), with.as_ref()], LimitedFigures::Sums),
                CellAggregate::Quantile { of, .. } => ([Some(of), None], LimitedFigures::Quantiles),
                CellAggregate::Subjects { .. } | CellAggregate::Rows { .. } => continue,
            };
            let operands = operands.into_iter().flatten();
            found.extend(operands.filter_map(|operand| Self::limiting(operand, known, figures)));
        }
        found
    }

    fn limiting(of: &Quantity, known: &KnownCollection, figures: LimitedFigures) -> Option<Self> {
        let range = known.range(of)?;
        Some(Self {
            column: described(of),
            low: Finite::new(range.low()).ok()?,
            high: Finite::new(range.high()).ok()?,
            figures,
        })
    }
}
