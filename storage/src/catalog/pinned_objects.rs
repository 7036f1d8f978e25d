//! Every object at one moment, for a backup.

use std::{collections::BTreeMap, iter, sync::Arc};

use concordat_keys::{DatasetKey, Suite};
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::ids::DatasetName;
use object_store::{ObjectStore, path::Path};

use super::{
    CatalogError, ObjectEntry,
    content::{content, header_digest},
    datasets::Datasets,
    keyring::Keyring,
    objects::{LiveObject, ReadGuard, StoredObjects},
};
use crate::seal::{SealedStore, store_error_kind};

/// Every object of the catalog at one moment; none of them is removed while this value exists, except by erasing its
/// dataset.
#[derive(Debug)]
pub struct PinnedObjects {
    datasets: Arc<Datasets>,
    keys: Arc<Keyring>,
    stored: Arc<StoredObjects>,
    objects: BTreeMap<Path, LiveObject>,
    _guard: ReadGuard,
}

impl PinnedObjects {
    /// Does `work` while no record, key or object location changes, and pins the objects of that moment.
    pub(super) fn pin<T>(
        datasets: &Arc<Datasets>,
        keys: &Arc<Keyring>,
        stored: &Arc<StoredObjects>,
        work: impl FnOnce() -> T,
    ) -> Result<(Self, T), CatalogError> {
        let _changes = datasets.lock_changes();
        let _placements = stored.read_placements();
        let objects = stored.live()?;
        let pinned = Self {
            datasets: Arc::clone(datasets),
            keys: Arc::clone(keys),
            stored: Arc::clone(stored),
            _guard: stored.readers.register(objects.keys().cloned().collect()),
            objects,
        };
        Ok((pinned, work()))
    }

    /// The paths of the objects, in order.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.objects.keys()
    }

    /// The store of sealed bytes.
    #[must_use]
    pub fn store(&self) -> &dyn ObjectStore {
        self.stored.store.as_ref()
    }

    /// Compares `copy`, in another store of sealed bytes, with what is known about the object at `path`: its header and
    /// its contents. An object that can no longer be opened was erased, or was reencrypted (and read for that), while
    /// it was pinned.
    ///
    /// # Errors
    /// [`CatalogError::Changed`] if it does not match the manifest; otherwise the reason why it cannot be read.
    pub async fn check(&self, path: &Path, copies: &Arc<dyn ObjectStore>, copy: &Path) -> Result<(), CatalogError> {
        let Some(LiveObject { dataset, entry }) = self.objects.get(path) else {
            return Ok(());
        };
        let same_header = header_digest(copies.as_ref(), copy).await? == entry.header;
        let same_content = match self.opened(dataset, entry, copies)? {
            Some(store) => match content(&store, copy).await {
                Ok(found) => found == (entry.len, entry.content),
                Err(error) if store_error_kind(&error) == ErrorKind::Integrity => false,
                Err(error) => return Err(error.into()),
            },
            None => true,
        };
        if same_header && same_content {
            return Ok(());
        }
        Err(CatalogError::Changed {
            name: dataset.clone(),
            path: entry.path.clone(),
        })
    }

    /// `store` opened with the keys of the dataset; `None` if the key that sealed the object no longer exists.
    fn opened(
        &self,
        dataset: &DatasetName,
        entry: &ObjectEntry,
        store: &Arc<dyn ObjectStore>,
    ) -> Result<Option<SealedStore>, CatalogError> {
        let _changes = self.datasets.lock_changes();
        let Some(record) = self.datasets.find(dataset)? else {
            return Ok(None);
        };
        let keys = self.keys.open_keys(&record)?;
        let mut ids = iter::once(&keys.current).chain(&keys.older).map(DatasetKey::id);
        if !ids.any(|id| entry.is_sealed_under(&id.to_string())) {
            return Ok(None);
        }
        let store = SealedStore::new(Arc::clone(store), keys.current, Suite::Aes256Gcm);
        Ok(Some(store.with_older_keys(keys.older)))
    }
}
