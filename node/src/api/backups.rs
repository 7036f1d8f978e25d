//! Snapshots of this node.

use std::path::PathBuf;

use axum::{Json, extract::State, routing::post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Access, Api, Body, Caller, Route};
use crate::{iam::Action, problem::Problem};

pub(super) fn routes() -> Vec<Route> {
    vec![Route::new(
        "/v1/backups",
        Access::Needs(Action::MakeBackup),
        post(create),
    )]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    /// The repository, as a path on the daemon's machine.
    to: PathBuf,
}

async fn create(
    State(api): State<Api>,
    Caller(actor): Caller,
    Body(Target { to }): Body<Target>,
) -> Result<Json<Value>, Problem> {
    if !to.is_absolute() {
        return Err(Problem::usage("the path of the repository must be absolute"));
    }
    api.blocking(move |node| {
        let made = node.lifecycle().back_up(&to, &actor.attribution())?;
        let snapshot = made.contents.document();
        Ok::<_, Problem>(Json(json!({
            "snapshot": snapshot.id,
            "at": snapshot.at.to_string(),
            "ledger_entries": snapshot.ledger,
            "objects": snapshot.objects,
            "copied": made.copied,
            "bytes": made.bytes,
        })))
    })
    .await
}
