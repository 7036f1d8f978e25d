//! Keys: which exist, their rotation, and their backup.

use concordat_documents::key::{
    DatasetKeys, KeyBackup, KeyStatus, NewDatasetKey, NewInstitutionKey, NewMasterKey, NewSegmentKey,
    NextInstitutionKey, Progress, Recipients, Rotated, Rotation, SegmentKeys,
};
use concordat_documents::problem::Problem;
use concordat_keys::Recipient;
use concordat_protocol::ids::{DatasetName, SegmentName};
use concordat_storage::ledger::Attribution;

use super::run::blocking;
use crate::iam::{Action, Actor};
use crate::membership::NextKey;
use crate::node::Node;

/// Which keys exist, and which datasets still need older ones.
///
/// # Errors
/// `denied` without the role; `internal` if the state cannot be read. So for all functions of this file.
pub(crate) async fn status(node: &Node, caller: &Actor) -> Result<KeyStatus, Problem> {
    caller.require(Action::ManageKeys)?;
    blocking(node, |node| {
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
        Ok::<_, Problem>(KeyStatus {
            unlocked_by: keys.unlocked_by.to_owned(),
            segments: segments.collect(),
            items: datasets.collect(),
        })
    })
    .await
}

/// Encrypts the node's keys to recovery keys.
///
/// # Errors
/// `usage` if one of them is not a recovery key.
pub(crate) async fn back_up(node: &Node, caller: &Actor, to: Recipients) -> Result<KeyBackup, Problem> {
    let by = caller.authorize(Action::ManageKeys)?;
    blocking(node, move |node| {
        let recipients = to
            .recipients
            .iter()
            .map(|text| text.parse())
            .collect::<Result<Vec<Recipient>, _>>()?;
        let escrow = node.lifecycle().back_up_keys(&recipients, &by)?;
        Ok::<_, Problem>(KeyBackup {
            recipients: recipients.len(),
            escrow,
        })
    })
    .await
}

/// Rotates a key.
///
/// # Errors
/// `not_found` if there is no such dataset or segment; `usage` if the institution's key cannot be replaced.
pub(crate) async fn rotate(node: &Node, caller: &Actor, rotation: Rotation) -> Result<Rotated, Problem> {
    let by = caller.authorize(Action::ManageKeys)?;
    match rotation {
        Rotation::Institution {} => rotate_institution(node, &by).await,
        Rotation::Master {} => rotate_master(node, by).await,
        Rotation::Segment { segment } => rotate_segment(node, segment, by).await,
        Rotation::Dataset { dataset, reencrypt } => rotate_dataset(node, dataset, reencrypt, by).await,
    }
}

/// The institution key is replaced only after the consortium has the new one in its roster.
async fn rotate_institution(node: &Node, by: &Attribution) -> Result<Rotated, Problem> {
    Ok(match node.membership().make_next_key(by).await? {
        NextKey::Pending { application, key } => Rotated::NextInstitutionKey(NextInstitutionKey {
            created: "next institution key".to_owned(),
            fingerprint: key.fingerprint(),
            armor: application,
        }),
        NextKey::Replaced { key } => Rotated::InstitutionKey(NewInstitutionKey {
            rotated: "institution key".to_owned(),
            fingerprint: key.fingerprint(),
        }),
    })
}

async fn rotate_master(node: &Node, by: Attribution) -> Result<Rotated, Problem> {
    blocking(node, move |node| node.lifecycle().rotate_master(&by)).await?;
    Ok(Rotated::MasterKey(NewMasterKey {
        rotated: "master key".to_owned(),
    }))
}

async fn rotate_segment(node: &Node, segment: SegmentName, by: Attribution) -> Result<Rotated, Problem> {
    let named = segment.clone();
    let datasets = blocking(node, move |node| node.lifecycle().rotate_segment(&named, &by)).await?;
    Ok(Rotated::SegmentKey(NewSegmentKey {
        rotated: "segment key".to_owned(),
        segment,
        datasets,
    }))
}

async fn rotate_dataset(
    node: &Node,
    dataset: DatasetName,
    reencrypt: bool,
    by: Attribution,
) -> Result<Rotated, Problem> {
    let named = dataset.clone();
    let key = blocking(node, move |node| {
        node.lifecycle().rotate_dataset(&named, reencrypt, &by)
    })
    .await?;
    Ok(Rotated::DatasetKey(NewDatasetKey {
        rotated: "dataset key".to_owned(),
        dataset,
        key,
        reencrypting: reencrypt,
    }))
}
