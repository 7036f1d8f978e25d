//! What is running and who is connected.

use axum::{Json, extract::State, http::HeaderMap, routing::get};
use concordat_documents::openapi::Operation;
use concordat_documents::status::Status;

use super::os_account::OsAccount;
use super::route_access;
use super::route_access::{Access, Cost, Route};
use super::state::Api;
use crate::services::status;

pub(super) fn routes() -> Vec<Route> {
    let route = Route::new("/v1/status", Access::Open, get(show)).cost(Cost::Short);
    vec![route.describe(|| [Operation::get("What is running and who is connected").returns::<Status>()])]
}

/// The route is open; with a session it shows more.
async fn show(State(api): State<Api>, account: OsAccount, headers: HeaderMap) -> Json<Status> {
    let caller = route_access::actor(&api, &headers, account).await.ok();
    Json(status::show(api.node(), caller.as_ref()))
}
