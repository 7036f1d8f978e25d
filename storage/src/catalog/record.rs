//! The record of a dataset, as its institution stores it.

pub(super) mod collection;

use std::num::NonZeroU32;

use concordat_keys::Wrapped;
use concordat_protocol::{
    ids::{ColumnName, CreationId, DatasetName, KeyId, SegmentName},
    release::ReleaseRules,
    schema::VersionNumber,
};
use serde::{Deserialize, Serialize};

use super::Classification;

/// What is stored about a dataset apart from its data: the record of a collection of one ([`collection::CollectionRecord`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetRecord {
    /// Its name.
    pub name: DatasetName,
    /// Its segment.
    pub segment: SegmentName,
    /// The column that identifies the subject of a row; a reserved name if each row is its own subject.
    pub subject: ColumnName,
    /// What its columns reveal.
    pub classification: Classification,
    /// Whether it is shown to other institutions.
    pub published: bool,
    /// The version that a new query reads.
    pub current: VersionNumber,
    /// The oldest version that is kept.
    pub oldest: VersionNumber,
    /// How many versions are kept; all of them if `None`.
    pub keep: Option<NonZeroU32>,
    /// The steward's decisions about its answers.
    #[serde(default)]
    pub release: ReleaseRules,
    /// Distinguishes it from other datasets that had or will have its name; `None` if it was imported by a version that did not record it.
    #[serde(default)]
    pub created: Option<CreationId>,
    pub(super) keys: DatasetKeys,
}

/// The keys of a dataset as they are stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DatasetKeys {
    /// Seals new data.
    pub(super) current: Wrapped,
    /// Keys that still open older objects; the newest first.
    pub(super) older: Vec<Wrapped>,
    /// Ids of discarded keys: older backups contain what they sealed, and an erasure must cover that too.
    pub(super) past: Vec<KeyId>,
    pub(super) pseudonyms: Wrapped,
    /// Some objects have other paths than their manifests state.
    pub(super) moved: bool,
    /// What the older keys sealed is being reencrypted.
    pub(super) reencrypting: bool,
}
