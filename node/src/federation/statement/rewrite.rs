//! Rewrites of a statement: names of tables as a provider and as the local engine know them, and signs.

use std::ops::ControlFlow;

use concordat_engine::{version_number, visit_mut};
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, TableAlias,
    TableFactor, Value, VisitMut, VisitorMut,
};

use super::{quoted, table_name::TableName};

/// Rewrites `table` in a node to the provider's name for it, without the institution: the dataset alone, or with its collection, which no
/// name that the query defines can be mistaken for.
pub(in crate::federation) fn use_provider_table_name<V: VisitMut>(node: &mut V, table: &TableName) {
    let _ = visit_mut(node, &mut Shorten(table));
}

struct Shorten<'a>(&'a TableName);

impl Shorten<'_> {
    /// Whether these are the parts of the table's name.
    fn is_table(&self, parts: &[Ident]) -> bool {
        let mut name = self.0.owner();
        name.push(self.0.dataset.as_str());
        parts.iter().map(|part| part.value.as_str()).eq(name)
    }

    fn shorten(&self, name: &mut ObjectName) {
        let parts: Option<Vec<Ident>> = name.0.iter().map(|part| part.as_ident().cloned()).collect();
        if parts.is_some_and(|parts| self.is_table(&parts)) {
            let collection = self.0.collection.iter().map(|collection| quoted(collection.as_str()));
            let short = collection.chain([quoted(self.0.dataset.as_str())]);
            *name = ObjectName(short.map(ObjectNamePart::Identifier).collect());
        }
    }
}

impl VisitorMut for Shorten<'_> {
    type Break = ();

    fn pre_visit_relation(&mut self, name: &mut ObjectName) -> ControlFlow<()> {
        self.shorten(name);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) = item {
                self.shorten(name);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && let [table @ .., _] = parts.as_slice()
            && self.is_table(table)
        {
            parts.remove(0);
        }
        ControlFlow::Continue(())
    }
}

/// Rewrites versions to the names in the local engine, where each is a table of its own; an alias keeps the name used in the query.
pub(in crate::federation) fn use_local_version_names(query: &mut Query) {
    let _ = visit_mut(query, &mut Rename);
}

struct Rename;

impl VisitorMut for Rename {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table {
            name, alias, version, ..
        } = factor
            && let Some(number) = version.take().as_ref().and_then(version_number)
            && let Some(ObjectNamePart::Identifier(dataset)) = name.0.last_mut()
        {
            alias.get_or_insert_with(|| TableAlias {
                explicit: true,
                name: quoted(&dataset.value),
                columns: Vec::new(),
                at: None,
            });
            *dataset = quoted(&format!("{}@{number}", dataset.value));
        }
        ControlFlow::Continue(())
    }
}

/// Puts the operand of a sign in parentheses if it has a sign too: the text `--1` would be a comment.
pub(in crate::federation) fn separate_signs<V: VisitMut>(node: &mut V) {
    let _ = visit_mut(node, &mut SeparateSigns);
}

struct SeparateSigns;

impl VisitorMut for SeparateSigns {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::UnaryOp { expr: operand, .. } = expr
            && operand.to_string().starts_with(['-', '+'])
        {
            let inner = std::mem::replace(operand.as_mut(), Expr::Value(Value::Null.into()));
            **operand = Expr::Nested(Box::new(inner));
        }
        ControlFlow::Continue(())
    }
}
