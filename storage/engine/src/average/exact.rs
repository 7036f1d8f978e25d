//! Exact sums and counts of groups.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array,
        PrimitiveArray,
    },
    datatypes::{DataType, Decimal128Type, Int64Type},
};
use datafusion::{
    common::ScalarValue,
    error::{DataFusionError, Result},
    logical_expr::{Accumulator, EmitTo, GroupsAccumulator},
};

/// Digits of an exact sum.
pub(super) const SUM_DIGITS: u8 = 38;

/// `sum / count / 10^scale`, rounded to the nearest number that 64 bits of floating point can hold or the one beside it; `None` without
/// numbers.
#[expect(
    clippy::cast_precision_loss,
    reason = "the quotient is rounded once to the nearest floating point number; the remainder is below the count"
)]
pub(super) fn quotient(sum: i128, count: u64, scale: i8) -> Option<f64> {
    let divisor = i128::from(count);
    let whole = sum.checked_div(divisor)?;
    let rest = sum.checked_rem(divisor)?;
    let mean = whole as f64 + rest as f64 / count as f64;
    Some(if scale == 0 {
        mean
    } else {
        mean / 10_f64.powi(i32::from(scale))
    })
}

/// The sum and count of one group.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    sum: i128,
    count: u64,
}

impl Part {
    const fn add(&mut self, value: i128) {
        self.sum = self.sum.saturating_add(value);
        self.count = self.count.saturating_add(1);
    }

    const fn remove(&mut self, value: i128) {
        self.sum = self.sum.saturating_sub(value);
        self.count = self.count.saturating_sub(1);
    }

    const fn merge(&mut self, other: Self) {
        self.sum = self.sum.saturating_add(other.sum);
        self.count = self.count.saturating_add(other.count);
    }
}

/// The means of all groups.
#[derive(Debug)]
pub(super) struct ExactMeans {
    scale: i8,
    parts: Vec<Part>,
}

impl ExactMeans {
    pub(super) const fn new(scale: i8) -> Self {
        Self {
            scale,
            parts: Vec::new(),
        }
    }
}

impl GroupsAccumulator for ExactMeans {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.parts.resize_with(total_num_groups, Part::default);
        let parts = &mut self.parts;
        each(values, |row, value| {
            let part = group_indices.get(row).and_then(|group| parts.get_mut(*group));
            if let Some(part) = part.filter(|_| counts(opt_filter, row)) {
                part.add(value);
            }
        })
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let scale = self.scale;
        let parts = emit_to.take_needed(&mut self.parts).into_iter();
        let means: Float64Array = parts.map(|part| quotient(part.sum, part.count, scale)).collect();
        Ok(Arc::new(means))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        state(&emit_to.take_needed(&mut self.parts))
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.parts.resize_with(total_num_groups, Part::default);
        for (other, group) in merged(values)?.zip(group_indices) {
            if let Some(part) = self.parts.get_mut(*group) {
                part.merge(other);
            }
        }
        Ok(())
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |column| column.len());
        let mut parts = vec![Part::default(); rows];
        each(values, |row, value| {
            if let Some(part) = parts.get_mut(row).filter(|_| counts(opt_filter, row)) {
                part.add(value);
            }
        })?;
        state(&parts)
    }

    fn size(&self) -> usize {
        self.parts.capacity().saturating_mul(size_of::<Part>())
    }
}

/// The mean of one group, also of the rows of a window.
#[derive(Debug)]
pub(super) struct SingleMean {
    scale: i8,
    part: Part,
}

impl SingleMean {
    pub(super) fn new(scale: i8) -> Self {
        Self {
            scale,
            part: Part::default(),
        }
    }
}

impl Accumulator for SingleMean {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        each(values, |_, value| self.part.add(value))
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        each(values, |_, value| self.part.remove(value))
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(quotient(
            self.part.sum,
            self.part.count,
            self.scale,
        )))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let columns = state(&[self.part])?;
        columns
            .iter()
            .map(|column| ScalarValue::try_from_array(column, 0))
            .collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        merged(states)?.for_each(|other| self.part.merge(other));
        Ok(())
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }
}

/// Visits the numbers of the first column, with their rows, in units of their last digit.
fn each(values: &[ArrayRef], mut visit: impl FnMut(usize, i128)) -> Result<()> {
    let column = values.first().ok_or_else(not_numbers)?;
    if let Some(whole) = column.as_primitive_opt::<Int64Type>() {
        each_of(whole, |row, value| visit(row, value.into()));
    } else {
        each_of(
            column.as_primitive_opt::<Decimal128Type>().ok_or_else(not_numbers)?,
            visit,
        );
    }
    Ok(())
}

fn each_of<T: ArrowPrimitiveType>(column: &PrimitiveArray<T>, mut visit: impl FnMut(usize, T::Native)) {
    let values = column.values().iter().enumerate();
    match column.nulls() {
        None => values.for_each(|(row, value)| visit(row, *value)),
        Some(nulls) => values
            .filter(|(row, _)| nulls.is_valid(*row))
            .for_each(|(row, value)| visit(row, *value)),
    }
}

fn counts(filter: Option<&BooleanArray>, row: usize) -> bool {
    filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
}

fn state(parts: &[Part]) -> Result<Vec<ArrayRef>> {
    let sums = Decimal128Array::from_iter_values(parts.iter().map(|part| part.sum));
    let counts = parts.iter().map(|part| i64::try_from(part.count).unwrap_or(i64::MAX));
    Ok(vec![
        Arc::new(sums.with_data_type(DataType::Decimal128(SUM_DIGITS, 0))),
        Arc::new(Int64Array::from_iter_values(counts)),
    ])
}

fn merged(states: &[ArrayRef]) -> Result<impl Iterator<Item = Part> + '_> {
    let [sums, counts] = states else {
        return Err(not_numbers());
    };
    let sums = sums.as_primitive_opt::<Decimal128Type>().ok_or_else(not_numbers)?;
    let counts = counts.as_primitive_opt::<Int64Type>().ok_or_else(not_numbers)?;
    Ok(sums.iter().zip(counts).map(|(sum, count)| Part {
        sum: sum.unwrap_or_default(),
        count: count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default(),
    }))
}

fn not_numbers() -> DataFusionError {
    DataFusionError::Internal("a mean is computed from whole numbers or decimals".to_owned())
}
