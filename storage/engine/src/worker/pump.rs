//! The parent's side of one query: it sends its process the data that it may read, and receives the result.

pub(super) mod statistics;

use std::{
    ops::{ControlFlow, Range},
    sync::Arc,
};

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use concordat_arrow_stream::{CheckedStream, Item};
use object_store::{ObjectMeta, ObjectStore};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::{
    frames::{self, Kind},
    messages::{Failure, MAX_READ_BYTES, MAX_READS, ReadRequest, decode, encode, failed},
    process::Process,
};
use crate::{QueryError, disclosure::RawBatch, store_error::store_error_kind, text};
use concordat_protocol::error_kind::ErrorKind;

/// Maximum parts of an object in one request.
const MAX_RANGES: usize = 4096;

/// The start of an answer.
pub(super) struct Opening {
    pub(super) schema: SchemaRef,
}

/// The sender of rows to the answer.
pub(super) type Rows = mpsc::Sender<Result<RawBatch, QueryError>>;

/// One running query in a process.
pub(super) struct Pump {
    process: Process,
    store: Arc<dyn ObjectStore>,
    objects: Vec<ObjectMeta>,
    reads: JoinSet<(u64, Result<Vec<Bytes>, ErrorKind>)>,
    opened: Option<oneshot::Sender<Result<Opening, QueryError>>>,
    /// The output of the process is checked like data from a peer, because it runs a peer's query.
    stream: CheckedStream,
    /// Rows that wait for the reader. No frame is received before they and those in `undecoded` are forwarded; what the process has requested is
    /// sent meanwhile, so that it reads on.
    waiting: Option<RawBatch>,
    /// The rest of a frame of rows.
    undecoded: Bytes,
}

impl Pump {
    pub(super) fn new(
        process: Process,
        store: Arc<dyn ObjectStore>,
        objects: Vec<ObjectMeta>,
        opened: oneshot::Sender<Result<Opening, QueryError>>,
    ) -> Self {
        Self {
            process,
            store,
            objects,
            reads: JoinSet::new(),
            opened: Some(opened),
            stream: CheckedStream::new(),
            waiting: None,
            undecoded: Bytes::new(),
        }
    }

    /// Sends the query and serves the process until its end; returns the process if it can answer another one. If the
    /// receiver of the rows is dropped, the process is killed, whatever it is doing.
    pub(super) async fn run(mut self, task: (Kind, &[u8]), rows: Rows) -> Option<Process> {
        let ended = tokio::select! {
            biased;
            () = rows.closed() => return None,
            ended = self.work(task, &rows) => ended,
        };
        match ended {
            Ok(None) => Some(self.process),
            Ok(Some(error)) => {
                self.report(error, &rows).await;
                Some(self.process)
            }
            Err(error) => {
                self.report(error, &rows).await;
                None
            }
        }
    }

    async fn report(&mut self, error: QueryError, rows: &Rows) {
        // The receiver may have been dropped.
        match self.opened.take() {
            Some(opened) => drop(opened.send(Err(error))),
            None => drop(rows.send(Err(error)).await),
        }
    }

    /// Returns the error of the query, if it failed; an `Err` is an error of the process.
    async fn work(&mut self, (kind, task): (Kind, &[u8]), rows: &Rows) -> Result<Option<QueryError>, QueryError> {
        if frames::send(&mut self.process.writer, kind, task, &[]).await.is_err() {
            return Err(self.process.exit_error().await);
        }
        loop {
            let is_waiting = self.waiting.is_some();
            tokio::select! {
                frame = self.process.frames.next(), if !is_waiting => {
                    let Ok(Some((kind, body))) = frame else { return Err(self.process.exit_error().await) };
                    if let ControlFlow::Break(ended) = self.handle_frame(kind, body)? {
                        return Ok(ended);
                    }
                }
                permit = rows.reserve(), if is_waiting => {
                    // A dropped receiver is detected by `run`.
                    if let Some((permit, batch)) = permit.ok().zip(self.waiting.take()) {
                        permit.send(Ok(batch));
                    }
                    self.decode_next()?;
                }
                Some(read) = self.reads.join_next() => {
                    let (number, found) = read.map_err(|_| failed())?;
                    if self.send_read(number, found).await.is_err() {
                        return Err(self.process.exit_error().await);
                    }
                }
            }
        }
    }

    /// Breaks with the end of the query.
    fn handle_frame(&mut self, kind: Kind, body: Bytes) -> Result<ControlFlow<Option<QueryError>>, QueryError> {
        match kind {
            Kind::ReadRequest => self.start_read(&body)?,
            Kind::Columns => self.open(body)?,
            Kind::Rows => {
                self.undecoded = body;
                self.decode_next()?;
            }
            Kind::Done if self.opened.is_none() => return Ok(ControlFlow::Break(None)),
            Kind::Failed => return failure(&body).map(|error| ControlFlow::Break(Some(error))),
            Kind::Done | Kind::Task | Kind::Data | Kind::ReadFailed | Kind::Begin | Kind::Message => {
                return Err(failed());
            }
            Kind::Cells
            | Kind::Statistic
            | Kind::Compute
            | Kind::Cell
            | Kind::CellsDone
            | Kind::Owners
            | Kind::Above
            | Kind::Lists => return Err(failed()),
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Starts a read that the process requests: parts of the objects of its query, within the limits.
    fn start_read(&mut self, body: &[u8]) -> Result<(), QueryError> {
        let request: ReadRequest = decode(body)?;
        let object = self.objects.get(request.object).ok_or(failed())?;
        let ranges: Vec<Range<u64>> = request.ranges.iter().map(|(start, end)| *start..*end).collect();
        let is_valid = |range: &Range<u64>| range.start <= range.end && range.end <= object.size;
        let size = ranges.iter().fold(0_u64, |sum, range| {
            sum.saturating_add(range.end.saturating_sub(range.start))
        });
        let allowed = self.reads.len() < MAX_READS && ranges.len() <= MAX_RANGES && size <= MAX_READ_BYTES;
        if !allowed || !ranges.iter().all(is_valid) {
            return Err(failed());
        }
        let store = Arc::clone(&self.store);
        let location = object.location.clone();
        self.reads.spawn(async move {
            let found = store.get_ranges(&location, &ranges).await;
            (request.number, found.map_err(|error| store_error_kind(&error)))
        });
        Ok(())
    }

    async fn send_read(&mut self, number: u64, found: Result<Vec<Bytes>, ErrorKind>) -> std::io::Result<()> {
        let writer = &mut self.process.writer;
        match found {
            Ok(parts) => {
                let number = number.to_le_bytes();
                let mut body = vec![number.as_slice()];
                body.extend(parts.iter().map(Bytes::as_ref));
                frames::send_parts(writer, Kind::Data, &body).await
            }
            Err(kind) => {
                let kind = encode(&kind).map_err(std::io::Error::other)?;
                frames::send(writer, Kind::ReadFailed, &number.to_le_bytes(), &kind).await
            }
        }
    }

    /// The columns stated by the process are accepted only if they have types that may be released.
    fn open(&mut self, body: Bytes) -> Result<(), QueryError> {
        let mut stream = body;
        let Ok(Some(Item::Schema(schema))) = self.stream.decode(&mut stream) else {
            return Err(failed());
        };
        if !stream.is_empty() || text::owned_schema(&schema)? != schema {
            return Err(failed());
        }
        let opened = self.opened.take().ok_or(failed())?;
        // The receiver may have been dropped, which `run` detects.
        drop(opened.send(Ok(Opening { schema })));
        Ok(())
    }

    /// Decodes the next batch of a frame of rows, which contains whole messages.
    fn decode_next(&mut self) -> Result<(), QueryError> {
        if self.undecoded.is_empty() {
            return Ok(());
        }
        let mut message = self.undecoded.clone();
        let Ok(Some(Item::Batch(rows))) = self.stream.decode(&mut self.undecoded) else {
            return Err(failed());
        };
        message.truncate(message.len().saturating_sub(self.undecoded.len()));
        self.waiting = Some(RawBatch {
            rows,
            message: Some(message),
        });
        Ok(())
    }
}

/// The error of a query, as its process reports it.
fn failure(body: &[u8]) -> Result<QueryError, QueryError> {
    Ok(QueryError::from(decode::<Failure>(body)?))
}
