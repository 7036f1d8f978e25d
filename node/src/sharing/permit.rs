//! How a recorded decision opens the engine.

use std::sync::Arc;
use std::time::Duration;

use concordat_engine::{Cut, IpcAnswer, Permit};
use concordat_protocol::ids::DatasetName;
use concordat_protocol::schema::VersionNumber;
use concordat_protocol::scope::{Columns, Datasets, Scope};
use concordat_protocol::wire::messages::{Refusal, RefusalCode};
use concordat_storage::catalog::{CatalogError, OpenVersion};
use concordat_storage::ledger::LedgerReceipt;

use super::case::Case;
use super::handle::Sharing;
use super::refusal::{failed, invalid, refusal_of};

/// Makes the permit of the ledger's receipt and opens the engine with it. This is the one place where a permit is made.
#[tracing::instrument(level = "debug", skip_all)]
pub(super) async fn open_engine(
    sharing: &Sharing,
    case: &Case,
    scope: Scope,
    receipt: LedgerReceipt,
    time: Duration,
    running: usize,
) -> Result<IpcAnswer, Refusal> {
    let version = open_version(sharing, DatasetName::from(&scope.collection.collection), case.version()).await?;
    let scope = columns_of_version(scope, case, &version)?;
    let clock = sharing.0.parts.clock.clone();
    let window = scope.window;
    let check_time = move || {
        if window.contains(clock.now()) {
            Ok(())
        } else {
            Err(Cut {
                reason: "the permission has expired".to_owned(),
            })
        }
    };
    let permit =
        Permit::new(case.holder(), case.query(), scope, receipt).map_err(|error| failed(&error.to_string()))?;
    let answer = sharing
        .0
        .workers
        .answer(
            permit,
            &version,
            (case.sql(), case.version()),
            Arc::new(check_time),
            time,
            running,
        )
        .await
        .map_err(|error| refusal_of(&error))?;
    answer.into_ipc().map_err(|error| refusal_of(&error))
}

#[tracing::instrument(level = "debug", skip_all)]
async fn open_version(
    sharing: &Sharing,
    name: DatasetName,
    number: Option<VersionNumber>,
) -> Result<OpenVersion, Refusal> {
    let catalog = sharing.0.parts.storage.catalog().clone();
    let opened = tokio::task::spawn_blocking(move || catalog.open_version(&name, number)).await;
    match opened {
        Ok(Ok(version)) => Ok(version),
        Ok(Err(error @ CatalogError::NoSuchVersion { .. })) => Err(invalid("version-exists", error.to_string())),
        Ok(Err(error)) => {
            tracing::warn!(%error, "a dataset cannot be opened");
            Err(failed("the stored data cannot be read"))
        }
        Err(_) => Err(failed("the stored data cannot be read")),
    }
}

/// The scope, limited to the columns that an older version has: later columns are as unknown there as any other.
fn columns_of_version(scope: Scope, case: &Case, version: &OpenVersion) -> Result<Scope, Refusal> {
    if case.version().is_none() {
        return Ok(scope);
    }
    let several = || Refusal::because(RefusalCode::Denied, "the collection has several datasets");
    let (dataset, shown) = scope.only().ok_or_else(several)?;
    let known = shown
        .columns
        .iter()
        .filter(|(name, _)| version.manifest().column(name).is_some());
    let columns = Columns::new(known.map(|(name, transform)| (name.clone(), transform)));
    let columns = columns.map_err(|error| Refusal::because(RefusalCode::Denied, error.to_string()))?;
    let datasets = Datasets::one(dataset.dataset, columns, shown.rows.clone());
    Ok(Scope { datasets, ..scope })
}
