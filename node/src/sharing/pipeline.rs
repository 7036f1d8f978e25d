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
//! 3. [`Decided`]: the policy was evaluated, and a query below `records` was counted ([`super::limits_below_records`]). Durable: that a person
//!    has reached a limit, or is locked.
//! 4. [`Recorded`]: the record of evidence and, after it, the ledger entry of the decision are durable, also for a denial; the record of a query
//!    for records already while it is decided. From here
//!    on the ledger owes an outcome, and every way out of the state records one.
//! 5. [`Running`]: a permit was made of the ledger's receipt and opened the engine, once ([`super::permit`]); below `records` at one of few
//!    times after the admission ([`super::time_slot`]), and durable before: what is released, and loss that was reserved. Chunks leave
//!    one at a time, each after the reader has confirmed the one before ([`super::delivery`]).
//! 6. [`Closed`]: nothing more leaves. Its outcome is recorded in the ledger, for a peer together with the receipt
//!    ([`super::peer`]).
//!
//! **Slots and locks, in the order in which they are taken.** The query slot of the party; for a query of our own people one of the
//! slots that they have together; then one of all slots ([`super::party_limits`]). All are held until the engine is finished. The
//! decision slot of the party, released once the policy has decided. All of these waits end at one deadline ([`super::wait_deadline`]). For each chunk the guard of its grant, held until
//! the reader has confirmed the chunk or can no longer receive the rest of it: a change of the grant waits for the guards, so that
//! after it was acknowledged no byte leaves.
//!
//! **Cancellation.** The steps run in tasks of the service stage, which a reader that goes away does not cancel: each step learns of
//! it and closes the query with an outcome. What the end of the process cuts off after [`Recorded`] gets its outcome at the next
//! start ([`crate::evidence`]).

use std::{pin::pin, time::Duration};

use concordat_engine::{AnswerTotals, IpcAnswer, QueryError, ReleasedChunk};
use concordat_protocol::audit::EntryBody;
use concordat_protocol::ids::{DatasetName, Digest32};
use concordat_protocol::scope::{Scope, Tier};
use concordat_protocol::wire::messages::Refusal;
use concordat_storage::ledger::{LedgerError, LedgerReceipt};
use tokio::time::Instant;

use super::case::{Case, LocalQuery, PeerQuery};
use super::delivery::{Accepted, AnswerReader, SendError, send_chunk};
use super::handle::Sharing;
use super::outcome::{NotRun, Outcome, no_answer, unconfirmed};
use super::party_limits::{DecisionSlot, QuerySlot};
use super::permit::{Version, open_engine, open_version};
use super::refusal::{failed, refusal_of};
use super::span;

/// A query as it arrived; nothing in it is believed yet.
#[derive(Debug)]
pub(super) enum Received {
    /// From a peer, over an attested session.
    Peer(PeerQuery),
    /// From one of this institution's own people, about one of its own datasets.
    Local(Box<LocalQuery>),
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
        let queried = DatasetName::from(&admitted.case.collection().collection);
        span::describe_query(admitted.case.grant().as_ref(), &queried);
        let recorded = admitted.decide(sharing).await.record(sharing).await?;
        recorded.start(sharing, reader_gone).await.map_err(NotRun::Recorded)
    }

    /// Checks all that can be known without the policy.
    async fn admit(self, sharing: &Sharing) -> Result<Admitted, Refusal> {
        match self {
            Self::Peer(query) => sharing.admit_peer(query).await,
            Self::Local(query) => sharing.admit_local(*query).await,
        }
    }
}

/// A query that may be decided.
#[derive(Debug)]
pub(super) struct Admitted {
    /// The query and by what right it is asked.
    pub(super) case: Case,
    /// How long the answer may take.
    pub(super) time: Duration,
    /// When it was admitted.
    pub(super) since: Instant,
    /// Held until the engine is finished.
    pub(super) slot: QuerySlot,
    /// Held until the policy has decided; not while the decision is made durable, so that queries of one party share that.
    pub(super) decision_slot: DecisionSlot,
}

impl Admitted {
    /// Evaluates the policy. The epoch is read first: a change that comes in between leads to a second evaluation, not to none.
    ///
    /// The record of evidence does not depend on the decision, and for records it is made durable meanwhile. Below `records` it comes after the
    /// decision: the count of the query is durable with it, and has to be before anything is released.
    #[tracing::instrument(level = "debug", skip_all)]
    async fn decide(self, sharing: &Sharing) -> Decided {
        let Self {
            case,
            time,
            since,
            slot,
            decision_slot,
        } = self;
        let epoch = sharing.0.parts.epoch.current();
        let policy = sharing.policy();
        let running = decision_slot.running();
        let deciding = async {
            let decided = sharing.decide_and_count(&case, &policy).await;
            // Not held while the record becomes durable, which queries of one party share.
            drop(decision_slot);
            decided
        };
        let ((decision, basis), begun) = if case.is_for_records() {
            let (decided, begun) = tokio::join!(deciding, sharing.begin_evidence(&case));
            (decided, Some(begun))
        } else {
            (deciding.await, None)
        };
        let uncounted = |scope: &Scope| begun.is_some() && scope.tier < Tier::Records;
        let decision = match decision {
            Ok(scope) if uncounted(&scope) => Err(failed("the query cannot be counted in time")),
            decision => decision,
        };
        Decided {
            case,
            time,
            since,
            slot,
            running,
            decision,
            basis,
            begun,
            epoch,
        }
    }
}

/// A query about which the policy has decided.
#[derive(Debug)]
pub(super) struct Decided {
    case: Case,
    time: Duration,
    since: Instant,
    slot: QuerySlot,
    /// Queries of the same party that were running before.
    running: usize,
    decision: Result<Scope, Refusal>,
    /// The digest of what it is based on.
    basis: Digest32,
    /// Whether the record of evidence is durable; `None` if it was not begun yet.
    begun: Option<Result<(), Refusal>>,
    /// The epoch before the decision was made.
    epoch: u64,
}

impl Decided {
    /// Makes the decision durable: first the record of evidence, then the ledger's entry. The record comes before the entry, because an entry
    /// without a record is how an older copy of the state is recognized. The version is opened meanwhile, and none of its rows is read.
    ///
    /// # Errors
    /// [`NotRun`]; a denial is in the ledger and is its own outcome.
    #[tracing::instrument(level = "debug", skip_all)]
    async fn record(self, sharing: &Sharing) -> Result<Recorded, NotRun> {
        let Self {
            case,
            time,
            since,
            slot,
            running,
            decision,
            basis,
            begun,
            epoch,
        } = self;
        let begun = match begun {
            Some(begun) => begun,
            None => sharing.begin_evidence(&case).await,
        };
        begun.map_err(NotRun::Unrecorded)?;
        let scope = match decision {
            Ok(scope) => scope,
            Err(denial) => {
                let receipt = sharing.record_decision(&case, Err(&denial), basis).await;
                let entry = receipt.map_err(NotRun::Unrecorded)?.sequence();
                sharing.close_evidence(case.query(), entry).await;
                return Err(NotRun::Recorded(denial));
            }
        };
        let (receipt, version) = tokio::join!(
            sharing.record_decision(&case, Ok(&scope), basis),
            open_version(sharing, &case, &scope),
        );
        Ok(Recorded {
            case,
            time,
            since,
            slot,
            running,
            scope,
            receipt: receipt.map_err(NotRun::Unrecorded)?,
            version,
            epoch,
        })
    }
}

/// A permitted query whose decision is durable in the ledger.
#[derive(Debug)]
pub(super) struct Recorded {
    case: Case,
    time: Duration,
    since: Instant,
    slot: QuerySlot,
    /// Queries of the same party that were running before.
    running: usize,
    scope: Scope,
    receipt: LedgerReceipt,
    /// The version that is queried, if it can be opened.
    version: Result<Version, Refusal>,
    epoch: u64,
}

impl Recorded {
    /// Opens the engine, and stores the reference from the record to the entry meanwhile. What does not run is closed with its outcome in the
    /// ledger.
    ///
    /// # Errors
    /// [`Refusal`] if the engine refuses the query, the permission ends, or the reader goes away first.
    async fn start(self, sharing: &Sharing, reader_gone: impl Future<Output = ()> + Send) -> Result<Running, Refusal> {
        let Self {
            case,
            time,
            since,
            slot,
            running,
            scope,
            receipt,
            version,
            epoch,
        } = self;
        let decision = receipt.leaf();
        let referenced = sharing.store_decision(&case, receipt.sequence());
        let opened = async {
            let queried = (scope.clone(), version?);
            tokio::select! {
                biased;
                opened = open_engine(sharing, &case, queried, receipt, (since, time), running) => opened,
                refusal = sharing.until_withdrawn(&case, &scope, epoch) => Err(refusal),
                () = reader_gone => Err(failed("the requester no longer waits for the answer")),
            }
        };
        let (referenced, opened) = tokio::join!(referenced, opened);
        match referenced.and(opened) {
            Ok(answer) => Ok(Running {
                case,
                slot,
                scope,
                decision,
                left: answer.totals(),
                answer,
                prepared: None,
                epoch,
                until: tokio::time::sleep(time).deadline(),
            }),
            Err(refusal) => Err(Closed::close_before_start(sharing, case, scope.tier, decision, refusal).await),
        }
    }
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
    /// What follows the chunk that was sent last, if it was computed while the reader received that one. It has not left.
    prepared: Option<Result<Option<ReleasedChunk>, QueryError>>,
    /// What has left: of a chunk, once it was given to the reader.
    left: AnswerTotals,
    /// The epoch at which the decision was last made.
    epoch: u64,
    until: Instant,
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
    #[tracing::instrument(level = "debug", skip_all)]
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
        self.left = chunk.totals;
        match self.send_and_prepare(reader, chunk).await {
            Ok(Accepted::More) => Ok(true),
            Ok(Accepted::Enough) => Err(Outcome::Abandoned("the reader wants no more rows".to_owned())),
            Err(SendError::ReaderGone(reason)) => {
                reader.leave(guard);
                Err(Outcome::Abandoned(unconfirmed(&reason)))
            }
            Err(SendError::ReaderStalled) => {
                reader.cut_off().await;
                drop(guard);
                Err(Outcome::interrupted(&self.case, sharing.0.parts.clock.now()).await)
            }
        }
    }

    /// Sends a chunk. The next one is computed while the reader receives this one, and stays here: it leaves as any other does, under a guard
    /// and a decision of its own.
    async fn send_and_prepare(
        &mut self,
        reader: &mut impl AnswerReader,
        chunk: ReleasedChunk,
    ) -> Result<Accepted, SendError> {
        let mut sent = pin!(send_chunk(reader, chunk.bytes, self.until));
        tokio::select! {
            biased;
            sent = &mut sent => return sent,
            next = self.answer.next_chunk() => self.prepared = Some(next),
        }
        sent.await
    }

    /// The next chunk. While it is computed, the end of the permission, of the time or of the reader ends it at once.
    async fn next_chunk(
        &mut self,
        sharing: &Sharing,
        reader: &mut impl AnswerReader,
    ) -> Result<Option<ReleasedChunk>, Outcome> {
        if let Some(prepared) = self.prepared.take() {
            return prepared.map_err(|error| ended_by(&error));
        }
        tokio::select! {
            biased;
            chunk = tokio::time::timeout_at(self.until, self.answer.next_chunk()) => match chunk {
                Ok(chunk) => chunk.map_err(|error| ended_by(&error)),
                Err(_) => Err(Outcome::Failed(failed("the time for the query is over"))),
            },
            refusal = sharing.until_withdrawn(&self.case, &self.scope, self.epoch) => Err(Outcome::Cut(refusal)),
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

/// How an answer ends whose engine ended with an error.
fn ended_by(error: &QueryError) -> Outcome {
    if matches!(error, QueryError::Cut { .. }) {
        Outcome::Cut(refusal_of(error))
    } else {
        Outcome::Failed(refusal_of(error))
    }
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

impl Closed {
    /// Closes a query that was permitted and did not run, and records that; returns the refusal for its requester.
    async fn close_before_start(
        sharing: &Sharing,
        case: Case,
        tier: Tier,
        decision: Digest32,
        refusal: Refusal,
    ) -> Refusal {
        let closed = Self {
            case,
            tier,
            decision,
            totals: no_answer(),
            outcome: Outcome::Failed(refusal.clone()),
        };
        match closed.record_outcome(sharing, None).await {
            Ok(()) => refusal,
            Err(_) => failed("the ledger cannot be written"),
        }
    }

    /// Records what left, whether or not the reader has signed for it. Durable when it returns.
    ///
    /// # Errors
    /// [`LedgerError`]; the outcome is then recorded at the next start.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn record_outcome(&self, sharing: &Sharing, receipt: Option<Digest32>) -> Result<(), LedgerError> {
        let parts = &sharing.0.parts;
        let entry = EntryBody::AnswerReleased {
            query: self.case.query(),
            grant: self.case.grant(),
            rows: self.totals.rows,
            bytes: self.totals.bytes,
            answer: self.totals.answer,
            outcome: self.outcome.to_ledger(),
            receipt,
        };
        let recorded = parts
            .ledger
            .append_async(entry, &self.case.attribution().for_outcome(), parts.clock.now())
            .await
            .inspect_err(|error| tracing::error!(%error, "the outcome of a query is not in the ledger"))?;
        sharing.close_evidence(self.case.query(), recorded.sequence()).await;
        Ok(())
    }
}
