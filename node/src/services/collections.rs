//! Collections of several datasets: imported as one version, declared by templates, and shown to members.
//!
//! Names of datasets and collections are of one space. What is done to a whole collection without regard to its datasets (retention,
//! erasure, verification) is in [`super::datasets`].

use concordat_documents::Items;
use concordat_documents::collection::{
    Collection, CollectionPermission, CollectionSummary, NewRules, TemplateChoice, TemplateText,
};
use concordat_documents::import::DatasetNotes;
use concordat_documents::problem::Problem;
use concordat_protocol::collection::{CollectionRules, DatasetKind, KnownColumns, RawCollectionRules};
use concordat_protocol::ids::{CollectionName, DatasetName};
use concordat_storage::catalog::{CatalogError, Classification, CollectionRecord, OpenColumns, PlannedChange};
use concordat_storage::ledger::Attribution;

use self::declare::{Declarations, shipped_text, with_proposals};
use self::importing::kept_reading;
use self::view::{details, summary, unclassified};
use super::imports;
use super::run::blocking;
use super::transfers::Transfers;
use crate::iam::{Action, Actor};
use crate::node::Node;
use crate::templates::written;

mod declare;
mod folder;
mod importing;
mod view;

pub(crate) use importing::{NewFolder, start};

/// All collections; a dataset alone is a collection of one, of the same name.
///
/// # Errors
/// `denied` without the role; `internal` or `integrity` if the catalog cannot be read. So for all functions of this file.
pub(crate) async fn list(node: &Node, caller: &Actor) -> Result<Items<CollectionSummary>, Problem> {
    caller.require(Action::ReadDatasets)?;
    blocking(node, |node| {
        let records = node.storage().catalog().datasets().collections()?;
        records.iter().map(|record| summary(node, record)).collect()
    })
    .await
    .map(|items: Vec<CollectionSummary>| Items { items })
}

/// A collection with its datasets, and what prevents that it is published.
///
/// # Errors
/// `not_found` if there is none of that name.
pub(crate) async fn show(node: &Node, caller: &Actor, name: String) -> Result<Collection, Problem> {
    caller.require(Action::ReadDatasets)?;
    let name: CollectionName = name.parse()?;
    blocking(node, move |node| {
        details(node, &node.storage().catalog().datasets().collection(&name)?)
    })
    .await
}

/// Whether the caller may import a collection of this name, and another transfer may begin: a client checks this before it sends files.
///
/// # Errors
/// As [`imports::begin`].
pub(crate) fn check(transfers: &Transfers, caller: &Actor, name: &str) -> Result<CollectionPermission, Problem> {
    let (collection, _permit) = imports::begin(transfers, caller, name)?;
    Ok(CollectionPermission {
        collection,
        may_import: true,
    })
}

/// What is kept of the latest import of each dataset of a collection; datasets of which nothing is kept are left out.
///
/// # Errors
/// `not_found` if there is none of that name.
pub(crate) async fn notes(node: &Node, caller: &Actor, name: String) -> Result<Items<DatasetNotes>, Problem> {
    caller.require(Action::ReadDatasets)?;
    let name: CollectionName = name.parse()?;
    blocking(node, move |node| {
        let datasets = node.storage().catalog().datasets();
        let record = datasets.collection(&name)?;
        let known = datasets.current_version(&record)?.known_columns();
        let mut items = Vec::new();
        for (dataset, _) in known.iter() {
            let latest = datasets.latest_import_of(&name, dataset)?;
            items.extend(latest.map(|latest| {
                let reading = match record.alone() {
                    Some(_) => imports::kept_options(&latest.options),
                    None => kept_reading(&latest.options),
                };
                imports::dataset_notes(dataset.clone(), latest, reading)
            }));
        }
        Ok::<_, Problem>(Items { items })
    })
    .await
}

/// What is declared about a collection, as a template file about it.
///
/// # Errors
/// `not_found` if there is none of that name.
pub(crate) async fn template(node: &Node, caller: &Actor, name: String) -> Result<TemplateText, Problem> {
    caller.require(Action::ReadDatasets)?;
    let name: CollectionName = name.parse()?;
    blocking(node, move |node| {
        let datasets = node.storage().catalog().datasets();
        let record = datasets.collection(&name)?;
        let known = datasets.current_version(&record)?.known_columns();
        let proposed = datasets.proposals(&name)?;
        let rules = with_proposals(&record, &proposed, &known);
        let rules = rules.map_err(|reasons| Problem::usage("its declarations cannot be written").because(reasons))?;
        let columns = proposed.into_iter().flat_map(|(dataset, columns)| {
            let columns = columns.into_keys();
            columns.map(move |column| (dataset.clone(), column))
        });
        Ok::<_, Problem>(TemplateText {
            name: name.to_string(),
            text: written(&name, &rules, &columns.collect()),
        })
    })
    .await
}

/// A template that the program contains.
///
/// # Errors
/// `not_found` if there is none of that name.
pub(crate) fn shipped_template(caller: &Actor, name: String) -> Result<TemplateText, Problem> {
    caller.require(Action::ReadDatasets)?;
    let text = shipped_text(&name)?.to_owned();
    Ok(TemplateText { name, text })
}

/// Declares what a template states. Running answers are evaluated again.
///
/// # Errors
/// `usage` with every mistake, and if rows would lead to subjects in another way than they were imported.
pub(crate) async fn declare(node: &Node, caller: &Actor, name: String, new: NewRules) -> Result<Collection, Problem> {
    let by = caller.authorize(Action::ClassifyDataset)?;
    let name: CollectionName = name.parse()?;
    let choice = TemplateChoice::Text(new.template);
    blocking(node, move |node| {
        let datasets = node.storage().catalog().datasets();
        let record = record_change(node, &name, &by, || {
            let record = datasets.collection(&name)?;
            let version = record.current;
            let known = datasets.current_version(&record)?.known_columns();
            let added = Declarations::of(Some(&record), Some(&choice))?;
            let added = if new.replace { added.without_base() } else { added };
            let rules = added.rules(&known).map_err(mistakes)?;
            check_kinds(&record, &rules)?;
            if record.published && rules.unclassified().next().is_some() {
                return Err(Problem::usage("it is published, and columns would have no class")
                    .help(format!("run `concordat collection withdraw {name}` first")));
            }
            let open = added.open(&rules, &datasets.proposals(&name)?);
            Ok(match only_classes(&record, &rules, &known)? {
                Some(classes) => datasets.plan_classes(&DatasetName::from(&name), &classes)?,
                None => datasets.plan_rules(&name, version, rules, &open)?,
            })
        })?;
        node.epoch().raise();
        Ok::<_, Problem>(details(node, &record)?)
    })
    .await
}

fn mistakes(reasons: Vec<String>) -> Problem {
    Problem::usage("the template does not fit the collection")
        .because(reasons)
        .help("fix the file and try again; `concordat collection template` writes what is declared now")
}

/// The ordinals of rows are stored with them, so that rows lead to other subjects needs another import.
fn check_kinds(record: &CollectionRecord, rules: &CollectionRules) -> Result<(), Problem> {
    for (name, dataset) in rules.datasets() {
        let before = record.datasets().get(name).map(|declared| &declared.kind);
        if !before.is_some_and(|before| is_same_way(before, dataset.kind())) {
            return Err(Problem::usage(format!(
                "how the rows of `{name}` lead to subjects is determined by an import"
            ))
            .help("import the folder again with `--replace` and this template"));
        }
    }
    Ok(())
}

fn is_same_way(before: &DatasetKind, now: &DatasetKind) -> bool {
    match (before, now) {
        (DatasetKind::Keyed { subject, .. }, DatasetKind::Keyed { subject: other, .. }) => subject == other,
        (DatasetKind::Reference | DatasetKind::Unowned, DatasetKind::Reference | DatasetKind::Unowned) => true,
        (before, now) => before == now,
    }
}

/// The classes of a dataset alone, if nothing else is declared about it; `None` for other collections.
fn only_classes(
    record: &CollectionRecord,
    rules: &CollectionRules,
    known: &KnownColumns,
) -> Result<Option<Classification>, Problem> {
    let Some(alone) = record.alone() else {
        return Ok(None);
    };
    let before = Declarations::of(Some(record), None)?.rules(known).map_err(mistakes)?;
    if without_classes(rules) != without_classes(&before) {
        return Err(CatalogError::NotSeveral { name: alone.name }.into());
    }
    let columns = rules
        .dataset(&alone.name)
        .into_iter()
        .flat_map(|dataset| dataset.columns());
    let classes = columns.filter_map(|(column, rules)| Some((column.clone(), rules.class()?)));
    Ok(Some(classes.collect()))
}

fn without_classes(rules: &CollectionRules) -> RawCollectionRules {
    let mut raw = rules.raw();
    for column in raw
        .datasets
        .values_mut()
        .flat_map(|dataset| dataset.columns.values_mut())
    {
        column.class = None;
    }
    raw
}

/// Declares what is proposed: it is fixed before anyone can request the collection.
fn fix_proposals(node: &Node, name: &CollectionName, by: &Attribution) -> Result<(), Problem> {
    let datasets = node.storage().catalog().datasets();
    if datasets.proposals(name)?.is_empty() {
        return Ok(());
    }
    let fixed = record_change(node, name, by, || {
        let record = datasets.collection(name)?;
        let version = record.current;
        let known = datasets.current_version(&record)?.known_columns();
        let rules = with_proposals(&record, &datasets.proposals(name)?, &known).map_err(mistakes)?;
        Ok(datasets.plan_rules(name, version, rules, &OpenColumns::new())?)
    });
    fixed.map(drop)
}

/// Shows a collection to members, with what is proposed for its columns.
///
/// # Errors
/// `usage` with every column that has no class.
pub(crate) async fn publish(node: &Node, caller: &Actor, name: String) -> Result<Collection, Problem> {
    let by = caller.authorize(Action::PublishDataset)?;
    let name: CollectionName = name.parse()?;
    blocking(node, move |node| {
        let datasets = node.storage().catalog().datasets();
        check_classified(node, &datasets.collection(&name)?)?;
        fix_proposals(node, &name, &by)?;
        let record = record_change(node, &name, &by, || {
            let record = datasets.collection(&name)?;
            check_classified(node, &record)?;
            Ok(datasets.plan_publication(&name)?)
        })?;
        node.epoch().raise();
        Ok::<_, Problem>(details(node, &record)?)
    })
    .await
}

fn check_classified(node: &Node, record: &CollectionRecord) -> Result<(), Problem> {
    let left = unclassified(node, record)?;
    if left.is_empty() {
        return Ok(());
    }
    let name = &record.name;
    let reasons = left.iter().map(|dataset| {
        let columns = dataset.columns.join(", ");
        format!("`{}`: {columns}", dataset.dataset)
    });
    let detail = format!("collection `{name}` cannot be published while columns have no class");
    Err(Problem::usage(detail).because(reasons).help(format!(
        "declare them in a template file, and run `concordat collection classify {name} --from FILE`; `concordat collection template {name}` \
         writes one with all columns"
    )))
}

/// Hides a collection from members. Running answers are evaluated again.
///
/// # Errors
/// `not_found` if there is none of that name.
pub(crate) async fn withdraw(node: &Node, caller: &Actor, name: String) -> Result<Collection, Problem> {
    let by = caller.authorize(Action::PublishDataset)?;
    let name: CollectionName = name.parse()?;
    blocking(node, move |node| {
        let datasets = node.storage().catalog().datasets();
        let record = record_change(node, &name, &by, || Ok(datasets.plan_withdrawal(&name)?))?;
        node.epoch().raise();
        Ok::<_, Problem>(details(node, &record)?)
    })
    .await
}

/// Records a change of a collection in the ledger, and makes it. `plan` checks it while no other change of the collection is under way.
fn record_change(
    node: &Node,
    name: &CollectionName,
    by: &Attribution,
    plan: impl FnOnce() -> Result<PlannedChange, Problem>,
) -> Result<CollectionRecord, Problem> {
    let by = (by, node.clock().now());
    let datasets = node.storage().catalog().datasets();
    node.changes().declare(datasets, name, by, plan)
}
