//! How a recorded decision opens the engine.

use std::sync::Arc;
use std::time::Duration;

use concordat_engine::{Cut, IpcAnswer, Permit};
use concordat_protocol::collection::DatasetKind;
use concordat_protocol::ids::DatasetName;
use concordat_protocol::scope::{Columns, DatasetScope, Datasets, Scope, Tier};
use concordat_protocol::wire::messages::{Refusal, RefusalCode};
use concordat_storage::catalog::{CatalogError, DatasetManifest, OpenCollection, OpenVersion};
use concordat_storage::ledger::LedgerReceipt;
use tokio::time::Instant;

use super::case::Case;
use super::handle::Sharing;
use super::refusal::{failed, invalid, not_numbered, refusal_of};
use super::statistics::{StatisticQuery, answer_statistic};

/// Makes the permit of the ledger's receipt and opens the engine with it, for a query of `version`. This is the one place where a permit is made.
/// Below `records` the answer is decided when this returns, and may leave now.
#[tracing::instrument(level = "debug", skip_all)]
pub(super) async fn open_engine(
    sharing: &Sharing,
    case: &Case,
    (scope, version): (Scope, Version),
    receipt: LedgerReceipt,
    (since, time): (Instant, Duration),
    running: usize,
) -> Result<IpcAnswer, Refusal> {
    let scope = columns_of_version(scope, case, &version)?;
    check_ordinals(&scope, &version)?;
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
    let permit = Permit::new(case.holder(), case.query(), scope.clone(), receipt);
    let permit = permit.map_err(|error| failed(&error.to_string()))?;
    let watch = Arc::new(check_time);
    if scope.tier < Tier::Records {
        let version = version.collection();
        let query = StatisticQuery {
            case,
            scope: &scope,
            version,
            since,
        };
        return answer_statistic(sharing, query, permit, watch, (time, running)).await;
    }
    let statement = (case.sql(), case.version());
    let workers = &sharing.0.workers;
    let answer = match &version {
        Version::Alone(version) => workers.answer(permit, version, statement, watch, time, running).await,
        Version::Several(version) => {
            workers
                .answer_collection(permit, version, statement, watch, time, running)
                .await
        }
    };
    let answer = answer.map_err(|error| refusal_of(&error))?;
    answer.into_ipc().map_err(|error| refusal_of(&error))
}

/// A version that queries read.
#[derive(Debug)]
pub(super) enum Version {
    /// A dataset that is a collection of one.
    Alone(OpenVersion),
    /// A collection of any other kind.
    Several(OpenCollection),
}

impl Version {
    /// The version as that of a collection.
    fn collection(&self) -> &OpenCollection {
        match self {
            Self::Alone(version) => version.collection(),
            Self::Several(version) => version,
        }
    }
}

/// Opens the version that the query is about, without reading any of its rows.
#[tracing::instrument(level = "debug", skip_all)]
pub(super) async fn open_version(sharing: &Sharing, case: &Case, scope: &Scope) -> Result<Version, Refusal> {
    let name = scope.collection.collection.clone();
    let number = case.version();
    let catalog = sharing.0.parts.storage.catalog().clone();
    let open = move || match catalog.open_version(&DatasetName::from(&name), number) {
        Err(CatalogError::NotFound { .. }) => catalog.open_collection(&name, number).map(Version::Several),
        opened => opened.map(Version::Alone),
    };
    let opened = tokio::task::spawn_blocking(open).await;
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

/// Figures below `records` are about subjects with ordinals, which a version that was imported before there were any does not have.
fn check_ordinals(scope: &Scope, version: &Version) -> Result<(), Refusal> {
    let manifest = version.collection().manifest();
    if scope.tier == Tier::Records || manifest.datasets().iter().all(has_ordinals) {
        return Ok(());
    }
    Err(not_numbered(&manifest.collection().into(), manifest.version()))
}

/// Rows of no subject have none in any version.
fn has_ordinals(dataset: &DatasetManifest) -> bool {
    let has_subjects = match dataset.kind {
        DatasetKind::Keyed { .. } | DatasetKind::Owned { .. } | DatasetKind::EachRow => true,
        DatasetKind::Reference | DatasetKind::Unowned => false,
    };
    dataset.ordinals || !has_subjects
}

/// The scope, limited to the columns that an older version has: later columns are as unknown there as any other, and so are datasets.
fn columns_of_version(scope: Scope, case: &Case, version: &Version) -> Result<Scope, Refusal> {
    if case.version().is_none() {
        return Ok(scope);
    }
    let manifest = version.collection().manifest();
    let mut datasets = Vec::new();
    for (name, shown) in scope.datasets.iter() {
        let Some(dataset) = manifest.dataset(name) else {
            continue;
        };
        let known = shown.columns.iter().filter(|(name, _)| dataset.column(name).is_some());
        let columns = Columns::new(known.map(|(name, transform)| (name.clone(), transform)));
        let columns = columns.map_err(|error| Refusal::because(RefusalCode::Denied, error.to_string()))?;
        let rows = shown.rows.clone();
        datasets.push((name.clone(), DatasetScope { columns, rows }));
    }
    let datasets = Datasets::new(datasets);
    let datasets = datasets.map_err(|error| Refusal::because(RefusalCode::Denied, error.to_string()))?;
    Ok(Scope { datasets, ..scope })
}
