//! Names of columns, without regard to case.
//!
//! The engine's names are exact: `GENDER` is another column than `gender`. A query may write either where only one can be meant, so its
//! names are replaced by the spelling of the tables before it is planned, in quotes as well: members spell a column differently, and quotes
//! are often there for another reason (`"order"`). Columns by which tables are joined with `USING` are written out ([`merge`]).

mod merge;
mod scope;

use std::cell::Cell;
use std::collections::VecDeque;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, JoinConstraint, ObjectName, ObjectNamePart, OrderBy, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableFactor, TableWithJoins, VisitMut, VisitorMut,
};

use super::{QueryError, visit_mut};
use merge::Sides;
use scope::{Columns, Scope, Source, bare, qualified};

/// Maximum number of columns of all tables, queries and definitions of a statement together, each time one is read. `*` stands for all columns
/// of a table, so a short text can have as many as it likes.
const MAX_COLUMNS: usize = 500_000;

/// Replaces names of columns by the spelling of their table, where exactly one spelling in the tables of the query matches without regard
/// to case. An exact match wins; an alias of the query is meant where no column is. So a bare column keeps the spelling of its table in
/// the answer.
///
/// `columns_of` has the columns of a table; where it has none, names of that `SELECT` stay as they are.
///
/// # Errors
/// [`QueryError::TooComplex`] if tables and inner queries have too many columns.
pub fn resolve_names(
    query: &mut Query,
    columns_of: &dyn Fn(&ObjectName) -> Option<Vec<String>>,
) -> Result<(), QueryError> {
    let resolver = Resolver {
        columns_of,
        columns: Cell::new(0),
    };
    resolver.query(query, &Scope::default(), &[]);
    if resolver.is_exhausted() {
        return Err(QueryError::TooComplex {
            what: "too wide: `*` stands for too many columns in it; select the columns by name",
            max: MAX_COLUMNS,
        });
    }
    Ok(())
}

/// A table that a `WITH` defines.
type Defined = (String, Columns);

struct Resolver<'a> {
    columns_of: &'a dyn Fn(&ObjectName) -> Option<Vec<String>>,
    /// The number of columns so far.
    columns: Cell<usize>,
}

impl Resolver<'_> {
    /// Counts so many columns, before they are copied. If there are too many, nothing more is resolved.
    fn admits(&self, columns: usize) -> bool {
        self.columns.set(self.columns.get().saturating_add(columns));
        !self.is_exhausted()
    }

    fn is_exhausted(&self) -> bool {
        self.columns.get() > MAX_COLUMNS
    }

    /// Resolves a query and returns the names of its columns.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only a `SELECT` has other names to order by than those of its answer"
    )]
    fn query(&self, query: &mut Query, outer: &Scope<'_>, defined: &[Defined]) -> Columns {
        if !self.admits(defined.iter().map(|(_, columns)| number_of(columns)).sum()) {
            return None;
        }
        let mut defined = defined.to_vec();
        for table in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            let columns = self.query(&mut table.query, outer, &defined);
            let columns = renamed(columns, Some(&table.alias));
            defined.push((table.alias.name.value.clone(), columns));
        }
        let columns = match query.body.as_mut() {
            SetExpr::Select(select) => self.select(select, query.order_by.as_mut(), outer, &defined),
            body => {
                let columns = self.body(body, outer, &defined);
                let answer = Scope {
                    sources: vec![Source::new(Vec::new(), columns.clone())],
                    ..Scope::default()
                };
                self.resolve(&mut query.order_by, &answer, &[], &defined);
                columns
            }
        };
        self.resolve(&mut query.limit_clause, outer, &[], &defined);
        columns
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "other bodies do not read")]
    fn body(&self, body: &mut SetExpr, outer: &Scope<'_>, defined: &[Defined]) -> Columns {
        match body {
            SetExpr::Select(select) => self.select(select, None, outer, defined),
            SetExpr::Query(query) => self.query(query, outer, defined),
            SetExpr::SetOperation { left, right, .. } => {
                let columns = self.body(left, outer, defined);
                self.body(right, outer, defined);
                columns
            }
            _ => None,
        }
    }

    fn select(
        &self,
        select: &mut Select,
        order_by: Option<&mut OrderBy>,
        outer: &Scope<'_>,
        defined: &[Defined],
    ) -> Columns {
        if self.is_exhausted() {
            return None;
        }
        let mut scope = Scope::inside(outer);
        for from in &mut select.from {
            self.tables(from, &mut scope, defined);
        }
        let mut joins = Joins {
            resolver: self,
            defined,
            merging: merge::can_merge(&select.from, &scope.sources, &select.projection),
            waiting: std::mem::take(&mut scope.sources).into(),
        };
        for from in &mut select.from {
            joins.conditions(from, &mut scope);
        }
        let aliases: Vec<String> = select.projection.iter().filter_map(alias).collect();
        select.projection = merge::items(std::mem::take(&mut select.projection), &scope);
        self.resolve(&mut select.projection, &scope, &[], defined);
        self.resolve(&mut select.distinct, &scope, &aliases, defined);
        self.resolve(&mut select.selection, &scope, &[], defined);
        self.resolve(&mut select.group_by, &scope, &aliases, defined);
        self.resolve(&mut select.having, &scope, &aliases, defined);
        self.resolve(&mut select.named_window, &scope, &[], defined);
        self.resolve(&mut select.qualify, &scope, &aliases, defined);
        if let Some(order_by) = order_by {
            let names: Vec<String> = select.projection.iter().filter_map(alias).collect();
            let mut order = Names {
                answer: &names,
                ..Names::new(self, &scope, &names, defined)
            };
            let _ = visit_mut(order_by, &mut order);
        }
        self.answered(&select.projection, &scope)
    }

    /// Adds the tables of `from` to the scope.
    fn tables(&self, from: &mut TableWithJoins, scope: &mut Scope<'_>, defined: &[Defined]) {
        self.table(&mut from.relation, scope, defined);
        for join in &mut from.joins {
            self.table(&mut join.relation, scope, defined);
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the columns of other tables are not known"
    )]
    fn table(&self, table: &mut TableFactor, scope: &mut Scope<'_>, defined: &[Defined]) {
        let source = match table {
            TableFactor::Table { name, alias, .. } => {
                let path = name.0.iter().filter_map(|part| part.as_ident().cloned()).collect();
                Source::new(
                    alias.as_ref().map_or(path, |alias| vec![alias.name.clone()]),
                    renamed(self.columns(name, defined), alias.as_ref()),
                )
            }
            TableFactor::Derived { subquery, alias, .. } => {
                let columns = self.query(subquery, scope, defined);
                let path = alias.iter().map(|alias| alias.name.clone()).collect();
                Source::new(path, renamed(columns, alias.as_ref()))
            }
            TableFactor::NestedJoin { table_with_joins, .. } => return self.tables(table_with_joins, scope, defined),
            _ => Source::new(Vec::new(), None),
        };
        scope.sources.push(source);
    }

    /// The columns of a table that a `WITH` defines, the last one of that name, or of one that exists.
    fn columns(&self, name: &ObjectName, defined: &[Defined]) -> Columns {
        let single = match name.0.as_slice() {
            [part] => part.as_ident().map(|ident| ident.value.as_str()),
            _ => None,
        };
        let known = defined.iter().rev().find(|(table, _)| Some(table.as_str()) == single);
        match known {
            Some((_, columns)) => self.admits(number_of(columns)).then(|| columns.clone())?,
            None => {
                let columns = (self.columns_of)(name);
                self.admits(number_of(&columns)).then_some(columns)?
            }
        }
    }

    /// The columns of a `SELECT`; `None` if one of its tables is not known, or if there are too many.
    fn answered(&self, items: &[SelectItem], scope: &Scope<'_>) -> Columns {
        let mut columns = Vec::new();
        for item in items {
            if !self.admits(1) {
                return None;
            }
            match item {
                SelectItem::UnnamedExpr(Expr::Identifier(name)) => columns.push(name.value.clone()),
                SelectItem::UnnamedExpr(Expr::CompoundIdentifier(path)) => {
                    columns.extend(path.last().map(|name| name.value.clone()));
                }
                SelectItem::UnnamedExpr(_) => {}
                SelectItem::ExprWithAlias { alias, .. } => columns.push(alias.value.clone()),
                SelectItem::ExprWithAliases { aliases, .. } => {
                    columns.extend(aliases.iter().map(|name| name.value.clone()))
                }
                SelectItem::Wildcard(_) => {
                    for source in &scope.sources {
                        columns.extend(self.copied(source)?);
                    }
                }
                SelectItem::QualifiedWildcard(kind, _) => {
                    let SelectItemQualifiedWildcardKind::ObjectName(name) = kind else {
                        return None;
                    };
                    let table = name.0.last().and_then(|part| part.as_ident())?;
                    columns.extend(self.copied(scope.source(&table.value)?)?);
                }
            }
        }
        Some(columns)
    }

    /// The columns of a table that `*` stands for.
    fn copied(&self, source: &Source) -> Columns {
        self.admits(number_of(&source.columns))
            .then(|| source.columns.clone())?
    }

    fn resolve(&self, node: &mut impl VisitMut, scope: &Scope<'_>, aliases: &[String], defined: &[Defined]) {
        let _ = visit_mut(node, &mut Names::new(self, scope, aliases, defined));
    }
}

/// The joins of one `SELECT`.
struct Joins<'a> {
    resolver: &'a Resolver<'a>,
    defined: &'a [Defined],
    /// Whether columns are merged.
    merging: bool,
    /// The tables that no condition can refer to yet.
    waiting: VecDeque<Source>,
}

impl Joins<'_> {
    /// Resolves the conditions, each in the scope of the tables before it.
    fn conditions(&mut self, from: &mut TableWithJoins, scope: &mut Scope<'_>) {
        let left = scope.sources.len();
        self.relation(&mut from.relation, scope);
        for join in &mut from.joins {
            let right = scope.sources.len();
            self.relation(&mut join.relation, scope);
            let sides = Sides::new(left, right, scope);
            if self.merging {
                merge::write_out(&mut join.join_operator, scope, &sides);
            }
            if let Some(JoinConstraint::Using(columns)) = merge::constraint(&mut join.join_operator) {
                for part in columns.iter_mut().flat_map(|name| &mut name.0) {
                    if let ObjectNamePart::Identifier(name) = part {
                        bare(name, scope, &[]);
                    }
                }
            }
            self.resolver.resolve(&mut join.join_operator, scope, &[], self.defined);
            merge::hide(&join.join_operator, scope, sides);
        }
    }

    fn relation(&mut self, relation: &mut TableFactor, scope: &mut Scope<'_>) {
        if let TableFactor::NestedJoin { table_with_joins, .. } = relation {
            self.conditions(table_with_joins, scope);
        } else {
            scope.sources.extend(self.waiting.pop_front());
        }
    }
}

/// Visits the names of one scope; inner queries have their own.
struct Names<'a> {
    resolver: &'a Resolver<'a>,
    scope: &'a Scope<'a>,
    aliases: &'a [String],
    /// Names of the answer that are meant before a column in common, as in `ORDER BY`.
    answer: &'a [String],
    defined: &'a [Defined],
    /// How many inner queries are open.
    inner: usize,
}

impl<'a> Names<'a> {
    fn new(resolver: &'a Resolver<'a>, scope: &'a Scope<'a>, aliases: &'a [String], defined: &'a [Defined]) -> Self {
        Self {
            resolver,
            scope,
            aliases,
            answer: &[],
            defined,
            inner: 0,
        }
    }
}

impl VisitorMut for Names<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if self.inner == 0 {
            self.resolver.query(query, self.scope, self.defined);
        }
        self.inner = self.inner.saturating_add(1);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.inner = self.inner.saturating_sub(1);
        ControlFlow::Continue(())
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "no other expression is a name")]
    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        match expression {
            _ if self.inner > 0 => {}
            Expr::Identifier(name) => match self.scope.in_common(&name.value, self.answer) {
                Some(column) => *expression = column.value,
                None => bare(name, self.scope, self.aliases),
            },
            Expr::CompoundIdentifier(path) => qualified(path, self.scope),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn alias(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
        SelectItem::UnnamedExpr(_)
        | SelectItem::ExprWithAliases { .. }
        | SelectItem::QualifiedWildcard(..)
        | SelectItem::Wildcard(_) => None,
    }
}

fn number_of(columns: &Columns) -> usize {
    columns.as_ref().map_or(0, Vec::len)
}

/// The columns under the names that an alias gives them.
fn renamed(columns: Columns, alias: Option<&TableAlias>) -> Columns {
    let names = alias.map(|alias| alias.columns.as_slice()).unwrap_or_default();
    if names.is_empty() {
        return columns;
    }
    Some(names.iter().map(|column| column.name.value.clone()).collect())
}

#[cfg(test)]
mod tests;
