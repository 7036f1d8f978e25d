//! The description of this API, made of its routes.

use std::sync::Arc;

use axum::{Json, routing::get};
use concordat_documents::openapi::{Operation, Path, document};
use concordat_documents::problem::Problem;

use super::route_access::{Access, Route};

/// The route that describes itself and `others`.
pub(super) fn route(others: &[Route]) -> Route {
    let own = Route::new("/v1/openapi.json", Access::LoggedIn, get(async || {}))
        .describe([Operation::get("The description of this API: OpenAPI 3.1").returns_object()]);
    let paths = others.iter().chain([&own]).map(path);
    let description = Arc::new(document::<Problem>(env!("CARGO_PKG_VERSION"), paths));
    own.handled_by(get(async move || Json(Arc::clone(&description))))
}

fn path(route: &Route) -> Path {
    let (needs_session, access) = match route.access {
        Access::Open => (
            false,
            "Open to every account that can connect to the socket.".to_owned(),
        ),
        Access::AnySession => (
            true,
            "For logged-in users, also before they have set a password of their own.".to_owned(),
        ),
        Access::LoggedIn => (true, "For logged-in users.".to_owned()),
        Access::Needs(action) => (true, format!("For users with a role that permits `{action:?}`.")),
    };
    Path {
        path: route.path,
        needs_session,
        access,
        operations: route.operations.clone(),
    }
}
