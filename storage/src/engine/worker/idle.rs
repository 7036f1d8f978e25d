//! The processes that wait for a query.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use concordat_protocol::scope::Scope;
use futures::{StreamExt, stream};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{
    messages::{Task, encode},
    process::{MAX_STEPS, Process},
    pump::Pump,
};
use crate::engine::{
    Bounds, Holder, Permit, QueryError, ReleasedAnswer, Source, StillPermitted,
    disclosure::RawAnswer,
    run::{in_time, max_rows},
    source::AnswerKeys,
};

/// How long a process waits for the next query.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most processes that wait.
const WAITING: usize = 4;

/// The processes of the engine; a cloneable handle.
#[derive(Clone, Debug)]
pub struct Workers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    program: PathBuf,
    bounds: Bounds,
    waiting: Mutex<Vec<Waiting>>,
}

/// A process without a query.
#[derive(Debug)]
struct Waiting {
    process: Process,
    /// Within what it has answered; nothing if it has not.
    within: Option<Within>,
    until: Instant,
}

/// By what right and within what scope a process has answered.
#[derive(Clone, Debug, PartialEq)]
struct Within {
    holder: Holder,
    scope: Scope,
}

impl Workers {
    /// Processes of `program`, each for queries within `bounds`. None is started before the first query.
    #[must_use]
    pub fn new(program: PathBuf, bounds: Bounds) -> Self {
        Self(Arc::new(Inner {
            program,
            bounds,
            waiting: Mutex::default(),
        }))
    }

    /// What one query may take, unless it is given less time.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.0.bounds
    }

    /// Answers `sql` within `permit`, as [`answer`](crate::engine::answer), in a process of its own and within `time`. Of a party that has
    /// so many queries `running` already, the process gives way to others.
    ///
    /// # Errors
    /// [`QueryError`]; no row has left then.
    pub async fn answer(
        &self,
        permit: Permit,
        source: &dyn Source,
        sql: &str,
        watch: Arc<dyn StillPermitted>,
        time: Duration,
        running: usize,
    ) -> Result<ReleasedAnswer, QueryError> {
        let (holder, scope, receipt) = permit.open();
        let (keys, max_rows) = (AnswerKeys::of(source, &holder), max_rows(&scope));
        let bounds = Bounds {
            time: time.min(self.0.bounds.time),
            ..self.0.bounds
        };
        let sleep = tokio::time::sleep(bounds.time);
        let task = Task::new(source, scope.clone(), &keys, sql, &bounds)?;
        let within = Within { holder, scope };
        let steps = u8::try_from(running).unwrap_or(u8::MAX).min(MAX_STEPS);
        let (raw, deadline) = in_time(sleep, self.compute(within, steps, &task, source)).await?;
        Ok(ReleasedAnswer::new(raw, max_rows, receipt, watch, deadline))
    }

    /// Dropping what this returns, or the future, ends the process.
    async fn compute(
        &self,
        within: Within,
        steps: u8,
        task: &Task,
        source: &dyn Source,
    ) -> Result<RawAnswer, QueryError> {
        let mut process = self.take(&within, steps)?;
        process.step_back(steps);
        let (opened, opening) = oneshot::channel();
        let (rows, reader) = mpsc::channel(1);
        let pump = Pump::new(process, source.object_store(), source.objects(), opened);
        let (task, workers) = (encode(task)?, self.clone());
        tokio::spawn(async move {
            if let Some(process) = pump.run(&task, rows).await {
                workers.keep(process, Some(within));
            }
            workers.start_ahead();
        });
        let opening = opening.await.map_err(|_| QueryError::Ended)??;
        let batches = stream::unfold(reader, |mut reader| async { Some((reader.recv().await?, reader)) });
        Ok(RawAnswer {
            schema: opening.schema,
            batches: batches.boxed(),
            suppressed_cells: opening.suppressed_cells,
        })
    }

    /// A process that has answered within the same scope and gives way no more than `steps`, else one that has answered nothing.
    fn take(&self, within: &Within, steps: u8) -> Result<Process, QueryError> {
        loop {
            let found = {
                let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                let same = waiting.iter().position(|one| {
                    one.process.steps() <= steps && one.within.as_ref().is_some_and(|of| of.is(within))
                });
                let fresh = || waiting.iter().position(|one| one.within.is_none());
                same.or_else(fresh).map(|at| waiting.swap_remove(at).process)
            };
            let Some(mut process) = found else { return self.start() };
            if process.runs() {
                return Ok(process);
            }
        }
    }

    fn start(&self) -> Result<Process, QueryError> {
        Process::start(&self.0.program, self.0.bounds.process()).map_err(|error| {
            tracing::error!(%error, "a process of the engine cannot be started");
            QueryError::Engine {
                step: "starting its process",
            }
        })
    }

    /// Starts a process for the next query, if none waits that could take any.
    fn start_ahead(&self) {
        let fresh = {
            let waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.iter().any(|one| one.within.is_none())
        };
        if !fresh && let Ok(process) = self.start() {
            self.keep(process, None);
        }
    }

    /// Lets a process wait for its next query, until it has waited too long.
    fn keep(&self, process: Process, within: Option<Within>) {
        let patience = tokio::time::sleep(PATIENCE);
        let until = patience.deadline();
        {
            let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push(Waiting { process, within, until });
            if waiting.len() > WAITING {
                let holders: Vec<_> = waiting
                    .iter()
                    .map(|one| one.within.as_ref().map(|of| of.holder))
                    .collect();
                waiting.remove(most_of_one(&holders));
            }
        }
        let all = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            patience.await;
            if let Some(all) = all.upgrade() {
                let mut waiting = all.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                waiting.retain(|one| one.until > until);
            }
        });
    }
}

/// The first of those that there are most of: whoever asks most loses a process, and nobody else.
fn most_of_one<T: PartialEq>(all: &[T]) -> usize {
    let alike = |one: &T| all.iter().filter(|other| *other == one).count();
    let (at, _) = all.iter().enumerate().fold((0, 0), |(at, most), (place, one)| {
        let found = alike(one);
        if found > most { (place, found) } else { (at, most) }
    });
    at
}

impl Within {
    /// Whether a process that has answered within the one may answer within the other. When a permission begins and ends changes nothing
    /// that is seen.
    fn is(&self, other: &Self) -> bool {
        let scope = Scope {
            window: other.scope.window,
            ..self.scope.clone()
        };
        self.holder == other.holder && scope == other.scope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_keeps_most_processes_loses_one() {
        assert_eq!(most_of_one(&[1, 2, 3]), 0);
        assert_eq!(most_of_one(&[1, 2, 2, 3]), 1);
        assert_eq!(most_of_one(&[3, 2, 2, 3, 3]), 0);
        assert_eq!(most_of_one(&[1]), 0);
    }
}
