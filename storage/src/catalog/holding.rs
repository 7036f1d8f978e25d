//! Every object at one instant, for a backup.

use std::{collections::BTreeMap, iter, sync::Arc};

use concordat_protocol::ids::DatasetName;
use object_store::{ObjectStore, path::Path};

use super::{
    CatalogError, ObjectEntry,
    content::{content, header_digest},
    datasets::Datasets,
    keyring::Keyring,
    objects::{Live, Reading, StoredObjects},
};
use crate::{
    error_kind::ErrorKind,
    keys::DatasetKey,
    seal::{SealedStore, Suite, store_error_kind},
};

/// Every object of the catalogue at one instant; none of them is removed while this lives, except by erasing its dataset.
#[derive(Debug)]
pub struct Holding {
    datasets: Arc<Datasets>,
    keys: Arc<Keyring>,
    stored: Arc<StoredObjects>,
    objects: BTreeMap<Path, Live>,
    _reading: Reading,
}

impl Holding {
    /// Does `work` while no record, key or place of an object changes, and holds the objects of that instant.
    pub(super) fn take<T>(
        datasets: &Arc<Datasets>,
        keys: &Arc<Keyring>,
        stored: &Arc<StoredObjects>,
        work: impl FnOnce() -> T,
    ) -> Result<(Self, T), CatalogError> {
        let _changing = datasets.changing();
        let _steady = stored.steady();
        let objects = stored.live()?;
        let holding = Self {
            datasets: Arc::clone(datasets),
            keys: Arc::clone(keys),
            stored: Arc::clone(stored),
            _reading: stored.readers.enter(objects.keys().cloned().collect()),
            objects,
        };
        Ok((holding, work()))
    }

    /// Where the objects lie, in order.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.objects.keys()
    }

    /// The store of sealed bytes.
    #[must_use]
    pub fn store(&self) -> &dyn ObjectStore {
        self.stored.store.as_ref()
    }

    /// Compares `copy`, in another store of sealed bytes, with what is known of the object at `path`: its header, and what it
    /// holds. What cannot be opened any more was erased, or encrypted again and read for that, while this was held.
    ///
    /// # Errors
    /// [`CatalogError::Changed`] if it is not what the manifest states; otherwise why it cannot be read.
    pub async fn check(&self, path: &Path, copies: &Arc<dyn ObjectStore>, copy: &Path) -> Result<(), CatalogError> {
        let Some(Live { dataset, entry }) = self.objects.get(path) else {
            return Ok(());
        };
        let same_header = header_digest(copies.as_ref(), copy).await? == entry.header;
        let holds_the_same = match self.opened(dataset, entry, copies)? {
            Some(store) => match content(&store, copy).await {
                Ok(found) => found == (entry.len, entry.content),
                Err(error) if store_error_kind(&error) == ErrorKind::Integrity => false,
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

    /// `store` opened with the keys of the dataset; none if the key that sealed the object is gone.
    fn opened(
        &self,
        dataset: &DatasetName,
        entry: &ObjectEntry,
        store: &Arc<dyn ObjectStore>,
    ) -> Result<Option<SealedStore>, CatalogError> {
        let _changing = self.datasets.changing();
        let Some(record) = self.datasets.find(dataset)? else {
            return Ok(None);
        };
        let keys = self.keys.open_keys(&record)?;
        let mut ids = iter::once(&keys.current).chain(&keys.older).map(DatasetKey::id);
        if !ids.any(|id| entry.lies_under(&id.to_string())) {
            return Ok(None);
        }
        let store = SealedStore::new(Arc::clone(store), keys.current, Suite::Aes256Gcm);
        Ok(Some(store.reading_also(keys.older)))
    }
}
