//! `concordat backup …` and `concordat restore`: snapshots of this node.
//!
//! `create` sends a request to the daemon, which keeps serving meanwhile. The others work on the repository itself; what they use
//! of it is signed with the key that the operator names.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use concordat_documents::problem::Problem;
use concordat_documents::{
    backup::{BackupTarget, Snapshot},
    status::Status,
};
use concordat_protocol::error_kind::{ErrorKind, chain};
use concordat_protocol::ids::{InstitutionId, Nonce};
use concordat_storage::{
    backup::{self, InvalidOwner, Owner, Repository},
    keys::Argon2Cost,
};
use serde_json::{Value, json};

use super::context::Context;
use super::output::Column;
use super::{init::dial_ranges, unlock};
use crate::{
    clock::Clock,
    config::{self, Config, KeysFrom},
    init::{Hints, OperatorSettings, RestorePlan, SnapshotSettings, Unlock, restore, settings_of_snapshot},
    json::Field as _,
    network::{DialRange, Multiaddr},
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Take a snapshot while the node serves
    Create {
        /// The repository: a folder on another disk; it is created if it does not exist
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// The snapshots of a repository
    List {
        /// The repository
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
    },
    /// Read snapshots again and compare every byte with what the institution signed; needs no secret
    Verify {
        /// The repository
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
        /// The institution that must have signed them: the fingerprint of its key, its public key, or a file with either. Without
        /// it, the institution of the node that runs in the data directory
        #[arg(long, value_name = "KEY")]
        institution_key: Option<OsString>,
        /// One snapshot instead of all
        #[arg(long, value_name = "ID")]
        snapshot: Option<Nonce>,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Restore {
    /// The repository
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The institution that must have signed it: the fingerprint of its key, its public key, or a file with either, from any source
    /// but the backup
    #[arg(long, value_name = "KEY")]
    institution_key: OsString,
    /// A snapshot other than the newest; one that is signed with an older key of the institution is restored only if it is named here
    #[arg(long, value_name = "ID")]
    snapshot: Option<Nonce>,
    /// Use this complete configuration instead of generating one; it can name a store for the objects
    #[arg(long, value_name = "FILE", conflicts_with_all = ["objects", "address", "listen", "port", "dial"])]
    config: Option<PathBuf>,
    #[command(flatten)]
    unlock: Unlocking,
    /// Restore its objects into the data directory (`local`), wherever they were stored
    #[arg(long, value_name = "LOCATION", value_parser = ["local"])]
    objects: Option<String>,
    /// An address at which others reach this node; can be repeated
    #[arg(long, value_name = "MULTIADDR")]
    address: Vec<Multiaddr>,
    /// An address to listen on, instead of all of this machine's; can be repeated
    #[arg(long, value_name = "MULTIADDR", conflicts_with = "port")]
    listen: Vec<Multiaddr>,
    /// The port for peers, TCP and UDP; 0 picks a free one
    #[arg(long, default_value_t = config::DEFAULT_PORT)]
    port: u16,
    /// Which addresses of members are dialed, as for `init`; can be repeated
    #[arg(long, value_name = "RANGE")]
    dial: Vec<DialRange>,
}

/// What unlocked the node of the snapshot, and will unlock it; without any of these, the command prompts for a passphrase.
#[derive(Debug, clap::Args)]
struct Unlocking {
    /// The key file that unlocked the node, and that will unlock it
    #[arg(long, value_name = "PATH", env = config::KEY_FILE_VARIABLE)]
    key_file: Option<PathBuf>,
    /// Unlock it with the credential of this name that systemd provides
    #[arg(long, value_name = "NAME", conflicts_with = "key_file")]
    key_credential: Option<String>,
    /// Unlock it with a key in the PKCS#11 token of this label
    #[arg(long, value_name = "LABEL", requires = "token_module", conflicts_with_all = ["key_file", "key_credential"])]
    token: Option<String>,
    /// The PKCS#11 module of the token, such as `/usr/lib/softhsm/libsofthsm2.so`
    #[arg(long, value_name = "PATH", requires = "token")]
    token_module: Option<PathBuf>,
    /// The label of the key in the token
    #[arg(long, value_name = "LABEL", default_value = unlock::TOKEN_KEY)]
    token_key: String,
    /// A file with the PIN of the token
    #[arg(long, value_name = "PATH", requires = "token")]
    pin_file: Option<PathBuf>,
    /// The credential of this name, which systemd provides, is the PIN of the token
    #[arg(long, value_name = "NAME", requires = "token", conflicts_with = "pin_file")]
    pin_credential: Option<String>,
}

const SNAPSHOTS: [Column; 7] = [
    ("snapshot", "snapshot"),
    ("institution", "institution"),
    ("taken", "at"),
    ("ledger entries", "ledger_entries"),
    ("objects", "objects"),
    ("signed with", "key"),
    ("damage", "damage"),
];

impl Verb {
    pub(super) async fn run(self, context: &Context) -> Result<(), Problem> {
        match self {
            Self::Create { to } => {
                let to = std::path::absolute(&to).unwrap_or(to);
                let sentence = format!("a snapshot is in {}; check it with `backup verify`", to.display());
                let created: Snapshot = context.client()?.post("/v1/backups", &BackupTarget { to }).await?;
                context.out.done(&sentence, &created)
            }
            Self::List { from } => {
                let repository = Repository::open(&from)?;
                let mut items: Vec<Value> = repository.ids()?.into_iter().map(|id| row(&repository, id)).collect();
                items.sort_by_key(|item| item.text("at").to_owned());
                context.out.list(&Value::Array(items), &SNAPSHOTS)
            }
            Self::Verify {
                from,
                institution_key,
                snapshot,
            } => verify(&from, institution_key.as_deref(), snapshot, context).await,
        }
    }
}

/// A damaged snapshot is listed as damaged, so that the others remain visible. The list shows what the snapshots claim; `verify`
/// checks which institution signed them.
fn row(repository: &Repository, id: Nonce) -> Value {
    match repository.snapshot_unverified(id) {
        Ok(claimed) => {
            let contents = claimed.snapshot;
            json!({
                "snapshot": contents.id,
                "institution": contents.institution,
                "at": contents.at.to_string(),
                "ledger_entries": contents.ledger,
                "objects": contents.objects,
                "signed_by": claimed.fingerprint,
                "key": if claimed.older_key { "an older key" } else { "the newest key here" },
                "damage": null,
            })
        }
        Err(error) => json!({ "snapshot": id, "damage": chain(&error) }),
    }
}

async fn verify(
    from: &Path,
    institution_key: Option<&OsStr>,
    snapshot: Option<Nonce>,
    context: &Context,
) -> Result<(), Problem> {
    let repository = Repository::open(from)?;
    let (owner, checked_against) = match institution_key {
        Some(given) => (owner(given)?, "the key that was given"),
        None => (running_owner(context).await?, "the key of the node that runs here"),
    };
    let checked = backup::verify(&repository, snapshot, &owner)?;
    context.out.record(&json!({
        "ok": true,
        "institution_key": owner.fingerprint(),
        "checked_against": checked_against,
        "snapshots": checked.snapshots,
        "objects": checked.objects,
        "erased": checked.erased,
        "bytes": checked.bytes,
    }))
}

/// The key of the node that runs in the data directory, which has decrypted it; a file there could have been replaced.
async fn running_owner(context: &Context) -> Result<Owner, Problem> {
    let status: Status = context.client()?.get("/v1/status").await.map_err(|_| {
        Problem::usage("the institution that these snapshots must be from is unknown")
            .help("give the institution's key with `--institution-key FINGERPRINT`, or start the node")
    })?;
    let fingerprint = &status.fingerprint;
    fingerprint
        .parse()
        .map_err(|error: InvalidOwner| Problem::new(ErrorKind::Internal, format!("the node's key {error}")))
}

/// Most bytes of a key file.
const MAX_KEY_FILE: u64 = 1024;

/// The key that the operator gives: directly, or in a file.
fn owner(given: &OsStr) -> Result<Owner, Problem> {
    let parsed = given.to_str().and_then(|text| text.parse().ok());
    if let Some(owner) = parsed {
        return Ok(owner);
    }
    let path = Path::new(given);
    let shown = path.display();
    if !path.is_file() {
        return Err(Problem::usage(format!("`{shown}` {InvalidOwner}, nor a file with one"))
            .help("`concordat status` of the node, and the roster of its consortium, show the fingerprint"));
    }
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_KEY_FILE).read_to_string(&mut text));
    read.map_err(|error| Problem::internal(&format!("cannot read `{shown}`"), &error))?;
    text.parse()
        .map_err(|error: InvalidOwner| Problem::usage(format!("what is in `{shown}` {error}")))
}

impl Restore {
    pub(super) async fn run(self, context: &Context) -> Result<(), Problem> {
        let owner = owner(&self.institution_key)?;
        let repository = Repository::open(&self.from)?;
        let snapshot = repository.snapshot(self.snapshot, &owner)?;
        let id = snapshot.contents.document().id;
        if snapshot.older_key {
            context.out.note(&format!(
                "snapshot {id} is signed with an older key of the institution; anyone who has a copy of that key can have made it"
            ));
        }
        let found = settings_of_snapshot(&snapshot)?;
        let hints = found.as_ref().map(|(_, hints)| hints.clone());
        let institution = snapshot.contents.document().institution.clone();
        let config = self.configuration(institution, found)?;
        let named = self.config.is_some().then(|| config.keys_from(&context.dir));
        let unlock = self.unlock.choose(named, hints.as_ref())?;
        let plan = RestorePlan {
            repository,
            snapshot,
            dir: context.dir.clone(),
            config,
            unlock,
            cost: Argon2Cost::default(),
        };
        let now = Clock::system().now();
        let restored = tokio::task::spawn_blocking(move || restore(plan, now))
            .await
            .map_err(|error| Problem::new(ErrorKind::Internal, format!("the operation was interrupted: {error}")))??;
        for dataset in &restored.erased {
            context.out.note(&format!(
                "`{dataset}` was erased after this snapshot was taken, and is erased here too"
            ));
        }
        if let Some(hints) = hints.as_ref().filter(|_| self.config.is_none()) {
            note_not_adopted(hints, context);
        }
        let sentence = format!(
            "{} is restored into {} from snapshot {id}. Run `concordat serve`, and never two nodes of one identity",
            restored.institution,
            context.dir.display()
        );
        let value = json!({
            "institution": restored.institution,
            "institution_key": owner.fingerprint(),
            "dir": context.dir,
            "snapshot": id,
            "taken": restored.taken.to_string(),
            "erased": restored.erased,
            "snapshot_configuration": hints,
        });
        context.out.done(&sentence, &value)
    }

    /// The operator's configuration, or one built from the adopted settings of the snapshot and the operator's options.
    fn configuration(
        &self,
        institution: InstitutionId,
        found: Option<(SnapshotSettings, Hints)>,
    ) -> Result<Config, Problem> {
        if let Some(path) = &self.config {
            return given_configuration(path);
        }
        let Some((taken, hints)) = found else {
            return Err(Problem::usage("the configuration in the snapshot cannot be read")
                .help("provide one for this machine with `--config FILE`"));
        };
        if hints.objects != "local" && self.objects.is_none() {
            let detail = format!(
                "the objects were stored in `{}`, and no new location was given",
                hints.objects
            );
            return Err(Problem::usage(detail)
                .help("restore them into the data directory with `--objects local`, or name an empty location in a store in a configuration that you give with `--config FILE`"));
        }
        let listen = if self.listen.is_empty() {
            Config::listen_at(self.port)
        } else {
            self.listen.clone()
        };
        Ok(taken.with(
            institution,
            OperatorSettings {
                listen,
                announce: self.address.clone(),
                dial: dial_ranges(self.dial.clone()),
            },
        ))
    }
}

fn given_configuration(path: &Path) -> Result<Config, Problem> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Problem::usage(format!("cannot read `{}`: {error}", path.display())))?;
    Ok(Config::parse(&text, path)?)
}

impl Unlocking {
    /// What the operator gives, in an option or in the configuration; otherwise the command prompts for a passphrase. What the
    /// snapshot contains about another secret is only quoted in a message.
    fn choose(self, named: Option<KeysFrom>, hints: Option<&Hints>) -> Result<Unlock, Problem> {
        if let (Some(token), Some(module)) = (self.token, self.token_module) {
            return unlock::with_token(module, token, self.token_key, self.pin_file, self.pin_credential);
        }
        if let Some(path) = self.key_file {
            return Ok(Unlock::KeyFile(path));
        }
        if let Some(name) = self.key_credential {
            return Ok(Unlock::Credential(name));
        }
        match (named, hints) {
            (Some(keys), _) => unlock::from_keys(keys, "passphrase at the time of the snapshot"),
            (None, Some(hints)) if hints.keys != "passphrase" => Err(Problem::new(
                ErrorKind::Locked,
                format!("the node was unlocked by a {}, which is not part of a backup", hints.keys),
            )
            .help(
                "give its location on this machine: `--key-file`, `--key-credential`, or `--token` with `--token-module`",
            )),
            (None, _) => unlock::from_keys(KeysFrom::Passphrase, "passphrase at the time of the snapshot"),
        }
    }
}

/// Notes which settings of the snapshot were not adopted, for the operator who sets up this machine.
fn note_not_adopted(hints: &Hints, context: &Context) {
    let settings = [
        ("listened on", hints.listen.join(", ")),
        ("was reached at", hints.announce.join(", ")),
        ("stored its objects in", hints.objects.clone()),
    ];
    for (what, value) in settings {
        if !value.is_empty() && value != "local" {
            context.out.note(&format!(
                "the node of the snapshot {what} {value}; this setting is not adopted"
            ));
        }
    }
}
