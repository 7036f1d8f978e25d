//! What ordinary queries get.

use super::data::{Data, Group, Query};
use super::people::People;
use super::register::has_secret;
use super::system::{Kind, Rules};
use crate::{Condition, UnitSet};

/// People of the table.
const PEOPLE: u32 = 3_000;

/// Cells with fewer people are not expected to be shown.
const LARGE: u64 = 30;

/// The queries: tables by one and by two columns, of everyone and of the people with the secret.
fn queries() -> Vec<Query> {
    let mut queries = Vec::new();
    for first in 0..5 {
        for second in first..5 {
            let mut by = vec![Group::Column(first), Group::Column(second)];
            by.dedup();
            let query = |condition: Condition| Query {
                by: by.clone(),
                ..Query::count(condition)
            };
            queries.extend([query(Condition::Everyone), query(has_secret())]);
        }
    }
    queries
}

/// How much of the cells with at least [`LARGE`] people is shown, and by how much these figures are wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Utility {
    /// In percent.
    pub(super) shown: f64,
    /// The median of the relative errors, in percent.
    pub(super) error: f64,
}

/// The utility of a system, for one institution that requests all of the queries one after the other.
pub(super) fn of(rules: &Rules, kind: Kind) -> Utility {
    let data = Data::of(&People::generated(PEOPLE, 4));
    let mut party = rules.open(kind, std::slice::from_ref(&data), &UnitSet::new(), 4);
    let mut cells = 0.0;
    let mut errors = Vec::new();
    for query in queries() {
        let answer = party.answer(&query);
        for ((people, _), shown) in data.cells(&query).iter().zip(answer) {
            if people.len() < LARGE {
                continue;
            }
            cells += 1.0;
            let size = people.len() as f64;
            errors.extend(shown.count.map(|count| (count.value - size).abs() / size));
        }
    }
    errors.sort_by(f64::total_cmp);
    Utility {
        shown: 100.0 * errors.len() as f64 / cells,
        error: 100.0 * errors.get(errors.len() / 2).copied().unwrap_or(f64::NAN),
    }
}
