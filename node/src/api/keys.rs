//! Keys: which exist, and their rotation.

use axum::{
    Json,
    extract::State,
    routing::{get, post},
};
use concordat_documents::problem::Problem;
use concordat_documents::{
    key::{DatasetKeys, KeyBackup, KeyStatus, Progress, Recipients, Rotated, Rotation, SegmentKeys},
    openapi::Operation,
};
use concordat_storage::{keys::Recipient, ledger::Attribution};

use super::body::Body;
use super::route::{Access, Caller, Route};
use super::state::Api;
use crate::{iam::Action, membership::NextKey};

pub(super) fn routes() -> Vec<Route> {
    let manage = Access::Needs(Action::ManageKeys);
    vec![
        Route::new("/v1/keys", manage, get(status))
            .describe([Operation::get("Which keys exist").returns::<KeyStatus>()]),
        Route::new("/v1/keys/rotate", manage, post(rotate)).describe([Operation::post("Rotate a key")
            .accepts::<Rotation>()
            .returns::<Rotated>()]),
        Route::new("/v1/keys/backup", manage, post(back_up)).describe([Operation::post(
            "Encrypt the node's keys to recovery keys",
        )
        .accepts::<Recipients>()
        .returns::<KeyBackup>()]),
    ]
}

async fn status(State(api): State<Api>) -> Result<Json<KeyStatus>, Problem> {
    api.blocking(|node| {
        let keys = node.storage().catalog().keys().status()?;
        let segments = keys
            .segments
            .into_iter()
            .map(|(segment, datasets)| SegmentKeys { segment, datasets });
        let datasets = keys.datasets.into_iter().map(|dataset| {
            let done = node.lifecycle().reencrypted(&dataset.dataset);
            DatasetKeys {
                dataset: dataset.dataset,
                segment: dataset.segment,
                key: dataset.current,
                older_keys: dataset.older,
                reencrypting: dataset.reencrypting,
                reencrypted: done.map(|done| Progress {
                    objects: done.objects,
                    of: done.of,
                }),
            }
        });
        Ok::<_, Problem>(Json(KeyStatus {
            unlocked_by: keys.unlocked_by.to_owned(),
            segments: segments.collect(),
            items: datasets.collect(),
        }))
    })
    .await
}

async fn back_up(
    State(api): State<Api>,
    Caller(actor): Caller,
    Body(Recipients { recipients }): Body<Recipients>,
) -> Result<Json<KeyBackup>, Problem> {
    let by = actor.attribution();
    api.blocking(move |node| {
        let recipients = recipients
            .iter()
            .map(|text| text.parse())
            .collect::<Result<Vec<Recipient>, _>>()?;
        let escrow = node.lifecycle().back_up_keys(&recipients, &by)?;
        Ok::<_, Problem>(Json(KeyBackup {
            recipients: recipients.len(),
            escrow,
        }))
    })
    .await
}

async fn rotate(
    State(api): State<Api>,
    Caller(actor): Caller,
    Body(rotation): Body<Rotation>,
) -> Result<Json<Rotated>, Problem> {
    let by = actor.attribution();
    let rotated = match rotation {
        Rotation::Institution {} => rotate_institution(&api, &by).await?,
        Rotation::Master {} => {
            api.blocking(move |node| node.lifecycle().rotate_master(&by)).await?;
            Rotated::MasterKey {
                rotated: "master key".to_owned(),
            }
        }
        Rotation::Segment { segment } => {
            let named = segment.clone();
            let datasets = api
                .blocking(move |node| node.lifecycle().rotate_segment(&named, &by))
                .await?;
            Rotated::SegmentKey {
                rotated: "segment key".to_owned(),
                segment,
                datasets,
            }
        }
        Rotation::Dataset { dataset, reencrypt } => {
            let named = dataset.clone();
            let key = api
                .blocking(move |node| node.lifecycle().rotate_dataset(&named, reencrypt, &by))
                .await?;
            Rotated::DatasetKey {
                rotated: "dataset key".to_owned(),
                dataset,
                key,
                reencrypting: reencrypt,
            }
        }
    };
    Ok(Json(rotated))
}

/// The institution key is replaced only after the consortium has the new one in its roster.
async fn rotate_institution(api: &Api, by: &Attribution) -> Result<Rotated, Problem> {
    Ok(match api.node().membership().make_next_key(by).await? {
        NextKey::Pending { application, key } => Rotated::NextInstitutionKey {
            created: "next institution key".to_owned(),
            fingerprint: key.fingerprint(),
            armor: application,
        },
        NextKey::Replaced { key } => Rotated::InstitutionKey {
            rotated: "institution key".to_owned(),
            fingerprint: key.fingerprint(),
        },
    })
}
