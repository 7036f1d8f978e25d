//! Datasets of this institution: the classes of their columns, their limits, their versions, and whether members can see them.

use concordat_documents::Items;
use concordat_documents::dataset::{
    Dataset, DatasetCheck, DatasetSummary, DatasetVersion, Erased, Erasure, ErasureRequest, NewClasses, NewLimits,
    NewRetention, Retention,
};
use concordat_documents::problem::Problem;
use concordat_protocol::ids::{CollectionName, ColumnName, DatasetName};
use concordat_protocol::release::{QueriesBelowRecords, ReleaseChange, TierLimits};
use concordat_protocol::schema::ColumnClass;
use concordat_protocol::scope::Tier;
use concordat_storage::catalog::{CatalogError, Classification, DatasetRecord, PlannedChange};
use concordat_storage::ledger::Attribution;

use self::view::{details, erasure, summary, version};
use super::run::blocking;
use super::work;
use crate::iam::{Action, Actor};
use crate::node::Node;

mod view;

/// All datasets.
///
/// # Errors
/// `denied` without the role; `internal` or `integrity` if the catalog cannot be read. So for all functions of this file.
pub(crate) async fn list(node: &Node, caller: &Actor) -> Result<Items<DatasetSummary>, Problem> {
    caller.require(Action::ReadDatasets)?;
    blocking(node, |node| {
        let records = node.storage().catalog().datasets().list()?;
        records.iter().map(|record| summary(node, record)).collect()
    })
    .await
    .map(|items: Vec<DatasetSummary>| Items { items })
}

/// A dataset with its columns, classes and limits.
///
/// # Errors
/// `not_found` if there is none of that name.
pub(crate) async fn show(node: &Node, caller: &Actor, name: String) -> Result<Dataset, Problem> {
    caller.require(Action::ReadDatasets)?;
    let name: DatasetName = name.parse()?;
    blocking(node, move |node| {
        details(node, &node.storage().catalog().datasets().show(&name)?)
    })
    .await
}

/// The versions of a dataset that are retained.
///
/// # Errors
/// `not_found` if there is none of that name.
pub(crate) async fn versions(node: &Node, caller: &Actor, name: String) -> Result<Items<DatasetVersion>, Problem> {
    caller.require(Action::ReadDatasets)?;
    let name: DatasetName = name.parse()?;
    let manifests = blocking(node, move |node| node.storage().catalog().datasets().versions(&name)).await?;
    Ok(manifests.iter().map(version).collect())
}

/// Reads everything that is stored of a dataset.
///
/// # Errors
/// `integrity` names the first object that is not what was written.
pub(crate) async fn verify(node: &Node, caller: &Actor, name: String) -> Result<DatasetCheck, Problem> {
    caller.require(Action::ReadDatasets)?;
    let dataset: DatasetName = name.parse()?;
    blocking(node, move |node| {
        let is_needed = || work::check_canceled().is_ok();
        let maintenance = node.storage().catalog().maintenance();
        let found = maintenance.verify_while(&dataset, is_needed)?;
        let found = found.ok_or_else(work::client_left)?;
        Ok::<_, Problem>(DatasetCheck {
            dataset,
            ok: true,
            versions: found.versions,
            objects: found.objects,
            bytes: found.bytes,
        })
    })
    .await
}

/// Sets how many versions are retained.
///
/// # Errors
/// `not_found` if there is no dataset of that name.
pub(crate) async fn retain(node: &Node, caller: &Actor, name: String, new: NewRetention) -> Result<Retention, Problem> {
    let by = caller.authorize(Action::ImportDataset)?;
    let dataset: DatasetName = name.parse()?;
    blocking(node, move |node| {
        let keep = new.versions;
        let removed = node.lifecycle().retain(&dataset, keep, &by)?;
        Ok::<_, Problem>(Retention { dataset, keep, removed })
    })
    .await
}

/// Erases a dataset by destroying its keys, and ends the grants and negotiations over it.
///
/// # Errors
/// `not_found` if there is no dataset of that name.
pub(crate) async fn erase(
    node: &Node,
    caller: &Actor,
    name: String,
    request: ErasureRequest,
) -> Result<Erased, Problem> {
    let by = caller.authorize(Action::EraseDataset)?;
    let name: DatasetName = name.parse()?;
    let ending = by.for_outcome();
    let erased = blocking(node, move |node| {
        let (statement, unreachable) = node.lifecycle().erase(&name, request.reason, &by)?;
        let paths = unreachable.iter().map(|path| path.display().to_string());
        Ok::<_, Problem>(Erased {
            erasure: erasure(&statement),
            unreachable_repositories: paths.collect(),
        })
    })
    .await;
    // Also after an error: the dataset may be erased all the same. What is missed here is ended at the next start, and opens nothing.
    node.negotiations().end_erased(&ending).await;
    erased
}

/// The signed statements of erasures.
///
/// # Errors
/// As [`list`].
pub(crate) async fn erasures(node: &Node, caller: &Actor) -> Result<Items<Erasure>, Problem> {
    caller.require(Action::ReadDatasets)?;
    let statements = blocking(node, |node| node.storage().catalog().erasures().all()).await?;
    Ok(statements.iter().map(erasure).collect())
}

/// Sets the classes of columns. Running answers are evaluated again.
///
/// # Errors
/// `usage` if a column does not exist.
pub(crate) async fn classify(node: &Node, caller: &Actor, name: String, new: NewClasses) -> Result<Dataset, Problem> {
    let by = caller.authorize(Action::ClassifyDataset)?;
    let name: DatasetName = name.parse()?;
    blocking(node, move |node| {
        let classification: Classification = new.classes.into_iter().collect();
        let datasets = node.storage().catalog().datasets();
        let record = record_change(node, &name, &by, || Ok(datasets.plan_classes(&name, &classification)?))?;
        node.epoch().raise();
        Ok::<_, Problem>(details(node, &record)?)
    })
    .await
}

/// Shows a dataset to members.
///
/// # Errors
/// `usage` if a column has no class.
pub(crate) async fn publish(node: &Node, caller: &Actor, name: String) -> Result<DatasetSummary, Problem> {
    let by = caller.authorize(Action::PublishDataset)?;
    let dataset: DatasetName = name.parse()?;
    blocking(node, move |node| {
        let datasets = node.storage().catalog().datasets();
        let record = record_change(node, &dataset, &by, || {
            let alone = datasets.show(&dataset)?;
            Ok(datasets.plan_publication(&CollectionName::from(&alone.name))?)
        })?;
        node.epoch().raise();
        Ok::<_, Problem>(summary(node, &record)?)
    })
    .await
}

/// Hides a dataset from members. Running answers are evaluated again.
///
/// # Errors
/// `not_found` if there is no dataset of that name.
pub(crate) async fn withdraw(node: &Node, caller: &Actor, name: String) -> Result<DatasetSummary, Problem> {
    let by = caller.authorize(Action::PublishDataset)?;
    let dataset: DatasetName = name.parse()?;
    blocking(node, move |node| {
        let datasets = node.storage().catalog().datasets();
        let record = record_change(node, &dataset, &by, || {
            let alone = datasets.show(&dataset)?;
            Ok(datasets.plan_withdrawal(&CollectionName::from(&alone.name))?)
        })?;
        node.epoch().raise();
        Ok::<_, Problem>(summary(node, &record)?)
    })
    .await
}

/// Sets limits. Running answers are evaluated again.
///
/// # Errors
/// `usage` if nothing is set, a column does not exist, or a limit is out of its range.
pub(crate) async fn limit(node: &Node, caller: &Actor, name: String, new: NewLimits) -> Result<Dataset, Problem> {
    let by = caller.authorize(Action::PublishDataset)?;
    let name: DatasetName = name.parse()?;
    let change = release_change(new)?;
    blocking(node, move |node| {
        let catalog = node.storage().catalog();
        let record = record_change(node, &name, &by, || {
            let births = change
                .births
                .iter()
                .map(|column| (column.clone(), ColumnClass::QuasiIdentifier));
            check_columns(node, &name, &births.collect())?;
            Ok(catalog.datasets().plan_release(&name, &change)?)
        })?;
        node.epoch().raise();
        Ok::<_, Problem>(details(node, &record)?)
    })
    .await
}

fn release_change(new: NewLimits) -> Result<ReleaseChange, Problem> {
    let change = ReleaseChange {
        tier: new.tier,
        limits: TierLimits {
            min_cell: new.limits.min_cell,
            queries_per_day: new.limits.queries_per_day,
            max_rows: new.limits.max_rows,
            days: new.limits.days,
        },
        sensitive: new.sensitive.as_deref().map(sensitive).transpose()?,
        births: new.births,
        below_records: QueriesBelowRecords {
            person: new.below_records.person,
            institution: new.below_records.institution,
            all: new.below_records.all,
        },
    };
    let nothing = ReleaseChange {
        tier: change.tier,
        ..ReleaseChange::default()
    };
    if change == nothing {
        return Err(
            Problem::usage("no setting was given").help("name a limit, or the highest tier for sensitive columns")
        );
    }
    Ok(change)
}

fn sensitive(text: &str) -> Result<Option<Tier>, Problem> {
    if text == "none" {
        return Ok(None);
    }
    let tier: Result<Tier, _> = text.parse();
    tier.map(Some)
        .map_err(|error| Problem::usage(error.to_string()).help("or write `none`"))
}

/// Checked first: a change that would fail must not be recorded in the ledger as done.
fn check_columns(node: &Node, name: &DatasetName, classes: &Classification) -> Result<(), CatalogError> {
    let version = node.storage().catalog().open_version(name, None)?;
    let known = |column: &ColumnName| version.manifest().own_columns().any(|own| own.name == *column);
    let unknown: Vec<ColumnName> = classes
        .iter()
        .map(|(column, _)| column.clone())
        .filter(|c| !known(c))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(CatalogError::UnknownColumns {
        name: name.clone(),
        columns: unknown,
    })
}

/// Records a change of a dataset in the ledger, and makes it. `plan` checks it while no other change of the dataset is under way.
fn record_change(
    node: &Node,
    name: &DatasetName,
    by: &Attribution,
    plan: impl FnOnce() -> Result<PlannedChange, Problem>,
) -> Result<DatasetRecord, Problem> {
    let by = (by, node.clock().now());
    let datasets = node.storage().catalog().datasets();
    let changed = node
        .changes()
        .declare(datasets, &CollectionName::from(name), by, plan)?;
    let alone = changed.alone();
    alone.ok_or_else(|| CatalogError::NotFound { name: name.clone() }.into())
}
