//! The result of a counted grouping, before and after cells are withheld.

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions},
    compute::{filter_record_batch, nullif},
    datatypes::{Field, Int64Type, Schema},
    error::ArrowError,
};
use datafusion::scalar::ScalarValue;

use crate::{
    QueryError,
    disclosure::{Cell, Subjects, withhold, withhold_values},
};

/// Prefix of the names of the counts that are added to a grouping.
pub(crate) const MEASURED: &str = "__concordat_cell_";

/// Counts of the whole group, before those of the counted items: subjects and rows.
const GROUP_COUNTS: usize = 2;
/// Counts of each counted item: subjects and rows with a value, then without.
const ITEM_COUNTS: usize = 4;

/// One row for each group: dimensions, measures, then subjects and rows of the group, and for each counted item subjects
/// and rows with a value, and without.
#[derive(Debug)]
pub(crate) struct Cells {
    table: RecordBatch,
    dimensions: usize,
    measures: Vec<Option<usize>>,
}

impl Cells {
    /// `measures` has, for each measure, the counted item that it aggregates.
    pub(crate) const fn new(table: RecordBatch, dimensions: usize, measures: Vec<Option<usize>>) -> Self {
        Self {
            table,
            dimensions,
            measures,
        }
    }

    /// The number of groups.
    pub(crate) fn groups(&self) -> usize {
        self.table.num_rows()
    }

    /// Subjects in each group, counted up to the requested number.
    pub(crate) fn subjects(&self) -> Result<Vec<u64>, QueryError> {
        self.counts(0)
    }

    /// The cells that may be released, with plain names, and how many values of a row without groups were withheld.
    ///
    /// A withheld group has no row, and the number is 0: it would count groups that the requester does not see. Without
    /// `GROUP BY`, there is always one row, in which a withheld value is missing, whether few subjects match or none.
    pub(crate) fn release(&self, min_cell: u64, subjects: Subjects) -> Result<(RecordBatch, u64), QueryError> {
        let keys = self.keys()?;
        let groups = withhold(&self.cells(&keys, 0)?, &vec![false; keys.len()], min_cell, subjects);
        let mut columns = self.table.columns().get(..self.dimensions).unwrap_or_default().to_vec();
        let mut withheld = 0_u64;
        for (index, item) in self.measures.iter().enumerate() {
            let hidden = match item {
                Some(item) => {
                    let first = GROUP_COUNTS.saturating_add(item.saturating_mul(ITEM_COUNTS));
                    let with = self.cells(&keys, first)?;
                    let without = self.cells(&keys, first.saturating_add(GROUP_COUNTS))?;
                    withhold_values(&with, &without, &groups, min_cell, subjects)
                }
                None => groups.clone(),
            };
            withheld = withheld.saturating_add(count(&hidden));
            columns.push(
                nullif(
                    self.column(self.dimensions.saturating_add(index))?,
                    &BooleanArray::from(hidden),
                )
                .map_err(failed)?,
            );
        }
        let released = named(columns, keys.len()).map_err(failed)?;
        if self.dimensions == 0 {
            return Ok((released, withheld));
        }
        let shown: BooleanArray = groups.iter().map(|withheld| Some(!withheld)).collect();
        Ok((filter_record_batch(&released, &shown).map_err(failed)?, 0))
    }

    /// The cells whose subjects and rows are the counts at `first` and after it.
    fn cells(&self, keys: &[Vec<u32>], first: usize) -> Result<Vec<Cell>, QueryError> {
        let counts = self
            .counts(first)?
            .into_iter()
            .zip(self.counts(first.saturating_add(1))?);
        let cells = keys.iter().zip(counts).map(|(key, (subjects, rows))| Cell {
            key: key.clone(),
            subjects,
            rows,
        });
        Ok(cells.collect())
    }

    /// Each group's coordinate along each dimension.
    fn keys(&self) -> Result<Vec<Vec<u32>>, QueryError> {
        let mut keys = vec![Vec::with_capacity(self.dimensions); self.table.num_rows()];
        for column in self.table.columns().iter().take(self.dimensions) {
            let mut codes: HashMap<ScalarValue, u32> = HashMap::new();
            for (row, key) in keys.iter_mut().enumerate() {
                let value =
                    ScalarValue::try_from_array(column, row).map_err(|_| QueryError::Engine { step: "withholding" })?;
                let next = u32::try_from(codes.len()).unwrap_or(u32::MAX);
                key.push(*codes.entry(value).or_insert(next));
            }
        }
        Ok(keys)
    }

    fn counts(&self, which: usize) -> Result<Vec<u64>, QueryError> {
        let column = self.column(
            self.dimensions
                .saturating_add(self.measures.len())
                .saturating_add(which),
        )?;
        let counts = column
            .as_primitive_opt::<Int64Type>()
            .ok_or(QueryError::Engine { step: "withholding" })?;
        Ok(counts
            .iter()
            .map(|count| count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
            .collect())
    }

    fn column(&self, index: usize) -> Result<&ArrayRef, QueryError> {
        self.table
            .columns()
            .get(index)
            .ok_or(QueryError::Engine { step: "withholding" })
    }
}

fn count(hidden: &[bool]) -> u64 {
    hidden
        .iter()
        .filter(|hidden| **hidden)
        .count()
        .try_into()
        .unwrap_or(u64::MAX)
}

fn named(columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, ArrowError> {
    let field = |(at, column): (usize, &ArrayRef)| Field::new(format!("c{at}"), column.data_type().clone(), true);
    let schema = Schema::new(columns.iter().enumerate().map(field).collect::<Vec<_>>());
    let rows = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(schema), columns, &rows)
}

fn failed(_: ArrowError) -> QueryError {
    QueryError::Engine { step: "withholding" }
}
