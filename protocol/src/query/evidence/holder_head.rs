//! The head of the holder's ledger that its node signed with the receipt, and the entries that are proven against its checkpoint.
//!
//! The checkpoint is signed later, by the key of the institution. That the head is one of the same history needs a consistency path from one to
//! the other; without it, node and institution could have signed two histories.

use super::entries::MissingPart;
use super::error::EvidenceError;
use super::limits::MAX_HEAD_DELAY_MS;
use crate::audit::{EntryBody, LedgerHead, MAX_PATH, ProvenEntry, merkle};
use crate::ids::Digest32;

/// Checks `head` with the proven entries; returns what is missing. The provider's head contains the decision that the receipt names, and the
/// consumer's its entry about the countersignature and all before it.
pub(super) fn check(
    head: &LedgerHead,
    path: Option<&[Digest32]>,
    (proven, decision): (&[ProvenEntry], Option<Digest32>),
) -> Result<Vec<MissingPart>, EvidenceError> {
    if proven.iter().any(|entry| outside(head, entry, decision)) {
        return Err(EvidenceError::Inconsistent {
            what: "the head of the holder's ledger that was signed with the receipt has fewer entries than it has to contain",
        });
    }
    let mut missing = Vec::new();
    if !continues(head, path, proven)? {
        missing.push(MissingPart::Continuation);
    }
    let is_dated_before = |entry: &ProvenEntry| {
        let entry = entry.entry();
        entry.sequence < head.tree.size && entry.at.since(head.at) > MAX_HEAD_DELAY_MS
    };
    if proven.iter().any(is_dated_before) {
        missing.push(MissingPart::Time);
    }
    Ok(missing)
}

/// Whether an entry that was entered before the head was signed is not in it.
fn outside(head: &LedgerHead, proven: &ProvenEntry, decision: Option<Digest32>) -> bool {
    let signed = || {
        matches!(
            proven.entry().body,
            EntryBody::QueryOpened { .. } | EntryBody::ReceiptCountersigned { .. }
        )
    };
    let before = decision.map_or_else(signed, |decision| proven.leaf() == decision);
    before && proven.entry().sequence >= head.tree.size
}

/// Whether the file proves that the ledger of the checkpoint continues that of the head. An invalid proof is an error.
fn continues(head: &LedgerHead, path: Option<&[Digest32]>, proven: &[ProvenEntry]) -> Result<bool, EvidenceError> {
    let Some((path, first)) = path.zip(proven.first()) else {
        return Ok(false);
    };
    if path.len() > MAX_PATH {
        let found = path.len();
        return Err(EvidenceError::Continuation(merkle::VerifyError::Length { found }));
    }
    let checkpoint = first.checkpoint();
    // The path leads to one tree. Entries that are proven against another one may be of another history.
    let of_another = |entry: &ProvenEntry| {
        let other = entry.checkpoint();
        (other.size, other.root) != (checkpoint.size, checkpoint.root)
    };
    if proven.iter().any(of_another) {
        return Ok(false);
    }
    let tree = &head.tree;
    merkle::verify_consistency(tree.size, tree.root, checkpoint.size, checkpoint.root, path)
        .map_err(EvidenceError::Continuation)?;
    // Everything continues an empty ledger, so that such a path proves nothing.
    Ok(tree.size > 0)
}
