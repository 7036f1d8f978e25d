//! `concordat audit …`: the ledger.

use crate::json::Field as _;
use clap::Subcommand;
use concordat_storage::ledger::Ledger;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::{Context, output::Format, unlock};
use crate::{
    api::client::{Client, segment},
    config::Config,
    problem::{Code, Problem},
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// The newest entries
    Tail {
        /// How many
        #[arg(short = 'n', long, default_value_t = 20)]
        count: u64,
    },
    /// Check every entry, the chain, the root and the checkpoint; exits with code 6 if anything is invalid
    Verify,
    /// Prove to others that an entry is in the ledger
    Prove {
        /// Number of the entry
        sequence: u64,
    },
    /// The record of a query: who sent it, how it ended, who signed; for auditors also its text
    Show {
        /// Its id, or a prefix of it as `audit tail` shows it
        query: String,
    },
    /// The evidence of a query as a file for `concordat-verify`: `audit receipt QUERY > FILE`
    Receipt {
        /// Its id, or a prefix of it as `audit tail` shows it
        query: String,
    },
    /// The complete ledger as a file for `concordat-verify`; it names people: `audit export > FILE`
    Export,
}

impl Verb {
    pub(super) async fn run(self, context: &Context) -> Result<(), Problem> {
        let client = context.client()?;
        match self {
            Self::Tail { count } => {
                let entries: Value = client.get(&format!("/v1/audit/entries?count={count}")).await?;
                context.out.list(
                    entries.at("items"),
                    &[("entry", "sequence"), ("at", "at"), ("by", "by"), ("what", "what")],
                )
            }
            Self::Verify => match client.post("/v1/audit/verify", &json!({})).await {
                Err(problem) if problem.code == Code::Unreachable => verify_on_disk(context).await,
                report => conclude(&report?, context),
            },
            Self::Prove { sequence } => {
                let proof: Value = client.get(&format!("/v1/audit/proofs/{sequence}")).await?;
                context.out.text(&format!("{proof:#}\n"))
            }
            Self::Show { query } => {
                let mut shown: Value = client.get(&format!("/v1/audit/queries/{}", segment(&query))).await?;
                if matches!(context.out.format(), Format::Table) {
                    flatten_entries(&mut shown);
                }
                context.out.record(&shown)
            }
            Self::Receipt { query } => {
                let bundle: Value = client.get(&format!("/v1/audit/receipts/{}", segment(&query))).await?;
                context.out.text(&format!("{bundle:#}\n"))
            }
            Self::Export => export(&client, context).await,
        }
    }
}

async fn export(client: &Client, context: &Context) -> Result<(), Problem> {
    let mut body = client.raw_get("/v1/audit/export").await?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Problem::internal("the export was interrupted", &error))?;
        if let Ok(bytes) = frame.into_data() {
            context.out.text(&String::from_utf8_lossy(&bytes))?;
        }
    }
    Ok(())
}

/// In a table, an entry is shown as a sentence.
fn flatten_entries(shown: &mut Value) {
    if let Some(entries) = shown.get_mut("entries") {
        let sentences = entries.as_array().into_iter().flatten().map(|entry| {
            let part = |name: &str| entry.at(name).as_str().unwrap_or("-").to_owned();
            let number = entry.at("sequence").as_u64().unwrap_or_default();
            format!("{number}: {}, by {}: {}", part("at"), part("by"), part("what"))
        });
        *entries = sentences.collect::<Vec<_>>().join("\n").into();
    }
}

/// Checks the ledger of a stopped node, including one that cannot start because of its ledger.
async fn verify_on_disk(context: &Context) -> Result<(), Problem> {
    let config = Config::load(&context.dir)?;
    let storage = unlock::storage(&config, &context.dir).await?;
    let keys = storage.identities().institution_keys()?;
    let report = Ledger::inspect(&storage.ledger_dir(), &storage.ledger_key(), &keys);
    let report = serde_json::to_value(&report).map_err(|error| Problem::internal("cannot write the report", &error))?;
    conclude(&report, context)
}

fn conclude(report: &Value, context: &Context) -> Result<(), Problem> {
    context.out.record(report)?;
    if *report.at("ok") == Value::Bool(true) {
        return Ok(());
    }
    let reason = report.at("reason").as_str().unwrap_or("the report contains no reason");
    Err(Problem::new(Code::Integrity, "the ledger is invalid")
        .because([reason])
        .help("stop the node, keep the directory as it is, and restore a backup elsewhere to compare"))
}
