//! What a column contains, and one value of it.

use serde::{Deserialize, Serialize};

use crate::schema::ColumnKind;
use crate::scope::{Kind, Value};

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// What a column contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contents {
    /// No values yet, so that any declaration fits.
    Empty,
    /// Values of this kind.
    Of(ColumnKind),
}

impl Contents {
    /// Whether values of this kind can be compared with the column's.
    pub(in crate::collection) fn fits(self, kind: Kind) -> bool {
        match self {
            Self::Empty => true,
            Self::Of(ColumnKind::Int) => kind == Kind::Int,
            Self::Of(ColumnKind::Float) => kind == Kind::Float,
            Self::Of(ColumnKind::Boolean) => kind == Kind::Bool,
            Self::Of(ColumnKind::Text) => kind == Kind::Text,
            Self::Of(ColumnKind::Date | ColumnKind::Timestamp | ColumnKind::TimestampUtc) => kind == Kind::Date,
        }
    }

    /// Whether the column may contain days or points in time.
    pub(in crate::collection) fn has_dates(self) -> bool {
        self.fits(Kind::Date)
    }

    /// Whether the column may contain numbers.
    pub(in crate::collection) fn has_numbers(self) -> bool {
        self.fits(Kind::Int) || self.fits(Kind::Float)
    }

    /// Whether the column may contain keys: whole numbers or texts.
    pub(in crate::collection) fn has_keys(self) -> bool {
        self.fits(Kind::Int) || self.fits(Kind::Text)
    }

    /// Whether the column may contain points in time, of which a day has many.
    pub(in crate::collection) fn has_times(self) -> bool {
        matches!(self, Self::Of(ColumnKind::Timestamp | ColumnKind::TimestampUtc))
    }
}

/// One value of a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Datum<'a> {
    /// A missing value.
    Null,
    /// True or false.
    Truth(bool),
    /// A whole number.
    Int(i64),
    /// Any number. The two zeros are one, and NaN is above all others.
    Float(f64),
    /// A day, counted from 1970-01-01.
    Date(i32),
    /// A point in time, in milliseconds since 1970-01-01.
    Millis(i64),
    /// A text.
    Text(&'a str),
}

impl<'a> From<&'a Value> for Datum<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Bool(truth) => Self::Truth(*truth),
            Value::Int(number) => Self::Int(*number),
            Value::Float(number) => Self::Float(number.get()),
            Value::Date(day) => Self::Date(*day),
            Value::Text(text) => Self::Text(text),
        }
    }
}

/// The first millisecond of a day.
pub(super) const fn day_start(day: i64) -> i64 {
    day.saturating_mul(DAY_MS)
}
