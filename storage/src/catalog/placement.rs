//! Where the objects of a version lie now, and who is reading them.
//!
//! A manifest is signed once and says where its objects were written. An object that was sealed again lies elsewhere, with
//! another header and the same content; the state database says where. A reader notes the objects it holds, so that nobody
//! removes them under its hands.

use std::{
    collections::BTreeMap,
    iter,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use concordat_protocol::ids::{DatasetName, Digest32};
use object_store::{ObjectStore, path::Path};
use serde::{Deserialize, Serialize};

use super::{
    Catalog, CatalogError, DatasetRecord, Manifest, ObjectEntry,
    read::{content, header_digest},
};
use crate::{
    fault::Fault,
    keys::DatasetKey,
    seal::{SealedStore, Suite, store_fault},
};

/// Where an object lies that was sealed again, under the path that its manifest states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Placement {
    pub(super) path: String,
    pub(super) header: Digest32,
}

impl Catalog {
    /// The objects of a version, as and where they are now.
    pub(super) fn placed(&self, record: &DatasetRecord, manifest: &Manifest) -> Result<Vec<ObjectEntry>, CatalogError> {
        let entries = manifest.objects.iter().cloned();
        if !record.keys.moved {
            return Ok(entries.collect());
        }
        entries.map(|entry| self.placed_one(entry)).collect()
    }

    pub(super) fn placed_one(&self, entry: ObjectEntry) -> Result<ObjectEntry, CatalogError> {
        Ok(match self.0.placements.get(&entry.path)? {
            Some(Placement { path, header }) => ObjectEntry { path, header, ..entry },
            None => entry,
        })
    }
}

/// Every object of the catalogue at one instant; none of them is removed while this lives, except by erasing its dataset.
#[derive(Debug)]
pub struct Holding {
    catalog: Catalog,
    objects: BTreeMap<Path, Live>,
    _reading: Reading,
}

/// An object that a version names, where it lies now.
#[derive(Clone, Debug)]
pub(super) struct Live {
    dataset: DatasetName,
    entry: ObjectEntry,
}

impl Live {
    pub(super) fn new(dataset: DatasetName, entry: ObjectEntry) -> Self {
        Self { dataset, entry }
    }
}

impl Holding {
    /// Where the objects lie, in order.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.objects.keys()
    }

    /// The store of sealed bytes.
    #[must_use]
    pub fn store(&self) -> &dyn ObjectStore {
        self.catalog.0.objects.as_ref()
    }

    /// Compares `copy`, in another store of sealed bytes, with what is known of the object at `path`: its header, and what it
    /// holds. What cannot be opened any more was erased, or sealed again and read for that, while this was held.
    ///
    /// # Errors
    /// [`CatalogError::Changed`] if it is not what the manifest states; otherwise why it cannot be read.
    pub async fn check(&self, path: &Path, copies: &Arc<dyn ObjectStore>, copy: &Path) -> Result<(), CatalogError> {
        let Some(Live { dataset, entry }) = self.objects.get(path) else {
            return Ok(());
        };
        let same_header = header_digest(copies.as_ref(), copy).await? == entry.header;
        let holds_the_same = match self.catalog.sealed_under(dataset, entry, copies)? {
            Some(store) => match content(&store, copy).await {
                Ok(found) => found == (entry.len, entry.content),
                Err(error) if store_fault(&error) == Fault::Integrity => false,
                Err(error) => return Err(error.into()),
            },
            None => true,
        };
        if same_header && holds_the_same {
            return Ok(());
        }
        Err(CatalogError::Changed {
            name: dataset.clone(),
            path: entry.path.clone(),
        })
    }
}

impl Catalog {
    /// Does `work` while no record, key or place of an object changes, and holds the objects of that instant.
    ///
    /// # Errors
    /// If a manifest cannot be read.
    pub fn hold<T>(&self, work: impl FnOnce() -> T) -> Result<(Holding, T), CatalogError> {
        let _changing = self.changing();
        let _steady = self.0.moving.read().unwrap_or_else(PoisonError::into_inner);
        let objects = self.live()?;
        let holding = Holding {
            catalog: self.clone(),
            _reading: self.0.readers.enter(objects.keys().cloned().collect()),
            objects,
        };
        Ok((holding, work()))
    }

    /// `store` opened with the keys of the dataset; none if the key that sealed the object is gone.
    fn sealed_under(
        &self,
        dataset: &DatasetName,
        entry: &ObjectEntry,
        store: &Arc<dyn ObjectStore>,
    ) -> Result<Option<SealedStore>, CatalogError> {
        let _changing = self.changing();
        let record = match self.show(dataset) {
            Err(CatalogError::NotFound { .. }) => return Ok(None),
            shown => shown?,
        };
        let keys = self.open_keys(&record)?;
        let mut ids = iter::once(&keys.current).chain(&keys.older).map(DatasetKey::id);
        if !ids.any(|id| entry.lies_under(&id.to_string())) {
            return Ok(None);
        }
        let store = SealedStore::new(Arc::clone(store), keys.current, Suite::Aes256Gcm);
        Ok(Some(store.reading_also(keys.older)))
    }
}

/// Which objects are being read, and how often.
#[derive(Debug, Default)]
pub(super) struct Readers(Mutex<BTreeMap<Path, usize>>);

impl Readers {
    /// Notes that these objects are read until the value is dropped.
    pub(super) fn enter(self: &Arc<Self>, paths: Vec<Path>) -> Reading {
        let mut held = self.held();
        for path in &paths {
            *held.entry(path.clone()).or_default() += 1;
        }
        drop(held);
        Reading {
            readers: Arc::clone(self),
            paths,
        }
    }

    /// Whether nobody reads the object.
    pub(super) fn is_free(&self, path: &Path) -> bool {
        !self.held().contains_key(path)
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<Path, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Objects that are read for as long as this lives.
#[derive(Debug)]
pub(super) struct Reading {
    readers: Arc<Readers>,
    paths: Vec<Path>,
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut held = self.readers.held();
        for path in &self.paths {
            match held.get_mut(path) {
                Some(count) if *count > 1 => *count -= 1,
                Some(_) | None => drop(held.remove(path)),
            }
        }
    }
}
