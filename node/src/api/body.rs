//! The JSON body of a request.

use axum::Json;
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use concordat_documents::problem::Problem;
use serde::de::DeserializeOwned;

/// Most bytes in a request body: the longest roster file, encoded in JSON. JSON parsers stop at a depth of 128.
const MAX_BODY: usize = 4 << 20;

/// A JSON body; a body that cannot be parsed as `T` is also answered with a problem document.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(mut request: Request, state: &S) -> Result<Self, Problem> {
        DefaultBodyLimit::max(MAX_BODY).apply(&mut request);
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(Problem::usage(rejection.body_text())),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::Body as HttpBody, http::header::CONTENT_TYPE};
    use concordat_protocol::error_kind::ErrorKind;
    use serde_json::Value;

    use super::*;

    async fn read(body: String) -> Result<Value, Problem> {
        let request = Request::builder()
            .header(CONTENT_TYPE, "application/json")
            .body(HttpBody::from(body))
            .unwrap();
        Body::from_request(request, &()).await.map(|Body(value)| value)
    }

    #[tokio::test]
    async fn a_body_that_is_long_or_deep_is_a_problem() {
        assert!(read("[[1]]".to_owned()).await.is_ok());
        let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
        assert!(read(text(MAX_BODY)).await.is_ok());
        assert_eq!(read(text(MAX_BODY + 1)).await.unwrap_err().code, ErrorKind::Usage);
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(read(deep(100)).await.is_ok());
        assert_eq!(read(deep(MAX_BODY / 2)).await.unwrap_err().code, ErrorKind::Usage);
    }
}
