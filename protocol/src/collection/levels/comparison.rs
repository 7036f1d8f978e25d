//! Conditions on one column, and why levels do not decide one.

use crate::scope::Value;

/// A condition on the value of one column. For a missing value all but the last two are neither true nor false, as in SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal(Value),
    /// `<>`
    NotEqual(Value),
    /// `<`
    Less(Value),
    /// `<=`
    AtMost(Value),
    /// `>`
    Greater(Value),
    /// `>=`
    AtLeast(Value),
    /// `IN`
    In(Vec<Value>),
    /// `NOT IN`
    NotIn(Vec<Value>),
    /// `BETWEEN`, with both ends
    Between(Value, Value),
    /// `LIKE 'I21%'`: a text that begins with this one, which is compared character by character.
    Prefix(String),
    /// `IS NULL`
    IsNull,
    /// `IS NOT NULL`
    IsNotNull,
}

impl Comparison {
    /// The literals, in the order of the condition.
    #[must_use]
    pub fn literals(&self) -> Vec<&Value> {
        match self {
            Self::Equal(one)
            | Self::NotEqual(one)
            | Self::Less(one)
            | Self::AtMost(one)
            | Self::Greater(one)
            | Self::AtLeast(one) => vec![one],
            Self::In(list) | Self::NotIn(list) => list.iter().collect(),
            Self::Between(low, high) => vec![low, high],
            Self::Prefix(_) | Self::IsNull | Self::IsNotNull => Vec::new(),
        }
    }
}

/// Why the levels of a column do not decide a condition. The nearest levels are declared ones; no value of the data is named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecided {
    /// The values of one atom differ in it.
    #[error("the condition is not at an edge of the declared levels; the nearest edges are {}", quoted(.nearest))]
    OffEdge {
        /// The nearest edges, one below and one above if there are both.
        nearest: Vec<Value>,
    },
    /// It distinguishes values that are not listed, or some of those that have one label.
    #[error(
        "the condition distinguishes values that the declared levels do not; the nearest are {}; the others are `NOT IN` all listed values",
        quoted(.nearest)
    )]
    NotListed {
        /// The labels of the nearest listed values.
        nearest: Vec<String>,
    },
    /// The levels have no order, or their values have no prefixes.
    #[error("the declared levels of the column can be compared with `=`, `<>` and `IN` only")]
    NotOrdered,
    /// A literal is of another kind than the column.
    #[error("the column contains {expected}")]
    OtherKind {
        /// What the column contains.
        expected: &'static str,
    },
    /// The column has no levels: it can be missing or not, and nothing else about it is compared.
    #[error(
        "no levels are declared for the column, so that conditions other than `IS NULL` and `IS NOT NULL` are refused"
    )]
    NoLevels,
    /// A list or text in the condition is too long.
    #[error("the list or text in the condition is too long")]
    TooLong,
}

fn quoted<T: std::fmt::Display>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(|item| format!("`{item}`")).collect();
    items.join(" and ")
}
