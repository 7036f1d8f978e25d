//! Answers within a permit whose rows are released as a process computes them.

use std::{sync::Arc, time::Duration};

use concordat_protocol::{schema::VersionNumber, scope::Scope};
use concordat_storage::{catalog::CollectionSource, ledger::LedgerReceipt};
use object_store::ObjectStore;

use super::{
    Workers,
    answered::{Answered, AnsweredScope},
};
use crate::{
    Bounds, Holder, Permit, QueryError, ReleasedAnswer, Source, StillPermitted,
    disclosure::RawAnswer,
    run::{Sleep, max_rows, with_deadline},
    source::AnswerKeys,
    worker::{
        frames::Kind,
        messages::{Task, encode, failed},
        process::steps_of,
    },
};

/// A query that is being answered.
struct Running {
    holder: Holder,
    scope: Scope,
    time: Duration,
    /// By how many steps the priority of its process is lowered.
    steps: u8,
}

impl Running {
    /// One of a holder, while so many of the same party are already running.
    fn new((holder, scope): (Holder, Scope), bounds: &Bounds, running: usize) -> Self {
        Self {
            holder,
            scope,
            time: bounds.time,
            steps: steps_of(running),
        }
    }

    /// What a process has computed that has answered it.
    fn answered(&self) -> Answered {
        Answered::Scope(Box::new(AnsweredScope {
            holder: self.holder,
            scope: self.scope.clone(),
        }))
    }

    fn released(
        &self,
        (raw, deadline): (RawAnswer, Sleep),
        receipt: LedgerReceipt,
        watch: Arc<dyn StillPermitted>,
    ) -> ReleasedAnswer {
        let max_rows = max_rows(self.scope.tier, &self.scope.limits);
        ReleasedAnswer::new(raw, max_rows, receipt, watch, deadline)
    }
}

impl Workers {
    /// Answers a statement over a version of `source`'s dataset within `permit`, as [`answer`](crate::answer), in a
    /// separate process and within `time`. A statement that names another version is refused.
    /// The more queries of the same party are already `running`, the lower the priority of the process.
    ///
    /// # Errors
    /// [`QueryError`]; no row was released then.
    pub async fn answer(
        &self,
        permit: Permit,
        source: &dyn Source,
        statement: (&str, Option<VersionNumber>),
        watch: Arc<dyn StillPermitted>,
        time: Duration,
        running: usize,
    ) -> Result<ReleasedAnswer, QueryError> {
        let (holder, scope, receipt) = permit.open();
        let keys = AnswerKeys::of(source, &holder);
        let bounds = self.bounds_within(time);
        let task = Task::new(source, scope.clone(), &keys, statement, &bounds)?;
        let query = Running::new((holder, scope), &bounds, running);
        let raw = self.run(&query, &task, source.object_store()).await?;
        Ok(query.released(raw, receipt, watch))
    }

    /// Answers a statement over datasets of a version of a collection, as [`Workers::answer`].
    ///
    /// # Errors
    /// [`QueryError`]; no row was released then.
    pub async fn answer_collection(
        &self,
        permit: Permit,
        source: &dyn CollectionSource,
        statement: (&str, Option<VersionNumber>),
        watch: Arc<dyn StillPermitted>,
        time: Duration,
        running: usize,
    ) -> Result<ReleasedAnswer, QueryError> {
        let (holder, scope, receipt) = permit.open();
        let keys = AnswerKeys::of_collection(source, &holder);
        let bounds = self.bounds_within(time);
        let task = Task::of_collection(source, scope.clone(), &keys, statement, &bounds)?;
        let query = Running::new((holder, scope), &bounds, running);
        let raw = self.run(&query, &task, source.object_store()).await?;
        Ok(query.released(raw, receipt, watch))
    }

    /// The rest of the time, and what a process computes for `task` within it.
    async fn run(
        &self,
        query: &Running,
        task: &Task,
        store: Arc<dyn ObjectStore>,
    ) -> Result<(RawAnswer, Sleep), QueryError> {
        let sleep = tokio::time::sleep(query.time);
        with_deadline(sleep, self.compute(query.answered(), query.steps, task, store)).await
    }

    /// Dropping the result, or the future, ends the process.
    async fn compute(
        &self,
        answered: Answered,
        steps: u8,
        task: &Task,
        store: Arc<dyn ObjectStore>,
    ) -> Result<RawAnswer, QueryError> {
        let objects = task.objects().ok_or(failed())?;
        let mut process = self.acquire(&answered, steps)?;
        process.lower_priority(steps);
        self.received(process, Some(answered), (Kind::Task, encode(task)?), (store, objects))
            .await
    }
}
