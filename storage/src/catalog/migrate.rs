//! Migration of the catalog's state from older formats of the data directory.

use std::num::NonZeroU32;

use concordat_keys::Wrapped;
use concordat_protocol::{
    ids::{ColumnName, DatasetName, SegmentName},
    release::ReleaseRules,
    schema::VersionNumber,
};
use serde::{Deserialize, Serialize};

use super::{
    CatalogError, Classification, DatasetRecord,
    datasets::{DATASETS, Datasets},
    keyring::Keyring,
    record::DatasetKeys,
};
use crate::meta::Batch;

/// A dataset in format 1: one key, which was also the secret for pseudonyms, and no retention rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RecordOfFormat1 {
    pub(super) name: DatasetName,
    pub(super) segment: SegmentName,
    pub(super) subject: ColumnName,
    pub(super) classification: Classification,
    pub(super) published: bool,
    pub(super) current: VersionNumber,
    pub(super) key: Wrapped,
}

/// A record of either format: an interrupted migration starts again.
#[derive(Deserialize)]
#[serde(untagged)]
enum AnyRecord {
    Now(DatasetRecord),
    Format1(RecordOfFormat1),
}

impl Serialize for AnyRecord {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Now(record) => record.serialize(serializer),
            Self::Format1(record) => record.serialize(serializer),
        }
    }
}

/// Rewrites the records of format 1, in one commit.
pub(super) fn migrate_from_1(datasets: &Datasets, keys: &Keyring) -> Result<(), CatalogError> {
    let _changes = datasets.lock_changes();
    let tree = datasets.meta.tree::<AnyRecord>(DATASETS)?;
    let mut batch = Batch::new();
    for (name, record) in tree.iter()? {
        if let AnyRecord::Format1(record) = record {
            batch.put(&datasets.records, &name, &migrated(keys, record)?)?;
        }
    }
    Ok(datasets.meta.commit(batch)?)
}

/// Writes the record of a dataset as format 1 did.
#[cfg(test)]
pub(super) fn write_format_1(datasets: &Datasets, name: &DatasetName) {
    let now = datasets.show(name).unwrap();
    let tree = datasets.meta.tree::<RecordOfFormat1>(DATASETS).unwrap();
    let old = RecordOfFormat1 {
        name: now.name,
        segment: now.segment,
        subject: now.subject,
        classification: now.classification,
        published: now.published,
        current: now.current,
        key: now.keys.current,
    };
    tree.put(name.as_str(), &old).unwrap();
}

fn migrated(keys: &Keyring, old: RecordOfFormat1) -> Result<DatasetRecord, CatalogError> {
    let segment = keys
        .segment_key(&old.segment)?
        .ok_or_else(|| CatalogError::SegmentMissing {
            segment: old.segment.clone(),
        })?;
    let key = segment.open_dataset(old.name.as_str(), &old.key)?;
    let keep: Option<NonZeroU32> = None;
    Ok(DatasetRecord {
        release: ReleaseRules::default(),
        created: None,
        keys: DatasetKeys {
            pseudonyms: segment.pseudonyms_of_format_1(old.name.as_str(), &key)?,
            current: old.key,
            older: Vec::new(),
            past: Vec::new(),
            moved: false,
            reencrypting: false,
        },
        name: old.name,
        segment: old.segment,
        subject: old.subject,
        classification: old.classification,
        published: old.published,
        current: old.current,
        oldest: VersionNumber::FIRST,
        keep,
    })
}
