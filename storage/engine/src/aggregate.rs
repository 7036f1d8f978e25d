//! Queries below tier `records`: group, count the subjects in every cell, withhold small cells, then compute the rest.
//!
//! The plan of such a query is a chain: expressions, `HAVING`, order and limit above exactly one grouping, conditions
//! and the table below it. The grouping runs over a table that also has the subject (`View::with_subject`). For the
//! group, and for each operand of an aggregate over the rows in which it has a value and over those in which it has
//! none, it counts the subjects up to the minimum, and the rows. The counting function takes the operand itself: what
//! the operand is computed from does not matter, only whether there is a value. The chain above is then computed from
//! the cells that [`disclosure::withhold`](mod@crate::disclosure::withhold) releases.
//!
//! Aggregates take bare columns and casts of them only: `sum(CASE WHEN id = 7 THEN x ELSE 0 END)` covers every subject
//! and still shows a single value.

mod counted_cells;
mod subject_overlap;
mod subjects;
mod total;

use std::sync::Arc;

use concordat_protocol::scope::Tier;
use datafusion::{
    arrow::datatypes::DataType,
    catalog::TableProvider,
    common::{Column, DFSchema},
    datasource::provider_as_source,
    error::{DataFusionError, Result as PlanResult},
    functions_aggregate::count::count_udaf,
    logical_expr::{
        Aggregate, AggregateUDF, Expr, ExprSchemable, Filter, LogicalPlan, LogicalPlanBuilder, SubqueryAlias,
        expr::{AggregateFunction, AggregateFunctionParams},
        utils::conjunction,
    },
};

use super::{
    QueryError,
    calculation::cast_operand,
    functions::{COUNT, STATISTICS},
    guard,
};
pub(super) use counted_cells::{Cells, MEASURED};
pub(super) use subject_overlap::SubjectOverlap;
use subjects::CountedRows;

/// Maximum number of columns in `GROUP BY`: withholding examines every subset of them.
const MAX_DIMENSIONS: usize = 6;

/// A query split at its grouping.
#[derive(Debug)]
pub(super) struct Split {
    whole: LogicalPlan,
    grouping: Aggregate,
    /// For each aggregate its operands; `None` if it counts rows.
    operands: Vec<Option<Vec<Expr>>>,
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
        let mut grouping = grouping.clone();
        // A column of groups that the query repeats is one column of the grouping, and the counts of its cells follow after those.
        let mut groups: Vec<Expr> = Vec::new();
        for group in std::mem::take(&mut grouping.group_expr) {
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        grouping.group_expr = groups;
        if grouping.group_expr.len().saturating_add(grouping.aggr_expr.len()) != grouping.schema.fields().len() {
            return Err(QueryError::Tier {
                tier,
                needs: "group by each column once, in one way",
            });
        }
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
        let operands: Result<Vec<_>, _> = grouping
            .aggr_expr
            .iter()
            .map(|measure| operands(measure, grouping.input.schema(), tier))
            .collect();
        let operands = operands?;
        total::check(&grouping)?;
        Ok(Self {
            whole: plan,
            grouping,
            operands,
        })
    }

    /// How many columns the query groups by.
    pub(super) fn dimensions(&self) -> usize {
        self.grouping.group_expr.len()
    }

    /// For each aggregate of the query, which item of [`Split::counted`] are its operands, if it has any.
    pub(super) fn measures(&self) -> Vec<Option<usize>> {
        let counted = self.counted();
        self.operands
            .iter()
            .map(|operands| {
                operands
                    .as_ref()
                    .and_then(|operands| counted.iter().position(|known| *known == operands))
            })
            .collect()
    }

    /// The operands of the aggregates, each once.
    fn counted(&self) -> Vec<&Vec<Expr>> {
        let mut counted = Vec::new();
        for operands in self.operands.iter().flatten() {
            if !counted.contains(&operands) {
                counted.push(operands);
            }
        }
        counted
    }

    /// The grouping with counts for its cells: dimensions, measures, then subjects and rows of the group, and for each
    /// counted item subjects and rows with a value, and without. Subjects are counted up to `enough`.
    pub(super) fn measured(
        &self,
        table: &Arc<dyn TableProvider>,
        enough: usize,
        most: usize,
    ) -> PlanResult<LogicalPlan> {
        let input = with_subject(&self.grouping.input, table)?;
        let subject = subject_of(&input)?;
        let all_rows = counts(&subject, &[], CountedRows::WithValue, enough);
        let of_items = self.counted().into_iter().flat_map(|operands| {
            [CountedRows::WithValue, CountedRows::WithoutValue]
                .map(|rows| counts(&subject, operands, rows, enough))
                .into_iter()
                .flatten()
        });
        let counts = all_rows
            .into_iter()
            .chain(of_items)
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
    function(measure).is_some_and(|count| count.func.name() == COUNT && !count.params.distinct)
}

/// The operands of an aggregate; `None` for `count(*)`.
fn operands(measure: &Expr, schema: &DFSchema, tier: Tier) -> Result<Option<Vec<Expr>>, QueryError> {
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
        [Expr::Literal(..)] if func.name() == COUNT => Ok(None),
        [argument] if !is_column(argument) => {
            denied("aggregate plain columns and compute with the result, as in `avg(chol) / 38.67`")
        }
        [argument] if func.name() != COUNT && has_boolean_step(argument, schema) => {
            denied("count truth values instead of computing with them as numbers")
        }
        [_] => Ok(Some(args.clone())),
        _ => denied("aggregate one column at a time"),
    }
}

/// Whether it is a column, or casts of one.
fn is_column(argument: &Expr) -> bool {
    matches!(argument, Expr::Column(_)) || operand_of_cast(argument).is_some_and(is_column)
}

/// Whether the argument is cast to a truth value on the way: then one value that is not zero would be a sum of one.
fn has_boolean_step(argument: &Expr, schema: &DFSchema) -> bool {
    operand_of_cast(argument).is_some_and(|operand| {
        let is_boolean = matches!(operand.get_type(schema), Ok(DataType::Boolean));
        is_boolean && !matches!(operand, Expr::Column(_)) || has_boolean_step(operand, schema)
    })
}

/// What is cast.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other expression is not a cast")]
fn operand_of_cast(argument: &Expr) -> Option<&Expr> {
    match argument {
        Expr::Cast(cast) => Some(&cast.expr),
        Expr::TryCast(cast) => Some(&cast.expr),
        Expr::ScalarFunction(function) => cast_operand(function),
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

/// The subjects, up to `enough`, and the number of those rows in which the operands have a value, or have none. Only the
/// subjects decide whether a cell is released; the rows order cells by their size.
fn counts(subject: &Expr, operands: &[Expr], rows: CountedRows, enough: usize) -> [Expr; 2] {
    let with_operands = std::iter::once(subject).chain(operands).cloned().collect();
    let condition = conjunction(operands.iter().map(|operand| operand.clone().is_not_null()));
    let condition = condition.map(|condition| match rows {
        CountedRows::WithValue => condition,
        CountedRows::WithoutValue => Expr::Not(Box::new(condition)),
    });
    [
        aggregate(subjects::up_to(enough, rows), with_operands, None),
        aggregate(count_udaf(), vec![subject.clone()], condition.map(Box::new)),
    ]
}

fn aggregate(function: Arc<AggregateUDF>, arguments: Vec<Expr>, filter: Option<Box<Expr>>) -> Expr {
    Expr::AggregateFunction(AggregateFunction::new_udf(
        function,
        arguments,
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
