//! Rows as they are computed with, and the parts of dates. No operation on a value fails: what has no result is a missing value.

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, Int64Array, StringArray,
        TimestampMillisecondArray,
    },
    compute::{concat, filter},
    datatypes::{Date32Type, Float64Type, Int64Type, TimestampMillisecondType},
    error::ArrowError,
};
use chrono::{Datelike as _, NaiveDate};
use concordat_protocol::collection::Datum;

use crate::QueryError;

/// The owner of a row that has none: ordinals are below the number of subjects, which is at most this.
pub(super) const NO_OWNER: u32 = u32::MAX;
/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;
/// Days after which the calendar repeats, and the years that they are.
const CYCLE_DAYS: i64 = 146_097;
const CYCLE_YEARS: i64 = 400;

/// The values of one column.
#[derive(Clone, Debug)]
pub(super) enum Column {
    Truth(BooleanArray),
    Int(Int64Array),
    Float(Float64Array),
    Date(Date32Array),
    Millis(TimestampMillisecondArray),
    Text(StringArray),
    /// Of a type that no column of a dataset has: all values are missing.
    Other,
}

impl Column {
    pub(super) fn of(values: &ArrayRef) -> Self {
        if let Some(truths) = values.as_boolean_opt() {
            return Self::Truth(truths.clone());
        }
        if let Some(numbers) = values.as_primitive_opt::<Int64Type>() {
            return Self::Int(numbers.clone());
        }
        if let Some(numbers) = values.as_primitive_opt::<Float64Type>() {
            return Self::Float(numbers.clone());
        }
        if let Some(days) = values.as_primitive_opt::<Date32Type>() {
            return Self::Date(days.clone());
        }
        if let Some(times) = values.as_primitive_opt::<TimestampMillisecondType>() {
            return Self::Millis(times.clone());
        }
        values
            .as_string_opt::<i32>()
            .map_or(Self::Other, |texts| Self::Text(texts.clone()))
    }

    fn array(&self) -> Option<&dyn Array> {
        match self {
            Self::Truth(values) => Some(values),
            Self::Int(values) => Some(values),
            Self::Float(values) => Some(values),
            Self::Date(values) => Some(values),
            Self::Millis(values) => Some(values),
            Self::Text(values) => Some(values),
            Self::Other => None,
        }
    }

    /// The value of a row; missing if there is no such row.
    pub(super) fn datum(&self, at: usize) -> Datum<'_> {
        if !self
            .array()
            .is_some_and(|values| at < values.len() && values.is_valid(at))
        {
            return Datum::Null;
        }
        match self {
            Self::Truth(values) => Datum::Truth(values.value(at)),
            Self::Int(values) => Datum::Int(values.value(at)),
            Self::Float(values) => Datum::Float(values.value(at)),
            Self::Date(values) => Datum::Date(values.value(at)),
            Self::Millis(values) => Datum::Millis(values.value(at)),
            Self::Text(values) => Datum::Text(values.value(at)),
            Self::Other => Datum::Null,
        }
    }

    /// Bytes of memory.
    pub(super) fn size(&self) -> usize {
        self.array().map_or(0, |values| values.get_array_memory_size())
    }
}

/// Some rows of a dataset.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    pub(super) columns: Vec<Column>,
    /// The subject of each row, [`NO_OWNER`] for one of a reference dataset.
    pub(super) owners: Vec<u32>,
    /// The number of each row in its dataset; empty if nothing needs it.
    pub(super) numbers: Vec<u32>,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.owners.len()
    }

    /// Bytes of memory.
    pub(super) fn size(&self) -> usize {
        let columns: usize = self.columns.iter().map(Column::size).sum();
        columns.saturating_add(self.len().saturating_mul(2 * size_of::<u32>()))
    }

    /// The rows that are kept.
    ///
    /// # Errors
    /// [`QueryError::Engine`] if it is not stated for each row whether it is.
    pub(super) fn only(&self, kept: &[bool]) -> Result<Self, QueryError> {
        let mask = BooleanArray::from(kept.to_vec());
        let column = |column: &Column| match column.array() {
            Some(values) => filter(values, &mask).map(|values| Column::of(&values)),
            None => Ok(Column::Other),
        };
        let columns: Result<Vec<Column>, ArrowError> = self.columns.iter().map(column).collect();
        let picked = |numbers: &[u32]| -> Vec<u32> {
            let all = numbers.iter().zip(kept);
            all.filter(|(_, kept)| **kept).map(|(number, _)| *number).collect()
        };
        Ok(Self {
            columns: columns.map_err(|_| QueryError::Engine { step: "reading" })?,
            owners: picked(&self.owners),
            numbers: picked(&self.numbers),
        })
    }

    /// Rows of the same columns, one after the other.
    ///
    /// # Errors
    /// [`QueryError::Memory`] if the texts of a column are too long together.
    pub(super) fn joined(parts: &[Self], columns: usize) -> Result<Self, QueryError> {
        let column = |at: usize| -> Result<Column, QueryError> {
            let arrays = parts.iter().map(|rows| rows.columns.get(at)?.array());
            let Some(arrays) = arrays.collect::<Option<Vec<_>>>() else {
                return Ok(Column::Other);
            };
            if arrays.is_empty() {
                return Ok(Column::Other);
            }
            concat(&arrays)
                .map(|joined| Column::of(&joined))
                .map_err(|_| QueryError::Memory)
        };
        Ok(Self {
            columns: (0..columns).map(column).collect::<Result<_, _>>()?,
            owners: parts.iter().flat_map(|rows| rows.owners.iter().copied()).collect(),
            numbers: parts.iter().flat_map(|rows| rows.numbers.iter().copied()).collect(),
        })
    }
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) rows: &'a Rows,
    pub(super) at: usize,
}

impl<'a> Row<'a> {
    pub(super) fn datum(self, column: usize) -> Datum<'a> {
        self.rows
            .columns
            .get(column)
            .map_or(Datum::Null, |column| column.datum(self.at))
    }

    /// Its subject.
    pub(super) fn owner(self) -> Option<u32> {
        self.rows
            .owners
            .get(self.at)
            .copied()
            .filter(|owner| *owner != NO_OWNER)
    }

    /// Its number in the dataset.
    pub(super) fn number(self) -> Option<u32> {
        self.rows.numbers.get(self.at).copied()
    }
}

/// The day of a date or a point in time, counted from 1970-01-01.
pub(super) fn day_of(value: Datum<'_>) -> Option<i64> {
    match value {
        Datum::Date(day) => Some(i64::from(day)),
        Datum::Millis(time) => Some(time.div_euclid(DAY_MS)),
        Datum::Null | Datum::Truth(_) | Datum::Int(_) | Datum::Float(_) | Datum::Text(_) => None,
    }
}

/// The year of a day, also beyond the years that the calendar's library has.
pub(super) fn year_of(day: i64) -> i64 {
    let within = i32::try_from(day.rem_euclid(CYCLE_DAYS)).unwrap_or_default();
    let year = NaiveDate::from_epoch_days(within).map_or(1970, |date| i64::from(date.year()));
    day.div_euclid(CYCLE_DAYS)
        .saturating_mul(CYCLE_YEARS)
        .saturating_add(year)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn year_of_far_days_follows_the_calendar() {
        for day in [-800_000, -1, 0, 364, 365, 20_000, 3_000_000] {
            let date = NaiveDate::from_epoch_days(day).unwrap();
            assert_eq!(year_of(i64::from(day)), i64::from(date.year()), "{day}");
        }
        assert_eq!(year_of(i64::from(i32::MAX)), 5_881_580);
        assert!(year_of(i64::MIN) < year_of(i64::MAX));
    }

    #[test]
    fn day_of_a_time_before_1970_is_rounded_down() {
        assert_eq!(day_of(Datum::Millis(-1)), Some(-1));
        assert_eq!(day_of(Datum::Millis(86_399_999)), Some(0));
        assert_eq!(day_of(Datum::Date(i32::MIN)), Some(i64::from(i32::MIN)));
        assert_eq!(day_of(Datum::Int(3)), None);
    }
}
