//! Names of columns, without regard to case.
//!
//! The engine's names are exact: `GENDER` is another column than `gender`. A query may write either where only one can be meant, so its
//! names are replaced by the spelling of the tables before it is planned, in quotes as well: members spell a column differently, and quotes
//! are often there for another reason (`"order"`).

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, JoinConstraint, JoinOperator, ObjectName, OrderBy, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableFactor, TableWithJoins, VisitMut, VisitorMut,
};

use super::visit_mut;

/// Replaces names of columns by the spelling of their table, where exactly one spelling in the tables of the query matches without regard
/// to case. An exact match wins; an alias of the query is meant where no column is. So a bare column keeps the spelling of its table in
/// the answer.
///
/// `columns_of` has the columns of a table; where it has none, names of that `SELECT` stay as they are.
pub fn resolve_names(query: &mut Query, columns_of: &dyn Fn(&ObjectName) -> Option<Vec<String>>) {
    let resolver = Resolver { columns_of };
    resolver.query(query, &Scope::default(), &[]);
}

/// The names of columns, if they are known.
type Columns = Option<Vec<String>>;

/// A table that a `WITH` defines.
type Defined = (String, Columns);

/// A table in `FROM`.
struct Source {
    name: Option<String>,
    columns: Columns,
}

/// The tables that an expression can refer to.
#[derive(Default)]
struct Scope<'a> {
    sources: Vec<Source>,
    outer: Option<&'a Self>,
}

struct Resolver<'a> {
    columns_of: &'a dyn Fn(&ObjectName) -> Option<Vec<String>>,
}

impl Resolver<'_> {
    /// Resolves a query and returns the names of its columns.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only a `SELECT` has other names to order by than those of its answer"
    )]
    fn query(&self, query: &mut Query, outer: &Scope<'_>, defined: &[Defined]) -> Columns {
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
                    sources: vec![Source {
                        name: None,
                        columns: columns.clone(),
                    }],
                    outer: None,
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
        let mut scope = Scope {
            sources: Vec::new(),
            outer: Some(outer),
        };
        for from in &mut select.from {
            self.from(from, &mut scope, defined);
        }
        let aliases: Vec<String> = select.projection.iter().filter_map(alias).collect();
        self.resolve(&mut select.projection, &scope, &[], defined);
        self.resolve(&mut select.distinct, &scope, &aliases, defined);
        self.resolve(&mut select.selection, &scope, &[], defined);
        self.resolve(&mut select.group_by, &scope, &aliases, defined);
        self.resolve(&mut select.having, &scope, &aliases, defined);
        self.resolve(&mut select.named_window, &scope, &[], defined);
        self.resolve(&mut select.qualify, &scope, &aliases, defined);
        if let Some(order_by) = order_by {
            self.resolve(order_by, &scope, &aliases, defined);
        }
        answered(&select.projection, &scope)
    }

    fn from(&self, from: &mut TableWithJoins, scope: &mut Scope<'_>, defined: &[Defined]) {
        self.table(&mut from.relation, scope, defined);
        for join in &mut from.joins {
            self.table(&mut join.relation, scope, defined);
            if let Some(JoinConstraint::Using(columns)) = constraint(&mut join.join_operator) {
                let names = columns.iter_mut().flat_map(|name| &mut name.0);
                for part in names {
                    if let datafusion::sql::sqlparser::ast::ObjectNamePart::Identifier(name) = part {
                        bare(name, scope, &[]);
                    }
                }
            }
            self.resolve(&mut join.join_operator, scope, &[], defined);
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the columns of other tables are not known"
    )]
    fn table(&self, table: &mut TableFactor, scope: &mut Scope<'_>, defined: &[Defined]) {
        let source = match table {
            TableFactor::Table { name, alias, .. } => {
                let columns = self.columns(name, defined);
                let last = name
                    .0
                    .last()
                    .and_then(|part| part.as_ident())
                    .map(|ident| ident.value.clone());
                Source {
                    name: alias.as_ref().map(|alias| alias.name.value.clone()).or(last),
                    columns: renamed(columns, alias.as_ref()),
                }
            }
            TableFactor::Derived { subquery, alias, .. } => {
                let columns = self.query(subquery, scope, defined);
                Source {
                    name: alias.as_ref().map(|alias| alias.name.value.clone()),
                    columns: renamed(columns, alias.as_ref()),
                }
            }
            TableFactor::NestedJoin { table_with_joins, .. } => return self.from(table_with_joins, scope, defined),
            _ => Source {
                name: None,
                columns: None,
            },
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
            Some((_, columns)) => columns.clone(),
            None => (self.columns_of)(name),
        }
    }

    fn resolve(&self, node: &mut impl VisitMut, scope: &Scope<'_>, aliases: &[String], defined: &[Defined]) {
        let mut names = Names {
            resolver: self,
            scope,
            aliases,
            defined,
            inner: 0,
        };
        let _ = visit_mut(node, &mut names);
    }
}

/// Visits the names of one scope; inner queries have their own.
struct Names<'a> {
    resolver: &'a Resolver<'a>,
    scope: &'a Scope<'a>,
    aliases: &'a [String],
    defined: &'a [Defined],
    /// How many inner queries are open.
    inner: usize,
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
            Expr::Identifier(name) => bare(name, self.scope, self.aliases),
            Expr::CompoundIdentifier(path) => qualified(path, self.scope),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Replaces a name without a table.
fn bare(name: &mut Ident, scope: &Scope<'_>, aliases: &[String]) {
    let mut next = Some(scope);
    let mut aliases = aliases;
    while let Some(scope) = next {
        let columns = scope.sources.iter().flat_map(|source| source.columns.iter().flatten());
        if columns.clone().chain(aliases).any(|known| *known == name.value) {
            return;
        }
        if scope.sources.iter().any(|source| source.columns.is_none()) {
            return;
        }
        let column = only(columns, &name.value);
        match column {
            Found::None => {}
            Found::One(column) => {
                name.value.clone_from(column);
                return;
            }
            Found::Several => return,
        }
        if let Found::One(alias) = only(aliases.iter(), &name.value) {
            name.value.clone_from(alias);
            return;
        }
        aliases = &[];
        next = scope.outer;
    }
}

/// Replaces the last part of a name with a table.
fn qualified(path: &mut [Ident], scope: &Scope<'_>) {
    let [.., table, name] = path else { return };
    let mut next = Some(scope);
    while let Some(scope) = next {
        let source = scope
            .sources
            .iter()
            .find(|source| source.name.as_deref() == Some(&table.value));
        if let Some(source) = source {
            let Some(columns) = &source.columns else { return };
            if !columns.contains(&name.value)
                && let Found::One(column) = only(columns.iter(), &name.value)
            {
                name.value.clone_from(column);
            }
            return;
        }
        next = scope.outer;
    }
}

/// The spelling that matches a name.
enum Found<'a> {
    None,
    One(&'a String),
    Several,
}

fn only<'a>(names: impl Iterator<Item = &'a String>, wanted: &str) -> Found<'a> {
    let lower = wanted.to_lowercase();
    let mut found = Found::None;
    for name in names.filter(|name| name.to_lowercase() == lower) {
        found = match found {
            Found::None => Found::One(name),
            Found::One(known) if known == name => Found::One(known),
            Found::One(_) | Found::Several => Found::Several,
        };
    }
    found
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

/// The columns of a `SELECT`; `None` if one of its tables is not known.
fn answered(items: &[SelectItem], scope: &Scope<'_>) -> Columns {
    let mut columns = Vec::new();
    for item in items {
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
                    columns.extend(source.columns.clone()?);
                }
            }
            SelectItem::QualifiedWildcard(kind, _) => {
                let SelectItemQualifiedWildcardKind::ObjectName(name) = kind else {
                    return None;
                };
                let table = name.0.last().and_then(|part| part.as_ident())?;
                let source = scope
                    .sources
                    .iter()
                    .find(|source| source.name.as_deref() == Some(&table.value))?;
                columns.extend(source.columns.clone()?);
            }
        }
    }
    Some(columns)
}

/// The columns under the names that an alias gives them.
fn renamed(columns: Columns, alias: Option<&TableAlias>) -> Columns {
    let names = alias.map(|alias| alias.columns.as_slice()).unwrap_or_default();
    if names.is_empty() {
        return columns;
    }
    Some(names.iter().map(|column| column.name.value.clone()).collect())
}

#[expect(clippy::wildcard_enum_match_arm, reason = "other joins have no list of columns")]
fn constraint(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::Semi(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::RightSemi(constraint)
        | JoinOperator::Anti(constraint)
        | JoinOperator::LeftAnti(constraint)
        | JoinOperator::RightAnti(constraint) => Some(constraint),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
