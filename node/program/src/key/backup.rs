//! `concordat key backup`: the keys of the node, in case its unlock secret is lost.
//!
//! The daemon encrypts them to recovery keys. If shares are requested, the command generates one more recovery key: only its
//! public half is sent to the daemon, and its private half is never stored on disk as a whole.

use std::path::{Path, PathBuf};

use concordat_cli::Context;
use concordat_cli::files::write;
use concordat_documents::key::{KeyBackup, Recipients};
use concordat_documents::problem::Problem;
use concordat_keys::{RecoveryKey, Share, SharePlan};
use serde::Serialize;
use zeroize::Zeroizing;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file to write; it is not overwritten
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// A recovery key, `age1…`, as `age-keygen` generates it; can be repeated, and each key alone opens the file
    #[arg(long = "recipient", value_name = "AGE1", required_unless_present = "shares")]
    recipients: Vec<String>,
    /// Generate a recovery key in this many shares, at most 255, each in a separate file
    #[arg(long, value_name = "N", requires = "threshold")]
    shares: Option<u8>,
    /// How many of the shares together open the file; fewer reveal nothing
    #[arg(long, value_name = "K", requires = "shares")]
    threshold: Option<u8>,
    /// The folder for the shares, instead of that of the file
    #[arg(long, value_name = "DIR", requires = "shares")]
    shares_to: Option<PathBuf>,
}

/// What was written.
#[derive(Debug, Serialize)]
struct WrittenFiles<'a> {
    file: &'a Path,
    /// To how many recovery keys the file is encrypted.
    recipients: usize,
    shares: &'a [PathBuf],
    threshold: Option<u8>,
    /// The name that the shares have in common.
    escrow: Option<&'a str>,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<(), Problem> {
    let mut recipients = args.recipients.clone();
    let shares = match args.shares.zip(args.threshold) {
        Some((shares, threshold)) => {
            let key = RecoveryKey::random();
            recipients.push(key.recipient().to_string());
            key.split(SharePlan::new(shares, threshold)?)?
        }
        None => Vec::new(),
    };
    let files: Vec<PathBuf> = shares.iter().map(|share| args.share_file(share)).collect();
    for path in files.iter().chain([&args.to]) {
        refuse_existing(path)?;
    }
    let body = Recipients { recipients };
    let created: KeyBackup = context.client()?.post("/v1/keys/backup", &body).await?;
    let written = write_all(&args, &created.escrow, &shares, &files);
    if written.is_err() {
        // An incomplete set is useless: another attempt generates different shares.
        for path in files.iter().chain([&args.to]) {
            std::fs::remove_file(path).ok();
        }
    }
    written?;
    let files = WrittenFiles {
        file: &args.to,
        recipients: created.recipients,
        shares: &files,
        threshold: args.threshold,
        escrow: shares.first().map(Share::escrow),
    };
    context.out.done(&sentence(&args), &files)
}

impl Args {
    /// `FILE.share-2-of-5`, beside the file unless another folder is named.
    fn share_file(&self, share: &Share) -> PathBuf {
        let name = self.to.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{name}.share-{}-of-{}", share.number(), share.plan().shares());
        match &self.shares_to {
            Some(folder) => folder.join(name),
            None => self.to.with_file_name(name),
        }
    }
}

fn refuse_existing(path: &Path) -> Result<(), Problem> {
    if path.exists() {
        let shown = path.display();
        return Err(Problem::usage(format!(
            "`{shown}` already exists and is not overwritten"
        )));
    }
    Ok(())
}

/// The shares are written first: an escrow that exists can always be opened.
fn write_all(args: &Args, escrow: &str, shares: &[Share], files: &[PathBuf]) -> Result<(), Problem> {
    for (share, path) in shares.iter().zip(files) {
        write(path, page(share).as_bytes())?;
    }
    write(&args.to, escrow.as_bytes())
}

/// The page of a share, with what its keeper needs to know years later.
fn page(share: &Share) -> Zeroizing<String> {
    let number = share.number();
    let plan = share.plan();
    let escrow = share.escrow();
    Zeroizing::new(format!(
        "# Concordat: share {number} of {} of the escrow of keys {escrow}.\n\
         # Any {} of them, with the file of the escrow, open the keys of a node: `concordat key recover --share …`.\n\
         # Keep it secret, and apart from the other shares. Comments may be removed; the line must not be changed.\n\
         {}\n",
        plan.shares(),
        plan.threshold(),
        *share.line(),
    ))
}

fn sentence(args: &Args) -> String {
    let file = args.to.display();
    let again = "make a new one after each rotation of a segment's key";
    match (args.shares, args.threshold) {
        (Some(shares), Some(threshold)) => format!(
            "the keys are in `{file}`, and any {threshold} of the {shares} shares beside it open them: give each share to a different person, delete it \
             here, and {again}"
        ),
        (None, _) | (_, None) => format!("the keys are in `{file}`; keep it apart from the data, and {again}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_page_parses_to_its_share() {
        let shares = RecoveryKey::random().split(SharePlan::new(3, 2).unwrap()).unwrap();
        let page = page(&shares[1]);
        assert!(
            page.contains("share 2 of 3") && page.contains("Any 2 of them"),
            "{}",
            *page
        );
        let read = Share::in_file(page.as_bytes()).unwrap();
        assert_eq!(read.line(), shares[1].line());
    }
}
