//! The node's side: it begins the computation of a query, sends the queries to members, and receives the rows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use concordat_arrow_stream::{CheckedStream, Item, StreamEncoder};
use concordat_engine::{Computation, QueryError};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use futures::{StreamExt, stream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::messages::{Begin, FromEngine, Task, ToEngine, decode, encode, engine_failed};
use crate::federation::error::FederationError;
use crate::federation::planned_part::PlannedPart;
use crate::federation::report::QueryReport;
use crate::federation::source::{Answer, MemberQuery, QuerySource, Target};
use crate::federation::tables::Tables;
use crate::iam::Actor;
use crate::sharing::{QuerySlot, Sharing};

/// Longest time that a query may be planned. A bounded statement takes a fraction of it.
const PLANNING_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest time that the local part of a query may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(600);
/// Most answers of members that one query has open.
const MAX_ANSWERS: usize = 4096;

/// A query that was planned.
#[derive(Debug)]
pub(in crate::federation) enum Planned {
    /// One member answers the whole query.
    Whole {
        /// The member's dataset.
        target: Target,
        /// What is sent to it.
        query: MemberQuery,
    },
    /// Several answers are needed, and the process computes the rest.
    Local(Box<LocalQuery>),
}

/// A query that waits in its process to be computed. Dropping it ends the process.
#[derive(Debug)]
pub(in crate::federation) struct LocalQuery {
    computation: Computation,
    targets: Vec<Target>,
    /// What will be done, for people to read.
    pub(in crate::federation) steps: Vec<String>,
    /// What members will be queried for. Each target is one of the query.
    pub(in crate::federation) parts: Vec<PlannedPart>,
}

/// Plans `sql` over `tables` for `actor`, in an engine process; `day` is the current date, in days since 1970-01-01. What is missing is in `report`.
///
/// # Errors
/// [`FederationError::Query`] with the reason for which the query cannot be planned, which may be a limit of the process.
pub(in crate::federation) async fn plan(
    sharing: &Sharing,
    actor: &Actor,
    (sql, day): (&str, i32),
    tables: &Tables,
    report: &QueryReport,
) -> Result<Planned, FederationError> {
    let begin = Begin::new((sql, day), tables, report, sharing.bounds().memory)?;
    let begin = encode(&Task::Plan(Box::new(begin)))?;
    let targets: Vec<Target> = tables.targets().cloned().collect();
    let planned = tokio::time::timeout(PLANNING_TIMEOUT, planned(sharing, actor, &begin, targets, report)).await;
    planned.unwrap_or_else(|_| Err(too_long(PLANNING_TIMEOUT)))
}

async fn planned(
    sharing: &Sharing,
    actor: &Actor,
    begin: &[u8],
    targets: Vec<Target>,
    report: &QueryReport,
) -> Result<Planned, FederationError> {
    let begun = sharing.begin_computation(actor, begin).await;
    let mut computation = begun.map_err(FederationError::planning)?;
    let body = computation.next().await.map_err(FederationError::planning)?;
    let (message, columns) = decode::<FromEngine>(body)?;
    match message {
        FromEngine::Whole {
            target,
            sql,
            grouped,
            figures,
            remarks,
        } => {
            report.decided(remarks);
            let target = targets.into_iter().nth(target).ok_or_else(engine_failed)?;
            let schema = columns_of(columns)?;
            sharing.keep_computation(computation);
            let query = MemberQuery {
                sql,
                schema,
                grouped,
                figures,
            };
            Ok(Planned::Whole { target, query })
        }
        FromEngine::Local { steps, parts, remarks } => {
            if parts.iter().any(|part| part.target >= targets.len()) {
                return Err(engine_failed());
            }
            report.decided(remarks);
            Ok(Planned::Local(Box::new(LocalQuery {
                computation,
                targets,
                steps,
                parts,
            })))
        }
        FromEngine::Failed(failure) => {
            sharing.keep_computation(computation);
            Err(failure.into_error(|_| None))
        }
        FromEngine::Tables(_)
        | FromEngine::Condition(_)
        | FromEngine::Query { .. }
        | FromEngine::More { .. }
        | FromEngine::Close { .. }
        | FromEngine::Columns { .. }
        | FromEngine::Rows
        | FromEngine::Done => Err(engine_failed()),
    }
}

/// The columns at the beginning of a stream.
fn columns_of(mut columns: Bytes) -> Result<SchemaRef, FederationError> {
    match CheckedStream::new().decode(&mut columns) {
        Ok(Some(Item::Schema(schema))) if columns.is_empty() => Ok(schema),
        Ok(_) | Err(_) => Err(engine_failed()),
    }
}

/// The rows as they are received; the last item is `None`, or an error.
type Rows = mpsc::Sender<Option<Result<RecordBatch, FederationError>>>;

impl LocalQuery {
    /// Computes the query from the answers of `source`, in `slot`, which is held until its process ends.
    ///
    /// # Errors
    /// [`FederationError`] if a member does not answer, or if the query cannot be computed within its limits.
    pub(in crate::federation) async fn run(
        mut self,
        source: Arc<dyn QuerySource>,
        report: QueryReport,
        slot: QuerySlot,
    ) -> Result<Answer, FederationError> {
        let until = tokio::time::sleep(QUERY_TIMEOUT).deadline();
        self.computation.lower_priority(slot.running());
        let begun = self.computation.send(&encode(&ToEngine::Run)?, &[]).await;
        begun.map_err(FederationError::planning)?;
        let (opened, opening) = oneshot::channel();
        let (rows, reader) = mpsc::channel(1);
        let pump = Pump::new((self, slot), source, report, opened);
        tokio::spawn(pump.run(until, rows));
        let schema = opening.await.map_err(|_| engine_failed())??;
        let batches = stream::unfold(Some(reader), |reader| async move {
            let mut reader = reader?;
            match reader.recv().await {
                Some(Some(Ok(batch))) => Some((Ok(batch), Some(reader))),
                Some(Some(Err(error))) => Some((Err(error), None)),
                Some(None) => None,
                None => Some((Err(engine_failed()), None)),
            }
        });
        Ok(Answer {
            schema,
            batches: batches.boxed(),
        })
    }
}

/// Serves the process of one query until its end.
struct Pump {
    computation: Computation,
    targets: Vec<Target>,
    source: Arc<dyn QuerySource>,
    report: QueryReport,
    opened: Option<oneshot::Sender<Result<SchemaRef, FederationError>>>,
    /// The rows are checked like those of a peer: the process has computed them from what peers have sent.
    stream: CheckedStream,
    answers: HashMap<u64, MemberAnswer>,
    failed: HashMap<u64, FederationError>,
    deliveries: mpsc::Receiver<Delivery>,
    deliver: mpsc::Sender<Delivery>,
    /// Dropped after the process.
    _slot: QuerySlot,
}

/// The answer of a member that is being sent to the process.
struct MemberAnswer {
    more: UnboundedSender<()>,
    _task: AbortOnDropHandle<()>,
}

/// What the process gets of the answer with this number.
enum Delivery {
    Rows(u64, Vec<u8>),
    End(u64),
    Failed(u64, Box<FederationError>),
}

impl Pump {
    fn new(
        (query, slot): (LocalQuery, QuerySlot),
        source: Arc<dyn QuerySource>,
        report: QueryReport,
        opened: oneshot::Sender<Result<SchemaRef, FederationError>>,
    ) -> Self {
        let (deliver, deliveries) = mpsc::channel(1);
        Self {
            computation: query.computation,
            targets: query.targets,
            source,
            report,
            opened: Some(opened),
            stream: CheckedStream::new(),
            answers: HashMap::new(),
            failed: HashMap::new(),
            deliveries,
            deliver,
            _slot: slot,
        }
    }

    /// Sends all rows. If their reader is dropped, the process is killed, whatever it is doing.
    async fn run(mut self, until: Instant, rows: Rows) {
        let ended = tokio::select! {
            biased;
            () = rows.closed() => return,
            ended = tokio::time::timeout_at(until, self.work(&rows)) => ended,
        };
        let ended = ended.unwrap_or_else(|_| Err(too_long(QUERY_TIMEOUT)));
        let opened = self.opened.take();
        // The process and the exchanges with members end before the reader knows of the end.
        drop(self);
        // The reader may have been dropped.
        match (ended, opened) {
            (Ok(()), _) => drop(rows.send(None).await),
            (Err(error), Some(opened)) => drop(opened.send(Err(error))),
            (Err(error), None) => drop(rows.send(Some(Err(error))).await),
        }
    }

    async fn work(&mut self, rows: &Rows) -> Result<(), FederationError> {
        loop {
            tokio::select! {
                message = self.computation.next() => {
                    let (message, bytes) = decode::<FromEngine>(message.map_err(FederationError::planning)?)?;
                    if self.handle(message, bytes, rows).await? {
                        return Ok(());
                    }
                }
                Some(delivery) = self.deliveries.recv() => self.deliver(delivery).await?,
            }
        }
    }

    /// Returns whether the answer is complete.
    async fn handle(&mut self, message: FromEngine, bytes: Bytes, rows: &Rows) -> Result<bool, FederationError> {
        match message {
            FromEngine::Query {
                number,
                target,
                sql,
                grouped,
            } => {
                let schema = columns_of(bytes)?;
                let query = MemberQuery {
                    sql,
                    schema,
                    grouped,
                    figures: None,
                };
                self.query_member(number, target, query)?;
            }
            FromEngine::More { number } => {
                if let Some(answer) = self.answers.get(&number) {
                    // An answer that has ended sends no more.
                    let _ = answer.more.send(());
                }
            }
            FromEngine::Close { number } => drop(self.answers.remove(&number)),
            FromEngine::Columns { remarks } => {
                let opened = self.opened.take().ok_or_else(engine_failed)?;
                self.report.decided(remarks);
                let schema = self.columns(bytes)?;
                // The reader may have been dropped, which `run` detects.
                drop(opened.send(Ok(schema)));
            }
            FromEngine::Rows if self.opened.is_none() => self.rows(bytes, rows).await?,
            FromEngine::Done if self.opened.is_none() => return Ok(true),
            FromEngine::Failed(failure) => return Err(failure.into_error(|number| self.failed.remove(&number))),
            FromEngine::Rows
            | FromEngine::Done
            | FromEngine::Whole { .. }
            | FromEngine::Local { .. }
            | FromEngine::Tables(_)
            | FromEngine::Condition(_) => return Err(engine_failed()),
        }
        Ok(false)
    }

    /// Sends a query to a member of this query, and no other.
    fn query_member(&mut self, number: u64, target: usize, query: MemberQuery) -> Result<(), FederationError> {
        let target = self.targets.get(target).cloned().ok_or_else(engine_failed)?;
        if self.answers.len() >= MAX_ANSWERS || self.answers.contains_key(&number) {
            return Err(engine_failed());
        }
        let (more, requested) = unbounded_channel();
        // One batch can be on its way before the process has read anything.
        let _ = more.send(());
        let answer = forward(
            number,
            (target, query),
            Arc::clone(&self.source),
            requested,
            self.deliver.clone(),
        );
        let task = AbortOnDropHandle::new(tokio::spawn(answer));
        self.answers.insert(number, MemberAnswer { more, _task: task });
        Ok(())
    }

    async fn deliver(&mut self, delivery: Delivery) -> Result<(), FederationError> {
        let (message, rows) = match delivery {
            Delivery::Rows(number, rows) => (ToEngine::Rows { number }, rows),
            Delivery::End(number) => {
                self.answers.remove(&number);
                (ToEngine::End { number }, Vec::new())
            }
            Delivery::Failed(number, error) => {
                self.answers.remove(&number);
                self.failed.insert(number, *error);
                (ToEngine::MemberFailed { number }, Vec::new())
            }
        };
        let sent = self.computation.send(&encode(&message)?, &rows).await;
        sent.map_err(FederationError::planning)
    }

    fn columns(&mut self, mut bytes: Bytes) -> Result<SchemaRef, FederationError> {
        match self.stream.decode(&mut bytes) {
            Ok(Some(Item::Schema(schema))) if bytes.is_empty() => Ok(schema),
            Ok(_) | Err(_) => Err(engine_failed()),
        }
    }

    async fn rows(&mut self, mut bytes: Bytes, rows: &Rows) -> Result<(), FederationError> {
        while let Some(item) = self.stream.decode(&mut bytes).map_err(|_| engine_failed())? {
            let Item::Batch(batch) = item else {
                return Err(engine_failed());
            };
            // A dropped reader is detected by `run`.
            drop(rows.send(Some(Ok(batch))).await);
        }
        Ok(())
    }
}

/// Sends the query to its member, and a batch of the answer each time one is `requested`.
async fn forward(
    number: u64,
    (target, query): (Target, MemberQuery),
    source: Arc<dyn QuerySource>,
    requested: UnboundedReceiver<()>,
    deliver: mpsc::Sender<Delivery>,
) {
    let last = match forwarded(number, (&target, query), source.as_ref(), requested, &deliver).await {
        Ok(()) => Delivery::End(number),
        Err(error) => Delivery::Failed(number, Box::new(error)),
    };
    // The query may have ended.
    drop(deliver.send(last).await);
}

async fn forwarded(
    number: u64,
    (target, query): (&Target, MemberQuery),
    source: &dyn QuerySource,
    mut requested: UnboundedReceiver<()>,
    deliver: &mpsc::Sender<Delivery>,
) -> Result<(), FederationError> {
    let unencodable = |error| FederationError::planning(QueryError::Encoding(error));
    let mut answer = source.query(target, query).await?;
    let mut stream = StreamEncoder::new(&answer.schema).map_err(unencodable)?;
    // Whether the query has ended is known from `requested`.
    drop(deliver.send(Delivery::Rows(number, stream.take())).await);
    while requested.recv().await.is_some() {
        let Some(batch) = answer.batches.next().await else {
            return Ok(());
        };
        stream.encode(&batch?).map_err(unencodable)?;
        drop(deliver.send(Delivery::Rows(number, stream.take())).await);
    }
    Ok(())
}

fn too_long(limit: Duration) -> FederationError {
    FederationError::usage_with(
        format!("the query took longer than {} seconds", limit.as_secs()),
        "narrow the query",
    )
}
