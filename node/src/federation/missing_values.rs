//! Values that are missing from the rows of an answer, counted as its requester reads them.
//!
//! Nothing is counted but what the rows show: a number of cells that a holder withholds would be an answer about people of whom there are too few.

use datafusion::arrow::array::{Array as _, RecordBatch};
use datafusion::arrow::datatypes::Schema;

use super::remark::Remark;

/// How many values are missing in each column of the rows so far.
#[derive(Debug, Default)]
pub(super) struct MissingValues {
    rows: u64,
    columns: Vec<u64>,
}

impl MissingValues {
    /// Counts those of further rows.
    pub(super) fn add(&mut self, rows: &RecordBatch) {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        self.rows = self.rows.saturating_add(count(rows.num_rows()));
        self.columns.resize(rows.num_columns(), 0);
        for (missing, column) in self.columns.iter_mut().zip(rows.columns()) {
            *missing = missing.saturating_add(count(column.logical_null_count()));
        }
    }

    /// The remark on them; `None` if there are none.
    pub(super) fn remark(&self, schema: &Schema) -> Option<Remark> {
        let columns = schema.fields().iter().zip(&self.columns);
        let columns = columns.filter(|(_, missing)| **missing > 0);
        let columns: Vec<(String, u64)> = columns
            .map(|(field, missing)| (field.name().clone(), *missing))
            .collect();
        (!columns.is_empty()).then(|| Remark::missing_figures(&columns, self.rows))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use concordat_documents::query::RemarkKind;
    use datafusion::arrow::array::{ArrayRef, Int64Array, NullArray};

    use super::*;

    fn rows(of: [Option<i64>; 2]) -> RecordBatch {
        let columns: [(&str, ArrayRef); 3] = [
            ("ward", Arc::new(Int64Array::from(vec![1, 2]))),
            ("n", Arc::new(Int64Array::from(of.to_vec()))),
            ("none", Arc::new(NullArray::new(2))),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, values)| (name, values, true))).unwrap()
    }

    #[test]
    fn missing_values_of_an_answer_are_counted_by_column() {
        let mut missing = MissingValues::default();
        let first = rows([Some(12), None]);
        assert_eq!(missing.remark(&first.schema()), None, "there are no rows");
        missing.add(&first);
        missing.add(&rows([None, None]));
        let document = missing.remark(&first.schema()).unwrap().document();
        assert_eq!(document.kind, RemarkKind::MissingFigures);
        let expected = "missing in `n` (3 of 4 rows), `none` (4 of 4 rows):";
        assert!(document.text.contains(expected), "{}", document.text);
        let complete = rows([Some(1), Some(2)]).project(&[0, 1]).unwrap();
        let mut none = MissingValues::default();
        none.add(&complete);
        assert_eq!(none.remark(&complete.schema()), None);
    }
}
