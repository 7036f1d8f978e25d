//! The ledger: its entries, its verification, and inclusion proofs.

use concordat_documents::Items;
use concordat_documents::audit::{AuditReport, Entry};
use concordat_documents::problem::Problem;
use concordat_protocol::audit::InclusionProof;
use concordat_storage::ledger::LedgerError;

use super::ledger::{entry, prove_with_checkpoint, report, sign, sign_with_current_key};
use super::run::blocking;
use crate::iam::{Action, Actor};
use crate::node::Node;

/// Entries that are returned if no number is given.
const TAIL: u64 = 20;
/// Most entries in one response.
const MAX_TAIL: u64 = 10_000;

/// The newest entries.
///
/// # Errors
/// `denied` without the role; `integrity` or `internal` if the ledger cannot be read.
pub(crate) async fn tail(node: &Node, caller: &Actor, count: Option<u64>) -> Result<Items<Entry>, Problem> {
    caller.require(Action::ReadLedger)?;
    let count = count.unwrap_or(TAIL).min(MAX_TAIL);
    let entries = blocking(node, move |node| node.ledger().tail(count)).await?;
    Ok(entries.into_iter().map(entry).collect())
}

/// Checks the whole ledger, and signs a checkpoint over a valid one.
///
/// # Errors
/// `denied` without the role; `internal` if the checkpoint cannot be stored. An invalid ledger is a report, not an error.
pub(crate) async fn verify(node: &Node, caller: &Actor) -> Result<AuditReport, Problem> {
    caller.require(Action::VerifyLedger)?;
    blocking(node, |node| {
        let keys = node.storage().identities().institution_keys()?;
        let found = node.ledger().verify(&keys);
        let signed_size = found.checkpoint.as_ref().map(|signed| signed.size);
        // An invalid ledger is not signed.
        if !found.ok || signed_size == Some(found.entries) {
            return Ok(report(found));
        }
        match sign(node) {
            // All of it was read just now; the verification that began at startup finishes on its own.
            Err(LedgerError::Verifying { .. }) => return Ok(report(found)),
            signed => signed?,
        }
        Ok::<_, Problem>(report(node.ledger().verify(&keys)))
    })
    .await
}

/// The proof that an entry is in the ledger, against a checkpoint signed with the current key.
///
/// # Errors
/// `denied` without the role; `not_found` if there is no such entry.
pub(crate) async fn prove(node: &Node, caller: &Actor, sequence: u64) -> Result<InclusionProof, Problem> {
    caller.require(Action::VerifyLedger)?;
    blocking(node, move |node| {
        sign_with_current_key(node)?;
        prove_with_checkpoint(node, sequence)
    })
    .await
}
