//! `concordat audit …`: the ledger.

use clap::Subcommand;
use concordat_client::{Client, segment};
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
use serde::Serialize;

use crate::context::Context;
use crate::output::Format;

/// Commands about the ledger. If no node is running, `verify` fails with [`ErrorKind::Unreachable`], and the caller can check the ledger on
/// its disk instead.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
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

impl AuditCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// The problem that the node returned, or that it is not running.
    pub async fn run(self, context: &Context) -> Result<(), Problem> {
        let client = context.client()?;
        match self {
            Self::Tail { count } => {
                let entries: Items<Entry> = client.get(&format!("/v1/audit/entries?count={count}")).await?;
                context.out.list(
                    &entries.items,
                    &[("entry", "sequence"), ("at", "at"), ("by", "by"), ("what", "what")],
                )
            }
            Self::Verify => print_audit_report(&client.post("/v1/audit/verify", &Empty {}).await?, context),
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
    let interrupted = |error| Problem::internal("the export was interrupted", &error);
    while let Some(bytes) = body.next().await.map_err(interrupted)? {
        context.out.text(&String::from_utf8_lossy(&bytes))?;
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

/// Prints the report of a check.
///
/// # Errors
/// With the exit code for integrity, if the ledger is invalid.
pub fn print_audit_report(report: &AuditReport, context: &Context) -> Result<(), Problem> {
    context.out.record(report)?;
    if report.ok {
        return Ok(());
    }
    let reason = report.reason.as_deref().unwrap_or("the report contains no reason");
    Err(Problem::new(ErrorKind::Integrity, "the ledger is invalid")
        .because([reason])
        .help("stop the node, keep the directory as it is, and restore a backup elsewhere to compare"))
}
