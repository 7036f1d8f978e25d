//! `concordat audit …`: the ledger.

use clap::Subcommand;
use concordat_documents::problem::Problem;
use concordat_documents::{
    Empty, Items,
    audit::{AuditReport, Entry},
    evidence::{QueryRecord, WriteOff, WrittenOff},
};
use concordat_protocol::audit::InclusionProof;
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::query::EvidenceBundle;
use concordat_protocol::text::Reason;
use concordat_storage::ledger::Ledger;
use http_body_util::BodyExt as _;
use serde::Serialize;

use super::context::Context;
use super::output::Format;
use super::unlock;
use crate::{
    api::client::{Client, segment},
    config::Config,
    services::ledger::report,
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
    /// Write off a receipt that the other institution cannot countersign, so that its queries are answered again
    WriteOff {
        /// The id of the query; the refusal that the other institution got names it
        query: String,
        /// Why it cannot be countersigned, for the ledger
        #[arg(long)]
        reason: Reason,
    },
    /// The complete ledger as a file for `concordat-verify`; it names people: `audit export > FILE`
    Export,
}

impl Verb {
    pub(super) async fn run(self, context: &Context) -> Result<(), Problem> {
        let client = context.client()?;
        match self {
            Self::Tail { count } => {
                let entries: Items<Entry> = client.get(&format!("/v1/audit/entries?count={count}")).await?;
                context.out.list(
                    &entries.items,
                    &[("entry", "sequence"), ("at", "at"), ("by", "by"), ("what", "what")],
                )
            }
            Self::Verify => match client.post("/v1/audit/verify", &Empty {}).await {
                Err(problem) if problem.code == ErrorKind::Unreachable => verify_on_disk(context).await,
                report => conclude(&report?, context),
            },
            Self::Prove { sequence } => {
                let proof: InclusionProof = client.get(&format!("/v1/audit/proofs/{sequence}")).await?;
                context.out.file(&proof)
            }
            Self::Show { query } => {
                let record: QueryRecord = client.get(&format!("/v1/audit/queries/{}", segment(&query))).await?;
                match context.out.format() {
                    Format::Table => context.out.record_with_lists(&Shown::from(record), &["entries"]),
                    Format::Json | Format::Csv => context.out.record(&record),
                }
            }
            Self::Receipt { query } => {
                let bundle: EvidenceBundle = client.get(&format!("/v1/audit/receipts/{}", segment(&query))).await?;
                context.out.file(&bundle)
            }
            Self::WriteOff { query, reason } => {
                let path = format!("/v1/audit/queries/{}/write-off", segment(&query));
                let done: WrittenOff = client.post(&path, &WriteOff { reason }).await?;
                context.out.record(&done)
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

/// A record in a table: each entry is a sentence, and replaces the entry in the record.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    record: QueryRecord,
    entries: Vec<String>,
}

impl From<QueryRecord> for Shown {
    fn from(mut record: QueryRecord) -> Self {
        let entries = std::mem::take(&mut record.entries).into_iter();
        let lines = entries.map(|entry| format!("{}: {}, by {}: {}", entry.sequence, entry.at, entry.by, entry.what));
        Self {
            entries: lines.collect(),
            record,
        }
    }
}

/// Checks the ledger of a stopped node, including one that cannot start because of its ledger.
async fn verify_on_disk(context: &Context) -> Result<(), Problem> {
    let config = Config::load(&context.dir)?;
    let storage = unlock::storage(&config, &context.dir).await?;
    let keys = storage.identities().institution_keys()?;
    let found = Ledger::inspect(&storage.ledger_dir(), &storage.ledger_key(), &keys);
    conclude(&report(found), context)
}

fn conclude(report: &AuditReport, context: &Context) -> Result<(), Problem> {
    context.out.record(report)?;
    if report.ok {
        return Ok(());
    }
    let reason = report.reason.as_deref().unwrap_or("the report contains no reason");
    Err(Problem::new(ErrorKind::Integrity, "the ledger is invalid")
        .because([reason])
        .help("stop the node, keep the directory as it is, and restore a backup elsewhere to compare"))
}
