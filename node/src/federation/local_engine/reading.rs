//! Texts of people are read in an engine process, which is killed if it does not end in time.

use std::time::Duration;

use concordat_engine::{Computation, QueryError};

use super::messages::{FromEngine, Task, decode, encode, engine_failed};
use crate::federation::error::FederationError;
use crate::federation::statement::QueryTables;
use crate::iam::Actor;
use crate::negotiation::RowCondition;
use crate::sharing::Sharing;

/// Longest time that one text may be read, by a process that has it. What its bounds admit takes at most a second.
const READING_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time until a process has the text: the start of one takes longest while the machine is busy, whatever the text is.
const STARTING_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest message about a text, in bytes: a thousand tables, or the comparisons of a condition, take a fourth of it.
const MAX_READ: usize = 1 << 20;
/// What to do about a text that is not read.
const REMEDY: &str = "nest less in it, and write shorter lists";

/// What the node has to know of the query `sql` of `actor`.
///
/// # Errors
/// [`FederationError::Usage`] unless it is one `SELECT` over tables, or if its process does not read it in time, or ends.
pub(in crate::federation) async fn read_query(
    sharing: &Sharing,
    actor: &Actor,
    sql: &str,
) -> Result<QueryTables, FederationError> {
    let FromEngine::Tables(tables) = read(sharing, actor, &Task::Query(sql.to_owned())).await? else {
        return Err(engine_failed());
    };
    Ok(tables)
}

/// The comparisons of the row condition `text` of `actor`.
///
/// # Errors
/// [`FederationError::Usage`] unless it is a conjunction of comparisons, or if its process does not read it in time, or ends.
pub(in crate::federation) async fn read_condition(
    sharing: &Sharing,
    actor: &Actor,
    text: &str,
) -> Result<RowCondition, FederationError> {
    let FromEngine::Condition(condition) = read(sharing, actor, &Task::Condition(text.to_owned())).await? else {
        return Err(engine_failed());
    };
    Ok(condition)
}

/// What a process answers to `task`. A process that is not waited for any more is killed.
async fn read(sharing: &Sharing, actor: &Actor, task: &Task) -> Result<FromEngine, FederationError> {
    let task = encode(task)?;
    let begun = tokio::time::timeout(STARTING_TIMEOUT, sharing.begin_computation(actor, &task)).await;
    let mut computation = begun.map_err(|_| not_started())?.map_err(not_read)?;
    let answer = within(READING_TIMEOUT, answer(&mut computation)).await?;
    sharing.keep_computation(computation);
    if let FromEngine::Failed(failure) = answer {
        return Err(failure.into_error(|_| None));
    }
    Ok(answer)
}

async fn answer(computation: &mut Computation) -> Result<FromEngine, FederationError> {
    let body = computation.next().await.map_err(not_read)?;
    if body.len() > MAX_READ {
        return Err(engine_failed());
    }
    let (answer, rest) = decode::<FromEngine>(body)?;
    let is_answer = matches!(
        answer,
        FromEngine::Tables(_) | FromEngine::Condition(_) | FromEngine::Failed(_)
    );
    if !is_answer || !rest.is_empty() {
        return Err(engine_failed());
    }
    Ok(answer)
}

/// What `reading` results in, within `limit`.
async fn within<T>(
    limit: Duration,
    reading: impl Future<Output = Result<T, FederationError>>,
) -> Result<T, FederationError> {
    let read = tokio::time::timeout(limit, reading).await;
    read.unwrap_or_else(|_| Err(too_long(limit)))
}

/// The error if a process reads no text, or has ended while it did.
fn not_read(error: QueryError) -> FederationError {
    if matches!(error, QueryError::Ended) {
        return FederationError::usage_with("the text cannot be read: it is too complex", REMEDY);
    }
    FederationError::planning(error)
}

/// The error if the machine starts no process in time. The text has nothing to do with it.
fn not_started() -> FederationError {
    FederationError::machine(
        "the engine process of the query was not started in time; try again later",
        std::io::Error::from(std::io::ErrorKind::TimedOut),
    )
}

fn too_long(limit: Duration) -> FederationError {
    let detail = format!("the text cannot be read within {} seconds", limit.as_secs());
    FederationError::usage_with(detail, REMEDY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reading_that_does_not_end_is_an_error_in_time() {
        let began = tokio::time::Instant::now();
        let never = std::future::pending::<Result<(), FederationError>>();
        let error = within(Duration::from_secs(1), never).await.unwrap_err();
        assert!(error.to_string().contains("cannot be read within 1 seconds"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        assert!(within(READING_TIMEOUT, async { Ok(()) }).await.is_ok());
    }
}
