//! The one path from a query to its answer, for peers and for this institution's own people alike.
//!
//! ```text
//! Received -> Admitted -> Decided -> Recorded -> Running -> Closed
//! ```
//!
//! Each state is a struct and each step consumes the state before it, so that a step cannot be skipped or repeated.
//!
//! 1. [`Received`]: the query as it arrived. Nothing in it is believed yet.
//! 2. [`Admitted`]: it may be decided. A peer's envelope is authentic, fresh and new, its institution owes no countersignature,
//!    and there is a lease under its grant. Durable: the grant's count of queries.
//! 3. [`Decided`]: the policy was evaluated. Nothing is durable yet.
//! 4. [`Recorded`]: the record of evidence and, after it, the ledger entry of the decision are durable, also for a denial. From here
//!    on the ledger owes an outcome, and every way out of the state records one.
//! 5. [`Running`]: a permit was made of the ledger's receipt and opened the engine, once. Chunks leave one at a time, each after the
//!    reader has confirmed the one before ([`super::delivery`]).
//! 6. [`Closed`]: nothing more leaves. Its outcome is recorded in the ledger, for a peer together with the receipt
//!    ([`super::peer`]).
//!
//! **Slots and locks, in the order in which they are taken.** The query slot of the party, then one of all slots
//! ([`super::concurrency`]); both are held until the engine is finished. The decision slot of the party, released once the decision
//! is recorded. For each chunk the guard of its grant, held until the reader has confirmed the chunk or can no longer receive the
//! rest of it: a change of the grant waits for the guards, so that after it was acknowledged no byte leaves.
//!
//! **Cancellation.** The steps run in tasks of the service stage, which a reader that goes away does not cancel: each step learns of
//! it and closes the query with an outcome. What the end of the process cuts off after [`Recorded`] gets its outcome at the next
//! start ([`crate::evidence`]).

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use concordat_protocol::audit::{self, EntryBody};
use concordat_protocol::ids::{DatasetName, Digest32};
use concordat_protocol::query::QueryEnvelope;
use concordat_protocol::schema::VersionNumber;
use concordat_protocol::scope::{Columns, Scope, Tier};
use concordat_protocol::signed::Signed;
use concordat_protocol::text;
use concordat_protocol::wire::messages::{AnswerDigest, Refusal, RefusalCode};
use concordat_storage::catalog::{CatalogError, OpenVersion};
use concordat_storage::engine::{AnswerTotals, Cut, IpcAnswer, Permit, QueryError};
use concordat_storage::ledger::{LedgerError, LedgerReceipt};
use tokio::time::Instant;

use super::Sharing;
use super::case::{Case, LocalQuery};
use super::concurrency::{DecisionSlot, QuerySlot};
use super::decision::{failed, invalid, refusal_of};
use super::delivery::{Accepted, AnswerReader, SendError, send_chunk};
use crate::network::Session;
use crate::network::hello::Attested;
use crate::policy::Policy;

/// A query as it arrived; nothing in it is believed yet.
#[derive(Debug)]
pub(super) enum Received {
    /// From a peer, over an attested session.
    Peer {
        /// The query.
        envelope: Signed<QueryEnvelope>,
        /// What the session's peer has proved about itself.
        consumer: Arc<Attested>,
        /// The session.
        session: Session,
    },
    /// From one of this institution's own people, about one of its own datasets.
    Local(LocalQuery),
}

/// A query that may be decided.
#[derive(Debug)]
pub(super) struct Admitted {
    /// The query and by what right it is asked.
    pub(super) case: Case,
    /// How long the answer may take.
    pub(super) time: Duration,
    /// Held until the engine is finished.
    pub(super) slot: QuerySlot,
    /// Held until the decision is recorded.
    pub(super) decision_slot: DecisionSlot,
}

/// A query about which the policy has decided.
#[derive(Debug)]
pub(super) struct Decided {
    admitted: Admitted,
    policy: Policy,
    decision: Result<Scope, Refusal>,
    /// The epoch before the decision was made.
    epoch: u64,
}

/// A permitted query whose decision is durable in the ledger.
#[derive(Debug)]
pub(super) struct Recorded {
    case: Case,
    time: Duration,
    slot: QuerySlot,
    /// Queries of the same party that were running before.
    running: usize,
    scope: Scope,
    receipt: LedgerReceipt,
    epoch: u64,
}

/// A query whose answer is being computed and sent.
#[derive(Debug)]
pub(super) struct Running {
    case: Case,
    slot: QuerySlot,
    scope: Scope,
    /// Leaf hash of the decision's ledger entry.
    decision: Digest32,
    answer: IpcAnswer,
    /// What has left: the engine counts a chunk when it hands it out, and one that was not given to the reader has not left.
    left: AnswerTotals,
    /// The epoch at which the decision was last made.
    epoch: u64,
    until: Instant,
}

/// A query of which nothing more leaves.
#[derive(Debug)]
pub(super) struct Closed {
    /// The query.
    pub(super) case: Case,
    /// How much the answer could reveal.
    pub(super) tier: Tier,
    /// Leaf hash of the decision's ledger entry.
    pub(super) decision: Digest32,
    /// What left.
    pub(super) totals: AnswerTotals,
    /// How the answer ended.
    pub(super) outcome: Outcome,
}

/// How an answer ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// All of it left.
    Completed,
    /// The permission ended while it was sent.
    Cut(Refusal),
    /// The permission ended before the reader had confirmed a chunk; the way to it was cut off, so that it does not learn the reason.
    Interrupted(Refusal),
    /// An error on this side.
    Failed(Refusal),
    /// The reader went away, or stopped reading.
    Abandoned(String),
}

/// Why a query was not run, and whether the ledger knows.
#[derive(Debug)]
pub(super) enum NotRun {
    /// Refused before a decision was recorded.
    Unrecorded(Refusal),
    /// The ledger holds the decision, and the outcome where one was owed.
    Recorded(Refusal),
}

impl NotRun {
    /// The refusal for the requester.
    pub(super) fn into_refusal(self) -> Refusal {
        match self {
            Self::Unrecorded(refusal) => refusal,
            Self::Recorded(refusal) => refusal,
        }
    }
}

impl Received {
    /// The steps from here to [`Running`]. `reader_gone` completes when the requester no longer waits.
    ///
    /// # Errors
    /// [`NotRun`] with every reason.
    pub(super) async fn run(
        self,
        sharing: &Sharing,
        reader_gone: impl Future<Output = ()> + Send,
    ) -> Result<Running, NotRun> {
        let admitted = self.admit(sharing).await.map_err(NotRun::Unrecorded)?;
        let recorded = admitted.decide(sharing).await.record(sharing).await?;
        recorded.start(sharing, reader_gone).await.map_err(NotRun::Recorded)
    }

    /// Checks all that can be known without the policy.
    async fn admit(self, sharing: &Sharing) -> Result<Admitted, Refusal> {
        match self {
            Self::Peer {
                envelope,
                consumer,
                session,
            } => sharing.admit_peer(envelope, &consumer, &session).await,
            Self::Local(query) => sharing.admit_local(query).await,
        }
    }
}

impl Admitted {
    /// Evaluates the policy. The epoch is read first: a change that comes in between leads to a second evaluation, not to none.
    async fn decide(self, sharing: &Sharing) -> Decided {
        let epoch = sharing.0.parts.epoch.current();
        let policy = sharing.policy();
        let decision = sharing.decide(&self.case, &policy).await;
        Decided {
            admitted: self,
            policy,
            decision,
            epoch,
        }
    }
}

impl Decided {
    /// Makes the decision durable: first the record of evidence, then the ledger's entry, then the record's reference to it. The record
    /// comes before the entry, because an entry without a record is how an older copy of the state is recognized.
    ///
    /// # Errors
    /// [`NotRun`]; a denial is in the ledger and is its own outcome.
    async fn record(self, sharing: &Sharing) -> Result<Recorded, NotRun> {
        let Self {
            admitted,
            policy,
            decision,
            epoch,
        } = self;
        let Admitted {
            case,
            time,
            slot,
            decision_slot,
        } = admitted;
        sharing.begin_evidence(&case).await.map_err(NotRun::Unrecorded)?;
        let receipt = sharing
            .record_decision(&case, decision.as_ref(), &policy)
            .await
            .map_err(NotRun::Unrecorded)?;
        let referenced = sharing.store_decision(&case, &receipt).await;
        let scope = match decision {
            Ok(scope) => scope,
            Err(denial) => {
                sharing.close_evidence(case.query(), receipt.sequence()).await;
                return Err(NotRun::Recorded(denial));
            }
        };
        if let Err(refusal) = referenced {
            let closed = Closed::before_start(case, scope.tier, receipt.leaf(), refusal.clone());
            return Err(NotRun::Recorded(closed.record_failure(sharing, refusal).await));
        }
        Ok(Recorded {
            case,
            time,
            slot,
            running: decision_slot.running(),
            scope,
            receipt,
            epoch,
        })
    }
}

impl Recorded {
    /// Opens the engine. What does not run is closed with its outcome in the ledger.
    ///
    /// # Errors
    /// [`Refusal`] if the engine refuses the query, the permission ends, or the reader goes away first.
    async fn start(self, sharing: &Sharing, reader_gone: impl Future<Output = ()> + Send) -> Result<Running, Refusal> {
        let Self {
            case,
            time,
            slot,
            running,
            scope,
            receipt,
            epoch,
        } = self;
        let decision = receipt.leaf();
        let opened = tokio::select! {
            biased;
            opened = open_engine(sharing, &case, scope.clone(), receipt, time, running) => opened,
            refusal = sharing.until_withdrawn(&case, &scope, epoch) => Err(refusal),
            () = reader_gone => Err(failed("the requester no longer waits for the answer")),
        };
        match opened {
            Ok(answer) => Ok(Running {
                case,
                slot,
                scope,
                decision,
                left: answer.totals(),
                answer,
                epoch,
                until: tokio::time::sleep(time).deadline(),
            }),
            Err(refusal) => {
                let closed = Closed::before_start(case, scope.tier, decision, refusal.clone());
                Err(closed.record_failure(sharing, refusal).await)
            }
        }
    }
}

/// The one place where a permit is made.
async fn open_engine(
    sharing: &Sharing,
    case: &Case,
    scope: Scope,
    receipt: LedgerReceipt,
    time: Duration,
    running: usize,
) -> Result<IpcAnswer, Refusal> {
    let version = open_version(sharing, scope.dataset.dataset.clone(), case.version()).await?;
    let scope = columns_of_version(scope, case, &version)?;
    let clock = sharing.0.parts.clock.clone();
    let window = scope.window;
    let check_time = move || {
        if window.contains(clock.now()) {
            Ok(())
        } else {
            Err(Cut {
                reason: "the permission has expired".to_owned(),
            })
        }
    };
    let permit =
        Permit::new(case.holder(), case.query(), scope, receipt).map_err(|error| failed(&error.to_string()))?;
    let answer = sharing
        .0
        .workers
        .answer(
            permit,
            &version,
            (case.sql(), case.version()),
            Arc::new(check_time),
            time,
            running,
        )
        .await
        .map_err(|error| refusal_of(&error))?;
    answer.into_ipc().map_err(|error| refusal_of(&error))
}

async fn open_version(
    sharing: &Sharing,
    name: DatasetName,
    number: Option<VersionNumber>,
) -> Result<OpenVersion, Refusal> {
    let catalog = sharing.0.parts.storage.catalog().clone();
    let opened = tokio::task::spawn_blocking(move || catalog.open_version(&name, number)).await;
    match opened {
        Ok(Ok(version)) => Ok(version),
        Ok(Err(error @ CatalogError::NoSuchVersion { .. })) => Err(invalid(error.to_string())),
        Ok(Err(error)) => {
            tracing::warn!(%error, "a dataset cannot be opened");
            Err(failed("the stored data cannot be read"))
        }
        Err(_) => Err(failed("the stored data cannot be read")),
    }
}

/// The scope, limited to the columns that an older version has: later columns are as unknown there as any other.
fn columns_of_version(scope: Scope, case: &Case, version: &OpenVersion) -> Result<Scope, Refusal> {
    if case.version().is_none() {
        return Ok(scope);
    }
    let known = scope
        .columns
        .iter()
        .filter(|(name, _)| version.manifest().column(name).is_some());
    let columns = Columns::new(known.map(|(name, transform)| (name.clone(), transform)));
    let columns = columns.map_err(|error| Refusal::because(RefusalCode::Denied, error.to_string()))?;
    Ok(Scope { columns, ..scope })
}

impl Running {
    /// The query.
    pub(super) fn case(&self) -> &Case {
        &self.case
    }

    /// How much the answer may reveal.
    pub(super) fn tier(&self) -> Tier {
        self.scope.tier
    }

    /// Sends the answer, chunk by chunk, each under a guard of the grant and a decision that is still valid.
    ///
    /// The totals are those of the chunks that the reader has confirmed and, as an upper bound, of the one that it was given last.
    pub(super) async fn stream_answer(mut self, sharing: &Sharing, reader: &mut impl AnswerReader) -> Closed {
        loop {
            match self.send_next(sharing, reader).await {
                Ok(true) => {}
                Ok(false) => return self.close(Outcome::Completed),
                Err(outcome) => return self.close(outcome),
            }
        }
    }

    /// Ends the answer before its first chunk, because the reader went away.
    pub(super) fn abandon(self, reason: String) -> Closed {
        self.close(Outcome::Abandoned(reason))
    }

    /// Sends one chunk; `false` if there is no more.
    async fn send_next(&mut self, sharing: &Sharing, reader: &mut impl AnswerReader) -> Result<bool, Outcome> {
        let Some(chunk) = self.next_chunk(sharing, reader).await? else {
            return Ok(false);
        };
        let now = sharing.0.parts.clock.now();
        let guard = self.case.guard(now).await.map_err(Outcome::Cut)?;
        self.decide_again(sharing).await.map_err(Outcome::Cut)?;
        // From here on the reader may have any part of the chunk, whatever happens to it.
        self.left = self.answer.totals();
        match send_chunk(reader, chunk, self.until).await {
            Ok(Accepted::More) => Ok(true),
            Ok(Accepted::Enough) => Err(Outcome::Abandoned("the reader wants no more rows".to_owned())),
            Err(SendError::ReaderGone(reason)) => {
                reader.leave(guard);
                Err(Outcome::Abandoned(unconfirmed(&reason)))
            }
            Err(SendError::ReaderStalled) => {
                reader.cut_off().await;
                drop(guard);
                Err(interrupted(&self.case, sharing).await)
            }
        }
    }

    /// The next chunk. While it is computed, the end of the permission, of the time or of the reader ends it at once.
    async fn next_chunk(
        &mut self,
        sharing: &Sharing,
        reader: &mut impl AnswerReader,
    ) -> Result<Option<Bytes>, Outcome> {
        let Self {
            answer,
            case,
            scope,
            epoch,
            until,
            ..
        } = self;
        tokio::select! {
            biased;
            chunk = tokio::time::timeout_at(*until, answer.next_chunk()) => match chunk {
                Ok(Ok(chunk)) => Ok(chunk),
                Ok(Err(error @ QueryError::Cut { .. })) => Err(Outcome::Cut(refusal_of(&error))),
                Ok(Err(error)) => Err(Outcome::Failed(refusal_of(&error))),
                Err(_) => Err(Outcome::Failed(failed("the time for the query is over"))),
            },
            refusal = sharing.until_withdrawn(case, scope, *epoch) => Err(Outcome::Cut(refusal)),
            () = reader.reader_gone() => Err(Outcome::Abandoned("the reader went away".to_owned())),
        }
    }

    /// Evaluates the policy again if anything changed since the last time.
    async fn decide_again(&mut self, sharing: &Sharing) -> Result<(), Refusal> {
        let epoch = sharing.0.parts.epoch.current();
        if epoch != self.epoch {
            sharing.still_permits(&self.case, &self.scope).await?;
            self.epoch = epoch;
        }
        Ok(())
    }

    /// The engine ends here, and with it the need for a query slot.
    fn close(self, outcome: Outcome) -> Closed {
        drop(self.answer);
        drop(self.slot);
        Closed {
            case: self.case,
            tier: self.scope.tier,
            decision: self.decision,
            totals: self.left,
            outcome,
        }
    }
}

/// The change that waited for the guard takes effect first; then the lease states why nothing more may leave.
async fn interrupted(case: &Case, sharing: &Sharing) -> Outcome {
    match case.guard(sharing.0.parts.clock.now()).await {
        Err(refusal) => Outcome::Interrupted(refusal),
        Ok(_) => Outcome::Abandoned(unconfirmed("the reader did not read while the grant was changed")),
    }
}

impl Closed {
    /// A query that was permitted and did not run.
    fn before_start(case: Case, tier: Tier, decision: Digest32, refusal: Refusal) -> Self {
        Self {
            case,
            tier,
            decision,
            totals: AnswerTotals {
                rows: 0,
                bytes: 0,
                answer: AnswerDigest::default().finish(),
                suppressed_cells: 0,
                complete: false,
            },
            outcome: Outcome::Failed(refusal),
        }
    }

    /// Records the outcome of a query that did not run; the refusal for its requester.
    async fn record_failure(&self, sharing: &Sharing, refusal: Refusal) -> Refusal {
        match self.record_outcome(sharing, None).await {
            Ok(()) => refusal,
            Err(_) => failed("the ledger cannot be written"),
        }
    }

    /// Records what left, whether or not the reader has signed for it. Durable when it returns.
    ///
    /// # Errors
    /// [`LedgerError`]; the outcome is then recorded at the next start.
    pub(super) async fn record_outcome(&self, sharing: &Sharing, receipt: Option<Digest32>) -> Result<(), LedgerError> {
        let parts = &sharing.0.parts;
        let entry = EntryBody::AnswerReleased {
            query: self.case.query(),
            grant: self.case.grant(),
            rows: self.totals.rows,
            bytes: self.totals.bytes,
            answer: self.totals.answer,
            outcome: self.audit_outcome(),
            receipt,
        };
        let recorded = parts
            .ledger
            .append_async(entry, &self.case.attribution(), parts.clock.now())
            .await
            .inspect_err(|error| tracing::error!(%error, "the outcome of a query is not in the ledger"))?;
        sharing.close_evidence(self.case.query(), recorded.sequence()).await;
        Ok(())
    }

    fn audit_outcome(&self) -> audit::Outcome {
        match &self.outcome {
            Outcome::Completed => audit::Outcome::Completed,
            Outcome::Cut(refusal) => audit::Outcome::Cut {
                reason: first_reason(refusal),
            },
            Outcome::Interrupted(refusal) => audit::Outcome::Cut {
                reason: text::Reason::sanitized(&unconfirmed(first_text(refusal))),
            },
            Outcome::Failed(refusal) => audit::Outcome::Failed {
                reason: first_reason(refusal),
            },
            Outcome::Abandoned(reason) => audit::Outcome::Failed {
                reason: text::Reason::sanitized(reason),
            },
        }
    }
}

/// The totals then include the last chunk.
fn unconfirmed(reason: &str) -> String {
    format!("the last chunk is counted and was not confirmed: {reason}")
}

fn first_reason(refusal: &Refusal) -> text::Reason {
    text::Reason::sanitized(first_text(refusal))
}

fn first_text(refusal: &Refusal) -> &str {
    let first = refusal.reasons.first();
    first.map_or("no reason was given", |reason| reason.text.as_str())
}
