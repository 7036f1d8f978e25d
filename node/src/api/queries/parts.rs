//! The parts of an answer, as they are sent to the socket: rows in an Arrow IPC stream, and an end. They are described in
//! [`concordat_documents::query`].

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use concordat_arrow_stream::{EncodeError, StreamEncoder};
use concordat_documents::problem::Problem;
use concordat_documents::query::{ARROW, AnswerEnd, END, MAX_PART};

use crate::federation::AnswerStream;

/// Most bytes of a chunk of rows.
const CHUNK: usize = 1 << 20;

/// An answer that is being sent to the socket.
pub(super) struct Parts {
    answer: AnswerStream,
    encoder: Option<StreamEncoder>,
    ready: VecDeque<Bytes>,
}

impl Parts {
    /// An answer of which nothing was sent yet.
    ///
    /// # Errors
    /// If rows of its columns cannot be encoded.
    pub(super) fn begin(answer: AnswerStream) -> Result<Self, Problem> {
        let encoder = StreamEncoder::new(&answer.schema()).map_err(unencodable)?;
        Ok(Self {
            answer,
            encoder: Some(encoder),
            ready: VecDeque::new(),
        })
    }

    /// The next bytes; `None` after the end.
    ///
    /// # Errors
    /// If they cannot be encoded.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            if let Some(part) = self.ready.pop_front() {
                return Ok(Some(part));
            }
            let Some(encoder) = self.encoder.take() else {
                return Ok(None);
            };
            self.produce(encoder).await?;
        }
    }

    /// Makes the parts of the next rows, or of the end.
    async fn produce(&mut self, mut encoder: StreamEncoder) -> Result<(), Problem> {
        match self.answer.next().await {
            Some(Ok(batch)) => match encoder.encode(&batch) {
                Ok(()) => {
                    self.rows(encoder.take().into())?;
                    self.encoder = Some(encoder);
                    Ok(())
                }
                // Part of a batch is not sent; the end reports why there are no more rows.
                Err(error) => self.end(Some(unencodable(error))),
            },
            None => {
                encoder.finish().map_err(unencodable)?;
                self.rows(encoder.take().into())?;
                self.end(None)
            }
            Some(Err(error)) => {
                self.rows(encoder.take().into())?;
                self.end(Some(error.into()))
            }
        }
    }

    /// Adds bytes of rows, in parts of bounded length. They are not copied.
    fn rows(&mut self, mut bytes: Bytes) -> Result<(), Problem> {
        while !bytes.is_empty() {
            let chunk = bytes.split_to(bytes.len().min(CHUNK));
            self.part(ARROW, chunk)?;
        }
        Ok(())
    }

    fn end(&mut self, problem: Option<Problem>) -> Result<(), Problem> {
        let end = AnswerEnd {
            summary: self.answer.summary(),
            problem,
        };
        let bytes =
            serde_json::to_vec(&end).map_err(|error| Problem::internal("the answer cannot be ended", &error))?;
        self.part(END, bytes.into())
    }

    fn part(&mut self, tag: u8, bytes: Bytes) -> Result<(), Problem> {
        self.ready.push_back(header(tag, bytes.len())?);
        self.ready.push_back(bytes);
        Ok(())
    }
}

/// What precedes the bytes of a part.
fn header(tag: u8, bytes: usize) -> Result<Bytes, Problem> {
    let length = u32::try_from(bytes).ok().filter(|_| bytes <= MAX_PART);
    let length = length.ok_or_else(|| Problem::usage("the report of the answer is longer than one part may be"))?;
    let mut header = BytesMut::with_capacity(5);
    header.put_u8(tag);
    header.put_u32(length);
    Ok(header.freeze())
}

fn unencodable(error: EncodeError) -> Problem {
    match error {
        EncodeError::Encoder(error) => Problem::internal("the answer cannot be encoded", &error),
        EncodeError::Type { .. } | EncodeError::Digits { .. } | EncodeError::Columns | EncodeError::Row => {
            Problem::usage(error.to_string())
        }
    }
}
