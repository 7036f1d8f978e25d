//! `concordat key backup`: the keys of the node for the day when nothing unlocks it any more.
//!
//! The daemon encrypts them to recovery keys. Where shares are asked for, one more recovery key is made here, by the command: only its
//! public half goes to the daemon, and its private half is never in one piece on a disk.

use std::path::{Path, PathBuf};

use concordat_storage::keys::{RecoveryKey, Share, SharePlan};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::Context;
use crate::{cli::files::write, fault::Problem, json::Field as _};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The file to write; it is not overwritten
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// A recovery key, `age1…`, as `age-keygen` makes it; may be given again, and each opens the file alone
    #[arg(long = "recipient", value_name = "AGE1", required_unless_present = "shares")]
    recipients: Vec<String>,
    /// Make a recovery key in this many shares, at most 255, each in a file of its own
    #[arg(long, value_name = "N", requires = "threshold")]
    shares: Option<u8>,
    /// How many of the shares open the file together; fewer say nothing
    #[arg(long, value_name = "K", requires = "shares")]
    threshold: Option<u8>,
    /// The folder for the shares, instead of that of the file
    #[arg(long, value_name = "DIR", requires = "shares")]
    shares_to: Option<PathBuf>,
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
    let body = json!({ "recipients": recipients });
    let made: Value = context.client()?.post("/v1/keys/backup", &body).await?;
    let written = write_all(&args, &made.text("escrow"), &shares, &files);
    if written.is_err() {
        // A part of them is of no use: whoever tries again gets other shares.
        for path in files.iter().chain([&args.to]) {
            std::fs::remove_file(path).ok();
        }
    }
    written?;
    let value = json!({
        "file": args.to,
        "recipients": made.at("recipients"),
        "shares": files,
        "threshold": args.threshold,
        "escrow": shares.first().map(Share::escrow),
    });
    context.out.done(&sentence(&args), &value)
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
            "`{shown}` is there already and is not overwritten"
        )));
    }
    Ok(())
}

/// The shares first: an escrow that is there can be opened.
fn write_all(args: &Args, escrow: &str, shares: &[Share], files: &[PathBuf]) -> Result<(), Problem> {
    for (share, path) in shares.iter().zip(files) {
        write(path, page(share).as_bytes())?;
    }
    write(&args.to, escrow.as_bytes())
}

/// What whoever keeps a share needs to know years later.
fn page(share: &Share) -> Zeroizing<String> {
    let (number, plan, escrow) = (share.number(), share.plan(), share.escrow());
    Zeroizing::new(format!(
        "# Concordat: share {number} of {} of the escrow of keys {escrow}.\n\
         # Any {} of them, with the file of the escrow, open the keys of a node: `concordat key recover --share …`.\n\
         # Show it to nobody who may not; keep it apart from the other shares. Comments may be left out, the line may not be changed.\n\
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
            "the keys are in `{file}`, and any {threshold} of the {shares} shares beside it open them: give each to another person, delete it \
             here, and {again}"
        ),
        (None, _) | (_, None) => format!("the keys are in `{file}`; keep it apart from the data, and {again}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_back_as_its_share() {
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
