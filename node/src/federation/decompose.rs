//! One grouping over many members, as partial aggregates.
//!
//! The grouping of `SELECT sex, avg(chol) FROM consortium.heart WHERE age > 40 GROUP BY sex` becomes
//!
//! 1. for each member, under its own grant: `SELECT "sex" AS "g0", sum("chol") AS "a0", count("chol") AS "a1" FROM "heart"
//!    WHERE "age" > 40 GROUP BY "sex"`;
//! 2. at this node, over the members' rows: sums of `a0` and `a1` for each `g0`, and their quotient.
//!
//! Counts and sums of whole numbers are exactly those over one table, and cannot wrap ([`narrow`]); a mean is the sum divided by
//! the count. A cell that a member withholds is null. A cell that all members withhold is null in the answer, not zero. An aggregate that
//! cannot be combined from partial ones (a median, a distinct count) is not decomposed, and the reason is kept for the error message. Over
//! one member nothing has to be combined, so every aggregate that its holder computes is sent as it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use concordat_engine::{mean_of, narrow};
use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, Schema};
use datafusion::common::{Column, DFSchemaRef};
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::provider_as_source;
use datafusion::error::Result as PlanResult;
use datafusion::execution::context::SessionState;
use datafusion::functions_aggregate::expr_fn::{max, min, sum};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, cast, when};

use super::error::FederationError;
use super::fragment::{Fragment, Measure, MemberPart, Parts, aggregate_text, operand_text};
use super::statement::TableName;
use super::tables::Tables;
use super::union_table::UnionTable;

/// A grouping over one table.
#[derive(Debug)]
pub(super) struct Block<'a> {
    grouping: &'a Aggregate,
    table_name: &'a TableName,
    table: &'a UnionTable,
    conditions: Vec<&'a Expr>,
    /// The groups, each once: the columns of the grouping have those that the query repeats once too.
    groups: Vec<Expr>,
}

impl<'a> Block<'a> {
    /// `grouping` as a block, if only conditions and one table of the query are below it.
    pub(super) fn of(grouping: &'a Aggregate, tables: &'a Tables) -> Option<(&'a TableName, Self)> {
        let mut conditions = Vec::new();
        let mut below = grouping.input.as_ref();
        loop {
            #[expect(
                clippy::wildcard_enum_match_arm,
                reason = "what is not listed is not sent to members"
            )]
            match below {
                LogicalPlan::Filter(filter) => {
                    conditions.extend(split_conjunction(&filter.predicate));
                    below = &filter.input;
                }
                LogicalPlan::SubqueryAlias(alias) => below = &alias.input,
                LogicalPlan::TableScan(scan) => {
                    let (table_name, table) = tables.of_scan(&scan.table_name)?;
                    let mut groups: Vec<Expr> = Vec::new();
                    for group in &grouping.group_expr {
                        if !groups.contains(group) {
                            groups.push(group.clone());
                        }
                    }
                    let block = Self {
                        grouping,
                        table_name,
                        table,
                        conditions,
                        groups,
                    };
                    return Some((table_name, block));
                }
                _ => return None,
            }
        }
    }

    /// The fragment for the members, and the plan over its answers, the table `name`, that replaces the grouping. `names` are those that
    /// the query gives to columns. The inner error states why the members cannot answer it.
    ///
    /// # Errors
    /// If the engine fails.
    pub(super) async fn decomposed(
        &self,
        name: &str,
        names: &BTreeMap<String, String>,
        state: &SessionState,
    ) -> Result<Result<(Fragment, LogicalPlan), String>, FederationError> {
        if self.groups.iter().any(|group| matches!(group, Expr::GroupingSet(_))) {
            return Ok(Err("it groups in several ways at once".to_owned()));
        }
        if self.groups.len().saturating_add(self.grouping.aggr_expr.len()) != self.grouping.schema.fields().len() {
            return Ok(Err("its groups and aggregates are not all of its columns".to_owned()));
        }
        let mut merge = Merge {
            schema: self.grouping.input.schema(),
            parts: Vec::new(),
            one_member: self.table.members.len() == 1,
        };
        let merged: Result<Vec<Merged>, String> = self
            .grouping
            .aggr_expr
            .iter()
            .map(|measure| merge.measure(measure))
            .collect();
        let merged = match merged {
            Ok(merged) => merged,
            Err(obstacle) => return Ok(Err(obstacle)),
        };
        let measures: Vec<Expr> = merge.parts.iter().map(|part| part.measure.clone()).collect();
        let parts = Parts {
            table_name: self.table_name,
            table: self.table,
            groups: &self.groups,
            measures: &measures,
            conditions: &self.conditions,
        };
        let mut members: Vec<MemberPart> = Vec::new();
        for member in &self.table.members {
            match parts.for_member(member, state).await? {
                Ok(Some(part)) => members.push(part),
                // Its institution is not among those that the condition allows.
                Ok(None) => {}
                Err(obstacle) => return Ok(Err(obstacle)),
            }
        }
        let fragment = parts.fragment(name, members, self.measures(&merged, names))?;
        let plan = self.over_answers(&fragment, &merge, merged)?;
        Ok(Ok((fragment, plan)))
    }

    /// The aggregates by their names in the query, with the parts that each is combined from.
    fn measures(&self, merged: &[Merged], names: &BTreeMap<String, String>) -> Vec<Measure> {
        let fields = self.grouping.schema.fields().iter().skip(self.groups.len());
        let computed = self.grouping.aggr_expr.iter().zip(fields).zip(merged);
        computed
            .map(|((measure, field), merged)| Measure {
                name: names
                    .get(field.name())
                    .cloned()
                    .unwrap_or_else(|| aggregate_text(measure)),
                parts: merged.parts.clone(),
                count: merged.count,
            })
            .collect()
    }

    /// The plan with the columns of the grouping, computed from the table of answers.
    fn over_answers(&self, fragment: &Fragment, merge: &Merge<'_>, merged: Vec<Merged>) -> PlanResult<LogicalPlan> {
        let answers = Arc::new(EmptyTable::new(Arc::clone(&fragment.schema)));
        let scan = LogicalPlanBuilder::scan(fragment.name.as_str(), provider_as_source(answers), None)?;
        let groups = (0..self.groups.len()).map(|at| answer(&format!("g{at}")));
        let groups: Vec<Expr> = groups.collect();
        let (combined, mut columns) = if merge.one_member {
            (scan, groups)
        } else {
            let sums: Vec<Expr> = merge
                .parts
                .iter()
                .enumerate()
                .map(|(at, part)| part.combined(at, &fragment.schema))
                .collect();
            (scan.aggregate(groups.clone(), sums)?, groups)
        };
        columns.extend(merged.into_iter().map(|merged| merged.value));
        let named = columns
            .into_iter()
            .zip(self.grouping.schema.iter())
            .map(|(column, (qualifier, field))| column.alias_qualified(qualifier.cloned(), field.name()));
        let named: Vec<Expr> = named.collect();
        combined.project(named)?.build()
    }
}

/// A column of the table of answers.
fn answer(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// What is requested of every member.
#[derive(Clone, Debug, PartialEq)]
struct Part {
    /// The aggregate that each member computes.
    measure: Expr,
    merge: Merging,
    /// The part that has to be there too for this one to count.
    with: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Merging {
    Sum,
    Min,
    Max,
}

impl Part {
    /// The aggregate over the members' answers, whose columns are `answers`, named `m` and its number.
    fn combined(&self, at: usize, answers: &Schema) -> Expr {
        let name = format!("a{at}");
        let own = answer(&name);
        let counted = match self.with {
            // If a member withholds one of the two, the other is not counted either.
            Some(with) => when(answer(&format!("a{with}")).is_not_null(), own.clone())
                .end()
                .unwrap_or(own),
            None => own,
        };
        let combined = match self.merge {
            Merging::Sum => match answers.field_with_name(&name).map(Field::data_type) {
                // As many digits as there are, so that only the sum in the type of the query may have too many.
                Ok(DataType::Decimal128(digits, scale)) => sum(cast(counted, DataType::Decimal256(*digits, *scale))),
                Ok(_) | Err(_) => sum(counted),
            },
            Merging::Min => min(counted),
            Merging::Max => max(counted),
        };
        combined.alias(format!("m{at}"))
    }
}

/// An aggregate that is combined from parts.
struct Merged {
    /// Its value, computed from the combined parts.
    value: Expr,
    /// The parts that have to be there.
    parts: Vec<usize>,
    /// The part that counts the values.
    count: Option<usize>,
}

impl Merged {
    /// The value of the part `at` alone.
    fn of(at: usize, value: Expr) -> Self {
        Self {
            value,
            parts: vec![at],
            count: None,
        }
    }
}

/// Splits aggregates into the parts that members compute.
struct Merge<'a> {
    schema: &'a DFSchemaRef,
    parts: Vec<Part>,
    one_member: bool,
}

impl Merge<'_> {
    /// An aggregate, combined from parts. The error states why it cannot be.
    fn measure(&mut self, measure: &Expr) -> Result<Merged, String> {
        if self.one_member {
            let at = self.part(measure.clone().unalias(), Merging::Sum, None);
            return Ok(Merged::of(at, answer(&format!("a{at}"))));
        }
        let Expr::AggregateFunction(function) = measure.clone().unalias() else {
            return Err("it computes something other than aggregates of columns".to_owned());
        };
        let Some(argument) = single_argument(&function) else {
            return Err(cannot_combine(&function));
        };
        let merging = match function.func.name() {
            "sum" => return Ok(self.total(measure, argument)),
            "avg" | "mean" => return Ok(self.mean(argument)),
            // Not 0 if there are no values: a count that a member withholds is null, and so is the sum of withheld counts.
            "count" => Merging::Sum,
            "min" => Merging::Min,
            "max" => Merging::Max,
            _ => return Err(cannot_combine(&function)),
        };
        let at = self.part(Expr::AggregateFunction(function), merging, None);
        Ok(Merged::of(at, merged(at)))
    }

    fn total(&mut self, measure: &Expr, argument: Expr) -> Merged {
        let kind = measure.get_type(self.schema.as_ref()).ok();
        let operand = operand_text(&argument);
        let sum = self.sum_of(argument);
        let at = self.part(sum, Merging::Sum, None);
        Merged::of(
            at,
            match kind {
                Some(kind) if kind.is_integer() || matches!(kind, DataType::Decimal128(..)) => {
                    narrow(merged(at), &kind, &operand)
                }
                Some(_) | None => merged(at),
            },
        )
    }

    fn mean(&mut self, argument: Expr) -> Merged {
        let operand = operand_text(&argument);
        let count = datafusion::functions_aggregate::expr_fn::count(argument.clone());
        let scale = self.scale(&argument);
        let sum = self.sum_of(argument);
        let next = self.parts.len();
        let (sum_at, count_at) = (next, next.saturating_add(1));
        self.parts.push(Part {
            measure: sum,
            merge: Merging::Sum,
            with: Some(count_at),
        });
        self.parts.push(Part {
            measure: count,
            merge: Merging::Sum,
            with: Some(sum_at),
        });
        let total = match scale {
            Some(scale) => {
                let exact = DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale);
                narrow(merged(sum_at), &exact, &operand)
            }
            None => merged(sum_at),
        };
        Merged {
            value: mean_of(total, merged(count_at)),
            parts: vec![sum_at, count_at],
            count: Some(count_at),
        }
    }

    /// The digits after the point of numbers that are added exactly.
    #[expect(clippy::wildcard_enum_match_arm, reason = "other numbers are not added exactly")]
    fn scale(&self, argument: &Expr) -> Option<i8> {
        match argument.get_type(self.schema.as_ref()).ok()? {
            DataType::Decimal128(_, scale) => Some(scale),
            kind if kind.is_integer() => Some(0),
            _ => None,
        }
    }

    /// The sum that members compute; of whole numbers, with as many digits as it may have.
    fn sum_of(&self, argument: Expr) -> Expr {
        let whole = argument
            .get_type(self.schema.as_ref())
            .is_ok_and(|kind| kind.is_integer());
        sum(if whole {
            cast(argument, DataType::Decimal128(19, 0))
        } else {
            argument
        })
    }

    /// The number of the part, which is requested once even if it is used several times.
    fn part(&mut self, measure: Expr, merge: Merging, with: Option<usize>) -> usize {
        let part = Part { measure, merge, with };
        let known = self.parts.iter().position(|known| *known == part);
        known.unwrap_or_else(|| {
            self.parts.push(part);
            self.parts.len().saturating_sub(1)
        })
    }
}

fn merged(at: usize) -> Expr {
    answer(&format!("m{at}"))
}

/// The one argument of a call without `DISTINCT`, `FILTER` or an order.
fn single_argument(function: &AggregateFunction) -> Option<Expr> {
    let params = &function.params;
    let bare =
        !params.distinct && params.filter.is_none() && params.order_by.is_empty() && params.null_treatment.is_none();
    match params.args.as_slice() {
        [argument] if bare => Some(argument.clone()),
        _ => None,
    }
}

fn cannot_combine(function: &AggregateFunction) -> String {
    let name = function.func.name();
    let simple = matches!(name, "count" | "sum" | "avg" | "mean" | "min" | "max");
    let shown = if simple {
        Expr::AggregateFunction(function.clone()).human_display().to_string()
    } else {
        name.to_owned()
    };
    format!("`{shown}` cannot be combined from the members' partial results")
}
