//! `concordat consortium …`

use crate::json::Field as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use data_encoding::BASE64;
use serde_json::{Value, json};

use super::Context;
use crate::fault::Problem;

/// The charter and the signed roster.
#[derive(Debug, Subcommand)]
pub(super) enum ConsortiumCommand {
    /// Found a consortium with this institution as its first member
    Found {
        /// Name of the consortium
        #[arg(long)]
        name: String,
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
    },
    /// Remove a member; its connections are closed at once
    Remove {
        /// Its short id
        institution: String,
    },
    /// Join the consortium whose roster is in FILE
    Join {
        /// The roster
        file: PathBuf,
    },
    /// The signed list of members
    #[command(subcommand)]
    Roster(RosterCommand),
}

/// The signed list of members.
#[derive(Debug, Subcommand)]
pub(super) enum RosterCommand {
    /// Show the members
    Show {
        /// Print the signed roster as text that can be mailed
        #[arg(long)]
        armour: bool,
    },
    /// Check that the roster is in force
    Verify,
    /// Take a newer roster from FILE
    Import {
        /// The roster
        file: PathBuf,
    },
}

/// Runs the command.
///
/// # Errors
/// What the node answered.
pub(super) async fn run(command: ConsortiumCommand, context: &Context) -> Result<(), Problem> {
    match command {
        ConsortiumCommand::Found { name } => {
            let roster: Value = context
                .client()?
                .post("/v1/consortium/found", &json!({ "name": name }))
                .await?;
            context.out.done(
                &format!(
                    "founded `{name}`; charter 1 of 1, key {}",
                    roster.text("charter_fingerprint")
                ),
                &roster,
            )
        }
        ConsortiumCommand::Enrol { beside } => {
            const PATH: &str = "/v1/consortium/enrolment";
            let enrolment: Value = match beside {
                Some(roster) => context.client()?.post(PATH, &contents(&roster)?).await?,
                None => context.client()?.get(PATH).await?,
            };
            context.out.text(&enrolment.text("armour"))
        }
        ConsortiumCommand::Admit { file } => {
            let admitted: Value = context
                .client()?
                .post("/v1/consortium/members", &contents(&file)?)
                .await?;
            let (who, key) = (admitted.text("institution"), admitted.text("fingerprint"));
            context.out.done(
                &format!("admitted `{who}`; compare its key by telephone: {key}"),
                &admitted,
            )
        }
        ConsortiumCommand::Remove { institution } => {
            let path = format!(
                "/v1/consortium/members/{}/remove",
                crate::api::client::segment(&institution)
            );
            let roster: Value = context.client()?.post(&path, &json!({})).await?;
            context.out.done(
                &format!("removed `{institution}`; roster {} is in force", roster.at("number")),
                &roster,
            )
        }
        ConsortiumCommand::Join { file } => {
            let roster: Value = context.client()?.post("/v1/consortium/join", &contents(&file)?).await?;
            let (name, key) = (roster.text("consortium"), roster.text("charter_fingerprint"));
            context.out.done(
                &format!(
                    "joined `{name}`; charter 1 of 1: one key can change the roster; compare it by telephone: {key}"
                ),
                &roster,
            )
        }
        ConsortiumCommand::Roster(roster) => run_roster(roster, context).await,
    }
}

async fn run_roster(command: RosterCommand, context: &Context) -> Result<(), Problem> {
    match command {
        RosterCommand::Show { armour: true } => {
            let roster: Value = context.client()?.get("/v1/consortium/roster").await?;
            context.out.text(&roster.text("armour"))
        }
        RosterCommand::Show { armour: false } => {
            let roster: Value = context.client()?.get("/v1/consortium/roster").await?;
            show(&roster, context)
        }
        RosterCommand::Verify => {
            let roster: Value = context.client()?.get("/v1/consortium/roster").await?;
            if roster.at("in_force") == true {
                context.out.done(
                    &format!(
                        "roster {} is signed by the charter key and in force",
                        roster.at("number")
                    ),
                    &roster,
                )
            } else {
                let expired = format!("roster {} expired at {}", roster.at("number"), roster.text("not_after"));
                Err(Problem::new(crate::fault::Code::Integrity, expired).help("ask the coordinator for a newer one"))
            }
        }
        RosterCommand::Import { file } => {
            let roster: Value = context
                .client()?
                .post("/v1/consortium/roster/import", &contents(&file)?)
                .await?;
            context
                .out
                .done(&format!("roster {} is in force", roster.at("number")), &roster)
        }
    }
}

fn show(roster: &Value, context: &Context) -> Result<(), Problem> {
    let out = &context.out;
    if out.format() == super::Format::Json {
        return out.record(roster);
    }
    let (name, number, until) = (
        roster.text("consortium"),
        &roster.at("number"),
        roster.text("not_after"),
    );
    out.remark(&format!("{name}, roster {number}, in force until {until}"));
    let columns = [
        ("institution", "institution"),
        ("name", "name"),
        ("law", "jurisdiction"),
        ("status", "status"),
        ("connected", "connected"),
        ("key", "fingerprint"),
    ];
    out.list(roster.at("members"), &columns)
}

fn contents(file: &Path) -> Result<Value, Problem> {
    let bytes =
        std::fs::read(file).map_err(|error| Problem::usage(format!("cannot read `{}`: {error}", file.display())))?;
    Ok(json!({ "file": BASE64.encode(&bytes) }))
}
