//! The ledger: its entries, its verification, and inclusion proofs.

use axum::{
    Json,
    extract::{Path, Query, State},
    routing::{get, post},
};
use concordat_documents::problem::Problem;
use concordat_documents::{
    Items,
    audit::{AuditReport, CheckpointReport, Entry, Tail},
    openapi::Operation,
};
use concordat_protocol::audit::InclusionProof;
use concordat_storage::ledger::{self, LedgerError, StoredEntry};

use super::route::{Access, Route};
use super::state::Api;
use crate::{iam::Action, node::Node};

/// Entries that are returned if no number is given.
const TAIL: u64 = 20;
/// Most entries in one response.
const MAX_TAIL: u64 = 10_000;

pub(super) fn routes() -> Vec<Route> {
    let verify = Access::Needs(Action::VerifyLedger);
    vec![
        Route::new("/v1/audit/entries", Access::Needs(Action::ReadLedger), get(tail)).describe([Operation::get(
            "The newest entries of the ledger",
        )
        .query::<Tail>()
        .returns_items::<Entry>()]),
        Route::new("/v1/audit/verify", verify, post(check))
            .describe([Operation::post("Check the whole ledger").returns::<AuditReport>()]),
        Route::new("/v1/audit/proofs/{sequence}", verify, get(prove))
            .describe([Operation::get("The proof that an entry is in the ledger").returns_object()]),
    ]
}

async fn tail(State(api): State<Api>, Query(Tail { count }): Query<Tail>) -> Result<Json<Items<Entry>>, Problem> {
    let count = count.unwrap_or(TAIL).min(MAX_TAIL);
    let entries = api.blocking(move |node| node.ledger().tail(count)).await?;
    Ok(Json(entries.into_iter().map(shown).collect()))
}

pub(super) fn shown(stored: StoredEntry) -> Entry {
    let entry = stored.entry;
    Entry {
        sequence: entry.sequence,
        at: entry.at.to_string(),
        by: entry.cause.to_string(),
        what: entry.body.describe(),
        leaf: stored.leaf,
        cause: entry.cause,
        body: entry.body,
    }
}

/// The report as a document.
pub fn report(report: ledger::AuditReport) -> AuditReport {
    AuditReport {
        entries: report.entries,
        root: report.root,
        checkpoint: report.checkpoint.map(|checkpoint| CheckpointReport {
            size: checkpoint.size,
            signed_by: checkpoint.signed_by,
            at: checkpoint.at.to_string(),
            witnesses: checkpoint.witnesses,
        }),
        ok: report.ok,
        first_bad_entry: report.first_bad_entry,
        reason: report.reason,
    }
}

async fn check(State(api): State<Api>) -> Result<Json<AuditReport>, Problem> {
    api.blocking(|node| {
        let keys = node.storage().identities().institution_keys()?;
        let found = node.ledger().verify(&keys);
        // An invalid ledger is not signed.
        if !found.ok
            || found
                .checkpoint
                .as_ref()
                .is_some_and(|signed| signed.size == found.entries)
        {
            return Ok(Json(report(found)));
        }
        match sign(node) {
            // All of it was read just now; the verification that began at startup finishes on its own.
            Err(LedgerError::Verifying { .. }) => return Ok(Json(report(found))),
            signed => signed?,
        }
        Ok::<_, Problem>(Json(report(node.ledger().verify(&keys))))
    })
    .await
}

async fn prove(State(api): State<Api>, Path(sequence): Path<u64>) -> Result<Json<InclusionProof>, Problem> {
    api.blocking(move |node| {
        sign_with_current_key(node)?;
        match node.ledger().prove(sequence) {
            Err(LedgerError::NotCheckpointed { .. }) if sequence < node.ledger().size() => {
                sign(node)?;
                node.ledger().prove(sequence).map(Json)
            }
            proof => proof.map(Json),
        }
    })
    .await
}

/// Signs a checkpoint if the stored one is signed with an earlier key: proofs are checked with the current one.
pub(super) fn sign_with_current_key(node: &Node) -> Result<(), LedgerError> {
    let current = node.identity().institution_public();
    let checkpoint = node.ledger().latest_checkpoint()?;
    match checkpoint.map(|signed| signed.verify(current)) {
        Some(Ok(_)) | None => Ok(()),
        Some(Err(_)) => sign(node),
    }
}

pub(super) fn sign(node: &Node) -> Result<(), LedgerError> {
    node.ledger()
        .checkpoint(&node.identity().institution_key(), node.clock().now())
        .map(drop)
}
