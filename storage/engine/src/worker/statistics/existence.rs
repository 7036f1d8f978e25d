//! The answer at tier `exists`: whether a number is released, and with `private`, where each number is, whether the released one with its noise
//! is at least the smallest cell. It is computed from what is released, so that it loses no more privacy than that.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, BooleanArray, RecordBatch},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use concordat_disclosure::{Released, ReleasedColumn, Value};
use concordat_protocol::scope::{Protection, Scope};

use crate::{QueryError, worker::messages::failed};

/// The name of the one column.
const EXISTS: &str = "exists";

/// The one column.
pub(super) fn existence_columns() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(EXISTS, DataType::Boolean, true)]))
}

/// Whether a number is released under this scope. That none is stands for too few, for none, and for a number that is withheld.
///
/// # Errors
/// Only if the rows do not have this column.
pub(super) fn existence(released: &[Released], scope: &Scope) -> Result<RecordBatch, QueryError> {
    let columns = released.iter().flat_map(Released::columns);
    let mut numbers = columns.flat_map(ReleasedColumn::values).flatten();
    let exists = match scope.protection {
        Protection::Exact | Protection::Perturbed(_) => numbers.next().is_some(),
        // Each number is released, also that of no one.
        Protection::Private(_) => numbers.any(|number| reaches(*number, scope.limits.min_cell)),
    };
    let column: ArrayRef = Arc::new(BooleanArray::from(vec![exists]));
    RecordBatch::try_new(existence_columns(), vec![column]).map_err(|_| failed())
}

fn reaches(number: Value, least: u32) -> bool {
    match number {
        Value::Whole(number) => number >= i64::from(least),
        Value::Real(number) => number.get() >= f64::from(least),
    }
}
