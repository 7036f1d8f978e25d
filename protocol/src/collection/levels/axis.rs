//! The values of a column with an order, as points on one axis.
//!
//! Whole numbers, numbers, days and points in time are each mapped to whole numbers in their order without gaps, so that "above 59" and
//! "from 60 on" are the same point for whole numbers, and two points for numbers.

use chrono::{Datelike as _, NaiveDate};
use serde::{Deserialize, Serialize};

use super::super::lists;
use super::contents::{Contents, Datum, day_start};
use crate::scope::{Finite, Kind, Value};

/// Most edges of a column of numbers.
pub const MAX_EDGES: usize = 200;
/// Most edges of a column of dates: the months of 80 years are 960.
pub const MAX_DATE_EDGES: usize = 1_000;

/// Edges in ascending order, by what they divide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// Whole numbers.
    Int(#[serde(deserialize_with = "lists::list::<_, _, MAX_EDGES>")] Vec<i64>),
    /// Numbers.
    Float(#[serde(deserialize_with = "lists::list::<_, _, MAX_EDGES>")] Vec<Finite>),
    /// Days, counted from 1970-01-01.
    Date(#[serde(deserialize_with = "lists::list::<_, _, MAX_DATE_EDGES>")] Vec<i32>),
    /// The first moments of days, counted from 1970-01-01, in a column of points in time.
    DateTime(#[serde(deserialize_with = "lists::list::<_, _, MAX_DATE_EDGES>")] Vec<i32>),
}

impl Axis {
    /// The edges of a column with these contents; `None` if their kinds differ or none is given.
    pub(super) fn new(edges: &[Value], contents: Contents) -> Option<Self> {
        let ints = || {
            edges
                .iter()
                .map(|edge| if let Value::Int(n) = edge { Some(*n) } else { None })
        };
        let floats = || {
            edges
                .iter()
                .map(|edge| if let Value::Float(x) = edge { Some(*x) } else { None })
        };
        let days = || {
            edges
                .iter()
                .map(|edge| if let Value::Date(day) = edge { Some(*day) } else { None })
        };
        match edges.first()?.kind() {
            Kind::Int => ints().collect::<Option<_>>().map(Self::Int),
            Kind::Float => floats().collect::<Option<_>>().map(Self::Float),
            Kind::Date if contents.has_times() => days().collect::<Option<_>>().map(Self::DateTime),
            Kind::Date => days().collect::<Option<_>>().map(Self::Date),
            Kind::Bool | Kind::Text => None,
        }
    }

    /// Whether the edges divide values of such a column.
    pub(super) fn fits(&self, contents: Contents) -> bool {
        let kind = match self {
            Self::Int(_) => Kind::Int,
            Self::Float(_) => Kind::Float,
            Self::Date(_) | Self::DateTime(_) => Kind::Date,
        };
        let is_time = matches!(self, Self::DateTime(_));
        contents.fits(kind) && (contents == Contents::Empty || contents.has_times() == is_time)
    }

    pub(super) const fn len(&self) -> usize {
        match self {
            Self::Int(edges) => edges.len(),
            Self::Float(edges) => edges.len(),
            Self::Date(days) | Self::DateTime(days) => days.len(),
        }
    }

    pub(super) const fn max_len(&self) -> usize {
        match self {
            Self::Int(_) | Self::Float(_) => MAX_EDGES,
            Self::Date(_) | Self::DateTime(_) => MAX_DATE_EDGES,
        }
    }

    /// The edges at these positions.
    pub(super) fn at(&self, positions: &[u16]) -> Self {
        fn pick<T: Copy>(edges: &[T], positions: &[u16]) -> Vec<T> {
            positions
                .iter()
                .filter_map(|at| edges.get(usize::from(*at)).copied())
                .collect()
        }
        match self {
            Self::Int(edges) => Self::Int(pick(edges, positions)),
            Self::Float(edges) => Self::Float(pick(edges, positions)),
            Self::Date(days) => Self::Date(pick(days, positions)),
            Self::DateTime(days) => Self::DateTime(pick(days, positions)),
        }
    }

    /// The edges as values.
    pub(super) fn values(&self) -> Vec<Value> {
        match self {
            Self::Int(edges) => edges.iter().map(|edge| Value::Int(*edge)).collect(),
            Self::Float(edges) => edges.iter().map(|edge| Value::Float(*edge)).collect(),
            Self::Date(days) | Self::DateTime(days) => days.iter().map(|day| Value::Date(*day)).collect(),
        }
    }

    /// The days of the edges; `None` for numbers.
    pub(super) fn days(&self) -> Option<&[i32]> {
        match self {
            Self::Date(days) | Self::DateTime(days) => Some(days),
            Self::Int(_) | Self::Float(_) => None,
        }
    }

    /// The edges that are whole numbers, each as one; `None` for dates.
    pub(super) fn whole(&self) -> Option<Vec<Option<i64>>> {
        match self {
            Self::Int(edges) => Some(edges.iter().map(|edge| Some(*edge)).collect()),
            Self::Float(edges) => Some(edges.iter().map(|edge| whole(edge.get())).collect()),
            Self::Date(_) | Self::DateTime(_) => None,
        }
    }

    /// How many edges there are before the first one whose point is not below what is sought.
    pub(super) fn count_below(&self, is_below: impl Fn(i64) -> bool) -> usize {
        match self {
            Self::Int(edges) => edges.partition_point(|edge| is_below(*edge)),
            Self::Float(edges) => edges.partition_point(|edge| is_below(point_of(edge.get()))),
            Self::Date(days) => days.partition_point(|day| is_below(i64::from(*day))),
            Self::DateTime(days) => days.partition_point(|day| is_below(day_start(i64::from(*day)))),
        }
    }

    /// The edges as points, in their order.
    pub(super) fn points(&self) -> Vec<i64> {
        match self {
            Self::Int(edges) => edges.clone(),
            Self::Float(edges) => edges.iter().map(|edge| point_of(edge.get())).collect(),
            Self::Date(days) => days.iter().map(|day| i64::from(*day)).collect(),
            Self::DateTime(days) => days.iter().map(|day| day_start(i64::from(*day))).collect(),
        }
    }

    /// The least and the greatest point that a value can have.
    pub(super) fn ends(&self) -> (i64, i64) {
        match self {
            Self::Int(_) | Self::DateTime(_) => (i64::MIN, i64::MAX),
            Self::Float(_) => (point_of(f64::NEG_INFINITY), point_of(f64::NAN)),
            Self::Date(_) => (i32::MIN.into(), i32::MAX.into()),
        }
    }

    /// The point of a value; `None` for one of another kind.
    pub(super) fn point(&self, value: Datum<'_>) -> Option<i64> {
        match (self, value) {
            (Self::Int(_), Datum::Int(number)) => Some(number),
            (Self::Float(_), Datum::Float(number)) => Some(point_of(number)),
            (Self::Date(_), Datum::Date(day)) => Some(day.into()),
            (Self::DateTime(_), Datum::Millis(time)) => Some(time),
            (Self::Int(_) | Self::Float(_) | Self::Date(_) | Self::DateTime(_), _) => None,
        }
    }

    /// The first point of a literal and the first point above it, which are one if no value equals it. `None` for one of another kind.
    #[expect(
        clippy::cast_precision_loss,
        reason = "SQL compares a whole number with a number as the nearest number"
    )]
    pub(super) fn span(&self, literal: &Value) -> Option<(i128, i128)> {
        let one = |point: i64| (i128::from(point), i128::from(point) + 1);
        match (self, literal) {
            (Self::Int(_), Value::Int(number)) => Some(one(*number)),
            (Self::Int(_), Value::Float(number)) => {
                let ceil = bounded(number.get().ceil());
                Some((ceil, ceil.max(bounded(number.get().floor()) + 1)))
            }
            (Self::Float(_), Value::Float(number)) => Some(one(point_of(number.get()))),
            (Self::Float(_), Value::Int(number)) => Some(one(point_of(*number as f64))),
            (Self::Date(_), Value::Date(day)) => Some(one((*day).into())),
            (Self::DateTime(_), Value::Date(day)) => Some(one(day_start((*day).into()))),
            (
                Self::Int(_) | Self::Float(_) | Self::Date(_) | Self::DateTime(_),
                Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Date(_) | Value::Text(_),
            ) => None,
        }
    }

    /// What the column contains.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::Int(_) => "whole numbers",
            Self::Float(_) => "numbers",
            Self::Date(_) => "dates",
            Self::DateTime(_) => "date-times",
        }
    }
}

/// The point of a number: the order of the points is the order of the numbers, both zeros are one, and NaN is above infinity, as in the
/// engine.
fn point_of(number: f64) -> i64 {
    if number.is_nan() {
        return i64::MAX;
    }
    let magnitude = i64::try_from(number.abs().to_bits()).unwrap_or(i64::MAX);
    if number < 0.0 { -magnitude } else { magnitude }
}

/// The whole number next to a number, or one beyond all of 64 bits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the number is at most 2 to the power of 65"
)]
fn bounded(number: f64) -> i128 {
    let bound = 2_f64.powi(65);
    number.clamp(-bound, bound) as i128
}

/// The whole number that a number is, if it is a small one.
#[expect(clippy::cast_possible_truncation, reason = "the number is whole and below a million")]
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 1e6).then_some(number as i64)
}

/// The calendar date of a day in the years 1 to 9999, which have four digits.
pub(super) fn date_of(day: i32) -> Option<NaiveDate> {
    NaiveDate::from_epoch_days(day).filter(|date| (1..=9999).contains(&date.year()))
}

/// The year that begins with a day.
pub(super) fn year_at(day: i32) -> Option<i32> {
    date_of(day).filter(|date| date.ordinal() == 1).map(|date| date.year())
}
