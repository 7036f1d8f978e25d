//! `concordat consortium …`

mod charter;
mod file;
mod ledger;
mod outcome;
mod roster;
mod signing;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use concordat_documents::Empty;
use concordat_documents::consortium::{
    Admitted, AdmittedMember, Application, ConfirmedKey, IssuedChange, KeyConfirmation, NewConsortium, NewMember,
    ProposedChange, Roster,
};
use concordat_documents::problem::Problem;
use concordat_protocol::ids::InstitutionId;
use concordat_protocol::text::ConsortiumName;

use crate::context::Context;
use charter::CharterCommand;
use concordat_client::segment;
use ledger::LedgerCommand;
use roster::RosterCommand;

/// The charter and the signed roster.
#[derive(Debug, Subcommand)]
pub enum ConsortiumCommand {
    /// Found a consortium with this institution as its first member
    Found {
        /// Name of the consortium
        #[arg(long)]
        name: ConsortiumName,
    },
    /// Print this institution's application to join, or its newer statement of its nodes and addresses
    Enrol {
        /// A roster that lists this institution's other nodes, for a further node that has not joined yet
        #[arg(long, value_name = "ROSTER")]
        beside: Option<PathBuf>,
    },
    /// Admit the institution whose application is in FILE
    Admit {
        /// The application
        file: PathBuf,
        /// Dial this host of the applicant even if `dial` in `[node]` of concordat.toml does not cover it; can be repeated
        #[arg(long = "allow-host", value_name = "IP")]
        allow_hosts: Vec<IpAddr>,
        /// The applicant is a member that has lost its key: replace it with the new one, after comparing it by telephone
        #[arg(long)]
        replace_key: bool,
    },
    /// Confirm the new key of a member, which the holders of the charter replaced, after comparing it with the member
    ConfirmKey {
        /// Its short id
        institution: InstitutionId,
        /// The fingerprint of its key, as the member has read it out
        #[arg(long)]
        fingerprint: String,
    },
    /// Remove a member; its connections are closed at once
    Remove {
        /// Its short id
        institution: InstitutionId,
    },
    /// Join the consortium whose roster is in FILE
    Join {
        /// The roster
        file: PathBuf,
    },
    /// The signed list of members
    #[command(subcommand)]
    Roster(RosterCommand),
    /// Whose signatures change the list of members
    #[command(subcommand)]
    Charter(CharterCommand),
    /// Ledgers that contradict what their nodes have signed
    #[command(subcommand)]
    Ledger(LedgerCommand),
}

/// Runs the command.
///
/// # Errors
/// The problem that the node returned.
pub(crate) async fn run(command: ConsortiumCommand, context: &Context) -> Result<(), Problem> {
    match command {
        ConsortiumCommand::Found { name } => found(name, context).await,
        ConsortiumCommand::Enrol { beside } => enroll(beside.as_deref(), context).await,
        ConsortiumCommand::Admit {
            file,
            allow_hosts,
            replace_key,
        } => {
            let new = NewMember {
                file: file::read(&file)?.file,
                allow_hosts,
                replace_key,
            };
            admit(&new, context).await
        }
        ConsortiumCommand::ConfirmKey {
            institution,
            fingerprint,
        } => confirm_key(&institution, fingerprint, context).await,
        ConsortiumCommand::Remove { institution } => remove(&institution, context).await,
        ConsortiumCommand::Join { file } => join(&file, context).await,
        ConsortiumCommand::Roster(command) => roster::run(command, context).await,
        ConsortiumCommand::Charter(command) => charter::run(command, context).await,
        ConsortiumCommand::Ledger(command) => ledger::run(command, context).await,
    }
}

async fn found(name: ConsortiumName, context: &Context) -> Result<(), Problem> {
    let new = NewConsortium { name };
    let roster: Roster = context.client()?.post("/v1/consortium/found", &new).await?;
    let name = &new.name;
    let key = &roster.charter_fingerprint;
    context
        .out
        .done(&format!("founded `{name}`; charter 1 of 1, key {key}"), &roster)
}

async fn enroll(beside: Option<&Path>, context: &Context) -> Result<(), Problem> {
    const PATH: &str = "/v1/consortium/enrollment";
    let application: Application = match beside {
        Some(roster) => context.client()?.post(PATH, &file::read(roster)?).await?,
        None => context.client()?.get(PATH).await?,
    };
    context.out.text(&application.armor)
}

async fn admit(new: &NewMember, context: &Context) -> Result<(), Problem> {
    let admitted: Admitted = context.client()?.post("/v1/consortium/members", new).await?;
    match &admitted {
        Admitted::Active(AdmittedMember {
            institution,
            fingerprint,
            ..
        }) => {
            let sentence = format!("admitted `{institution}`; compare its key by telephone: {fingerprint}");
            context.out.done(&sentence, &admitted)
        }
        Admitted::Proposed(member) => {
            let change = ProposedChange {
                proposal: member.proposal.clone(),
                kind: member.kind.clone(),
                signatures: member.signatures,
                needed: member.needed,
            };
            outcome::proposed(&change, &admitted, context)
        }
    }
}

async fn confirm_key(institution: &InstitutionId, fingerprint: String, context: &Context) -> Result<(), Problem> {
    let path = format!("/v1/consortium/members/{}/confirm-key", segment(institution.as_str()));
    let confirmation = KeyConfirmation { fingerprint };
    let confirmed: ConfirmedKey = context.client()?.post(&path, &confirmation).await?;
    let sentence = format!(
        "the key of `{institution}` is confirmed; grants to its earlier key can be resumed with `concordat grant resume`"
    );
    context.out.done(&sentence, &confirmed)
}

async fn remove(institution: &InstitutionId, context: &Context) -> Result<(), Problem> {
    let path = format!("/v1/consortium/members/{}/remove", segment(institution.as_str()));
    let issued: IssuedChange = context.client()?.post(&path, &Empty {}).await?;
    let sentence = |roster: &Roster| format!("removed `{institution}`; roster {} is now current", roster.number);
    outcome::show(&issued, sentence, context)
}

async fn join(file: &Path, context: &Context) -> Result<(), Problem> {
    let file = file::read(file)?;
    let joined: Roster = context.client()?.post("/v1/consortium/join", &file).await?;
    roster::note_not_dialed(&joined, context);
    let name = &joined.consortium;
    let charter = &joined.charter;
    let key = &joined.charter_fingerprint;
    let sentence = format!("joined `{name}`; {charter}; compare it by telephone: {key}");
    context.out.done(&sentence, &joined)
}
