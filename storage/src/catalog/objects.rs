//! Where the objects of all versions lie, which of them there must be, and who is reading them.
//!
//! A manifest is signed once and says where its objects were written. An object that was encrypted again lies elsewhere, with
//! another header and the same content; the state database says where. A reader notes the objects it holds, so that nobody
//! removes them under its hands.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use concordat_protocol::ids::{DatasetName, Digest32, KeyId};
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectStore, path::Path};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use super::{CatalogError, DatasetRecord, Manifest, ObjectEntry, datasets::Datasets};
use crate::{
    keys::DatasetKey,
    meta::{MetaError, SealedDb, SealedTree, TreeId},
    objects::{PlaceError, RemoteStore, RequiredObjects, UnknownObjects},
    seal::{SealedStore, Suite},
};

const PLACEMENTS: TreeId = TreeId::new("placements");

/// The sealed objects of one node.
pub(super) struct StoredObjects {
    /// Holds sealed bytes; only [`SealedStore`]s read and write it.
    pub(super) store: Arc<dyn ObjectStore>,
    /// The store that `store` is, if the objects do not lie here.
    remote: Option<RemoteStore>,
    pub(super) placements: SealedTree<Placement>,
    datasets: Arc<Datasets>,
    /// Shared by imports, taken alone by the removal of orphans, to which an import's objects would look like ones.
    writing: RwLock<()>,
    /// Taken alone while objects change their place, shared by those who find out where they are.
    moving: RwLock<()>,
    pub(super) readers: Arc<Readers>,
}

impl StoredObjects {
    pub(super) fn open(
        store: Arc<dyn ObjectStore>,
        remote: Option<RemoteStore>,
        meta: &SealedDb,
        datasets: Arc<Datasets>,
    ) -> Result<Self, MetaError> {
        Ok(Self {
            store,
            remote,
            placements: meta.tree(PLACEMENTS)?,
            datasets,
            writing: RwLock::default(),
            moving: RwLock::default(),
            readers: Arc::default(),
        })
    }

    /// Held by whoever writes objects that no manifest names yet.
    pub(super) fn writing(&self) -> RwLockReadGuard<'_, ()> {
        self.writing.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held by whoever removes objects that no manifest names.
    pub(super) fn writing_alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.writing.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held by whoever finds out where objects lie.
    pub(super) fn steady(&self) -> RwLockReadGuard<'_, ()> {
        self.moving.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held by whoever says in the state that objects lie elsewhere, or no longer.
    pub(super) fn moving(&self) -> RwLockWriteGuard<'_, ()> {
        self.moving.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store as the holder of this key sees it.
    pub(super) fn sealed_under(&self, key: impl Into<Arc<DatasetKey>>) -> SealedStore {
        SealedStore::new(Arc::clone(&self.store), key, Suite::auto())
    }

    /// Checks whether a store elsewhere can be used now.
    pub(super) async fn check(&self) -> Result<(), PlaceError> {
        match &self.remote {
            Some(remote) => remote.check().await,
            None => Ok(()),
        }
    }

    /// The objects of a version, as and where they are now.
    pub(super) fn placed(&self, record: &DatasetRecord, manifest: &Manifest) -> Result<Vec<ObjectEntry>, CatalogError> {
        let entries = manifest.objects.iter().cloned();
        if !record.keys.moved {
            return Ok(entries.collect());
        }
        entries.map(|entry| self.placed_one(entry)).collect()
    }

    pub(super) fn placed_one(&self, entry: ObjectEntry) -> Result<ObjectEntry, CatalogError> {
        Ok(match self.placements.get(&entry.path)? {
            Some(Placement { path, header }) => ObjectEntry { path, header, ..entry },
            None => entry,
        })
    }

    /// Removes objects and says how many there were; one that is gone already is none.
    pub(super) fn remove(&self, runtime: &Handle, objects: Vec<Path>) -> Result<u64, CatalogError> {
        let locations = futures::stream::iter(objects.into_iter().map(Ok)).boxed();
        let mut removing = self.store.delete_stream(locations);
        runtime.block_on(async {
            let mut removed = 0;
            while let Some(result) = removing.next().await {
                match result {
                    Ok(_) => removed += 1,
                    Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(removed)
        })
    }

    /// The names of all objects in the store that a manifest could name.
    pub(super) async fn list(&self) -> Result<Vec<Path>, CatalogError> {
        let listed = self.store.list(None).map_ok(|meta| meta.location);
        let objects = listed.try_filter(|location| futures::future::ready(is_object(location)));
        Ok(objects.try_collect().await?)
    }

    /// [`StoredObjects::live_paths`] for a store, which must not keep the catalogue alive that it belongs to.
    pub(super) fn required(self: &Arc<Self>) -> RequiredObjects {
        let objects = Arc::downgrade(self);
        Box::new(move || {
            let Some(objects) = objects.upgrade() else {
                return Ok(BTreeSet::new());
            };
            let live = objects.live_paths();
            live.map_err(|error| UnknownObjects::new(error.kind(), error))
        })
    }

    /// Where every object lies now that a manifest names.
    pub(super) fn live_paths(&self) -> Result<BTreeSet<Path>, CatalogError> {
        Ok(self.live()?.into_keys().collect())
    }

    /// Every object that a manifest names, by where it lies now.
    pub(super) fn live(&self) -> Result<BTreeMap<Path, Live>, CatalogError> {
        let mut live = BTreeMap::new();
        for record in self.datasets.list()? {
            for entry in self.datasets.named_objects(&record)? {
                let entry = if record.keys.moved {
                    self.placed_one(entry)?
                } else {
                    entry
                };
                live.insert(entry.location(), Live::new(record.name.clone(), entry));
            }
        }
        Ok(live)
    }
}

impl fmt::Debug for StoredObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredObjects")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// Whether it has the name of an object: `KEY-ID/NAME.parquet`.
fn is_object(location: &Path) -> bool {
    let text = location.as_ref();
    text.split_once('/').is_some_and(|(folder, name)| {
        folder.parse::<KeyId>().is_ok() && !name.contains('/') && name.ends_with(".parquet")
    })
}

/// Where an object lies that was encrypted again, under the path that its manifest states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Placement {
    pub(super) path: String,
    pub(super) header: Digest32,
}

/// An object that a version names, where it lies now.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) dataset: DatasetName,
    pub(super) entry: ObjectEntry,
}

impl Live {
    pub(super) fn new(dataset: DatasetName, entry: ObjectEntry) -> Self {
        Self { dataset, entry }
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
