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
    config::{self, Config, KeysFrom, PinFrom},
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
    /// What a passphrase should cost from now on.
    pub cost: Argon2Cost,
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

/// Makes a data directory from a snapshot. Blocks; must be called on a thread of a tokio runtime that may block.
///
/// # Errors
/// If something is in the way, the snapshot is damaged or the secret does not unlock it; nothing is left behind then.
pub fn restore(plan: RestorePlan, now: Timestamp) -> Result<RestoredNode, Problem> {
    let site = Site::prepare(&plan.dir)?;
    let at = site.path().to_owned();
    let mut config = configuration(&plan.repository.snapshot(Some(plan.snapshot))?)?;
    let (provider, keys) = given_provider(plan.unlock, plan.cost)?;
    let restored = backup::restore(&plan.repository, Some(plan.snapshot), &at, provider.as_ref())?;
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
