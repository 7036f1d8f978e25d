//! Released answers as an Arrow IPC stream.

use std::fmt;

use bytes::Bytes;
use concordat_arrow_stream::StreamEncoder;
use concordat_protocol::{ids::Digest32, labels::ANSWER_HASH};
use futures::{Stream, stream};
use sha2::{Digest, Sha256};

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

/// The running hash of an answer's bytes; both sides compute it over the chunks as they are sent and received.
#[derive(Clone, Debug)]
pub(crate) struct AnswerHash(Sha256);

impl Default for AnswerHash {
    fn default() -> Self {
        Self(Sha256::new().chain_update(ANSWER_HASH.as_bytes()).chain_update([0]))
    }
}

impl AnswerHash {
    /// Adds the next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all bytes so far, the same as [`Digest32::sha256`] of all of them.
    #[must_use]
    pub(crate) fn digest(&self) -> Digest32 {
        Digest32::from_bytes(self.0.clone().finalize().into())
    }
}

/// An answer that is being encoded: chunks of an Arrow IPC stream ([`concordat_arrow_stream`]), one batch each.
pub struct IpcAnswer {
    answer: ReleasedAnswer,
    encoder: StreamEncoder,
    hash: AnswerHash,
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
            hash: AnswerHash::default(),
            rows: 0,
            bytes: 0,
            complete: false,
        })
    }
}

impl IpcAnswer {
    /// The next chunk; `None` after the end marker.
    ///
    /// # Errors
    /// As [`ReleasedAnswer::next_batch`], and [`QueryError::Encoding`] for a row that is too large; no end marker
    /// follows then.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, QueryError> {
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
        let chunk = Bytes::from(self.encoder.take());
        self.hash.update(&chunk);
        self.bytes = self.bytes.saturating_add(chunk.len().try_into().unwrap_or(u64::MAX));
        Ok(Some(chunk))
    }

    /// What was released so far.
    #[must_use]
    pub fn totals(&self) -> AnswerTotals {
        AnswerTotals {
            rows: self.rows,
            bytes: self.bytes,
            answer: self.hash.digest(),
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
                Ok(chunk) => chunk.map(|chunk| (Ok(chunk), Some(ipc))),
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
