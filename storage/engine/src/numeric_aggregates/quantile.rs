//! Quantiles between two values.
//!
//! The position of the quantile `p` among `n` sorted values is `p * (n - 1)`, and a position between two values is interpolated with all
//! digits, as `PostgreSQL` and `DuckDB` do. The library keeps six digits of the position.

use std::{collections::VecDeque, sync::Arc};

use arrow::{
    array::{ArrayRef, AsArray, Float64Array},
    compute::cast,
    datatypes::{DataType, Float64Type},
};
use datafusion::{
    common::{ScalarValue, utils::SingleRowListArrayBuilder},
    error::{DataFusionError, Result},
    logical_expr::Accumulator,
};

/// Collects the values of a group, or of a frame that moves.
#[derive(Debug)]
pub(super) struct Quantile {
    /// From 0 to 1.
    at: f64,
    descending: bool,
    distinct: bool,
    /// A floating point type: that of the values and of the quantile.
    data_type: DataType,
    /// In the order of the rows.
    values: VecDeque<f64>,
}

impl Quantile {
    pub(super) fn new(at: f64, descending: bool, distinct: bool, data_type: DataType) -> Self {
        Self {
            at,
            descending,
            distinct,
            data_type,
            values: VecDeque::new(),
        }
    }

    fn quantile(&self) -> Option<f64> {
        let mut values: Vec<f64> = self.values.iter().copied().collect();
        if self.distinct {
            values.sort_unstable_by(f64::total_cmp);
            values.dedup_by(|one, other| one.total_cmp(other).is_eq());
        }
        quantile(values, self.at, self.descending)
    }
}

/// The quantile of these values, in any order; `None` if there are none.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of values is far below 2^53, and the position is between them"
)]
pub(super) fn quantile(mut values: Vec<f64>, at: f64, descending: bool) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let position = at * last as f64;
    let below = (position.floor() as usize).min(last);
    let weight = position - below as f64;
    let compare = |one: &f64, other: &f64| {
        let order = one.total_cmp(other);
        if descending { order.reverse() } else { order }
    };
    let (_, value, rest) = values.select_nth_unstable_by(below, compare);
    let value = *value;
    let next = rest.iter().copied().min_by(compare);
    Some(
        next.filter(|_| weight > 0.0)
            .map_or(value, |next| between(value, next, weight))
            + 0.0,
    )
}

fn between(one: f64, other: f64, weight: f64) -> f64 {
    if one.total_cmp(&other).is_eq() {
        return one;
    }
    let distance = other - one;
    if distance.is_finite() || !(one.is_finite() && other.is_finite()) {
        one + distance * weight
    } else {
        one * (1.0 - weight) + other * weight
    }
}

impl Accumulator for Quantile {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let column = values.first().ok_or_else(not_numbers)?;
        self.values.extend(numbers(column)?.iter().flatten());
        Ok(())
    }

    /// Frames move forward, so the first values leave.
    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let column = values.first().ok_or_else(not_numbers)?;
        let leaving = numbers(column)?.iter().flatten().count();
        self.values.drain(..leaving.min(self.values.len()));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::Float64(self.quantile()).cast_to(&self.data_type)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values: ArrayRef = Arc::new(Float64Array::from_iter_values(self.values.iter().copied()));
        let values = cast(&values, &self.data_type)?;
        Ok(vec![SingleRowListArrayBuilder::new(values).build_list_scalar()])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let lists = states.first().and_then(|lists| lists.as_list_opt::<i32>());
        for list in lists.ok_or_else(not_numbers)?.iter().flatten() {
            self.values.extend(numbers(&list)?.iter().flatten());
        }
        Ok(())
    }

    fn size(&self) -> usize {
        let values = self.values.capacity().saturating_mul(size_of::<f64>());
        size_of::<Self>().saturating_add(values)
    }
}

fn numbers(values: &ArrayRef) -> Result<Float64Array> {
    let values = cast(values, &DataType::Float64)?;
    values
        .as_primitive_opt::<Float64Type>()
        .cloned()
        .ok_or_else(not_numbers)
}

fn not_numbers() -> DataFusionError {
    DataFusionError::Internal("a quantile is computed from floating point numbers".to_owned())
}
