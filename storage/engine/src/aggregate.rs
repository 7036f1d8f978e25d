//! Queries below tier `records`: group, count the subjects in every cell, withhold small cells, then compute the rest.
//!
//! The plan of such a query is a chain: expressions, `HAVING`, order and limit above exactly one grouping, conditions
//! and the table below it. The grouping runs over a table that also has the subject (`View::with_subject`). For the
//! group, and for each aggregated column over the rows in which it has a value, it counts the subjects up to the
//! minimum, and the rows. The chain above is then computed from the cells that
//! [`disclosure::cells`](crate::disclosure::cells) releases.
//!
//! Aggregates take bare columns only: `sum(CASE WHEN id = 7 THEN x ELSE 0 END)` covers every subject and still shows a
//! single value.

mod cells;
mod subject_overlap;
mod subjects;
mod total;

use std::sync::Arc;

use concordat_protocol::scope::Tier;
use datafusion::{
    catalog::TableProvider,
    common::Column,
    datasource::provider_as_source,
    error::{DataFusionError, Result as PlanResult},
    functions_aggregate::count::count_udaf,
    logical_expr::{
        Aggregate, AggregateUDF, Expr, Filter, LogicalPlan, LogicalPlanBuilder, SubqueryAlias,
        expr::{AggregateFunction, AggregateFunctionParams},
    },
};

use super::{QueryError, guard};
pub(super) use cells::{Cells, MEASURED};
pub(super) use subject_overlap::SubjectOverlap;

/// Statistics that do not show a single value: no minimum, maximum, median or n-th value.
const STATISTICS: [&str; 11] = [
    "avg",
    "count",
    "mean",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "sum",
    "var",
    "var_pop",
    "var_samp",
    "var_sample",
];
/// Maximum number of columns in `GROUP BY`: withholding examines every subset of them.
const MAX_DIMENSIONS: usize = 6;

/// A query split at its grouping.
#[derive(Debug)]
pub(super) struct Split {
    whole: LogicalPlan,
    grouping: Aggregate,
    columns: Vec<Option<Column>>,
}

impl Split {
    /// Splits `plan`, if it is a chain with exactly one grouping and with aggregates that `tier` allows.
    ///
    /// # Errors
    /// [`QueryError::Tier`] describes what a query at this tier must look like.
    pub(super) fn new(plan: LogicalPlan, tier: Tier) -> Result<Self, QueryError> {
        let grouping = grouping(&plan).ok_or(QueryError::Tier {
            tier,
            needs: "select aggregates such as `count(*)` or `avg(column)`, with or without `GROUP BY`",
        })?;
        let grouping = grouping.clone();
        let counting = grouping.group_expr.is_empty() && grouping.aggr_expr.len() == 1;
        if tier < Tier::Aggregate && !(counting && grouping.aggr_expr.iter().all(is_plain_count)) {
            return Err(QueryError::Tier {
                tier,
                needs: "select one `count(*)` or `count(column)` without `GROUP BY`",
            });
        }
        if grouping.group_expr.len() > MAX_DIMENSIONS {
            return Err(QueryError::Tier {
                tier,
                needs: "group by at most six columns",
            });
        }
        if let Some(name) = total::first_fallible(&grouping) {
            return Err(QueryError::Function { name });
        }
        let columns: Result<Vec<_>, _> = grouping
            .aggr_expr
            .iter()
            .map(|measure| measured(measure, tier))
            .collect();
        Ok(Self {
            whole: plan,
            grouping,
            columns: columns?,
        })
    }

    /// How many columns the query groups by.
    pub(super) fn dimensions(&self) -> usize {
        self.grouping.group_expr.len()
    }

    /// For each aggregate of the query, which column of [`Split::counted`] it aggregates, if it aggregates a column.
    pub(super) fn measures(&self) -> Vec<Option<usize>> {
        let counted = self.counted();
        self.columns
            .iter()
            .map(|column| {
                column
                    .as_ref()
                    .and_then(|column| counted.iter().position(|known| *known == column))
            })
            .collect()
    }

    /// The aggregated columns, each once.
    fn counted(&self) -> Vec<&Column> {
        let mut counted = Vec::new();
        for column in self.columns.iter().flatten() {
            if !counted.contains(&column) {
                counted.push(column);
            }
        }
        counted
    }

    /// The grouping with counts for its cells: dimensions, measures, then subjects and rows of the group and of each
    /// counted column. Subjects are counted up to `enough`.
    pub(super) fn measured(
        &self,
        table: &Arc<dyn TableProvider>,
        enough: usize,
        most: usize,
    ) -> PlanResult<LogicalPlan> {
        let input = with_subject(&self.grouping.input, table)?;
        let subject = subject_of(&input)?;
        let functions = [subjects::up_to(enough), count_udaf()];
        let with_value = |column: &Column| Box::new(Expr::Column(column.clone()).is_not_null());
        let filters = std::iter::once(None).chain(self.counted().into_iter().map(|column| Some(with_value(column))));
        let counts = filters
            .flat_map(|filter| {
                functions
                    .each_ref()
                    .map(|function| counted(function, &subject, filter.clone()))
            })
            .enumerate()
            .map(|(at, count)| count.alias(format!("{MEASURED}{at}")));
        let measures: Vec<Expr> = self.grouping.aggr_expr.iter().cloned().chain(counts).collect();
        LogicalPlanBuilder::from(input)
            .aggregate(self.grouping.group_expr.clone(), measures)?
            .limit(0, Some(most.saturating_add(1)))?
            .build()
    }

    /// The query's rows: the subject, then the columns of the grouping.
    pub(super) fn subjects_by_group(&self, table: &Arc<dyn TableProvider>) -> PlanResult<LogicalPlan> {
        let input = with_subject(&self.grouping.input, table)?;
        let columns = std::iter::once(subject_of(&input)?).chain(self.grouping.group_expr.iter().cloned());
        let named = columns
            .enumerate()
            .map(|(at, column)| column.alias(format!("{MEASURED}{at}")));
        let named: Vec<Expr> = named.collect();
        LogicalPlanBuilder::from(input).project(named)?.build()
    }

    /// What the query computes above its grouping, over the released cells.
    pub(super) fn rest(&self, released: Arc<dyn TableProvider>) -> PlanResult<LogicalPlan> {
        let names = released.schema();
        let columns = names.fields().iter().zip(self.grouping.schema.iter());
        let named = columns.map(|(cell, (qualifier, field))| {
            Expr::Column(Column::new_unqualified(cell.name())).alias_qualified(qualifier.cloned(), field.name())
        });
        let named: Vec<Expr> = named.collect();
        let cells = LogicalPlanBuilder::scan("cells", provider_as_source(released), None)?
            .project(named)?
            .build()?;
        above(&self.whole, &cells)
    }
}

/// The grouping at the end of the chain.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a plan or expression that is not listed is refused"
)]
fn grouping(plan: &LogicalPlan) -> Option<&Aggregate> {
    match plan {
        LogicalPlan::Aggregate(grouping) => is_table(&grouping.input).then_some(grouping),
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::Sort(_) | LogicalPlan::Limit(_) => {
            plan.inputs().first().and_then(|input| self::grouping(input))
        }
        _ => None,
    }
}

/// Whether only conditions and the table are below the grouping.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a plan or expression that is not listed is refused"
)]
fn is_table(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(_) => true,
        LogicalPlan::Filter(filter) => is_table(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => is_table(&alias.input),
        _ => false,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a plan or expression that is not listed is refused"
)]
fn function(measure: &Expr) -> Option<&AggregateFunction> {
    match measure {
        Expr::Alias(alias) => function(&alias.expr),
        Expr::AggregateFunction(function) => Some(function),
        _ => None,
    }
}

fn is_plain_count(measure: &Expr) -> bool {
    function(measure).is_some_and(|count| count.func.name() == "count" && !count.params.distinct)
}

/// The column that is aggregated; `None` for `count(*)`.
fn measured(measure: &Expr, tier: Tier) -> Result<Option<Column>, QueryError> {
    let denied = |needs| Err(QueryError::Tier { tier, needs });
    let Some(AggregateFunction { func, params }) = function(measure) else {
        return denied("select aggregates of columns");
    };
    if !STATISTICS.contains(&func.name()) {
        return Err(QueryError::Function {
            name: func.name().to_owned(),
        });
    }
    let AggregateFunctionParams {
        args, filter, order_by, ..
    } = params;
    if filter.is_some() || !order_by.is_empty() {
        return denied("write `WHERE` instead of `FILTER`");
    }
    match args.as_slice() {
        [Expr::Literal(..)] if func.name() == "count" => Ok(None),
        [argument] => match bare(argument) {
            Some(column) => Ok(Some(column.clone())),
            None => denied("aggregate plain columns and compute with the result, as in `avg(chol) / 38.67`"),
        },
        _ => denied("aggregate one column at a time"),
    }
}

/// The column under the casts that the planner added.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a plan or expression that is not listed is refused"
)]
fn bare(argument: &Expr) -> Option<&Column> {
    match argument {
        Expr::Column(column) => Some(column),
        Expr::Cast(cast) => bare(&cast.expr),
        Expr::TryCast(cast) => bare(&cast.expr),
        _ => None,
    }
}

/// The same plan over a table that also has the subject.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a plan or expression that is not listed is refused"
)]
fn with_subject(plan: &LogicalPlan, table: &Arc<dyn TableProvider>) -> PlanResult<LogicalPlan> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            LogicalPlanBuilder::scan(scan.table_name.clone(), provider_as_source(Arc::clone(table)), None)?.build()
        }
        LogicalPlan::Filter(filter) => {
            let input = Arc::new(with_subject(&filter.input, table)?);
            Ok(LogicalPlan::Filter(Filter::try_new(filter.predicate.clone(), input)?))
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let input = Arc::new(with_subject(&alias.input, table)?);
            Ok(LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(
                input,
                alias.alias.clone(),
            )?))
        }
        _ => Err(DataFusionError::Internal("not a chain".to_owned())),
    }
}

fn subject_of(plan: &LogicalPlan) -> PlanResult<Expr> {
    let subject = guard::subject_column(plan.schema()).map(Expr::Column);
    subject.ok_or_else(|| DataFusionError::Internal("no subject to count".to_owned()))
}

fn counted(function: &Arc<AggregateUDF>, subject: &Expr, filter: Option<Box<Expr>>) -> Expr {
    Expr::AggregateFunction(AggregateFunction::new_udf(
        Arc::clone(function),
        vec![subject.clone()],
        false,
        filter,
        vec![],
        None,
    ))
}

/// `plan` with its grouping replaced by `cells`.
fn above(plan: &LogicalPlan, cells: &LogicalPlan) -> PlanResult<LogicalPlan> {
    if matches!(plan, LogicalPlan::Aggregate(_)) {
        return Ok(cells.clone());
    }
    let inputs: PlanResult<Vec<_>> = plan.inputs().into_iter().map(|input| above(input, cells)).collect();
    plan.with_new_exprs(plan.expressions(), inputs?)
}
