//! Values in row constraints.

use std::cmp::Ordering;
use std::fmt;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::invalid::{InvalidScope, Part};

/// A value a column may be compared with. Values of different kinds are never equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A finite number.
    Float(Finite),
    /// A day, counted from 1970-01-01.
    Date(i32),
    /// A text.
    Text(String),
}

/// The kind of a [`Value`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// True or false.
    Bool,
    /// Whole numbers.
    Int,
    /// Finite numbers.
    Float,
    /// Days.
    Date,
    /// Texts.
    Text,
}

impl Value {
    /// What kind of value it is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Bool(_) => Kind::Bool,
            Self::Int(_) => Kind::Int,
            Self::Float(_) => Kind::Float,
            Self::Date(_) => Kind::Date,
            Self::Text(_) => Kind::Text,
        }
    }

    /// The next value of a kind that has one (whole numbers and days).
    pub(super) fn successor(&self) -> Option<Self> {
        match self {
            Self::Int(n) => n.checked_add(1).map(Self::Int),
            Self::Date(n) => n.checked_add(1).map(Self::Date),
            Self::Bool(_) | Self::Float(_) | Self::Text(_) => None,
        }
    }

    /// The value before, of a kind that has one.
    pub(super) fn predecessor(&self) -> Option<Self> {
        match self {
            Self::Int(n) => n.checked_sub(1).map(Self::Int),
            Self::Date(n) => n.checked_sub(1).map(Self::Date),
            Self::Bool(_) | Self::Float(_) | Self::Text(_) => None,
        }
    }

    pub(super) const fn is_discrete(&self) -> bool {
        matches!(self, Self::Int(_) | Self::Date(_))
    }
}

impl fmt::Display for Value {
    /// As an SQL literal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(b) => write!(f, "{b}"),
            Self::Int(n) => write!(f, "{n}"),
            Self::Float(x) => write!(f, "{:?}", x.get()),
            Self::Date(days) => match NaiveDate::from_epoch_days(*days) {
                Some(date) => write!(f, "DATE '{date}'"),
                None => write!(f, "DATE {days}"),
            },
            Self::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
        }
    }
}

/// A number that is neither infinite nor NaN; minus zero is zero.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Finite(f64);

impl Finite {
    /// Checks that `number` is finite.
    ///
    /// # Errors
    /// [`InvalidScope`] for infinities and NaN.
    pub fn new(number: f64) -> Result<Self, InvalidScope> {
        if number.is_finite() {
            Ok(Self(number + 0.0))
        } else {
            Err(InvalidScope::new(Part::Rows, "a number must be finite"))
        }
    }

    /// The number.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Finite {
    type Error = InvalidScope;
    fn try_from(number: f64) -> Result<Self, InvalidScope> {
        Self::new(number)
    }
}

impl From<Finite> for f64 {
    fn from(number: Finite) -> Self {
        number.0
    }
}

impl PartialEq for Finite {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Finite {}

impl PartialOrd for Finite {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Finite {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl std::hash::Hash for Finite {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}
