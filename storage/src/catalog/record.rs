//! A dataset, as its institution keeps it.

use std::num::NonZeroU32;

use concordat_protocol::{
    ids::{ColumnName, DatasetName, KeyId, SegmentName},
    schema::VersionNumber,
};
use serde::{Deserialize, Serialize};

use super::{Classification, ReleaseRules};
use crate::keys::Wrapped;

/// What is kept of a dataset apart from its data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetRecord {
    /// Its name.
    pub name: DatasetName,
    /// The segment it lies in.
    pub segment: SegmentName,
    /// The column that says whose record a row is; a reserved name where each row is a subject of its own.
    pub subject: ColumnName,
    /// What its columns reveal.
    pub classification: Classification,
    /// Whether other institutions may know of it.
    pub published: bool,
    /// The version that a new query reads.
    pub current: VersionNumber,
    /// The oldest version that is kept.
    pub oldest: VersionNumber,
    /// How many versions are kept; all of them if nothing is said.
    pub keep: Option<NonZeroU32>,
    /// What the steward has decided about its answers.
    #[serde(default)]
    pub release: ReleaseRules,
    pub(super) keys: DatasetKeys,
}

/// The keys of a dataset as they are stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DatasetKeys {
    /// Seals what is written.
    pub(super) current: Wrapped,
    /// Open what they sealed; the newest first.
    pub(super) older: Vec<Wrapped>,
    /// Names of keys that were forgotten: older backups hold what they sealed, and erasing has to reach that too.
    pub(super) past: Vec<KeyId>,
    pub(super) pseudonyms: Wrapped,
    /// Some objects lie elsewhere than their manifests say.
    pub(super) moved: bool,
    /// What the older keys sealed is being encrypted again.
    pub(super) reencrypting: bool,
}
