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
//! 5. What an import that failed or was killed left behind is named by no manifest; [`Maintenance::collect_orphans`] removes it.
//!
//! 6. A dataset's key can be rotated; what the older one sealed may be encrypted again while it is read ([`Reencryption`]).
//!    Old versions are removed by a rule of retention ([`Retention`]), a dataset by erasing it ([`Erasures`]).
//!
//! Locks are taken in this order: the one of those who write objects, the one of those who change a record or a key, the one of
//! those who change where objects lie.
//!
//! An object lies at `KEY-ID/RANDOM.parquet`: its path says nothing about the dataset. What the steward says about the
//! columns ([`Classification`]) may change at any time and does not make a version.
//!
//! All calls block. `import`, `verify` and `collect_orphans` do file work on a tokio runtime: call them within
//! `tokio::task::spawn_blocking` (in an async task itself they would panic, as blocking there does).

mod classification;
mod content;
mod datasets;
mod erase;
mod error;
mod holding;
mod import;
mod keyring;
mod limits;
mod maintenance;
mod migrate;
mod objects;
mod read;
mod record;
mod reencryption;
mod retention;
mod runtime;
mod version;
mod versions;
mod writer;

use std::{fmt, sync::Arc};

use concordat_protocol::{identity::InstitutionKey, ids::DatasetName, schema::VersionNumber, time::Timestamp};
use object_store::ObjectStore;

pub use classification::Classification;
pub use datasets::{DATASETS, Datasets};
pub use erase::{ErasureOrder, ErasureStatement, Erasures};
pub use error::CatalogError;
pub use holding::Holding;
pub use import::{ImportError, ImportMode, ImportRequest, Imported, MAIN_SEGMENT, Progress, ROWS_PER_OBJECT};
pub use keyring::{DatasetKeyStatus, KeyStatus, Keyring};
pub use limits::{InvalidLimits, LEAST_MIN_CELL, MAX_DAYS, ReleaseChange, ReleaseRules, TierLimits};
pub use maintenance::{Maintenance, Verification};
pub use read::OpenVersion;
pub use record::DatasetRecord;
pub use reencryption::{KeepGoing, Reencrypted, Reencryption};
pub use retention::Retention;
pub use version::{ColumnMeta, Manifest, ObjectEntry, Provenance};

use import::Importer;
use objects::StoredObjects;
use versions::Versions;

use crate::{
    keys::{Identities, MasterKey},
    meta::SealedDb,
    objects::{RemoteStore, RequiredObjects},
};

/// The datasets of one node. Clones are handles to the same ones.
#[derive(Clone)]
pub struct Catalog(Arc<Inner>);

/// The duties, each over what it needs of the lower ones.
struct Inner {
    datasets: Arc<Datasets>,
    keys: Arc<Keyring>,
    objects: Arc<StoredObjects>,
    versions: Versions,
    importer: Importer,
    retention: Retention,
    erasures: Erasures,
    reencryption: Reencryption,
    maintenance: Maintenance,
}

impl Catalog {
    /// Opens the catalogue, and finishes rotations and erasures that were broken off.
    pub(crate) fn open(
        master: Arc<MasterKey>,
        identities: Arc<Identities>,
        meta: &SealedDb,
        store: Arc<dyn ObjectStore>,
        remote: Option<RemoteStore>,
    ) -> Result<Self, CatalogError> {
        let datasets = Arc::new(Datasets::open(meta, identities)?);
        let keys = Arc::new(Keyring::open(master, meta, Arc::clone(&datasets))?);
        let objects = Arc::new(StoredObjects::open(store, remote, meta, Arc::clone(&datasets))?);
        let catalog = Self(Arc::new(Inner::over(meta, datasets, keys, objects)?));
        catalog.0.keys.finish_rotation()?;
        catalog.0.erasures.finish()?;
        Ok(catalog)
    }

    /// The records of datasets and the manifests of their versions.
    #[must_use]
    pub fn datasets(&self) -> &Datasets {
        &self.0.datasets
    }

    /// The keys of segments and datasets.
    #[must_use]
    pub fn keys(&self) -> &Keyring {
        &self.0.keys
    }

    /// Which versions are kept.
    #[must_use]
    pub fn retention(&self) -> &Retention {
        &self.0.retention
    }

    /// The erasures of datasets.
    #[must_use]
    pub fn erasures(&self) -> &Erasures {
        &self.0.erasures
    }

    /// Encrypting again what older keys sealed.
    #[must_use]
    pub fn reencryption(&self) -> &Reencryption {
        &self.0.reencryption
    }

    /// Checking what is kept, and removing what no version needs.
    #[must_use]
    pub fn maintenance(&self) -> &Maintenance {
        &self.0.maintenance
    }

    /// Opens a version, the current one if none is named.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], [`CatalogError::NoSuchVersion`], and an error of [`crate::error_kind::ErrorKind::Integrity`] if
    /// the manifest or a key is not what was stored.
    pub fn open_version(
        &self,
        name: &DatasetName,
        version: Option<VersionNumber>,
    ) -> Result<OpenVersion, CatalogError> {
        self.0.versions.open(name, version)
    }

    /// Imports a file as a new version, signed by the institution. Blocks until the version is durable; see the module for
    /// where to call it. Every event is reported to `progress`.
    ///
    /// # Errors
    /// [`ImportError`]; the dataset is then as it was.
    pub fn import(
        &self,
        request: &ImportRequest,
        signer: &InstitutionKey,
        now: Timestamp,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Imported, ImportError> {
        self.0.importer.import(request, signer, now, progress)
    }

    /// Does `work` while no record, key or place of an object changes, and holds the objects of that instant.
    ///
    /// # Errors
    /// If a manifest cannot be read.
    pub fn hold<T>(&self, work: impl FnOnce() -> T) -> Result<(Holding, T), CatalogError> {
        Holding::take(&self.0.datasets, &self.0.keys, &self.0.objects, work)
    }

    /// Which objects must be where objects lie.
    pub(crate) fn required_objects(&self) -> RequiredObjects {
        self.0.objects.required()
    }

    /// Rewrites the records of format 1.
    pub(crate) fn migrate_from_1(&self) -> Result<(), CatalogError> {
        migrate::migrate_from_1(&self.0.datasets, &self.0.keys)
    }
}

impl Inner {
    fn over(
        meta: &SealedDb,
        datasets: Arc<Datasets>,
        keys: Arc<Keyring>,
        objects: Arc<StoredObjects>,
    ) -> Result<Self, CatalogError> {
        let versions = Versions {
            datasets: Arc::clone(&datasets),
            keys: Arc::clone(&keys),
            objects: Arc::clone(&objects),
        };
        let retention = Retention {
            datasets: Arc::clone(&datasets),
            objects: Arc::clone(&objects),
        };
        let importer = Importer {
            datasets: Arc::clone(&datasets),
            keys: Arc::clone(&keys),
            objects: Arc::clone(&objects),
            retention: retention.clone(),
        };
        let erasures = Erasures::open(meta, Arc::clone(&datasets), Arc::clone(&keys), Arc::clone(&objects))?;
        let reencryption = Reencryption {
            datasets: Arc::clone(&datasets),
            keys: Arc::clone(&keys),
            objects: Arc::clone(&objects),
        };
        let maintenance = Maintenance {
            datasets: Arc::clone(&datasets),
            objects: Arc::clone(&objects),
            versions: versions.clone(),
        };
        Ok(Self {
            datasets,
            keys,
            objects,
            versions,
            importer,
            retention,
            erasures,
            reencryption,
            maintenance,
        })
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
