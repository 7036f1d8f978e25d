//! Keys: which exist, and their rotation.

use axum::{
    Json,
    extract::State,
    routing::{get, post},
};
use concordat_protocol::ids::{DatasetName, SegmentName};
use concordat_storage::{keys::Recipient, ledger::Attribution};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Access, Api, Body, Caller, Route};
use crate::{iam::Action, membership::NextKey, problem::Problem};

pub(super) fn routes() -> Vec<Route> {
    let manage = Access::Needs(Action::ManageKeys);
    vec![
        Route::new("/v1/keys", manage, get(status)),
        Route::new("/v1/keys/rotate", manage, post(rotate)),
        Route::new("/v1/keys/backup", manage, post(back_up)),
    ]
}

async fn status(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    api.blocking(|node| {
        let keys = node.storage().catalog().keys().status()?;
        let segments = keys
            .segments
            .iter()
            .map(|(segment, datasets)| json!({ "segment": segment, "datasets": datasets }));
        let datasets = keys.datasets.iter().map(|dataset| {
            let done = node.lifecycle().reencrypted(&dataset.dataset);
            json!({
                "dataset": dataset.dataset,
                "segment": dataset.segment,
                "key": dataset.current,
                "older_keys": dataset.older,
                "reencrypting": dataset.reencrypting,
                "reencrypted": done.map(|done| json!({ "objects": done.objects, "of": done.of })),
            })
        });
        Ok::<_, Problem>(Json(json!({
            "unlocked_by": keys.unlocked_by,
            "segments": segments.collect::<Vec<Value>>(),
            "items": datasets.collect::<Vec<Value>>(),
        })))
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipients {
    /// Public recovery keys: `age1…`.
    recipients: Vec<String>,
}

async fn back_up(
    State(api): State<Api>,
    Caller(actor): Caller,
    Body(Recipients { recipients }): Body<Recipients>,
) -> Result<Json<Value>, Problem> {
    let by = actor.attribution();
    api.blocking(move |node| {
        let recipients = recipients
            .iter()
            .map(|text| text.parse())
            .collect::<Result<Vec<Recipient>, _>>()?;
        let escrow = node.lifecycle().back_up_keys(&recipients, &by)?;
        Ok::<_, Problem>(Json(json!({ "recipients": recipients.len(), "escrow": escrow })))
    })
    .await
}

/// Which key to rotate; exactly one.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Which {
    Master {},
    Institution {},
    Segment {
        segment: SegmentName,
    },
    Dataset {
        dataset: DatasetName,
        #[serde(default)]
        reencrypt: bool,
    },
}

async fn rotate(
    State(api): State<Api>,
    Caller(actor): Caller,
    Body(which): Body<Which>,
) -> Result<Json<Value>, Problem> {
    let by = actor.attribution();
    let rotated = match which {
        Which::Institution {} => rotate_institution(&api, &by).await?,
        Which::Master {} => {
            api.blocking(move |node| node.lifecycle().rotate_master(&by)).await?;
            json!({ "rotated": "master key" })
        }
        Which::Segment { segment } => {
            let named = segment.clone();
            let count = api
                .blocking(move |node| node.lifecycle().rotate_segment(&named, &by))
                .await?;
            json!({ "rotated": "segment key", "segment": segment, "datasets": count })
        }
        Which::Dataset { dataset, reencrypt } => {
            let named = dataset.clone();
            let key = api
                .blocking(move |node| node.lifecycle().rotate_dataset(&named, reencrypt, &by))
                .await?;
            json!({ "rotated": "dataset key", "dataset": dataset, "key": key, "reencrypting": reencrypt })
        }
    };
    Ok(Json(rotated))
}

/// The institution key is replaced only after the consortium has the new one in its roster.
async fn rotate_institution(api: &Api, by: &Attribution) -> Result<Value, Problem> {
    Ok(match api.node().membership().make_next_key(by).await? {
        NextKey::Pending { application, key } => {
            json!({ "created": "next institution key", "fingerprint": key.fingerprint(), "armor": application })
        }
        NextKey::Replaced { key } => json!({ "rotated": "institution key", "fingerprint": key.fingerprint() }),
    })
}
