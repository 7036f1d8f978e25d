mod bands;
mod classes;
mod forms;
mod lossless;
mod oldest_years;
mod years;

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, StringArray, TimestampMillisecondArray,
};
use concordat_protocol::{schema::ColumnKind, scope::Transform};

use crate::{QueryError, ShownColumn, tests::home::Home};

/// Whether a comparison of operands in this order is true.
fn holds(op: &str, order: std::cmp::Ordering) -> bool {
    match op {
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        "=" => order.is_eq(),
        _ => order.is_ne(),
    }
}

/// A column as it is stored.
fn clear(name: &str, kind: ColumnKind, values: ArrayRef) -> (ShownColumn, ArrayRef) {
    shown(name, kind, Transform::Clear, values)
}

/// A column as a grant shows it.
fn shown(name: &str, kind: ColumnKind, transform: Transform, values: ArrayRef) -> (ShownColumn, ArrayRef) {
    let column = ShownColumn {
        name: name.to_owned(),
        kind,
        transform,
    };
    (column, values)
}

/// One column of each class, and a number for each row.
fn one_of_each() -> Home {
    let days = [18_262, 0, -719_162, 2_932_896];
    let millis = |day: i64, extra: i64| day * 86_400_000 + extra;
    let moments = [
        millis(18_262, 0),
        millis(0, 1),
        millis(-719_162, 0),
        millis(2_932_896, 86_399_999),
    ];
    Home::of(vec![
        clear(
            "n",
            ColumnKind::Int,
            Arc::new(Int64Array::from(vec![Some(5), Some(-1), Some(i64::MAX), None])),
        ),
        clear(
            "x",
            ColumnKind::Float,
            Arc::new(Float64Array::from(vec![Some(2.5), Some(5.0), Some(-1e300), None])),
        ),
        clear(
            "b",
            ColumnKind::Boolean,
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), Some(true), None])),
        ),
        clear(
            "v",
            ColumnKind::Text,
            Arc::new(StringArray::from(vec![Some("5"), Some("2020-01-01"), Some(""), None])),
        ),
        clear(
            "d",
            ColumnKind::Date,
            Arc::new(Date32Array::from(days.map(Some).to_vec())),
        ),
        clear(
            "s",
            ColumnKind::Timestamp,
            Arc::new(TimestampMillisecondArray::from(moments.map(Some).to_vec())),
        ),
        clear(
            "z",
            ColumnKind::TimestampUtc,
            Arc::new(TimestampMillisecondArray::from(moments.map(Some).to_vec()).with_timezone("UTC")),
        ),
    ])
}
