//! What is lowered, what is refused, and what two texts have in common.

mod ancestors;
mod bounds;
pub(crate) mod collections;
mod decoded;
mod derived;
mod equal;
mod findings;
mod labels;
mod listed;
mod listings;
mod logic;
mod meaning;
mod measured;
mod neighbors;
mod orders;
mod printed;
mod queries;
mod refusals;
mod running;
mod several_cells;
mod spans;
mod subqueries;
mod totals;

use collections::Collection;

use super::{Condition, Lowered, NotCountable, Statistic};

/// The only statistic of a query.
fn only(collection: &Collection, sql: &str) -> Statistic {
    let lowered = collection
        .lower(sql)
        .unwrap_or_else(|error| panic!("{sql}: {error}: {:?}", std::error::Error::source(&error)));
    let Lowered { mut blocks, .. } = lowered;
    assert_eq!(blocks.len(), 1, "{sql}");
    blocks.remove(0).statistic
}

/// Why a query is refused, with the reason below.
fn refusal(collection: &Collection, sql: &str) -> String {
    match collection.lower(sql) {
        Ok(lowered) => panic!("{sql} is lowered to {:?}", lowered.blocks),
        Err(error) => sentence(&error),
    }
}

fn sentence(error: &NotCountable) -> String {
    let below = std::error::Error::source(error).map(|source| format!(": {source}"));
    format!("{error}{}", below.unwrap_or_default())
}

/// The condition on the rows of a query.
fn rows(collection: &Collection, sql: &str) -> Condition {
    only(collection, sql).rows().clone()
}
