//! From a snapshot to a data directory.

use std::{fs::File, path::Path};

use concordat_protocol::{
    identity::{InstitutionPublicKey, PrivateKey},
    signed::Verified,
};
use tokio::runtime::Handle;

use super::{
    BackupError, Repository, Snapshot, files::copy_file, repository::SnapshotInfo, restore_upload::RestoreUpload,
};
use crate::{
    catalog::ErasureStatement,
    data_dir::Storage,
    fs::create_dir_private,
    keys::{IdentityError, KeyProvider, MasterKey},
    meta::SealedDb,
    objects::ObjectPlace,
};

/// The configuration of the node that the snapshot was taken of.
const CONFIGURATION: &str = "concordat.toml";

/// A data directory that was restored.
#[derive(Debug)]
pub struct Restored {
    /// The directory, opened.
    pub storage: Storage,
    /// The snapshot it was made from.
    pub contents: Verified<Snapshot, InstitutionPublicKey>,
    /// Datasets that the snapshot held and that were erased since; they were erased again.
    pub erased: Vec<ErasureStatement>,
}

/// Puts a snapshot into the empty folder `dir`, and its objects into an empty `place`. Its configuration is not restored: whoever
/// calls it writes a new one, of what the operator gives. Blocks; must be called on a thread of a tokio runtime that may block. Whoever calls it removes `dir` if it fails; what it put into a store
/// elsewhere it removes itself.
///
/// # Errors
/// [`BackupError::Damaged`] if anything is not what was signed; a [`crate::keys::KeyError`] if `provider` does not unlock the
/// master key of that time; [`crate::objects::PlaceError::Occupied`] if the place is not empty.
pub fn restore(
    repository: &Repository,
    snapshot: SnapshotInfo,
    dir: &Path,
    provider: &dyn KeyProvider,
    place: &ObjectPlace,
) -> Result<Restored, BackupError> {
    let runtime = Handle::try_current().map_err(|_| BackupError::NoRuntime)?;
    copy_files(&snapshot, dir)?;
    let master = MasterKey::unlock(&dir.join("identity/master.key"), provider)?;
    restore_state(&snapshot, dir, &master)?;
    drop(master);
    let signer = snapshot.contents.signer();
    let statements = repository.erasures(&snapshot.keys())?;
    let gone: Vec<String> = statements
        .iter()
        .flat_map(|statement| statement.document().keys.iter().map(ToString::to_string))
        .collect();
    let mut objects = snapshot.objects()?;
    objects.retain(|object| !gone.iter().any(|key| object.path.as_str().starts_with(key.as_str())));
    let upload = match place {
        ObjectPlace::Local => {
            for object in &objects {
                let target = dir.join("objects").join(object.path.as_str());
                copy_checked(&snapshot, snapshot.open_object(object)?, object, &target)?;
            }
            None
        }
        ObjectPlace::S3(place) => Some(RestoreUpload::begin(&runtime, place)?),
    };
    let open = || {
        if let Some(upload) = &upload {
            for object in &objects {
                upload.put(&snapshot, object)?;
            }
        }
        let storage = Storage::open_copy(dir, provider, place)?;
        let sealed = storage.identities().institution()?;
        if sealed.public() != signer {
            return Err(IdentityError::Damaged {
                name: "institution".to_owned(),
            }
            .into());
        }
        // Takes the place, which it finds complete.
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

fn copy_files(snapshot: &SnapshotInfo, dir: &Path) -> Result<(), BackupError> {
    for part in ["objects", "meta", "ledger", "run", "log"] {
        let part = dir.join(part);
        create_dir_private(&part).map_err(BackupError::io("create", &part))?;
    }
    for file in &snapshot.contents.document().files {
        match file.path.as_str().strip_prefix("dir/") {
            // What it names was never the operator's word for this machine.
            None | Some(CONFIGURATION) => snapshot.check(file)?,
            Some(below) => copy_checked(snapshot, snapshot.open(file)?, file, &dir.join(below))?,
        }
    }
    Ok(())
}

/// Copies a file and compares what was copied with what was signed.
fn copy_checked(snapshot: &SnapshotInfo, from: File, file: &super::FileEntry, to: &Path) -> Result<(), BackupError> {
    let copied = copy_file(from, to, None).map_err(BackupError::io("copy", to))?;
    if copied == (file.len, file.hash) {
        Ok(())
    } else {
        Err(snapshot.damaged(file.path.as_str(), "is not what was written"))
    }
}

fn restore_state(snapshot: &SnapshotInfo, dir: &Path, master: &MasterKey) -> Result<(), BackupError> {
    let files = &snapshot.contents.document().files;
    let listed = files.iter().find(|file| file.path.as_str() == "state");
    let file = snapshot.open(listed.ok_or_else(|| snapshot.damaged("state", "is not named"))?)?;
    Ok(SealedDb::import(&dir.join("meta"), master.state(), file)?)
}
