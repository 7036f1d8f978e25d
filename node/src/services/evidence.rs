//! The evidence of queries, and the ledger as a file that others can verify.
//!
//! Only auditors can read the text of a query; everyone who may read the ledger can see that it was sent, by whom, and its outcome.

use std::collections::BTreeSet;

use concordat_documents::evidence::{QueryRecord, Side, Signer, WriteOff, WrittenOff};
use concordat_documents::problem::Problem;
use concordat_protocol::audit::{ExportHead, TreeHead};
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::identity::PrivateKey as _;
use concordat_protocol::ids::QueryId;
use concordat_protocol::query::{EvidenceBundle, query_of};
use concordat_protocol::signed::SignatureError;
use concordat_storage::ledger::LedgerError;
use tokio::sync::mpsc;

use super::ledger::{entry, prove_all_with_checkpoint, sign_with_current_key};
use super::run::blocking;
use super::transfers::{Delivery, Transfers, Undelivered};
use super::work;
use crate::evidence::{EvidenceRecord, EvidenceSide};
use crate::iam::{Action, Actor};
use crate::node::Node;

/// Ledger entries that are searched for the prefix of an id, from the newest on.
const SEARCHED: u64 = 100_000;
/// Entries that are read at a time.
const CHUNK: u64 = 4096;
/// Chunks of an export that wait for the reader.
const PREFETCH: usize = 2;

/// What this node knows of a query, by its id or a prefix of it.
///
/// # Errors
/// `denied` without the role; `not_found` if there is no such query.
pub(crate) async fn show(node: &Node, caller: &Actor, query: String) -> Result<QueryRecord, Problem> {
    caller.require(Action::ReadLedger)?;
    let with_text = caller.may(Action::ReadEvidence);
    blocking(node, move |node| {
        let (query, record) = find(node, &query)?;
        let entries = record
            .entries
            .iter()
            .map(|sequence| node.ledger().entry(*sequence).map(entry));
        let entries = entries.collect::<Result<Vec<_>, LedgerError>>()?;
        let open = node.evidence().is_open(query)?;
        let sql = with_text.then(|| record.text()).flatten();
        Ok::<_, Problem>(QueryRecord {
            entries,
            open,
            sql,
            ..document(query, &record)
        })
    })
    .await
}

/// The evidence of a query, for `concordat-verify`.
///
/// # Errors
/// `denied` without the role; `not_found` if there is no such query or its evidence is incomplete.
pub async fn receipt(node: &Node, caller: &Actor, query: String) -> Result<EvidenceBundle, Problem> {
    caller.require(Action::ReadEvidence)?;
    blocking(node, move |node| {
        let (query, record) = find(node, &query)?;
        bundle(node, record).map_err(|missing| missing_part(query, missing))
    })
    .await
}

/// Writes off a receipt that its consumer cannot countersign, so that its queries are answered again.
///
/// # Errors
/// `denied` without the role; `not_found` if no such receipt waits for a signature.
pub(crate) async fn write_off(
    node: &Node,
    caller: &Actor,
    query: String,
    why: WriteOff,
) -> Result<WrittenOff, Problem> {
    let by = caller.authorize(Action::WriteOffReceipt)?;
    blocking(node, move |node| {
        let (query, _) = find(node, &query)?;
        let by = (&by, node.clock().now());
        if !node.evidence().write_off(query, why.reason, by)? {
            return Err(Problem::new(
                ErrorKind::NotFound,
                format!("no receipt of query {} waits for a signature", query.short()),
            )
            .help("the refusal that the other institution got names the query whose receipt waits longest"));
        }
        Ok(WrittenOff {
            query,
            written_off: true,
        })
    })
    .await
}

/// The complete ledger up to a checkpoint that is signed for the export, in pieces of text that end with a line.
///
/// # Errors
/// `denied` without the role; `unreachable` if too many transfers are running; `integrity` if the ledger is damaged. The export ends early if it
/// is not read.
pub(crate) fn export(node: &Node, transfers: &Transfers, caller: &Actor) -> Result<mpsc::Receiver<String>, Problem> {
    let permit = transfers.begin(caller.id())?;
    caller.require(Action::ReadEvidence)?;
    node.ledger().verified()?;
    let (lines, waiting) = mpsc::channel::<String>(PREFETCH);
    let node = node.clone();
    let caller = caller.clone();
    let mut lines = Delivery::new(lines, &node, &caller);
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        if let Err(problem) = write_export(&node, &caller, &mut lines) {
            // The reader notices: the entries do not match the checkpoint.
            tracing::error!(error = problem.detail, "an export of the ledger was aborted");
        }
    });
    Ok(waiting)
}

fn write_export(node: &Node, caller: &Actor, lines: &mut Delivery<String>) -> Result<(), Problem> {
    let key = node.identity().institution_key();
    let checkpoint = node.ledger().checkpoint(&key, node.clock().now())?;
    let size = checkpoint.peek_unverified().map_err(LedgerError::Signature)?.size;
    let head = ExportHead::new(&checkpoint, key.public());
    let head = serde_json::to_string(&head).map_err(|error| Problem::internal("the export cannot be begun", &error))?;
    let mut chunk = format!("{head}\n");
    let mut start = 0;
    loop {
        match lines.send(std::mem::take(&mut chunk)) {
            Ok(()) => lines.restart(),
            Err(Undelivered::Closed) => return Ok(()),
            Err(Undelivered::Problem(problem)) => return Err(problem),
        }
        if start >= size {
            return Ok(());
        }
        // The reader decides how long this takes.
        caller.check_current(node.clock().now())?;
        let end = start.saturating_add(CHUNK).min(size);
        for stored in node.ledger().range(start, end)? {
            let line = ExportHead::line(&stored.entry).map_err(LedgerError::Entry)?;
            chunk.push_str(&format!("\"{line}\"\n"));
        }
        start = end;
    }
}

/// The record without the parts that are read from elsewhere.
fn document(query: QueryId, record: &EvidenceRecord) -> QueryRecord {
    let receipt = record.receipt.as_ref();
    let stated = receipt.and_then(|receipt| receipt.peek_unverified().ok());
    let receipt_signed_by = match (&stated, record.countersigned) {
        (None, _) => Vec::new(),
        (Some(_), false) => vec![Signer::Provider],
        (Some(_), true) => vec![Signer::Provider, Signer::Consumer],
    };
    QueryRecord {
        query,
        side: match record.side {
            EvidenceSide::Provider => Side::Provider,
            EvidenceSide::Consumer => Side::Consumer,
            EvidenceSide::Local => Side::Local,
        },
        at: record.at.to_string(),
        actor: record.actor.clone(),
        peer: record.peer.as_ref().map(|peer| peer.institution.clone()),
        node: record.peer.as_ref().map(|peer| peer.node),
        grant: record.grant,
        purpose: stated.as_ref().map(|stated| stated.purpose.to_string()),
        signed: record.envelope.is_some(),
        rows: stated.as_ref().map(|stated| stated.rows),
        bytes: stated.as_ref().map(|stated| stated.bytes),
        outcome: stated.map(|stated| stated.outcome),
        receipt: receipt.and_then(|receipt| receipt.payload_digest().ok()),
        receipt_signed_by,
        entries: Vec::new(),
        open: false,
        sql: None,
    }
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
    let head = own_head(&record).map_err(|error| Missing::Problem(LedgerError::Signature(error).into()))?;
    let certificates = record.certificates().ok_or(Missing::Part(
        "other side: it was a local query on data of this institution",
    ))?;
    let envelope = record
        .envelope
        .ok_or(Missing::Part("signature: it ended before it was signed"))?;
    let receipt = record
        .receipt
        .ok_or(Missing::Part("receipt: nothing was released under it"))?;
    sign_with_current_key(node).map_err(|error| Missing::Problem(error.into()))?;
    let proven = prove_all_with_checkpoint(node, &record.entries, head.as_ref());
    let proven = proven.map_err(|error| Missing::Problem(error.into()))?;
    let holder = node.identity().institution.clone();
    let successions = node.storage().identities().successions();
    let successions = successions.map_err(|error| Missing::Problem(error.into()))?;
    let receipt = (receipt, record.consumer_ledger);
    let bundle = EvidenceBundle::new(holder, certificates, envelope, receipt, proven.proofs);
    Ok(bundle
        .with_continuation(proven.continuation)
        .with_successions(successions))
}

/// The head of this node's ledger that it signed with the receipt, or with its countersignature.
fn own_head(record: &EvidenceRecord) -> Result<Option<TreeHead>, SignatureError> {
    let signed = match (record.side, &record.receipt) {
        (EvidenceSide::Provider, Some(receipt)) => Some(receipt.peek_unverified()?.ledger),
        (EvidenceSide::Consumer, Some(_)) => record.consumer_ledger.clone(),
        (EvidenceSide::Local, _) | (_, None) => None,
    };
    Ok(signed
        .map(|head| head.peek_unverified())
        .transpose()?
        .map(|head| head.tree))
}

/// A query by its id or by a prefix of it, as the ledger shows it.
fn find(node: &Node, text: &str) -> Result<(QueryId, EvidenceRecord), Problem> {
    let unknown = || {
        Problem::new(ErrorKind::NotFound, format!("there is no record of a query `{text}`"))
            .help("`concordat audit tail` shows the first characters of query ids")
    };
    let query = match text.parse() {
        Ok(query) => query,
        Err(_) => only_with_prefix(node, text)?.ok_or_else(unknown)?,
    };
    let record = node.evidence().get(query)?.ok_or_else(unknown)?;
    Ok((query, record))
}

/// The only query among the newest entries of the ledger whose id starts with `text`.
///
/// # Errors
/// Usage, if there are several: a peer chooses the ids of its queries, so that a newer one could hide the one that is meant.
fn only_with_prefix(node: &Node, text: &str) -> Result<Option<QueryId>, Problem> {
    if text.len() < 4 {
        return Err(Problem::usage("give at least four characters of the id"));
    }
    let mut found = BTreeSet::new();
    let mut end = node.ledger().size();
    let first = node.ledger().size().saturating_sub(SEARCHED);
    while end > first {
        work::check_canceled()?;
        let start = end.saturating_sub(CHUNK).max(first);
        let entries = node.ledger().range(start, end)?;
        let queries = entries.iter().filter_map(|stored| query_of(&stored.entry.body));
        found.extend(queries.filter(|query| query.to_string().starts_with(text)));
        end = start;
    }
    only(found, text)
}

fn only(mut found: BTreeSet<QueryId>, text: &str) -> Result<Option<QueryId>, Problem> {
    match found.len() {
        0 | 1 => Ok(found.pop_first()),
        several => {
            Err(Problem::usage(format!("the ids of {several} queries start with `{text}`")).help("give more of the id"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_prefix_of_several_ids_is_refused() {
        let ids = |last: &[u8]| -> BTreeSet<QueryId> {
            let id = |last: &u8| format!("00112233445566778899aabbccddee{last:02x}").parse().unwrap();
            last.iter().map(id).collect()
        };
        assert_eq!(only(ids(&[]), "0011").unwrap(), None);
        assert_eq!(only(ids(&[7]), "0011").unwrap(), ids(&[7]).pop_first());
        let problem = only(ids(&[7, 8]), "0011").unwrap_err();
        assert!(problem.detail.contains("2 queries"), "{}", problem.detail);
    }
}
