//! Where the objects of a version lie now, and who is reading them.
//!
//! A manifest is signed once and says where its objects were written. An object that was sealed again lies elsewhere, with
//! another header and the same content; the state database says where. A reader notes the objects it holds, so that nobody
//! removes them under its hands.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use concordat_protocol::ids::Digest32;
use object_store::{ObjectStore, path::Path};
use serde::{Deserialize, Serialize};

use super::{Catalog, CatalogError, DatasetRecord, Manifest, ObjectEntry};

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
    store: Arc<dyn ObjectStore>,
    reading: Reading,
}

impl Holding {
    /// Where the objects lie.
    #[must_use]
    pub fn paths(&self) -> &[Path] {
        &self.reading.paths
    }

    /// The store of sealed bytes.
    #[must_use]
    pub fn store(&self) -> &dyn ObjectStore {
        self.store.as_ref()
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
        let paths = self.live_objects()?.into_iter().collect();
        let holding = Holding {
            store: Arc::clone(&self.0.objects),
            reading: self.0.readers.enter(paths),
        };
        Ok((holding, work()))
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
