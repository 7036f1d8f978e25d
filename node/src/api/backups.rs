//! Snapshots of this node.

use axum::{Json, extract::State, routing::post};
use concordat_documents::backup::{BackupTarget, Snapshot};
use concordat_documents::openapi::Operation;
use concordat_documents::problem::Problem;

use super::body::Body;
use super::route_access::{Access, Caller, Route};
use super::state::Api;
use crate::iam::Action;
use crate::services::backups;

pub(super) fn routes() -> Vec<Route> {
    let route = Route::new("/v1/backups", Access::Needs(Action::MakeBackup), post(create));
    vec![route.describe(|| {
        let operation = Operation::post("Take a snapshot").accepts::<BackupTarget>();
        [operation.returns::<Snapshot>()]
    })]
}

async fn create(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(target): Body<BackupTarget>,
) -> Result<Json<Snapshot>, Problem> {
    backups::create(api.node(), &caller, target).await.map(Json)
}
