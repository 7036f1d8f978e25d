//! Keys: which exist, and their rotation.

use concordat_protocol::ids::{DatasetName, KeyId, SegmentName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The keys of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyStatus {
    /// What unlocks the master key.
    pub unlocked_by: String,
    /// The segments.
    pub segments: Vec<SegmentKeys>,
    /// The keys of datasets.
    pub items: Vec<DatasetKeys>,
}

/// A segment, which has a key of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SegmentKeys {
    /// Its name.
    #[schema(value_type = String)]
    pub segment: SegmentName,
    /// How many datasets it has.
    pub datasets: u64,
}

/// The keys of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetKeys {
    /// The dataset.
    #[schema(value_type = String)]
    pub dataset: DatasetName,
    /// Its segment.
    #[schema(value_type = String)]
    pub segment: SegmentName,
    /// The key of what is imported from now on.
    #[schema(value_type = String)]
    pub key: KeyId,
    /// Older keys that objects still need.
    #[schema(value_type = Vec<String>)]
    pub older_keys: Vec<KeyId>,
    /// Whether objects are being reencrypted under the current key.
    pub reencrypting: bool,
    /// How far that is.
    pub reencrypted: Option<Progress>,
}

/// How far work on objects is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Objects that are done.
    pub objects: u64,
    /// Objects in all.
    pub of: u64,
}

/// The recovery keys to which the node's keys are encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Recipients {
    /// Public recovery keys: `age1…`.
    pub recipients: Vec<String>,
}

/// The node's keys, encrypted to recovery keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyBackup {
    /// To how many.
    pub recipients: usize,
    /// An age file in its text form.
    pub escrow: String,
}

/// Which key is rotated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Rotation {
    /// The master key.
    Master {},
    /// The key that signs for the institution.
    Institution {},
    /// The key of a segment.
    Segment {
        /// The segment.
        #[schema(value_type = String)]
        segment: SegmentName,
    },
    /// The key of a dataset.
    Dataset {
        /// The dataset.
        #[schema(value_type = String)]
        dataset: DatasetName,
        /// Whether its objects are reencrypted, in the background.
        #[serde(default)]
        reencrypt: bool,
    },
}

/// A key that was rotated, or prepared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Rotated {
    /// The next key of the institution was created.
    NextInstitutionKey(NextInstitutionKey),
    /// The institution has a new key.
    InstitutionKey(NewInstitutionKey),
    /// A dataset has a new key.
    DatasetKey(NewDatasetKey),
    /// A segment has a new key.
    SegmentKey(NewSegmentKey),
    /// The node has a new master key.
    MasterKey(NewMasterKey),
}

/// The next key of an institution; it is not valid before the roster lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NextInstitutionKey {
    /// What was created.
    pub created: String,
    /// Its fingerprint.
    pub fingerprint: String,
    /// The application that the coordinator admits.
    pub armor: String,
}

/// The new key of an institution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInstitutionKey {
    /// What was rotated.
    pub rotated: String,
    /// Its fingerprint.
    pub fingerprint: String,
}

/// The new key of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDatasetKey {
    /// What was rotated.
    pub rotated: String,
    /// The dataset.
    #[schema(value_type = String)]
    pub dataset: DatasetName,
    /// The new key.
    #[schema(value_type = String)]
    pub key: KeyId,
    /// Whether its objects are being reencrypted.
    pub reencrypting: bool,
}

/// The new key of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSegmentKey {
    /// What was rotated.
    pub rotated: String,
    /// The segment.
    #[schema(value_type = String)]
    pub segment: SegmentName,
    /// How many datasets it has.
    pub datasets: u64,
}

/// The new master key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMasterKey {
    /// What was rotated.
    pub rotated: String,
}
