//! The pool of engine processes.

mod answered;
mod disclosed;
mod probed;
mod released;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt, stream};
use object_store::{ObjectMeta, ObjectStore};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use zeroize::Zeroizing;

use super::{computation::Computation, frames::Kind, process::Process, pump::Pump};
use crate::{Bounds, QueryError, disclosure::RawAnswer};
use answered::Answered;

pub use disclosed::{Changes, Deciding, DisclosedAnswer, LossOfQuery};

/// How long an idle process waits for the next query.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of idle processes: as many queries as one institution may have running at the same time. Starting a process costs more than
/// a small query.
const MAX_IDLE: usize = 8;

/// The engine processes; a cloneable handle.
#[derive(Clone, Debug)]
pub struct Workers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    program: PathBuf,
    bounds: Bounds,
    idle: Mutex<Vec<IdleProcess>>,
}

/// A process that waits for a query.
#[derive(Debug)]
struct IdleProcess {
    process: Process,
    /// What it has computed; `None` if it is nothing.
    answered: Option<Answered>,
    until: Instant,
}

impl Workers {
    /// Processes of `program`, each for queries within `bounds`. None is started before the first query.
    #[must_use]
    pub fn new(program: PathBuf, bounds: Bounds) -> Self {
        Self(Arc::new(Inner {
            program,
            bounds,
            idle: Mutex::default(),
        }))
    }

    /// The limits of one query, unless it is given less time.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.0.bounds
    }

    /// The limits of a query that may take `time`.
    fn bounds_within(&self, time: Duration) -> Bounds {
        Bounds {
            time: time.min(self.0.bounds.time),
            ..self.0.bounds
        }
    }

    /// Begins a computation for `person`, one of this institution, with a message made of `head` and `rest`, in a process that has
    /// computed nothing, or nothing but plans for the same person.
    ///
    /// # Errors
    /// [`QueryError`] if there is no process.
    pub async fn begin(&self, person: &str, head: &[u8], rest: &[u8]) -> Result<Computation, QueryError> {
        let process = self.acquire(&Answered::Person(person.to_owned()), 0)?;
        let begun = Computation::begin(process, person.to_owned(), (head, rest)).await;
        self.start_spare();
        begun
    }

    /// Keeps the process of a computation that is complete, and that has received no rows, for the next one of the same person.
    pub fn keep(&self, computation: Computation) {
        let (process, person) = computation.into_parts();
        self.keep_idle(process, Some(Answered::Person(person)));
    }

    /// The rows that a process computes for a task. It is kept for `next`; without that it is ended.
    async fn received(
        &self,
        process: Process,
        next: Option<Answered>,
        (kind, task): (Kind, Zeroizing<Vec<u8>>),
        (store, objects): (Arc<dyn ObjectStore>, Vec<ObjectMeta>),
    ) -> Result<RawAnswer, QueryError> {
        let (opened, opening) = oneshot::channel();
        let (rows, reader) = mpsc::channel(1);
        let pump = Pump::new(process, store, objects, opened);
        let workers = self.clone();
        tokio::spawn(async move {
            if let (Some(process), Some(next)) = (pump.run((kind, &task), rows).await, next) {
                workers.keep_idle(process, Some(next));
            }
            workers.start_spare();
        });
        let opening = opening.await.map_err(|_| QueryError::Ended)??;
        let batches = stream::unfold(reader, |mut reader| async { Some((reader.recv().await?, reader)) });
        Ok(RawAnswer {
            schema: opening.schema,
            batches: batches.boxed(),
        })
    }

    /// A process that has computed nothing.
    fn fresh(&self) -> Result<Process, QueryError> {
        self.first_running(unused)
    }

    /// A process that has computed for the same right and scope, or person, and whose priority is not lower than by `steps`, or else one
    /// that has answered nothing.
    fn acquire(&self, next: &Answered, steps: u8) -> Result<Process, QueryError> {
        self.first_running(|idle| {
            let same = idle.iter().position(|one| {
                one.process.priority_steps() <= steps && one.answered.as_ref().is_some_and(|of| of.allows(next))
            });
            same.or_else(|| unused(idle))
        })
    }

    /// The first process at the position that `find` returns which has not ended, or a new one if there is none.
    fn first_running(&self, find: impl Fn(&[IdleProcess]) -> Option<usize>) -> Result<Process, QueryError> {
        loop {
            let found = {
                let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
                find(&idle).map(|at| idle.swap_remove(at).process)
            };
            let Some(mut process) = found else { return self.start() };
            if process.is_running() {
                return Ok(process);
            }
        }
    }

    fn start(&self) -> Result<Process, QueryError> {
        Process::start(&self.0.program, self.0.bounds.process()).map_err(|error| {
            tracing::error!(%error, "an engine process cannot be started");
            QueryError::Engine {
                step: "starting its process",
            }
        })
    }

    /// Starts a process for the next query, if no idle process could answer every query.
    fn start_spare(&self) {
        let fresh = {
            let idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
            unused(&idle).is_some()
        };
        if !fresh && let Ok(process) = self.start() {
            self.keep_idle(process, None);
        }
    }

    /// Keeps an idle process for its next query, until the timeout.
    fn keep_idle(&self, process: Process, answered: Option<Answered>) {
        let timeout = tokio::time::sleep(IDLE_TIMEOUT);
        let until = timeout.deadline();
        {
            let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(IdleProcess {
                process,
                answered,
                until,
            });
            if idle.len() > MAX_IDLE {
                let served: Vec<_> = idle
                    .iter()
                    .map(|one| one.answered.as_ref().map(Answered::served))
                    .collect();
                idle.remove(most_frequent(&served));
            }
        }
        let all = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            timeout.await;
            if let Some(all) = all.upgrade() {
                let mut idle = all.idle.lock().unwrap_or_else(PoisonError::into_inner);
                idle.retain(|one| one.until > until);
            }
        });
    }
}

/// The position of a process that has computed nothing.
fn unused(idle: &[IdleProcess]) -> Option<usize> {
    idle.iter().position(|one| one.answered.is_none())
}

/// The index of the first of the most frequent values: the holder with the most idle processes loses one, no other
/// holder does.
fn most_frequent<T: PartialEq>(all: &[T]) -> usize {
    let alike = |one: &T| all.iter().filter(|other| *other == one).count();
    let (at, _) = all.iter().enumerate().fold((0, 0), |(at, most), (index, one)| {
        let found = alike(one);
        if found > most { (index, found) } else { (at, most) }
    });
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holder_of_most_idle_processes_loses_one() {
        assert_eq!(most_frequent(&[1, 2, 3]), 0);
        assert_eq!(most_frequent(&[1, 2, 2, 3]), 1);
        assert_eq!(most_frequent(&[3, 2, 2, 3, 3]), 0);
        assert_eq!(most_frequent(&[1]), 0);
    }
}
