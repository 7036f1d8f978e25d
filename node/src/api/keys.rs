//! Keys: which exist, their rotation, and their backup.

use axum::{
    Json,
    extract::State,
    routing::{get, post},
};
use concordat_documents::key::{KeyBackup, KeyStatus, Recipients, Rotated, Rotation};
use concordat_documents::openapi::Operation;
use concordat_documents::problem::Problem;

use super::body::Body;
use super::route_access::{Access, Caller, Route};
use super::state::Api;
use crate::iam::Action;
use crate::services::keys;

pub(super) fn routes() -> Vec<Route> {
    let manage = Access::Needs(Action::ManageKeys);
    vec![
        Route::new("/v1/keys", manage, get(status))
            .describe(|| [Operation::get("Which keys exist").returns::<KeyStatus>()]),
        Route::new("/v1/keys/rotate", manage, post(rotate)).describe(|| {
            [Operation::post("Rotate a key")
                .accepts::<Rotation>()
                .returns::<Rotated>()]
        }),
        Route::new("/v1/keys/backup", manage, post(back_up)).describe(|| {
            [Operation::post("Encrypt the node's keys to recovery keys")
                .accepts::<Recipients>()
                .returns::<KeyBackup>()]
        }),
    ]
}

async fn status(State(api): State<Api>, Caller(caller): Caller) -> Result<Json<KeyStatus>, Problem> {
    keys::status(api.node(), &caller).await.map(Json)
}

async fn rotate(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(rotation): Body<Rotation>,
) -> Result<Json<Rotated>, Problem> {
    keys::rotate(api.node(), &caller, rotation).await.map(Json)
}

async fn back_up(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(to): Body<Recipients>,
) -> Result<Json<KeyBackup>, Problem> {
    keys::back_up(api.node(), &caller, to).await.map(Json)
}
