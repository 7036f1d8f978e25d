//! The report of an import, line by line.

use bytes::BytesMut;
use concordat_documents::collection::{CollectionEvent, CollectionLine};
use concordat_documents::import::{ImportEvent, ImportLine};
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::response::{broken, decode};

/// The longest line of a streamed response: 16 MiB, for several notes on each of 4,096 columns.
const MAX_LINE: usize = 16 * 1024 * 1024;

/// The report of an import, line by line.
#[derive(Debug)]
pub struct Lines {
    body: Incoming,
    buffer: BytesMut,
}

impl Lines {
    pub(crate) fn new(body: Incoming) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
        }
    }

    /// The next event; `None` at the end.
    ///
    /// # Errors
    /// The problem with which the import failed, or a broken stream.
    pub async fn next(&mut self) -> Result<Option<ImportEvent>, Problem> {
        let line = self.line().await?;
        line.map(|line| event(&line)).transpose()
    }

    /// The next event of the import of a collection; `None` at the end.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub async fn next_of_collection(&mut self) -> Result<Option<CollectionEvent>, Problem> {
        let line = self.line().await?;
        line.map(|line| collection_event(&line)).transpose()
    }

    async fn line(&mut self) -> Result<Option<BytesMut>, Problem> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                return Ok(Some(self.buffer.split_to(end.saturating_add(1))));
            }
            if self.buffer.len() > MAX_LINE {
                return Err(Problem::new(
                    ErrorKind::Internal,
                    "the node sent a line that is too long",
                ));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(broken(&error)),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}

fn event(line: &[u8]) -> Result<ImportEvent, Problem> {
    match decode(line)? {
        ImportLine::Event(event) => Ok(event),
        ImportLine::Failed { problem } => Err(problem),
    }
}

fn collection_event(line: &[u8]) -> Result<CollectionEvent, Problem> {
    match decode(line)? {
        CollectionLine::Event(event) => Ok(event),
        CollectionLine::Failed { problem } => Err(problem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response::unreadable;

    #[test]
    fn a_problem_in_a_stream_is_an_error() {
        let problem = Problem::new(ErrorKind::Denied, "no");
        let line = serde_json::json!({ "problem": problem }).to_string();
        assert_eq!(event(line.as_bytes()).unwrap_err(), problem);
        assert_eq!(event(b"{}").unwrap_err(), unreadable());
        assert_eq!(collection_event(line.as_bytes()).unwrap_err(), problem);
        assert!(collection_event(br#"{"committing":true}"#).is_ok());
    }
}
