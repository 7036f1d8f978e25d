//! The description of this API, made of its routes.

use axum::{Json, routing::get};
use concordat_documents::openapi::{Operation, Path, document};
use concordat_documents::problem::Problem;

use super::{Access, Route, routes as all_routes};

pub(super) fn routes() -> Vec<Route> {
    let operation = Operation::get("The description of this API: OpenAPI 3.1").returns_object();
    vec![Route::new("/v1/openapi.json", Access::LoggedIn, get(describe)).describe([operation])]
}

async fn describe() -> Json<concordat_documents::openapi::OpenApi> {
    Json(document::<Problem>(
        env!("CARGO_PKG_VERSION"),
        all_routes().into_iter().map(path),
    ))
}

fn path(route: Route) -> Path {
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
        operations: route.operations,
    }
}
