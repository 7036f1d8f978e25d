//! A data directory from a snapshot.
//!
//! A snapshot is data. Of its configuration, only what names nothing outside of the node is taken over: the institution, its name
//! and jurisdiction, and plain numbers ([`Taken`]). What says where something is (a module, a path, an address, a store, a
//! credential) comes from the operator of this machine; what the snapshot says of it is shown and not used.

use std::path::PathBuf;

use concordat_protocol::{
    audit::EntryBody,
    ids::{DatasetName, InstitutionId, Jurisdiction},
    text::LegalName,
    time::Timestamp,
};
use concordat_storage::{
    backup::{self, Repository, SnapshotInfo},
    keys::Argon2Cost,
    ledger::Ledger,
};
use libp2p::Multiaddr;

use super::{Site, Unlock, given_provider, write};
use crate::{
    attribution::by_this_account,
    config::{self, Config, ImportSection, KeysFrom, LimitsSection, LogSection, NodeSection, StorageSection},
    fault::{Code, Problem},
    network::DialRange,
    start_state::StartState,
};

/// Which snapshot becomes which data directory.
#[derive(Debug)]
pub struct RestorePlan {
    /// Where it lies.
    pub repository: Repository,
    /// The snapshot, which is of the institution that the operator named.
    pub snapshot: SnapshotInfo,
    /// The data directory; it must be empty or not there.
    pub dir: PathBuf,
    /// The configuration, but for its `[keys]`, which follow from `unlock`.
    pub config: Config,
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

/// What a snapshot's configuration says that names nothing outside of the node.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    name: LegalName,
    jurisdiction: Jurisdiction,
    limits: LimitsSection,
}

/// What a snapshot's configuration says of this or another machine: for people to read, and of no type that could be used.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Hints {
    /// What unlocked the node.
    pub keys: &'static str,
    /// Where its objects lay.
    pub objects: String,
    /// Where it listened.
    pub listen: Vec<String>,
    /// Where others reached it.
    pub announce: Vec<String>,
}

/// What the operator of this machine says of it.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// Addresses to listen on.
    pub listen: Vec<Multiaddr>,
    /// Addresses at which others reach the node.
    pub announce: Vec<Multiaddr>,
    /// Ranges of addresses at which members are dialed.
    pub dial: Vec<DialRange>,
}

/// Reads the configuration of a snapshot; none if it holds none that can be read.
///
/// # Errors
/// If the snapshot is damaged.
pub fn taken_over(snapshot: &SnapshotInfo) -> Result<Option<(Taken, Hints)>, Problem> {
    let bytes = snapshot.file(config::FILE)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let Ok(found) = Config::parse(&text, std::path::Path::new(config::FILE)) else {
        return Ok(None);
    };
    let texts = |addresses: &[Multiaddr]| addresses.iter().map(ToString::to_string).collect();
    let hints = Hints {
        keys: match &found.keys {
            KeysFrom::Passphrase => "passphrase",
            KeysFrom::File(_) => "key file",
            KeysFrom::Credential(_) => "credential of the service manager",
            KeysFrom::Token { .. } => "key in a PKCS#11 token",
        },
        objects: match &found.storage {
            StorageSection::Local => "local".to_owned(),
            StorageSection::S3(store) => store.url.to_string(),
        },
        listen: texts(&found.node.listen),
        announce: texts(&found.node.announce),
    };
    let taken = Taken {
        name: found.node.name,
        jurisdiction: found.node.jurisdiction,
        limits: found.limits,
    };
    Ok(Some((taken, hints)))
}

impl Taken {
    /// A configuration of the institution that signed the snapshot, with its objects here.
    pub fn with(self, institution: InstitutionId, given: Given) -> Config {
        Config {
            node: NodeSection {
                institution,
                name: self.name,
                jurisdiction: self.jurisdiction,
                listen: given.listen,
                announce: given.announce,
                dial: given.dial,
            },
            keys: KeysFrom::Passphrase,
            storage: StorageSection::Local,
            import: ImportSection::default(),
            log: LogSection::default(),
            limits: self.limits,
        }
    }
}

/// Makes a data directory from a snapshot. Blocks; must be called on a thread of a tokio runtime that may block.
///
/// # Errors
/// If something is in the way, the configuration is of another institution, the snapshot is damaged or the secret does not unlock
/// it; nothing is left behind then.
pub fn restore(plan: RestorePlan, now: Timestamp) -> Result<RestoredNode, Problem> {
    let institution = plan.snapshot.contents.document().institution.clone();
    let mut config = plan.config;
    if config.node.institution != institution {
        let detail = format!(
            "the configuration is of `{}`, and the snapshot of `{institution}`",
            config.node.institution
        );
        return Err(
            Problem::new(Code::Usage, detail).help("give the configuration of this institution with `--config`")
        );
    }
    let site = Site::prepare(&plan.dir)?;
    let at = site.path().to_owned();
    let (provider, keys) = given_provider(plan.unlock, plan.cost)?;
    config.keys = keys;
    let place = config.storage.place(&plan.dir)?;
    let restored = backup::restore(&plan.repository, plan.snapshot, &at, provider.as_ref(), &place)?;
    write(&at.join(config::FILE), config.to_string().as_bytes())?;
    let contents = restored.contents.document();
    let opened = restored.storage;
    let (folder, key) = (opened.ledger_dir(), opened.ledger_key());
    let ledger = Ledger::open_restored(&folder, key, contents.institution.clone(), opened.meta())?;
    let bound = StartState::open(opened.meta())?;
    bound.settle(&ledger, now)?;
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
