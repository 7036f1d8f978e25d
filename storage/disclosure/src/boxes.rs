//! Descriptions of cells, and what follows from them alone.
//!
//! The audit knows sets of units only. It cannot see that "all" and "all men" are equal because there are no women: the second is derivable
//! from the first, and its figure would reveal that the region in between is empty. So a derivable set is free only if the combination from
//! which it follows is zero for each *possible* subject, whether or not there is one like that.
//!
//! Possible subjects have one atom for each column, and any number of events of each kind. Atoms that no condition distinguishes are
//! represented by one of them. If there are no conditions on events and few enough combinations, all possible subjects are tried, and
//! otherwise random ones that meet or just miss the conditions.

mod subjects;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::field::Prime;
use crate::{Entropy, UnitSet};
use subjects::Domain;

/// How deep conditions may be nested.
const MAX_DEPTH: u32 = 16;

/// How many conditions a cell may consist of.
const MAX_CONDITIONS: usize = 1_000;

/// The largest number of events that a condition may require.
const MAX_EVENTS: u32 = 20;

/// Possible subjects that are tried one by one.
const MAX_SUBJECTS: u64 = 1 << 16;

/// Conditions that are evaluated for one set: about 100 ms.
const MAX_EVALUATIONS: u64 = 1 << 24;

/// Random subjects that are tried.
const DRAWS: u64 = 4_096;

/// Below that many random subjects, nothing is concluded.
const MIN_DRAWS: u64 = 256;

/// What a cell's units have in common: conditions about a subject.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// No condition.
    Everyone,
    /// The value in the column is one of these atoms.
    Atoms {
        /// The column, with the path of keys that leads to it from the subject or the event, and with the division of its values into atoms.
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
    conditions: usize,
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

    /// The condition.
    #[must_use]
    pub fn condition(&self) -> &Condition {
        &self.condition
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

/// A cell's coefficient, modulo the prime of each lane.
type Weights = Vec<u32>;

/// Whether `cell` minus the combination of `cells` with these coefficients, by lane, vanishes for each possible subject.
///
/// An answer of `true` is an error only if all random subjects missed those for which it does not vanish; `false` is the answer where the
/// conditions are too large to be evaluated.
pub(crate) fn imply(cell: &CellBox, cells: &[&CellBox], lanes: &[(Prime, &[u32])], entropy: &mut dyn Entropy) -> bool {
    let terms = terms(cell, cells, lanes);
    if terms.is_empty() {
        return true;
    }
    let Some(domain) = Domain::of(terms.iter().map(|(cell, _)| &cell.condition)) else {
        return false;
    };
    let conditions: u64 = terms.iter().map(|(cell, _)| cell.conditions as u64).sum();
    let affordable = MAX_EVALUATIONS / conditions.max(1);
    let primes: Vec<Prime> = lanes.iter().map(|(prime, _)| *prime).collect();
    if let Some(number) = domain
        .combinations()
        .filter(|number| *number <= MAX_SUBJECTS.min(affordable))
    {
        return (0..number).all(|at| vanishes(&terms, &primes, &domain.combination(at)));
    }
    let draws = DRAWS.min(affordable);
    draws >= MIN_DRAWS
        && (0..draws).all(|_| {
            let near = terms.get(crate::random::position(entropy, terms.len()));
            let subject = domain.draw(near.map(|(cell, _)| &cell.condition), entropy);
            vanishes(&terms, &primes, &subject)
        })
}

/// The cells of the combination with their coefficients; equal cells are one, and those that cancel are left out.
fn terms<'a>(cell: &'a CellBox, cells: &[&'a CellBox], lanes: &[(Prime, &[u32])]) -> Vec<(&'a CellBox, Weights)> {
    let mut terms: Vec<(&CellBox, Weights)> = vec![(cell, vec![1; lanes.len()])];
    for (at, other) in cells.iter().enumerate() {
        let weight = |(prime, numbers): &(Prime, &[u32])| prime.negate(numbers.get(at).copied().unwrap_or(0));
        let weights: Weights = lanes.iter().map(weight).collect();
        if weights.iter().all(|weight| *weight == 0) {
            continue;
        }
        match terms.iter_mut().find(|(term, _)| term == other) {
            Some((_, sums)) => add(sums, &weights, lanes),
            None => terms.push((other, weights)),
        }
    }
    terms.retain(|(_, weights)| weights.iter().any(|weight| *weight != 0));
    terms
}

fn add(sums: &mut [u32], weights: &[u32], lanes: &[(Prime, &[u32])]) {
    for ((sum, weight), (prime, _)) in sums.iter_mut().zip(weights).zip(lanes) {
        *sum = prime.reduce(u64::from(*sum) + u64::from(*weight));
    }
}

fn vanishes(terms: &[(&CellBox, Weights)], primes: &[Prime], subject: &Subject) -> bool {
    let mut sums = vec![0_u64; primes.len()];
    for (_, weights) in terms.iter().filter(|(cell, _)| subject.meets(&cell.condition)) {
        for (sum, weight) in sums.iter_mut().zip(weights) {
            *sum += u64::from(*weight);
        }
    }
    sums.iter().zip(primes).all(|(sum, prime)| prime.reduce(*sum) == 0)
}

/// The atoms of a subject or of one of its events; `None` is an atom that no condition names.
type Values = BTreeMap<String, Option<u32>>;

/// A possible subject.
#[derive(Clone, Debug, Default)]
struct Subject {
    values: Values,
    events: BTreeMap<String, Vec<Values>>,
}

impl Subject {
    fn meets(&self, condition: &Condition) -> bool {
        meets(condition, &self.values, Some(&self.events))
    }
}

/// Whether a subject, or an event if there are no `events`, meets a condition.
fn meets(condition: &Condition, values: &Values, events: Option<&BTreeMap<String, Vec<Values>>>) -> bool {
    match condition {
        Condition::Everyone => true,
        Condition::Atoms { path, atoms, .. } => {
            let value = values.get(path).copied().flatten();
            value.is_some_and(|atom| atoms.contains(atom))
        }
        Condition::Events {
            events: name,
            at_least,
            that,
        } => {
            let all = events.and_then(|events| events.get(name)).into_iter().flatten();
            let matching = all.filter(|event| meets(that, event, None)).count();
            matching >= usize::try_from(*at_least).unwrap_or(usize::MAX)
        }
        Condition::Not(condition) => !meets(condition, values, events),
        Condition::All(conditions) => conditions.iter().all(|condition| meets(condition, values, events)),
        Condition::Any(conditions) => conditions.iter().any(|condition| meets(condition, values, events)),
    }
}
