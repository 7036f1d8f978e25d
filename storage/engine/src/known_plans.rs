//! Plans of statements that a process has planned before.
//!
//! A dashboard or a script sends one text again and again. What is planned of it depends on the text, the version that it names, the columns
//! with their forms and the tier, and on no row; so a process plans it once. A process answers within one scope only, and its plans end with
//! it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use arrow::datatypes::SchemaRef;
use concordat_protocol::{ids::DatasetRef, schema::VersionNumber, scope::Tier};
use datafusion::{execution::context::SessionState, logical_expr::LogicalPlan};

use super::{QueryError, one_dataset::OneDataset, plan::planned, size, statement};

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
    pub(super) dataset: DatasetRef,
    pub(super) tier: Tier,
    /// The columns of the view, with their forms.
    pub(super) shown: SchemaRef,
}

/// A plan over a table without rows that has the columns of the view.
#[derive(Debug)]
pub(super) struct KnownPlan {
    pub(super) plan: LogicalPlan,
    /// Rows in one batch, so that what is computed for them fits.
    pub(super) batch_rows: usize,
}

impl PlanKey {
    pub(super) fn new((sql, version): (&str, Option<VersionNumber>), scope: &OneDataset, shown: SchemaRef) -> Self {
        Self {
            sql: sql.to_owned(),
            version,
            dataset: scope.dataset.clone(),
            tier: scope.tier,
            shown,
        }
    }

    /// The plan, made with the `state` of a provider in which the dataset is a table with the columns `shown`.
    ///
    /// # Errors
    /// Everything for which a statement is refused before a row is read.
    pub(super) async fn planned(&self, state: &SessionState) -> Result<KnownPlan, QueryError> {
        let columns: Vec<&str> = self.shown.fields().iter().map(|field| field.name().as_str()).collect();
        let statement = statement::checked(&self.sql, &self.dataset, self.version, &columns)?;
        let plan = planned(state, statement, &self.dataset, self.tier).await?;
        size::admitted(&plan)?;
        let batch_rows = size::rows_per_batch(&plan, state.config().batch_size())?;
        Ok(KnownPlan { plan, batch_rows })
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
            tier: Tier::Records,
            shown: Arc::new(Schema::new(vec![Field::new("age", DataType::Int64, true)])),
        }
    }

    fn plan() -> Arc<KnownPlan> {
        let plan = LogicalPlanBuilder::empty(false).build().unwrap();
        Arc::new(KnownPlan { plan, batch_rows: 1 })
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
                tier: Tier::Aggregate,
                ..key("a")
            },
            PlanKey {
                shown: Arc::new(Schema::new(vec![field])),
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
