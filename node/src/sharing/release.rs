//! The way into the engine and the way of an answer out of it.

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
    engine::{AnswerTotals, Cut, IpcAnswer, Permit, QueryError, version_asked},
};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Sharing;
use super::decide::{Case, failed};
use super::places::Turn;

/// How long a reader that is in the way of a change of its grant may still take for the chunk it has begun.
const LAST_CHUNK: Duration = Duration::from_secs(2);

/// A question that has been permitted, and its answer on the way.
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
    /// What left so far.
    pub(super) fn left(&self) -> AnswerTotals {
        self.answer.totals()
    }
}

/// How an answer ended, and what had left until then.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) totals: AnswerTotals,
    pub(super) how: How,
}

/// How an answer ended.
#[derive(Debug)]
pub(super) enum How {
    /// All of it left.
    Completed,
    /// The permission ended on the way.
    Cut(Refusal),
    /// The permission ended while the reader was in the middle of a chunk, so that the stream cannot carry the reason.
    Interrupted(Refusal),
    /// It broke on our side.
    Failed(Refusal),
    /// The reader is not there any more, or did not read.
    Abandoned(String),
}

/// Where an answer goes.
pub(super) trait Sink: Send {
    /// Ends when nobody is there any more who would take a chunk.
    fn gone(&mut self) -> impl Future<Output = ()> + Send;
    /// Takes one chunk and hands it on before it returns; an error tells why the reader takes no more.
    fn take(&mut self, chunk: Bytes) -> impl Future<Output = Result<(), String>> + Send;
    /// Moves when somebody waits for the chunk that is being taken.
    fn hurry(&mut self) -> Option<&mut watch::Receiver<u64>>;
}

/// The version that a question names. What cannot be read as a question names none; the engine tells what is wrong with it.
pub(super) fn named_version(sql: &str) -> Option<VersionNumber> {
    version_asked(sql).unwrap_or_default()
}

/// The scope as far as an older version has its columns: those that came later are as unknown there as any other.
fn within(scope: Scope, case: &Case, version: &OpenVersion) -> Result<Scope, Refusal> {
    if case.version().is_none() {
        return Ok(scope);
    }
    let there = scope
        .columns
        .iter()
        .filter(|(name, _)| version.manifest().column(name).is_some());
    let columns = Columns::new(there.map(|(name, transform)| (name.clone(), transform)));
    let columns = columns.map_err(|error| Refusal::because(RefusalCode::Denied, error.to_string()))?;
    Ok(Scope { columns, ..scope })
}

impl Sharing {
    /// Decides, writes the decision down, and opens the engine, which stops when the permission ends or nobody waits any more.
    pub(super) async fn admit(
        &self,
        case: Case,
        time: Duration,
        turn: Turn,
        gone: impl Future<Output = ()> + Send,
    ) -> Result<Running, Refusal> {
        let decided_at = self.0.parts.epoch.current();
        let policy = self.policy();
        let decision = self.decide(&case, &policy).await;
        self.begin_evidence(&case).await?;
        let receipt = self.record(&case, decision.as_ref(), &policy).await?;
        self.keep_decision(&case, &receipt).await?;
        let scope = match decision {
            Ok(scope) => scope,
            Err(refusal) => {
                // A denial is its own end.
                self.close_evidence(case.query(), receipt.sequence()).await;
                return Err(refusal);
            }
        };
        let leaf = receipt.leaf();
        let running = turn.running;
        drop(turn);
        let opened = tokio::select! {
            biased;
            opened = self.open_engine(&case, scope.clone(), receipt, time, running) => opened,
            refusal = self.withdrawn(&case, &scope, decided_at) => Err(refusal),
            () = gone => Err(failed("nobody waits for the answer any more")),
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
                    totals: nothing(),
                    how: How::Failed(refusal.clone()),
                };
                self.write_down(&case, &ended, None)
                    .await
                    .map_err(|_| failed("the ledger cannot be written"))?;
                Err(refusal)
            }
        }
    }

    /// The one place where a permit is made.
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
            .map_err(|error| told(&error))?;
        answer.into_ipc().map_err(|error| told(&error))
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

    /// Lets the answer out, chunk by chunk, each under a guard of the grant and a decision that still holds.
    pub(super) async fn let_out(&self, running: &mut Running, sink: &mut impl Sink) -> Ended {
        loop {
            let left = running.answer.totals();
            let chunk = match self.next_chunk(running, sink).await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => {
                    return Ended {
                        totals: left,
                        how: How::Completed,
                    };
                }
                Err(how) => return Ended { totals: left, how },
            };
            if let Some(changes) = sink.hurry() {
                changes.mark_unchanged();
            }
            let guard = match running.case.guard(self.0.parts.clock.now()).await {
                Ok(guard) => guard,
                Err(refusal) => {
                    return Ended {
                        totals: left,
                        how: How::Cut(refusal),
                    };
                }
            };
            if let Err(refusal) = self.still_holds(running).await {
                return Ended {
                    totals: left,
                    how: How::Cut(refusal),
                };
            }
            let handed = hand_over(sink, chunk).await;
            drop(guard);
            match handed {
                Ok(()) => {}
                Err(Stuck::Gone(why)) => {
                    return Ended {
                        totals: left,
                        how: How::Abandoned(why),
                    };
                }
                Err(Stuck::InTheWay) => {
                    // Whoever waited for the chunk comes first at the gate; then it says why no more may leave.
                    let refused = running.case.guard(self.0.parts.clock.now()).await.err();
                    return Ended {
                        totals: left,
                        how: interrupted(refused),
                    };
                }
            }
        }
    }

    /// The next chunk; while it is computed, an end of the permission or of the reader ends it at once.
    async fn next_chunk(&self, running: &mut Running, sink: &mut impl Sink) -> Result<Option<Bytes>, How> {
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
                Ok(Err(error)) => Err(broke(&error)),
                Err(_) => Err(How::Failed(failed("the time for the query is over"))),
            },
            refusal = self.withdrawn(case, scope, *decided_at) => Err(How::Cut(refusal)),
            () = sink.gone() => Err(How::Abandoned("the reader went away".to_owned())),
        }
    }

    /// Waits until what was decided does not hold any more, and tells why.
    async fn withdrawn(&self, case: &Case, scope: &Scope, mut decided_at: u64) -> Refusal {
        let mut moved = self.0.parts.epoch.watch();
        loop {
            let epoch = *moved.borrow_and_update();
            if epoch != decided_at {
                if let Err(refusal) = case.guard(self.0.parts.clock.now()).await {
                    return refusal;
                }
                if let Err(refusal) = self.holds(case, scope).await {
                    return refusal;
                }
                decided_at = epoch;
            }
            if moved.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Decides again if anything changed since the last time.
    async fn still_holds(&self, running: &mut Running) -> Result<(), Refusal> {
        let epoch = self.0.parts.epoch.current();
        if epoch != running.decided_at {
            self.holds(&running.case, &running.scope).await?;
            running.decided_at = epoch;
        }
        Ok(())
    }

    /// Whether no less is permitted now than `before`.
    async fn holds(&self, case: &Case, before: &Scope) -> Result<(), Refusal> {
        let mut scope = self.decide(case, &self.policy()).await?;
        // The window of a local permission begins anew with each decision; the other parts may not have become narrower.
        scope.window = before.window;
        if !scope.covers(before) {
            return Err(Refusal::because(
                RefusalCode::Denied,
                "less is permitted now than when the answer began",
            ));
        }
        Ok(())
    }

    /// Enters what left.
    pub(super) async fn write_down(
        &self,
        case: &Case,
        ended: &Ended,
        receipt: Option<Digest32>,
    ) -> Result<(), LedgerError> {
        let first = |refusal: &Refusal| {
            text::Reason::fitted(
                refusal
                    .reasons
                    .first()
                    .map_or("no reason was given", |reason| reason.text.as_str()),
            )
        };
        let outcome = match &ended.how {
            How::Completed => audit::Outcome::Completed,
            How::Cut(refusal) | How::Interrupted(refusal) => audit::Outcome::Cut { reason: first(refusal) },
            How::Failed(refusal) => audit::Outcome::Failed { reason: first(refusal) },
            How::Abandoned(why) => audit::Outcome::Failed {
                reason: text::Reason::fitted(why),
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

/// Why a reader did not take a chunk.
enum Stuck {
    /// It is not there any more, or reads too slowly.
    Gone(String),
    /// It did not read while somebody waited to change the grant.
    InTheWay,
}

/// Gives the chunk to the reader; one that is stuck while somebody waits to change the grant is given up.
async fn hand_over(sink: &mut impl Sink, chunk: Bytes) -> Result<(), Stuck> {
    let mut waiting = sink.hurry().map(|changes| changes.clone());
    let in_the_way = async {
        if let Some(changes) = &mut waiting
            && changes.changed().await.is_ok()
        {
            return tokio::time::sleep(LAST_CHUNK).await;
        }
        std::future::pending().await
    };
    tokio::select! {
        biased;
        taken = sink.take(chunk) => taken.map_err(Stuck::Gone),
        () = in_the_way => Err(Stuck::InTheWay),
    }
}

fn interrupted(refused: Option<Refusal>) -> How {
    match refused {
        Some(refusal) => How::Interrupted(refusal),
        None => How::Abandoned("the reader did not read while the grant was changed".to_owned()),
    }
}

fn broke(error: &QueryError) -> How {
    match error {
        QueryError::Cut { .. } => How::Cut(told(error)),
        _ => How::Failed(told(error)),
    }
}

/// An error of the engine as the asking side may read it; its words reveal no value of the data.
fn told(error: &QueryError) -> Refusal {
    let code = match error.kind() {
        ErrorKind::Usage => RefusalCode::Invalid,
        ErrorKind::Denied => RefusalCode::Denied,
        ErrorKind::NotFound => RefusalCode::NotFound,
        ErrorKind::Unreachable | ErrorKind::Integrity | ErrorKind::Locked | ErrorKind::Machine => RefusalCode::Failed,
    };
    Refusal::because(code, error.to_string())
}

fn nothing() -> AnswerTotals {
    AnswerTotals {
        rows: 0,
        bytes: 0,
        answer: AnswerDigest::default().finish(),
        suppressed_cells: 0,
        complete: false,
    }
}
