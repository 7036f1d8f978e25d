//! Responses that are streams of bytes.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// The bytes of a response, as they arrive.
#[derive(Debug)]
pub struct Chunks(Incoming);

impl Chunks {
    pub(crate) fn new(body: Incoming) -> Self {
        Self(body)
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// If the connection ends before the response does.
    pub async fn next(&mut self) -> Result<Option<Bytes>, hyper::Error> {
        while let Some(frame) = self.0.frame().await {
            if let Ok(bytes) = frame?.into_data() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }
}
