//! The parts of conditions, which contain each other: quantities, events of a subject, and conditions on their rows.

use concordat_protocol::{
    collection::AtomTest,
    ids::{ColumnName, DatasetName},
    scope::{Finite, Value},
};
use serde::{Deserialize, Serialize};

use super::{encoding::cbor, paths::ColumnPath};

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// Always true.
    All,
    /// Always false.
    Never,
    /// The atoms of a quantity for which it is true, and those for which it is false.
    Test(Quantity, AtomTest),
    /// Whether the subject of the row has an event, or has none. It is never unknown.
    Events {
        /// The events.
        of: Box<EventSet>,
        /// Whether it is true for subjects with an event.
        exist: bool,
    },
    /// Whether a column of codes has one of the values that rows of a reference dataset list; unknown for missing values.
    Listed {
        /// The column.
        of: ColumnPath,
        /// The values.
        list: Box<KeyList>,
        /// Whether it is true for those that are listed.
        is_in: bool,
    },
    /// A test of the values of a reference dataset, whose rows are about no subject, or of codes of an open list, each of which a condition
    /// may name.
    Reference {
        /// The column.
        of: ColumnPath,
        /// What it must satisfy.
        test: ReferenceTest,
        /// Whether the test is negated.
        negated: bool,
    },
    /// In a set of events: whether the row is another one than the row around it, which is of the same dataset, by a key with another value
    /// in each of its rows; unknown for a missing value.
    OtherRow {
        /// The key, of the row itself.
        key: ColumnPath,
        /// Whether it is true for other rows.
        is_other: bool,
    },
    /// True if all are true. Two or more.
    And(Vec<Self>),
    /// True if one is true. Two or more.
    Or(Vec<Self>),
}

/// What a value of a reference dataset, or a code of an open list, must satisfy; unknown for a missing one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReferenceTest {
    /// It is one of these texts or whole numbers, in ascending order.
    OneOf(Vec<Value>),
    /// It matches a pattern of `LIKE`, without an escape character.
    Like {
        /// The pattern.
        pattern: String,
        /// Whether upper and lower case are the same.
        any_case: bool,
    },
}

/// What is tested, grouped and measured: a column, or what follows from columns with levels and ranges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    /// A column.
    Column(ColumnPath),
    /// The number that a text of a column is, for which edges are declared; missing for a text that is none.
    InText(ColumnPath),
    /// Seconds from one point in time to another, which are measured only. They are the same figure in both directions.
    Seconds {
        /// The point in time that is subtracted.
        from: ColumnPath,
        /// The point in time that it is subtracted from.
        to: ColumnPath,
    },
    /// Whole days from one date to another; negative if the second one is earlier. Its levels are the declared numbers of days.
    Days {
        /// The date that is subtracted.
        from: Day,
        /// The date that it is subtracted from.
        to: Day,
    },
    /// The year of a date minus the year of birth.
    Age {
        /// The year or the date of birth.
        born: ColumnPath,
        /// The date.
        at: Day,
    },
    /// A sum of columns with constant factors, which is measured only.
    Linear {
        /// Up to four columns with their factors, in the order of the columns.
        terms: Vec<(Finite, ColumnPath)>,
        /// What is added.
        plus: Finite,
    },
    /// One value of each subject.
    OfSubject {
        /// The events that it is computed from.
        of: Box<EventSet>,
        /// What of them.
        value: SubjectValue,
    },
}

impl Quantity {
    /// The days from one date to another in the one direction that conditions and sums have, and whether the days in this direction are
    /// those with the other sign. The declared numbers of days have either sign, so both directions have the same edges.
    #[must_use]
    pub fn days(from: Day, to: Day) -> (Self, bool) {
        if cbor(&from) <= cbor(&to) {
            (Self::Days { from, to }, false)
        } else {
            (Self::Days { from: to, to: from }, true)
        }
    }

    /// Whether it is one column, or a multiple of one.
    pub(crate) const fn is_column(&self) -> bool {
        match self {
            Self::Column(_) | Self::InText(_) => true,
            Self::Linear { terms, .. } => terms.len() == 1,
            Self::Seconds { .. } | Self::Days { .. } | Self::Age { .. } | Self::OfSubject { .. } => false,
        }
    }
}

/// A date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Day {
    /// In a column.
    Column(ColumnPath),
    /// The earliest or latest date of events of the subject.
    OfSubject {
        /// The events.
        of: Box<EventSet>,
        /// Which date.
        value: SubjectValue,
    },
}

impl Day {
    /// The date as a quantity of its own.
    #[must_use]
    pub fn quantity(&self) -> Quantity {
        match self {
            Self::Column(path) => Quantity::Column(path.clone()),
            Self::OfSubject { of, value } => Quantity::OfSubject {
                of: of.clone(),
                value: value.clone(),
            },
        }
    }
}

/// Rows of a dataset that belong to one subject. Columns with [`Row::Outer`](super::Row::Outer) in the condition are those of the row for
/// which the set is tested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventSet {
    /// The dataset.
    pub dataset: DatasetName,
    /// Which of its rows.
    pub rows: Condition,
}

/// The values of a key in rows of a reference dataset, as `IN (SELECT …)` names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyList {
    /// The dataset.
    pub dataset: DatasetName,
    /// The column with the values.
    pub key: ColumnName,
    /// Which of its rows.
    pub rows: Condition,
}

/// One value for each subject with a row in a set of events. A subject without one has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SubjectValue {
    /// The number of rows.
    Count,
    /// The earliest date in a column.
    First(ColumnName),
    /// The latest date in a column.
    Last(ColumnName),
}
