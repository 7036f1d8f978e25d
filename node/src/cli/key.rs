//! `concordat key …`: what unlocks and seals.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use concordat_protocol::ids::{DatasetName, SegmentName};
use concordat_storage::{
    keys::{Argon2Cost, Escrow, KeySource, RecoveryKey},
    seal::durable::write_private,
    storage::Storage,
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Context, output::Column, prompt, unlock};
use crate::{
    config::{self, Config, KeysFrom},
    fault::{Code, Problem},
    init::{Unlock, given_source},
    json::Field as _,
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Which keys there are, and which datasets still need older ones
    Status,
    /// Put a new key into the place of an old one
    Rotate(Rotate),
    /// Write the keys of the node, encrypted to recovery keys, for the day when nothing unlocks it any more
    Backup {
        /// The file to write; it is not overwritten
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// A recovery key, `age1…`, as `age-keygen` makes it; may be given again, and each opens the file alone
        #[arg(long = "recipient", value_name = "AGE1", required = true)]
        recipients: Vec<String>,
    },
    /// Have the stopped node unlocked by something else from now on
    ChangeUnlock(NewUnlock),
    /// Have a stopped node that nothing unlocks any more unlocked by something new, with the keys of a backup
    Recover {
        /// The file that `key backup` wrote
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// The file with the recovery key, `AGE-SECRET-KEY-1…`
        #[arg(long, value_name = "FILE")]
        identity: PathBuf,
        #[command(flatten)]
        new: NewUnlock,
    },
}

/// What unlocks the node from now on; without any, a passphrase that is asked for.
#[derive(Debug, clap::Args)]
pub(super) struct NewUnlock {
    /// A file with at least 32 bytes of key
    #[arg(long, value_name = "PATH")]
    new_key_file: Option<PathBuf>,
    /// A credential of this name that systemd hands over
    #[arg(long, value_name = "NAME", conflicts_with = "new_key_file")]
    new_key_credential: Option<String>,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false, id = "which")]
pub(super) struct Which {
    /// The master key; data and state are not touched
    #[arg(long)]
    master: bool,
    /// The key of a segment; data is not touched
    #[arg(long, value_name = "SEGMENT")]
    segment: Option<SegmentName>,
    /// The key of a dataset, for what is imported from now on
    #[arg(long, value_name = "DATASET")]
    dataset: Option<DatasetName>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Rotate {
    #[command(flatten)]
    which: Which,
    /// Seal again what the dataset holds, in the background, and forget its older keys
    #[arg(long, requires = "dataset")]
    reseal: bool,
}

const COLUMNS: [Column; 5] = [
    ("dataset", "dataset"),
    ("segment", "segment"),
    ("key", "key"),
    ("older keys", "older_keys"),
    ("resealing", "resealing"),
];

impl Verb {
    pub(super) async fn run(self, context: &Context) -> Result<(), Problem> {
        match self {
            Self::Status => {
                let status: Value = context.client()?.get("/v1/keys").await?;
                if context.out.format() == super::Format::Json {
                    return context.out.record(&status);
                }
                if context.out.format() == super::Format::Table {
                    let by = status.text("unlocked_by");
                    context.out.text(&format!("the master key is unlocked by a {by}\n\n"))?;
                }
                context.out.list(status.at("items"), &COLUMNS)
            }
            Self::Rotate(rotate) => {
                let (body, sentence) = rotate.request();
                let done: Value = context.client()?.post("/v1/keys/rotate", &body).await?;
                context.out.done(&sentence, &done)
            }
            Self::Backup { to, recipients } => back_up(&to, &recipients, context).await,
            Self::ChangeUnlock(new) => change_unlock(new, context).await,
            Self::Recover { from, identity, new } => recover(&from, &identity, new, context).await,
        }
    }
}

async fn back_up(to: &Path, recipients: &[String], context: &Context) -> Result<(), Problem> {
    if to.exists() {
        return Err(Problem::usage(format!(
            "`{}` is there already and is not overwritten",
            to.display()
        )));
    }
    let body = json!({ "recipients": recipients });
    let made: Value = context.client()?.post("/v1/keys/backup", &body).await?;
    let written = write_private(to, made.text("escrow").as_bytes());
    written.map_err(|error| Problem::fault(&format!("cannot write `{}`", to.display()), &error))?;
    let sentence = format!(
        "the keys are in `{}`; keep it apart from the data, and make a new one after each rotation of a segment's key",
        to.display()
    );
    context
        .out
        .done(&sentence, &json!({ "file": to, "recipients": made.at("recipients") }))
}

impl NewUnlock {
    fn source(self) -> Result<(KeySource, KeysFrom), Problem> {
        let unlock = match (self.new_key_credential, self.new_key_file) {
            (Some(name), _) => Unlock::Credential(name),
            (None, Some(path)) => Unlock::KeyFile(path),
            (None, None) => Unlock::Passphrase(prompt::new_secret("passphrase that unlocks the node")?),
        };
        given_source(unlock)
    }
}

/// The configuration follows the key: between the two, the error at a start says what unlocks the node.
async fn change_unlock(new: NewUnlock, context: &Context) -> Result<(), Problem> {
    let config = Config::load(&context.dir)?;
    let storage = unlock::storage(&config, &context.dir).await?;
    let (source, keys) = new.source()?;
    storage.change_source(&source, Argon2Cost::default())?;
    drop(storage);
    settle(config, keys, context)
}

async fn recover(from: &Path, identity: &Path, new: NewUnlock, context: &Context) -> Result<(), Problem> {
    let config = Config::load(&context.dir)?;
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| Problem::fault(&format!("cannot read `{}`", path.display()), &error))
    };
    let key = RecoveryKey::in_file(&Zeroizing::new(read(identity)?))?;
    let escrow = Escrow::open(&read(from)?, &key)?;
    let (source, keys) = new.source()?;
    let (dir, place) = (context.dir.clone(), config.storage.place(&context.dir)?);
    let work = move || Storage::recover(&dir, &escrow, &source, Argon2Cost::default(), &place);
    let recovered = tokio::task::spawn_blocking(work).await;
    drop(recovered.map_err(|error| Problem::new(Code::Fault, format!("the work was broken off: {error}")))??);
    settle(config, keys, context)
}

/// Writes what unlocks the node into its configuration.
fn settle(mut config: Config, keys: KeysFrom, context: &Context) -> Result<(), Problem> {
    config.keys = keys;
    let path = context.dir.join(config::FILE);
    let written = write_private(&path, config.to_string().as_bytes());
    written.map_err(|error| Problem::fault(&format!("cannot write `{}`", path.display()), &error))?;
    let said = "the node is unlocked by it from now on; what unlocked it before does not";
    context.out.done(said, &json!({ "dir": context.dir }))
}

impl Rotate {
    /// What is asked of the daemon, and what is said when it is done.
    fn request(&self) -> (Value, String) {
        if let Some(segment) = &self.which.segment {
            let body = json!({ "segment": { "segment": segment } });
            return (body, format!("segment {segment} has a new key; no data was touched"));
        }
        let Some(dataset) = &self.which.dataset else {
            let said = "the node has a new master key; no data was touched. Make a new backup of the keys";
            return (json!({ "master": {} }), said.to_owned());
        };
        let body = json!({ "dataset": { "dataset": dataset, "reseal": self.reseal } });
        let said = if self.reseal {
            format!("{dataset} has a new key; what it holds is being sealed again, see `concordat key status`")
        } else {
            format!("{dataset} has a new key for what is imported from now on")
        };
        (body, said)
    }
}
