//! Released answers as an Arrow IPC stream.

use std::fmt;

use bytes::Bytes;
use concordat_arrow_stream::StreamEncoder;
use concordat_protocol::{ids::Digest32, wire::messages::AnswerDigest};
use futures::{Stream, stream};

use super::ReleasedAnswer;
use crate::QueryError;

/// What was released, so far or in total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerTotals {
    /// Rows in the released chunks.
    pub rows: u64,
    /// Their encoded length in bytes.
    pub bytes: u64,
    /// Hash of exactly these bytes: SHA-256 with the domain separation label of answers.
    pub answer: Digest32,
    /// Values withheld in the one row of an answer without groups; 0 for every other answer.
    pub suppressed_cells: u64,
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
        match self.answer.next_batch().await? {
            Some(batch) => {
                self.encoder.encode(batch.records())?;
                let rows = batch.records().num_rows().try_into().unwrap_or(u64::MAX);
                self.rows = self.rows.saturating_add(rows);
            }
            None if self.answer.failed() => return Ok(None),
            None => {
                self.encoder.finish()?;
                self.complete = true;
            }
        }
        let bytes = Bytes::from(self.encoder.take());
        self.digest.update(&bytes);
        self.bytes = self.bytes.saturating_add(bytes.len().try_into().unwrap_or(u64::MAX));
        let totals = self.totals();
        Ok(Some(ReleasedChunk { bytes, totals }))
    }

    /// What was released so far.
    #[must_use]
    pub fn totals(&self) -> AnswerTotals {
        AnswerTotals {
            rows: self.rows,
            bytes: self.bytes,
            answer: self.digest.finish(),
            suppressed_cells: self.answer.suppressed_cells(),
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
