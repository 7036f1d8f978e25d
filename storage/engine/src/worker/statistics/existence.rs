//! The answer at tier `exists`: whether a number is released.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, BooleanArray, RecordBatch},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use concordat_disclosure::{Released, ReleasedColumn};

use crate::{QueryError, worker::messages::failed};

/// The name of the one column.
const EXISTS: &str = "exists";

/// The one column.
pub(super) fn existence_columns() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(EXISTS, DataType::Boolean, true)]))
}

/// Whether a number is released. That none is stands for too few, for none, and for a number that is withheld.
///
/// # Errors
/// Only if the rows do not have this column.
pub(super) fn existence(released: &[Released]) -> Result<RecordBatch, QueryError> {
    let columns = released.iter().flat_map(Released::columns);
    let exists = columns.flat_map(ReleasedColumn::values).any(Option::is_some);
    let column: ArrayRef = Arc::new(BooleanArray::from(vec![exists]));
    RecordBatch::try_new(existence_columns(), vec![column]).map_err(|_| failed())
}
