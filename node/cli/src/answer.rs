//! The rows of an answer: read as a stream, written in the requested format.

mod cells;
mod csv;
mod out;
mod remarks;
mod sink;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::{Buf, Bytes, BytesMut};
use concordat_arrow_stream::{CheckedStream, Item};
use concordat_client::Chunks;
use concordat_documents::problem::Problem;
use concordat_documents::query::{ARROW, AnswerEnd, END, MAX_PART};
use concordat_protocol::error_kind::ErrorKind;

pub(crate) use sink::{Sink, Written};

/// Tag and length of a part.
const HEADER: usize = 5;

/// Reads the parts of an answer; see [`concordat_documents::query`].
#[derive(Debug)]
pub(crate) struct Reader {
    body: Chunks,
    buffer: BytesMut,
    arrow: Bytes,
    decoder: CheckedStream,
    end: Option<AnswerEnd>,
}

impl Reader {
    pub(crate) fn new(body: Chunks) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
            arrow: Bytes::new(),
            decoder: CheckedStream::new(),
            end: None,
        }
    }

    /// The next rows; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>, Problem> {
        loop {
            match self.decoder.decode(&mut self.arrow).map_err(|error| broken(&error))? {
                Some(Item::Batch(batch)) => return Ok(Some(batch)),
                // The schema is available from `schema` afterwards.
                Some(Item::Schema(_)) => continue,
                None => {}
            }
            match self.part().await? {
                Some((ARROW, bytes)) => self.arrow = bytes,
                Some((END, bytes)) => {
                    self.end = Some(serde_json::from_slice(&bytes).map_err(|error| broken(&error))?);
                    return Ok(None);
                }
                Some(_) => {
                    return Err(Problem::new(
                        ErrorKind::Internal,
                        "the node sent an unknown part of an answer",
                    ));
                }
                None => {
                    return Err(Problem::new(
                        ErrorKind::Unreachable,
                        "the connection to the node ended before the answer was complete",
                    ));
                }
            }
        }
    }

    /// The end part that the node sent.
    pub(crate) fn end(&mut self) -> Result<AnswerEnd, Problem> {
        self.end
            .take()
            .ok_or_else(|| Problem::new(ErrorKind::Internal, "the answer has not ended"))
    }

    /// The columns, once the first part has been read.
    pub(crate) fn schema(&self) -> Option<SchemaRef> {
        self.decoder.schema()
    }

    async fn part(&mut self) -> Result<Option<(u8, Bytes)>, Problem> {
        if !self.fill(HEADER).await? {
            return Ok(None);
        }
        let tag = self.buffer.get_u8();
        let length = self.buffer.get_u32();
        let length = usize::try_from(length).map_err(|error| broken(&error))?;
        if length > MAX_PART {
            return Err(Problem::new(
                ErrorKind::Internal,
                "the node sent a part of an answer that is too long",
            ));
        }
        if !self.fill(length).await? {
            return Ok(None);
        }
        Ok(Some((tag, self.buffer.split_to(length).freeze())))
    }

    /// Reads until `wanted` bytes are buffered; false if the body ends before.
    async fn fill(&mut self, wanted: usize) -> Result<bool, Problem> {
        while self.buffer.len() < wanted {
            match self.body.next().await.map_err(|error| broken(&error))? {
                None => return Ok(false),
                Some(bytes) => self.buffer.extend_from_slice(&bytes),
            }
        }
        Ok(true)
    }
}

fn broken(error: &dyn std::error::Error) -> Problem {
    Problem::internal("the answer was interrupted", error)
}
