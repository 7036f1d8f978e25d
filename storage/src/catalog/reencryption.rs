//! Encrypting again what older keys of a dataset sealed, so that those keys can be forgotten.
//!
//! One object at a time: it is read, sealed under the current key into a new object, its content compared with what the
//! manifest states, and one commit says where it lies now. What is not done is known by the keys that the objects name, so a
//! process that is killed goes on at the next start. Manifests are not touched: what a version holds does not change.

use std::{sync::Arc, time::Duration};

use concordat_protocol::ids::{DatasetName, Digest32, Nonce};
use futures::TryStreamExt;
use object_store::{ObjectStoreExt, WriteMultipart, path::Path};
use tokio::runtime::Handle;

use super::{
    CatalogError, DatasetRecord, ObjectEntry,
    content::header_digest,
    datasets::Datasets,
    keyring::Keyring,
    objects::{Placement, StoredObjects},
    runtime::runtime,
};
use crate::{
    keys::{DatasetKey, KeyError, OBJECT_CONTENT},
    meta::{Batch, MetaError},
    seal::SealedStore,
};

/// How far the work on one dataset is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reencrypted {
    /// Objects that are sealed under the current key.
    pub objects: u64,
    /// Objects of the dataset.
    pub of: u64,
    /// Bytes of Parquet encrypted again.
    pub bytes: u64,
}

/// Whether to go on, asked between two pieces of work.
pub type KeepGoing<'a> = &'a mut dyn FnMut(Reencrypted) -> bool;

/// Encrypts again what older keys of a dataset sealed.
#[derive(Debug)]
pub struct Reencryption {
    pub(super) datasets: Arc<Datasets>,
    pub(super) keys: Arc<Keyring>,
    pub(super) objects: Arc<StoredObjects>,
}

impl Reencryption {
    /// The datasets of which older keys' objects are to be encrypted again.
    ///
    /// # Errors
    /// [`CatalogError::Meta`] if state cannot be read.
    pub fn pending(&self) -> Result<Vec<DatasetName>, CatalogError> {
        let records = self
            .datasets
            .list()?
            .into_iter()
            .filter(|record| record.keys.reencrypting);
        Ok(records.map(|record| record.name).collect())
    }

    /// Seals everything that older keys of a dataset sealed under its current key, then forgets the older keys. At most
    /// `bytes_per_second` are read, if that is given. `go_on` is told how far it is and may end the work early; it then goes
    /// on with the next call. Blocks; see the module for where to call it.
    ///
    /// # Errors
    /// [`CatalogError::Content`] if an object is not what its manifest states; nothing is exchanged for it then.
    pub fn run(
        &self,
        name: &DatasetName,
        bytes_per_second: Option<u64>,
        go_on: KeepGoing<'_>,
    ) -> Result<Reencrypted, CatalogError> {
        loop {
            let record = self.datasets.show(name)?;
            match self.run_on(&record, bytes_per_second, go_on) {
                Err(error) if self.datasets.show(name)? == record => return Err(error),
                // Versions were taken out, or keys exchanged again, under its hands: it begins again with what there is now.
                Err(_) => {}
                done => return done,
            }
        }
    }

    fn run_on(
        &self,
        record: &DatasetRecord,
        bytes_per_second: Option<u64>,
        go_on: KeepGoing<'_>,
    ) -> Result<Reencrypted, CatalogError> {
        let runtime = runtime()?;
        let _shared = self.objects.writing();
        let keys = self.keys.open_keys(record)?;
        let current = keys.current.id();
        let store = self.objects.sealed_under(keys.current).reading_also(keys.older);
        let mut done = Reencrypted::default();
        let mut left = Vec::new();
        for entry in self.datasets.named_objects(record)? {
            done.of += 1;
            if self.objects.placed_one(entry.clone())?.lies_under(&current.to_string()) {
                done.objects += 1;
            } else {
                left.push(entry);
            }
        }
        for entry in left {
            if !go_on(done) {
                return Ok(done);
            }
            self.reencrypt_object(&runtime, record, &entry, &store, &current.to_string())?;
            done.objects += 1;
            done.bytes += entry.len;
            if let Some(rate) = bytes_per_second.filter(|rate| *rate > 0) {
                std::thread::sleep(Duration::from_millis(entry.len.saturating_mul(1000) / rate));
            }
        }
        self.forget_older_keys(&record.name, &current.to_string())?;
        go_on(done);
        Ok(done)
    }

    fn reencrypt_object(
        &self,
        runtime: &Handle,
        record: &DatasetRecord,
        entry: &ObjectEntry,
        store: &SealedStore,
        folder: &str,
    ) -> Result<(), CatalogError> {
        let from = self.objects.placed_one(entry.clone())?;
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(KeyError::Random)?;
        let to = format!("{folder}/{}.parquet", Nonce::from_bytes(random));
        let written = runtime.block_on(copy(store, &from.location(), &Path::from(to.as_str())));
        let placed = written.and_then(|(len, content)| {
            if (len, content) == (entry.len, entry.content) {
                Ok(runtime.block_on(header_digest(self.objects.store.as_ref(), &Path::from(to.as_str())))?)
            } else {
                Err(CatalogError::Changed {
                    name: record.name.clone(),
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
        let useless = match &moved {
            Ok(()) => from.location(),
            Err(_) => Path::from(to.as_str()),
        };
        // What cannot be removed now is an orphan, and goes with the others.
        if self.objects.readers.is_free(&useless) {
            drop(self.objects.remove(runtime, vec![useless]));
        }
        moved
    }

    /// Says in one commit where the object lies now. Whoever opens a version before this reads the old object, and whoever
    /// does so later the new one.
    fn move_object(
        &self,
        listed: &DatasetRecord,
        entry: &ObjectEntry,
        from: &ObjectEntry,
        to: &Placement,
    ) -> Result<(), CatalogError> {
        let _changing = self.datasets.changing();
        let _steady = self.objects.moving();
        let (record, tree) = (self.datasets.show(&listed.name)?, &self.objects.placements);
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
            let mut changed = record.clone();
            changed.keys.moved = true;
            self.datasets.replace(&mut batch, &record, &changed)?;
        }
        Ok(self.datasets.meta.commit(batch)?)
    }

    /// Once nothing is sealed under them. An import that began under an older key finds out when it commits.
    fn forget_older_keys(&self, name: &DatasetName, current: &str) -> Result<(), CatalogError> {
        let _changing = self.datasets.changing();
        let record = self.datasets.show(name)?;
        let keys = self.keys.open_keys(&record)?;
        if keys.current.id().to_string() != current {
            return Ok(());
        }
        for entry in self.datasets.named_objects(&record)? {
            if !self.objects.placed_one(entry)?.lies_under(current) {
                return Ok(());
            }
        }
        let mut changed = record.clone();
        changed.keys.older.clear();
        changed.keys.past.extend(keys.older.iter().map(DatasetKey::id));
        changed.keys.reencrypting = false;
        self.datasets.exchange(&record, changed)?;
        Ok(())
    }
}

/// Copies an object through the sealed store, which opens it under its key and seals it under the current one. Returns length
/// and hash of what it holds.
async fn copy(store: &SealedStore, from: &Path, to: &Path) -> Result<(u64, Digest32), CatalogError> {
    let mut source = store.get(from).await?.into_stream();
    let mut target = WriteMultipart::new(store.put_multipart(to).await?);
    let mut hasher = blake3::Hasher::new_derive_key(OBJECT_CONTENT);
    let mut len = 0;
    let copied = async {
        while let Some(bytes) = source.try_next().await? {
            hasher.update(&bytes);
            len += bytes.len() as u64;
            target.wait_for_capacity(1).await?;
            target.put(bytes);
        }
        Ok::<(), object_store::Error>(())
    };
    let written = match copied.await {
        Ok(()) => target.wait_for_capacity(0).await,
        Err(error) => Err(error),
    };
    if let Err(error) = written {
        drop(target.abort().await);
        return Err(error.into());
    }
    // Gives the upload up itself if that fails.
    target.finish().await?;
    Ok((len, Digest32::from_bytes(*hasher.finalize().as_bytes())))
}
