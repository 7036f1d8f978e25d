//! Accumulators of groups, of one group, and of frames that move over the rows.

use std::{collections::VecDeque, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array},
    datatypes::Float64Type,
};
use datafusion::{
    common::ScalarValue,
    error::{DataFusionError, Result},
    logical_expr::{Accumulator, EmitTo, GroupsAccumulator},
};

use super::parts::Part;

/// What is computed from a part.
pub(super) type Figure<P> = fn(&P) -> Option<f64>;

/// The figures of all groups.
#[derive(Debug)]
pub(super) struct Groups<P> {
    figure: Figure<P>,
    parts: Vec<P>,
}

impl<P: Part> Groups<P> {
    pub(super) fn new(figure: Figure<P>) -> Self {
        Self {
            figure,
            parts: Vec::new(),
        }
    }
}

impl<P: Part> GroupsAccumulator for Groups<P> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.parts.resize_with(total_num_groups, P::default);
        for ((row, group), pair) in group_indices.iter().enumerate().zip(rows(values)?) {
            let part = self.parts.get_mut(*group).filter(|_| counts(opt_filter, row));
            if let (Some(part), Some((y, x))) = (part, pair) {
                part.add(y, x);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let parts = emit_to.take_needed(&mut self.parts);
        let figures: Float64Array = parts.iter().map(self.figure).collect();
        Ok(Arc::new(figures))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(columns(&emit_to.take_needed(&mut self.parts)))
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.parts.resize_with(total_num_groups, P::default);
        for (other, group) in merged::<P>(values)?.iter().zip(group_indices) {
            if let Some(part) = self.parts.get_mut(*group) {
                part.merge(other);
            }
        }
        Ok(())
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let parts = rows(values)?.enumerate().map(|(row, pair)| {
            let pair = pair.filter(|_| counts(opt_filter, row));
            pair.map_or_else(P::default, |(y, x)| part_of(y, x))
        });
        Ok(columns(&parts.collect::<Vec<_>>()))
    }

    fn size(&self) -> usize {
        self.parts.capacity().saturating_mul(size_of::<P>())
    }
}

/// The figure of one group.
#[derive(Debug)]
pub(super) struct Single<P> {
    figure: Figure<P>,
    part: P,
}

impl<P: Part> Single<P> {
    pub(super) fn new(figure: Figure<P>) -> Self {
        Self {
            figure,
            part: P::default(),
        }
    }
}

impl<P: Part> Accumulator for Single<P> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for (y, x) in rows(values)?.flatten() {
            self.part.add(y, x);
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64((self.figure)(&self.part)))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(scalars(&self.part))
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for other in merged::<P>(states)? {
            self.part.merge(&other);
        }
        Ok(())
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }
}

/// The figure of a frame that moves. Floating point numbers that were added cannot be subtracted again: what rounding lost stays lost. So
/// the rows of the frame are kept in two parts, a queue of two stacks. Of the older rows there are the parts from each row to the last
/// of them, of which the first is dropped as its row leaves; newer rows become older ones when no older one is left. Each row is merged
/// at most twice.
#[derive(Debug)]
pub(super) struct Moving<P> {
    figure: Figure<P>,
    /// The last is the part of all older rows.
    older: Vec<P>,
    newer: VecDeque<Option<(f64, f64)>>,
    of_newer: P,
}

impl<P: Part> Moving<P> {
    pub(super) fn new(figure: Figure<P>) -> Self {
        Self {
            figure,
            older: Vec::new(),
            newer: VecDeque::new(),
            of_newer: P::default(),
        }
    }

    fn whole(&self) -> P {
        let mut whole = self.older.last().copied().unwrap_or_default();
        whole.merge(&self.of_newer);
        whole
    }

    fn drop_first(&mut self) -> Result<()> {
        if self.older.is_empty() {
            let mut following = P::default();
            for row in self.newer.drain(..).rev() {
                let mut part = row.map_or_else(P::default, |(y, x)| part_of(y, x));
                part.merge(&following);
                self.older.push(part);
                following = part;
            }
            self.of_newer = P::default();
        }
        if self.older.pop().is_none() {
            return Err(DataFusionError::Internal(
                "a row leaves a frame without rows".to_owned(),
            ));
        }
        Ok(())
    }
}

impl<P: Part> Accumulator for Moving<P> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for row in rows(values)? {
            if let Some((y, x)) = row {
                self.of_newer.add(y, x);
            }
            self.newer.push_back(row);
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let leaving = values.first().map_or(0, |column| column.len());
        for _ in 0..leaving {
            self.drop_first()?;
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64((self.figure)(&self.whole())))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(scalars(&self.whole()))
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        Err(DataFusionError::Internal(
            "the rows of a frame are not merged".to_owned(),
        ))
    }

    fn size(&self) -> usize {
        let older = self.older.capacity().saturating_mul(size_of::<P>());
        let newer = self.newer.capacity().saturating_mul(size_of::<Option<(f64, f64)>>());
        size_of::<Self>().saturating_add(older).saturating_add(newer)
    }
}

fn part_of<P: Part>(y: f64, x: f64) -> P {
    let mut part = P::default();
    part.add(y, x);
    part
}

/// The rows of one or two columns; `None` where a value is missing.
fn rows(values: &[ArrayRef]) -> Result<impl Iterator<Item = Option<(f64, f64)>> + '_> {
    let (y, x) = match values {
        [x] => (x, x),
        [y, x] => (y, x),
        _ => return Err(not_numbers()),
    };
    let y = y.as_primitive_opt::<Float64Type>().ok_or_else(not_numbers)?;
    let x = x.as_primitive_opt::<Float64Type>().ok_or_else(not_numbers)?;
    Ok(y.iter().zip(x).map(|(y, x)| y.zip(x)))
}

fn counts(filter: Option<&BooleanArray>, row: usize) -> bool {
    filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
}

fn scalars<P: Part>(part: &P) -> Vec<ScalarValue> {
    let state = part.state();
    let numbers = state.as_ref().iter();
    numbers.map(|number| ScalarValue::Float64(Some(*number))).collect()
}

/// A column for each number of the states.
fn columns<P: Part>(parts: &[P]) -> Vec<ArrayRef> {
    let mut columns = vec![Vec::with_capacity(parts.len()); P::FIELDS.len()];
    for part in parts {
        for (column, number) in columns.iter_mut().zip(part.state().as_ref()) {
            column.push(*number);
        }
    }
    let column = |numbers| -> ArrayRef { Arc::new(Float64Array::from_iter_values::<Vec<f64>>(numbers)) };
    columns.into_iter().map(column).collect()
}

fn merged<P: Part>(states: &[ArrayRef]) -> Result<Vec<P>> {
    let columns = states.iter().map(|column| column.as_primitive_opt::<Float64Type>());
    let columns = columns.collect::<Option<Vec<_>>>().ok_or_else(not_numbers)?;
    let rows = columns.first().map_or(0, |column| column.len());
    let mut numbers = Vec::with_capacity(columns.len());
    let parts = (0..rows).map(|row| {
        numbers.clear();
        numbers.extend(columns.iter().filter_map(|column| column.values().get(row).copied()));
        P::of_state(&numbers).ok_or_else(not_numbers)
    });
    parts.collect()
}

fn not_numbers() -> DataFusionError {
    DataFusionError::Internal("an aggregate of floating point numbers has other arguments".to_owned())
}
