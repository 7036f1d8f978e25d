//! Released answers as an Arrow IPC stream.

use std::fmt;

use bytes::Bytes;
use concordat_protocol::{ids::Digest32, labels::ANSWER_HASH};
use futures::{Stream, stream};
use sha2::{Digest, Sha256};

use super::ReleasedAnswer;
use crate::{arrow_stream::StreamEncoder, engine::QueryError};

/// What left, so far or in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerTotals {
    /// Rows in the chunks that left.
    pub rows: u64,
    /// Their encoded length in bytes.
    pub bytes: u64,
    /// Names exactly these bytes: SHA-256 under the label of answers.
    pub answer: Digest32,
    /// Cells withheld.
    pub suppressed_cells: u64,
    /// Whether the answer left whole, with its end mark.
    pub complete: bool,
}

/// The running hash of an answer's bytes; both sides compute it over the chunks as they pass.
#[derive(Clone, Debug)]
pub(crate) struct AnswerHash(Sha256);

impl Default for AnswerHash {
    fn default() -> Self {
        Self(Sha256::new().chain_update(ANSWER_HASH.as_bytes()).chain_update([0]))
    }
}

impl AnswerHash {
    /// Takes in the next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all bytes so far, the same as [`Digest32::sha256`] of them together.
    #[must_use]
    pub(crate) fn digest(&self) -> Digest32 {
        Digest32::from_bytes(self.0.clone().finalize().into())
    }
}

/// An answer on its way out: chunks of an Arrow IPC stream ([`crate::arrow_stream`]), one batch each.
pub struct IpcAnswer {
    answer: ReleasedAnswer,
    encoder: StreamEncoder,
    hash: AnswerHash,
    rows: u64,
    bytes: u64,
    complete: bool,
}

impl ReleasedAnswer {
    /// Encodes the answer as it is read. The first chunk carries the schema, the last one the end mark.
    ///
    /// # Errors
    /// [`QueryError::Encoding`] for columns that no answer can carry.
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
    /// The next chunk; nothing after the end mark.
    ///
    /// # Errors
    /// As [`ReleasedAnswer::next_batch`], and [`QueryError::Encoding`] for a row that no answer can carry; no end mark follows then.
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

    /// What left so far.
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

    /// All chunks as a stream, ending after the first error. To have the [`AnswerTotals`], call [`IpcAnswer::next_chunk`] instead.
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
