//! The JSON body of a request.

use std::time::Duration;

use axum::Json;
use axum::body::HttpBody as _;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use axum::http::StatusCode;
use concordat_documents::parse_message;
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::sources;
use serde::de::DeserializeOwned;
use serde_path_to_error::Error as Located;
use tokio::time::timeout;

use super::body_budget::BodyAllowance;

/// How long a request body may take: what fits into one is sent at once, and a client on the same machine needs milliseconds.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

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
    let allowance = request.extensions().get::<BodyAllowance>().cloned().unwrap_or_default();
    let max = allowance.max();
    let stated = request.body().size_hint();
    // A body that is too long is refused before any of it is read.
    if stated.lower() > u64::try_from(max).unwrap_or(u64::MAX) {
        return Err(too_long(max));
    }
    let longest = stated.upper().and_then(|bytes| usize::try_from(bytes).ok());
    allowance.reserve(longest.unwrap_or(max).min(max))?;
    DefaultBodyLimit::max(max).apply(&mut request);
    match timeout(time, Json::<T>::from_request(request, state)).await {
        Ok(Ok(Json(body))) => Ok(Body(body)),
        Ok(Err(rejection)) => Err(problem(&rejection, max)),
        Err(_) => Err(Problem::usage(format!(
            "the body was not received within {} seconds",
            time.as_secs()
        ))),
    }
}

fn too_long(max: usize) -> Problem {
    Problem::usage(format!(
        "the body is longer than the {max} bytes that are accepted here"
    ))
}

/// What is wrong with the body.
fn problem(rejection: &JsonRejection, max: usize) -> Problem {
    let JsonRejection::JsonDataError(error) = rejection else {
        return not_json(rejection, max);
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
fn not_json(rejection: &JsonRejection, max: usize) -> Problem {
    match rejection.status() {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Problem::usage("the body must have the media type `application/json`"),
        StatusCode::PAYLOAD_TOO_LARGE => too_long(max),
        _ if matches!(rejection, JsonRejection::JsonSyntaxError(_)) => Problem::usage(syntax(rejection)),
        _ => Problem::usage("the body was not received completely"),
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
    use concordat_protocol::ids::ActorId;
    use futures::StreamExt as _;
    use serde_json::Value;
    use std::task::Poll;

    use super::*;
    use crate::api::body_budget::{BodyBudget, MAX_DOCUMENT, MAX_LOGIN, MAX_QUERY, MAX_SMALL};

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
        assert!(read(text(MAX_SMALL)).await.is_ok());
        assert_eq!(read(text(MAX_SMALL + 1)).await.unwrap_err().code, ErrorKind::Usage);
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(read(deep(100)).await.is_ok());
        assert_eq!(read(deep(MAX_SMALL / 2)).await.unwrap_err().code, ErrorKind::Usage);
    }

    fn request(allowance: BodyAllowance, body: HttpBody) -> Request {
        Request::builder()
            .header(CONTENT_TYPE, "application/json")
            .extension(allowance)
            .body(body)
            .unwrap()
    }

    #[tokio::test]
    async fn body_longer_than_its_route_accepts_is_not_read() {
        let allowed = |max| BodyAllowance::new(&BodyBudget::default(), max, None);
        let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
        for max in [MAX_LOGIN, MAX_SMALL, MAX_QUERY] {
            let whole = Body::<Value>::from_request(request(allowed(max), text(max).into()), &()).await;
            assert!(whole.is_ok(), "{max}");
            let long = Body::<Value>::from_request(request(allowed(max), text(max + 1).into()), &()).await;
            assert!(long.unwrap_err().detail.contains(&format!("the {max} bytes")));
            // Without a stated length it is read up to the limit.
            let streamed = futures::stream::iter([Ok::<_, std::io::Error>(text(max + 1))]);
            let streamed = request(allowed(max), HttpBody::from_stream(streamed));
            let long = Body::<Value>::from_request(streamed, &()).await;
            assert!(long.unwrap_err().detail.contains(&format!("the {max} bytes")));
        }
    }

    /// Bodies that are held back reserve what they may become; a colleague can still send one.
    #[tokio::test]
    async fn bodies_held_back_by_one_person_leave_memory_to_others() {
        let budget = BodyBudget::default();
        let (eva, pal): (ActorId, ActorId) = ("eva@budapest".parse().unwrap(), "pal@budapest".parse().unwrap());
        let held = |person: &ActorId| {
            let allowance = BodyAllowance::new(&budget, MAX_DOCUMENT, Some(person.clone()));
            let never = futures::stream::pending::<Result<&'static str, std::io::Error>>();
            (allowance.clone(), request(allowance, HttpBody::from_stream(never)))
        };
        let mut waiting = Vec::new();
        let refused = loop {
            let (allowance, request) = held(&eva);
            let mut read = Box::pin(Body::<Value>::from_request(request, &()));
            match futures::poll!(&mut read) {
                Poll::Pending => waiting.push((allowance, read)),
                Poll::Ready(ended) => break ended.unwrap_err(),
            }
            assert!(waiting.len() < 100, "one person has all the memory");
        };
        assert_eq!(refused.code, ErrorKind::Unreachable);
        let (_allowance, request) = held(&pal);
        let mut other = Box::pin(Body::<Value>::from_request(request, &()));
        assert!(futures::poll!(&mut other).is_pending());
        // What is not waited for any more is available again.
        waiting.clear();
        let (_allowance, request) = held(&eva);
        let mut again = Box::pin(Body::<Value>::from_request(request, &()));
        assert!(futures::poll!(&mut again).is_pending());
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
