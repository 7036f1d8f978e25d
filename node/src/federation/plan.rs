//! Which member gets which query, and what is computed by this node.
//!
//! 1. The statement is planned once, on the columns that the grants show, by the planner that the holders use.
//! 2. A query that touches one dataset, and that its holder can answer, is sent to it as a whole. So is one over datasets of one collection
//!    under one permission: its holder joins them.
//! 3. Otherwise each grouping that reads a member below `records` is cut out of the plan, and becomes a table of the cells of all members
//!    ([`counted`](super::counted)). Each other grouping of one table is cut out of the plan, and every member answers its part of it
//!    ([`decompose`](mod@super::decompose)).
//! 4. The tables that are left are read row by row, which requires the tier `records` at each of their holders.
//!
//! Members that a condition on the institution excludes are no part of any of it ([`queried`](mod@queried)). Every text that is sent was
//! checked as its holder checks it, and so the columns of its answer are known.

mod joined;
mod planned;
mod queried;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use concordat_engine::{Casts, CellTables, QueryError, above_cells, executable};
use concordat_protocol::ids::InstitutionId;
use concordat_protocol::scope::Tier;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};
use datafusion::sql::sqlparser::ast::Query;

use super::columns_in_use::columns_in_use;
use super::counted::{Counted, Pending};
use super::decompose::Block;
use super::error::FederationError;
use super::foreseen::ForeseenAnswers;
use super::fragment::Fragment;
use super::output_names;
use super::remark::Remark;
use super::report::QueryReport;
use super::source::{MemberQuery, QuerySource, Target};
use super::statement::{
    ANSWER, ParsedQuery, TableName, is_grouped, separate_signs, use_current_date, use_local_version_names,
    use_provider_table_name,
};
use super::table::RemoteTable;
use super::tables::Tables;
use super::union_table::Member;
use joined::Joined;
use planned::{Planned, planned, planned_to_count, resolve};
use queried::{Queried, names_institution};

/// The tables whose records are transferred, and where each is read from.
type Records = Vec<(TableName, Vec<Target>)>;

/// How a query is executed.
#[derive(Debug)]
pub(super) enum Plan {
    /// One holder answers the whole query.
    Whole {
        /// The dataset, or one of those that are joined there.
        target: Target,
        /// What is sent to it.
        query: MemberQuery,
    },
    /// Several datasets are queried, and the rest is computed by this node.
    Local(Box<LocalPlan>),
}

/// A query that this node computes from the answers of members.
#[derive(Debug)]
pub(super) struct LocalPlan {
    /// The session with all functions.
    pub(super) state: SessionState,
    /// The plan over the tables of answers and records, ready to be optimized.
    pub(super) plan: LogicalPlan,
    /// The parts that members answer.
    pub(super) fragments: Vec<Fragment>,
    /// The tables whose records are transferred.
    pub(super) records: Records,
    /// The text of the query with its names resolved, for people to read.
    pub(super) text: String,
}

/// What planning needs besides the statement.
#[derive(Clone, Debug)]
pub(super) struct Planner {
    /// The tables of the query.
    pub(super) tables: Tables,
    /// Sends the queries for records.
    pub(super) source: Arc<dyn QuerySource>,
    /// Memory of the local engine, in bytes.
    pub(super) memory: usize,
    /// The current date, in days since 1970-01-01.
    pub(super) day: i32,
    /// Notes about the answer.
    pub(super) report: QueryReport,
    /// What is known of the answers to texts.
    pub(super) foreseen: Arc<ForeseenAnswers>,
}

impl Planner {
    /// Decides which member gets which query. Runs on a thread with a large stack.
    ///
    /// # Errors
    /// [`FederationError::Query`] with the reason for which a holder would refuse the query; [`FederationError::Tier`] names the
    /// member whose tier is too low for it.
    pub(super) async fn plan(mut self, parsed: ParsedQuery) -> Result<Plan, FederationError> {
        let mut query = parsed.query;
        use_current_date(&mut query, self.day);
        use_local_version_names(&mut query);
        let queried = self.keep_queried_members(&query).await?;
        self.tables = self.tables.shown_as_records();
        resolve(&mut query, &self.tables)?;
        for renamed in output_names::make_distinct(&mut query) {
            self.report.remark(renamed);
        }
        self.refuse_joins_of_members(&parsed.tables)?;
        let whole = if let Some(joined) = Joined::of(&parsed.tables, &self.tables, &query) {
            let whole = joined.whole(&query, &self.tables).await.map(|(query, known)| {
                if let Some(declared) = self.tables.declared(joined.target) {
                    let scope = &declared.statistics.scope;
                    self.report.protected(joined.target, scope);
                    self.report
                        .noise_of_values(&joined.target.dataset, scope, &known.limited);
                }
                self.report.limited(&joined.target.dataset, &known.limited);
                self.report.ordered(&known.orders, query.schema.fields());
                self.report.beyond(&known.beyond);
                Plan::Whole {
                    target: joined.target.clone(),
                    query,
                }
            });
            Some((joined.target, whole))
        } else if let Some((table, member)) = self.only_member(&parsed.tables, &query) {
            Some((&member.target, whole(&query, table, member, &self.foreseen).await))
        } else {
            None
        };
        let whole = match whole {
            Some((_, Ok(plan))) => return Ok(plan),
            Some((target, Err(refused))) => Some((target.clone(), refused)),
            None => None,
        };
        let local = Box::pin(self.local(query, &queried)).await;
        match (whole, local) {
            // Below tier `records` this node cannot compute what the holder refuses to.
            (Some((target, refused)), Err(_)) if target.tier < Tier::Records => {
                Err(FederationError::query(&target.dataset, refused))
            }
            (_, local) => local.map(|plan| Plan::Local(Box::new(plan))),
        }
    }

    /// The only member that the query needs, unless it uses the institution of the rows, which the member does not have, or the member has
    /// other names for columns. A dataset of a collection is answered as a whole with the others ([`Joined`]).
    fn only_member<'a>(&'a self, named: &'a BTreeSet<TableName>, query: &Query) -> Option<(&'a TableName, &'a Member)> {
        let name = named
            .first()
            .filter(|name| named.len() == 1 && name.collection.is_none())?;
        let table = self.tables.get(name)?;
        match table.members.as_slice() {
            [_] if table.has_renamed() || table.has_institution() && names_institution(query) => None,
            [member] if member.target.tier == Tier::Records => Some((name, member)),
            _ => None,
        }
    }

    /// Refuses a query over several datasets of collections of which each member has its own, unless it is counted at each of them: this
    /// node would join rows of different people with equal keys.
    fn refuse_joins_of_members(&self, named: &BTreeSet<TableName>) -> Result<(), FederationError> {
        let of_collections = named
            .iter()
            .filter(|name| name.institution.is_none() && name.collection.is_some());
        let of_several =
            of_collections.filter(|name| self.tables.get(name).is_some_and(|table| table.members.len() > 1));
        let names: Vec<&TableName> = of_several.collect();
        match names.as_slice() {
            [first, _, ..] if !self.tables.has_statistics() => Err(FederationError::usage_with(
                format!(
                    "`{first}` is shared as records by several members, which cannot join theirs for you with the same keys"
                ),
                "write `INSTITUTION.COLLECTION.DATASET` for one of them",
            )),
            _ => Ok(()),
        }
    }

    /// Leaves members out that a condition on the institution excludes: neither their columns nor whether they can take part matters. Of
    /// the others, those that cannot take part have a remark.
    async fn keep_queried_members(&mut self, query: &Query) -> Result<Queried, FederationError> {
        let left_out = self.report.left_out();
        let members = self.tables.of_members().flat_map(|(_, table)| &table.members);
        let datasets = members.map(|member| &member.target.dataset).chain(&left_out);
        let candidates: BTreeSet<InstitutionId> = datasets.map(|dataset| dataset.institution.clone()).collect();
        let queried = Queried::of(query, &self.tables, &candidates, self.memory).await;
        self.report.decide(|dataset| queried.includes(dataset));
        for (name, institutions) in queried.iter() {
            let Some(table) = self.tables.get_mut(name) else {
                continue;
            };
            if institutions.is_empty() {
                // It stays, so that the query can be planned, and has no rows.
                let first = table
                    .members
                    .first()
                    .map(|member| member.target.dataset.institution.clone());
                if let Some(first) = first {
                    *table = table.typed_by(&first);
                }
                continue;
            }
            *table = table.only(&name.dataset, |institution| institutions.contains(institution));
            if table.members.is_empty() {
                return Err(self.no_part(name));
            }
        }
        Ok(queried)
    }

    fn no_part(&self, name: &TableName) -> FederationError {
        FederationError::NoPart {
            table: name.to_string(),
            missing: self.report.missing(&name.dataset),
        }
    }

    async fn local(&mut self, query: Query, queried: &Queried) -> Result<LocalPlan, FederationError> {
        let text = query.to_string();
        let is_counted = self.tables.has_statistics();
        let Planned { state, plan, dataset } = if is_counted {
            planned_to_count(query, &self.tables, self.memory).await?
        } else {
            planned(query, &self.tables, self.memory).await?
        };
        self.keep_members_with_all_columns(&plan, queried)?;
        let mut counted = Vec::new();
        let plan = if is_counted {
            let names = names_given(&plan);
            let cutting = Counted::new((&self.tables, &state), &names, &self.report);
            let (plan, pending) = cutting.out_of(plan)?;
            let tables = CellTables::new(pending.iter().map(Pending::figures));
            for grouping in pending {
                counted.push(grouping.checked().await?);
            }
            let (plan, orders) = above_cells(plan, &tables, &dataset).map_err(FederationError::planning)?;
            self.report.ordered(&orders, plan.schema().fields());
            plan
        } else {
            plan
        };
        let mut cut = Cut {
            tables: &self.tables,
            state: &state,
            names: names_given(&plan),
            fragments: Vec::new(),
            obstacles: BTreeMap::new(),
        };
        let plan = cut.out_of(plan).await?;
        let Cut {
            mut fragments,
            obstacles,
            ..
        } = cut;
        fragments.extend(counted);
        let (plan, records) = self.with_records(plan, &obstacles)?;
        let plan = executable(&state, plan, Casts::Strict, &dataset).map_err(FederationError::planning)?;
        let (plan, renamed) = output_names::distinct(plan)?;
        for renamed in renamed {
            self.report.remark(renamed);
        }
        Ok(LocalPlan {
            state,
            plan,
            fragments,
            records,
            text,
        })
    }

    /// Leaves members out that lack a column in use, with a remark for each, and one for each column in use with another name. Whether an
    /// answer without them is wanted is decided later.
    fn keep_members_with_all_columns(&mut self, plan: &LogicalPlan, queried: &Queried) -> Result<(), FederationError> {
        for (name, columns) in columns_in_use(plan, &self.tables) {
            let Some(table) = self.tables.get_mut(&name) else {
                continue;
            };
            if queried.is_none(&name) {
                continue;
            }
            if let Some(conflict) = columns.iter().find_map(|column| table.conflict(column)) {
                return Err(conflict);
            }
            for (target, own, shown) in table.renamed(&columns) {
                self.report.remark(Remark::renamed_at(&target.dataset, own, shown));
            }
            let lacking: BTreeMap<_, _> = table
                .lacking(&columns)
                .map(|(target, column)| (target.dataset.clone(), column.to_owned()))
                .collect();
            for (dataset, column) in &lacking {
                self.report.remark(Remark::missing_column(dataset, column));
            }
            table.retain(|target| !lacking.contains_key(&target.dataset));
            if table.members.is_empty() {
                return Err(self.no_part(&name));
            }
        }
        Ok(())
    }

    /// The plan with each table that is left in it read from its members.
    fn with_records(
        &self,
        plan: LogicalPlan,
        obstacles: &BTreeMap<TableName, String>,
    ) -> Result<(LogicalPlan, Records), FederationError> {
        let mut records: BTreeMap<TableName, Vec<Target>> = BTreeMap::new();
        let read = plan.transform_down_with_subqueries(|node| {
            let LogicalPlan::TableScan(mut scan) = node else {
                return Ok(Transformed::no(node));
            };
            let Some((name, table)) = self.tables.of_scan(&scan.table_name) else {
                return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
            };
            let targets: Vec<Target> = table.members.iter().map(|member| member.target.clone()).collect();
            if let Some(low) = targets.iter().find(|target| target.tier < Tier::Records) {
                let obstacle = obstacles.get(name).cloned();
                return Err(DataFusionError::from(FederationError::Tier {
                    dataset: low.dataset.clone(),
                    tier: low.tier,
                    reason: obstacle.unwrap_or_else(|| "it selects individual records".to_owned()),
                }));
            }
            records.insert(name.clone(), targets);
            scan.source = provider_as_source(Arc::new(RemoteTable::new(self.source.clone(), table.clone())));
            Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
        });
        Ok((read.map_err(FederationError::from)?.data, records.into_iter().collect()))
    }
}

/// The query as a whole, for the one dataset that it touches.
async fn whole(
    query: &Query,
    table: &TableName,
    member: &Member,
    foreseen: &ForeseenAnswers,
) -> Result<Plan, QueryError> {
    let mut query = query.clone();
    use_provider_table_name(&mut query, table);
    separate_signs(&mut query);
    let target = &member.target;
    let sql = query.to_string();
    let schema = foreseen.columns(&sql, target, &member.schema).await?;
    Ok(Plan::Whole {
        target: target.clone(),
        query: MemberQuery {
            grouped: is_grouped(&query),
            sql,
            schema,
            figures: None,
        },
    })
}

/// Cuts groupings out of a plan, for the members to answer.
struct Cut<'a> {
    tables: &'a Tables,
    state: &'a SessionState,
    /// The names that the query gives to the columns of groupings.
    names: BTreeMap<String, String>,
    fragments: Vec<Fragment>,
    /// Why a table's grouping could not be cut out.
    obstacles: BTreeMap<TableName, String>,
}

impl Cut<'_> {
    /// The plan in which each grouping that members can answer is a table of their answers.
    async fn out_of(&mut self, plan: LogicalPlan) -> Result<LogicalPlan, FederationError> {
        let mut answered: BTreeMap<usize, LogicalPlan> = BTreeMap::new();
        for (at, grouping) in groupings(&plan)?.into_iter().enumerate() {
            let Some((name, block)) = Block::of(&grouping, self.tables) else {
                continue;
            };
            let name = name.clone();
            let table = format!("{}{}", ANSWER, self.fragments.len());
            match block.decomposed(&table, &self.names, self.state).await? {
                Ok((fragment, plan)) => {
                    self.fragments.push(fragment);
                    answered.insert(at, plan);
                }
                Err(obstacle) => {
                    self.obstacles.entry(name).or_insert(obstacle);
                }
            }
        }
        let mut at = 0_usize;
        let replaced = plan.transform_down_with_subqueries(|node| {
            if !matches!(node, LogicalPlan::Aggregate(_)) {
                return Ok(Transformed::no(node));
            }
            let this = at;
            at = at.saturating_add(1);
            match answered.remove(&this) {
                Some(answers) => Ok(Transformed::new(answers, true, TreeNodeRecursion::Jump)),
                None => Ok(Transformed::no(node)),
            }
        });
        Ok(replaced.map_err(FederationError::from)?.data)
    }
}

/// The groupings of a plan, in the order in which a walk from the top meets them. What is below one that can be cut out has none.
fn groupings(plan: &LogicalPlan) -> Result<Vec<Aggregate>, FederationError> {
    let mut found = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Aggregate(grouping) = node {
            found.push(grouping.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(FederationError::from)?;
    Ok(found)
}

/// The names that a query gives to columns, as in `avg(chol) AS mean`, of those that it gives one name only.
fn names_given(plan: &LogicalPlan) -> BTreeMap<String, String> {
    let mut given: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    // The visitor cannot fail.
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Projection(projection) = node {
            for expression in &projection.expr {
                if let Expr::Alias(alias) = expression
                    && let Expr::Column(column) = alias.expr.as_ref()
                {
                    let names = given.entry(column.name.clone()).or_default();
                    names.insert(alias.name.clone());
                }
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    let single = given.into_iter().filter(|(_, names)| names.len() == 1);
    single
        .filter_map(|(column, names)| Some((column, names.into_iter().next()?)))
        .collect()
}

#[cfg(test)]
mod tests;
