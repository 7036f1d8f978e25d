//! Bringing the state of the catalogue forward from older formats of the data directory.

use std::num::NonZeroU32;

use concordat_protocol::{
    ids::{ColumnName, DatasetName, SegmentName},
    schema::VersionNumber,
};
use serde::{Deserialize, Serialize};

use super::{Catalog, CatalogError, Classification, DATASETS, DatasetRecord, keys::DatasetKeys};
use crate::{keys::Wrapped, meta::Batch};

/// A dataset in format 1: one key, which was the secret of the pseudonyms too, and all versions kept.
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

/// A record of either format: a migration that was broken off begins anew.
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

impl Catalog {
    /// Rewrites the records of format 1, in one commit.
    pub(crate) fn migrate_from_1(&self) -> Result<(), CatalogError> {
        let _changing = self.changing();
        let tree = self.0.meta.tree::<AnyRecord>(DATASETS)?;
        let mut batch = Batch::new();
        for (name, record) in tree.iter()? {
            if let AnyRecord::Format1(record) = record {
                batch.put(&self.0.datasets, &name, &self.brought_forward(record)?)?;
            }
        }
        Ok(self.0.meta.commit(batch)?)
    }

    /// Writes the record of a dataset as format 1 did.
    #[cfg(test)]
    pub(super) fn write_format_1(&self, name: &DatasetName) {
        let now = self.show(name).unwrap();
        let tree = self.0.meta.tree::<RecordOfFormat1>(DATASETS).unwrap();
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

    fn brought_forward(&self, old: RecordOfFormat1) -> Result<DatasetRecord, CatalogError> {
        let segment = self
            .segment_key(&old.segment)?
            .ok_or_else(|| CatalogError::SegmentGone {
                segment: old.segment.clone(),
            })?;
        let key = segment.open_dataset(old.name.as_str(), &old.key)?;
        let keep: Option<NonZeroU32> = None;
        Ok(DatasetRecord {
            release: super::ReleaseRules::default(),
            keys: DatasetKeys {
                pseudonyms: segment.pseudonyms_of_format_1(old.name.as_str(), &key)?,
                current: old.key,
                older: Vec::new(),
                past: Vec::new(),
                moved: false,
                resealing: false,
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
}
