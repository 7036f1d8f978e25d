//! Checking what is kept, and removing what no version needs.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError},
};

use concordat_protocol::ids::{DatasetName, Digest32};
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use tokio::runtime::Handle;

use super::{Catalog, CatalogError, ObjectEntry, OpenVersion, VersionNumber};
use crate::keys::OBJECT_CONTENT;

/// What [`Catalog::verify`] read and found whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Versions.
    pub versions: u64,
    /// Objects; one that several versions name counts once for each.
    pub objects: u64,
    /// Bytes of Parquet.
    pub bytes: u64,
}

impl Catalog {
    /// Reads every version of a dataset again: the manifest's signature, every block of every object, and the hash over
    /// all of it.
    ///
    /// # Errors
    /// The first damage found, as an error of [`crate::fault::Fault::Integrity`].
    pub fn verify(&self, name: &DatasetName) -> Result<Verification, CatalogError> {
        let runtime = runtime()?;
        let mut done = Verification::default();
        let record = self.show(name)?;
        for number in record.oldest.get()..=record.current.get() {
            let version = self.open_version(name, Some(VersionNumber::new(number)))?;
            for entry in version.entries() {
                done.bytes += runtime.block_on(verify_object(&version, entry))?;
                done.objects += 1;
            }
            done.versions += 1;
        }
        Ok(done)
    }

    /// Removes objects that no manifest names, and says how many; meant for the start of a node. Objects that somebody reads
    /// stay until the next time.
    ///
    /// # Errors
    /// If a manifest cannot be read, nothing is removed: what it names would look like orphans.
    pub fn collect_orphans(&self) -> Result<u64, CatalogError> {
        let runtime = runtime()?;
        let _alone = self.0.writing.write().unwrap_or_else(PoisonError::into_inner);
        let live = self.live_objects()?;
        let is_orphan = |location: &Path| !live.contains(location) && self.0.readers.is_free(location);
        let orphans: Vec<Path> = runtime.block_on(
            self.0
                .objects
                .list(None)
                .map_ok(|meta| meta.location)
                .try_filter(|location| futures::future::ready(is_orphan(location)))
                .try_collect(),
        )?;
        self.remove(&runtime, orphans)
    }

    /// Removes objects and says how many there were; one that is gone already is none.
    pub(super) fn remove(&self, runtime: &Handle, objects: Vec<Path>) -> Result<u64, CatalogError> {
        let locations = futures::stream::iter(objects.into_iter().map(Ok)).boxed();
        let mut removing = self.0.objects.delete_stream(locations);
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

    pub(super) fn live_objects(&self) -> Result<BTreeSet<Path>, CatalogError> {
        let mut live = BTreeSet::new();
        for record in self.list()? {
            for entry in self.named_objects(&record)? {
                let entry = if record.keys.moved {
                    self.placed_one(entry)?
                } else {
                    entry
                };
                live.insert(entry.location());
            }
        }
        Ok(live)
    }
}

/// The runtime of this thread.
pub(super) fn runtime() -> Result<Handle, CatalogError> {
    Handle::try_current().map_err(|_| CatalogError::NoRuntime)
}

async fn verify_object(version: &OpenVersion, entry: &ObjectEntry) -> Result<u64, CatalogError> {
    let store: Arc<dyn ObjectStore> = version.object_store();
    let mut stream = store.get(&entry.location()).await?.into_stream();
    let mut hasher = blake3::Hasher::new_derive_key(OBJECT_CONTENT);
    let mut len = 0;
    while let Some(bytes) = stream.try_next().await? {
        hasher.update(&bytes);
        len += bytes.len() as u64;
    }
    if len == entry.len && Digest32::from_bytes(*hasher.finalize().as_bytes()) == entry.content {
        return Ok(len);
    }
    let manifest = version.manifest();
    Err(CatalogError::Content {
        name: manifest.dataset.clone(),
        version: manifest.version,
        path: entry.path.clone(),
    })
}
