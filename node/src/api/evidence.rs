//! The evidence of queries, and the ledger as a file that others can verify.
//!
//! Only auditors can read the text of a query; everyone who may read the ledger can see that it was sent, by whom, and its outcome.

use axum::{
    Json,
    body::Body as HttpBody,
    extract::{Path, State},
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use concordat_documents::openapi::Operation;
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::{
    audit::{ExportHead, InclusionProof},
    identity::PrivateKey as _,
    ids::QueryId,
    query::{EvidenceBundle, query_of},
    text::Reason,
};
use concordat_storage::ledger::LedgerError;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::audit;
use super::body::Body;
use super::route::{Access, Caller, Route};
use super::state::Api;
use crate::{
    evidence::{EvidenceRecord, EvidenceSide},
    iam::Action,
    node::Node,
};

/// Ledger entries that are searched for the prefix of an id, from the newest on.
const SEARCHED: u64 = 100_000;
/// Entries that are read at a time.
const CHUNK: u64 = 4096;
/// Chunks of an export that wait for the reader.
const PREFETCH: usize = 2;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(
            "/v1/audit/queries/{query}",
            Access::Needs(Action::ReadLedger),
            get(show),
        )
        .describe([Operation::get("The record of a query; its text only for auditors").returns_object()]),
        Route::new(
            "/v1/audit/receipts/{query}",
            Access::Needs(Action::ReadEvidence),
            get(receipt),
        )
        .describe([Operation::get("The evidence of a query, for `concordat-verify`").returns_object()]),
        Route::new(
            "/v1/audit/queries/{query}/write-off",
            Access::Needs(Action::WriteOffReceipt),
            post(write_off),
        )
        .describe([
            Operation::post("Write off a receipt that its consumer cannot countersign")
                .accepts_object()
                .returns_object(),
        ]),
        Route::new("/v1/audit/export", Access::Needs(Action::ReadEvidence), get(export))
            .describe([
                Operation::get("The whole ledger, for `concordat-verify`").returns_bytes("application/x-ndjson")
            ]),
    ]
}

async fn show(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(query): Path<String>,
) -> Result<Json<Value>, Problem> {
    let with_text = actor.may(Action::ReadEvidence);
    api.blocking(move |node| {
        let (query, record) = find(node, &query)?;
        let entries = record
            .entries
            .iter()
            .map(|sequence| node.ledger().entry(*sequence).map(audit::shown))
            .collect::<Result<Vec<_>, LedgerError>>()?;
        let mut value = record_json(query, &record);
        if let Some(fields) = value.as_object_mut() {
            fields.insert("entries".to_owned(), json!(entries));
            fields.insert("open".to_owned(), node.evidence().is_open(query)?.into());
            if with_text {
                fields.insert("sql".to_owned(), record.sql.into());
            }
        }
        Ok::<_, Problem>(Json(value))
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteOffBody {
    reason: Reason,
}

async fn write_off(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(query): Path<String>,
    Body(WriteOffBody { reason }): Body<WriteOffBody>,
) -> Result<Json<Value>, Problem> {
    api.blocking(move |node| {
        let (query, _) = find(node, &query)?;
        let by = actor.attribution();
        let entry = (node.ledger(), &by, node.clock().now());
        if !node.evidence().write_off(query, reason, entry)? {
            return Err(Problem::new(
                ErrorKind::NotFound,
                format!("no receipt of query {} waits for a signature", query.short()),
            )
            .help("the refusal that the other institution got names the query whose receipt waits longest"));
        }
        Ok(Json(json!({ "query": query, "written_off": true })))
    })
    .await
}

fn record_json(query: QueryId, record: &EvidenceRecord) -> Value {
    let receipt = record
        .receipt
        .as_ref()
        .and_then(|receipt| receipt.peek_unverified().ok());
    let signed_by = match (&receipt, record.countersigned) {
        (None, _) => json!([]),
        (Some(_), false) => json!(["provider"]),
        (Some(_), true) => json!(["provider", "consumer"]),
    };
    json!({
        "query": query,
        "side": record.side,
        "at": record.at.to_string(),
        "actor": record.actor,
        "peer": record.peer.as_ref().map(|peer| &peer.institution),
        "node": record.peer.as_ref().map(|peer| peer.node),
        "grant": record.grant,
        "purpose": receipt.as_ref().map(|receipt| receipt.purpose.to_string()),
        "signed": record.envelope.is_some(),
        "rows": receipt.as_ref().map(|receipt| receipt.rows),
        "bytes": receipt.as_ref().map(|receipt| receipt.bytes),
        "outcome": receipt.as_ref().map(|receipt| &receipt.outcome),
        "receipt": record.receipt.as_ref().and_then(|receipt| receipt.payload_digest().ok()),
        "receipt_signed_by": signed_by,
    })
}

async fn receipt(State(api): State<Api>, Path(query): Path<String>) -> Result<Json<EvidenceBundle>, Problem> {
    api.blocking(move |node| {
        let (query, record) = find(node, &query)?;
        bundle(node, record)
            .map(Json)
            .map_err(|missing| missing_part(query, missing))
    })
    .await
}

/// Why the bundle is incomplete.
enum Missing {
    Part(&'static str),
    Problem(Problem),
}

fn missing_part(query: QueryId, missing: Missing) -> Problem {
    match missing {
        Missing::Problem(problem) => problem,
        Missing::Part(what) => Problem::new(ErrorKind::NotFound, format!("query {} has no {what}", query.short()))
            .help("`concordat audit show` shows how far it got"),
    }
}

fn bundle(node: &Node, record: EvidenceRecord) -> Result<EvidenceBundle, Missing> {
    let peer = record.peer.ok_or(Missing::Part(
        "other side: it was a local query on data of this institution",
    ))?;
    let certificates = match record.side {
        EvidenceSide::Provider => [peer.certificate, peer.own],
        EvidenceSide::Consumer => [peer.own, peer.certificate],
        EvidenceSide::Local => return Err(Missing::Part("other side")),
    };
    let envelope = record
        .envelope
        .ok_or(Missing::Part("signature: it ended before it was signed"))?;
    let receipt = record
        .receipt
        .ok_or(Missing::Part("receipt: nothing was released under it"))?;
    audit::sign_with_current_key(node).map_err(|error| Missing::Problem(error.into()))?;
    let proofs = record.entries.iter().map(|sequence| proof(node, *sequence));
    let proofs = proofs.collect::<Result<Vec<InclusionProof>, LedgerError>>();
    let proofs = proofs.map_err(|error| Missing::Problem(error.into()))?;
    let holder = node.identity().institution.clone();
    let successions = node.storage().identities().successions();
    let successions = successions.map_err(|error| Missing::Problem(error.into()))?;
    let receipt = (receipt, record.consumer_ledger);
    Ok(EvidenceBundle::new(holder, certificates, envelope, receipt, proofs).with_successions(successions))
}

/// A proof against a checkpoint that covers the entry.
fn proof(node: &Node, sequence: u64) -> Result<InclusionProof, LedgerError> {
    match node.ledger().prove(sequence) {
        Err(LedgerError::NotCheckpointed { .. }) if sequence < node.ledger().size() => {
            audit::sign(node)?;
            node.ledger().prove(sequence)
        }
        proof => proof,
    }
}

/// A query by its id or by a prefix of it, as the ledger shows it.
fn find(node: &Node, text: &str) -> Result<(QueryId, EvidenceRecord), Problem> {
    let unknown = || {
        Problem::new(ErrorKind::NotFound, format!("there is no record of a query `{text}`"))
            .help("`concordat audit tail` shows the first characters of query ids")
    };
    let query = match text.parse() {
        Ok(query) => query,
        Err(_) => newest_with_prefix(node, text)?.ok_or_else(unknown)?,
    };
    let record = node.evidence().get(query)?.ok_or_else(unknown)?;
    Ok((query, record))
}

/// The newest query in the ledger whose id starts with `text`.
fn newest_with_prefix(node: &Node, text: &str) -> Result<Option<QueryId>, Problem> {
    if text.len() < 4 {
        return Err(Problem::usage("give at least four characters of the id"));
    }
    let (mut end, first) = (node.ledger().size(), node.ledger().size().saturating_sub(SEARCHED));
    while end > first {
        let start = end.saturating_sub(CHUNK).max(first);
        let queries = node.ledger().range(start, end)?;
        let queries = queries.iter().rev().filter_map(|stored| query_of(&stored.entry.body));
        if let Some(found) = queries.into_iter().find(|query| query.to_string().starts_with(text)) {
            return Ok(Some(found));
        }
        end = start;
    }
    Ok(None)
}

/// The complete ledger up to a checkpoint that is signed for the export, line by line.
async fn export(State(api): State<Api>) -> Result<Response, Problem> {
    api.node().ledger().verified()?;
    let (lines, waiting) = mpsc::channel::<String>(PREFETCH);
    let node = api.node().clone();
    tokio::task::spawn_blocking(move || {
        if let Err(error) = write_export(&node, &lines) {
            // The reader notices: the entries do not match the checkpoint.
            tracing::error!(%error, "an export of the ledger was aborted");
        }
    });
    let stream = futures::stream::unfold(waiting, async |mut waiting| {
        let line = waiting.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(line), waiting))
    });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], HttpBody::from_stream(stream)).into_response())
}

fn write_export(node: &Node, lines: &mpsc::Sender<String>) -> Result<(), LedgerError> {
    let key = node.identity().institution_key();
    let checkpoint = node.ledger().checkpoint(&key, node.clock().now())?;
    let size = checkpoint.peek_unverified().map_err(LedgerError::Signature)?.size;
    let head = ExportHead::new(&checkpoint, key.public());
    let mut chunk = format!("{}\n", json!(head));
    let mut start = 0;
    loop {
        if lines.blocking_send(std::mem::take(&mut chunk)).is_err() || start >= size {
            return Ok(());
        }
        let end = start.saturating_add(CHUNK).min(size);
        for stored in node.ledger().range(start, end)? {
            let line = ExportHead::line(&stored.entry).map_err(LedgerError::Entry)?;
            chunk.push_str(&format!("\"{line}\"\n"));
        }
        start = end;
    }
}
