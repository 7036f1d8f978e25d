//! Creates a data directory from a snapshot.
//!
//! A snapshot is untrusted data. Of its configuration, only settings that do not refer to anything outside the node are used: the
//! institution, its name and jurisdiction, and plain numbers ([`SnapshotSettings`]). Every setting that locates something (a module, a
//! path, an address, a store, a credential) comes from the operator of this machine; the snapshot's value is shown but not used.

use std::path::PathBuf;

use concordat_documents::problem::Problem;
use concordat_keys::Argon2Cost;
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::{
    audit::EntryBody,
    ids::{ActorId, DatasetName, InstitutionId, Jurisdiction},
    text::{Label, LegalName},
    time::Timestamp,
};
use concordat_storage::{
    backup::{self, Repository, SnapshotInfo},
    ledger::Ledger,
};

use super::site::Site;
use super::socket_path::check_socket_path;
use super::unlock::{Unlock, provider_from_secret};
use crate::{
    attribution::by_this_account,
    config::{self, Config, ImportSection, KeysFrom, LimitsSection, LogSection, NodeSection, StorageSection},
    iam::{RestoredAccounts, void_passwords},
    restorations::Restorations,
    start_state::StartState,
};
use concordat_network::{DialRange, Multiaddr};

/// What to restore, and where.
#[derive(Debug)]
pub struct RestorePlan {
    /// The repository that contains the snapshot.
    pub repository: Repository,
    /// The snapshot, which belongs to the institution that the operator named.
    pub snapshot: SnapshotInfo,
    /// The data directory; it must be empty or must not exist.
    pub dir: PathBuf,
    /// The configuration, except `[keys]`, which follows from `unlock`.
    pub config: Config,
    /// What unlocked the node at that time; [`Unlock::MakeKeyFile`] is not valid here.
    pub unlock: Unlock,
    /// The Argon2 cost of a passphrase from now on.
    pub cost: Argon2Cost,
    /// Who is an administrator now; needed if the snapshot contains several.
    pub administrator: Option<String>,
}

/// A restored node.
#[derive(Debug, Clone)]
pub struct RestoredNode {
    /// Its institution.
    pub institution: InstitutionId,
    /// When the snapshot was taken.
    pub taken: Timestamp,
    /// Datasets that had been erased since the snapshot and were erased again.
    pub erased: Vec<DatasetName>,
    /// What became of the accounts.
    pub accounts: RestoredAccounts,
}

/// The settings of a snapshot that do not refer to anything outside the node.
#[derive(Debug, Clone, PartialEq)]
pub struct SnapshotSettings {
    name: LegalName,
    jurisdiction: Jurisdiction,
    limits: LimitsSection,
}

/// The settings of a snapshot that describe a machine: for display only, and of types that cannot be used by mistake.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Hints {
    /// What unlocked the node.
    pub keys: &'static str,
    /// Where its objects were stored.
    pub objects: String,
    /// The addresses it listened on.
    pub listen: Vec<String>,
    /// The addresses it announced.
    pub announce: Vec<String>,
}

/// The settings that the operator of this machine gives.
#[derive(Debug, Clone, Default)]
pub struct OperatorSettings {
    /// Addresses to listen on.
    pub listen: Vec<Multiaddr>,
    /// Addresses at which others reach the node.
    pub announce: Vec<Multiaddr>,
    /// Ranges of addresses at which members are dialed.
    pub dial: Vec<DialRange>,
}

/// Reads the configuration of a snapshot; `None` if it does not contain a valid one.
///
/// # Errors
/// If the snapshot is damaged.
pub fn settings_of_snapshot(snapshot: &SnapshotInfo) -> Result<Option<(SnapshotSettings, Hints)>, Problem> {
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
    let settings = SnapshotSettings {
        name: found.node.name,
        jurisdiction: found.node.jurisdiction,
        limits: found.limits,
    };
    Ok(Some((settings, hints)))
}

impl SnapshotSettings {
    /// A configuration of the institution that signed the snapshot, with its objects here.
    pub fn with(self, institution: InstitutionId, operator: OperatorSettings) -> Config {
        Config {
            node: NodeSection {
                institution,
                name: self.name,
                jurisdiction: self.jurisdiction,
                listen: operator.listen,
                announce: operator.announce,
                dial: operator.dial,
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
/// If the directory is not empty, is in the repository or around it, or its path is too long for a socket in it, the configuration is of another
/// institution, the snapshot is damaged or the secret does not unlock it; no files are left behind then.
pub fn restore(plan: RestorePlan, now: Timestamp) -> Result<RestoredNode, Problem> {
    plan.repository.require_apart_from(&plan.dir)?;
    check_socket_path(&plan.dir)?;
    let institution = plan.snapshot.contents.document().institution.clone();
    let mut config = plan.config;
    if config.node.institution != institution {
        let detail = format!(
            "the configuration belongs to `{}`, but the snapshot to `{institution}`",
            config.node.institution
        );
        return Err(
            Problem::new(ErrorKind::Usage, detail).help("pass the configuration of this institution with `--config`")
        );
    }
    let site = Site::prepare(&plan.dir)?;
    let (provider, keys) = provider_from_secret(plan.unlock, plan.cost)?;
    config.keys = keys;
    let location = config.storage.location(&plan.dir)?;
    let restored = backup::restore(
        &plan.repository,
        plan.snapshot,
        site.path(),
        provider.as_ref(),
        &location,
    )?;
    site.write(config::FILE, config.to_string().as_bytes())?;
    let contents = restored.contents.document();
    let opened = restored.storage;
    let folder = opened.ledger_dir();
    let key = opened.ledger_key();
    let ledger = Ledger::open_restored(&folder, key, contents.institution.clone(), opened.meta())?;
    let bound = StartState::open(opened.meta())?;
    bound.reconcile_restored(&ledger, now)?;
    let entry = EntryBody::SnapshotRestored {
        snapshot: contents.id,
        contents: restored.contents.digest(),
    };
    let by = by_this_account();
    drop(ledger.append(entry, &by, now)?);
    // The location of the objects may have changed for the restored node.
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
    // What was revoked, ended or changed since the snapshot is not in it. So nothing that was decided before is used as it is.
    Restorations::open(opened.meta())?.add()?;
    let accounts = void_passwords(opened.meta(), plan.administrator.as_deref())?;
    for name in accounts.administrator.iter().chain(&accounts.locked) {
        let entry = EntryBody::UserChanged {
            actor: ActorId::at(name, &contents.institution)?,
            change: Label::sanitized("password-void"),
            roles: Vec::new(),
        };
        drop(ledger.append(entry, &by, now)?);
    }
    drop((ledger, opened));
    site.move_to_target()?;
    Ok(RestoredNode {
        institution: contents.institution.clone(),
        taken: contents.at,
        erased,
        accounts,
    })
}
