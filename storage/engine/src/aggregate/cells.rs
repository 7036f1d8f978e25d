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
    disclosure::{Cell, Subjects, withhold},
};

/// Prefix of the names of the counts that are added to a grouping.
pub(crate) const MEASURED: &str = "__concordat_cell_";

/// One row for each group: dimensions, measures, then subjects and rows of the group and of each counted column.
#[derive(Debug)]
pub(crate) struct Cells {
    table: RecordBatch,
    dimensions: usize,
    measures: Vec<Option<usize>>,
}

impl Cells {
    /// `measures` has, for each measure, the counted column that it aggregates.
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

    /// The cells that may be released, with plain names, and how many were withheld.
    ///
    /// A withheld group has no row. Without `GROUP BY`, there is always one row, which is empty if it is withheld.
    pub(crate) fn release(&self, min_cell: u64, subjects: Subjects) -> Result<(RecordBatch, u64), QueryError> {
        let keys = self.keys()?;
        let cells = |counted: usize| {
            let counts = self.counts(counted * 2)?.into_iter().zip(self.counts(counted * 2 + 1)?);
            let cells = keys.iter().zip(counts).map(|(key, (subjects, rows))| Cell {
                key: key.clone(),
                subjects,
                rows,
            });
            Ok::<_, QueryError>(cells.collect::<Vec<_>>())
        };
        let groups = withhold(&cells(0)?, &vec![false; keys.len()], min_cell, subjects);
        let mut columns = self.table.columns().get(..self.dimensions).unwrap_or_default().to_vec();
        let mut withheld = 0_u64;
        for (index, counted) in self.measures.iter().enumerate() {
            let hidden = match counted {
                Some(counted) => withhold(&cells(counted.saturating_add(1))?, &groups, min_cell, subjects),
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
        if self.measures.is_empty() {
            withheld = count(&groups);
        }
        let released = named(columns, keys.len()).map_err(failed)?;
        if self.dimensions == 0 {
            return Ok((released, withheld));
        }
        let shown: BooleanArray = groups.iter().map(|withheld| Some(!withheld)).collect();
        Ok((filter_record_batch(&released, &shown).map_err(failed)?, withheld))
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
