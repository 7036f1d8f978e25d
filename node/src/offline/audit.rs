//! The ledger on the disk of a stopped node.

use concordat_documents::audit::AuditReport;
use concordat_documents::problem::Problem;
use concordat_storage::data_dir::Storage;
use concordat_storage::ledger::Ledger;

use crate::services::ledger::report;

/// Checks every entry of the ledger, also of one with which the node cannot start.
///
/// # Errors
/// If the keys of the institution cannot be read.
pub fn verify_ledger(storage: &Storage) -> Result<AuditReport, Problem> {
    let keys = storage.identities().institution_keys()?;
    let found = Ledger::inspect(&storage.ledger_dir(), &storage.ledger_key(), &keys);
    Ok(report(found))
}
