//! Answers with records of several datasets of a collection, which are joined where they are.
//!
//! 1. The scope is applied whole: each dataset of it is a [`View`], with its columns transformed and its rows filtered before any part of the
//!    query is evaluated. If the scope is about some subjects, they are read first, and of datasets with owners only their rows are in a view. A
//!    dataset that the scope does not contain is not in the session, so it is as unknown as one that does not exist.
//! 2. Pseudonyms depend on the domain of a column ([`Domains`]): those of one subject agree in all datasets of one grant, and in no other grant.
//! 3. Each scan outputs its rows in a keyed order of its own, in one partition, and nothing above it runs in several. So the order of joined
//!    rows and of groups depends on values and keys, and not on how rows are stored or how long they take to read.
//! 4. What a join multiplies is bounded by the memory of the query, its time, and the rows of the permission, which are counted before each
//!    batch is released.

use std::{collections::BTreeMap, sync::Arc};

use concordat_protocol::{
    collection::KeyDomain,
    ids::{ColumnName, DatasetName},
    schema::VersionNumber,
    scope::Scope,
};
use concordat_storage::catalog::{Collection, CollectionSource, StoredDataset};
use datafusion::{catalog::TableProvider, common::TableReference, physical_plan::execute_stream};

use super::{
    Bounds, QueryError,
    compute::cohort,
    domains::Domains,
    error_capture::ErrorCapture,
    foreseen::empty_tables,
    guard::{Cohort, Common, View, in_turn},
    known_plans::{KnownPlans, PlanKey},
    order::Order,
    plan::reading,
    run::{max_rows, physical, raw, with_deadline},
    session::{collection_context, in_one_partition},
    several_datasets::SeveralDatasets,
    source::AnswerKeys,
};
use crate::{Permit, ReleasedAnswer, StillPermitted, disclosure::RawAnswer};

/// Answers `sql` over the datasets of one collection within `permit`, as [`answer`](crate::answer).
///
/// # Errors
/// [`QueryError`]; no row was released then.
pub async fn answer_collection(
    permit: Permit,
    source: &dyn CollectionSource,
    sql: &str,
    watch: Arc<dyn StillPermitted>,
    bounds: Bounds,
) -> Result<ReleasedAnswer, QueryError> {
    let (holder, scope, receipt) = permit.open();
    let keys = AnswerKeys::of_collection(source, &holder);
    let max_rows = max_rows(scope.tier, &scope.limits);
    let sleep = tokio::time::sleep(bounds.time);
    let plans = KnownPlans::default();
    let (raw, deadline) = with_deadline(sleep, compute(source, &scope, &keys, (sql, None), bounds, &plans)).await?;
    Ok(ReleasedAnswer::new(raw, max_rows, receipt, watch, deadline))
}

/// The result of a statement over a version of a collection within `scope`, before anything may be released. A statement of `plans` is not
/// planned again.
///
/// # Errors
/// [`QueryError`].
pub(super) async fn compute(
    collection: &dyn Collection,
    scope: &Scope,
    keys: &AnswerKeys,
    statement: (&str, Option<VersionNumber>),
    bounds: Bounds,
    plans: &KnownPlans,
) -> Result<RawAnswer, QueryError> {
    let several = SeveralDatasets::of(scope)?;
    if several.collection.collection != *collection.name() {
        return Err(QueryError::NotApplied {
            detail: format!("it is for the collection `{}`", several.collection),
        });
    }
    let tables = Tables::new(collection, several, keys);
    // The columns do not depend on the subjects, which are read only if there is something to compute.
    let shown = tables.views(None)?;
    let shown = shown.iter().map(|(name, view)| (name.clone(), view.planned()));
    let shown: BTreeMap<_, _> = shown.collect();
    let (objects, seen) = ErrorCapture::wrap(collection.object_store());
    let name = &tables.scope.collection;
    let context = collection_context(name, empty_tables(&shown), objects, &bounds)?;
    let key = PlanKey::of_collection(statement, name, shown.clone());
    let known = Box::pin(plans.get(key, &context.state())).await?;
    let covered = Box::pin(cohort(collection, scope, bounds.memory))
        .await?
        .map(Cohort::new);
    let views = tables.views(covered.as_ref())?;
    let mut state = in_one_partition(context.state());
    *state.config_mut() = state.config().clone().with_batch_size(known.batch_rows);
    let plan = reading(known.plan.clone(), &|table| table_of(&views, table))?;
    let physical = Box::pin(physical(&state, &plan, (&seen, &tables.scope.name()))).await?;
    let rows = in_turn(physical).and_then(|physical| execute_stream(physical, state.task_ctx()));
    raw(rows.map_err(|error| QueryError::running(&error, &seen))?, &seen)
}

/// The datasets of a scope that the version has.
struct Tables<'a> {
    scope: SeveralDatasets,
    datasets: Vec<StoredDataset>,
    domains: Domains,
    keys: &'a AnswerKeys,
}

impl<'a> Tables<'a> {
    fn new(collection: &dyn Collection, scope: SeveralDatasets, keys: &'a AnswerKeys) -> Self {
        let datasets = scope.datasets.names().filter_map(|name| collection.dataset(name));
        let datasets: Vec<StoredDataset> = datasets.collect();
        let kind = |name: &DatasetName| {
            let found = datasets.iter().find(|dataset| dataset.name == *name)?;
            Some(found.kind.clone())
        };
        let domains = Domains::of_kinds(&scope.datasets, &kind);
        Self {
            scope,
            datasets,
            domains,
            keys,
        }
    }

    /// What the scope shows of each dataset, with the rows of these subjects, or of all if there are none.
    fn views(&self, cohort: Option<&Cohort>) -> Result<BTreeMap<DatasetName, View>, QueryError> {
        let origin = self.scope.collection.to_string();
        let mut views = BTreeMap::new();
        for dataset in &self.datasets {
            let Some(covered) = self.scope.datasets.get(&dataset.name) else {
                continue;
            };
            let domain_of = |column: &ColumnName| -> KeyDomain { self.domains.of(&dataset.name, column) };
            let common = Common {
                origin: &origin,
                key: &self.keys.pseudonyms,
                domain_of: &domain_of,
                oldest_year: self.scope.window.oldest_year(),
                cohort,
            };
            let order = Order::of_dataset(&self.keys.order, &dataset.name);
            let view = View::of_dataset(dataset, covered, &common)?.in_order(order);
            views.insert(dataset.name.clone(), view);
        }
        Ok(views)
    }
}

fn table_of(views: &BTreeMap<DatasetName, View>, table: &TableReference) -> Option<Arc<dyn TableProvider>> {
    let (_, view) = views.iter().find(|(name, _)| name.as_str() == table.table())?;
    Some(Arc::new(view.clone()))
}
