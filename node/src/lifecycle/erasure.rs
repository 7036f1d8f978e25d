//! Erasing a dataset, here and in the backup repositories.

use std::path::PathBuf;
use std::sync::PoisonError;

use concordat_documents::problem::Problem;
use concordat_protocol::audit::EntryBody;
use concordat_protocol::ids::DatasetName;
use concordat_protocol::text::Reason;
use concordat_storage::catalog::{ErasureOrder, ErasureStatement};
use concordat_storage::ledger::Attribution;

use super::backups::erase_in_repositories;
use super::parts::LifecycleParts;

/// Erases a dataset permanently and terminates running answers; returns the signed statement with the repositories that could not be
/// reached.
pub(super) fn erase(
    parts: &LifecycleParts,
    dataset: &DatasetName,
    reason: Reason,
    by: &Attribution,
) -> Result<(ErasureStatement, Vec<PathBuf>), Problem> {
    let statement = erase_here(parts, dataset, reason, by)?;
    let out_of_reach = erase_in_repositories(parts, std::slice::from_ref(&statement))?;
    Ok((statement, out_of_reach))
}

/// An erasure of the same dataset at the same time finds it erased.
fn erase_here(
    parts: &LifecycleParts,
    dataset: &DatasetName,
    reason: Reason,
    by: &Attribution,
) -> Result<ErasureStatement, Problem> {
    let _erasing = parts.erasing.lock().unwrap_or_else(PoisonError::into_inner);
    let order = ErasureOrder {
        institution: parts.identity.institution.clone(),
        by: by.actor().cloned(),
        reason,
        at: parts.clock.now(),
    };
    let catalog = parts.storage.catalog();
    let statement = catalog
        .erasures()
        .sign_statement(dataset, order, &parts.identity.institution_key())?;
    parts.record(
        EntryBody::DatasetErased {
            dataset: dataset.clone(),
            statement: statement.digest(),
        },
        by,
    )?;
    let erased = catalog.erasures().erase(&statement);
    parts.epoch.raise();
    erased?;
    Ok(statement)
}
