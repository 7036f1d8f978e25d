//! Checking what is kept, and removing what no version needs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
};

use concordat_protocol::{
    ids::{DatasetName, KeyId},
    schema::VersionNumber,
};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use tokio::runtime::Handle;

use super::{Catalog, CatalogError, ObjectEntry, OpenVersion, placement::Live, read::content};
use crate::objects::{RequiredObjects, UnknownObjects};

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
    /// stay until the next time, and so does what has no name that an object could have: it is somebody else's. What is removed
    /// follows from the state alone, so a listing that lags costs nothing: what it still shows is removed again, and what it does
    /// not show yet stays.
    ///
    /// # Errors
    /// If a manifest cannot be read, nothing is removed: what it names would look like orphans.
    pub fn collect_orphans(&self) -> Result<u64, CatalogError> {
        let runtime = runtime()?;
        let _alone = self.0.writing.write().unwrap_or_else(PoisonError::into_inner);
        let live = self.live_objects()?;
        let is_orphan =
            |location: &Path| is_object(location) && !live.contains(location) && self.0.readers.is_free(location);
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

    /// [`Catalog::live_objects`] for a store, which must not keep the catalogue alive that it belongs to.
    pub(crate) fn required_objects(&self) -> RequiredObjects {
        let inner = Arc::downgrade(&self.0);
        Box::new(move || {
            let Some(inner) = inner.upgrade() else {
                return Ok(BTreeSet::new());
            };
            let live = Self(inner).live_objects();
            live.map_err(|error| UnknownObjects::new(error.fault(), error))
        })
    }

    /// Where every object lies now that a manifest names.
    pub(crate) fn live_objects(&self) -> Result<BTreeSet<Path>, CatalogError> {
        Ok(self.live()?.into_keys().collect())
    }

    /// Every object that a manifest names, by where it lies now.
    pub(super) fn live(&self) -> Result<BTreeMap<Path, Live>, CatalogError> {
        let mut live = BTreeMap::new();
        for record in self.list()? {
            for entry in self.named_objects(&record)? {
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

/// Whether it has the name of an object: `KEY-ID/NAME.parquet`.
fn is_object(location: &Path) -> bool {
    let text = location.as_ref();
    text.split_once('/').is_some_and(|(folder, name)| {
        folder.parse::<KeyId>().is_ok() && !name.contains('/') && name.ends_with(".parquet")
    })
}

/// The runtime of this thread.
pub(super) fn runtime() -> Result<Handle, CatalogError> {
    Handle::try_current().map_err(|_| CatalogError::NoRuntime)
}

async fn verify_object(version: &OpenVersion, entry: &ObjectEntry) -> Result<u64, CatalogError> {
    let (len, hash) = content(&version.object_store(), &entry.location()).await?;
    if (len, hash) == (entry.len, entry.content) {
        return Ok(len);
    }
    let manifest = version.manifest();
    Err(CatalogError::Content {
        name: manifest.dataset.clone(),
        version: manifest.version,
        path: entry.path.clone(),
    })
}
