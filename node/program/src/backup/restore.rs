//! `concordat restore`: a node from a snapshot.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use concordat_cli::{Context, files};
use concordat_documents::problem::Problem;
use concordat_keys::Argon2Cost;
use concordat_network::{DialRange, Multiaddr};
use concordat_node::Clock;
use concordat_node::config::{self, Config, KeysFrom, NodeSection};
use concordat_node::init::{
    Hints, OperatorSettings, RestorePlan, SnapshotSettings, Unlock, restore, settings_of_snapshot,
};
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::ids::{DatasetName, InstitutionId, Nonce};
use concordat_storage::backup::Repository;
use serde::Serialize;

use super::owner;
use crate::address::multiaddr;
use crate::init::dial_ranges;
use crate::unlock;

#[derive(Debug, clap::Args)]
pub(crate) struct Restore {
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
    /// Who is an administrator now: the password of this account opens one session; needed if the snapshot contains several
    #[arg(long, value_name = "NAME")]
    administrator: Option<String>,
    /// Use this complete configuration instead of generating one; it can name a store for the objects
    #[arg(long, value_name = "FILE", conflicts_with_all = ["objects", "address", "listen", "port", "dial"])]
    config: Option<PathBuf>,
    #[command(flatten)]
    unlock: Unlocking,
    /// Restore its objects into the data directory (`local`), wherever they were stored
    #[arg(long, value_name = "LOCATION", value_parser = ["local"])]
    objects: Option<String>,
    /// An address at which others reach this node, such as `/dns/node.example.org/tcp/7400`; can be repeated
    #[arg(long, value_name = "MULTIADDR", value_parser = multiaddr)]
    address: Vec<Multiaddr>,
    /// An address to listen on, instead of all of this machine's, such as `/ip4/127.0.0.1/tcp/7400`; can be repeated. It has a port, so
    /// `--port` is left out
    #[arg(long, value_name = "MULTIADDR", value_parser = multiaddr, conflicts_with = "port")]
    listen: Vec<Multiaddr>,
    /// The port for peers on all addresses of this machine, TCP and UDP; 0 picks a free one
    #[arg(long, default_value_t = config::DEFAULT_PORT)]
    port: u16,
    /// Which addresses of members are dialed, as for `init`; can be repeated
    #[arg(long, value_name = "RANGE")]
    dial: Vec<DialRange>,
}

/// What unlocked the node of the snapshot, and will unlock it; without any of these, the command prompts for a passphrase.
#[derive(Debug, clap::Args)]
struct Unlocking {
    /// The key file that unlocked the node, and that will unlock it [env: CONCORDAT_KEY_FILE]
    #[arg(long, value_name = "PATH")]
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

/// A node that was restored.
#[derive(Debug, Serialize)]
struct Restored<'a> {
    institution: InstitutionId,
    institution_key: String,
    dir: &'a Path,
    snapshot: Nonce,
    taken: String,
    /// Datasets that were erased after the snapshot was taken.
    erased: Vec<DatasetName>,
    /// The account that can log in once, to set another password.
    administrator: Option<String>,
    /// Accounts that need a new password from an administrator.
    locked_accounts: Vec<String>,
    /// Its settings, which are not adopted.
    snapshot_configuration: Option<Hints>,
}

impl Restored<'_> {
    /// Prints what was restored, and what differs from the snapshot; `adopted` if its configuration was.
    fn report(&self, adopted: bool, context: &Context) -> Result<(), Problem> {
        for dataset in &self.erased {
            context.out.note(&format!(
                "`{dataset}` was erased after this snapshot was taken, and is erased here too"
            ));
        }
        if let Some(hints) = self.snapshot_configuration.as_ref().filter(|_| adopted) {
            note_not_adopted(hints, context);
        }
        context.out.note(&format!(
            "what was revoked, ended or changed after {} is not in this snapshot: every grant of this institution is suspended until a data \
             steward resumes it, which needs a connection with the other side, and open negotiations end",
            self.taken
        ));
        if let Some(administrator) = &self.administrator {
            context.out.note(&format!(
                "the password of `{administrator}` opens one session, in which it is changed; for all others an administrator checks the \
                 roles and sets a password with `concordat user password NAME`, and records trainings again: {}",
                self.locked_accounts.join(", ")
            ));
        }
        let sentence = format!(
            "{} is restored into {} from snapshot {}. Run `concordat serve`, and never two nodes of one identity",
            self.institution,
            self.dir.display(),
            self.snapshot
        );
        context.out.done(&sentence, self)
    }
}

impl Restore {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Problem> {
        let owner = owner::given(&self.institution_key)?;
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
            administrator: self.administrator.clone(),
        };
        let now = Clock::system().now();
        let restored = tokio::task::spawn_blocking(move || restore(plan, now))
            .await
            .map_err(|error| Problem::new(ErrorKind::Internal, format!("the operation was interrupted: {error}")))??;
        let adopted = self.config.is_none();
        let node = Restored {
            institution: restored.institution,
            institution_key: owner.fingerprint(),
            dir: &context.dir,
            snapshot: id,
            taken: restored.taken.to_string(),
            erased: restored.erased,
            administrator: restored.accounts.administrator,
            locked_accounts: restored.accounts.locked,
            snapshot_configuration: hints,
        };
        node.report(adopted, context)
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
            NodeSection::listen_at(self.port)
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

/// Most bytes of a configuration.
const MAX_CONFIG: u64 = 1024 * 1024;

fn given_configuration(path: &Path) -> Result<Config, Problem> {
    let text = files::read_text(path, MAX_CONFIG)?;
    Ok(Config::parse(&text, path)?)
}

impl Unlocking {
    /// What the operator gives, in an option or in the configuration; otherwise the command prompts for a passphrase. What the
    /// snapshot contains about another secret is only quoted in a message.
    fn choose(self, named: Option<KeysFrom>, hints: Option<&Hints>) -> Result<Unlock, Problem> {
        let token = self.token.as_ref().map(|_| "--token");
        let other = token.or(self.key_credential.as_ref().map(|_| "--key-credential"));
        let key_file = unlock::key_file(self.key_file, unlock::named_key_file(), other)?;
        if let (Some(token), Some(module)) = (self.token, self.token_module) {
            return unlock::with_token(module, token, self.token_key, self.pin_file, self.pin_credential);
        }
        if let Some(path) = key_file {
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
