//! Responses that arrive line by line.

use bytes::BytesMut;
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use crate::response::{broken, decode, unreadable};

/// The longest line of a streamed response: 1 MiB, far above what the daemon writes.
const MAX_LINE: usize = 1024 * 1024;

/// The lines of a streamed response (NDJSON).
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

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// A problem that the daemon reports in the stream, or a broken stream.
    pub async fn next(&mut self) -> Result<Option<Value>, Problem> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end.saturating_add(1));
                return line_value(&line).map(Some);
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

fn line_value(line: &[u8]) -> Result<Value, Problem> {
    let mut value: Value = decode(line)?;
    match value.get_mut("problem") {
        Some(problem) => Err(serde_json::from_value(problem.take()).unwrap_or_else(|_| unreadable())),
        None => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_in_a_stream_is_an_error() {
        let problem = Problem::new(ErrorKind::Denied, "no");
        let line = serde_json::json!({ "problem": problem }).to_string();
        assert_eq!(line_value(line.as_bytes()).unwrap_err(), problem);
    }
}
