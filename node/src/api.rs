//! The HTTP API: JSON under `/v1` on the socket `run/api.sock`.
//!
//! 1. A file below `api/` contains one noun: its handlers and its [`Route`]s. Its documents are in `concordat-documents`.
//! 2. A route names its [`Access`](route_access::Access): open, for any logged-in user, or for users whose role permits an action. It has no other
//!    way into the router, so no handler can be reached without the check ([`route_access`]).
//! 3. A route names its [`Cost`](route_access::Cost) if it is short or has a limit of its own; the requests of all others are limited for each account.
//! 4. A handler returns a value or a [`Problem`], which is written as an RFC 9457 problem document.
//!
//! To add one: write the handler `async fn(State<Api>, Caller, …) -> Result<Json<T>, Problem>`, add a line to `routes()` of
//! its file (new files: also to [`routes`]) and describe it there for `/v1/openapi.json`, and call it from the noun's file in `concordat-cli` through its client.

pub(crate) mod audit;
mod backups;
mod body;
mod body_budget;
mod collections;
mod connections;
mod consortium;
mod datasets;
mod evidence;
mod grants;
mod health;
mod held_body;
mod imports;
mod keys;
mod openapi;
mod os_account;
mod parameters;
mod policy;
pub(crate) mod queries;
mod request_work;
mod route_access;
mod sessions;
mod socket;
mod state;
mod status;
mod users;
mod write_timeout;

use std::{path::Path, sync::Arc};

use axum::{Router, middleware::map_response, response::Response};
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;

pub(crate) use route_access::Route;
pub use state::Api;

use crate::shutdown::Stage;

/// Every route of the API.
pub fn routes() -> Vec<Route> {
    let nouns = [
        health::routes(),
        status::routes(),
        sessions::routes(),
        users::routes(),
        consortium::routes(),
        queries::routes(),
        grants::routes(),
        datasets::routes(),
        imports::routes(),
        collections::routes(),
        keys::routes(),
        policy::routes(),
        backups::routes(),
        audit::routes(),
        evidence::routes(),
        openapi::routes(routes),
    ];
    nouns.into_iter().flatten().collect()
}

/// Serves the API on the socket in the data directory `dir` as part of `stage`; when this returns, the socket is open.
///
/// # Errors
/// If the socket cannot be made.
pub fn serve(api: Api, dir: &Path, stage: &Stage) -> Result<(), Problem> {
    let connections = api.connections();
    socket::serve(router(api), dir, stage, connections)
}

/// The router over all routes.
fn router(api: Api) -> Router {
    let empty = Router::new().fallback(async || Problem::new(ErrorKind::NotFound, "the API has no such path"));
    let router = routes()
        .into_iter()
        .fold(empty, |router, route| route.add_to(router, &api));
    router.layer(map_response(log_failure)).with_state(api)
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
    use crate::api::route_access::{Access, Cost};
    use std::collections::BTreeMap;

    use super::*;

    /// The complete list of routes that can be used without a session. It may only shrink.
    #[test]
    fn only_these_routes_are_open() {
        let routes = routes();
        let open: Vec<&str> = routes
            .iter()
            .filter(|r| r.access == Access::Open)
            .map(|r| r.path)
            .collect();
        assert_eq!(open, ["/healthz", "/readyz", "/metrics", "/v1/status", "/v1/login"]);
        // With a password that an administrator knows, no other routes are available either.
        let any: Vec<&str> = routes
            .iter()
            .filter(|r| r.access == Access::AnySession)
            .map(|r| r.path)
            .collect();
        assert_eq!(any, ["/v1/logout", "/v1/whoami", "/v1/password"]);
        // All others need a role before their handler begins, so that none of them shows what it has found to people without one.
        let logged_in: Vec<&str> = routes
            .iter()
            .filter(|r| r.access == Access::LoggedIn)
            .map(|r| r.path)
            .collect();
        assert_eq!(logged_in, ["/v1/openapi.json"]);
    }

    fn that_cost(cost: Cost) -> Vec<&'static str> {
        let routes = routes().into_iter().filter(|route| route.cost == cost);
        routes.map(|route| route.path).collect()
    }

    /// The complete list of routes of which an account may send more requests at the same time. A new one has to take milliseconds, whatever is sent
    /// and stored.
    #[test]
    fn only_these_routes_are_short() {
        let short = that_cost(Cost::Short);
        let expected = [
            "/healthz",
            "/readyz",
            "/metrics",
            "/v1/status",
            "/v1/login",
            "/v1/logout",
            "/v1/whoami",
            "/v1/password",
            "/v1/users",
            "/v1/users/{name}/roles",
            "/v1/users/{name}/access",
            "/v1/users/{name}/password",
            "/v1/users/{name}/training",
            "/v1/consortium/roster",
            "/v1/consortium/ledgers",
            "/v1/query/functions",
            "/v1/grants/{id}",
            "/v1/grants/{id}/transcript",
            "/v1/grants/{id}/accept",
            "/v1/grants/{id}/verify",
            "/v1/grants/{id}/reject",
            "/v1/grants/{id}/revoke",
            "/v1/grants/{id}/suspend",
            "/v1/grants/{id}/resume",
            "/v1/grants/{id}/relinquish",
            "/v1/datasets/{name}",
            "/v1/datasets/{name}/classify",
            "/v1/datasets/{name}/publish",
            "/v1/datasets/{name}/limits",
            "/v1/datasets/{name}/locks",
            "/v1/datasets/{name}/unlock",
            "/v1/datasets/{name}/acknowledge",
            "/v1/datasets/{name}/withdraw",
            "/v1/datasets/{name}/notes",
            "/v1/collections/{name}/withdraw",
        ];
        assert_eq!(short, expected);
        let own_limit = that_cost(Cost::OwnLimit);
        let expected = [
            "/v1/query",
            "/v1/datasets/{name}/import",
            "/v1/datasets/{name}/index",
            "/v1/imports/inspect",
            "/v1/collections/{name}/import",
            "/v1/audit/export",
        ];
        assert_eq!(own_limit, expected);
        // Without a session there is no account to which a limit could belong.
        let mut open = routes().into_iter().filter(|route| route.access == Access::Open);
        assert!(open.all(|route| route.cost == Cost::Short));
    }

    /// Two documents of one name would describe each other's routes.
    #[test]
    fn name_of_a_document_stands_for_one_document() {
        let mut known = BTreeMap::new();
        for route in routes() {
            for (name, schema) in route.operations().iter().flat_map(|operation| operation.schemas()) {
                let text = serde_json::to_string(schema).unwrap();
                let before = known.insert(name.clone(), text.clone());
                assert!(before.is_none_or(|before| before == text), "{name} of {}", route.path);
            }
        }
        assert!(known.len() > 30, "{known:?}");
    }
}
