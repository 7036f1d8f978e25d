//! Reencryption of what older keys of a dataset sealed, so that those keys can be discarded.
//!
//! One object at a time: it is read and sealed under the current key into a new object, its content is compared with
//! the manifest, and one commit stores its new path. The key ids in the paths of the objects show what is left to do,
//! so a process that was killed continues at the next start. Manifests are not touched: the contents of a version do
//! not change.

use std::{sync::Arc, time::Duration};

use concordat_keys::{DatasetKey, KeyError, OBJECT_CONTENT};
use concordat_protocol::ids::{DatasetName, Digest32, Nonce};
use futures::TryStreamExt;
use object_store::{MultipartUpload, ObjectStoreExt, path::Path};
use tokio::runtime::Handle;

use super::{
    CatalogError, CollectionRecord, ObjectEntry,
    content::header_digest,
    datasets::Datasets,
    keyring::Keyring,
    objects::{Placement, StoredObjects},
    runtime::runtime,
};
use crate::{
    meta::{Batch, MetaError},
    seal::SealedStore,
};

/// The progress of the reencryption of one dataset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reencrypted {
    /// Objects that are sealed under the current key.
    pub objects: u64,
    /// Objects of the dataset.
    pub of: u64,
    /// Bytes of Parquet that were reencrypted.
    pub bytes: u64,
}

/// Called with the progress before each object; returns whether to continue.
pub type KeepGoing<'a> = &'a mut dyn FnMut(Reencrypted) -> bool;

/// Reencrypts what older keys of a dataset sealed.
#[derive(Debug)]
pub struct Reencryption {
    pub(super) datasets: Arc<Datasets>,
    pub(super) keys: Arc<Keyring>,
    pub(super) objects: Arc<StoredObjects>,
}

impl Reencryption {
    /// The datasets that have objects to reencrypt.
    ///
    /// # Errors
    /// [`CatalogError::Meta`] if state cannot be read.
    pub fn pending(&self) -> Result<Vec<DatasetName>, CatalogError> {
        let pending = self
            .datasets
            .map_collections(|record| record.keys.reencrypting.then(|| record.dataset_name()))?;
        Ok(pending.into_iter().flatten().collect())
    }

    /// Reencrypts everything that older keys of a dataset sealed with its current key, then discards the older keys. At
    /// most `bytes_per_second` are read, if that is given. `keep_going` gets the progress and may stop the work early;
    /// the next call then continues it. Blocks; see the documentation of [`super`] for where to call it.
    ///
    /// # Errors
    /// [`CatalogError::Content`] if an object does not match its manifest; it is not replaced then.
    pub fn run(
        &self,
        name: &DatasetName,
        bytes_per_second: Option<u64>,
        keep_going: KeepGoing<'_>,
    ) -> Result<Reencrypted, CatalogError> {
        loop {
            let record = self.datasets.record(name)?;
            match self.run_on(&record, bytes_per_second, keep_going) {
                Err(error) if self.datasets.record(name)? == record => return Err(error),
                // Versions were removed or keys were rotated in the meantime: start again with the current state.
                Err(_) => {}
                done => return done,
            }
        }
    }

    fn run_on(
        &self,
        record: &CollectionRecord,
        bytes_per_second: Option<u64>,
        keep_going: KeepGoing<'_>,
    ) -> Result<Reencrypted, CatalogError> {
        let runtime = runtime()?;
        let _writing = self.objects.begin_write();
        let keys = self.keys.open_keys(record)?;
        let current = keys.current.id();
        let store = self.objects.sealed_under(keys.current).with_older_keys(keys.older);
        let mut done = Reencrypted::default();
        let mut left = Vec::new();
        for entry in self.datasets.named_objects(record)? {
            done.of += 1;
            if self
                .objects
                .current_entry(entry.clone())?
                .is_sealed_under(&current.to_string())
            {
                done.objects += 1;
            } else {
                left.push(entry);
            }
        }
        for entry in left {
            if !keep_going(done) {
                return Ok(done);
            }
            self.reencrypt_object(&runtime, record, &entry, &store, &current.to_string())?;
            done.objects += 1;
            done.bytes += entry.len;
            if let Some(rate) = bytes_per_second.filter(|rate| *rate > 0) {
                std::thread::sleep(Duration::from_millis(entry.len.saturating_mul(1000) / rate));
            }
        }
        self.discard_older_keys(&record.dataset_name(), &current.to_string())?;
        keep_going(done);
        Ok(done)
    }

    fn reencrypt_object(
        &self,
        runtime: &Handle,
        record: &CollectionRecord,
        entry: &ObjectEntry,
        store: &SealedStore,
        folder: &str,
    ) -> Result<(), CatalogError> {
        let from = self.objects.current_entry(entry.clone())?;
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(KeyError::Random)?;
        let to = format!("{folder}/{}.parquet", Nonce::from_bytes(random));
        let written = runtime.block_on(copy(store, &from.location(), &Path::from(to.as_str())));
        let placed = written.and_then(|(len, content)| {
            if (len, content) == (entry.len, entry.content) {
                Ok(runtime.block_on(header_digest(self.objects.store.as_ref(), &Path::from(to.as_str())))?)
            } else {
                Err(CatalogError::Changed {
                    name: record.dataset_name(),
                    path: from.path.clone(),
                })
            }
        });
        let moved = placed.and_then(|header| {
            self.move_object(
                record,
                entry,
                &from,
                &Placement {
                    path: to.clone(),
                    header,
                },
            )
        });
        let unneeded = match &moved {
            Ok(()) => from.location(),
            Err(_) => Path::from(to.as_str()),
        };
        // An object that cannot be removed now is an orphan, and is removed with the others.
        if self.objects.readers.is_unused(&unneeded) {
            drop(self.objects.remove(runtime, vec![unneeded]));
        }
        moved
    }

    /// Stores the new path of the object in one commit. A version that was opened before this reads the old object, one
    /// opened later reads the new one.
    fn move_object(
        &self,
        listed: &CollectionRecord,
        entry: &ObjectEntry,
        from: &ObjectEntry,
        to: &Placement,
    ) -> Result<(), CatalogError> {
        let _changes = self.datasets.lock_changes();
        let _placements = self.objects.change_placements();
        let record = self.datasets.collection(&listed.name)?;
        let tree = &self.objects.placements;
        if record.oldest != listed.oldest {
            return Err(MetaError::Conflict { tree: tree.name() }.into());
        }
        let before = (from.path != entry.path).then(|| Placement {
            path: from.path.clone(),
            header: from.header,
        });
        let mut batch = Batch::new();
        batch
            .expect(tree, &entry.path, before.as_ref())?
            .put(tree, &entry.path, to)?;
        if !record.keys.moved {
            let mut keys = record.keys.clone();
            keys.moved = true;
            self.datasets.replace(&mut batch, &record.with_keys(keys))?;
        }
        Ok(self.datasets.meta.commit(batch)?)
    }

    /// Discards the older keys once nothing is sealed under them. An import that started with an older key fails when
    /// it commits.
    fn discard_older_keys(&self, name: &DatasetName, current: &str) -> Result<(), CatalogError> {
        let _changes = self.datasets.lock_changes();
        let record = self.datasets.record(name)?;
        let keys = self.keys.open_keys(&record)?;
        if keys.current.id().to_string() != current {
            return Ok(());
        }
        for entry in self.datasets.named_objects(&record)? {
            if !self.objects.current_entry(entry)?.is_sealed_under(current) {
                return Ok(());
            }
        }
        let mut stored = record.keys.clone();
        stored.older.clear();
        stored.past.extend(keys.older.iter().map(DatasetKey::id));
        stored.reencrypting = false;
        self.datasets.update(&record.with_keys(stored))
    }
}

/// Copies an object through the sealed store, which opens it with its key and seals it with the current one. Returns
/// length and hash of its contents.
async fn copy(store: &SealedStore, from: &Path, to: &Path) -> Result<(u64, Digest32), CatalogError> {
    let mut source = store.get(from).await?.into_stream();
    let mut target = store.put_multipart(to).await?;
    let mut hasher = blake3::Hasher::new_derive_key(OBJECT_CONTENT);
    let mut len = 0;
    let copied = async {
        while let Some(bytes) = source.try_next().await? {
            hasher.update(&bytes);
            len += bytes.len() as u64;
            target.put_part(bytes.into()).await?;
        }
        target.complete().await
    };
    if let Err(error) = copied.await {
        // The parts of an upload that is only dropped stay in a remote store.
        drop(target.abort().await);
        return Err(error.into());
    }
    Ok((len, Digest32::from_bytes(*hasher.finalize().as_bytes())))
}
