//! The data directory of one node, opened.
//!
//! ```text
//! format                 which format the directory has
//! lock                   held while a process has the directory open
//! identity/master.key    the master key, wrapped
//! identity/NAME.sealed   private keys, sealed under a key derived from the master key
//! meta/                  the state database: sealed values under hashed keys
//! uploads/               empty: what is sent for an import lies here sealed, in files without names
//! objects/               sealed objects, unless they lie in a store elsewhere
//! ledger/                the ledger
//! run/ log/              socket and logs of the running node
//! ```
//!
//! Opening goes in this order, and each step needs the ones before it:
//!
//! 1. The lock is taken: from here on no other process touches the directory.
//! 2. Files that a killed process was in the middle of writing are removed; they were never objects.
//! 3. Every file must be 0600 and every folder 0700.
//! 4. The format must be known; a newer one is refused before anything is touched.
//! 5. The master key is unlocked, and the state database opened with its key.
//! 6. An older format is migrated.
//!
//! A store elsewhere is not asked for anything before it is used: a node starts while its store is down.

mod error;
mod files;
mod format;
mod object_place;

use std::{
    fmt,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use concordat_protocol::ids::InstitutionId;
use object_store::ObjectStore;

pub use error::StorageError;

use crate::{
    catalog::Catalog,
    fs::{create_dir_private, write_private},
    ingest::{Upload, UploadWriter},
    keys::{Escrow, Identities, KeyProvider, LedgerKey, MasterKey},
    ledger::{Ledger, LedgerError},
    meta::SealedDb,
    objects::{DurableStore, ObjectPlace, PlaceError, RemoteStore},
};

/// The opened data directory of one node; clones are handles to the same one.
#[derive(Clone)]
pub struct Storage(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    master: Arc<MasterKey>,
    identities: Arc<Identities>,
    meta: SealedDb,
    catalog: Catalog,
    remote: Option<RemoteStore>,
    /// Dropped last: the directory is free once everything else is closed.
    _lock: File,
}

impl Storage {
    /// Makes a data directory with a new master key that `provider` unlocks. Blocks for as long as that costs. A folder that is
    /// there and empty is made private; one that is not empty must be private already.
    ///
    /// # Errors
    /// [`crate::keys::KeyError::Exists`] if there is one already; otherwise as [`Storage::open`].
    pub fn init(dir: &Path, provider: &dyn KeyProvider) -> Result<Self, StorageError> {
        files::create(dir)?;
        let lock = files::lock(dir)?;
        files::check_modes(dir)?;
        let master = MasterKey::create(&master_key(dir), provider)?;
        format::write(dir)?;
        Self::start(dir, master, lock, &ObjectPlace::Local, |objects| objects)
    }

    /// Opens a data directory. Blocks for as long as the passphrase costs.
    ///
    /// # Errors
    /// [`StorageError::Missing`] if there is none, [`StorageError::InUse`], [`StorageError::Exposed`], and whatever is
    /// wrong with keys or state.
    pub fn open(dir: &Path, provider: &dyn KeyProvider) -> Result<Self, StorageError> {
        Self::open_at(dir, provider, &ObjectPlace::Local)
    }

    /// As [`Storage::open`], with its objects at `place`.
    ///
    /// # Errors
    /// As [`Storage::open`], and [`PlaceError`] if the settings of a store cannot be used. Whether the store answers shows later:
    /// [`Storage::check_objects`].
    pub fn open_at(dir: &Path, provider: &dyn KeyProvider, place: &ObjectPlace) -> Result<Self, StorageError> {
        Self::open_over(dir, provider, place, |objects| objects)
    }

    /// Opens a data directory with the keys of an escrow, and has `provider` unlock it from now on. If that does not succeed, the
    /// directory stays as it was. Blocks for as long as that costs.
    ///
    /// # Errors
    /// [`crate::keys::KeyError::OutdatedEscrow`] if a key was rotated since; an error of [`crate::error_kind::ErrorKind::Integrity`] if the
    /// escrow is of another node; otherwise as [`Storage::open`].
    pub fn recover(
        dir: &Path,
        escrow: &Escrow,
        provider: &dyn KeyProvider,
        place: &ObjectPlace,
    ) -> Result<Self, StorageError> {
        let path = master_key(dir);
        let before = {
            let _lock = files::lock(dir)?;
            let before = std::fs::read(&path).ok();
            MasterKey::restore(&path, escrow.material(), provider)?;
            before
        };
        let opened = Self::open_at(dir, provider, place).and_then(|storage| {
            storage.catalog().keys().adopt(escrow)?;
            Ok(storage)
        });
        if let (Err(_), Some(before)) = (&opened, before) {
            write_private(&path, &before).map_err(|source| StorageError::io("write", &path, source))?;
        }
        opened
    }

    /// Has another provider unlock the directory from now on. Blocks for as long as that costs.
    ///
    /// # Errors
    /// If the file of the master key cannot be written; the old one then goes on to unlock it.
    pub fn change_provider(&self, provider: &dyn KeyProvider) -> Result<(), StorageError> {
        Ok(self.0.master.change_provider(provider)?)
    }

    /// As [`Storage::open_at`], for a copy of a data directory: whatever place the one that was copied had, this one is new to it.
    pub(crate) fn open_copy(dir: &Path, provider: &dyn KeyProvider, place: &ObjectPlace) -> Result<Self, StorageError> {
        {
            let master = MasterKey::unlock(&master_key(dir), provider)?;
            object_place::forget(&SealedDb::open(&dir.join("meta"), master.state())?)?;
        }
        Self::open_at(dir, provider, place)
    }

    /// As [`Storage::open_at`], with a layer around the store of sealed objects.
    pub(crate) fn open_over(
        dir: &Path,
        provider: &dyn KeyProvider,
        place: &ObjectPlace,
        layer: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>,
    ) -> Result<Self, StorageError> {
        if !master_key(dir).exists() {
            return Err(StorageError::Missing { dir: dir.to_owned() });
        }
        let lock = files::lock(dir)?;
        files::remove_unfinished(&dir.join("objects"))?;
        files::remove_uploads(dir)?;
        files::check_modes(dir)?;
        let found = format::read(dir)?;
        let master = MasterKey::unlock(&master_key(dir), provider)?;
        let storage = Self::start(dir, master, lock, place, layer)?;
        if found < format::CURRENT {
            storage.migrate(found)?;
        }
        Ok(storage)
    }

    fn start(
        dir: &Path,
        master: MasterKey,
        lock: File,
        place: &ObjectPlace,
        layer: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>,
    ) -> Result<Self, StorageError> {
        for part in ["ledger", "run", "log"] {
            let part = dir.join(part);
            create_dir_private(&part).map_err(|source| StorageError::io("create", &part, source))?;
        }
        let meta = SealedDb::open(&dir.join("meta"), master.state())?;
        files::tighten(&dir.join(files::SLED))?;
        let folder = dir.join("objects");
        let remote = match place {
            ObjectPlace::Local => None,
            ObjectPlace::S3(place) => Some(RemoteStore::open(place, object_place::marker(&meta, &place.url)?)?),
        };
        let objects: Arc<dyn ObjectStore> = match &remote {
            None => Arc::new(DurableStore::open(&folder)?),
            Some(remote) => Arc::new(remote.clone()),
        };
        let identities = Arc::new(Identities::new(dir.join("identity"), master.identity()));
        let master = Arc::new(master);
        let catalog = Catalog::open(
            Arc::clone(&master),
            Arc::clone(&identities),
            &meta,
            layer(objects),
            remote.clone(),
        )?;
        match &remote {
            None => object_place::must_be_local(&meta, &folder, catalog.required_objects())?,
            Some(remote) => remote.require(catalog.required_objects()),
        }
        Ok(Self(Arc::new(Inner {
            dir: dir.to_owned(),
            master,
            identities,
            meta,
            catalog,
            remote,
            _lock: lock,
        })))
    }

    /// Each step may be taken again, so a process that is killed here does no harm.
    fn migrate(&self, found: u32) -> Result<(), StorageError> {
        tracing::info!(from = found, to = format::CURRENT, "the data directory is migrated");
        if found < 2 {
            self.0.master.rewrite()?;
            self.0.catalog.migrate_from_1()?;
        }
        format::write(&self.0.dir)
    }

    /// The data directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// The state database.
    #[must_use]
    pub fn meta(&self) -> &SealedDb {
        &self.0.meta
    }

    /// The datasets.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.0.catalog
    }

    /// Whether the objects lie in a store elsewhere.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        self.0.remote.is_some()
    }

    /// Checks whether the store that holds the objects can be used now; objects in the data directory always can. Waits no
    /// longer than for one answer.
    ///
    /// # Errors
    /// [`PlaceError`] says why not.
    pub async fn check_objects(&self) -> Result<(), PlaceError> {
        match &self.0.remote {
            None => Ok(()),
            Some(remote) => remote.check().await,
        }
    }

    /// Begins to take bytes that are sent for an import; they lie here sealed, without a name, until they have been read.
    ///
    /// # Errors
    /// If the disk takes none.
    pub fn begin_upload(&self) -> Result<UploadWriter, StorageError> {
        let dir = self.0.dir.join(files::UPLOADS);
        Upload::begin(&dir).map_err(|source| StorageError::io("write to", &dir, source))
    }

    /// The private keys of the institution and its node.
    #[must_use]
    pub fn identities(&self) -> &Identities {
        &self.0.identities
    }

    /// The key that the ledger in [`Storage::ledger_dir`] is sealed under.
    #[must_use]
    pub fn ledger_key(&self) -> LedgerKey {
        self.0.master.ledger()
    }

    /// Opens the ledger of `institution` in this directory, and compares it with the sealed state.
    ///
    /// # Errors
    /// As [`Ledger::open_anchored`].
    pub fn open_ledger(&self, institution: InstitutionId) -> Result<Ledger, LedgerError> {
        Ledger::open_anchored(&self.ledger_dir(), self.ledger_key(), institution, &self.0.meta)
    }

    /// The folder of the ledger.
    #[must_use]
    pub fn ledger_dir(&self) -> PathBuf {
        self.0.dir.join("ledger")
    }
}

fn master_key(dir: &Path) -> PathBuf {
    dir.join("identity").join("master.key")
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage")
            .field("dir", &self.0.dir)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
