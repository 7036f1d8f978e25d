//! `concordat consortium charter …`

use std::path::PathBuf;

use clap::Subcommand;
use concordat_documents::consortium::{IssuedChange, NewCharter, Roster};
use concordat_documents::problem::Problem;
use concordat_protocol::ids::{Digest32, InstitutionId};

use super::outcome;
use super::signing::{self, Signable};
use crate::context::Context;

/// Whose signatures change the list of members.
#[derive(Debug, Subcommand)]
pub enum CharterCommand {
    /// Show the charter
    Show,
    /// Require the signatures of THRESHOLD of these members to change the roster from now on
    Set {
        /// How many of them must sign
        #[arg(long)]
        threshold: u8,
        /// A member that holds a key of the charter; repeat for each
        #[arg(long = "holder", required = true)]
        holders: Vec<InstitutionId>,
    },
    /// Show what the change of the charter in FILE would change, and its digest
    Review {
        /// The change
        file: PathBuf,
    },
    /// Sign the change of the charter in FILE as one of its holders, after showing what it changes
    Sign {
        /// The change
        file: PathBuf,
        /// Sign without a prompt if this is the document's digest; required if there is no terminal
        #[arg(long, value_name = "DIGEST")]
        expect: Option<Digest32>,
    },
}

/// Runs the command.
///
/// # Errors
/// The problem that the node returned.
pub(super) async fn run(command: CharterCommand, context: &Context) -> Result<(), Problem> {
    match command {
        CharterCommand::Show => {
            let roster: Roster = context.client()?.get("/v1/consortium/roster").await?;
            let sentence = format!("{}; {}", roster.charter, roster.charter_fingerprint);
            context.out.done(&sentence, &roster)
        }
        CharterCommand::Set { threshold, holders } => {
            let new = NewCharter { threshold, holders };
            let issued: IssuedChange = context.client()?.post("/v1/consortium/charter", &new).await?;
            outcome::show(&issued, sentence, context)
        }
        CharterCommand::Review { file } => signing::review(Signable::Charter, &file, context).await,
        CharterCommand::Sign { file, expect } => {
            let issued = signing::sign(Signable::Charter, &file, expect, context).await?;
            outcome::show(&issued, sentence, context)
        }
    }
}

fn sentence(roster: &Roster) -> String {
    format!("{}; roster {} is now current", roster.charter, roster.number)
}
