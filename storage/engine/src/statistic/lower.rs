//! From the plan of a query to statistics, and what is computed from their cells.
//!
//! 1. Above the groupings the plan stays a plan, over tables `cells_1`, `cells_2`, … in their place: it sees released cells only, and is
//!    refused where it depends on several of which some may be withheld (`several_cells`).
//! 2. Below a grouping, every column is traced to the dataset that it is of (`relation`), and each dataset gets a position: it is
//!    measured, reached from the measured row, or has events of the same subject (`attach`), by the joins of the query (`joins`).
//! 3. Conditions (`conditions`, `subqueries`), arithmetic (`arithmetic`), groups (`groups`) and aggregates (`aggregates`) are read
//!    with these positions. What is not listed there is refused.
//! 4. Several sets of groups (`grouping_sets`) are as many groupings, whose tables are one after the other. A sum of figures over whole
//!    partitions (`totals`) is one more grouping, and so are running sums (`running`).

mod aggregates;
mod ancestors;
mod arithmetic;
mod attach;
mod by_label;
mod columns;
mod conditions;
mod grouping_sets;
mod groups;
mod joins;
mod limits;
mod listings;
mod literals;
mod numbered;
mod per_subject;
mod quantities;
mod quoted;
mod relation;
mod running;
mod scaled;
mod spans;
mod state;
mod subqueries;
mod totals;

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{Field, Schema},
    common::{Column, TableReference},
    datasource::{empty::EmptyTable, provider_as_source},
    error::DataFusionError,
    logical_expr::{Aggregate, Distinct, Expr, LogicalPlan, LogicalPlanBuilder},
};

use super::{
    block::{Statistic, at_most},
    forms::Form,
    known::KnownCollection,
    measure::CellAggregate,
    several_cells::CellTables,
    terms::Condition,
};
use aggregates::Computed;
use columns::instances_of;
pub use grouping_sets::separate_sets;
pub use limits::{LimitedFigures, LimitedValues};
use listings::{ListedValues, listed_table};
use running::{Direction, Running};
pub use state::{Beyond, Block, CellColumn, Lowered, RunningRows};
use state::{Bound, Lowering, MAX_BLOCKS, Result, refused, rewritten};
pub use totals::with_totals;

/// The statistics of a query, each with at most `max_cells` cells. `plan` is the one of the planner, with names resolved and before types are
/// converted.
///
/// # Errors
/// [`NotCountable`](super::forms::NotCountable) for everything that is not in the language, with the nearest form.
pub fn lower(plan: &LogicalPlan, known: &KnownCollection, max_cells: usize) -> Result<Lowered> {
    let mut lowering = Lowering::new(known, max_cells);
    let above = lowering.above(&with_totals(plan.clone(), &|_| true))?;
    let Lowering { blocks, beyond, .. } = lowering;
    let tables = CellTables::new((1_usize..).map(name_of).zip(blocks.iter().map(figures)));
    let orders = tables.check(&above)?;
    Ok(Lowered {
        blocks,
        above,
        orders,
        beyond,
    })
}

/// The name of the table of cells of the grouping with this number, from 1 on.
fn name_of(number: usize) -> String {
    format!("cells_{number}")
}

/// Which columns of the table of cells are figures.
fn figures(block: &Block) -> Vec<bool> {
    let is_figure = |column: &CellColumn| match column {
        CellColumn::Group(_) => false,
        CellColumn::Cell(_) | CellColumn::Scaled { .. } | CellColumn::Quotient { .. } => true,
    };
    let of_columns = block.columns.iter().map(is_figure);
    let running = block.running.iter();
    let of_running = running.flat_map(|running| [false].into_iter().chain(running.cells.iter().map(|_| true)));
    // Rows for each value are groups, although the value is in no column of the table.
    let by_value = block.is_by_value.then_some(false);
    of_columns.chain(of_running).chain(by_value).collect()
}

impl Lowering<'_> {
    /// The plan above its groupings.
    #[expect(clippy::wildcard_enum_match_arm, reason = "a plan that is not listed is refused")]
    fn above(&mut self, plan: &LogicalPlan) -> Result<LogicalPlan> {
        if let LogicalPlan::Window(window) = plan
            && let Some(running) = Running::of(window)
        {
            return self.deeper(|lowering| lowering.running(&running));
        }
        match plan {
            LogicalPlan::Aggregate(aggregate) => match aggregate.group_expr.as_slice() {
                [Expr::GroupingSet(sets)] => self.grouping_sets(aggregate, sets),
                _ => self.block(aggregate),
            },
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::Join(_)
            | LogicalPlan::Distinct(Distinct::All(_)) => self.deeper(|lowering| {
                let inputs = plan.inputs().into_iter().map(|input| lowering.above(input));
                let inputs = inputs.collect::<Result<Vec<_>>>()?;
                let expressions = plan.expressions().into_iter();
                let expressions = expressions.map(|expression| lowering.above_expression(expression));
                let expressions = expressions.collect::<Result<Vec<_>>>()?;
                plan.with_new_exprs(expressions, inputs)
                    .map_err(|_| refused(Form::Operator))
            }),
            _ => Err(refused(Form::Rows)),
        }
    }

    /// An expression over cells, with the groupings of its scalar subqueries lowered.
    #[expect(clippy::wildcard_enum_match_arm, reason = "other expressions contain no plan")]
    fn above_expression(&mut self, expression: Expr) -> Result<Expr> {
        rewritten(expression, &mut |inner| match inner {
            Expr::ScalarSubquery(mut subquery) if subquery.outer_ref_columns.is_empty() => {
                subquery.subquery = Arc::new(self.above(&subquery.subquery)?);
                Ok(Expr::ScalarSubquery(subquery))
            }
            Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_) => {
                Err(refused(Form::Subquery))
            }
            other => Ok(other),
        })
    }

    /// A window becomes its other functions, joined with a table of the cells that its running sums are.
    fn running(&mut self, running: &Running<'_>) -> Result<LogicalPlan> {
        let has_no_form = || refused(Form::TotalOfCells);
        let aggregate = running.aggregate().ok_or_else(has_no_form)?;
        let sums = self.cells_of(&aggregate, Some(running.direction()))?;
        let number = self.blocks.len();
        let others = running.others().ok_or_else(has_no_form)?;
        let rows = self.above(&others)?;
        running.joined(sums, rows, number).ok_or_else(has_no_form)
    }

    /// A grouping becomes a block, and a table of its cells with the same columns.
    fn block(&mut self, aggregate: &Aggregate) -> Result<LogicalPlan> {
        self.cells_of(aggregate, None)
    }

    /// The same; with a direction, the figures are running sums in the order of the last group.
    fn cells_of(&mut self, aggregate: &Aggregate, direction: Option<Direction>) -> Result<LogicalPlan> {
        at_most(self.blocks.len().saturating_add(1), MAX_BLOCKS, "groupings")?;
        let (block, listed) = self.deeper(|lowering| lowering.statistic_of(aggregate, direction))?;
        self.blocks.push(block);
        let name = name_of(self.blocks.len());
        let table = match &listed {
            None => cells_table(aggregate, &name),
            Some(listed) => listed_table(aggregate, &name, listed),
        };
        table.map_err(|_| refused(Form::Operator))
    }

    /// The statistic, with the values of a group by a column of rows that list codes.
    fn statistic_of(
        &mut self,
        aggregate: &Aggregate,
        direction: Option<Direction>,
    ) -> Result<(Block, Option<ListedValues>)> {
        let relation = self.relation(&aggregate.input)?;
        let schema = aggregate.input.schema();
        let bind = |lowering: &mut Self, expressions: &[Expr]| -> Result<Vec<Expr>> {
            let bound = expressions.iter();
            let bound = bound.map(|expression| lowering.bound(expression, schema, &relation.columns));
            Ok(bound
                .collect::<Result<Vec<Bound>>>()?
                .into_iter()
                .map(|bound| bound.expr)
                .collect())
        };
        // A group that is named twice is one column.
        let mut named: Vec<Expr> = Vec::new();
        for group in &aggregate.group_expr {
            if !named.contains(group) {
                named.push(group.clone());
            }
        }
        let mut group_by = bind(self, &named)?;
        let aggregates = bind(self, &aggregate.aggr_expr)?;
        let used = group_by.iter().chain(&aggregates);
        let mut attached = self.attach(&relation, None, &instances_of(used))?;
        let listed = self.listed_group(&mut attached, &group_by)?;
        if let Some(listed) = &listed {
            group_by.remove(listed.at);
        }
        let (measured, rows) = self.measured(&relation, &attached)?;
        let frame = attached.frame(None);
        let groups = group_by.iter().map(|group| self.group(group, &frame, &rows));
        let mut groups = groups.collect::<Result<Vec<_>>>()?;
        let is_listed_often = self.is_listed_often(&attached, listed.as_ref())?;
        let by_subject = attached.by_subject(&relation, self.repeats_rows(&relation), is_listed_often);
        let computed = aggregates
            .iter()
            .map(|item| self.aggregate(item, &frame, &measured, by_subject));
        let computed = computed.collect::<Result<Vec<Computed>>>()?;
        let classes = match (direction, groups.pop()) {
            (Some(direction), Some(group)) => Some(self.classes(group, direction, &rows)?),
            (_, group) => {
                groups.extend(group);
                None
            }
        };
        // Without a group that has an order, as where codes of a list are all that is grouped, there are no running sums.
        if direction.is_some() && classes.is_none() {
            return Err(refused(Form::TotalOfCells));
        }
        let computed = match (&listed, &classes) {
            (None, None) => computed,
            (Some(listed), None) => self.of_each_value(listed, &computed),
            (None, Some(classes)) => classes.computed(self.known, &computed)?,
            (Some(_), Some(_)) => return Err(refused(Form::TotalOfCells)),
        };
        let (rows, computed) = with_common_filter(rows, computed);
        let cells = computed.iter().flat_map(Computed::cells).cloned().collect();
        let statistic = Statistic::new(measured, rows, groups.clone(), cells, self.known, self.max_cells)?;
        let position = |found: Option<usize>| found.ok_or_else(|| refused(Form::Operator));
        let mut columns = Vec::new();
        for group in &groups {
            let at = statistic.groups().iter().position(|known| known == group);
            columns.push(CellColumn::Group(position(at)?));
        }
        let running = match classes {
            Some(classes) => Some(classes.rows(&computed, statistic.cells())?),
            None => {
                for item in &computed {
                    columns.push(item.column(statistic.cells()).ok_or_else(|| refused(Form::Operator))?);
                }
                None
            }
        };
        let block = Block {
            statistic,
            columns,
            is_by_value: listed.is_some(),
            running,
        };
        Ok((block, listed))
    }

    /// The aggregates of each value, one value after the other.
    fn of_each_value(&self, listed: &ListedValues, computed: &[Computed]) -> Vec<Computed> {
        let mut all = Vec::new();
        for (_, is_listed) in &listed.values {
            let with = |filter: &Condition| {
                let both = vec![filter.clone(), is_listed.clone()];
                self.known.where_true(Condition::all(both))
            };
            all.extend(computed.iter().map(|item| item.clone().filtered(&with)));
        }
        all
    }
}

/// What all aggregates require of a row is a condition on the rows, and no aggregate has a part of that again.
fn with_common_filter(rows: Condition, computed: Vec<Computed>) -> (Condition, Vec<Computed>) {
    let mut filters = computed.iter().flat_map(Computed::cells).map(CellAggregate::filter);
    let first = filters.next().map(Condition::conjuncts);
    let mut common: Vec<Condition> = first.unwrap_or_default().to_vec();
    for filter in filters {
        common.retain(|part| filter.conjuncts().contains(part));
    }
    let rows = Condition::all(std::iter::once(rows).chain(common.clone()).collect()).where_true();
    let is_known = |part: &Condition| common.contains(part) || rows.conjuncts().contains(part);
    let left = |filter: &Condition| {
        let parts = filter.conjuncts().iter().filter(|part| !is_known(part));
        Condition::all(parts.cloned().collect())
    };
    let computed = computed.into_iter().map(|item| item.filtered(&left)).collect();
    (rows, computed)
}

/// A table of cells with the columns of a grouping.
fn cells_table(aggregate: &Aggregate, name: &str) -> std::result::Result<LogicalPlan, DataFusionError> {
    let columns: Vec<_> = aggregate.schema.iter().enumerate().collect();
    let fields = columns
        .iter()
        .map(|(at, (_, field))| Field::new(format!("c{at}"), field.data_type().clone(), true));
    let table = EmptyTable::new(Arc::new(Schema::new(fields.collect::<Vec<_>>())));
    let shown = columns.iter().map(|(at, (qualifier, field))| {
        let column = Column::new(Some(TableReference::bare(name)), format!("c{at}"));
        Expr::Column(column).alias_qualified(qualifier.cloned(), field.name())
    });
    LogicalPlanBuilder::scan(TableReference::bare(name), provider_as_source(Arc::new(table)), None)?
        .project(shown.collect::<Vec<_>>())?
        .build()
}
