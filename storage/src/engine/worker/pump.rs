//! The parent's side of one query: it gives its process what it may read and takes over what it computes.

use std::{ops::Range, os::unix::process::ExitStatusExt, sync::Arc};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use bytes::Bytes;
use object_store::{ObjectMeta, ObjectStore};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::{
    child::NOT_ISOLATED,
    frames::{self, Kind},
    messages::{Failure, MAX_WANTED, Wanted, decode, encode, failed, numbered},
    process::Process,
};
use crate::{
    arrow_stream::{CheckedStream, Item},
    engine::{QueryError, text},
    error_kind::ErrorKind,
    seal::store_error_kind,
};

/// Requests of one process that are worked on at the same time: one for each part of its query, and one ahead.
const READS: usize = 4;
/// Most parts of an object in one request.
const MAX_RANGES: usize = 4096;

/// The columns of an answer that has begun.
pub(super) struct Opening {
    pub(super) schema: SchemaRef,
    pub(super) suppressed_cells: u64,
}

/// Rows on their way to the answer.
pub(super) type Rows = mpsc::Sender<Result<RecordBatch, QueryError>>;

/// One query at work in a process.
pub(super) struct Pump {
    process: Process,
    store: Arc<dyn ObjectStore>,
    objects: Vec<ObjectMeta>,
    reads: JoinSet<(u64, Result<Vec<Bytes>, ErrorKind>)>,
    opened: Option<oneshot::Sender<Result<Opening, QueryError>>>,
    /// What the process sends is checked like what a peer sends: it has run the query of one.
    stream: CheckedStream,
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
        }
    }

    /// Hands the query over and works until its end; gives the process back if it can answer another one. When nobody wants the rows any
    /// more, the process is killed, whatever it is doing.
    pub(super) async fn run(mut self, task: &[u8], rows: Rows) -> Option<Process> {
        let ended = tokio::select! {
            biased;
            () = rows.closed() => return None,
            ended = self.work(task, &rows) => ended,
        };
        match ended {
            Ok(None) => Some(self.process),
            Ok(Some(error)) => {
                self.tell(error, &rows).await;
                Some(self.process)
            }
            Err(error) => {
                self.tell(error, &rows).await;
                None
            }
        }
    }

    async fn tell(&mut self, error: QueryError, rows: &Rows) {
        // Whoever asked may have gone.
        match self.opened.take() {
            Some(opened) => drop(opened.send(Err(error))),
            None => drop(rows.send(Err(error)).await),
        }
    }

    /// Ends with what the query failed with, if it did; an error is one of the process.
    async fn work(&mut self, task: &[u8], rows: &Rows) -> Result<Option<QueryError>, QueryError> {
        if frames::send(&mut self.process.writer, Kind::Task, task, &[])
            .await
            .is_err()
        {
            return Err(self.died().await);
        }
        loop {
            tokio::select! {
                frame = self.process.frames.next() => {
                    let Ok(Some((kind, body))) = frame else { return Err(self.died().await) };
                    match kind {
                        Kind::Wanted => self.want(&body)?,
                        Kind::Opened => self.open(body)?,
                        Kind::Rows => self.rows(body, rows).await?,
                        Kind::Done if self.opened.is_none() => return Ok(None),
                        Kind::Failed => return Ok(Some(decode::<Failure>(&body)?.into())),
                        Kind::Done | Kind::Task | Kind::Found | Kind::Missing => return Err(failed()),
                    }
                }
                Some(read) = self.reads.join_next() => {
                    let (number, found) = read.map_err(|_| failed())?;
                    if self.give(number, found).await.is_err() {
                        return Err(self.died().await);
                    }
                }
            }
        }
    }

    /// Reads what the process asks for: parts of the objects of its query, and no more at once than is allowed.
    fn want(&mut self, body: &[u8]) -> Result<(), QueryError> {
        let wanted: Wanted = decode(body)?;
        let object = self.objects.get(wanted.object).ok_or(failed())?;
        let ranges: Vec<Range<u64>> = wanted.ranges.iter().map(|(start, end)| *start..*end).collect();
        let sound = |range: &Range<u64>| range.start <= range.end && range.end <= object.size;
        let size = ranges.iter().fold(0_u64, |sum, range| {
            sum.saturating_add(range.end.saturating_sub(range.start))
        });
        let allowed = self.reads.len() < READS && ranges.len() <= MAX_RANGES && size <= MAX_WANTED;
        if !allowed || !ranges.iter().all(sound) {
            return Err(failed());
        }
        let (store, location) = (Arc::clone(&self.store), object.location.clone());
        self.reads.spawn(async move {
            let found = store.get_ranges(&location, &ranges).await;
            (wanted.number, found.map_err(|error| store_error_kind(&error)))
        });
        Ok(())
    }

    async fn give(&mut self, number: u64, found: Result<Vec<Bytes>, ErrorKind>) -> std::io::Result<()> {
        let writer = &mut self.process.writer;
        match found {
            Ok(parts) => frames::send(writer, Kind::Found, &number.to_le_bytes(), &parts.concat()).await,
            Err(kind) => {
                let kind = encode(&kind).map_err(std::io::Error::other)?;
                frames::send(writer, Kind::Missing, &number.to_le_bytes(), &kind).await
            }
        }
    }

    /// What the process says of the columns is believed only as far as it is of types that may leave.
    fn open(&mut self, body: Bytes) -> Result<(), QueryError> {
        let (suppressed_cells, mut stream) = numbered(body).ok_or(failed())?;
        let Ok(Some(Item::Schema(schema))) = self.stream.decode(&mut stream) else {
            return Err(failed());
        };
        if !stream.is_empty() || text::owned_schema(&schema)? != schema {
            return Err(failed());
        }
        let opened = self.opened.take().ok_or(failed())?;
        // Whoever asked may have gone, which `run` finds out.
        drop(opened.send(Ok(Opening {
            schema,
            suppressed_cells,
        })));
        Ok(())
    }

    /// Passes on the batches of one frame, which holds whole messages.
    async fn rows(&mut self, mut body: Bytes, rows: &Rows) -> Result<(), QueryError> {
        while !body.is_empty() {
            let Ok(Some(Item::Batch(batch))) = self.stream.decode(&mut body) else {
                return Err(failed());
            };
            // A reader that has gone is found out by `run`.
            drop(rows.send(Ok(batch)).await);
        }
        Ok(())
    }

    /// Why there is no more from the process.
    async fn died(&mut self) -> QueryError {
        let status = self.process.ended().await;
        let (code, signal) = (
            status.and_then(|status| status.code()),
            status.and_then(|status| status.signal()),
        );
        tracing::warn!(?code, ?signal, "a process of the engine ended before its answer");
        if code == Some(i32::from(NOT_ISOLATED)) {
            return QueryError::Engine {
                step: "shutting its process in",
            };
        }
        QueryError::Ended
    }
}
