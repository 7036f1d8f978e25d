//! `concordat consortium roster …`

use std::path::PathBuf;

use clap::Subcommand;
use concordat_documents::consortium::Roster;
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::ids::Digest32;
use serde::Serialize;

use super::signing::{self, Signable};
use super::{file, outcome};
use crate::context::Context;
use crate::output::{Column, Format};

const PATH: &str = "/v1/consortium/roster";

const COLUMNS: [Column; 6] = [
    ("institution", "institution"),
    ("name", "name"),
    ("jurisdiction", "jurisdiction"),
    ("status", "status"),
    ("connected", "connected"),
    ("key", "fingerprint"),
];

const ADDRESS_COLUMNS: [Column; 4] = [
    ("institution", "institution"),
    ("address", "address"),
    ("stated by", "stated_by"),
    ("last good", "last_good"),
];

/// The signed list of members.
#[derive(Debug, Subcommand)]
pub enum RosterCommand {
    /// Show the members, their addresses, and when each address was last good
    Show {
        /// Print the signed roster as text that can be mailed
        #[arg(long)]
        armor: bool,
    },
    /// Check that the roster is valid
    Verify,
    /// Show what the proposed roster in FILE would change, and its digest
    Review {
        /// The proposal
        file: PathBuf,
    },
    /// Sign the proposed roster in FILE as a holder of the charter, after showing what it changes
    Sign {
        /// The proposal
        file: PathBuf,
        /// Sign without a prompt if this is the document's digest; required if there is no terminal
        #[arg(long, value_name = "DIGEST")]
        expect: Option<Digest32>,
    },
    /// Import a newer roster from FILE
    Import {
        /// The roster
        file: PathBuf,
    },
}

/// Runs the command.
///
/// # Errors
/// The problem that the node returned.
pub(super) async fn run(command: RosterCommand, context: &Context) -> Result<(), Problem> {
    match command {
        RosterCommand::Show { armor } => {
            let roster: Roster = context.client()?.get(PATH).await?;
            if armor {
                context.out.text(roster.armor.as_deref().unwrap_or_default())
            } else {
                show(&roster, context)
            }
        }
        RosterCommand::Verify => verify(&context.client()?.get(PATH).await?, context),
        RosterCommand::Review { file } => signing::review(Signable::Roster, &file, context).await,
        RosterCommand::Sign { file, expect } => {
            let issued = signing::sign(Signable::Roster, &file, expect, context).await?;
            outcome::show(&issued, now_current, context)
        }
        RosterCommand::Import { file } => {
            let path = format!("{PATH}/import");
            let roster: Roster = context.client()?.post(&path, &file::read(&file)?).await?;
            context.out.done(&now_current(&roster), &roster)
        }
    }
}

fn now_current(roster: &Roster) -> String {
    format!("roster {} is now current", roster.number)
}

fn verify(roster: &Roster, context: &Context) -> Result<(), Problem> {
    let number = roster.number;
    if roster.valid {
        let sentence = format!("roster {number} is signed by the charter and valid; {}", roster.charter);
        return context.out.done(&sentence, roster);
    }
    let expired = format!("roster {number} expired at {}", roster.not_after);
    Err(Problem::new(ErrorKind::Integrity, expired).help("ask the coordinator for a newer one"))
}

fn show(roster: &Roster, context: &Context) -> Result<(), Problem> {
    let out = &context.out;
    if out.format() == Format::Json {
        return out.record(roster);
    }
    note_not_dialed(roster, context);
    out.note(&format!(
        "{}, roster {}, valid until {}; {}",
        roster.consortium, roster.number, roster.not_after, roster.charter
    ));
    out.list(&roster.members, &COLUMNS)?;
    // One table for a program that reads CSV.
    if out.format() == Format::Csv {
        return Ok(());
    }
    let nodes = roster.members.iter().flat_map(|member| {
        let nodes = member.nodes.iter();
        nodes.map(move |node| (member.institution.as_str(), node))
    });
    let rows: Vec<AddressRow<'_>> = nodes
        .flat_map(|(institution, node)| {
            node.known.iter().map(move |known| AddressRow {
                institution,
                address: known.address.as_str(),
                stated_by: &known.stated_by,
                last_good: known.last_good.as_deref(),
            })
        })
        .collect();
    out.text("\n")?;
    out.list(&rows, &ADDRESS_COLUMNS)
}

/// An address of a member, as it is printed.
#[derive(Debug, Serialize)]
struct AddressRow<'a> {
    institution: &'a str,
    address: &'a str,
    stated_by: &'a str,
    last_good: Option<&'a str>,
}

/// Notes which addresses of members this node does not dial.
pub(super) fn note_not_dialed(roster: &Roster, context: &Context) {
    for found in &roster.not_dialed {
        let who = &found.institution;
        let address = &found.address;
        let reason = &found.reason;
        context
            .out
            .note(&format!("`{address}` of `{who}` is not dialed: {reason}"));
    }
}
