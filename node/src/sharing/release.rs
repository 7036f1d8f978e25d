//! Opens the engine for a permitted query and streams its answer.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enums of the SQL engine are open: what is not named is refused"
)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use concordat_protocol::ids::{DatasetName, Digest32};
use concordat_protocol::scope::{Columns, Scope};
use concordat_protocol::text;
use concordat_protocol::wire::messages::{AnswerDigest, Refusal, RefusalCode};
use concordat_protocol::{
    audit::{self, EntryBody},
    schema::VersionNumber,
};
use concordat_storage::error_kind::ErrorKind;
use concordat_storage::ledger::{LedgerError, LedgerReceipt};
use concordat_storage::{
    catalog::{CatalogError, OpenVersion},
    engine::{AnswerTotals, Cut, IpcAnswer, Permit, QueryError, requested_version},
};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Sharing;
use super::concurrency::DecisionSlot;
use super::decide::{Case, failed};

/// How long a reader that blocks a change of its grant may still take for the current chunk.
const LAST_CHUNK_TIMEOUT: Duration = Duration::from_secs(2);

/// A permitted query whose answer is being streamed.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) case: Case,
    pub(super) scope: Scope,
    /// Leaf hash of the decision's ledger entry.
    pub(super) decision: Digest32,
    answer: IpcAnswer,
    /// The epoch at which the decision was made.
    decided_at: u64,
    until: Instant,
}

impl Running {
    /// The totals of what was sent so far.
    pub(super) fn totals(&self) -> AnswerTotals {
        self.answer.totals()
    }
}

/// How an answer ended, and the totals of what was sent before that.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) totals: AnswerTotals,
    pub(super) outcome: Outcome,
}

/// How an answer ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// All of it was sent.
    Completed,
    /// The permission ended during the answer.
    Cut(Refusal),
    /// The permission ended while the reader was in the middle of a chunk, so that the stream cannot carry the reason.
    Interrupted(Refusal),
    /// It failed on our side.
    Failed(Refusal),
    /// The reader has disconnected, or did not read.
    Abandoned(String),
}

/// Where an answer goes.
pub(super) trait Sink: Send {
    /// Returns once the reader has disconnected.
    fn reader_gone(&mut self) -> impl Future<Output = ()> + Send;
    /// Sends one chunk completely before it returns; an error is the reason why the reader accepts no more.
    fn send(&mut self, chunk: Bytes) -> impl Future<Output = Result<(), String>> + Send;
    /// Changes when a change of the grant waits for the chunk that is being sent.
    fn change_signal(&mut self) -> Option<&mut watch::Receiver<u64>>;
}

/// The version that a query names. A text that cannot be parsed names none; the engine reports what is wrong with it.
pub(super) fn named_version(sql: &str) -> Option<VersionNumber> {
    requested_version(sql).unwrap_or_default()
}

/// The scope limited to the columns of an older version: columns that were added later are unknown there, like any other unknown
/// column.
fn within(scope: Scope, case: &Case, version: &OpenVersion) -> Result<Scope, Refusal> {
    if case.version().is_none() {
        return Ok(scope);
    }
    let available = scope
        .columns
        .iter()
        .filter(|(name, _)| version.manifest().column(name).is_some());
    let columns = Columns::new(available.map(|(name, transform)| (name.clone(), transform)));
    let columns = columns.map_err(|error| Refusal::because(RefusalCode::Denied, error.to_string()))?;
    Ok(Scope { columns, ..scope })
}

impl Sharing {
    /// Decides, records the decision, and opens the engine, which stops if the permission ends or the reader disconnects.
    pub(super) async fn admit(
        &self,
        case: Case,
        time: Duration,
        decision_slot: DecisionSlot,
        reader_gone: impl Future<Output = ()> + Send,
    ) -> Result<Running, Refusal> {
        let decided_at = self.0.parts.epoch.current();
        let policy = self.policy();
        let decision = self.decide(&case, &policy).await;
        self.begin_evidence(&case).await?;
        let receipt = self.record(&case, decision.as_ref(), &policy).await?;
        self.store_decision(&case, &receipt).await?;
        let scope = match decision {
            Ok(scope) => scope,
            Err(refusal) => {
                // A denial is also the end of the query.
                self.close_evidence(case.query(), receipt.sequence()).await;
                return Err(refusal);
            }
        };
        let leaf = receipt.leaf();
        let running = decision_slot.running;
        drop(decision_slot);
        let opened = tokio::select! {
            biased;
            opened = self.open_engine(&case, scope.clone(), receipt, time, running) => opened,
            refusal = self.withdrawn(&case, &scope, decided_at) => Err(refusal),
            () = reader_gone => Err(failed("the reader of the answer has disconnected")),
        };
        match opened {
            Ok(answer) => Ok(Running {
                case,
                scope,
                decision: leaf,
                answer,
                decided_at,
                until: tokio::time::sleep(time).deadline(),
            }),
            Err(refusal) => {
                let ended = Ended {
                    totals: no_totals(),
                    outcome: Outcome::Failed(refusal.clone()),
                };
                self.record_outcome(&case, &ended, None)
                    .await
                    .map_err(|_| failed("the ledger cannot be written"))?;
                Err(refusal)
            }
        }
    }

    /// The only place where a permit is created.
    async fn open_engine(
        &self,
        case: &Case,
        scope: Scope,
        receipt: LedgerReceipt,
        time: Duration,
        running: usize,
    ) -> Result<IpcAnswer, Refusal> {
        let version = self.version(scope.dataset.dataset.clone(), case.version()).await?;
        let scope = within(scope, case, &version)?;
        let (clock, window) = (self.0.parts.clock.clone(), scope.window);
        let in_time = move || {
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
        let answer = self
            .0
            .workers
            .answer(permit, &version, case.sql(), Arc::new(in_time), time, running)
            .await
            .map_err(|error| to_refusal(&error))?;
        answer.into_ipc().map_err(|error| to_refusal(&error))
    }

    async fn version(&self, name: DatasetName, number: Option<VersionNumber>) -> Result<OpenVersion, Refusal> {
        let catalog = self.0.parts.storage.catalog().clone();
        let opened = tokio::task::spawn_blocking(move || catalog.open_version(&name, number)).await;
        match opened {
            Ok(Ok(version)) => Ok(version),
            Ok(Err(error @ CatalogError::NoSuchVersion { .. })) => {
                Err(Refusal::because(RefusalCode::Invalid, error.to_string()))
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "a dataset cannot be opened");
                Err(failed("the stored data cannot be read"))
            }
            Err(_) => Err(failed("the stored data cannot be read")),
        }
    }

    /// Streams the answer chunk by chunk, each under a guard of the grant and a decision that is still valid.
    pub(super) async fn stream_answer(&self, running: &mut Running, sink: &mut impl Sink) -> Ended {
        loop {
            let totals = running.answer.totals();
            let chunk = match self.next_chunk(running, sink).await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => {
                    return Ended {
                        totals,
                        outcome: Outcome::Completed,
                    };
                }
                Err(outcome) => return Ended { totals, outcome },
            };
            if let Some(changes) = sink.change_signal() {
                changes.mark_unchanged();
            }
            let guard = match running.case.guard(self.0.parts.clock.now()).await {
                Ok(guard) => guard,
                Err(refusal) => {
                    return Ended {
                        totals,
                        outcome: Outcome::Cut(refusal),
                    };
                }
            };
            if let Err(refusal) = self.still_permitted(running).await {
                return Ended {
                    totals,
                    outcome: Outcome::Cut(refusal),
                };
            }
            let sent = send_chunk(sink, chunk).await;
            drop(guard);
            match sent {
                Ok(()) => {}
                Err(SendError::ReaderGone(reason)) => {
                    return Ended {
                        totals,
                        outcome: Outcome::Abandoned(reason),
                    };
                }
                Err(SendError::ReaderStalled) => {
                    // The waiting change gets the lock on the grant first. After that, the guard returns the reason why no more
                    // may be sent.
                    let refused = running.case.guard(self.0.parts.clock.now()).await.err();
                    return Ended {
                        totals,
                        outcome: interrupted(refused),
                    };
                }
            }
        }
    }

    /// The next chunk; its computation stops at once if the permission ends or the reader disconnects.
    async fn next_chunk(&self, running: &mut Running, sink: &mut impl Sink) -> Result<Option<Bytes>, Outcome> {
        let Running {
            answer,
            case,
            scope,
            decided_at,
            until,
            ..
        } = running;
        tokio::select! {
            biased;
            chunk = tokio::time::timeout_at(*until, answer.next_chunk()) => match chunk {
                Ok(Ok(chunk)) => Ok(chunk),
                Ok(Err(error)) => Err(classify_error(&error)),
                Err(_) => Err(Outcome::Failed(failed("the time limit of the query has passed"))),
            },
            refusal = self.withdrawn(case, scope, *decided_at) => Err(Outcome::Cut(refusal)),
            () = sink.reader_gone() => Err(Outcome::Abandoned("the reader disconnected".to_owned())),
        }
    }

    /// Waits until the decision is no longer valid, and returns the reason.
    async fn withdrawn(&self, case: &Case, scope: &Scope, mut decided_at: u64) -> Refusal {
        let mut moved = self.0.parts.epoch.watch();
        loop {
            let epoch = *moved.borrow_and_update();
            if epoch != decided_at {
                if let Err(refusal) = case.guard(self.0.parts.clock.now()).await {
                    return refusal;
                }
                if let Err(refusal) = self.check_covers(case, scope).await {
                    return refusal;
                }
                decided_at = epoch;
            }
            if moved.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Decides again if anything has changed since the last decision.
    async fn still_permitted(&self, running: &mut Running) -> Result<(), Refusal> {
        let epoch = self.0.parts.epoch.current();
        if epoch != running.decided_at {
            self.check_covers(&running.case, &running.scope).await?;
            running.decided_at = epoch;
        }
        Ok(())
    }

    /// Checks that everything in `before` is still permitted.
    async fn check_covers(&self, case: &Case, before: &Scope) -> Result<(), Refusal> {
        let mut scope = self.decide(case, &self.policy()).await?;
        // The window of a local permission starts again with each decision; the other parts must not have become narrower.
        scope.window = before.window;
        if !scope.covers(before) {
            return Err(Refusal::because(
                RefusalCode::Denied,
                "the permitted scope is narrower now than when the answer began",
            ));
        }
        Ok(())
    }

    /// Enters the end of the answer, with the totals of what was sent.
    pub(super) async fn record_outcome(
        &self,
        case: &Case,
        ended: &Ended,
        receipt: Option<Digest32>,
    ) -> Result<(), LedgerError> {
        let first = |refusal: &Refusal| {
            text::Reason::sanitized(
                refusal
                    .reasons
                    .first()
                    .map_or("no reason was given", |reason| reason.text.as_str()),
            )
        };
        let outcome = match &ended.outcome {
            Outcome::Completed => audit::Outcome::Completed,
            Outcome::Cut(refusal) | Outcome::Interrupted(refusal) => audit::Outcome::Cut { reason: first(refusal) },
            Outcome::Failed(refusal) => audit::Outcome::Failed { reason: first(refusal) },
            Outcome::Abandoned(why) => audit::Outcome::Failed {
                reason: text::Reason::sanitized(why),
            },
        };
        let AnswerTotals {
            rows, bytes, answer, ..
        } = ended.totals;
        let entry = EntryBody::AnswerReleased {
            query: case.query(),
            grant: case.grant(),
            rows,
            bytes,
            answer,
            outcome,
            receipt,
        };
        let parts = &self.0.parts;
        let entered = parts
            .ledger
            .append_async(entry, &case.attribution(), parts.clock.now())
            .await;
        if let Ok(entry) = &entered {
            self.close_evidence(case.query(), entry.sequence()).await;
        }
        entered
            .map(drop)
            .inspect_err(|error| tracing::error!(%error, "the end of an answer is not in the ledger"))
    }
}

/// Why a chunk could not be sent.
enum SendError {
    /// The reader has disconnected, or reads too slowly.
    ReaderGone(String),
    /// The reader did not read while a change of the grant was waiting.
    ReaderStalled,
}

/// Sends the chunk to the reader. A reader that does not read while a change of the grant is waiting is dropped after
/// [`LAST_CHUNK_TIMEOUT`].
async fn send_chunk(sink: &mut impl Sink, chunk: Bytes) -> Result<(), SendError> {
    let mut waiting = sink.change_signal().map(|changes| changes.clone());
    let stalled = async {
        if let Some(changes) = &mut waiting
            && changes.changed().await.is_ok()
        {
            return tokio::time::sleep(LAST_CHUNK_TIMEOUT).await;
        }
        std::future::pending().await
    };
    tokio::select! {
        biased;
        sent = sink.send(chunk) => sent.map_err(SendError::ReaderGone),
        () = stalled => Err(SendError::ReaderStalled),
    }
}

fn interrupted(refused: Option<Refusal>) -> Outcome {
    match refused {
        Some(refusal) => Outcome::Interrupted(refusal),
        None => Outcome::Abandoned("the reader did not read while the grant was changed".to_owned()),
    }
}

fn classify_error(error: &QueryError) -> Outcome {
    match error {
        QueryError::Cut { .. } => Outcome::Cut(to_refusal(error)),
        _ => Outcome::Failed(to_refusal(error)),
    }
}

/// An error of the engine as a refusal for the consumer; its text reveals no value of the data.
fn to_refusal(error: &QueryError) -> Refusal {
    let code = match error.kind() {
        ErrorKind::Usage => RefusalCode::Invalid,
        ErrorKind::Denied => RefusalCode::Denied,
        ErrorKind::NotFound => RefusalCode::NotFound,
        ErrorKind::Unreachable | ErrorKind::Integrity | ErrorKind::Locked | ErrorKind::Machine => RefusalCode::Failed,
    };
    Refusal::because(code, error.to_string())
}

fn no_totals() -> AnswerTotals {
    AnswerTotals {
        rows: 0,
        bytes: 0,
        answer: AnswerDigest::default().finish(),
        suppressed_cells: 0,
        complete: false,
    }
}
