//! `concordat backup …` and `concordat restore`: snapshots of this node.
//!
//! `create` sends a request to the daemon, which keeps serving meanwhile. The others work on the repository itself; what they use
//! of it is signed with the key that the operator names.

mod owner;
mod restore;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use concordat_cli::Context;
use concordat_cli::output::Column;
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::chain;
use concordat_protocol::ids::{InstitutionId, Nonce};
use concordat_storage::backup::{self, Repository, UnverifiedSnapshot};
use serde::Serialize;

pub(crate) use restore::Restore;

#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    #[command(flatten)]
    Running(concordat_cli::BackupCommand),
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

const SNAPSHOTS: [Column; 7] = [
    ("snapshot", "snapshot"),
    ("institution", "institution"),
    ("taken", "at"),
    ("ledger entries", "ledger_entries"),
    ("objects", "objects"),
    ("signed with", "key"),
    ("damage", "damage"),
];

impl BackupCommand {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Problem> {
        match self {
            Self::Running(command) => command.run(context).await,
            Self::List { from } => {
                let repository = Repository::open(&from)?;
                let ids = repository.ids()?.into_iter();
                let mut items: Vec<ListedSnapshot> = ids.map(|id| listed(&repository, id)).collect();
                // Damaged ones come first.
                items.sort_by_cached_key(|item| item.claimed.as_ref().map(|claimed| claimed.at.clone()));
                context.out.list(&items, &SNAPSHOTS)
            }
            Self::Verify {
                from,
                institution_key,
                snapshot,
            } => verify(&from, institution_key.as_deref(), snapshot, context).await,
        }
    }
}

/// A snapshot in the list of a repository.
#[derive(Debug, Serialize)]
struct ListedSnapshot {
    snapshot: Nonce,
    #[serde(flatten)]
    claimed: Option<ClaimedContents>,
    damage: Option<String>,
}

/// What a snapshot claims about itself.
#[derive(Debug, Serialize)]
struct ClaimedContents {
    institution: InstitutionId,
    at: String,
    ledger_entries: u64,
    objects: u64,
    signed_by: String,
    key: &'static str,
}

/// What the verification of snapshots found.
#[derive(Debug, Serialize)]
struct VerifiedSnapshots {
    ok: bool,
    institution_key: String,
    checked_against: &'static str,
    snapshots: u64,
    objects: u64,
    erased: u64,
    bytes: u64,
}

/// A damaged snapshot is listed as damaged, so that the others remain visible. The list shows what the snapshots claim; `verify`
/// checks which institution signed them.
fn listed(repository: &Repository, id: Nonce) -> ListedSnapshot {
    let (claimed, damage) = match repository.snapshot_unverified(id) {
        Ok(UnverifiedSnapshot {
            snapshot,
            fingerprint,
            older_key,
        }) => {
            let claimed = ClaimedContents {
                institution: snapshot.institution,
                at: snapshot.at.to_string(),
                ledger_entries: snapshot.ledger,
                objects: snapshot.objects,
                signed_by: fingerprint,
                key: if older_key {
                    "an older key"
                } else {
                    "the newest key here"
                },
            };
            (Some(claimed), None)
        }
        Err(error) => (None, Some(chain(&error))),
    };
    ListedSnapshot {
        snapshot: id,
        claimed,
        damage,
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
        Some(given) => (owner::given(given)?, "the key that was given"),
        None => (owner::running(context).await?, "the key of the node that runs here"),
    };
    let checked = backup::verify(&repository, snapshot, &owner)?;
    context.out.record(&VerifiedSnapshots {
        ok: true,
        institution_key: owner.fingerprint(),
        checked_against,
        snapshots: checked.snapshots,
        objects: checked.objects,
        erased: checked.erased,
        bytes: checked.bytes,
    })
}
