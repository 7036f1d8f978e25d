//! The HTTP API: JSON under `/v1` on the socket `run/api.sock`.
//!
//! 1. A file below `api/` contains one noun: its handlers and its [`Route`]s. Its documents are in `concordat-documents`.
//! 2. A route names its [`Access`]: open, for any logged-in user, or for users whose role permits an action. It has no other
//!    way into the router, so no handler can be reached without the check ([`access`]).
//! 3. A handler returns a value or a [`Problem`], which is written as an RFC 9457 problem document.
//!
//! To add one: write the handler `async fn(State<Api>, Caller, …) -> Result<Json<T>, Problem>`, add a line to `routes()` of
//! its file (new files: also to [`routes`]) and describe it there for `/v1/openapi.json`, and call it from the noun's file below `cli/` through [`client::Client`].

pub mod access;
pub mod audit;
mod backups;
pub mod client;
mod consortium;
mod datasets;
mod evidence;
mod grants;
mod health;
mod imports;
mod keys;
mod openapi;
mod policy;
pub mod queries;
mod sessions;
mod socket;
mod status;
mod users;
mod why;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, FromRequest, Request},
    middleware::map_response,
    response::Response,
};
use serde::de::DeserializeOwned;

pub use access::{Access, Caller, Route};
pub use socket::{OsAccount, SOCKET, serve};

use crate::{config::ImportSection, node::Node};
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;

/// The state that handlers work on; clones share it.
#[derive(Debug, Clone)]
pub struct Api {
    node: Arc<Node>,
    import: Arc<ImportSection>,
}

impl Api {
    /// The API of `node`, which opens files only below the inboxes of `import`.
    pub fn new(node: Node, import: ImportSection) -> Self {
        Self {
            node: Arc::new(node),
            import: Arc::new(import),
        }
    }

    /// The node.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The import section of the configuration.
    pub fn import(&self) -> &ImportSection {
        &self.import
    }

    /// Runs work that blocks (password hashing, durable state) off the async threads.
    ///
    /// # Errors
    /// The error of the work.
    pub async fn blocking<T, E>(&self, work: impl FnOnce(&Node) -> Result<T, E> + Send + 'static) -> Result<T, Problem>
    where
        T: Send + 'static,
        E: Into<Problem> + Send + 'static,
    {
        let node = Arc::clone(&self.node);
        match tokio::task::spawn_blocking(move || work(&node)).await {
            Ok(done) => done.map_err(Into::into),
            Err(error) => Err(Problem::internal("the operation was interrupted", &error)),
        }
    }
}

/// Every route of the API.
pub fn routes() -> Vec<Route> {
    let nouns = [
        health::routes(),
        openapi::routes(),
        status::routes(),
        sessions::routes(),
        users::routes(),
        consortium::routes(),
        queries::routes(),
        grants::routes(),
        datasets::routes(),
        imports::routes(),
        keys::routes(),
        policy::routes(),
        backups::routes(),
        audit::routes(),
        evidence::routes(),
    ];
    nouns.into_iter().flatten().collect()
}

/// The router over all routes.
pub fn router(api: Api) -> Router {
    let empty = Router::new().fallback(async || Problem::new(ErrorKind::NotFound, "the API has no such path"));
    let router = routes()
        .into_iter()
        .fold(empty, |router, route| route.add_to(router, &api));
    router.layer(map_response(log_failure)).with_state(api)
}

/// Most bytes in a request body: the longest roster file, encoded in JSON. JSON parsers stop at a depth of 128.
const MAX_BODY: usize = 4 << 20;

/// A JSON body; a body that cannot be parsed as `T` is also answered with a problem document.
#[derive(Debug)]
pub struct Body<T>(pub T);

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

/// Logs the failures of this node; those of requests are the caller's.
async fn log_failure(response: Response) -> Response {
    let problem = response.extensions().get::<Arc<Problem>>();
    if let Some(problem) = problem
        && matches!(problem.code, ErrorKind::Internal | ErrorKind::Integrity)
    {
        tracing::error!(detail = problem.detail, "a request failed");
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::{body::Body as HttpBody, http::header::CONTENT_TYPE};
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
