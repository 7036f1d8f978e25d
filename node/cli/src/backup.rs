//! `concordat backup create`: a snapshot of the running node.

use std::path::PathBuf;

use clap::Subcommand;
use concordat_documents::backup::{BackupTarget, Snapshot};
use concordat_documents::problem::Problem;

use crate::context::Context;

/// Snapshots that the running node takes.
#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Take a snapshot while the node serves
    Create {
        /// The repository: a folder on another disk; it is created if it does not exist
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
}

impl BackupCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// The problem that the node returned.
    pub async fn run(self, context: &Context) -> Result<(), Problem> {
        let Self::Create { to } = self;
        let to = std::path::absolute(&to).unwrap_or(to);
        let sentence = format!("a snapshot is in {}; check it with `backup verify`", to.display());
        let created: Snapshot = context.client()?.post("/v1/backups", &BackupTarget { to }).await?;
        context.out.done(&sentence, &created)
    }
}
