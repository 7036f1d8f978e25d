//! Conditions on rows and subjects, in the three-valued logic of SQL.
//!
//! A condition has one form: negations are in the leaves, `AND` and `OR` are flat, sorted and without repetitions, and tests of one
//! quantity are one test. Negating a conjunction is the disjunction of the negations in three-valued logic too.
//!
//! Which rows are kept depends on what is true only. There a test is the one that is true for its atoms ([`Condition::where_true`]), so that
//! `x < 5`, `(x < 5) IS TRUE` and `x < 5 AND x IS NOT NULL` are one condition.

use super::{
    encoding::cbor,
    paths::{ColumnPath, Row},
    terms::{Condition, Day, Quantity},
};

impl Condition {
    /// Whether all of these are true.
    #[must_use]
    pub fn all(parts: Vec<Self>) -> Self {
        joined(parts, &Joining::And)
    }

    /// Whether one of these is true.
    #[must_use]
    pub fn any(parts: Vec<Self>) -> Self {
        joined(parts, &Joining::Or)
    }

    /// `NOT`.
    #[must_use]
    pub fn negation(self) -> Self {
        match self {
            Self::All => Self::Never,
            Self::Never => Self::All,
            Self::Test(of, test) => Self::Test(of, test.negation()),
            Self::Events { of, exist } => Self::Events { of, exist: !exist },
            Self::Listed { of, list, is_in } => Self::Listed {
                of,
                list,
                is_in: !is_in,
            },
            Self::Reference { of, test, negated } => Self::Reference {
                of,
                test,
                negated: !negated,
            },
            Self::OtherRow { key, is_other } => Self::OtherRow {
                key,
                is_other: !is_other,
            },
            Self::And(parts) => Self::any(parts.into_iter().map(Self::negation).collect()),
            Self::Or(parts) => Self::all(parts.into_iter().map(Self::negation).collect()),
        }
    }

    /// The same condition where it does not matter whether it is false or unknown for the other rows: of `WHERE`, `FILTER`, `EXISTS` and
    /// `CASE`. It has no negation around it, so it is true for the same rows if each of its tests is.
    #[must_use]
    pub fn where_true(self) -> Self {
        let condition = self.map_parts(Self::where_true);
        if matches!(condition, Self::And(_) | Self::Or(_)) {
            // A test that was joined from several ones is plain again.
            condition.map_parts(Self::plain)
        } else {
            condition.plain()
        }
    }

    /// The condition with each of its parts changed, and joined again. One without parts stays as it is.
    #[must_use]
    pub(super) fn map_parts(self, each: impl FnMut(Self) -> Self) -> Self {
        match self {
            Self::And(parts) => Self::all(parts.into_iter().map(each).collect()),
            Self::Or(parts) => Self::any(parts.into_iter().map(each).collect()),
            Self::Test(..)
            | Self::All
            | Self::Never
            | Self::Events { .. }
            | Self::Listed { .. }
            | Self::Reference { .. }
            | Self::OtherRow { .. } => self,
        }
    }

    fn plain(self) -> Self {
        let Self::Test(of, test) = self else {
            return self;
        };
        if test.passing().is_empty() {
            return Self::Never;
        }
        if test.passing().complement().is_empty() {
            return Self::All;
        }
        Self::Test(of, test.where_true())
    }

    /// The conditions that must all be true.
    #[must_use]
    pub fn conjuncts(&self) -> &[Self] {
        match self {
            Self::And(parts) => parts,
            Self::All => &[],
            Self::Never
            | Self::Test(..)
            | Self::Events { .. }
            | Self::Listed { .. }
            | Self::Reference { .. }
            | Self::OtherRow { .. }
            | Self::Or(_) => std::slice::from_ref(self),
        }
    }

    /// Whether a condition on events names a column of the row around them. Events within events are not read, and count as if they did.
    pub(crate) fn names_outer(&self) -> bool {
        let is_outer = |path: &ColumnPath| path.row() == Row::Outer;
        let is_day = |day: &Day| matches!(day, Day::Column(path) if is_outer(path));
        match self {
            Self::All | Self::Never => false,
            Self::Test(of, _) => match of {
                Quantity::Column(path) | Quantity::InText(path) => is_outer(path),
                Quantity::Seconds { from, to } => is_outer(from) || is_outer(to),
                Quantity::Days { from, to } => is_day(from) || is_day(to),
                Quantity::Age { born, at } => is_outer(born) || is_day(at),
                Quantity::Linear { terms, .. } => terms.iter().any(|(_, path)| is_outer(path)),
                Quantity::OfSubject { .. } => false,
            },
            Self::Events { .. } | Self::OtherRow { .. } => true,
            Self::Listed { of, .. } | Self::Reference { of, .. } => is_outer(of),
            Self::And(parts) | Self::Or(parts) => parts.iter().any(Self::names_outer),
        }
    }
}

#[derive(PartialEq, Eq)]
enum Joining {
    And,
    Or,
}

fn joined(parts: Vec<Condition>, joining: &Joining) -> Condition {
    let is_and = *joining == Joining::And;
    let mut flat: Vec<Condition> = Vec::new();
    for part in parts {
        match part {
            Condition::All if is_and => {}
            Condition::Never if !is_and => {}
            Condition::All => return Condition::All,
            Condition::Never => return Condition::Never,
            Condition::And(inner) if is_and => flat.extend(inner),
            Condition::Or(inner) if !is_and => flat.extend(inner),
            Condition::Test(..)
            | Condition::Events { .. }
            | Condition::Listed { .. }
            | Condition::Reference { .. }
            | Condition::OtherRow { .. }
            | Condition::And(_)
            | Condition::Or(_) => flat.push(part),
        }
    }
    let mut merged: Vec<Condition> = Vec::new();
    for part in flat {
        merge(&mut merged, part, is_and);
    }
    merged.sort_by_cached_key(encoded);
    merged.dedup();
    match merged.len() {
        0 | 1 => merged
            .pop()
            .unwrap_or(if is_and { Condition::All } else { Condition::Never }),
        _ if is_and => Condition::And(merged),
        _ => Condition::Or(merged),
    }
}

/// Adds a part, joined with the test of the same quantity if there is one.
fn merge(merged: &mut Vec<Condition>, part: Condition, is_and: bool) {
    if let Condition::Test(of, test) = &part {
        for known in &mut *merged {
            let Condition::Test(known_of, known_test) = known else {
                continue;
            };
            if known_of != of {
                continue;
            }
            let both = if is_and {
                known_test.and(test)
            } else {
                known_test.or(test)
            };
            // Too many codes for one set: the two tests stay beside each other.
            if let Ok(both) = both {
                *known_test = both;
                return;
            }
        }
    }
    merged.push(part);
}

/// The encoding of a condition, by which the parts of one are sorted.
fn encoded(condition: &Condition) -> Vec<u8> {
    cbor(condition)
}
