//! Groupings below tier `records`, cut out of a plan.
//!
//! 1. A grouping that reads datasets of one collection, of which a member is below `records`, is lowered for each member that has them all
//!    under one permission, with what that member declares ([`Grouping`]). The institution of a row is a constant there: conditions on it
//!    decide which members take part, and a group by it makes each member's cells groups of their own.
//! 2. Where what the grouping depends on is declared in different ways, it has the levels that the members have in common
//!    ([`CommonGrouping`]), with a remark. If these do not suffice, the query is refused with the members and the column.
//! 3. Each member gets the text of the parts of its figures ([`Parts`]), after it was checked as its holder checks it. A member with
//!    finer levels or records gets one in which groups are labels of the same cells.
//! 4. In the plan a table of the combined cells takes the place of the grouping. What is above reads nothing else. A sum of figures over
//!    whole partitions is a grouping of its own ([`with_totals`]).

mod at_member;
mod member;
mod remarks;
mod used_in;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use concordat_engine::{
    CellAggregate, CellColumn, CommonGrouping, Condition, CountableForm, Grouping, GroupingText, MemberGrouping,
    NotCountable, QueryError, separate_sets, with_totals,
};
use concordat_protocol::ids::InstitutionId;
use concordat_protocol::scope::Tier;
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, LogicalPlanBuilder};

use super::cell_table::{CellOutput, CellTable, MemberGrid};
use super::declared::{Declared, not_declared};
use super::error::FederationError;
use super::fragment::{Fragment, FragmentQuery, Measure, aggregate_text};
use super::parts::Parts;
use super::remark::Remark;
use super::report::QueryReport;
use super::source::{MemberQuery, Target};
use super::statement::{ANSWER, TableName};
use super::tables::Tables;
use super::union_table::UnionTable;
use at_member::{at_member, is_institution};
use member::{Member, no_common};
use remarks::Remarks;
use used_in::used_in;

/// Why parts of a member cannot be combined with those of others.
const COMPUTED_OTHERWISE: &str =
    "its aggregates are computed in another way than those of other members; query each member by name";

/// Cuts groupings below `records` out of a plan.
#[derive(Debug)]
pub(super) struct Counted<'a> {
    tables: &'a Tables,
    state: &'a SessionState,
    /// The names that the query gives to columns of groupings.
    names: &'a BTreeMap<String, String>,
    report: &'a QueryReport,
    /// The columns of the answer that are computed from columns of groupings.
    computed: BTreeMap<String, String>,
    found: Vec<Pending>,
}

/// A grouping that was cut out, before its texts are checked.
#[derive(Debug)]
pub(super) struct Pending {
    name: String,
    schema: SchemaRef,
    groups: Vec<String>,
    measures: Vec<Measure>,
    cells: CellTable,
    texts: Vec<(Target, Arc<Declared>, String)>,
}

/// The grouping of each member, with whether it has records.
type Groupings = Vec<(Grouping, bool)>;

/// What one member computes, and how the columns of the grouping follow from it.
struct Computed {
    aggregates: Vec<CellAggregate>,
    counts: Vec<bool>,
    outputs: Vec<CellOutput>,
}

/// A column of a grouping.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    /// The institution.
    Institution,
    /// A column of the grouping without it.
    Column(usize),
}

impl<'a> Counted<'a> {
    pub(super) const fn new(
        (tables, state): (&'a Tables, &'a SessionState),
        names: &'a BTreeMap<String, String>,
        report: &'a QueryReport,
    ) -> Self {
        Self {
            tables,
            state,
            names,
            report,
            computed: BTreeMap::new(),
            found: Vec::new(),
        }
    }

    /// The plan in which each grouping below `records` is a table of cells, and the groupings.
    ///
    /// # Errors
    /// [`FederationError`] for what cannot be counted or combined, and for expressions over labels that have no type.
    pub(super) fn out_of(mut self, plan: LogicalPlan) -> Result<(LogicalPlan, Vec<Pending>), FederationError> {
        // Of the columns as the query has them.
        self.computed = used_in(&plan);
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
        let (members, groupings) = self.members(grouping, &read)?;
        let common = CommonGrouping::of(&groupings).map_err(|difference| no_common(&members, *difference))?;
        let (Some(common), Some(first)) = (common, members.first()) else {
            return Err(no_part(&read));
        };
        let positions = positions(grouping);
        // Then nothing is combined.
        let is_by_institution = positions.contains(&Position::Institution);
        let one_member = members.len() == 1 || is_by_institution;
        let Computed { counts, outputs, .. } = Computed::of(common.whole(), &positions, one_member, &first.target)?;
        let (groups, measures) = self.names_of(grouping, &outputs);
        let mut texts = Vec::new();
        let mut grids = Vec::new();
        for (member, part) in members.iter().zip(common.members()) {
            let computed = Computed::of(part.grouping(), &positions, one_member, &member.target)?;
            if computed.outputs != outputs || computed.counts != counts {
                return Err(invalid(&member.target, COMPUTED_OTHERWISE.to_owned()));
            }
            let part = text_of(member, part, &computed.aggregates);
            let (sql, grid) = part.map_err(|error| FederationError::query(&member.target.dataset, error))?;
            texts.push((member.target.clone(), Arc::clone(&member.declared), sql));
            grids.push(grid);
        }
        let remarks = Remarks::new(self.report, &members);
        remarks.levels(common.changed());
        if !one_member {
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
                counts,
                outputs,
                members: grids,
            },
            texts,
        });
        Ok(Some(table))
    }

    /// The names of the groups, and the aggregates.
    fn names_of(&self, grouping: &Aggregate, outputs: &[CellOutput]) -> (Vec<String>, Vec<Measure>) {
        let mut groups = Vec::new();
        let mut measures: Vec<Measure> = Vec::new();
        for (output, field) in outputs.iter().zip(grouping.schema.fields()) {
            match output {
                CellOutput::Group(_) | CellOutput::Institution => groups.push(name_of(field.name(), self.names)),
                CellOutput::Aggregate(combined) => measures.push(Measure {
                    name: self.measure_name(grouping, measures.len(), field.name()),
                    parts: combined.parts(),
                    count: combined.count(),
                }),
            }
        }
        (groups, measures)
    }

    /// The members that have all tables of a grouping under one permission, and the grouping of each, with whether it has records. A
    /// condition on the institution leaves members out.
    fn members(
        &self,
        grouping: &Aggregate,
        read: &[(&TableName, &UnionTable)],
    ) -> Result<(Vec<Member>, Groupings), FederationError> {
        let Some(((name, table), others)) = read.split_first() else {
            return Ok((Vec::new(), Vec::new()));
        };
        let is_beside = |other: &TableName| {
            let of = |name: &TableName| (name.institution.clone(), name.collection.clone(), name.version);
            name.collection.is_some() && of(name) == of(other)
        };
        if let Some((other, _)) = others.iter().find(|(other, _)| !is_beside(other)) {
            return Err(FederationError::usage_with(
                format!(
                    "`{name}` and `{other}` are counted together, and are not datasets of one collection and version"
                ),
                "below `records`, each grouping reads datasets of one collection; join its result with that of another one",
            ));
        }
        let mut members = Vec::new();
        let mut groupings = Vec::new();
        let mut refusing = None;
        let holders = read.iter().flat_map(|(_, table)| &table.members);
        let holders: BTreeSet<&InstitutionId> = holders.map(|member| &member.target.dataset.institution).collect();
        for institution in holders {
            let missing = read.iter().filter(|(_, table)| target_at(table, institution).is_none());
            let missing: Vec<_> = missing.map(|(name, _)| name.at(institution.clone())).collect();
            for dataset in &missing {
                let reason = "it is not shared, and the query joins it with others";
                self.report.remark(Remark::missing_member(dataset, reason));
            }
            let Some(target) = target_at(table, institution).filter(|_| missing.is_empty()) else {
                continue;
            };
            for (other, table) in others {
                match target_at(table, institution) {
                    Some(of) if of.access != target.access || of.purpose != target.purpose => {
                        return Err(FederationError::usage_with(
                            format!("no one grant of {institution} covers `{name}` and `{other}`"),
                            format!(
                                "request one grant for all datasets that the query joins: `concordat grant request {institution}/{} --datasets …`",
                                target.dataset.collection
                            ),
                        ));
                    }
                    Some(_) | None => {}
                }
            }
            let (plan, has_false) = at_member((self.tables, self.state), institution, grouping)?;
            let declared = self.tables.declared(target).ok_or_else(|| not_declared(target))?;
            let statistics = &declared.statistics;
            let member = Member {
                target: target.clone(),
                declared: Arc::clone(declared),
            };
            let grouping = match Grouping::lowered(&plan, &statistics.rules, &statistics.scope) {
                Ok(grouping) => grouping,
                Err(error) => {
                    refusing.get_or_insert((member, error));
                    continue;
                }
            };
            // A condition on the institution of the rows excludes them; one on that of events does not.
            if has_false && *grouping.statistic().rows() == Condition::Never {
                continue;
            }
            groupings.push((grouping, target.tier == Tier::Records));
            members.push(member);
        }
        match refusing {
            None => Ok((members, groupings)),
            Some((member, error)) => {
                let Declared { statistics, .. } = member.declared.as_ref();
                let difference = CommonGrouping::undecided(&groupings, &statistics.rules, &statistics.scope);
                let dataset = member.target.dataset.clone();
                members.push(member);
                Err(difference.map_or_else(
                    || FederationError::query(&dataset, error),
                    |difference| no_common(&members, difference),
                ))
            }
        }
    }

    /// An aggregate as the query names it, or the column of the answer that is computed from it.
    fn measure_name(&self, grouping: &Aggregate, at: usize, field: &str) -> String {
        let given = self.names.get(field).or_else(|| self.computed.get(field)).cloned();
        let text = || grouping.aggr_expr.get(at).map(aggregate_text);
        given.or_else(text).unwrap_or_else(|| field.to_owned())
    }
}

impl Computed {
    /// What a member computes of its grouping.
    ///
    /// # Errors
    /// Why a column does not follow from the answers of several members.
    fn of(
        grouping: &Grouping,
        positions: &[Position],
        one_member: bool,
        target: &Target,
    ) -> Result<Self, FederationError> {
        let mut parts = Parts::new(grouping);
        let mut outputs = Vec::new();
        for position in positions {
            let Position::Column(at) = position else {
                outputs.push(CellOutput::Institution);
                continue;
            };
            let column = grouping.columns().get(*at).copied().ok_or_else(planning)?;
            let combined = parts.combined(column, one_member);
            let combined = combined.map_err(|detail| invalid(target, detail))?;
            outputs.push(match (column, combined) {
                (CellColumn::Group(group), _) => CellOutput::Group(group),
                (_, Some(combined)) => CellOutput::Aggregate(combined),
                (_, None) => return Err(planning()),
            });
        }
        Ok(Self {
            aggregates: parts.cells().to_vec(),
            counts: parts.counts(),
            outputs,
        })
    }
}

impl Pending {
    /// The name of its table, and for each column whether it is a figure.
    pub(super) fn figures(&self) -> (String, Vec<bool>) {
        let is_figure = |output: &CellOutput| match output {
            CellOutput::Group(_) | CellOutput::Institution => false,
            CellOutput::Aggregate(_) => true,
        };
        (self.name.clone(), self.cells.outputs.iter().map(is_figure).collect())
    }

    /// The fragment, in which each text was checked as its holder checks it.
    ///
    /// # Errors
    /// The error with which a holder would refuse its text.
    pub(super) async fn checked(self) -> Result<Fragment, FederationError> {
        let Self {
            name,
            schema,
            groups,
            measures,
            cells,
            texts,
        } = self;
        let mut queries = Vec::new();
        let columns: Vec<Vec<usize>> = cells.members.iter().map(|grid| grid.columns.clone()).collect();
        for ((target, declared, sql), columns) in texts.into_iter().zip(columns) {
            let schema = declared.answer(&sql, &target).await;
            let schema = schema.map_err(|error| FederationError::query(&target.dataset, error))?;
            let mut columns = columns.into_iter();
            if columns.any(|at| schema.index_of(&format!("a{at}")).is_err()) {
                return Err(FederationError::Tier {
                    dataset: target.dataset,
                    tier: target.tier,
                    reason: "whether there are rows is not a number that can be combined with others".to_owned(),
                });
            }
            queries.push(FragmentQuery {
                query: MemberQuery {
                    sql,
                    schema,
                    grouped: !cells.labels.is_empty(),
                },
                target,
                institution: Vec::new(),
            });
        }
        Ok(Fragment {
            name,
            schema,
            groups,
            measures,
            queries,
            cells: Some(cells),
        })
    }
}

/// The tables that a grouping reads, each once.
fn tables_of<'t>(
    grouping: &Aggregate,
    tables: &'t Tables,
) -> Result<Vec<(&'t TableName, &'t UnionTable)>, FederationError> {
    let mut read: BTreeMap<&TableName, &UnionTable> = BTreeMap::new();
    LogicalPlan::Aggregate(grouping.clone()).apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some((name, table)) = tables.of_scan(&scan.table_name)
        {
            read.insert(name, table);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(read.into_iter().collect())
}

/// Whether a grouping reads a member below `records`.
fn is_counted(grouping: &Aggregate, tables: &Tables) -> bool {
    let below = |table: &UnionTable| table.members.iter().any(|member| member.target.tier < Tier::Records);
    tables_of(grouping, tables).map_or(true, |read| read.into_iter().any(|(_, table)| below(table)))
}

/// The dataset of an institution in a table.
fn target_at<'t>(table: &'t UnionTable, institution: &InstitutionId) -> Option<&'t Target> {
    let mut targets = table.members.iter().map(|member| &member.target);
    targets.find(|target| target.dataset.institution == *institution)
}

fn not_countable(form: CountableForm) -> FederationError {
    refused(&NotCountable::Form(form))
}

fn refused(error: &NotCountable) -> FederationError {
    let detail = error.to_string();
    FederationError::planning(QueryError::Invalid { detail })
}

/// Where each column of a grouping is without the institution.
fn positions(grouping: &Aggregate) -> Vec<Position> {
    let mut next = 0_usize;
    let groups = grouping.schema.fields().len().saturating_sub(grouping.aggr_expr.len());
    let mut seen: Vec<&Expr> = Vec::new();
    for group in &grouping.group_expr {
        if !seen.contains(&group) {
            seen.push(group);
        }
    }
    let of_groups = seen.into_iter().take(groups).map(|group| {
        if is_institution(group) {
            return Position::Institution;
        }
        let at = next;
        next = next.saturating_add(1);
        Position::Column(at)
    });
    let mut positions: Vec<Position> = of_groups.collect();
    let aggregates = 0..grouping.aggr_expr.len();
    positions.extend(aggregates.map(|at| Position::Column(next.saturating_add(at))));
    positions
}

/// The text of a member's part, and the grid of its answer.
fn text_of(
    member: &Member,
    part: &MemberGrouping,
    aggregates: &[CellAggregate],
) -> Result<(String, MemberGrid), QueryError> {
    let grouping = part.grouping();
    let GroupingText { sql, columns } = grouping.text(aggregates, part.has_labels(), member.target.version)?;
    let labels = if part.has_labels() {
        let groups = 0..grouping.statistic().groups().len();
        groups
            .map(|group| grouping.label_texts(group))
            .collect::<Result<_, _>>()?
    } else {
        labels(grouping)?
    };
    let grid = MemberGrid {
        labels,
        columns,
        cells: part.cells().to_vec(),
    };
    Ok((sql, grid))
}

/// The labels of each group of the statistic, as answers below `records` have them.
fn labels(grouping: &Grouping) -> Result<Vec<ArrayRef>, QueryError> {
    let groups = 0..grouping.statistic().groups().len();
    let labels = groups.map(|group| grouping.labels(group).cloned());
    labels
        .collect::<Option<Vec<_>>>()
        .ok_or(QueryError::Engine { step: "planning" })
}

/// The columns `c0`, `c1`, … of the table of cells.
fn table_schema(grouping: &Grouping, positions: &[Position]) -> SchemaRef {
    let cells = grouping.cells().schema();
    let fields = positions.iter().enumerate().map(|(at, position)| {
        let data_type = match position {
            Position::Institution => DataType::Utf8,
            Position::Column(of) => cells
                .fields()
                .get(*of)
                .map_or(DataType::Null, |field| field.data_type().clone()),
        };
        Field::new(format!("c{at}"), data_type, true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The table `name`, with the names of the columns of the grouping.
fn in_place(grouping: &Aggregate, name: &str, schema: &SchemaRef) -> PlanResult<LogicalPlan> {
    let table = provider_as_source(Arc::new(EmptyTable::new(Arc::clone(schema))));
    let scan = LogicalPlanBuilder::scan(name, table, None)?;
    let columns = grouping.schema.iter().enumerate().map(|(at, (qualifier, field))| {
        let column = Expr::Column(Column::new_unqualified(format!("c{at}")));
        column.alias_qualified(qualifier.cloned(), field.name())
    });
    scan.project(columns.collect::<Vec<_>>())?.build()
}

/// What a query calls a group.
fn name_of(field: &str, names: &BTreeMap<String, String>) -> String {
    names.get(field).cloned().unwrap_or_else(|| field.to_owned())
}

/// The error if no member is left.
fn no_part(read: &[(&TableName, &UnionTable)]) -> FederationError {
    let names: Vec<String> = read.iter().map(|(name, _)| format!("`{name}`")).collect();
    FederationError::usage(format!(
        "no member's part of {} is left under the conditions of the query",
        names.join(", ")
    ))
}

fn planning() -> FederationError {
    FederationError::planning(QueryError::Engine { step: "planning" })
}

fn invalid(target: &Target, detail: String) -> FederationError {
    FederationError::query(&target.dataset, QueryError::Invalid { detail })
}
