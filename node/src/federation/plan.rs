//! Which member gets which query, and what is computed locally.
//!
//! 1. A query that touches one dataset is sent to its provider unchanged.
//! 2. Otherwise parts of the query are pushed down. Every block that concerns one dataset alone and returns a summary is sent to its
//!    provider. Every block that aggregates one dataset over all members is decomposed ([`decompose`]). Each pushed-down block is
//!    replaced by a table of answers.
//! 3. The rest names tables whose records have to be transferred, which requires the tier `records` at each of their providers.

use std::collections::{BTreeMap, BTreeSet};

use concordat_engine::on_large_stack;
use concordat_protocol::scope::Tier;
use datafusion::sql::sqlparser::ast::{Query, SetExpr, TableFactor, TableWithJoins};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::decompose::{Contribution, MissingColumn, check_shape, decompose, is_summary};
use super::error::FederationError;
use super::source::Target;
use super::statement::{
    ANSWER, ParsedQuery, TableName, occurrences, parser_thread_error, tables_of, use_local_version_names,
    use_provider_table_name,
};

/// The datasets behind each table of a query.
pub(super) type Targets = BTreeMap<TableName, Vec<Target>>;

/// How a query is executed.
#[derive(Debug)]
pub(super) enum Plan {
    /// One dataset answers the whole query.
    Whole {
        /// The dataset.
        target: Target,
        /// The text sent to it.
        sql: String,
    },
    /// Several datasets are queried, and the rest is computed locally.
    Local {
        /// The query over the tables of answers and records.
        query: Box<Query>,
        /// The blocks that members answer.
        fragments: Vec<Fragment>,
        /// The tables whose records are transferred.
        tables: Vec<(TableName, Vec<Target>)>,
    },
}

/// One block of the query that members answer.
#[derive(Debug)]
pub(super) struct Fragment {
    /// The table of its answers.
    pub(super) name: String,
    /// The targets, with the query for each.
    pub(super) queries: Vec<(Target, String)>,
}

/// Decides which member gets which query.
///
/// # Errors
/// [`FederationError::Tier`] names the member whose tier is too low for the query.
pub(super) fn plan(parsed: ParsedQuery, targets: &Targets) -> Result<Plan, FederationError> {
    on_large_stack(|| planned(parsed, targets)).unwrap_or_else(|| Err(parser_thread_error()))
}

fn planned(parsed: ParsedQuery, targets: &Targets) -> Result<Plan, FederationError> {
    let mut query = parsed.query;
    if let Some((table, target)) = only_target(&parsed.tables, targets)
        && check_shape(&query).is_ok()
    {
        use_provider_table_name(&mut query, table);
        return Ok(Plan::Whole {
            target: target.clone(),
            sql: query.to_string(),
        });
    }
    let mut pushdown = Pushdown {
        targets,
        fragments: Vec::new(),
        obstacles: BTreeMap::new(),
    };
    pushdown.query(&mut query)?;
    let tables = pushdown.tables_left(&query)?;
    use_local_version_names(&mut query);
    Ok(Plan::Local {
        query: Box::new(query),
        fragments: pushdown.fragments,
        tables,
    })
}

fn only_target<'a>(tables: &'a BTreeSet<TableName>, targets: &'a Targets) -> Option<(&'a TableName, &'a Target)> {
    let table = tables.first().filter(|_| tables.len() == 1)?;
    match targets.get(table).map(Vec::as_slice) {
        Some([target]) => Some((table, target)),
        _ => None,
    }
}

struct Pushdown<'a> {
    targets: &'a Targets,
    fragments: Vec<Fragment>,
    /// Why a table's block could not be pushed down.
    obstacles: BTreeMap<TableName, String>,
}

impl Pushdown<'_> {
    fn query(&mut self, query: &mut Query) -> Result<(), FederationError> {
        for defined in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            self.query(&mut defined.query)?;
        }
        if self.push_down(query)? {
            Ok(())
        } else {
            self.body(&mut query.body)
        }
    }

    fn body(&mut self, body: &mut SetExpr) -> Result<(), FederationError> {
        match body {
            SetExpr::Select(select) => select.from.iter_mut().try_for_each(|from| self.from(from)),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation { left, right, .. } => {
                self.branch(left)?;
                self.branch(right)
            }
            SetExpr::Values(_) | SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) => Ok(()),
            SetExpr::Merge(_) | SetExpr::Table(_) => Ok(()),
        }
    }

    fn branch(&mut self, branch: &mut SetExpr) -> Result<(), FederationError> {
        if !matches!(branch, SetExpr::Select(_)) {
            return self.body(branch);
        }
        let mut alone = standalone(branch.clone());
        if self.push_down(&mut alone)? {
            *branch = *alone.body;
            return Ok(());
        }
        self.body(branch)
    }

    fn from(&mut self, from: &mut TableWithJoins) -> Result<(), FederationError> {
        let joined = from.joins.iter_mut().map(|join| &mut join.relation);
        for factor in std::iter::once(&mut from.relation).chain(joined) {
            #[expect(
                clippy::wildcard_enum_match_arm,
                reason = "a form of table that is not listed contains no query of its own"
            )]
            match factor {
                TableFactor::Derived {
                    lateral: false,
                    subquery,
                    ..
                } => self.query(subquery)?,
                TableFactor::NestedJoin { table_with_joins, .. } => self.from(table_with_joins)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// If possible, has the block answered by its provider and replaces it with the table of answers.
    fn push_down(&mut self, query: &mut Query) -> Result<bool, FederationError> {
        let tables = occurrences(query)?;
        let [table] = tables.as_slice() else { return Ok(false) };
        let Some(targets) = self.targets.get(table) else {
            return Ok(false);
        };
        if let [target] = targets.as_slice() {
            return Ok(self.push_down_whole(query, table, target));
        }
        let name = self.next_name();
        match decompose(query, table, &name) {
            Ok(decomposed) => {
                let queries = contributions(&decomposed.contribution, targets)?;
                self.fragments.push(Fragment { name, queries });
                *query = decomposed.local;
                Ok(true)
            }
            Err(obstacle) => {
                self.obstacles.entry(table.clone()).or_insert(obstacle);
                Ok(false)
            }
        }
    }

    fn push_down_whole(&mut self, query: &mut Query, table: &TableName, target: &Target) -> bool {
        let summary = check_shape(query).is_ok() && is_summary(query);
        let name = self.next_name();
        let Some(answers) = all_of(&name).filter(|_| summary) else {
            return false;
        };
        use_provider_table_name(query, table);
        let queries = vec![(target.clone(), query.to_string())];
        self.fragments.push(Fragment { name, queries });
        *query = answers;
        true
    }

    fn next_name(&self) -> String {
        format!("{ANSWER}{}", self.fragments.len())
    }

    /// The tables whose records have to be transferred.
    fn tables_left(&self, query: &Query) -> Result<Vec<(TableName, Vec<Target>)>, FederationError> {
        let mut left = Vec::new();
        for table in tables_of(query)? {
            let targets = self.targets.get(&table).cloned().unwrap_or_default();
            if let Some(low) = targets.iter().find(|target| target.tier < Tier::Records) {
                let obstacle = self.obstacles.get(&table).cloned();
                return Err(FederationError::Tier {
                    dataset: low.dataset.clone(),
                    tier: low.tier,
                    reason: obstacle.unwrap_or_else(|| "it selects individual records".to_owned()),
                });
            }
            left.push((table, targets));
        }
        Ok(left)
    }
}

/// The query to each member for its contribution.
fn contributions(contribution: &Contribution, targets: &[Target]) -> Result<Vec<(Target, String)>, FederationError> {
    let known: BTreeSet<_> = targets
        .iter()
        .flat_map(|target| target.columns.iter().cloned())
        .collect();
    if let Some(unknown) = contribution.columns().difference(&known).next() {
        let shared = known.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        return Err(FederationError::usage_with(
            format!("no member shares a column `{unknown}` with you"),
            format!("the columns shared are {shared}"),
        ));
    }
    let text = |target: &Target| match contribution.text(&target.columns) {
        Ok(text) => Ok((target.clone(), text)),
        Err(MissingColumn(column)) => Err(FederationError::usage_with(
            format!(
                "`{}` does not share `{column}`, which its part of the answer depends on",
                target.dataset
            ),
            "leave the column out, or query only the institutions that share it",
        )),
    };
    targets.iter().map(text).collect()
}

fn standalone(body: SetExpr) -> Query {
    Query {
        with: None,
        body: Box::new(body),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}

fn all_of(table: &str) -> Option<Query> {
    let text = format!("SELECT * FROM \"{table}\"");
    Parser::new(&GenericDialect {})
        .try_with_sql(&text)
        .and_then(|mut parser| parser.parse_query())
        .ok()
        .map(|query| *query)
}

#[cfg(test)]
mod tests;
