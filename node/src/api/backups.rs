//! Snapshots of this node.

use axum::{Json, extract::State, routing::post};
use concordat_documents::problem::Problem;
use concordat_documents::{
    backup::{BackupTarget, Snapshot},
    openapi::Operation,
};

use super::body::Body;
use super::route::{Access, Caller, Route};
use super::state::Api;
use crate::iam::Action;

pub(super) fn routes() -> Vec<Route> {
    let operation = Operation::post("Take a snapshot")
        .accepts::<BackupTarget>()
        .returns::<Snapshot>();
    let route = Route::new("/v1/backups", Access::Needs(Action::MakeBackup), post(create));
    vec![route.describe([operation])]
}

async fn create(
    State(api): State<Api>,
    Caller(actor): Caller,
    Body(BackupTarget { to }): Body<BackupTarget>,
) -> Result<Json<Snapshot>, Problem> {
    if !to.is_absolute() {
        return Err(Problem::usage("the path of the repository must be absolute"));
    }
    api.blocking(move |node| {
        let made = node.lifecycle().back_up(&to, &actor.attribution())?;
        let snapshot = made.contents.document();
        Ok::<_, Problem>(Json(Snapshot {
            snapshot: snapshot.id,
            at: snapshot.at.to_string(),
            ledger_entries: snapshot.ledger,
            objects: snapshot.objects,
            copied: made.copied,
            bytes: made.bytes,
        }))
    })
    .await
}
