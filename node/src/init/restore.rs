//! A data directory from a snapshot.

use std::path::PathBuf;

use concordat_protocol::{
    audit::EntryBody,
    ids::{DatasetName, InstitutionId, Nonce},
    time::Timestamp,
};
use concordat_storage::{
    backup::{self, Repository, SnapshotInfo},
    keys::Argon2Cost,
    ledger::Ledger,
};

use super::{Site, Unlock, given_provider, write};
use crate::{
    attribution::by_this_account,
    config::{self, Config, CredentialsFrom, KeysFrom, ObjectsWord, PinFrom, StorageSection},
    fault::{Code, Problem},
    start_state::StartState,
};

/// Which snapshot becomes which data directory.
#[derive(Debug)]
pub struct RestorePlan {
    /// Where it lies.
    pub repository: Repository,
    /// The snapshot.
    pub snapshot: Nonce,
    /// The data directory; it must be empty or not there.
    pub dir: PathBuf,
    /// What unlocked the node at that time; [`Unlock::MakeKeyFile`] does not.
    pub unlock: Unlock,
    /// What a passphrase should cost from now on.
    pub cost: Argon2Cost,
    /// Where its objects go; none for where they lay.
    pub objects: Option<ObjectsWord>,
    /// The file with the key of the store; none for the one that the snapshot's configuration names.
    pub credentials: Option<PathBuf>,
}

/// A node that was put back.
#[derive(Debug, Clone)]
pub struct RestoredNode {
    /// Whose it is.
    pub institution: InstitutionId,
    /// When the snapshot was taken.
    pub taken: Timestamp,
    /// Datasets that were erased since, and were erased again.
    pub erased: Vec<DatasetName>,
}

/// What unlocked the node of a snapshot.
///
/// # Errors
/// If the snapshot holds no usable configuration, or its key file is not named by a path from the root.
pub fn unlocked_by(snapshot: &SnapshotInfo) -> Result<KeysFrom, Problem> {
    match configuration(snapshot)?.keys {
        KeysFrom::File(path) if path.is_relative() => Err(Problem::new(
            Code::Locked,
            "the node was unlocked by a key file, which no backup holds",
        )
        .help("name the key file with `--key-file`")),
        KeysFrom::Token {
            pin: PinFrom::File(path),
            ..
        } if path.is_relative() => Err(Problem::new(
            Code::Locked,
            "the PIN was in a file that lay in the data directory, and no backup holds that",
        )
        .help("name a key file with `--key-file`, or ask for the PIN in the backup's `[keys]`")),
        keys @ (KeysFrom::Passphrase | KeysFrom::File(_) | KeysFrom::Credential(_) | KeysFrom::Token { .. }) => {
            Ok(keys)
        }
    }
}

fn configuration(snapshot: &SnapshotInfo) -> Result<Config, Problem> {
    let bytes = snapshot.file(config::FILE)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    Ok(Config::parse(&text, std::path::Path::new(config::FILE))?)
}

/// Where the objects go. The key of a store is in no backup, like the key file.
fn storage(
    mut storage: StorageSection,
    objects: Option<ObjectsWord>,
    credentials: Option<PathBuf>,
) -> Result<StorageSection, Problem> {
    match (objects, &mut storage) {
        (None, _) => {}
        (Some(ObjectsWord::Local), _) => storage = StorageSection::Local,
        (Some(ObjectsWord::S3(url)), StorageSection::S3(store)) => store.url = url,
        (Some(ObjectsWord::S3(_)), StorageSection::Local) => {
            return Err(
                Problem::usage("the snapshot is of a node without a store, so nothing says how to reach one")
                    .help("restore it without `--objects`, then move it as docs/guides/object-storage.md says"),
            );
        }
    }
    if let StorageSection::S3(store) = &mut storage {
        match (credentials, &store.credentials) {
            (Some(path), _) => store.credentials = CredentialsFrom::File(std::path::absolute(&path).unwrap_or(path)),
            (None, CredentialsFrom::File(path)) if path.is_relative() => {
                return Err(
                    Problem::new(Code::Locked, "the key of the object store is in no backup")
                        .help("name its file with `--credentials`, or restore with `--objects local`"),
                );
            }
            (None, CredentialsFrom::File(_) | CredentialsFrom::Credential(_)) => {}
        }
    }
    Ok(storage)
}

/// Makes a data directory from a snapshot. Blocks; must be called on a thread of a tokio runtime that may block.
///
/// # Errors
/// If something is in the way, the snapshot is damaged or the secret does not unlock it; nothing is left behind then.
pub fn restore(plan: RestorePlan, now: Timestamp) -> Result<RestoredNode, Problem> {
    let site = Site::prepare(&plan.dir)?;
    let at = site.path().to_owned();
    let mut config = configuration(&plan.repository.snapshot(Some(plan.snapshot))?)?;
    let (provider, keys) = given_provider(plan.unlock, plan.cost)?;
    let storage = storage(config.storage.clone(), plan.objects, plan.credentials)?;
    let place = storage.place(&plan.dir)?;
    let restored = backup::restore(&plan.repository, Some(plan.snapshot), &at, provider.as_ref(), &place)?;
    if config.keys != keys || config.storage != storage {
        (config.keys, config.storage) = (keys, storage);
        write(&at.join(config::FILE), config.to_string().as_bytes())?;
    }
    let contents = restored.contents.document();
    let opened = restored.storage;
    let (folder, key) = (opened.ledger_dir(), opened.ledger_key());
    let ledger = Ledger::open_restored(&folder, key, contents.institution.clone(), opened.meta())?;
    let bound = StartState::open(opened.meta())?;
    bound.settle(&ledger)?;
    let entry = EntryBody::SnapshotRestored {
        snapshot: contents.id,
        contents: restored.contents.digest(),
    };
    let by = by_this_account();
    drop(ledger.append(entry, &by, now)?);
    // Where the objects lie may have been changed for the restored node.
    bound.accept_configuration(&config, &ledger, &by, now)?;
    let mut erased = Vec::new();
    for statement in &restored.erased {
        let dataset = statement.document().dataset.clone();
        let entry = EntryBody::DatasetErased {
            dataset: dataset.clone(),
            statement: statement.digest(),
        };
        drop(ledger.append(entry, &by, now)?);
        erased.push(dataset);
    }
    drop((ledger, opened));
    site.move_into_place()?;
    Ok(RestoredNode {
        institution: contents.institution.clone(),
        taken: contents.at,
        erased,
    })
}
