//! Datasets of this institution: their contents, the classes of their columns, and whether members can see them.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
};

use axum::{
    Json,
    extract::{Path, State},
    routing::{get, post},
};
use concordat_documents::openapi::Operation;
use concordat_documents::problem::Problem;
use concordat_protocol::{
    audit::EntryBody,
    ids::{ColumnName, DatasetName, Digest32},
    schema::ColumnClass,
    scope::Tier,
    text::Reason,
};
use concordat_storage::{
    catalog::{CatalogError, Classification, DatasetRecord, ErasureStatement, Manifest, ReleaseChange, TierLimits},
    ledger::Attribution,
};
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::Body;
use super::route::{Access, Caller, Route};
use super::state::Api;
use crate::{changes::Subject, iam::Action, node::Node};

/// Domain of the digest under which the ledger names a classification.
const CLASSIFICATION: &str = "concordat/classification/1";
/// Domain of the digest under which the ledger names the limits of a dataset.
const RELEASE_RULES: &str = "concordat/release-rules/1";

pub(super) fn routes() -> Vec<Route> {
    let read = Access::Needs(Action::ReadDatasets);
    let publishing = Access::Needs(Action::PublishDataset);
    vec![
        Route::new("/v1/datasets", read, get(list))
            .describe([Operation::get("The datasets of this institution").returns_object()]),
        Route::new("/v1/datasets/{name}", read, get(show))
            .describe([Operation::get("A dataset with its columns, classes and limits").returns_object()]),
        Route::new("/v1/datasets/{name}/versions", read, get(versions))
            .describe([Operation::get("The versions of a dataset").returns_object()]),
        Route::new("/v1/datasets/{name}/verify", read, post(verify))
            .describe([Operation::post("Check every object of a dataset").returns_object()]),
        Route::new(
            "/v1/datasets/{name}/classify",
            Access::Needs(Action::ClassifyDataset),
            post(classify),
        )
        .describe([Operation::post("Set the classes of columns")
            .accepts_object()
            .returns_object()]),
        Route::new(
            "/v1/datasets/{name}/retain",
            Access::Needs(Action::ImportDataset),
            post(retain),
        )
        .describe([Operation::post("Set how many versions are retained")
            .accepts_object()
            .returns_object()]),
        Route::new(
            "/v1/datasets/{name}/erase",
            Access::Needs(Action::EraseDataset),
            post(erase),
        )
        .describe([Operation::post("Erase a dataset by destroying its keys")
            .accepts_object()
            .returns_object()]),
        Route::new("/v1/erasures", read, get(erasures))
            .describe([Operation::get("The signed statements of erasures").returns_object()]),
        Route::new("/v1/datasets/{name}/publish", publishing, post(publish))
            .describe([Operation::post("Show a dataset to members").returns_object()]),
        Route::new("/v1/datasets/{name}/limits", publishing, post(limit)).describe([Operation::post(
            "Set the limits of a dataset",
        )
        .accepts_object()
        .returns_object()]),
        Route::new("/v1/datasets/{name}/withdraw", publishing, post(withdraw))
            .describe([Operation::post("Hide a dataset from members").returns_object()]),
    ]
}

async fn list(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    let items = api
        .blocking(|node| {
            let records = node.storage().catalog().datasets().list()?;
            records
                .iter()
                .map(|record| summary(node, record))
                .collect::<Result<Vec<Value>, CatalogError>>()
        })
        .await?;
    Ok(Json(json!({ "items": items })))
}

async fn show(State(api): State<Api>, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    let name: DatasetName = name.parse()?;
    let shown = api
        .blocking(move |node| details(node, &node.storage().catalog().datasets().show(&name)?))
        .await?;
    Ok(Json(shown))
}

async fn versions(State(api): State<Api>, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    let name: DatasetName = name.parse()?;
    let manifests = api
        .blocking(move |node| node.storage().catalog().datasets().versions(&name))
        .await?;
    let items: Vec<Value> = manifests.iter().map(version).collect();
    Ok(Json(json!({ "items": items })))
}

async fn verify(State(api): State<Api>, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    let name: DatasetName = name.parse()?;
    let named = name.clone();
    let found = api
        .blocking(move |node| node.storage().catalog().maintenance().verify(&named))
        .await?;
    Ok(Json(json!({
        "dataset": name,
        "ok": true,
        "versions": found.versions,
        "objects": found.objects,
        "bytes": found.bytes,
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RetentionBody {
    /// How many versions to retain; null retains all.
    versions: Option<NonZeroU32>,
}

async fn retain(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(name): Path<String>,
    Body(RetentionBody { versions }): Body<RetentionBody>,
) -> Result<Json<Value>, Problem> {
    let name: DatasetName = name.parse()?;
    api.blocking(move |node| {
        let removed = node.lifecycle().retain(&name, versions, &actor.attribution())?;
        Ok::<_, Problem>(Json(json!({ "dataset": name, "keep": versions, "removed": removed })))
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EraseBody {
    reason: Reason,
}

async fn erase(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(name): Path<String>,
    Body(EraseBody { reason }): Body<EraseBody>,
) -> Result<Json<Value>, Problem> {
    let name: DatasetName = name.parse()?;
    api.blocking(move |node| {
        let (statement, unreachable) = node.lifecycle().erase(&name, reason, &actor.attribution())?;
        let mut done = erasure(&statement);
        if let Some(fields) = done.as_object_mut() {
            fields.insert("unreachable_repositories".to_owned(), json!(unreachable));
        }
        Ok::<_, Problem>(Json(done))
    })
    .await
}

async fn erasures(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    let statements = api.blocking(|node| node.storage().catalog().erasures().all()).await?;
    let items: Vec<Value> = statements.iter().map(erasure).collect();
    Ok(Json(json!({ "items": items })))
}

/// The fields of the statement, and the statement as it was signed.
fn erasure(statement: &ErasureStatement) -> Value {
    let erasure = statement.document();
    json!({
        "dataset": erasure.dataset,
        "keys": erasure.keys,
        "versions": erasure.versions,
        "objects": erasure.objects,
        "at": erasure.at.to_string(),
        "by": erasure.by,
        "reason": erasure.reason,
        "statement": BASE64.encode(statement.signed().as_bytes()),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Classes {
    classes: BTreeMap<ColumnName, ColumnClass>,
}

async fn classify(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(name): Path<String>,
    Body(Classes { classes }): Body<Classes>,
) -> Result<Json<Value>, Problem> {
    let name: DatasetName = name.parse()?;
    let by = actor.attribution();
    api.blocking(move |node| {
        let classification: Classification = classes.into_iter().collect();
        check_columns(node, &name, &classification)?;
        let text = serde_json::to_vec(&classification)
            .map_err(|error| Problem::internal("cannot write the classes", &error))?;
        let entry = EntryBody::DatasetClassified {
            dataset: name.clone(),
            classification: Digest32::sha256(CLASSIFICATION, &text),
        };
        let record = record_change(node, &name, (entry, &by), || {
            Ok(node.storage().catalog().datasets().classify(&name, &classification)?)
        })?;
        node.epoch().raise();
        Ok::<_, Problem>(Json(details(node, &record)?))
    })
    .await
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

async fn publish(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let dataset: DatasetName = name.parse()?;
    let by = actor.attribution();
    api.blocking(move |node| {
        let catalog = node.storage().catalog();
        let columns = catalog.datasets().unclassified(&catalog.datasets().show(&dataset)?)?;
        if !columns.is_empty() {
            return Err(CatalogError::Unclassified { name: dataset, columns }.into());
        }
        let entry = EntryBody::DatasetPublished {
            dataset: dataset.clone(),
        };
        let record = record_change(node, &dataset, (entry, &by), || {
            Ok(catalog.datasets().publish(&dataset)?)
        })?;
        node.epoch().raise();
        Ok::<_, Problem>(Json(summary(node, &record)?))
    })
    .await
}

/// Limits as a steward sets them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsBody {
    #[serde(default)]
    tier: Option<Tier>,
    #[serde(default)]
    limits: TierLimits,
    /// A tier, or `none`; omitted to leave it unchanged.
    #[serde(default)]
    sensitive: Option<String>,
    /// Further columns that reveal when a person was born.
    #[serde(default)]
    births: BTreeSet<ColumnName>,
}

async fn limit(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(name): Path<String>,
    Body(body): Body<LimitsBody>,
) -> Result<Json<Value>, Problem> {
    let name: DatasetName = name.parse()?;
    let change = ReleaseChange {
        tier: body.tier,
        limits: body.limits,
        sensitive: body.sensitive.as_deref().map(sensitive).transpose()?,
        births: body.births,
    };
    if change
        == (ReleaseChange {
            tier: body.tier,
            ..ReleaseChange::default()
        })
    {
        return Err(
            Problem::usage("no setting was given").help("name a limit, or the highest tier for sensitive columns")
        );
    }
    let by = actor.attribution();
    api.blocking(move |node| {
        let catalog = node.storage().catalog();
        let births = change
            .births
            .iter()
            .map(|column| (column.clone(), ColumnClass::QuasiIdentifier));
        check_columns(node, &name, &births.collect())?;
        let rules = change
            .applied(&catalog.datasets().show(&name)?.release)
            .map_err(CatalogError::from)?;
        let text = serde_json::to_vec(&rules).map_err(|error| Problem::internal("cannot write the limits", &error))?;
        let entry = EntryBody::DatasetLimited {
            dataset: name.clone(),
            rules: Digest32::sha256(RELEASE_RULES, &text),
        };
        let record = record_change(node, &name, (entry, &by), || {
            Ok(catalog.datasets().set_release(&name, &change)?)
        })?;
        node.epoch().raise();
        Ok::<_, Problem>(Json(details(node, &record)?))
    })
    .await
}

fn sensitive(text: &str) -> Result<Option<Tier>, Problem> {
    if text == "none" {
        return Ok(None);
    }
    let tier: Result<Tier, _> = text.parse();
    tier.map(Some)
        .map_err(|error| Problem::usage(error.to_string()).help("or write `none`"))
}

/// The effective limits at each tier, and which of them the steward has set.
fn limits(node: &Node, record: &DatasetRecord) -> Value {
    let tiers = [Tier::Exists, Tier::Count, Tier::Aggregate, Tier::Records];
    let at = |tier: Tier| {
        let limits = node.policies().live().current().limits(&record.release, tier);
        json!({
            "tier": tier,
            "min_cell": limits.min_cell,
            "queries_per_day": limits.max_queries_per_day,
            "max_rows": limits.max_rows,
            "days": limits.max_days,
            "set": record.release.at(tier),
        })
    };
    tiers.map(at).to_vec().into()
}

async fn withdraw(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let dataset: DatasetName = name.parse()?;
    let by = actor.attribution();
    api.blocking(move |node| {
        let catalog = node.storage().catalog();
        catalog.datasets().show(&dataset)?;
        let entry = EntryBody::DatasetWithdrawn {
            dataset: dataset.clone(),
        };
        let record = record_change(node, &dataset, (entry, &by), || {
            Ok(catalog.datasets().withdraw(&dataset)?)
        })?;
        node.epoch().raise();
        Ok::<_, Problem>(Json(summary(node, &record)?))
    })
    .await
}

/// Records a change of a dataset in the ledger, and makes it.
fn record_change(
    node: &Node,
    name: &DatasetName,
    (entry, by): (EntryBody, &Attribution),
    change: impl FnOnce() -> Result<DatasetRecord, Problem>,
) -> Result<DatasetRecord, Problem> {
    let by = (by, node.clock().now());
    node.changes()
        .make(Subject::Dataset(name.to_string()), entry, by, change)
}

fn summary(node: &Node, record: &DatasetRecord) -> Result<Value, CatalogError> {
    let catalog = node.storage().catalog();
    let version = catalog.open_version(&record.name, None)?;
    let manifest = version.manifest();
    Ok(json!({
        "name": record.name,
        "segment": record.segment,
        "version": record.current,
        "rows": manifest.rows,
        "columns": manifest.own_columns().count(),
        "unclassified": catalog.datasets().unclassified(record)?.len(),
        "published": record.published,
    }))
}

fn details(node: &Node, record: &DatasetRecord) -> Result<Value, CatalogError> {
    let version = node.storage().catalog().open_version(&record.name, None)?;
    let manifest = version.manifest();
    let columns = manifest.own_columns().map(|column| {
        json!({
            "name": column.name,
            "kind": column.kind.label(),
            "nullable": column.nullable,
            "class": record.classification.class(&column.name),
        })
    });
    let columns: Vec<Value> = columns.collect();
    Ok(json!({
        "name": record.name,
        "segment": record.segment,
        "version": record.current,
        "oldest_version": record.oldest,
        "keep": record.keep,
        "rows": manifest.rows,
        "subject_column": (!record.subject.is_reserved()).then_some(&record.subject),
        "published": record.published,
        "sensitive": record.release.sensitive,
        "births": record.release.births,
        "limits": limits(node, record),
        "columns": columns,
        "source": self::version(manifest),
    }))
}

fn version(manifest: &Manifest) -> Value {
    let bytes: u64 = manifest.objects.iter().map(|object| object.len).sum();
    let source = &manifest.provenance;
    json!({
        "version": manifest.version,
        "rows": manifest.rows,
        "objects": manifest.objects.len(),
        "bytes": bytes,
        "file": source.file,
        "blake3": source.blake3,
        "imported_at": source.imported_at.to_string(),
        "by": source.by,
    })
}
