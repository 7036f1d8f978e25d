//! Restores a data directory from a snapshot.

use std::{
    fs::{self, File},
    path::Path,
};

use concordat_keys::{
    IdentityError, KeyProvider, MasterKey,
    fs::{create_dir_private, open_regular},
};
use concordat_protocol::{
    identity::{InstitutionPublicKey, PrivateKey},
    signed::Verified,
};
use tokio::runtime::Handle;

use super::{
    BackupError, Repository, Snapshot, erased::ErasedKeys, files::copy_file, repository::SnapshotInfo,
    restore_upload::RestoreUpload,
};
use crate::{
    catalog::ErasureStatement,
    data_dir::{ANSWERS, Storage},
    meta::SealedDb,
    objects::ObjectLocation,
};

/// The configuration of the node in the snapshot.
const CONFIGURATION: &str = "concordat.toml";

/// A data directory that was restored.
#[derive(Debug)]
pub struct Restored {
    /// The directory, opened.
    pub storage: Storage,
    /// The snapshot it was restored from.
    pub contents: Verified<Snapshot, InstitutionPublicKey>,
    /// Datasets in the snapshot that were erased later; they were erased again.
    pub erased: Vec<ErasureStatement>,
}

/// Restores a snapshot into the empty folder `dir`, and its objects into the empty `location`. The configuration is not restored:
/// the caller writes a new one from what the operator provides. Blocks; must be called on a tokio runtime thread that may block.
/// If it fails, the caller removes `dir`; objects uploaded to a remote store are removed here.
///
/// # Errors
/// [`BackupError::Damaged`] if anything is not what was signed; a [`concordat_keys::KeyError`] if `provider` does not unlock the
/// master key of that time; [`crate::objects::LocationError::Occupied`] if the location is not empty.
pub fn restore(
    repository: &Repository,
    snapshot: SnapshotInfo,
    dir: &Path,
    provider: &dyn KeyProvider,
    location: &ObjectLocation,
) -> Result<Restored, BackupError> {
    let runtime = Handle::try_current().map_err(|_| BackupError::NoRuntime)?;
    let statements = repository.erasures(&snapshot.keys())?;
    let erased_keys = ErasedKeys::of(&statements);
    copy_files(&snapshot, dir, &erased_keys)?;
    let master = MasterKey::unlock(&dir.join("identity/master.key"), provider)?;
    restore_state(&snapshot, dir, &master)?;
    drop(master);
    let signer = snapshot.contents.signer();
    let taken = snapshot.contents.document().at;
    let mut objects = snapshot.objects()?;
    objects.retain(|object| !erased_keys.cover(object));
    let upload = match location {
        ObjectLocation::Local => {
            for object in &objects {
                let target = dir.join("objects").join(object.path.as_str());
                copy_checked(&snapshot, snapshot.open_object(object)?, object, &target)?;
            }
            None
        }
        ObjectLocation::S3(location) => Some(RestoreUpload::begin(&runtime, location)?),
    };
    let open = || {
        if let Some(upload) = &upload {
            for object in &objects {
                upload.put(&snapshot, object)?;
            }
        }
        let storage = Storage::open_copy(dir, provider, location, taken)?;
        let sealed = storage.identities().institution()?;
        if sealed.public() != signer {
            return Err(IdentityError::Damaged {
                name: "institution".to_owned(),
            }
            .into());
        }
        // Writes the ownership marker, after finding all objects at the location.
        runtime.block_on(storage.check_objects())?;
        let erased = storage.catalog().erasures().apply(&statements)?;
        Ok::<_, BackupError>((storage, erased))
    };
    let opened = open();
    if let (Err(_), Some(upload)) = (&opened, upload) {
        upload.undo(&objects);
    }
    let (storage, erased) = opened?;
    Ok(Restored {
        storage,
        contents: snapshot.contents,
        erased,
    })
}

fn copy_files(snapshot: &SnapshotInfo, dir: &Path, erased: &ErasedKeys) -> Result<(), BackupError> {
    for part in ["objects", "meta", "ledger", ANSWERS, "run", "log"] {
        let part = dir.join(part);
        create_dir_private(&part).map_err(BackupError::io("create", &part))?;
    }
    let files = snapshot.contents.document().files.iter();
    for file in files.filter(|file| !erased.cover(file)) {
        match file.path.as_str().strip_prefix("dir/") {
            // Its settings were not chosen by the operator of this machine.
            None | Some(CONFIGURATION) => snapshot.check(file)?,
            Some(below) => copy_checked(snapshot, snapshot.open(file)?, file, &dir.join(below))?,
        }
    }
    Ok(())
}

/// Copies a file and compares the copy with what was signed.
fn copy_checked(snapshot: &SnapshotInfo, from: File, file: &super::FileEntry, to: &Path) -> Result<(), BackupError> {
    let copied = copy_file(from, to).map_err(BackupError::io("copy", to))?;
    if copied == (file.len, file.hash) {
        Ok(())
    } else {
        Err(snapshot.damaged(file.path.as_str(), "is not what was written"))
    }
}

fn restore_state(snapshot: &SnapshotInfo, dir: &Path, master: &MasterKey) -> Result<(), BackupError> {
    let files = &snapshot.contents.document().files;
    let listed = files.iter().find(|file| file.path.as_str() == "state");
    let listed = listed.ok_or_else(|| snapshot.damaged("state", "is not listed"))?;
    // The repository may change at any time, so what is imported is a copy that was compared.
    let copy = dir.join("meta/import");
    copy_checked(snapshot, snapshot.open(listed)?, listed, &copy)?;
    let file = open_regular(&copy).map_err(BackupError::io("open", &copy))?;
    SealedDb::import(&dir.join("meta"), master.state(), file)?;
    fs::remove_file(&copy).map_err(BackupError::io("remove", &copy))
}
