//! Released answers as an Arrow IPC stream.

use std::fmt;

use bytes::Bytes;
use concordat_arrow_stream::StreamEncoder;
use concordat_protocol::{ids::Digest32, wire::messages::AnswerDigest};
use futures::{Stream, stream};

use super::{ReleasedAnswer, ReleasedBatch};
use crate::QueryError;

/// What was released, so far or in total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerTotals {
    /// Rows in the released chunks.
    pub rows: u64,
    /// Their encoded length in bytes.
    pub bytes: u64,
    /// Hash of exactly these bytes ([`AnswerDigest`]).
    pub answer: Digest32,
    /// Whether the complete answer was released, with its end marker.
    pub complete: bool,
}

/// A part of an answer, and what is released once it has left.
#[derive(Clone, Debug)]
pub struct ReleasedChunk {
    /// The bytes.
    pub bytes: Bytes,
    /// The totals of all chunks up to this one.
    pub totals: AnswerTotals,
}

/// An answer that is being encoded: chunks of an Arrow IPC stream ([`concordat_arrow_stream`]), one batch each.
pub struct IpcAnswer {
    answer: ReleasedAnswer,
    encoder: StreamEncoder,
    digest: AnswerDigest,
    rows: u64,
    bytes: u64,
    complete: bool,
    /// The chunk that is being hashed; it is not counted yet.
    next: Option<EncodedChunk>,
}

/// A chunk, and how far it is hashed.
struct EncodedChunk {
    bytes: Bytes,
    rows: u64,
    /// Whether it is the last one.
    complete: bool,
    unhashed: Bytes,
    /// Over what came before this chunk, and over the part of it that is hashed.
    digest: AnswerDigest,
}

impl EncodedChunk {
    /// A chunk that follows what `digest` is over.
    fn new(bytes: Bytes, rows: u64, digest: AnswerDigest) -> Self {
        Self {
            unhashed: bytes.clone(),
            bytes,
            rows,
            complete: false,
            digest,
        }
    }

    /// Hashes the next part; true if there is more. What runs in the same task continues in between: the chunk before is sent while this one is
    /// hashed.
    fn hash_step(&mut self) -> bool {
        let part = self.unhashed.split_to(self.digest.step(self.unhashed.len()));
        self.digest.update(&part);
        !self.unhashed.is_empty()
    }
}

impl ReleasedAnswer {
    /// Encodes the answer as it is read. The first chunk contains the schema, the last one the end marker.
    ///
    /// # Errors
    /// [`QueryError::Encoding`] for columns that answers do not support.
    pub fn into_ipc(self) -> Result<IpcAnswer, QueryError> {
        let encoder = StreamEncoder::new(&self.schema())?;
        Ok(IpcAnswer {
            answer: self,
            encoder,
            digest: AnswerDigest::default(),
            rows: 0,
            bytes: 0,
            complete: false,
            next: None,
        })
    }
}

impl IpcAnswer {
    /// The next chunk; `None` after the end marker. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    /// As [`ReleasedAnswer::next_batch`], and [`QueryError::Encoding`] for a row that is too large; no end marker
    /// follows then.
    pub async fn next_chunk(&mut self) -> Result<Option<ReleasedChunk>, QueryError> {
        if self.complete {
            return Ok(None);
        }
        if self.next.is_none() {
            self.next = self.encode_next().await?;
        }
        while self.next.as_mut().is_some_and(EncodedChunk::hash_step) {
            tokio::task::yield_now().await;
        }
        Ok(self.next.take().map(|next| self.release(next)))
    }

    /// The bytes of the next rows, or the end marker; `None` after an error.
    async fn encode_next(&mut self) -> Result<Option<EncodedChunk>, QueryError> {
        let next = match self.answer.next_batch().await? {
            Some(batch) => {
                let bytes = self.encoded(&batch)?;
                let rows = batch.records().num_rows().try_into().unwrap_or(u64::MAX);
                EncodedChunk::new(bytes, rows, self.digest.clone())
            }
            None if self.answer.failed() => return Ok(None),
            None => {
                self.encoder.finish()?;
                EncodedChunk {
                    complete: true,
                    ..EncodedChunk::new(self.encoder.take().into(), 0, self.digest.clone())
                }
            }
        };
        Ok(Some(next))
    }

    /// Counts a chunk, all of which is hashed.
    fn release(&mut self, chunk: EncodedChunk) -> ReleasedChunk {
        let bytes = chunk.bytes;
        self.digest = chunk.digest;
        self.rows = self.rows.saturating_add(chunk.rows);
        self.bytes = self.bytes.saturating_add(bytes.len().try_into().unwrap_or(u64::MAX));
        self.complete = chunk.complete;
        let totals = self.totals();
        ReleasedChunk { bytes, totals }
    }

    /// The bytes of `batch`, after those that were not taken yet. The message of a process is not copied if it has exactly these bytes.
    fn encoded(&mut self, batch: &ReleasedBatch) -> Result<Bytes, QueryError> {
        if let Some(message) = batch.message() {
            return Ok(self.encoder.encode_received(batch.records(), message)?);
        }
        self.encoder.encode(batch.records())?;
        Ok(Bytes::from(self.encoder.take()))
    }

    /// What was released so far.
    #[must_use]
    pub fn totals(&self) -> AnswerTotals {
        AnswerTotals {
            rows: self.rows,
            bytes: self.bytes,
            answer: self.digest.finish(),
            complete: self.complete,
        }
    }

    /// All chunks as a stream, ending after the first error. To get the [`AnswerTotals`], call
    /// [`IpcAnswer::next_chunk`] instead.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, QueryError>> + Send {
        stream::unfold(Some(self), |state| async {
            let mut ipc = state?;
            match ipc.next_chunk().await {
                Ok(chunk) => chunk.map(|chunk| (Ok(chunk.bytes), Some(ipc))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }
}

impl fmt::Debug for IpcAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IpcAnswer")
            .field("totals", &self.totals())
            .finish_non_exhaustive()
    }
}
