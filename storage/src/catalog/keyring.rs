//! The keys of segments and datasets: opening and rotating them.
//!
//! Rotating a key that wraps others rewraps those in one commit, and does not touch data. A dataset's key seals data: a
//! new one seals what is imported from then on, the older ones remain for what they sealed until that is reencrypted
//! ([`super::Reencryption`]).

use std::sync::Arc;

use concordat_keys::{DatasetKey, Escrow, KeyError, MasterKey, PseudonymSecret, Recipient, SegmentKey, Wrapped};
use concordat_protocol::{
    audit::MAX_KEYS,
    ids::{DatasetName, KeyId, SegmentName},
};

use super::{CatalogError, CollectionRecord, DatasetRecord, datasets::Datasets, record::DatasetKeys};
use crate::meta::{Batch, MetaError, SealedDb, SealedTree, TreeId};

/// The keys of segments, by name.
pub const SEGMENTS: TreeId = TreeId::new("segments");

/// The keys of a dataset, opened.
pub(super) struct OpenKeys {
    pub(super) current: DatasetKey,
    pub(super) older: Vec<DatasetKey>,
    pub(super) pseudonyms: PseudonymSecret,
}

impl OpenKeys {
    pub(super) fn ids(&self) -> Vec<KeyId> {
        let older = self.older.iter().map(DatasetKey::id);
        std::iter::once(self.current.id()).chain(older).collect()
    }
}

/// The ids of the keys of all segments and datasets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyStatus {
    /// A label for what unlocks the master key.
    pub unlocked_by: &'static str,
    /// Each segment with its number of datasets.
    pub segments: Vec<(SegmentName, u64)>,
    /// Each dataset.
    pub datasets: Vec<DatasetKeyStatus>,
}

/// The ids of the keys of one dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetKeyStatus {
    /// The dataset.
    pub dataset: DatasetName,
    /// Its segment.
    pub segment: SegmentName,
    /// The key that seals new data.
    pub current: KeyId,
    /// Keys that are still needed for what they sealed.
    pub older: Vec<KeyId>,
    /// Whether what the older keys sealed is being reencrypted.
    pub reencrypting: bool,
}

/// The keys above objects: of the segments and, in the records, of the datasets.
#[derive(Debug)]
pub struct Keyring {
    pub(super) master: Arc<MasterKey>,
    pub(super) segments: SealedTree<Wrapped>,
    datasets: Arc<Datasets>,
}

impl Keyring {
    pub(super) fn open(master: Arc<MasterKey>, meta: &SealedDb, datasets: Arc<Datasets>) -> Result<Self, MetaError> {
        Ok(Self {
            master,
            segments: meta.tree(SEGMENTS)?,
            datasets,
        })
    }

    /// Finishes an interrupted rotation of the master key.
    pub(super) fn finish_rotation(&self) -> Result<(), CatalogError> {
        if self.master.is_rotating() {
            self.finish_master_rotation()?;
        }
        Ok(())
    }

    /// Which keys there are, and which datasets still need older ones.
    ///
    /// # Errors
    /// If a key cannot be opened.
    pub fn status(&self) -> Result<KeyStatus, CatalogError> {
        let mut segments: Vec<(SegmentName, u64)> = Vec::new();
        let mut datasets = Vec::new();
        for record in self.datasets.collections()? {
            let keys = self.open_keys(&record)?;
            match segments.iter_mut().find(|(segment, _)| *segment == record.segment) {
                Some((_, count)) => *count += 1,
                None => segments.push((record.segment.clone(), 1)),
            }
            datasets.push(DatasetKeyStatus {
                dataset: record.dataset_name(),
                segment: record.segment,
                current: keys.current.id(),
                older: keys.older.iter().map(DatasetKey::id).collect(),
                reencrypting: record.keys.reencrypting,
            });
        }
        Ok(KeyStatus {
            unlocked_by: self.master.unlocked_by(),
            segments,
            datasets,
        })
    }

    /// Whether a rotation of the master key has begun that is not finished: the next start finishes it.
    #[must_use]
    pub fn is_rotating_master(&self) -> bool {
        self.master.is_rotating()
    }

    /// Replaces the master key with a new one. Data and state are not touched.
    ///
    /// # Errors
    /// If a file or state cannot be written. An interrupted rotation is finished when the catalog is opened again.
    pub fn rotate_master(&self) -> Result<(), CatalogError> {
        let _changes = self.datasets.lock_changes();
        self.rotate_master_locked()
    }

    /// [`Keyring::rotate_master`] for a caller that holds the lock.
    pub(super) fn rotate_master_locked(&self) -> Result<(), CatalogError> {
        self.master.begin_rotation()?;
        self.finish_master_rotation()
    }

    /// Wraps all segment keys with the new master key and discards the previous one.
    fn finish_master_rotation(&self) -> Result<(), CatalogError> {
        let master = &self.master;
        let tree = &self.segments;
        let mut batch = Batch::new();
        for (segment, wrapped) in tree.iter()? {
            let key = master.open_segment(&segment, &wrapped)?;
            batch.expect(tree, &segment, Some(&wrapped))?;
            batch.put(tree, &segment, &master.wrap_segment(&key)?)?;
        }
        self.datasets.meta.commit(batch)?;
        Ok(master.finish_rotation()?)
    }

    /// Replaces the key of a segment with a new one and returns how many datasets' keys were rewrapped. Data is not
    /// touched.
    ///
    /// # Errors
    /// [`CatalogError::NoSegment`] if there is none with this name; otherwise if a key cannot be opened or state cannot
    /// be written.
    pub fn rotate_segment(&self, segment: &SegmentName) -> Result<u64, CatalogError> {
        let _changes = self.datasets.lock_changes();
        self.rotate_segment_locked(segment)
    }

    /// [`Keyring::rotate_segment`] for a caller that holds the lock.
    pub(super) fn rotate_segment_locked(&self, segment: &SegmentName) -> Result<u64, CatalogError> {
        let name = segment.as_str();
        let before = self.segments.get(name)?.ok_or_else(|| CatalogError::NoSegment {
            segment: segment.clone(),
        })?;
        let old = self.master.open_segment(name, &before)?;
        let (new, wrapped) = self.master.create_segment(name)?;
        let mut batch = Batch::new();
        batch
            .expect(&self.segments, name, Some(&before))?
            .put(&self.segments, name, &wrapped)?;
        let mut count = 0;
        for record in self
            .datasets
            .collections()?
            .into_iter()
            .filter(|record| record.segment == *segment)
        {
            let changed = record.with_keys(rewrapped(&record, &old, &new)?);
            self.datasets.replace(&mut batch, &changed)?;
            count += 1;
        }
        self.datasets.meta.commit(batch)?;
        Ok(count)
    }

    /// Checks that a dataset can get a new key: what can refuse [`Keyring::rotate_dataset`].
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] and [`CatalogError::TooManyKeys`].
    pub fn check_rotation(&self, name: &DatasetName) -> Result<DatasetRecord, CatalogError> {
        let record = self.datasets.show(name)?;
        check_key_count(&record.keys, name)?;
        Ok(record)
    }

    /// Gives a dataset a new key for what is imported from now on. With `reencrypt`, what the older keys sealed is
    /// marked for reencryption; [`super::Reencryption::run`] does it.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] if there is no dataset with this name, [`CatalogError::TooManyKeys`] after a thousand
    /// rotations; otherwise if a key cannot be opened or state cannot be written.
    pub fn rotate_dataset(&self, name: &DatasetName, reencrypt: bool) -> Result<KeyId, CatalogError> {
        let _changes = self.datasets.lock_changes();
        let old = self.datasets.record(name)?;
        check_key_count(&old.keys, name)?;
        let (key, wrapped) = self.segment_of(&old)?.create_dataset(name.as_str())?;
        let mut keys = old.keys.clone();
        let before = std::mem::replace(&mut keys.current, wrapped);
        keys.older.insert(0, before);
        keys.reencrypting |= reencrypt;
        self.datasets.update(&old.with_keys(keys))?;
        Ok(key.id())
    }

    /// Encrypts the keys of this node to recovery keys; see [`Escrow`].
    ///
    /// # Errors
    /// [`concordat_keys::KeyError::NoRecipient`] if there is none.
    pub fn escrow(&self, recipients: &[Recipient]) -> Result<String, CatalogError> {
        let _changes = self.datasets.lock_changes();
        let mut segments = Vec::new();
        for (segment, wrapped) in self.segments.iter()? {
            segments.push(self.master.open_segment(&segment, &wrapped)?);
        }
        Ok(Escrow::seal(&self.master, &segments, recipients)?)
    }

    /// Wraps the segment keys of an escrow with the recovered master key, if they can no longer be opened.
    pub(crate) fn adopt(&self, escrow: &Escrow) -> Result<(), CatalogError> {
        let _changes = self.datasets.lock_changes();
        let master = &self.master;
        let tree = &self.segments;
        let mut batch = Batch::new();
        for (segment, wrapped) in tree.iter()? {
            if master.open_segment(&segment, &wrapped).is_ok() {
                continue;
            }
            let outdated = || KeyError::OutdatedEscrow {
                segment: segment.clone(),
            };
            let key = escrow.segment(&segment).ok_or_else(outdated)?;
            let datasets = self.datasets.collections()?.into_iter();
            for record in datasets.filter(|record| record.segment.as_str() == segment) {
                let opened = key.open_dataset(record.name.as_str(), &record.keys.current);
                opened.map_err(|_| outdated())?;
            }
            batch.put(tree, &segment, &master.wrap_segment(key)?)?;
        }
        Ok(self.datasets.meta.commit(batch)?)
    }

    /// Opens the keys of a dataset.
    pub(super) fn open_keys(&self, record: &CollectionRecord) -> Result<OpenKeys, CatalogError> {
        let segment = self.segment_of(record)?;
        let name = record.name.as_str();
        let keys = &record.keys;
        let older = keys.older.iter().map(|wrapped| segment.open_dataset(name, wrapped));
        Ok(OpenKeys {
            current: segment.open_dataset(name, &keys.current)?,
            older: older.collect::<Result<_, _>>()?,
            pseudonyms: segment.open_pseudonyms(name, &keys.pseudonyms)?,
        })
    }

    /// Opens the key of a segment; if there is none, creates one as part of `batch`.
    pub(super) fn segment_or_new(&self, segment: &SegmentName, batch: &mut Batch) -> Result<SegmentKey, CatalogError> {
        if let Some(key) = self.segment_key(segment)? {
            return Ok(key);
        }
        let name = segment.as_str();
        let (key, wrapped) = self.master.create_segment(name)?;
        batch
            .expect(&self.segments, name, None)?
            .put(&self.segments, name, &wrapped)?;
        Ok(key)
    }

    fn segment_of(&self, record: &CollectionRecord) -> Result<SegmentKey, CatalogError> {
        let segment = self.segment_key(&record.segment)?;
        segment.ok_or_else(|| CatalogError::SegmentMissing {
            segment: record.segment.clone(),
        })
    }

    /// The key of a segment, if there is one.
    pub(super) fn segment_key(&self, segment: &SegmentName) -> Result<Option<SegmentKey>, CatalogError> {
        let Some(wrapped) = self.segments.get(segment.as_str())? else {
            return Ok(None);
        };
        Ok(Some(self.master.open_segment(segment.as_str(), &wrapped)?))
    }
}

fn check_key_count(keys: &DatasetKeys, name: &DatasetName) -> Result<(), CatalogError> {
    if keys.older.len() + keys.past.len() + 2 > MAX_KEYS {
        return Err(CatalogError::TooManyKeys { name: name.clone() });
    }
    Ok(())
}

fn rewrapped(record: &CollectionRecord, old: &SegmentKey, new: &SegmentKey) -> Result<DatasetKeys, CatalogError> {
    let name = record.name.as_str();
    let keys = &record.keys;
    let rewrap = |wrapped| new.wrap_dataset(name, &old.open_dataset(name, wrapped)?);
    Ok(DatasetKeys {
        current: rewrap(&keys.current)?,
        older: keys.older.iter().map(rewrap).collect::<Result<_, _>>()?,
        past: keys.past.clone(),
        pseudonyms: new.wrap_pseudonyms(name, &old.open_pseudonyms(name, &keys.pseudonyms)?)?,
        moved: keys.moved,
        reencrypting: keys.reencrypting,
    })
}
