//! The ledger: its entries, its verification, and inclusion proofs.

use axum::{
    Json,
    extract::{Path, Query, State},
    routing::{get, post},
};
use concordat_protocol::audit::InclusionProof;
use concordat_storage::ledger::{AuditReport, LedgerError, StoredEntry};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Access, Api, Route};
use crate::{iam::Action, node::Node, problem::Problem};

/// Entries that are returned if no number is given.
const TAIL: u64 = 20;
/// Most entries in one response.
const MAX_TAIL: u64 = 10_000;

pub(super) fn routes() -> Vec<Route> {
    let verify = Access::Needs(Action::VerifyLedger);
    vec![
        Route::new("/v1/audit/entries", Access::Needs(Action::ReadLedger), get(tail)),
        Route::new("/v1/audit/verify", verify, post(check)),
        Route::new("/v1/audit/proofs/{sequence}", verify, get(prove)),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tail {
    count: Option<u64>,
}

async fn tail(State(api): State<Api>, Query(Tail { count }): Query<Tail>) -> Result<Json<Value>, Problem> {
    let count = count.unwrap_or(TAIL).min(MAX_TAIL);
    let entries = api.blocking(move |node| node.ledger().tail(count)).await?;
    let items: Vec<Value> = entries.iter().map(entry_json).collect();
    Ok(Json(json!({ "items": items })))
}

pub(super) fn entry_json(stored: &StoredEntry) -> Value {
    let entry = &stored.entry;
    json!({
        "sequence": entry.sequence,
        "at": entry.at.to_string(),
        "by": entry.cause.to_string(),
        "what": entry.body.describe(),
        "leaf": stored.leaf,
        "cause": entry.cause,
        "body": entry.body,
    })
}

async fn check(State(api): State<Api>) -> Result<Json<AuditReport>, Problem> {
    api.blocking(|node| {
        let keys = node.storage().identities().institution_keys()?;
        let report = node.ledger().verify(&keys);
        // An invalid ledger is not signed.
        if !report.ok
            || report
                .checkpoint
                .as_ref()
                .is_some_and(|signed| signed.size == report.entries)
        {
            return Ok(Json(report));
        }
        match sign(node) {
            // All of it was read just now; the verification that began at startup finishes on its own.
            Err(LedgerError::Verifying { .. }) => return Ok(Json(report)),
            signed => signed?,
        }
        Ok::<_, Problem>(Json(node.ledger().verify(&keys)))
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
