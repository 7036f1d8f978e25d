//! What a column contains, and one value of it.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::schema::ColumnKind;
use crate::scope::{Finite, Kind, Value};

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;
/// Whole numbers up to this one are numbers without loss.
const EXACT: i64 = 1 << 53;

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

    /// A declared value as one of the column, if that is possible without loss: the keys of a table in a file are texts, and numbers may be
    /// written as whole ones. Another value stays as it is, and does not fit.
    pub(super) fn convert(self, value: Value) -> Value {
        let Self::Of(kind) = self else {
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

    /// What edges of the column divide: of a column of text, the numbers that its texts are.
    pub(in crate::collection) const fn between_edges(self) -> Self {
        match self {
            Self::Of(ColumnKind::Text) => Self::Of(ColumnKind::Float),
            Self::Empty
            | Self::Of(
                ColumnKind::Int
                | ColumnKind::Float
                | ColumnKind::Boolean
                | ColumnKind::Date
                | ColumnKind::Timestamp
                | ColumnKind::TimestampUtc,
            ) => self,
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

impl Datum<'_> {
    /// The number that a text is, as `TRY_CAST` reads it; missing for a text that is not a finite one, and for any other value.
    #[must_use]
    pub fn number_in_text(self) -> Self {
        let Self::Text(text) = self else {
            return Self::Null;
        };
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        number.map_or(Self::Null, Self::Float)
    }
}

/// The first millisecond of a day.
pub(super) const fn day_start(day: i64) -> i64 {
    day.saturating_mul(DAY_MS)
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
