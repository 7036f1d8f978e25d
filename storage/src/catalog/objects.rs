//! Where the objects of all versions are stored, which of them must exist, and which are being read.
//!
//! A manifest is signed once and states where its objects were written. A reencrypted object has another path, with
//! another header and the same content; the state database stores this path. A reader registers the objects that it
//! uses, so that they are not removed while it reads them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use concordat_keys::{DatasetKey, Suite};
use concordat_protocol::error_kind::Explain;
use concordat_protocol::ids::{DatasetName, Digest32, KeyId};
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectStore, path::Path};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use super::{CatalogError, CollectionManifest, CollectionRecord, ObjectEntry, datasets::Datasets};
use crate::{
    meta::{MetaError, SealedDb, SealedTree, TreeId},
    objects::{LocationError, RemoteStore, RequiredObjects, UnknownObjects},
    seal::SealedStore,
};

const PLACEMENTS: TreeId = TreeId::new("placements");

/// The sealed objects of one node.
pub(super) struct StoredObjects {
    /// Contains sealed bytes; only [`SealedStore`]s read and write it.
    pub(super) store: Arc<dyn ObjectStore>,
    /// The remote store behind `store`, if the objects are not stored locally.
    remote: Option<RemoteStore>,
    pub(super) placements: SealedTree<Placement>,
    datasets: Arc<Datasets>,
    /// Shared by imports, exclusive for the removal of orphans, which would take the objects of an import for orphans.
    write_lock: RwLock<()>,
    /// Exclusive while objects move, shared while their locations are looked up.
    placement_lock: RwLock<()>,
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
            write_lock: RwLock::default(),
            placement_lock: RwLock::default(),
            readers: Arc::default(),
        })
    }

    /// Held while objects are written that no manifest names yet.
    pub(super) fn begin_write(&self) -> RwLockReadGuard<'_, ()> {
        self.write_lock.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held while objects are removed that no manifest names.
    pub(super) fn exclude_writes(&self) -> RwLockWriteGuard<'_, ()> {
        self.write_lock.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held while the locations of objects are looked up.
    pub(super) fn read_placements(&self) -> RwLockReadGuard<'_, ()> {
        self.placement_lock.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held while the state is changed because objects move or are removed.
    pub(super) fn change_placements(&self) -> RwLockWriteGuard<'_, ()> {
        self.placement_lock.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store for reading and writing with this key.
    pub(super) fn sealed_under(&self, key: impl Into<Arc<DatasetKey>>) -> SealedStore {
        SealedStore::new(Arc::clone(&self.store), key, Suite::auto())
    }

    /// Checks whether the remote store, if there is one, can be used now.
    pub(super) async fn check(&self) -> Result<(), LocationError> {
        match &self.remote {
            Some(remote) => remote.check().await,
            None => Ok(()),
        }
    }

    /// The objects of a version with their current paths and headers, in the order of [`CollectionManifest::objects`].
    pub(super) fn current_entries(
        &self,
        record: &CollectionRecord,
        manifest: &CollectionManifest,
    ) -> Result<Vec<ObjectEntry>, CatalogError> {
        let entries = manifest.objects().cloned();
        if !record.keys.moved {
            return Ok(entries.collect());
        }
        entries.map(|entry| self.current_entry(entry)).collect()
    }

    pub(super) fn current_entry(&self, entry: ObjectEntry) -> Result<ObjectEntry, CatalogError> {
        Ok(match self.placements.get(&entry.path)? {
            Some(Placement { path, header }) => ObjectEntry { path, header, ..entry },
            None => entry,
        })
    }

    /// Removes objects and returns how many existed.
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

    /// [`StoredObjects::live_paths`] for a store, which must not keep its own catalog alive.
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

    /// The current path of every object that a manifest names.
    pub(super) fn live_paths(&self) -> Result<BTreeSet<Path>, CatalogError> {
        let mut live = BTreeSet::new();
        self.each_live(|_, entry| {
            live.insert(entry.location());
        })?;
        Ok(live)
    }

    /// Every object that a manifest names, by its current path.
    pub(super) fn live(&self) -> Result<BTreeMap<Path, LiveObject>, CatalogError> {
        let mut live = BTreeMap::new();
        self.each_live(|record, entry| {
            live.insert(entry.location(), LiveObject::new(record.dataset_name(), entry));
        })?;
        Ok(live)
    }

    /// Calls `found` with every object that a manifest names, as it is now. One record and its manifests are in memory at a time: a start does this
    /// for all of them.
    fn each_live(&self, mut found: impl FnMut(&CollectionRecord, ObjectEntry)) -> Result<(), CatalogError> {
        let read = self.datasets.map_collections(|record| {
            for entry in self.datasets.named_objects(record)? {
                let entry = if record.keys.moved {
                    self.current_entry(entry)?
                } else {
                    entry
                };
                found(record, entry);
            }
            Ok::<_, CatalogError>(())
        })?;
        read.into_iter().collect()
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

/// The current path and header of a reencrypted object, stored under the path in its manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Placement {
    pub(super) path: String,
    pub(super) header: Digest32,
}

/// An object that a version names, at its current path.
#[derive(Clone, Debug)]
pub(super) struct LiveObject {
    pub(super) dataset: DatasetName,
    pub(super) entry: ObjectEntry,
}

impl LiveObject {
    pub(super) fn new(dataset: DatasetName, entry: ObjectEntry) -> Self {
        Self { dataset, entry }
    }
}

/// Which objects are being read, and how often.
#[derive(Debug, Default)]
pub(super) struct Readers(Mutex<BTreeMap<Path, usize>>);

impl Readers {
    /// Registers these objects as being read until the value is dropped.
    pub(super) fn register(self: &Arc<Self>, paths: Vec<Path>) -> ReadGuard {
        let mut counts = self.counts();
        for path in &paths {
            *counts.entry(path.clone()).or_default() += 1;
        }
        drop(counts);
        ReadGuard {
            readers: Arc::clone(self),
            paths,
        }
    }

    /// Whether the object is not being read.
    pub(super) fn is_unused(&self, path: &Path) -> bool {
        !self.counts().contains_key(path)
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<Path, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Registers objects as being read for as long as this value exists.
#[derive(Debug)]
pub(super) struct ReadGuard {
    readers: Arc<Readers>,
    paths: Vec<Path>,
}

impl Drop for ReadGuard {
    fn drop(&mut self) {
        let mut counts = self.readers.counts();
        for path in &self.paths {
            match counts.get_mut(path) {
                Some(count) if *count > 1 => *count -= 1,
                Some(_) | None => drop(counts.remove(path)),
            }
        }
    }
}
