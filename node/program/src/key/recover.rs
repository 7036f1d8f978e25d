//! `concordat key recover`: sets a new unlock secret on a stopped node whose secret is lost.

use std::path::{Path, PathBuf};

use concordat_cli::{Context, files};
use concordat_documents::problem::Problem;
use concordat_keys::{Escrow, KeyError, RecoveryKey, Share};
use concordat_node::config::Config;
use concordat_node::offline::record_recovery;
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_storage::data_dir::Storage;
use zeroize::Zeroizing;

use super::new_unlock::{NewUnlock, save_unlock_setting};

/// Most bytes of an escrow, a recovery key or a share; an escrow has the keys of all segments.
const MAX_FILE: u64 = 16 * 1024 * 1024;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file that `key backup` wrote
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// The file with the recovery key, `AGE-SECRET-KEY-1…`
    #[arg(long, value_name = "FILE", required_unless_present = "share")]
    identity: Option<PathBuf>,
    /// A file with a share of the recovery key; repeat for each share
    #[arg(long, value_name = "FILE", conflicts_with = "identity")]
    share: Vec<PathBuf>,
}

pub(super) async fn run(args: &Args, new: NewUnlock, context: &Context) -> Result<(), Problem> {
    let config = Config::load(&context.dir)?;
    let escrow = open_escrow(args)?;
    let (provider, keys) = new.provider()?;
    let dir = context.dir.clone();
    let location = config.storage.location(&context.dir)?;
    let institution = config.node.institution.clone();
    let record = move |storage: &Storage| record_recovery(storage, institution);
    let work = move || Storage::recover(&dir, &escrow, provider.as_ref(), &location, record);
    let recovered = tokio::task::spawn_blocking(work).await;
    drop(
        recovered
            .map_err(|error| Problem::new(ErrorKind::Internal, format!("the operation was interrupted: {error}")))??,
    );
    save_unlock_setting(config, keys, context)
}

fn open_escrow(args: &Args) -> Result<Escrow, Problem> {
    let sealed = read(&args.from)?;
    let Some(identity) = &args.identity else {
        let key = combine(&args.share)?;
        return Escrow::open(&sealed, &key).map_err(|error| wrong_escrow(error, &args.from));
    };
    Ok(Escrow::open(&sealed, &RecoveryKey::in_file(&read(identity)?)?)?)
}

/// The recovery key of the shares in these files; one that cannot be used is named.
fn combine(files: &[PathBuf]) -> Result<RecoveryKey, Problem> {
    let mut shares = Vec::with_capacity(files.len());
    for path in files {
        let share = Share::in_file(&read(path)?);
        shares.push(share.map_err(|error| Problem::new(error.kind(), format!("`{}`: {error}", path.display())))?);
    }
    Ok(RecoveryKey::from_shares(&shares)?)
}

fn wrong_escrow(error: KeyError, escrow: &Path) -> Problem {
    if matches!(error, KeyError::WrongRecoveryKey) {
        let detail = format!(
            "the shares are intact and belong together, but `{}` is not the escrow that they were generated with, or is damaged",
            escrow.display()
        );
        return Problem::new(ErrorKind::Locked, detail)
            .help("give the file that was written together with these shares");
    }
    error.into()
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Problem> {
    files::read(path, MAX_FILE).map(Zeroizing::new)
}
