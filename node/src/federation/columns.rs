//! The columns that an answer may have, as far as the text of its query determines them.
//!
//! A provider that sends more than was requested, by mistake or on purpose, would transfer data that this institution may not hold.

use std::collections::BTreeSet;

use concordat_engine::parse;
use datafusion::arrow::datatypes::Schema;
use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Ident, Query, Select, SelectItem, SetExpr, Statement, WildcardAdditionalOptions,
};

use super::statement::MAX_DEPTH;

/// One item of a query's select list.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    /// A column that is named in the query.
    Named(String),
    /// A computed column; engines name it differently.
    Computed,
    /// `*`: some of the granted columns.
    Granted,
}

/// The columns that an answer must have.
#[derive(Clone, Debug)]
pub(super) struct RequestedColumns {
    items: Vec<Item>,
    granted: BTreeSet<String>,
    grouped: bool,
}

impl RequestedColumns {
    /// The columns of an answer to `sql` under a grant for `granted`; `None` if `sql` is not one plain `SELECT`.
    pub(super) fn for_query(sql: &str, granted: &BTreeSet<String>) -> Option<Self> {
        let query = query(sql)?;
        let select = select_of(&query)?;
        Some(Self {
            items: select.projection.iter().map(item).collect(),
            granted: granted.clone(),
            grouped: is_grouped(&select.group_by),
        })
    }

    /// Whether the query has `GROUP BY`.
    pub(super) const fn is_grouped(&self) -> bool {
        self.grouped
    }

    /// The first column of `schema` that was not requested, or the number of columns if that differs.
    pub(super) fn unexpected_in(&self, schema: &Schema) -> Option<String> {
        let received = schema.fields();
        let slots = self.slots(received.len());
        if slots.len() != received.len() {
            return Some(format!("it sends {} columns", received.len()));
        }
        let unexpected = slots.iter().zip(received).find(|(slot, field)| match slot {
            Item::Named(name) => name != field.name(),
            Item::Computed => false,
            Item::Granted => !self.granted.contains(field.name()),
        });
        unexpected.map(|(_, field)| format!("it sends a column `{}`", field.name()))
    }

    /// One item for each column, where `*` stands for as many columns as are needed to make `columns` in total.
    fn slots(&self, columns: usize) -> Vec<&Item> {
        let stars = self.items.iter().filter(|item| **item == Item::Granted).count();
        let each = columns
            .saturating_sub(self.items.len().saturating_sub(stars))
            .checked_div(stars)
            .unwrap_or_default();
        let slots = self.items.iter().flat_map(|item| match item {
            Item::Granted => std::iter::repeat_n(item, each),
            Item::Named(_) | Item::Computed => std::iter::repeat_n(item, 1),
        });
        slots.collect()
    }
}

fn query(sql: &str) -> Option<Query> {
    let statements = parse(sql, MAX_DEPTH).ok()?;
    match <[Statement; 1]>::try_from(statements) {
        Ok([Statement::Query(query)]) => Some(*query),
        Ok(_) | Err(_) => None,
    }
}

fn select_of(query: &Query) -> Option<&Select> {
    if let SetExpr::Select(select) = query.body.as_ref() {
        Some(select)
    } else {
        None
    }
}

const fn is_grouped(groups: &GroupByExpr) -> bool {
    match groups {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(groups, _) => !groups.is_empty(),
    }
}

fn item(item: &SelectItem) -> Item {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Item::Named(name(alias)),
        SelectItem::UnnamedExpr(Expr::Identifier(ident)) => Item::Named(name(ident)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
            parts.last().map_or(Item::Computed, |ident| Item::Named(name(ident)))
        }
        SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAliases { .. } => Item::Computed,
        SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => star(options),
    }
}

/// A name as engines read it: unquoted names are in lower case.
fn name(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

fn star(options: &WildcardAdditionalOptions) -> Item {
    match options.opt_rename {
        None => Item::Granted,
        Some(_) => Item::Computed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::datatypes::{DataType, Field};

    fn unexpected(sql: &str, received: &[&str]) -> Option<String> {
        let granted = ["sex", "age", "chol"].map(str::to_owned).into();
        let fields: Vec<_> = received
            .iter()
            .map(|name| Field::new(*name, DataType::Utf8, true))
            .collect();
        RequestedColumns::for_query(sql, &granted)
            .unwrap()
            .unexpected_in(&Schema::new(fields))
    }

    #[test]
    fn answer_with_the_columns_of_its_query_is_accepted() {
        for (sql, received) in [
            ("SELECT sex, heart.age FROM heart", &["sex", "age"][..]),
            ("SELECT sex AS s, count(*) FROM heart GROUP BY sex", &["s", "count(*)"]),
            ("SELECT Sex AS S, \"Age\" FROM heart", &["s", "Age"]),
            ("SELECT * FROM heart", &["age", "sex"]),
            ("SELECT *, age + 1 FROM heart", &["age", "sex", "chol", "age + 1"]),
            ("SELECT 1 AS n, heart.* FROM heart", &["n", "sex"]),
        ] {
            assert_eq!(unexpected(sql, received), None, "{sql}");
        }
    }

    #[test]
    fn answer_with_a_column_not_requested_is_detected() {
        for (sql, received, found) in [
            ("SELECT sex FROM heart", &["name"][..], "it sends a column `name`"),
            ("SELECT sex FROM heart", &["sex", "name"], "it sends 2 columns"),
            ("SELECT sex, age FROM heart", &["age", "sex"], "it sends a column `age`"),
            ("SELECT * FROM heart", &["sex", "name"], "it sends a column `name`"),
            (
                "SELECT *, 1 AS n FROM heart",
                &["sex", "name", "n"],
                "it sends a column `name`",
            ),
            ("SELECT count(*) FROM heart", &[], "it sends 0 columns"),
        ] {
            assert_eq!(unexpected(sql, received).as_deref(), Some(found), "{sql}");
        }
    }

    #[test]
    fn requested_columns_are_known_for_a_plain_select_only() {
        let granted = BTreeSet::new();
        for sql in [
            "SELECT 1 UNION SELECT 2",
            "SELECT 1; SELECT 2",
            "SELECT 1 nonsense nonsense",
            "DROP TABLE heart",
            "nonsense",
        ] {
            assert!(RequestedColumns::for_query(sql, &granted).is_none(), "{sql}");
        }
    }

    #[test]
    fn requested_columns_know_whether_the_query_groups() {
        let grouped = |sql: &str| {
            let granted = BTreeSet::from(["sex".to_owned()]);
            RequestedColumns::for_query(sql, &granted).unwrap().is_grouped()
        };
        assert!(grouped("SELECT sex, count(*) FROM heart GROUP BY sex"));
        assert!(grouped("SELECT count(*) FROM heart GROUP BY 1 + 1"));
        assert!(!grouped("SELECT count(*) FROM heart HAVING count(*) > 1"));
    }
}
