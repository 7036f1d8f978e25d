//! The data directory of one node, opened.
//!
//! ```text
//! format                 which format the directory has
//! lock                   held while a process has the directory open
//! identity/master.key    the master key, wrapped
//! identity/NAME.sealed   private keys, sealed under a key derived from the master key
//! meta/                  the state database: sealed values under hashed keys
//! uploads/               empty: data uploaded for an import is stored here sealed, in unnamed files
//! objects/               sealed objects, unless they are in a remote store
//! ledger/                the ledger
//! answers/               sealed logs of what was answered below tier `records`
//! run/ log/              socket and logs of the running node
//! ```
//!
//! Opening has these steps, and each needs the ones before it:
//!
//! 1. The lock is taken: from here on no other process uses the directory.
//! 2. Files that a killed process had only partly written are removed; they were never objects.
//! 3. Every file must be 0600 and every folder 0700.
//! 4. The format must be one that is opened; a newer one, or one that is too old, is rejected before anything is changed.
//! 5. The master key is unlocked, and the state database is opened with its key. The state must know the master key file.
//! 6. What an older format has is still read, so only its number is replaced.
//!
//! Nothing is requested from a remote store before it is used, so a node starts while its store is down.

mod error;
mod files;
mod format;
mod master_file;
mod object_location;

use std::{
    fmt,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use concordat_keys::{Escrow, Identities, KeyProvider, LedgerKey, MasterKey, fs::create_dir_private};
use concordat_protocol::{ids::InstitutionId, time::Timestamp};
use object_store::ObjectStore;

pub use error::StorageError;
pub use master_file::{MASTER_KEY_FILE, MASTER_KEY_RECORD};

use crate::{
    answers::{AnswerStore, note_older_copy},
    catalog::Catalog,
    ingest::{Archived, IngestError, Source, Upload, UploadWriter, unpack},
    ledger::{Ledger, LedgerError},
    meta::SealedDb,
    objects::{DurableStore, LocationError, ObjectLocation, RemoteStore},
};
use master_file::{MasterKeyFile, Replaced};

/// The folder of the logs of answers.
pub(crate) const ANSWERS: &str = "answers";

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
    /// Dropped last: the directory is released once everything else is closed.
    _lock: File,
}

impl Storage {
    /// Creates a data directory with a new master key that `provider` unlocks. Blocks while the key is derived. An empty folder
    /// is made private; one that is not empty must already be private.
    ///
    /// # Errors
    /// [`concordat_keys::KeyError::Exists`] if there is already one; otherwise as [`Storage::open`].
    pub fn init(dir: &Path, provider: &dyn KeyProvider) -> Result<Self, StorageError> {
        files::create(dir)?;
        let lock = files::lock(dir)?;
        files::check_modes(dir)?;
        let master = MasterKey::create(&master_key(dir), provider)?;
        format::write(dir)?;
        Self::start(dir, master, lock, &ObjectLocation::Local, |objects| objects)
    }

    /// Opens a data directory. Blocks while the key is derived.
    ///
    /// # Errors
    /// [`StorageError::Missing`] if there is none, [`StorageError::InUse`], [`StorageError::Exposed`], and errors of keys or
    /// state.
    pub fn open(dir: &Path, provider: &dyn KeyProvider) -> Result<Self, StorageError> {
        Self::open_at(dir, provider, &ObjectLocation::Local)
    }

    /// As [`Storage::open`], with its objects at `location`.
    ///
    /// # Errors
    /// As [`Storage::open`], and [`LocationError`] if the settings of a store cannot be used. Whether the store answers shows
    /// later: [`Storage::check_objects`].
    pub fn open_at(dir: &Path, provider: &dyn KeyProvider, location: &ObjectLocation) -> Result<Self, StorageError> {
        Self::open_over(dir, provider, location, |objects| objects)
    }

    /// Opens a data directory with the keys of an escrow; from then on `provider` unlocks it. `record` enters that in the ledger, which
    /// no other key opens. If that or anything else fails, what unlocks the directory is unchanged. Blocks while the keys are derived.
    ///
    /// # Errors
    /// [`concordat_keys::KeyError::OutdatedEscrow`] if a key was rotated since; an error of
    /// [`concordat_protocol::error_kind::ErrorKind::Integrity`] if the escrow belongs to another node; that of `record`; otherwise as
    /// [`Storage::open`].
    pub fn recover<E: From<StorageError>>(
        dir: &Path,
        escrow: &Escrow,
        provider: &dyn KeyProvider,
        location: &ObjectLocation,
        record: impl FnOnce(&Self) -> Result<(), E>,
    ) -> Result<Self, E> {
        let path = master_key(dir);
        let replaced = {
            let _lock = files::lock(dir)?;
            let master = escrow.master_key(&path, provider).map_err(StorageError::from)?;
            Replaced::with(&master, dir, &path)?
        };
        let opened = Self::open_at(dir, provider, location).and_then(|storage| {
            storage.catalog().keys().adopt(escrow)?;
            Ok(storage)
        });
        let opened = opened.map_err(E::from).and_then(|storage| {
            record(&storage)?;
            Ok(storage)
        });
        if opened.is_err() {
            let _lock = files::lock(dir)?;
            replaced.undo(dir, &path)?;
        }
        opened
    }

    /// Makes another provider unlock the directory from now on. Blocks while the key is derived.
    ///
    /// # Errors
    /// If the master key file cannot be written; the old provider then still unlocks it.
    pub fn change_provider(&self, provider: &dyn KeyProvider) -> Result<(), StorageError> {
        Ok(self.0.master.change_provider(provider)?)
    }

    /// As [`Storage::open_at`], for a copy of a data directory as it was at the time `taken`: the copy does not own the object location of the
    /// original, and answers since then are not known.
    pub(crate) fn open_copy(
        dir: &Path,
        provider: &dyn KeyProvider,
        location: &ObjectLocation,
        taken: Timestamp,
    ) -> Result<Self, StorageError> {
        {
            let master = MasterKey::unlock(&master_key(dir), provider)?;
            let meta = SealedDb::open(&dir.join("meta"), master.state())?;
            note_older_copy(&meta, taken)?;
            object_location::forget(&meta)?;
            master_file::forget(&meta)?;
        }
        Self::open_at(dir, provider, location)
    }

    /// As [`Storage::open_at`], with a layer around the store of sealed objects: what it is given, and can read, is sealed.
    ///
    /// # Errors
    /// As [`Storage::open_at`].
    pub fn open_over(
        dir: &Path,
        provider: &dyn KeyProvider,
        location: &ObjectLocation,
        layer: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>,
    ) -> Result<Self, StorageError> {
        if !master_key(dir).exists() {
            return Err(StorageError::Missing { dir: dir.to_owned() });
        }
        let lock = files::lock(dir)?;
        files::remove_uploads(dir)?;
        files::remove_unfinished_and_check_modes(dir)?;
        let found = format::read(dir)?;
        let master = MasterKey::unlock(&master_key(dir), provider)?;
        let storage = Self::start(dir, master, lock, location, layer)?;
        storage.0.master.strengthen(provider);
        if found < format::CURRENT {
            tracing::info!(
                from = found,
                to = format::CURRENT,
                "the data directory has the current format from now on"
            );
            format::write(dir)?;
        }
        Ok(storage)
    }

    fn start(
        dir: &Path,
        master: MasterKey,
        lock: File,
        location: &ObjectLocation,
        layer: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>,
    ) -> Result<Self, StorageError> {
        for part in ["ledger", ANSWERS, "run", "log"] {
            let part = dir.join(part);
            create_dir_private(&part).map_err(|source| StorageError::io("create", &part, source))?;
        }
        let meta = SealedDb::open(&dir.join("meta"), master.state())?;
        let file = MasterKeyFile::open(&meta)?;
        file.check(&master_key(dir), master.file())?;
        master.bind(Arc::new(file));
        files::tighten(&dir.join(files::SLED))?;
        let folder = dir.join(files::OBJECTS);
        let remote = match location {
            ObjectLocation::Local => None,
            ObjectLocation::S3(location) => Some(RemoteStore::open(
                location,
                object_location::marker(&meta, &location.url)?,
            )?),
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
            AnswerStore::open(&dir.join(ANSWERS), &meta)?,
        )?;
        match &remote {
            None => object_location::check_local(&meta, &folder, catalog.required_objects())?,
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

    /// Whether the objects are in a remote store.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        self.0.remote.is_some()
    }

    /// Checks whether the store that holds the objects is usable now; objects in the data directory always are. Waits at most as
    /// long as one request may take.
    ///
    /// # Errors
    /// [`LocationError`] with the reason.
    pub async fn check_objects(&self) -> Result<(), LocationError> {
        match &self.0.remote {
            None => Ok(()),
            Some(remote) => remote.check().await,
        }
    }

    /// Begins an upload of data for an import; the data is stored sealed, in an unnamed file, until it has been read.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub fn begin_upload(&self) -> Result<UploadWriter, StorageError> {
        let dir = self.0.dir.join(files::UPLOADS);
        Upload::begin(&dir).map_err(|source| StorageError::io("write to", &dir, source))
    }

    /// Unpacks those files of an archive that `is_wanted` selects by their names, at most `most`, as uploads.
    ///
    /// # Errors
    /// As [`unpack`].
    pub fn unpack(
        &self,
        archive: &Source,
        most: usize,
        is_wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Archived, IngestError> {
        unpack(archive, &self.0.dir.join(files::UPLOADS), most, is_wanted)
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
