//! The description of this API, made of its routes.

use axum::{Json, routing::get};
use concordat_documents::openapi::{Operation, Path, document};
use concordat_documents::problem::Problem;

use super::route_access::{Access, Route};

/// The route that describes those of `all`, itself among them. The description is read once by the author of a program, so it is made when it is read.
pub(super) fn routes(all: fn() -> Vec<Route>) -> Vec<Route> {
    let describe = async move || Json(document::<Problem>(env!("CARGO_PKG_VERSION"), all().iter().map(path)));
    let described = Route::new("/v1/openapi.json", Access::LoggedIn, get(describe));
    vec![described.describe(|| [Operation::get("The description of this API: OpenAPI 3.1").returns_object()])]
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
        Access::NeedsEither(one, other) => (
            true,
            format!("For users with a role that permits `{one:?}` or `{other:?}`."),
        ),
    };
    Path {
        path: route.path,
        needs_session,
        access,
        operations: route.operations(),
    }
}
