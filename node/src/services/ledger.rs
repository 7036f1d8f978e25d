//! The ledger as documents, and its checkpoints.

use concordat_documents::audit::{AuditReport, CheckpointReport, Entry};
use concordat_protocol::audit::{InclusionProof, TreeHead};
use concordat_storage::ledger::{self, LedgerError, ProvenEntries, StoredEntry};

use crate::node::Node;

/// An entry as a document.
pub(super) fn entry(stored: StoredEntry) -> Entry {
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
pub(crate) fn report(report: ledger::AuditReport) -> AuditReport {
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

/// A proof against a checkpoint that covers the entry; one is signed if there is none.
pub(super) fn prove_with_checkpoint(node: &Node, sequence: u64) -> Result<InclusionProof, LedgerError> {
    match node.ledger().prove(sequence) {
        Err(LedgerError::NotCheckpointed { .. }) if sequence < node.ledger().size() => {
            sign(node)?;
            node.ledger().prove(sequence)
        }
        proof => proof,
    }
}

/// Proofs of several entries against one checkpoint that covers them and `head`, and that the ledger up to it continues from `head`; a
/// checkpoint is signed if there is none.
pub(super) fn prove_all_with_checkpoint(
    node: &Node,
    sequences: &[u64],
    head: Option<&TreeHead>,
) -> Result<ProvenEntries, LedgerError> {
    let ledger = node.ledger();
    let sizes = sequences.iter().map(|sequence| sequence.saturating_add(1));
    let needed = sizes.chain(head.map(|head| head.size)).max().unwrap_or(0);
    let stored = ledger.latest_checkpoint()?.map(|signed| signed.peek_unverified());
    let covered = stored
        .transpose()
        .map_err(LedgerError::Signature)?
        .map_or(0, |stored| stored.size);
    // A head of a history that was lost in a restore may be longer than the ledger.
    if covered < needed.min(ledger.size()) {
        sign(node)?;
    }
    ledger.prove_all(sequences, head)
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

/// Signs a checkpoint over all entries.
pub(super) fn sign(node: &Node) -> Result<(), LedgerError> {
    node.ledger()
        .checkpoint(&node.identity().institution_key(), node.clock().now())
        .map(drop)
}
