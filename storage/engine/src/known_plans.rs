//! Plans of statements at tier `records` that a process has planned before.
//!
//! A dashboard or a script sends one text again and again. What is planned of it depends on the text, the version that it names and the columns
//! with their forms, and on no row; so a process plans it once. A process answers within one scope only, and its plans end with
//! it. What is optimized of a plan for records depends also on which columns are stored as they are shown ([`Pruning`]).

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use arrow::datatypes::SchemaRef;
use concordat_protocol::{
    ids::{CollectionRef, DatasetName, DatasetRef},
    schema::VersionNumber,
};
use datafusion::{execution::context::SessionState, logical_expr::LogicalPlan, sql::sqlparser::ast::Statement};

use super::{
    QueryError, disclosure::rows_in_whole_chunks, guard::Pruning, one_dataset::OneDataset, plan::planned, size,
    statement,
};

/// Maximum number of plans; the one that was used least recently is dropped. A statement is bounded, and so is its plan.
const MAX_PLANS: usize = 16;

/// The plans of one process, most recently used last.
#[derive(Debug, Default)]
pub(super) struct KnownPlans(Mutex<VecDeque<(PlanKey, Arc<KnownPlan>)>>);

/// All that a plan depends on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PlanKey {
    pub(super) sql: String,
    pub(super) version: Option<VersionNumber>,
    /// The dataset, or what errors name in its place.
    pub(super) dataset: DatasetRef,
    /// The columns of the views, with their forms.
    pub(super) shown: ShownTables,
}

/// The tables of a plan with their columns.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ShownTables {
    /// One dataset.
    One(SchemaRef),
    /// The datasets of a collection that a permit shows.
    Collection(CollectionRef, BTreeMap<DatasetName, SchemaRef>),
}

/// A plan over tables without rows that have the columns of the views.
#[derive(Debug)]
pub(super) struct KnownPlan {
    pub(super) plan: LogicalPlan,
    /// Rows in one batch, so that what is computed for them fits, and fills whole chunks.
    pub(super) batch_rows: usize,
    /// The same plan, optimized for records of a view; over a table without rows as well.
    optimized: Mutex<Option<(Pruning, LogicalPlan)>>,
}

impl KnownPlan {
    const fn new(plan: LogicalPlan, batch_rows: usize) -> Self {
        Self {
            plan,
            batch_rows,
            optimized: Mutex::new(None),
        }
    }

    /// The optimized plan for records of a view, if it is known.
    pub(super) fn optimized(&self, pruning: &Pruning) -> Option<LogicalPlan> {
        let optimized = self.optimized.lock().unwrap_or_else(PoisonError::into_inner);
        let (of, plan) = optimized.as_ref()?;
        (of == pruning).then(|| plan.clone())
    }

    /// Keeps the optimized plan for records of a view, in which tables have no rows.
    pub(super) fn keep_optimized(&self, pruning: Pruning, plan: LogicalPlan) {
        *self.optimized.lock().unwrap_or_else(PoisonError::into_inner) = Some((pruning, plan));
    }
}

impl PlanKey {
    /// The key of a plan over a dataset, at tier `records`.
    pub(super) fn new((sql, version): (&str, Option<VersionNumber>), scope: &OneDataset, shown: SchemaRef) -> Self {
        Self {
            sql: sql.to_owned(),
            version,
            dataset: scope.dataset.clone(),
            shown: ShownTables::One(shown),
        }
    }

    /// The key of a plan over datasets of a collection, which are queried together at tier `records` only.
    pub(super) fn of_collection(
        (sql, version): (&str, Option<VersionNumber>),
        collection: &CollectionRef,
        shown: BTreeMap<DatasetName, SchemaRef>,
    ) -> Self {
        Self {
            sql: sql.to_owned(),
            version,
            dataset: DatasetRef::only(collection.clone()),
            shown: ShownTables::Collection(collection.clone(), shown),
        }
    }

    /// The plan, made with the `state` of a provider that has tables with the columns `shown`.
    ///
    /// # Errors
    /// Everything for which a statement is refused before a row is read.
    pub(super) async fn planned(&self, state: &SessionState) -> Result<KnownPlan, QueryError> {
        let plan = planned(state, self.statement()?, &self.dataset).await?;
        size::admitted(&plan)?;
        let fitting = size::rows_per_batch(&plan, state.config().batch_size())?;
        let batch_rows = rows_in_whole_chunks(plan.schema().as_arrow(), fitting);
        Ok(KnownPlan::new(plan, batch_rows))
    }

    fn statement(&self) -> Result<Statement, QueryError> {
        match &self.shown {
            ShownTables::One(shown) => {
                let columns: Vec<&str> = shown.fields().iter().map(|field| field.name().as_str()).collect();
                statement::checked(&self.sql, &self.dataset, self.version, &columns)
            }
            ShownTables::Collection(collection, shown) => {
                let names = |shown: &SchemaRef| -> Vec<String> {
                    let fields = shown.fields().iter();
                    fields.map(|field| field.name().clone()).collect()
                };
                let visible = shown.iter().map(|(dataset, shown)| (dataset.clone(), names(shown)));
                statement::checked_in_collection(&self.sql, collection, self.version, &visible.collect())
            }
        }
    }
}

impl KnownPlans {
    /// The plan for `key`, made with `state` unless it is known. A refusal is not kept.
    ///
    /// # Errors
    /// Those of planning.
    pub(super) async fn get(&self, key: PlanKey, state: &SessionState) -> Result<Arc<KnownPlan>, QueryError> {
        if let Some(known) = self.find(&key) {
            return Ok(known);
        }
        let plan = Arc::new(key.planned(state).await?);
        self.keep(key, Arc::clone(&plan));
        Ok(plan)
    }

    fn find(&self, key: &PlanKey) -> Option<Arc<KnownPlan>> {
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = plans.iter().position(|(of, _)| of == key)?;
        let found = plans.remove(at)?;
        let plan = Arc::clone(&found.1);
        plans.push_back(found);
        Some(plan)
    }

    fn keep(&self, key: PlanKey, plan: Arc<KnownPlan>) {
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if plans.len() >= MAX_PLANS {
            plans.pop_front();
        }
        plans.push_back((key, plan));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::logical_expr::LogicalPlanBuilder;

    fn key(sql: &str) -> PlanKey {
        PlanKey {
            sql: sql.to_owned(),
            version: None,
            dataset: "budapest.heart".parse().unwrap(),
            shown: ShownTables::One(Arc::new(Schema::new(vec![Field::new("age", DataType::Int64, true)]))),
        }
    }

    fn plan() -> Arc<KnownPlan> {
        let plan = LogicalPlanBuilder::empty(false).build().unwrap();
        Arc::new(KnownPlan::new(plan, 1))
    }

    #[test]
    fn plan_is_known_for_what_it_was_made_of_only() {
        let plans = KnownPlans::default();
        plans.keep(key("a"), plan());
        assert!(plans.find(&key("a")).is_some());
        let form = [("form".to_owned(), "year".to_owned())].into();
        let field = Field::new("age", DataType::Int64, true).with_metadata(form);
        let others = [
            key("b"),
            PlanKey {
                version: Some(VersionNumber::FIRST),
                ..key("a")
            },
            PlanKey {
                dataset: "budapest.lung".parse().unwrap(),
                ..key("a")
            },
            PlanKey {
                shown: ShownTables::One(Arc::new(Schema::new(vec![field]))),
                ..key("a")
            },
            PlanKey {
                shown: ShownTables::Collection("budapest.heart".parse().unwrap(), BTreeMap::new()),
                ..key("a")
            },
        ];
        for other in others {
            assert!(plans.find(&other).is_none(), "{other:?}");
        }
    }

    #[test]
    fn plan_that_was_used_least_recently_is_dropped() {
        let plans = KnownPlans::default();
        for number in 0..MAX_PLANS {
            plans.keep(key(&number.to_string()), plan());
        }
        assert!(plans.find(&key("0")).is_some());
        plans.keep(key("one more"), plan());
        assert!(plans.find(&key("0")).is_some());
        assert!(plans.find(&key("1")).is_none());
        assert!(plans.find(&key("one more")).is_some());
    }
}
