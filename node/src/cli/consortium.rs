//! `concordat consortium …`

mod signing;

use crate::json::Field as _;
use concordat_documents::problem::Problem;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use data_encoding::BASE64;
use serde_json::{Value, json};

use super::context::Context;

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
        institution: String,
        /// The fingerprint of its key, as the member has read it out
        #[arg(long)]
        fingerprint: String,
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
    /// Whose signatures change the list of members
    #[command(subcommand)]
    Charter(CharterCommand),
    /// Ledgers that contradict what their nodes have signed
    #[command(subcommand)]
    Ledger(LedgerCommand),
}

/// Ledgers that contradict what their nodes have signed.
#[derive(Debug, Subcommand)]
pub(super) enum LedgerCommand {
    /// List them, with each head
    List,
    /// Continue with a member whose ledger is not the one known before; the given head is the base from now on
    Acknowledge {
        /// Its short id
        institution: String,
        /// The head that it presented, as `list` shows its root; its later heads must extend it
        #[arg(long)]
        head: String,
    },
    /// Continue with this node from an older copy of its ledger, after an intended restore
    AcknowledgeOwn {
        /// The signed head that the ledger does not extend, as `list` shows it
        #[arg(long)]
        head: String,
    },
}

/// Whose signatures change the list of members.
#[derive(Debug, Subcommand)]
pub(super) enum CharterCommand {
    /// Show the charter
    Show,
    /// Require the signatures of THRESHOLD of these members to change the roster from now on
    Set {
        /// How many of them must sign
        #[arg(long)]
        threshold: u8,
        /// A member that holds a key of the charter; repeat for each
        #[arg(long = "holder", required = true)]
        holders: Vec<String>,
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
        expect: Option<String>,
    },
}

/// The signed list of members.
#[derive(Debug, Subcommand)]
pub(super) enum RosterCommand {
    /// Show the members
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
        expect: Option<String>,
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
            const PATH: &str = "/v1/consortium/enrollment";
            let enrollment: Value = match beside {
                Some(roster) => context.client()?.post(PATH, &file_body(&roster)?).await?,
                None => context.client()?.get(PATH).await?,
            };
            context.out.text(&enrollment.text("armor"))
        }
        ConsortiumCommand::Admit {
            file,
            allow_hosts,
            replace_key,
        } => {
            let mut body = file_body(&file)?;
            if let Some(body) = body.as_object_mut() {
                body.insert("allow_hosts".to_owned(), json!(allow_hosts));
                body.insert("replace_key".to_owned(), json!(replace_key));
            }
            let admitted: Value = context.client()?.post("/v1/consortium/members", &body).await?;
            let (who, key) = (admitted.text("institution"), admitted.text("fingerprint"));
            conclude(
                &format!("admitted `{who}`; compare its key by telephone: {key}"),
                &admitted,
                context,
            )
        }
        ConsortiumCommand::ConfirmKey {
            institution,
            fingerprint,
        } => {
            let path = format!(
                "/v1/consortium/members/{}/confirm-key",
                crate::api::client::segment(&institution)
            );
            let confirmed: Value = context
                .client()?
                .post(&path, &json!({ "fingerprint": fingerprint }))
                .await?;
            let sentence = format!(
                "the key of `{institution}` is confirmed; grants to its earlier key can be resumed with `concordat grant resume`"
            );
            context.out.done(&sentence, &confirmed)
        }
        ConsortiumCommand::Remove { institution } => {
            let path = format!(
                "/v1/consortium/members/{}/remove",
                crate::api::client::segment(&institution)
            );
            let roster: Value = context.client()?.post(&path, &json!({})).await?;
            conclude(
                &format!("removed `{institution}`; roster {} is now current", roster.at("number")),
                &roster,
                context,
            )
        }
        ConsortiumCommand::Join { file } => {
            let roster: Value = context
                .client()?
                .post("/v1/consortium/join", &file_body(&file)?)
                .await?;
            note_not_dialed(&roster, context);
            let (name, key) = (roster.text("consortium"), roster.text("charter_fingerprint"));
            context.out.done(
                &format!(
                    "joined `{name}`; {}; compare it by telephone: {key}",
                    roster.text("charter")
                ),
                &roster,
            )
        }
        ConsortiumCommand::Roster(roster) => run_roster(roster, context).await,
        ConsortiumCommand::Charter(charter) => run_charter(charter, context).await,
        ConsortiumCommand::Ledger(ledger) => run_ledger(ledger, context).await,
    }
}

async fn run_ledger(command: LedgerCommand, context: &Context) -> Result<(), Problem> {
    const PATH: &str = "/v1/consortium/ledgers";
    let client = context.client()?;
    match command {
        LedgerCommand::List => {
            let ledgers: Value = client.get(PATH).await?;
            if context.out.format() == super::output::Format::Json {
                return context.out.record(&ledgers);
            }
            let own = ledgers.at("own");
            if !own.is_null() {
                context.out.note(&format!(
                    "this node has signed {} entries that its ledger does not extend, head {}",
                    own.at("signed_entries"),
                    own.text("head")
                ));
            }
            let columns = [
                ("institution", "institution"),
                ("node", "node"),
                ("head", "head"),
                ("known", "known_entries"),
                ("presented", "shown_entries"),
                ("at", "at"),
                ("reason", "reason"),
            ];
            context.out.list(ledgers.at("items"), &columns)
        }
        LedgerCommand::Acknowledge { institution, head } => {
            let body = json!({ "institution": institution, "head": head });
            let done: Value = client.post(&format!("{PATH}/acknowledge"), &body).await?;
            let sentence = format!(
                "the {} entries that a node of `{institution}` presented, root {}, are the base from now on",
                done.at("shown_entries"),
                done.text("head")
            );
            context.out.done(&sentence, &done)
        }
        LedgerCommand::AcknowledgeOwn { head } => {
            let done: Value = client
                .post(&format!("{PATH}/acknowledge-own"), &json!({ "head": head }))
                .await?;
            let sentence = "this node continues from its older ledger; each other member must acknowledge that, too";
            context.out.done(sentence, &done)
        }
    }
}

async fn run_charter(command: CharterCommand, context: &Context) -> Result<(), Problem> {
    let sentence = |issued: &Value| {
        format!(
            "{}; roster {} is now current",
            issued.text("charter"),
            issued.at("number")
        )
    };
    let issued: Value = match command {
        CharterCommand::Show => {
            let roster: Value = context.client()?.get("/v1/consortium/roster").await?;
            let (charter, keys) = (roster.text("charter"), roster.text("charter_fingerprint"));
            return context.out.done(&format!("{charter}; {keys}"), &roster);
        }
        CharterCommand::Set { threshold, holders } => {
            let body = json!({ "threshold": threshold, "holders": holders });
            context.client()?.post("/v1/consortium/charter", &body).await?
        }
        CharterCommand::Review { file } => return signing::review("charter", &file, context).await,
        CharterCommand::Sign { file, expect } => signing::sign("charter", &file, expect, context).await?,
    };
    conclude(&sentence(&issued), &issued, context)
}

/// Prints what changed, or the proposal that other holders must sign.
fn conclude(sentence: &str, issued: &Value, context: &Context) -> Result<(), Problem> {
    let Some(proposal) = issued.at("proposal").as_str() else {
        return context.out.done(sentence, issued);
    };
    if context.out.format() == super::output::Format::Json {
        return context.out.record(issued);
    }
    let (kind, signatures, needed) = (issued.text("kind"), issued.at("signatures"), issued.at("needed"));
    context.out.note(&format!(
        "nothing has changed yet: {signatures} of {needed} holders have signed; the next one runs `concordat consortium {kind} sign FILE`"
    ));
    context.out.text(proposal)
}

async fn run_roster(command: RosterCommand, context: &Context) -> Result<(), Problem> {
    match command {
        RosterCommand::Show { armor: true } => {
            let roster: Value = context.client()?.get("/v1/consortium/roster").await?;
            context.out.text(&roster.text("armor"))
        }
        RosterCommand::Show { armor: false } => {
            let roster: Value = context.client()?.get("/v1/consortium/roster").await?;
            show(&roster, context)
        }
        RosterCommand::Verify => {
            let roster: Value = context.client()?.get("/v1/consortium/roster").await?;
            if roster.at("valid") == true {
                context.out.done(
                    &format!(
                        "roster {} is signed by the charter and valid; {}",
                        roster.at("number"),
                        roster.text("charter")
                    ),
                    &roster,
                )
            } else {
                let expired = format!("roster {} expired at {}", roster.at("number"), roster.text("not_after"));
                Err(
                    Problem::new(concordat_protocol::error_kind::ErrorKind::Integrity, expired)
                        .help("ask the coordinator for a newer one"),
                )
            }
        }
        RosterCommand::Review { file } => signing::review("roster", &file, context).await,
        RosterCommand::Sign { file, expect } => {
            let issued = signing::sign("roster", &file, expect, context).await?;
            conclude(
                &format!("roster {} is now current", issued.at("number")),
                &issued,
                context,
            )
        }
        RosterCommand::Import { file } => {
            let roster: Value = context
                .client()?
                .post("/v1/consortium/roster/import", &file_body(&file)?)
                .await?;
            context
                .out
                .done(&format!("roster {} is now current", roster.at("number")), &roster)
        }
    }
}

fn show(roster: &Value, context: &Context) -> Result<(), Problem> {
    let out = &context.out;
    if out.format() == super::output::Format::Json {
        return out.record(roster);
    }
    let (name, number, until) = (
        roster.text("consortium"),
        &roster.at("number"),
        roster.text("not_after"),
    );
    let charter = roster.text("charter");
    note_not_dialed(roster, context);
    out.note(&format!("{name}, roster {number}, valid until {until}; {charter}"));
    let columns = [
        ("institution", "institution"),
        ("name", "name"),
        ("jurisdiction", "jurisdiction"),
        ("status", "status"),
        ("connected", "connected"),
        ("key", "fingerprint"),
    ];
    out.list(roster.at("members"), &columns)
}

/// Notes which addresses of members this node does not dial.
fn note_not_dialed(roster: &Value, context: &Context) {
    for found in roster.at("not_dialed").as_array().into_iter().flatten() {
        let (who, address, reason) = (found.text("institution"), found.text("address"), found.text("reason"));
        context
            .out
            .note(&format!("`{address}` of `{who}` is not dialed: {reason}"));
    }
}

fn file_body(file: &Path) -> Result<Value, Problem> {
    let bytes =
        std::fs::read(file).map_err(|error| Problem::usage(format!("cannot read `{}`: {error}", file.display())))?;
    Ok(json!({ "file": BASE64.encode(&bytes) }))
}
