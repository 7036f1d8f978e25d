//! Values as templates write them, as values of a column.

use chrono::NaiveDate;

use super::super::levels::{Contents, Listed};
use crate::schema::ColumnKind;
use crate::scope::{Finite, Value};

/// Whole numbers up to this one are numbers without loss.
const EXACT: i64 = 1 << 53;
/// The value as one of the column: keys of TOML tables are texts, and numbers may be written as whole ones. A value that is not one of the
/// column's stays as it is, and is refused by the check of the levels.
pub(super) fn as_contained(value: Value, contents: Contents) -> Value {
    let Contents::Of(kind) = contents else {
        return value;
    };
    let converted = match (kind, &value) {
        (ColumnKind::Int, Value::Text(text)) => text.parse().ok().map(Value::Int),
        (ColumnKind::Float, Value::Text(text)) => text.parse().ok().and_then(number),
        (ColumnKind::Float, Value::Int(whole)) => exact(*whole),
        (ColumnKind::Date | ColumnKind::Timestamp | ColumnKind::TimestampUtc, Value::Text(text)) => day(text),
        (ColumnKind::Text, Value::Int(whole)) => Some(Value::Text(whole.to_string())),
        (
            ColumnKind::Int
            | ColumnKind::Float
            | ColumnKind::Boolean
            | ColumnKind::Date
            | ColumnKind::Timestamp
            | ColumnKind::TimestampUtc
            | ColumnKind::Text,
            _,
        ) => None,
    };
    converted.unwrap_or(value)
}

/// The listed values as those of the column.
pub(super) fn listed_as_contained(listed: &[Listed], contents: Contents) -> Vec<Listed> {
    let converted = listed.iter().map(|Listed { value, label }| Listed {
        value: as_contained(value.clone(), contents),
        label: label.clone(),
    });
    converted.collect()
}

fn number(number: f64) -> Option<Value> {
    Finite::new(number).ok().map(Value::Float)
}

#[expect(clippy::cast_precision_loss, reason = "the number is at most 2 to the power of 53")]
fn exact(whole: i64) -> Option<Value> {
    if (-EXACT..=EXACT).contains(&whole) {
        number(whole as f64)
    } else {
        None
    }
}

fn day(text: &str) -> Option<Value> {
    let date: NaiveDate = text.parse().ok()?;
    Some(Value::Date(date.to_epoch_days()))
}
