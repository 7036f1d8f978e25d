//! The JSON body of a request.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use axum::http::StatusCode;
use concordat_documents::parse_message;
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::sources;
use serde::de::DeserializeOwned;
use serde_path_to_error::Error as Located;
use tokio::time::timeout;

/// How long a request body may take: what fits into one is sent at once, and a client on the same machine needs milliseconds.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Most bytes in a request body: the longest roster file, encoded in JSON. JSON parsers stop at a depth of 128.
const MAX_BODY: usize = 4 << 20;

/// A JSON body; a body that cannot be parsed as `T` is also answered with a problem document.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        read_within(BODY_TIMEOUT, request, state).await
    }
}

async fn read_within<T: DeserializeOwned>(
    time: Duration,
    mut request: Request,
    state: &(impl Send + Sync),
) -> Result<Body<T>, Problem> {
    DefaultBodyLimit::max(MAX_BODY).apply(&mut request);
    match timeout(time, Json::<T>::from_request(request, state)).await {
        Ok(Ok(Json(body))) => Ok(Body(body)),
        Ok(Err(rejection)) => Err(problem(&rejection)),
        Err(_) => Err(Problem::usage(format!(
            "the body was not received within {} seconds",
            time.as_secs()
        ))),
    }
}

/// What is wrong with the body.
fn problem(rejection: &JsonRejection) -> Problem {
    let JsonRejection::JsonDataError(error) = rejection else {
        return Problem::usage(not_json(rejection));
    };
    let located = |source: &(dyn std::error::Error + 'static)| {
        let located: &Located<serde_json::Error> = source.downcast_ref()?;
        let message = without_position(located.inner());
        Some(parse_message::problem("the document", located.path(), &message))
    };
    sources(error)
        .find_map(located)
        .unwrap_or_else(|| Problem::usage("the body is not the document that is accepted here"))
}

/// Why the body is not JSON that could be read.
fn not_json(rejection: &JsonRejection) -> String {
    match rejection.status() {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "the body must have the media type `application/json`".to_owned(),
        StatusCode::PAYLOAD_TOO_LARGE => format!("the body is longer than {MAX_BODY} bytes"),
        _ if matches!(rejection, JsonRejection::JsonSyntaxError(_)) => syntax(rejection),
        _ => "the body was not received completely".to_owned(),
    }
}

/// Where the body stops being JSON.
fn syntax(rejection: &JsonRejection) -> String {
    let positions = sources(rejection).find_map(|source| {
        let located = source.downcast_ref::<Located<serde_json::Error>>();
        let error = located.map(Located::inner);
        error.or_else(|| source.downcast_ref::<serde_json::Error>())
    });
    match positions {
        Some(error) => format!(
            "the body is not JSON, or nested too deeply, at line {}, column {}",
            error.line(),
            error.column()
        ),
        None => "the body is not JSON".to_owned(),
    }
}

/// The message of the parser without its last words, which count lines of a document that has been written by a program.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&position).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use axum::{body::Body as HttpBody, http::header::CONTENT_TYPE};
    use concordat_documents::grant::GrantRequest;
    use concordat_protocol::error_kind::ErrorKind;
    use futures::StreamExt as _;
    use serde_json::Value;

    use super::*;

    async fn read(body: String) -> Result<Value, Problem> {
        read_as(body).await
    }

    async fn read_as<T: DeserializeOwned>(body: String) -> Result<T, Problem> {
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

    #[tokio::test]
    async fn body_that_does_not_arrive_is_refused_in_time() {
        let held = futures::stream::once(async { Ok::<_, std::io::Error>("[") }).chain(futures::stream::pending());
        let request = Request::builder()
            .header(CONTENT_TYPE, "application/json")
            .body(HttpBody::from_stream(held))
            .unwrap();
        let read = read_within::<Value>(Duration::from_millis(50), request, &());
        let read = timeout(Duration::from_secs(20), read).await.expect("it does not wait");
        let problem = read.unwrap_err();
        assert_eq!(problem.code, ErrorKind::Usage);
        assert!(problem.detail.contains("was not received within"), "{}", problem.detail);
    }

    #[tokio::test]
    async fn a_body_with_a_wrong_field_is_a_problem_that_names_it() {
        let request = |terms: &str| {
            format!(
                "{{\"dataset\":{{\"institution\":\"budapest\",\"dataset\":\"heart\"}},\"request\":{{\"until\":\"2031-01-01\",{terms}}}}}"
            )
        };
        let cases = [
            (
                request("\"purposes\":[\"war\"]"),
                Some("request.purposes[0]"),
                "`request.purposes[0]`: invalid purposes: `war` is not a known purpose; write ",
            ),
            (
                request("\"tier\":\"count\""),
                Some("request.purposes"),
                "the field `purposes` is missing in `request`",
            ),
            (
                request("\"purposes\":[],\"color\":1"),
                Some("request.color"),
                "`request.color` does not exist; write one of `tier`, ",
            ),
            (
                request("\"purposes\":{}"),
                Some("request.purposes"),
                "`request.purposes` must be a list, not an object",
            ),
            (
                "[".to_owned(),
                None,
                "the body is not JSON, or nested too deeply, at line 1, ",
            ),
            (
                "{} {}".to_owned(),
                Some("dataset"),
                "the field `dataset` is missing in the document",
            ),
        ];
        for (body, field, expected) in cases {
            let problem = read_as::<GrantRequest>(body).await.unwrap_err();
            assert_eq!((problem.code, problem.field.as_deref()), (ErrorKind::Usage, field));
            assert!(problem.detail.starts_with(expected), "{}", problem.detail);
            for word in ["deserialize", "target type", "at line 1 column"] {
                assert!(!problem.detail.contains(word), "{}", problem.detail);
            }
        }
        let trailing = read("1 2".to_owned()).await.unwrap_err();
        assert!(trailing.detail.starts_with("the body is not JSON"), "{trailing:?}");
    }
}
