//! Columns of an answer with the same name: the second gets a number, because in most formats one of the two would be lost.

use std::collections::BTreeSet;

use datafusion::common::Column;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, Query, SelectItem, SetExpr};

use super::remark::Remark;
use super::statement::quoted;

/// Gives each selected column with a name that an earlier one has another name, as far as the text names them.
pub(super) fn make_distinct(query: &mut Query) -> Vec<Remark> {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Vec::new();
    };
    let taken: BTreeSet<String> = select.projection.iter().filter_map(name_of).collect();
    let mut names = Names::new(taken);
    let mut renamed = Vec::new();
    for item in &mut select.projection {
        let Some(name) = name_of(item) else { continue };
        let Some(other) = names.other_than_used(&name) else {
            continue;
        };
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            *item = SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias: quoted(&other),
            };
            renamed.push(Remark::renamed(&name, &other));
        }
    }
    renamed
}

/// The same plan with distinct names, and a remark for each changed one.
///
/// # Errors
/// If the engine does not accept the plan.
pub(super) fn distinct(plan: LogicalPlan) -> Result<(LogicalPlan, Vec<Remark>)> {
    let taken = plan
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    let mut names = Names::new(taken);
    let mut renamed = Vec::new();
    let mut columns = Vec::new();
    for (qualifier, field) in plan.schema().iter() {
        let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
        columns.push(match names.other_than_used(field.name()) {
            None => column,
            Some(other) => {
                renamed.push(Remark::renamed(field.name(), &other));
                column.alias(other)
            }
        });
    }
    if renamed.is_empty() {
        return Ok((plan, renamed));
    }
    let plan = LogicalPlanBuilder::from(plan).project(columns)?.build()?;
    Ok((plan, renamed))
}

/// The name of a selected column: the one that its text states, or its text.
fn name_of(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
        SelectItem::UnnamedExpr(SqlExpr::Identifier(ident)) => Some(ident.value.clone()),
        SelectItem::UnnamedExpr(SqlExpr::CompoundIdentifier(parts)) => parts.last().map(|last| last.value.clone()),
        SelectItem::UnnamedExpr(computed) => Some(computed.to_string()),
        SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => None,
    }
}

/// The names of the columns so far.
struct Names {
    taken: BTreeSet<String>,
    used: BTreeSet<String>,
}

impl Names {
    fn new(taken: BTreeSet<String>) -> Self {
        Self {
            taken,
            used: BTreeSet::new(),
        }
    }

    /// `None` for the first use of a name; afterward a name that no column has.
    fn other_than_used(&mut self, name: &str) -> Option<String> {
        if self.used.insert(name.to_owned()) {
            return None;
        }
        let other = (2_u64..)
            .map(|number| format!("{name}_{number}"))
            .find(|other| !self.taken.contains(other))?;
        self.taken.insert(other.clone());
        self.used.insert(other.clone());
        Some(other)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn distinct_text(sql: &str) -> String {
        let mut query = Parser::new(&GenericDialect {})
            .try_with_sql(sql)
            .unwrap()
            .parse_query()
            .unwrap();
        make_distinct(&mut query);
        query.to_string()
    }

    #[test]
    fn output_names_of_a_query_are_distinct() {
        for (sql, distinct) in [
            ("SELECT a.id, b.id FROM a, b", "SELECT a.id, b.id AS \"id_2\" FROM a, b"),
            ("SELECT id, id, id_2 FROM a", "SELECT id, id AS \"id_3\", id_2 FROM a"),
            ("SELECT x AS n, y AS n FROM a", "SELECT x AS n, y AS \"n_2\" FROM a"),
            ("SELECT id, *, count(*) FROM a", "SELECT id, *, count(*) FROM a"),
            (
                "SELECT count(*), count(*) FROM a",
                "SELECT count(*), count(*) AS \"count(*)_2\" FROM a",
            ),
        ] {
            assert_eq!(distinct_text(sql), distinct);
        }
    }
}
