//! A response that counts as work of its request until its client has read it.
//!
//! A handler's document may have megabytes, and waits in memory while its client does not read. So the work belongs to the body, and to each chunk of
//! it that the HTTP server has taken over: it ends when the last byte was passed to the socket, or with the connection.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};

use crate::services::work::Work;

/// The same response, which holds `work` as long as any of its body is in memory.
pub(super) fn held(response: Response, work: Work) -> Response {
    response.map(|body| {
        if body.is_end_stream() {
            body
        } else {
            Body::new(HeldBody { body, work })
        }
    })
}

struct HeldBody {
    body: Body,
    work: Work,
}

impl HttpBody for HeldBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Self { body, work } = self.get_mut();
        let hold = |frame: Frame<Bytes>| frame.map_data(|bytes| HeldBytes::of(bytes, work.clone()));
        let polled = Pin::new(body).poll_frame(context);
        polled.map(|frame| frame.map(|frame| frame.map(hold)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The HTTP server drops a body once it has all chunks of it, and keeps those until they are written.
struct HeldBytes {
    bytes: Bytes,
    _work: Work,
}

impl HeldBytes {
    fn of(bytes: Bytes, work: Work) -> Bytes {
        Bytes::from_owner(Self { bytes, _work: work })
    }
}

impl AsRef<[u8]> for HeldBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use futures::StreamExt as _;

    use super::*;
    use crate::services::work::AccountWork;

    const TEXT: &str = "a document";

    /// Whether one more request of the person could begin.
    fn is_free(all: &AccountWork) -> bool {
        all.begin(&"eva@budapest".parse().unwrap()).now_or_never().is_some()
    }

    /// All work that one person may have, but the last is not in the list.
    fn begun(all: &AccountWork) -> (Vec<Work>, Work) {
        let person = "eva@budapest".parse().unwrap();
        let mut others = Vec::new();
        while let Some(work) = all.begin(&person).now_or_never() {
            others.push(work.unwrap());
        }
        let last = others.pop().unwrap();
        (others, last)
    }

    #[tokio::test]
    async fn response_holds_its_work_until_its_bytes_are_dropped() {
        for all in [AccountWork::long(), AccountWork::short()] {
            let (_others, work) = begun(&all);
            let response = held(Response::new(Body::from(TEXT)), work);
            assert!(!is_free(&all), "it is not read");
            let body = response.into_body();
            assert_eq!(body.size_hint().exact(), Some(TEXT.len() as u64));
            let mut chunks = body.into_data_stream();
            let chunk = chunks.next().await.unwrap().unwrap();
            let rest = chunk.slice(3..);
            assert!(chunks.next().await.is_none());
            drop(chunks);
            assert!(!is_free(&all), "the server has it");
            assert_eq!(chunk, TEXT);
            drop(chunk);
            assert!(!is_free(&all), "some of it is not written");
            drop(rest);
            assert!(is_free(&all));
        }
    }

    #[tokio::test]
    async fn response_that_is_dropped_or_empty_holds_no_work() {
        let all = AccountWork::long();
        let (_others, work) = begun(&all);
        drop(held(Response::new(Body::from(TEXT)), work));
        assert!(is_free(&all));
        let (_one, work) = begun(&all);
        let _empty = held(Response::new(Body::empty()), work);
        assert!(is_free(&all));
    }
}
