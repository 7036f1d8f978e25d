//! Continues an answer whose connection was lost.
//!
//! 1. The rows that the reader has are counted and digested ([`delivered_rows`]). None of them is kept.
//! 2. When the connection is lost, the same query is sent again, as a query of its own, until the provider answers or refuses. Each of these
//!    attempts checks first whether the person and the grant still permit it.
//! 3. Rows at tier `records` come in an order that only the grant and the version decide. So the new answer begins with the rows that the
//!    reader has, unless the data or the grant has changed. This is verified: as many rows are read, digested and dropped, and no other
//!    row is passed on before the two digests are equal.
//! 4. A remark states where the answer was continued. If it cannot be, its end is an error that states how many rows there are.
//!
//! What follows the verified rows is the new answer's, with a receipt over all of it; the answer before has none.

mod delivered_rows;

use std::sync::Arc;
use std::time::Duration;

use concordat_network::NetworkError;
use concordat_protocol::scope::Tier;
use concordat_protocol::wire::messages::RefusalCode;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use futures::{StreamExt, stream};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use self::delivered_rows::DeliveredRows;
use crate::federation::error::{FederationError, NotContinued};
use crate::federation::remark::Remark;
use crate::federation::report::QueryReport;
use crate::federation::source::{Access, Answer, Batches, MemberQuery, QuerySource, Target, has_columns};

/// How long a provider has to answer again: a node that was killed and is started by its service needs seconds. No attempt begins later.
const RECONNECT_TIMEOUT: Duration = Duration::from_secs(60);
/// The pause after the first attempt. Each following one is twice as long, up to [`MAX_RETRY_INTERVAL`].
const FIRST_RETRY_INTERVAL: Duration = Duration::from_secs(1);
const MAX_RETRY_INTERVAL: Duration = Duration::from_secs(8);
/// How long after its beginning an answer is continued: as long as a provider may take for one.
const CONTINUATION_TIMEOUT: Duration = Duration::from_secs(600);
/// How often one answer is continued, so that a provider that goes away each time cannot keep a query running.
const MAX_CONTINUATIONS: u32 = 8;

/// What is needed to continue an answer.
#[derive(Debug)]
pub(super) struct Continuation {
    /// Sends the query again.
    source: Arc<dyn QuerySource>,
    report: QueryReport,
    /// Canceled when this node begins to stop.
    stopping: CancellationToken,
    times: ReconnectTimes,
}

/// How long a provider is waited for.
#[derive(Clone, Copy, Debug)]
struct ReconnectTimes {
    first_interval: Duration,
    max_interval: Duration,
    reconnect: Duration,
    continuation: Duration,
}

impl Continuation {
    /// Answers are continued with those of `source`, with a remark in `report`, until `stopping` is canceled.
    pub(super) fn new(source: Arc<dyn QuerySource>, report: QueryReport, stopping: CancellationToken) -> Self {
        Self {
            source,
            report,
            stopping,
            times: ReconnectTimes {
                first_interval: FIRST_RETRY_INTERVAL,
                max_interval: MAX_RETRY_INTERVAL,
                reconnect: RECONNECT_TIMEOUT,
                continuation: CONTINUATION_TIMEOUT,
            },
        }
    }

    /// The `answer` of `target` to `query`, continued when its connection is lost. Must be called on the runtime of the network.
    pub(super) fn follow(self, answer: Answer, target: &Target, query: MemberQuery) -> Answer {
        if !can_be_continued(target) {
            return answer;
        }
        // Rows that cannot be compared are delivered, and not continued.
        let Ok(delivered) = DeliveredRows::none(&answer.schema) else {
            return answer;
        };
        let Answer { schema, batches } = answer;
        let continued = ContinuedAnswer {
            until: sleep(self.times.continuation).deadline(),
            runtime: Handle::current(),
            target: target.clone(),
            query,
            schema: Arc::clone(&schema),
            batches,
            delivered,
            times_continued: 0,
            continuation: self,
        };
        Answer {
            schema,
            batches: stream::try_unfold(continued, ContinuedAnswer::step).boxed(),
        }
    }
}

/// Whether answers of `target` are continued.
fn can_be_continued(target: &Target) -> bool {
    match target.access {
        // The rows of our own node come over no connection.
        Access::Own => false,
        // Below tier `records` another query counts against what the provider may reveal in total, its order of groups is no promise, and
        // an answer is small: a person can query again as a whole.
        Access::Grant(_) => target.tier >= Tier::Records,
    }
}

/// An answer that is being read, and what its reader has of it.
struct ContinuedAnswer {
    continuation: Continuation,
    target: Target,
    query: MemberQuery,
    schema: SchemaRef,
    batches: Batches,
    delivered: DeliveredRows,
    times_continued: u32,
    /// After this it is not continued any more.
    until: Instant,
    /// The runtime of the network; the reader may be on another one.
    runtime: Handle,
}

impl ContinuedAnswer {
    /// The next rows. They count as delivered from here on.
    async fn step(mut self) -> Result<Option<(RecordBatch, Self)>, FederationError> {
        loop {
            match self.batches.next().await {
                Some(Ok(batch)) => {
                    self.delivered.add(&batch)?;
                    return Ok(Some((batch, self)));
                }
                Some(Err(error)) => self.resume(error).await?,
                None => return Ok(None),
            }
        }
    }

    /// Continues after `error`.
    ///
    /// # Errors
    /// `error` itself if it is not a lost connection or there are no rows yet; otherwise the reason why the answer ends here.
    async fn resume(&mut self, error: FederationError) -> Result<(), FederationError> {
        if self.delivered.number() == 0 || !is_lost_connection(&error) {
            return Err(error);
        }
        while self.times_continued < MAX_CONTINUATIONS {
            self.times_continued = self.times_continued.saturating_add(1);
            let answer = self.query_again().await?;
            match self.skip_delivered(answer).await {
                Ok(rest) => {
                    let remark = Remark::continued(&self.target.dataset, self.delivered.number());
                    self.continuation.report.remark(remark);
                    self.batches = rest;
                    return Ok(());
                }
                Err(error) if is_lost_connection(&error) => {
                    tracing::debug!(%error, "the connection was lost again before the answer continued");
                }
                Err(error) => return Err(self.with_delivered(error)),
            }
        }
        Err(self.interrupted(NotContinued::TooOften))
    }

    /// The answer to the same query, as soon as the provider gives one.
    async fn query_again(&mut self) -> Result<Answer, FederationError> {
        // The exchange before has ended.
        self.batches = stream::empty().boxed();
        let Continuation {
            source,
            stopping,
            times,
            ..
        } = &self.continuation;
        let attempts = Attempts {
            source: Arc::clone(source),
            target: self.target.clone(),
            query: self.query.clone(),
            times: *times,
            until: self.until.min(sleep(times.reconnect).deadline()),
        };
        // A reader that goes away drops the handle, which ends the attempts.
        let attempts = AbortOnDropHandle::new(self.runtime.spawn(attempts.run().in_current_span()));
        match stopping.run_until_cancelled(attempts).await {
            Some(Ok(Ok(answer))) => Ok(answer),
            Some(Ok(Err(error))) => Err(self.not_continued(error)),
            Some(Err(error)) => Err(FederationError::machine("the query could not be sent again", error)),
            None => Err(self.interrupted(NotContinued::Stopping)),
        }
    }

    /// The rows of `answer` that the reader does not have, once it is verified that those before them are the ones that it has.
    async fn skip_delivered(&mut self, answer: Answer) -> Result<Batches, FederationError> {
        let Answer { schema, mut batches } = answer;
        if !has_columns(&schema, &self.schema) {
            return Err(self.interrupted(NotContinued::OtherColumns));
        }
        let mut repeated = DeliveredRows::none(&self.schema)?;
        let mut rest = None;
        while repeated.number() < self.delivered.number() {
            let batch = match batches.next().await {
                Some(Ok(batch)) => batch,
                Some(Err(error)) => return Err(error),
                None => return Err(self.interrupted(NotContinued::OtherRows)),
            };
            let missing = self.delivered.number().saturating_sub(repeated.number());
            let known = usize::try_from(missing).unwrap_or(usize::MAX).min(batch.num_rows());
            repeated.add(&batch.slice(0, known))?;
            let others = batch.num_rows().saturating_sub(known);
            rest = (others > 0).then(|| batch.slice(known, others));
        }
        if !repeated.is_same(&self.delivered) {
            return Err(self.interrupted(NotContinued::OtherRows));
        }
        Ok(stream::iter(rest.map(Ok)).chain(batches).boxed())
    }

    /// The error of an answer of which attempts to get the rest ended with `error`.
    fn not_continued(&self, error: FederationError) -> FederationError {
        if matches!(error, FederationError::ColumnsChanged { .. }) {
            return self.interrupted(NotContinued::OtherColumns);
        }
        let is_silent = matches!(error, FederationError::Unreachable { .. }) && may_come_back(&error);
        match is_silent {
            true => self.interrupted(NotContinued::NotBack),
            false => error,
        }
    }

    /// A cut with the number of rows that the reader has, if the cut answer had not come to that.
    fn with_delivered(&self, error: FederationError) -> FederationError {
        let FederationError::Cut {
            provider,
            rows,
            refusal,
        } = error
        else {
            return error;
        };
        FederationError::Cut {
            provider,
            rows: rows.max(self.delivered.number()),
            refusal,
        }
    }

    fn interrupted(&self, reason: NotContinued) -> FederationError {
        FederationError::Interrupted {
            provider: self.target.dataset.institution.clone(),
            rows: self.delivered.number(),
            reason,
        }
    }
}

/// Sends a query until it is answered.
struct Attempts {
    source: Arc<dyn QuerySource>,
    target: Target,
    query: MemberQuery,
    times: ReconnectTimes,
    until: Instant,
}

impl Attempts {
    /// The answer, or the error of the last attempt: one after which the provider does not come back, or that of the attempt before
    /// `until`. An attempt that is under way then ends by the timeouts of the network.
    async fn run(self) -> Result<Answer, FederationError> {
        let mut interval = self.times.first_interval;
        loop {
            let error = match self.source.query(&self.target, self.query.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) if may_come_back(&error) => error,
                Err(error) => return Err(error),
            };
            tracing::debug!(%error, "the query could not be sent again yet");
            if timeout_at(self.until, sleep(interval)).await.is_err() {
                return Err(error);
            }
            interval = interval.saturating_mul(2).min(self.times.max_interval);
        }
    }
}

/// Whether the connection was lost, through no fault in the messages on it.
fn is_lost_connection(error: &FederationError) -> bool {
    matches!(error, FederationError::Unreachable { source, .. } if is_outage(source))
}

/// Whether the provider may answer the same query soon: its node does not run yet, serves no queries yet, or is busy.
fn may_come_back(error: &FederationError) -> bool {
    if let FederationError::Unreachable { source, .. } = error {
        is_outage(source) || matches!(source, NetworkError::Unsupported { .. })
    } else if let FederationError::Refused { refusal, .. } = error {
        refusal.code == RefusalCode::Busy
    } else {
        false
    }
}

fn is_outage(error: &NetworkError) -> bool {
    matches!(
        error,
        NetworkError::Unreachable { .. }
            | NetworkError::OpenTimeout { .. }
            | NetworkError::Cut { .. }
            | NetworkError::Stalled { .. }
            | NetworkError::Closed
            | NetworkError::Io(_)
    )
}

#[cfg(test)]
mod tests;
