//! Responses of a store are limited in size before they are read.
//!
//! The store can send anything, and the client below reads whole responses into memory and parses some of them as XML, at a cost
//! that grows with the square of the attributes of one tag (RUSTSEC-2026-0194) and without a limit on its namespaces
//! (RUSTSEC-2026-0195). So an object is never longer than the requested range, a listing or an error never longer than
//! [`MAX_DOCUMENT`], and no tag in one longer than [`MAX_TAG`].

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use object_store::{
    ClientOptions, Result,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
        ReqwestConnector,
    },
};

/// The longest listing, confirmation or error in bytes. A listing has at most 1,000 objects of about 500 bytes each.
const MAX_DOCUMENT: usize = 4 << 20;
/// The longest tag in a document in bytes. Tags of S3 have at most a namespace.
const MAX_TAG: usize = 4 << 10;

/// Creates clients that limit the size of responses.
#[derive(Debug, Default)]
pub(super) struct BoundedConnector(ReqwestConnector);

impl HttpConnector for BoundedConnector {
    fn connect(&self, options: &ClientOptions) -> Result<HttpClient> {
        Ok(HttpClient::new(BoundedClient(self.0.connect(options)?)))
    }
}

#[derive(Debug)]
struct BoundedClient(HttpClient);

#[async_trait]
impl HttpService for BoundedClient {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let object = expected_object(&request);
        let (parts, body) = self.0.execute(request).await?.into_parts();
        let body = match object {
            Some(most) if parts.status.is_success() => HttpResponseBody::new(Limited::new(body, most).map_err(failed)),
            _ => document(body).await?.into(),
        };
        Ok(HttpResponse::from_parts(parts, body))
    }
}

/// Most bytes of an object in the response; `None` if the response is a document.
fn expected_object(request: &HttpRequest) -> Option<usize> {
    let lists = request.uri().query().is_some_and(|query| query.contains("list-type="));
    if request.method().as_str() != "GET" || lists {
        return None;
    }
    let range = request.headers().get("range").and_then(|range| range.to_str().ok());
    Some(range.and_then(range_len).unwrap_or(usize::MAX))
}

/// The length of `bytes=FIRST-LAST` (RFC 9110, section 14.1.2); `None` if the range has no end.
fn range_len(range: &str) -> Option<usize> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let first: usize = first.parse().ok()?;
    let last: usize = last.parse().ok()?;
    last.checked_sub(first)?.checked_add(1)
}

async fn document(body: HttpResponseBody) -> Result<Bytes, HttpError> {
    let bytes = Limited::new(body, MAX_DOCUMENT)
        .collect()
        .await
        .map_err(failed)?
        .to_bytes();
    match longest_tag(&bytes) {
        longest if longest > MAX_TAG => Err(HttpError::new(HttpErrorKind::Decode, TooLong::Tag)),
        _ => Ok(bytes),
    }
}

/// The most bytes between a `<` and the next `>`, or the end.
fn longest_tag(bytes: &[u8]) -> usize {
    let tags = bytes.split(|byte| *byte == b'<').skip(1);
    let lengths = tags.map(|tag| tag.iter().position(|byte| *byte == b'>').unwrap_or(tag.len()));
    lengths.max().unwrap_or(0)
}

/// An error of the connection is unchanged; otherwise the response was too long.
fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> HttpError {
    match error.downcast::<HttpError>() {
        Ok(error) => *error,
        Err(_) => HttpError::new(HttpErrorKind::Decode, TooLong::Length),
    }
}

/// Why a response was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TooLong {
    Length,
    Tag,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => f.write_str("the response of the store is longer than requested"),
            Self::Tag => write!(f, "the response of the store has a tag of more than {MAX_TAG} bytes"),
        }
    }
}

impl std::error::Error for TooLong {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_length_is_known_only_if_both_ends_are_given() {
        assert_eq!(range_len("bytes=0-31"), Some(32));
        assert_eq!(range_len("bytes=5-5"), Some(1));
        for open in ["bytes=0-", "bytes=-5", "bytes=5-4", "items=0-1", "bytes=a-b"] {
            assert_eq!(range_len(open), None, "{open}");
        }
        assert_eq!(range_len(&format!("bytes=0-{}", usize::MAX)), None);
    }

    #[test]
    fn a_tag_ends_at_its_bracket_or_with_the_document() {
        assert_eq!(longest_tag(b"no tag > at all"), 0);
        assert_eq!(longest_tag(b"<a><bc d='e'>text</bc></a>"), 8);
        assert_eq!(longest_tag(b"<a><never closed"), 12);
        assert_eq!(longest_tag(b"<a b='<'>"), 5, "a bracket in a value begins another");
    }
}
