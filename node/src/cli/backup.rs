//! `concordat backup …` and `concordat restore`: snapshots of this node.
//!
//! `create` asks the daemon, which goes on serving meanwhile. The others work on the repository itself and need no daemon.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use concordat_protocol::ids::Nonce;
use concordat_storage::{
    backup::{self, Repository},
    keys::Argon2Cost,
};
use serde_json::{Value, json};

use super::{Context, output::Column, unlock};
use crate::{
    clock::Clock,
    config::ObjectsWord,
    fault::{Code, Problem, chain},
    init::{RestorePlan, Unlock, restore, unlocked_by},
    json::Field as _,
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Take a snapshot while the node serves
    Create {
        /// The repository: a folder on another disk; it is made if it is not there
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// The snapshots of a repository
    List {
        /// The repository
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
    },
    /// Read snapshots again and compare every byte with what was signed; needs no secret
    Verify {
        /// The repository
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
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
    /// Another snapshot than the newest
    #[arg(long, value_name = "ID")]
    snapshot: Option<Nonce>,
    /// The key file that unlocked the node, and that will unlock it
    #[arg(long, value_name = "PATH", env = crate::config::KEY_FILE_VARIABLE)]
    key_file: Option<PathBuf>,
    /// Put its objects there instead of where they lay: `local`, or an empty `s3://BUCKET/PREFIX` of the same store
    #[arg(long, value_name = "PLACE")]
    objects: Option<ObjectsWord>,
    /// The file with the key of the object store
    #[arg(long, value_name = "PATH")]
    credentials: Option<PathBuf>,
}

const SNAPSHOTS: [Column; 6] = [
    ("snapshot", "snapshot"),
    ("institution", "institution"),
    ("taken", "at"),
    ("ledger entries", "ledger_entries"),
    ("objects", "objects"),
    ("damage", "damage"),
];

impl Verb {
    pub(super) async fn run(self, context: &Context) -> Result<(), Problem> {
        match self {
            Self::Create { to } => {
                let to = std::path::absolute(&to).unwrap_or(to);
                let made: Value = context.client()?.post("/v1/backups", &json!({ "to": to })).await?;
                let sentence = format!("a snapshot is in {}; check it with `backup verify`", to.display());
                context.out.done(&sentence, &made)
            }
            Self::List { from } => {
                let repository = Repository::open(&from)?;
                let mut items: Vec<Value> = repository.ids()?.into_iter().map(|id| row(&repository, id)).collect();
                items.sort_by_key(|item| item.text("at").to_owned());
                context.out.list(&Value::Array(items), &SNAPSHOTS)
            }
            Self::Verify { from, snapshot } => verify(&from, snapshot, context),
        }
    }
}

/// A damaged snapshot is listed as one: whoever needs a backup has to see the others.
fn row(repository: &Repository, id: Nonce) -> Value {
    match repository.snapshot(Some(id)) {
        Ok(snapshot) => {
            let contents = snapshot.contents.document();
            json!({
                "snapshot": contents.id,
                "institution": contents.institution,
                "at": contents.at.to_string(),
                "ledger_entries": contents.ledger,
                "objects": contents.objects,
                "signed_by": snapshot.contents.signer().fingerprint(),
                "damage": null,
            })
        }
        Err(error) => json!({ "snapshot": id, "damage": chain(&error) }),
    }
}

fn verify(from: &Path, snapshot: Option<Nonce>, context: &Context) -> Result<(), Problem> {
    let checked = backup::verify(&Repository::open(from)?, snapshot)?;
    context.out.record(&json!({
        "ok": true,
        "snapshots": checked.snapshots,
        "objects": checked.objects,
        "erased": checked.erased,
        "bytes": checked.bytes,
    }))
}

impl Restore {
    pub(super) async fn run(self, context: &Context) -> Result<(), Problem> {
        let repository = Repository::open(&self.from)?;
        let snapshot = repository.snapshot(self.snapshot)?;
        let id = snapshot.contents.document().id;
        let unlock = match self.key_file {
            Some(path) => Unlock::KeyFile(path),
            None => unlock::given(unlocked_by(&snapshot)?, "passphrase of that time")?,
        };
        let plan = RestorePlan {
            repository,
            snapshot: id,
            dir: context.dir.clone(),
            unlock,
            cost: Argon2Cost::default(),
            objects: self.objects,
            credentials: self.credentials,
        };
        let now = Clock::system().now();
        let restored = tokio::task::spawn_blocking(move || restore(plan, now))
            .await
            .map_err(|error| Problem::new(Code::Fault, format!("the work was broken off: {error}")))??;
        for dataset in &restored.erased {
            context.out.remark(&format!(
                "`{dataset}` was erased after this snapshot was taken, and is erased here too"
            ));
        }
        let sentence = format!(
            "{} is restored into {} from snapshot {id}. Run `concordat serve`, and never two nodes of one identity",
            restored.institution,
            context.dir.display()
        );
        let value = json!({
            "institution": restored.institution,
            "dir": context.dir,
            "snapshot": id,
            "taken": restored.taken.to_string(),
            "erased": restored.erased,
        });
        context.out.done(&sentence, &value)
    }
}
