//! A data directory from a snapshot.

use std::path::PathBuf;

use concordat_protocol::{
    audit::EntryBody,
    ids::{DatasetName, InstitutionId, Nonce},
    time::Timestamp,
};
use concordat_storage::{
    backup::{self, Repository, SnapshotInfo},
    ledger::Ledger,
};

use super::{Site, Unlock, given_source, write};
use crate::{
    config::{self, Config, KeysFrom},
    fault::{Code, Problem},
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

/// How the node of a snapshot was unlocked, where no person has to say it: none for a passphrase.
///
/// # Errors
/// If the snapshot holds no usable configuration, or its key file is not named by a path from the root.
pub fn unlocked_by(snapshot: &SnapshotInfo) -> Result<Option<Unlock>, Problem> {
    match configuration(snapshot)?.keys {
        KeysFrom::Passphrase => Ok(None),
        KeysFrom::Credential(name) => Ok(Some(Unlock::Credential(name))),
        KeysFrom::File(path) if path.is_absolute() => Ok(Some(Unlock::KeyFile(path))),
        KeysFrom::File(_) => Err(Problem::new(
            Code::Locked,
            "the node was unlocked by a key file, which no backup holds",
        )
        .help("name the key file with `--key-file`")),
    }
}

fn configuration(snapshot: &SnapshotInfo) -> Result<Config, Problem> {
    let bytes = snapshot.file(config::FILE)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    Ok(Config::parse(&text, std::path::Path::new(config::FILE))?)
}

/// Makes a data directory from a snapshot. Blocks; must be called on a thread of a tokio runtime that may block.
///
/// # Errors
/// If something is in the way, the snapshot is damaged or the secret does not unlock it; nothing is left behind then.
pub fn restore(plan: RestorePlan, now: Timestamp) -> Result<RestoredNode, Problem> {
    let site = Site::prepare(&plan.dir)?;
    let at = site.path().to_owned();
    let mut config = configuration(&plan.repository.snapshot(Some(plan.snapshot))?)?;
    let (source, keys) = given_source(plan.unlock)?;
    let restored = backup::restore(&plan.repository, Some(plan.snapshot), &at, &source)?;
    if config.keys != keys {
        config.keys = keys;
        write(&at.join(config::FILE), config.to_string().as_bytes())?;
    }
    let contents = restored.contents.document();
    let storage = restored.storage;
    let ledger = Ledger::open(
        &storage.ledger_dir(),
        storage.ledger_key(),
        contents.institution.clone(),
    )?;
    let entry = EntryBody::SnapshotRestored {
        snapshot: contents.id,
        contents: restored.contents.digest(),
    };
    drop(ledger.append(entry, now)?);
    let mut erased = Vec::new();
    for statement in &restored.erased {
        let dataset = statement.document().dataset.clone();
        let entry = EntryBody::DatasetErased {
            dataset: dataset.clone(),
            actor: None,
            statement: statement.digest(),
        };
        drop(ledger.append(entry, now)?);
        erased.push(dataset);
    }
    drop((ledger, storage));
    site.move_into_place()?;
    Ok(RestoredNode {
        institution: contents.institution.clone(),
        taken: contents.at,
        erased,
    })
}
