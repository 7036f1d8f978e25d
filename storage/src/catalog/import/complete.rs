//! Whether columns that are declared complete are: each row of the version has a value in them, and with listed values one of these.
//!
//! Rows that stay are read again, unless the same was declared when they were imported. Rows without an owner are checked too: another import
//! may give them one.

use arrow::{
    array::{Array as _, ArrayRef, AsArray as _},
    datatypes::Float64Type,
    record_batch::RecordBatch,
};
use concordat_protocol::{
    collection::{AtomId, CollectionRules, ColumnRules, Datum, Levels},
    ids::{ColumnName, DatasetName},
};
use tokio::runtime::Handle;

use super::{
    super::CollectionRecord, ImportError, code_names::code_at, destination::Destination, stored_rows::for_each_stored,
    write::Part,
};

/// A complete column, and how many rows contradict.
struct Complete<'a> {
    column: &'a ColumnName,
    rules: &'a ColumnRules,
    /// Whether it was complete with the same levels in the version before.
    was_complete: bool,
    contradicting: u64,
}

/// Checks all rows of a version that was written and is not visible yet.
///
/// # Errors
/// [`ImportError::Declared`] with each column that has rows that contradict, and their number.
pub(super) fn check_complete(
    runtime: &Handle,
    parts: &[Part<'_>],
    destination: &Destination,
    rules: &CollectionRules,
) -> Result<(), ImportError> {
    let mut reasons = Vec::new();
    for (dataset, declared) in rules.datasets() {
        let columns = declared.columns().filter(|(_, column)| column.is_complete());
        let mut columns: Vec<Complete<'_>> = columns
            .map(|(column, rules)| Complete {
                column,
                rules,
                was_complete: was_complete(destination.old.as_ref(), (dataset, column), rules),
                contradicting: 0,
            })
            .collect();
        if columns.is_empty() {
            continue;
        }
        for part in parts.iter().filter(|part| part.prepared.name == dataset) {
            let shape = &part.prepared.shape;
            part.prepared.for_each(runtime, &mut |batch| {
                for complete in &mut columns {
                    let index = shape.index_of(complete.column);
                    complete.add(&batch, index.and_then(|index| batch.columns().get(index)));
                }
                Ok(())
            })?;
        }
        stored(runtime, destination, dataset, &mut columns)?;
        reasons.extend(columns.iter().filter_map(|complete| complete.reason(dataset)));
    }
    if reasons.is_empty() {
        Ok(())
    } else {
        Err(ImportError::Declared { reasons })
    }
}

/// Reads the rows that stay, for columns that were not complete before.
fn stored(
    runtime: &Handle,
    destination: &Destination,
    dataset: &DatasetName,
    columns: &mut [Complete<'_>],
) -> Result<(), ImportError> {
    let (Some(version), Some(stays)) = (&destination.previous, destination.stays_of(dataset)) else {
        return Ok(());
    };
    if columns.iter().all(|complete| complete.was_complete) {
        return Ok(());
    }
    for_each_stored(runtime, version, stays, &mut |batch| {
        for complete in columns.iter_mut().filter(|complete| !complete.was_complete) {
            complete.add(batch, batch.column_by_name(complete.column.as_str()));
        }
        Ok(())
    })
}

fn was_complete(
    old: Option<&CollectionRecord>,
    (dataset, column): (&DatasetName, &ColumnName),
    now: &ColumnRules,
) -> bool {
    let before = old.and_then(CollectionRecord::rules);
    let before = before.and_then(|before| before.dataset(dataset)?.column(column));
    before.is_some_and(|before| before.is_complete() && before.levels() == now.levels())
}

impl Complete<'_> {
    /// Counts the rows of a batch that contradict: all of them if they have no such column.
    fn add(&mut self, batch: &RecordBatch, values: Option<&ArrayRef>) {
        let levels = self.rules.levels();
        let rows = 0..batch.num_rows();
        let contradicting = rows.filter(|row| values.is_none_or(|values| !is_declared(levels, values, *row)));
        self.contradicting = self.contradicting.saturating_add(contradicting.count() as u64);
    }

    /// What is wrong, without a value.
    fn reason(&self, dataset: &DatasetName) -> Option<String> {
        let Self {
            column, contradicting, ..
        } = self;
        (*contradicting > 0).then(|| {
            format!(
                "`{dataset}.{column}` is declared `complete`, and {contradicting} rows have no value in it, or none of those that are \
                 declared; correct them, or declare `complete = false`"
            )
        })
    }
}

/// Whether the value in a row is one of those that are declared.
fn is_declared(levels: &Levels, values: &ArrayRef, row: usize) -> bool {
    if values.is_null(row) {
        return false;
    }
    let atom = match (values.as_primitive_opt::<Float64Type>(), code_at(values, row)) {
        (Some(numbers), _) => levels.atom_of(Datum::Float(numbers.value(row))),
        (None, Some(value)) => levels.atom_of(Datum::from(&value)),
        // Each truth value, date and point in time is true or false, or between edges. Dates are not compared with a list here.
        (None, None) => return matches!(levels, Levels::Truth | Levels::Edges(_)),
    };
    match (levels, atom) {
        // The last one is that of all values that are not listed.
        (Levels::Values(_), AtomId::Listed(at)) => levels.atoms().is_some_and(|atoms| at.saturating_add(1) < atoms),
        (Levels::Truth | Levels::Edges(_), AtomId::Listed(_)) => true,
        (Levels::None | Levels::Codes(_), AtomId::Listed(_)) | (_, AtomId::Null | AtomId::Code(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, BooleanArray, Int64Array, StringArray};
    use concordat_protocol::{
        collection::{Contents, Listed, RawLevels, ValueLabel},
        schema::ColumnKind,
        scope::Value,
    };

    use super::*;

    fn declared(levels: &Levels, values: impl Array + 'static) -> Vec<bool> {
        let values: ArrayRef = Arc::new(values);
        (0..values.len()).map(|row| is_declared(levels, &values, row)).collect()
    }

    #[test]
    fn complete_columns_have_declared_values_only() {
        let listed = |value: Value| Listed {
            label: ValueLabel::new("x").unwrap(),
            value,
        };
        let levels = |raw, kind| Levels::check(raw, Contents::Of(kind)).unwrap();
        let texts = ["m", "f"].map(|text| listed(Value::Text(text.to_owned())));
        let texts = levels(RawLevels::Values(texts.to_vec()), ColumnKind::Text);
        let values = StringArray::from(vec![Some("m"), Some("f"), Some("x"), None]);
        assert_eq!(declared(&texts, values), [true, true, false, false]);
        let wholes = levels(RawLevels::Values(vec![listed(Value::Int(1))]), ColumnKind::Int);
        let values = Int64Array::from(vec![Some(1), Some(2), None]);
        assert_eq!(declared(&wholes, values), [true, false, false]);
        let values = BooleanArray::from(vec![Some(true), Some(false), None]);
        assert_eq!(declared(&Levels::Truth, values), [true, true, false]);
        let edges = RawLevels::Edges {
            edges: vec![Value::Int(10)],
            levels: std::collections::BTreeMap::new(),
        };
        let edges = levels(edges, ColumnKind::Int);
        let values = Int64Array::from(vec![Some(5), Some(10), None]);
        assert_eq!(declared(&edges, values), [true, true, false]);
    }
}
