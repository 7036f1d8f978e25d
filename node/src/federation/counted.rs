//! Groupings below tier `records`, cut out of a plan.
//!
//! 1. A grouping that reads datasets of one collection, of which a member is below `records`, is lowered for each member that has them all
//!    under one permission, with what that member declares ([`holders`]). The institution of a row is a constant there: conditions on it
//!    decide which members take part, and a group by it makes each member's cells groups of their own.
//! 2. Where what the grouping depends on is declared in different ways, it has the levels that the members have in common
//!    ([`CommonGrouping`]), with a remark ([`remarks`]). If these do not suffice, the query is refused with the members and the column.
//! 3. Each member gets the text of the parts of its figures ([`member_text`]), after it was checked as its holder checks it ([`pending`]). A
//!    member with finer levels or records gets one in which groups are labels of the same cells.
//! 4. In the plan a table of the combined cells takes the place of the grouping. What is above reads nothing else. A sum of figures over
//!    whole partitions is a grouping of its own ([`with_totals`]).

mod at_member;
mod columns;
mod holders;
mod member;
mod member_text;
mod names;
mod pending;
mod read_tables;
mod remarks;
mod used_in;

use std::collections::BTreeMap;

use concordat_engine::{CommonGrouping, CountableForm, NotCountable, QueryError, separate_sets, with_totals};
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};

use super::cell_table::CellTable;
use super::error::FederationError;
use super::report::QueryReport;
use super::statement::ANSWER;
use super::tables::Tables;
use columns::{Position, in_place, positions, table_schema};
use holders::members;
use member::no_common;
use member_text::{Computed, labels, texts_of};
use names::Names;
pub(super) use pending::Pending;
use read_tables::{ReadTable, is_counted, tables_of};
use remarks::Remarks;

/// Cuts groupings below `records` out of a plan.
#[derive(Debug)]
pub(super) struct Counted<'a> {
    tables: &'a Tables,
    state: &'a SessionState,
    report: &'a QueryReport,
    names: Names<'a>,
    found: Vec<Pending>,
}

impl<'a> Counted<'a> {
    /// Groupings over `tables`, to whose columns the query gives these `names`.
    pub(super) const fn new(
        (tables, state): (&'a Tables, &'a SessionState),
        names: &'a BTreeMap<String, String>,
        report: &'a QueryReport,
    ) -> Self {
        Self {
            tables,
            state,
            report,
            names: Names::new(names),
            found: Vec::new(),
        }
    }

    /// The plan in which each grouping below `records` is a table of cells, and the groupings.
    ///
    /// # Errors
    /// [`FederationError`] for what cannot be counted or combined, and for expressions over labels that have no type.
    pub(super) fn out_of(mut self, plan: LogicalPlan) -> Result<(LogicalPlan, Vec<Pending>), FederationError> {
        self.names.read(&plan);
        let plan = with_totals(plan, &|grouping| is_counted(grouping, self.tables));
        let cut = plan.transform_down_with_subqueries(|node| {
            let LogicalPlan::Aggregate(grouping) = &node else {
                return Ok(Transformed::no(node));
            };
            if let Some(separate) = self.separate(grouping).map_err(DataFusionError::from)? {
                return Ok(Transformed::yes(separate));
            }
            match self.cut(grouping).map_err(DataFusionError::from)? {
                Some(cells) => Ok(Transformed::new(cells, true, TreeNodeRecursion::Jump)),
                None => Ok(Transformed::no(node)),
            }
        })?;
        // Labels are text also where the column has numbers.
        let typed = cut.data.transform_up_with_subqueries(|node| {
            if matches!(node, LogicalPlan::TableScan(_)) {
                Ok(Transformed::no(node))
            } else {
                node.recompute_schema().map(Transformed::yes)
            }
        });
        let typed = typed.map_err(|_| not_countable(CountableForm::LabelOperand))?;
        Ok((typed.data, self.found))
    }

    /// The plan in which each of several sets of groups is a grouping of its own: each is counted, decided and combined as a query of its own.
    /// `None` for a grouping without sets, and if all that it reads is shared as records.
    fn separate(&self, grouping: &Aggregate) -> Result<Option<LogicalPlan>, FederationError> {
        if !is_counted(grouping, self.tables) {
            return Ok(None);
        }
        separate_sets(grouping).map_err(|error| refused(&error))
    }

    /// The table in place of a grouping; `None` if all that it reads is shared as records, or if it reads no table. It is one sequence of
    /// steps, each of which needs what the ones before have found.
    fn cut(&mut self, grouping: &Aggregate) -> Result<Option<LogicalPlan>, FederationError> {
        if !is_counted(grouping, self.tables) {
            return Ok(None);
        }
        let read = tables_of(grouping, self.tables)?;
        if grouping
            .group_expr
            .iter()
            .any(|group| matches!(group, Expr::GroupingSet(_)))
        {
            return Err(not_countable(CountableForm::CombinedSets));
        }
        let (members, groupings) = members((self.tables, self.state), self.report, grouping, &read)?;
        let common = CommonGrouping::of(&groupings).map_err(|difference| no_common(&members, *difference))?;
        let (Some(common), Some(first)) = (common, members.first()) else {
            return Err(no_part(&read));
        };
        let positions = positions(grouping);
        // Then nothing is combined.
        let is_by_institution = positions.contains(&Position::Institution);
        let one_member = members.len() == 1 || is_by_institution;
        let computed = Computed::of(common.whole(), &positions, one_member, &first.target)?;
        let (groups, measures) = self.names.of_columns(grouping, &computed.outputs);
        let (texts, grids) = texts_of(&members, &common, (&computed, &positions, one_member))?;
        let remarks = Remarks::new(self.report, &members);
        remarks.protected();
        remarks.noise_of_values(&common);
        remarks.levels(common.changed());
        remarks.beyond(&common);
        if one_member {
            remarks.limited(&common);
        } else {
            remarks.combined(&measures, grouping, &common);
        }
        let schema = table_schema(common.whole(), &positions);
        let name = format!("{ANSWER}s{}", self.found.len());
        let table = in_place(grouping, &name, &schema)?;
        self.found.push(Pending {
            name,
            schema,
            groups,
            measures,
            cells: CellTable {
                labels: labels(common.whole()).map_err(FederationError::planning)?,
                cells: common.whole().cells().num_rows(),
                counts: computed.counts,
                outputs: computed.outputs,
                members: grids,
            },
            texts,
        });
        Ok(Some(table))
    }
}

fn not_countable(form: CountableForm) -> FederationError {
    refused(&NotCountable::Form(form))
}

fn refused(error: &NotCountable) -> FederationError {
    let detail = error.to_string();
    FederationError::planning(QueryError::Invalid { detail })
}

/// The error if no member is left.
fn no_part(read: &[ReadTable<'_>]) -> FederationError {
    let names: Vec<String> = read.iter().map(|(name, _)| format!("`{name}`")).collect();
    FederationError::usage(format!(
        "no member's part of {} is left under the conditions of the query",
        names.join(", ")
    ))
}
