//! The permission's row filter as an expression over the stored columns.

use arrow::datatypes::{DataType, Schema};
use concordat_protocol::scope::{Bound, Constraint, Kind, Rows, Value, Values};
use datafusion::{
    common::{Column, ScalarValue},
    logical_expr::{Expr, lit},
};

use super::QueryError;

/// The condition that permitted rows satisfy; `None` if all rows are permitted.
///
/// # Errors
/// [`QueryError::MissingColumn`] or [`QueryError::RowsMismatch`] if the filter does not match the stored columns.
pub(super) fn condition(rows: &Rows, stored: &Schema) -> Result<Option<Expr>, QueryError> {
    let mut all: Option<Expr> = None;
    for (column, constraint) in rows.constraints() {
        let name = column.as_str();
        let field = stored.field_with_name(name).map_err(|_| QueryError::MissingColumn {
            column: name.to_owned(),
        })?;
        if !constraint
            .kind()
            .is_none_or(|kind| is_comparable(kind, field.data_type()))
        {
            return Err(QueryError::RowsMismatch {
                column: name.to_owned(),
            });
        }
        let one = constrained(name, constraint);
        all = Some(match all {
            Some(before) => before.and(one),
            None => one,
        });
    }
    Ok(all)
}

const fn is_comparable(kind: Kind, stored: &DataType) -> bool {
    match kind {
        Kind::Bool => matches!(stored, DataType::Boolean),
        Kind::Int => matches!(stored, DataType::Int64 | DataType::Int32 | DataType::Float64),
        Kind::Float => matches!(stored, DataType::Float64),
        Kind::Date => matches!(stored, DataType::Date32),
        Kind::Text => matches!(stored, DataType::Utf8),
    }
}

fn constrained(name: &str, constraint: &Constraint) -> Expr {
    let column = Expr::Column(Column::new_unqualified(name));
    let missing = column.clone().is_null();
    let values = match constraint.values() {
        Values::Any => column.is_not_null(),
        Values::Set(set) if set.is_empty() => return missing,
        Values::Set(set) => column.in_list(set.iter().map(literal).collect(), false),
        Values::Range { low, high } => range(&column, low.as_ref(), high.as_ref()),
    };
    if constraint.allows_null() {
        values.or(missing)
    } else {
        values
    }
}

fn range(column: &Expr, low: Option<&Bound>, high: Option<&Bound>) -> Expr {
    let above = low.map(|bound| {
        let end = literal(&bound.value);
        if bound.inclusive {
            column.clone().gt_eq(end)
        } else {
            column.clone().gt(end)
        }
    });
    let below = high.map(|bound| {
        let end = literal(&bound.value);
        if bound.inclusive {
            column.clone().lt_eq(end)
        } else {
            column.clone().lt(end)
        }
    });
    match (above, below) {
        (Some(above), Some(below)) => above.and(below),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => lit(false),
    }
}

fn literal(value: &Value) -> Expr {
    match value {
        Value::Bool(value) => lit(*value),
        Value::Int(value) => lit(*value),
        Value::Float(value) => lit(value.get()),
        Value::Date(days) => lit(ScalarValue::Date32(Some(*days))),
        Value::Text(text) => lit(text.as_str()),
    }
}
