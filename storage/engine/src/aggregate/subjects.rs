//! The number of subjects in a cell, counted only as far as it matters.
//!
//! Whether a cell may be released depends only on whether it has at least the minimum number of subjects. So [`up_to`]
//! stops counting there: however many subjects a table has, a cell needs no more memory than for the minimum. Subjects
//! are distinguished by a 64-bit hash; if two have the same hash, the cell counts too few subjects, never too many.

use std::{collections::HashSet, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListBuilder, UInt32Array, UInt64Builder},
    buffer::NullBuffer,
    compute::take,
    datatypes::{DataType, Field, FieldRef, UInt64Type},
};
use datafusion::{
    common::{
        ScalarValue,
        hash_utils::{RandomState, create_hashes},
    },
    error::{DataFusionError, Result},
    logical_expr::{
        Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
        function::{AccumulatorArgs, StateFieldsArgs},
    },
};

/// Memory of one group without its hashes, in bytes.
const GROUP_BYTES: usize = size_of::<HashSet<u64>>();
/// Memory of one hash in a set that has just grown, in bytes.
const HASH_BYTES: usize = 32;

/// Which rows count: those in which all operands of an aggregate have a value, or the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum CountedRows {
    WithValue,
    WithoutValue,
}

impl CountedRows {
    /// Whether each of these rows counts: the first column has the subjects, the others are the operands.
    fn counting<'a>(
        self,
        values: &'a [ArrayRef],
        filter: Option<&'a BooleanArray>,
    ) -> Result<impl Fn(usize) -> bool + use<'a>> {
        let (subjects, operands) = values.split_first().ok_or_else(not_a_state)?;
        let missing = operands.iter().fold(None, |missing: Option<NullBuffer>, operand| {
            NullBuffer::union(missing.as_ref(), operand.logical_nulls().as_ref())
        });
        let without = self == Self::WithoutValue;
        Ok(move |row: usize| {
            let is_missing = missing.as_ref().is_some_and(|missing| missing.is_null(row));
            subjects.is_valid(row) && is_missing == without && filter.is_none_or(|filter| is_set(filter, row))
        })
    }
}

/// An aggregate function of a subject and of the operands of another aggregate: the number of distinct subjects of
/// those rows, but at most `enough`. It sees the operands as that aggregate does, after they have been computed.
pub(super) fn up_to(enough: usize, rows: CountedRows) -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(SubjectsUpTo {
        enough: enough.max(1),
        rows,
        signature: Signature::variadic_any(Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SubjectsUpTo {
    enough: usize,
    rows: CountedRows,
    signature: Signature,
}

impl AggregateUDFImpl for SubjectsUpTo {
    fn name(&self) -> &'static str {
        "subjects_up_to"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn is_nullable(&self) -> bool {
        false
    }

    fn default_value(&self, _: &DataType) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(0)))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new_list(
            format!("{}[seen]", args.name),
            hash_field(),
            false,
        ))])
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(SingleGroup(SeenSubjects::new(self.enough, self.rows))))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(SeenSubjects::new(self.enough, self.rows)))
    }
}

fn hash_field() -> Field {
    Field::new_list_field(DataType::UInt64, true)
}

/// The subjects seen in each group, as hashes.
#[derive(Debug)]
struct SeenSubjects {
    enough: usize,
    rows: CountedRows,
    groups: Vec<HashSet<u64>>,
    hashes: usize,
}

impl SeenSubjects {
    const fn new(enough: usize, rows: CountedRows) -> Self {
        Self {
            enough,
            rows,
            groups: Vec::new(),
            hashes: 0,
        }
    }

    fn wants_more(&self, group: usize) -> bool {
        self.groups.get(group).is_some_and(|seen| seen.len() < self.enough)
    }

    fn add(&mut self, group: usize, hash: u64) {
        if self.wants_more(group)
            && let Some(seen) = self.groups.get_mut(group)
        {
            self.hashes += usize::from(seen.insert(hash));
        }
    }

    fn take(&mut self, emit: EmitTo) -> Vec<HashSet<u64>> {
        let taken = emit.take_needed(&mut self.groups);
        self.hashes -= taken.iter().map(HashSet::len).sum::<usize>();
        taken
    }
}

impl GroupsAccumulator for SeenSubjects {
    /// Most rows belong to groups that already have enough: only the others are hashed.
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.groups.resize_with(total_num_groups, HashSet::new);
        let subjects = first_column(values)?;
        let counts = self.rows.counting(values, opt_filter)?;
        let wanted = (0_u32..).zip(group_indices).enumerate();
        let wanted = wanted.filter(|(row, (_, group))| self.wants_more(**group) && counts(*row));
        let (rows, groups): (Vec<u32>, Vec<usize>) = wanted.map(|(_, (row, group))| (row, *group)).unzip();
        if rows.is_empty() {
            return Ok(());
        }
        let hashes = hashes(&take(subjects, &UInt32Array::from(rows), None)?)?;
        for (group, hash) in groups.into_iter().zip(hashes) {
            self.add(group, hash);
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let counts = self.take(emit_to).into_iter().map(|seen| number(seen.len()));
        Ok(Arc::new(Int64Array::from_iter_values(counts)))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(lists(self.take(emit_to).into_iter().map(Some)))
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.groups.resize_with(total_num_groups, HashSet::new);
        let states = first_column(values)?.as_list_opt::<i32>().ok_or_else(not_a_state)?;
        for (state, group) in states.iter().zip(group_indices) {
            let Some(state) = state else { continue };
            let hashes = state.as_primitive_opt::<UInt64Type>().ok_or_else(not_a_state)?;
            hashes.values().iter().for_each(|hash| self.add(*group, *hash));
        }
        Ok(())
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let subjects = first_column(values)?;
        let counts = self.rows.counting(values, opt_filter)?;
        let hashes = hashes(subjects)?.into_iter().enumerate();
        Ok(lists(hashes.map(|(row, hash)| counts(row).then_some([hash]))))
    }

    fn size(&self) -> usize {
        self.groups.capacity() * GROUP_BYTES + self.hashes * HASH_BYTES
    }
}

/// The same for a query without groups.
#[derive(Debug)]
struct SingleGroup(SeenSubjects);

impl Accumulator for SingleGroup {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = first_column(values)?.len();
        self.0.update_batch(values, &vec![0; rows], None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = first_column(states)?.len();
        self.0.merge_batch(states, &vec![0; rows], 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let seen = self.0.groups.first().map_or(0, HashSet::len);
        Ok(ScalarValue::Int64(Some(number(seen))))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let seen = self.0.groups.first().cloned().unwrap_or_default();
        let states = lists([Some(seen)]);
        states
            .iter()
            .map(|state| ScalarValue::try_from_array(state, 0))
            .collect()
    }

    fn size(&self) -> usize {
        GroupsAccumulator::size(&self.0)
    }
}

fn first_column(values: &[ArrayRef]) -> Result<&ArrayRef> {
    values.first().ok_or_else(not_a_state)
}

fn is_set(filter: &BooleanArray, row: usize) -> bool {
    filter.is_valid(row) && filter.value(row)
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The same value has the same hash in every part of a query.
fn hashes(values: &ArrayRef) -> Result<Vec<u64>> {
    let mut hashes = vec![0; values.len()];
    create_hashes([values], &RandomState::with_seed(0), &mut hashes)?;
    Ok(hashes)
}

fn lists<H: IntoIterator<Item = u64>>(groups: impl IntoIterator<Item = Option<H>>) -> Vec<ArrayRef> {
    let mut lists = ListBuilder::new(UInt64Builder::new()).with_field(hash_field());
    for group in groups {
        lists.values().extend(group.into_iter().flatten().map(Some));
        lists.append(true);
    }
    vec![Arc::new(lists.finish())]
}

fn not_a_state() -> DataFusionError {
    DataFusionError::Internal("subjects are counted over a column".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    type Row = (usize, Option<i64>, bool);

    fn columns(rows: &[Row]) -> (ArrayRef, Vec<usize>, BooleanArray) {
        let subjects: Int64Array = rows.iter().map(|(_, subject, _)| *subject).collect();
        let groups = rows.iter().map(|(group, ..)| *group).collect();
        let filter: BooleanArray = rows.iter().map(|(.., counts)| Some(*counts)).collect();
        (Arc::new(subjects), groups, filter)
    }

    /// The state of a part of the rows: counted, or each row separately, as when partial aggregation is not worthwhile.
    fn state(enough: usize, rows: &[Row], counted: bool) -> (Vec<ArrayRef>, Vec<usize>) {
        let (subjects, groups, filter) = columns(rows);
        let mut seen = SeenSubjects::new(enough, CountedRows::WithValue);
        if counted {
            seen.update_batch(&[subjects], &groups, Some(&filter), 4).unwrap();
            (seen.state(EmitTo::All).unwrap(), (0..4).collect())
        } else {
            (seen.convert_to_state(&[subjects], Some(&filter)).unwrap(), groups)
        }
    }

    proptest! {
        #[test]
        fn merged_parts_count_up_to_enough(
            parts in proptest::collection::vec(
                (any::<bool>(), proptest::collection::vec((0_usize..4, proptest::option::of(0_i64..30), any::<bool>()), 0..60)),
                1..4,
            ),
            enough in 1_usize..15,
        ) {
            let mut whole = SeenSubjects::new(enough, CountedRows::WithValue);
            for (counted, rows) in &parts {
                let (states, groups) = state(enough, rows, *counted);
                whole.merge_batch(&states, &groups, 4).unwrap();
            }
            let found = whole.evaluate(EmitTo::All).unwrap();
            let found: Vec<i64> = found.as_primitive::<arrow::datatypes::Int64Type>().values().to_vec();
            for (group, found) in found.into_iter().enumerate() {
                let rows = parts.iter().flat_map(|(_, rows)| rows);
                let subjects: BTreeSet<i64> = rows
                    .filter(|(row_group, _, counts)| *row_group == group && *counts)
                    .filter_map(|(_, subject, _)| *subject)
                    .collect();
                prop_assert_eq!(found, number(subjects.len().min(enough)));
            }
            prop_assert_eq!(whole.hashes, 0);
        }
    }

    #[test]
    fn a_group_takes_no_more_memory_than_enough_subjects() {
        let subjects: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100_000));
        let mut seen = SeenSubjects::new(10, CountedRows::WithValue);
        seen.update_batch(&[subjects], &vec![0; 100_000], None, 1).unwrap();
        assert_eq!(seen.groups[0].len(), 10);
    }
}
