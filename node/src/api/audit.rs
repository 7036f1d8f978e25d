//! The ledger: its entries, whether it is whole, and proofs for others.

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
use crate::{fault::Problem, iam::Action, node::Node};

/// Entries that are shown where no number is given.
const TAIL: u64 = 20;
/// Most entries of one answer.
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
    let items: Vec<Value> = entries.iter().map(shown).collect();
    Ok(Json(json!({ "items": items })))
}

pub(super) fn shown(stored: &StoredEntry) -> Value {
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
        // A ledger that does not hold is not signed.
        if !report.ok
            || report
                .checkpoint
                .as_ref()
                .is_some_and(|signed| signed.size == report.entries)
        {
            return Ok(Json(report));
        }
        match sign(node) {
            // All of it was read just now; what the start has left to read follows by itself.
            Err(LedgerError::Verifying { .. }) => return Ok(Json(report)),
            signed => signed?,
        }
        Ok::<_, Problem>(Json(node.ledger().verify(&keys)))
    })
    .await
}

async fn prove(State(api): State<Api>, Path(sequence): Path<u64>) -> Result<Json<InclusionProof>, Problem> {
    api.blocking(move |node| {
        sign_with_present_key(node)?;
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

/// Signs a checkpoint if the one that lies here is by an earlier key: proofs are checked with the present one.
pub(super) fn sign_with_present_key(node: &Node) -> Result<(), LedgerError> {
    let present = node.identity().institution_public();
    let checkpoint = node.ledger().latest_checkpoint()?;
    match checkpoint.map(|signed| signed.verify(present)) {
        Some(Ok(_)) | None => Ok(()),
        Some(Err(_)) => sign(node),
    }
}

pub(super) fn sign(node: &Node) -> Result<(), LedgerError> {
    node.ledger()
        .checkpoint(&node.identity().institution_key(), node.clock().now())
        .map(drop)
}
