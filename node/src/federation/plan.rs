//! Who is asked what, and what is left to do at home.
//!
//! 1. A question that touches one dataset is put to its provider as it is.
//! 2. Otherwise the question is carved: every block of it that is about one dataset alone and gives a summary is asked there;
//!    every block that sums up one dataset over all members is taken apart ([`decompose`]). Each carved block leaves a table of
//!    answers in its place.
//! 3. What is left names tables whose records have to come home, which needs the tier `records` at every one of them.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enums of the SQL engine are open: what is not named is refused"
)]

use std::collections::{BTreeMap, BTreeSet};

use concordat_protocol::scope::Tier;
use concordat_storage::engine::on_large_stack;
use datafusion::sql::sqlparser::ast::{Query, SetExpr, TableFactor, TableWithJoins};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::decompose::{MissingColumn, Share, check_shape, decompose, is_summary};
use super::fault::QueryFault;
use super::source::Target;
use super::statement::{
    ANSWER, Question, TableName, as_home_knows_it, as_the_provider_knows_it, no_room, occurrences, tables_of,
};

/// Who stands behind each table of a question.
pub(super) type Targets = BTreeMap<TableName, Vec<Target>>;

/// What is to be done.
#[derive(Debug)]
pub(super) enum Plan {
    /// One dataset answers the whole question.
    Whole {
        /// Whom to ask.
        target: Target,
        /// What.
        sql: String,
    },
    /// Several are asked, and the rest is done at home.
    Home {
        /// The question over the tables of answers and records.
        query: Box<Query>,
        /// The blocks that are asked elsewhere.
        pieces: Vec<Piece>,
        /// The tables whose records come home.
        tables: Vec<(TableName, Vec<Target>)>,
    },
}

/// One block of the question that members answer.
#[derive(Debug)]
pub(super) struct Piece {
    /// The table of its answers.
    pub(super) name: String,
    /// Whom to ask what.
    pub(super) asks: Vec<(Target, String)>,
}

/// Decides who is asked what.
///
/// # Errors
/// [`QueryFault::Tier`] names the member whose tier does not allow what the question needs.
pub(super) fn plan(question: Question, targets: &Targets) -> Result<Plan, QueryFault> {
    on_large_stack(|| planned(question, targets)).unwrap_or_else(|| Err(no_room()))
}

fn planned(question: Question, targets: &Targets) -> Result<Plan, QueryFault> {
    let mut query = question.query;
    if let Some((table, target)) = only_target(&question.tables, targets)
        && check_shape(&query).is_ok()
    {
        as_the_provider_knows_it(&mut query, table);
        return Ok(Plan::Whole {
            target: target.clone(),
            sql: query.to_string(),
        });
    }
    let mut carver = Carver {
        targets,
        pieces: Vec::new(),
        obstacles: BTreeMap::new(),
    };
    carver.query(&mut query)?;
    let tables = carver.tables_left(&query)?;
    as_home_knows_it(&mut query);
    Ok(Plan::Home {
        query: Box::new(query),
        pieces: carver.pieces,
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

struct Carver<'a> {
    targets: &'a Targets,
    pieces: Vec<Piece>,
    /// Why a table's block could not be carved.
    obstacles: BTreeMap<TableName, String>,
}

impl Carver<'_> {
    fn query(&mut self, query: &mut Query) -> Result<(), QueryFault> {
        for defined in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            self.query(&mut defined.query)?;
        }
        if self.carve(query)? {
            Ok(())
        } else {
            self.body(&mut query.body)
        }
    }

    fn body(&mut self, body: &mut SetExpr) -> Result<(), QueryFault> {
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

    fn branch(&mut self, branch: &mut SetExpr) -> Result<(), QueryFault> {
        if !matches!(branch, SetExpr::Select(_)) {
            return self.body(branch);
        }
        let mut alone = standing_alone(branch.clone());
        if self.carve(&mut alone)? {
            *branch = *alone.body;
            return Ok(());
        }
        self.body(branch)
    }

    fn from(&mut self, from: &mut TableWithJoins) -> Result<(), QueryFault> {
        let joined = from.joins.iter_mut().map(|join| &mut join.relation);
        for factor in std::iter::once(&mut from.relation).chain(joined) {
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

    /// Has the block answered elsewhere and puts the table of answers in its place, if that can be done.
    fn carve(&mut self, query: &mut Query) -> Result<bool, QueryFault> {
        let tables = occurrences(query)?;
        let [table] = tables.as_slice() else { return Ok(false) };
        let Some(targets) = self.targets.get(table) else {
            return Ok(false);
        };
        if let [target] = targets.as_slice() {
            return Ok(self.carve_whole(query, table, target));
        }
        let name = self.next_name();
        match decompose(query, table, &name) {
            Ok(taken) => {
                let asks = shares(&taken.share, targets)?;
                self.pieces.push(Piece { name, asks });
                *query = taken.home;
                Ok(true)
            }
            Err(obstacle) => {
                self.obstacles.entry(table.clone()).or_insert(obstacle);
                Ok(false)
            }
        }
    }

    fn carve_whole(&mut self, query: &mut Query, table: &TableName, target: &Target) -> bool {
        let summary = check_shape(query).is_ok() && is_summary(query);
        let name = self.next_name();
        let Some(answers) = all_of(&name).filter(|_| summary) else {
            return false;
        };
        as_the_provider_knows_it(query, table);
        let asks = vec![(target.clone(), query.to_string())];
        self.pieces.push(Piece { name, asks });
        *query = answers;
        true
    }

    fn next_name(&self) -> String {
        format!("{ANSWER}{}", self.pieces.len())
    }

    /// The tables whose records have to come home.
    fn tables_left(&self, query: &Query) -> Result<Vec<(TableName, Vec<Target>)>, QueryFault> {
        let mut left = Vec::new();
        for table in tables_of(query)? {
            let targets = self.targets.get(&table).cloned().unwrap_or_default();
            if let Some(low) = targets.iter().find(|target| target.tier < Tier::Records) {
                let obstacle = self.obstacles.get(&table).cloned();
                return Err(QueryFault::Tier {
                    dataset: low.dataset.clone(),
                    tier: low.tier,
                    reason: obstacle.unwrap_or_else(|| "it asks for single records".to_owned()),
                });
            }
            left.push((table, targets));
        }
        Ok(left)
    }
}

/// What each member is asked for its share.
fn shares(share: &Share, targets: &[Target]) -> Result<Vec<(Target, String)>, QueryFault> {
    let known: BTreeSet<_> = targets
        .iter()
        .flat_map(|target| target.columns.iter().cloned())
        .collect();
    if let Some(unknown) = share.columns().difference(&known).next() {
        let shared = known.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        return Err(QueryFault::usage_with(
            format!("nobody shares a column `{unknown}` with you"),
            format!("the columns shared are {shared}"),
        ));
    }
    let text = |target: &Target| match share.text(&target.columns) {
        Ok(text) => Ok((target.clone(), text)),
        Err(MissingColumn(column)) => Err(QueryFault::usage_with(
            format!(
                "`{}` does not share `{column}`, on which its part of the answer depends",
                target.dataset
            ),
            "leave the column out, or ask the institutions that share it",
        )),
    };
    targets.iter().map(text).collect()
}

fn standing_alone(body: SetExpr) -> Query {
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
