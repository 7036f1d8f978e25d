//! The description of a cell.

use crate::UnitSet;

/// How deep conditions may be nested.
pub(super) const MAX_DEPTH: u32 = 16;

/// How many conditions a cell may consist of.
pub(super) const MAX_CONDITIONS: usize = 1_000;

/// The largest number of events that a condition may require.
const MAX_EVENTS: u32 = 20;

/// What a cell's units have in common: conditions about a subject.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// No condition.
    Everyone,
    /// The value in the column is one of these atoms.
    Atoms {
        /// The column, with the path of keys that leads to it from the subject or the event, and the division of its values into atoms.
        path: String,
        /// The number of atoms of the column, with that of missing values.
        of: u32,
        /// Which ones.
        atoms: UnitSet,
    },
    /// The subject has events, rows of another dataset, that meet a condition on the columns of the event.
    Events {
        /// Which events: the dataset and the path that leads from it to the subject.
        events: String,
        /// How many at least, 1 to 20.
        at_least: u32,
        /// The condition on each.
        that: Box<Self>,
    },
    /// The condition is not met.
    Not(Box<Self>),
    /// All of them are met.
    All(Vec<Self>),
    /// One of them is met.
    Any(Vec<Self>),
}

/// The description of a cell, with bounded size.
#[derive(Clone, Debug, PartialEq)]
pub struct CellBox {
    condition: Condition,
    pub(super) conditions: usize,
}

/// Why conditions do not describe a cell.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CellBoxError {
    /// There are too many conditions.
    #[error("a cell has more than {MAX_CONDITIONS} conditions, or more than {MAX_DEPTH} within each other")]
    TooLarge,
    /// An atom is outside of its column.
    #[error("a condition names an atom that its column does not have")]
    UnknownAtom,
    /// Events of events.
    #[error("a condition on events contains a condition on other events")]
    NestedEvents,
    /// The number of events is invalid.
    #[error("a condition requires `{0}` events, not 1 to {MAX_EVENTS}")]
    Events(u32),
    /// Bytes are not the encoding of a cell.
    #[error("the description of a cell is malformed")]
    Malformed,
}

impl CellBox {
    /// The cell of a condition.
    ///
    /// # Errors
    /// If the condition is too large, or is not about a subject.
    pub fn new(condition: Condition) -> Result<Self, CellBoxError> {
        let conditions = count(&condition, 0, false)?;
        if conditions > MAX_CONDITIONS {
            return Err(CellBoxError::TooLarge);
        }
        Ok(Self { condition, conditions })
    }

    /// The cell of all subjects.
    #[must_use]
    pub fn everyone() -> Self {
        Self {
            condition: Condition::Everyone,
            conditions: 1,
        }
    }

    /// A cell of which only a name is known: nothing follows for any other cell than the one of this name.
    #[must_use]
    pub fn alone(name: String) -> Self {
        let condition = Condition::Atoms {
            path: name,
            of: 2,
            atoms: UnitSet::from_iter([1]),
        };
        Self {
            condition,
            conditions: 1,
        }
    }

    /// The condition.
    #[must_use]
    pub fn condition(&self) -> &Condition {
        &self.condition
    }
}

impl Condition {
    /// Whether no possible subject meets it: it names none of the atoms of a column. So it is with the missing values of a complete column,
    /// and it is known without an answer.
    #[must_use]
    pub(crate) fn is_impossible(&self) -> bool {
        match self {
            Self::Everyone => false,
            Self::Atoms { atoms, .. } => atoms.is_empty(),
            Self::Events { that, .. } => that.is_impossible(),
            Self::Not(condition) => matches!(**condition, Self::Everyone),
            Self::All(conditions) => conditions.iter().any(Self::is_impossible),
            Self::Any(conditions) => conditions.iter().all(Self::is_impossible),
        }
    }
}

fn count(condition: &Condition, depth: u32, in_event: bool) -> Result<usize, CellBoxError> {
    if depth >= MAX_DEPTH {
        return Err(CellBoxError::TooLarge);
    }
    let below = match condition {
        Condition::Everyone => 0,
        Condition::Atoms { of, atoms, .. } => {
            if atoms.largest().is_some_and(|largest| largest >= *of) {
                return Err(CellBoxError::UnknownAtom);
            }
            0
        }
        Condition::Events { at_least, that, .. } => {
            if in_event {
                return Err(CellBoxError::NestedEvents);
            }
            if !(1..=MAX_EVENTS).contains(at_least) {
                return Err(CellBoxError::Events(*at_least));
            }
            count(that, depth + 1, true)?
        }
        Condition::Not(condition) => count(condition, depth + 1, in_event)?,
        Condition::All(conditions) | Condition::Any(conditions) => {
            let counts = conditions.iter().map(|condition| count(condition, depth + 1, in_event));
            counts.sum::<Result<usize, _>>()?
        }
    };
    Ok(below + 1)
}
