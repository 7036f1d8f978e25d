//! Datasets and their immutable versions.
//!
//! 1. An import ([`Catalog::import`]) writes sealed Parquet objects that nobody can see yet; each is on the disk when it is
//!    complete.
//! 2. A [`Manifest`] states what the version holds: columns, rows, and each object with its length and hashes. The
//!    institution's key signs it.
//! 3. One commit of the state database stores the manifest and moves the dataset's pointer to it. Before it the old version
//!    is there, after it the new one, and never anything between.
//! 4. A reader ([`Catalog::open_version`]) holds one manifest and sees its objects only. Objects of a version are never
//!    changed, so it goes on undisturbed while newer versions appear.
//! 5. What an import that failed or was killed left behind is named by no manifest; [`Catalog::collect_orphans`] removes it.
//!
//! 6. A dataset's key can be rotated; what the older one sealed may be sealed again while it is read ([`Catalog::reseal`]).
//!    Old versions are removed by a rule of retention, a dataset by erasing it ([`Catalog::erase`]).
//!
//! An object lies at `KEY-ID/RANDOM.parquet`: its path says nothing about the dataset. What the steward says about the
//! columns ([`Classification`]) may change at any time and does not make a version.
//!
//! All calls block. `import`, `verify` and `collect_orphans` do file work on a tokio runtime: call them within
//! `tokio::task::spawn_blocking` (in an async task itself they would panic, as blocking there does).

mod classification;
mod dataset;
mod erase;
mod error;
mod import;
mod keys;
mod limits;
mod migrate;
mod placement;
mod read;
mod reseal;
mod upkeep;
mod version;
mod writer;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard},
};

use concordat_protocol::{
    audit::Erasure,
    identity::InstitutionPublicKey,
    ids::{DatasetName, Digest32, SegmentName},
    signed::{Signed, Verified},
};
use object_store::ObjectStore;

pub use classification::{Classification, ColumnClass, InvalidClass};
pub use dataset::DatasetRecord;
pub use erase::{ErasureOrder, ErasureStatement};
pub use error::CatalogError;
pub use import::{ImportError, ImportMode, ImportRequest, Imported, MAIN_SEGMENT, Progress, ROWS_PER_OBJECT};
pub use keys::{DatasetKeyStatus, KeyStatus};
pub use limits::{LEAST_MIN_CELL, MAX_DAYS, ReleaseChange, ReleaseRules, TierLimits};
pub use read::OpenVersion;
pub use reseal::{KeepGoing, Resealed};
pub use upkeep::Verification;
pub use version::{ColumnMeta, Manifest, ObjectEntry, Provenance, VersionNumber};

pub use placement::Holding;
use placement::{Placement, Readers};

use crate::{
    keys::{DatasetKey, MasterKey, Wrapped},
    meta::{SealedDb, SealedTree, TreeId},
    objects::RemoteStore,
    seal::{SealedStore, Suite},
    storage::Identities,
};

const SEGMENTS: TreeId = TreeId::new("segments");
/// The records of datasets, under their names.
pub const DATASETS: TreeId = TreeId::new("datasets");
const MANIFESTS: TreeId = TreeId::new("manifests");
const PLACEMENTS: TreeId = TreeId::new("placements");
const ERASURES: TreeId = TreeId::new("erasures");
const ERASING: TreeId = TreeId::new("erasing");

/// The datasets of one node.
#[derive(Clone)]
pub struct Catalog(Arc<Inner>);

struct Inner {
    master: Arc<MasterKey>,
    identities: Arc<Identities>,
    meta: SealedDb,
    segments: SealedTree<Wrapped>,
    datasets: SealedTree<DatasetRecord>,
    manifests: SealedTree<Signed<Manifest>>,
    placements: SealedTree<Placement>,
    erasures: SealedTree<Signed<Erasure>>,
    /// Erasures that are under way, with the segment of the dataset.
    erasing: SealedTree<SegmentName>,
    /// Holds sealed bytes; only [`SealedStore`]s read and write it.
    objects: Arc<dyn ObjectStore>,
    /// The store that `objects` lie in, if they do not lie here.
    remote: Option<RemoteStore>,
    /// Shared by imports, taken alone by the removal of orphans, to which an import's objects would look like ones.
    writing: RwLock<()>,
    /// Held by whoever changes a record or a key; never across work on objects.
    changing: Mutex<()>,
    /// Taken alone while objects change their place, shared by those who find out where they are.
    moving: RwLock<()>,
    readers: Arc<Readers>,
}

impl Catalog {
    pub(crate) fn open(
        master: Arc<MasterKey>,
        identities: Arc<Identities>,
        meta: SealedDb,
        objects: Arc<dyn ObjectStore>,
        remote: Option<RemoteStore>,
    ) -> Result<Self, CatalogError> {
        let catalog = Self(Arc::new(Inner {
            master,
            identities,
            segments: meta.tree(SEGMENTS)?,
            datasets: meta.tree(DATASETS)?,
            manifests: meta.tree(MANIFESTS)?,
            placements: meta.tree(PLACEMENTS)?,
            erasures: meta.tree(ERASURES)?,
            erasing: meta.tree(ERASING)?,
            meta,
            objects,
            remote,
            writing: RwLock::default(),
            changing: Mutex::default(),
            moving: RwLock::default(),
            readers: Arc::default(),
        }));
        if catalog.0.master.is_rotating() {
            catalog.finish_master_rotation()?;
        }
        catalog.finish_erasures()?;
        Ok(catalog)
    }

    /// Opens a version, the current one if none is named.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], [`CatalogError::NoSuchVersion`], and an error of [`crate::fault::Fault::Integrity`] if
    /// the manifest or a key is not what was stored.
    pub fn open_version(
        &self,
        name: &DatasetName,
        version: Option<VersionNumber>,
    ) -> Result<OpenVersion, CatalogError> {
        let _steady = self.0.moving.read().unwrap_or_else(PoisonError::into_inner);
        let record = self.show(name)?;
        let manifest = self.manifest(&record, version.unwrap_or(record.current))?;
        let entries = self.placed(&record, manifest.document())?;
        let reading = self
            .0
            .readers
            .enter(entries.iter().map(ObjectEntry::location).collect());
        let keys = self.open_keys(&record)?;
        let sealed = self.sealed_store(keys.current).reading_also(keys.older);
        Ok(OpenVersion::new(read::Parts {
            manifest,
            entries,
            pseudonyms: keys.pseudonyms,
            sealed,
            inner: Arc::clone(&self.0.objects),
            reading,
        }))
    }

    /// The manifests of all versions of a dataset that are kept, the oldest first.
    ///
    /// # Errors
    /// As [`Catalog::open_version`].
    pub fn versions(&self, name: &DatasetName) -> Result<Vec<Manifest>, CatalogError> {
        let record = self.show(name)?;
        let numbers = record.oldest.get()..=record.current.get();
        numbers
            .map(|number| Ok(self.manifest(&record, VersionNumber::new(number))?.document().clone()))
            .collect()
    }

    /// Names the signed manifest of a version, as it lies there; nothing is checked but its seal.
    ///
    /// # Errors
    /// [`CatalogError::Meta`] if state cannot be read.
    pub fn manifest_digest(
        &self,
        name: &DatasetName,
        version: VersionNumber,
    ) -> Result<Option<Digest32>, CatalogError> {
        let found = self.0.manifests.get(&manifest_key(name, version))?;
        Ok(found.map(|signed| signed.digest()))
    }

    /// The manifest of a version, its signature and its place checked.
    fn manifest(
        &self,
        record: &DatasetRecord,
        version: VersionNumber,
    ) -> Result<Verified<Manifest, InstitutionPublicKey>, CatalogError> {
        let name = || record.name.clone();
        if !(record.oldest..=record.current).contains(&version) {
            return Err(CatalogError::NoSuchVersion {
                name: name(),
                version,
                oldest: record.oldest,
                current: record.current,
            });
        }
        let signed = self.0.manifests.get(&manifest_key(&record.name, version))?;
        let signed = signed.ok_or_else(|| CatalogError::ManifestGone { name: name(), version })?;
        let keys = self.0.identities.institution_keys().map_err(Box::new)?;
        let manifest = signed.verify_any(&keys).map_err(|source| CatalogError::Signature {
            name: name(),
            version,
            source,
        })?;
        if manifest.document().dataset != record.name || manifest.document().version != version {
            return Err(CatalogError::OtherManifest { name: name(), version });
        }
        Ok(manifest)
    }

    /// Held by whoever writes objects that no manifest names yet.
    fn writing(&self) -> RwLockReadGuard<'_, ()> {
        self.0.writing.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn sealed_store(&self, key: impl Into<Arc<DatasetKey>>) -> SealedStore {
        SealedStore::new(Arc::clone(&self.0.objects), key, Suite::auto())
    }
}

/// Where the manifest of a version is kept.
fn manifest_key(name: &DatasetName, version: VersionNumber) -> String {
    format!("{name}/{version}")
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
