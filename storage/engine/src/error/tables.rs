//! Which tables of a query an unknown column was looked for in.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};

use concordat_protocol::ids::{DatasetName, DatasetRef};
use datafusion::{
    common::{Column, TableReference},
    sql::sqlparser::ast::{Ident, ObjectName, ObjectNamePart, Query, Statement, TableFactor, Visitor},
};

use crate::visit;

/// The tables of `statement` that the unknown `field` may have been meant of, as errors name them: those of its qualifier, or else all
/// whose columns are `valid`. Where none is found it is `dataset`.
pub(super) fn tables_of(
    field: &Column,
    valid: &[Column],
    statement: Option<&Statement>,
    dataset: &DatasetRef,
) -> Vec<String> {
    let mut written = Written::default();
    if let Some(statement) = statement {
        let _ = visit(statement, &mut written);
    }
    let relations: Vec<&TableReference> = match &field.relation {
        Some(relation) => vec![relation],
        None => valid.iter().filter_map(|column| column.relation.as_ref()).collect(),
    };
    let found: BTreeSet<String> = relations
        .into_iter()
        .flat_map(|relation| written.tables(relation, dataset))
        .collect();
    if found.is_empty() {
        vec![dataset.to_string()]
    } else {
        found.into_iter().collect()
    }
}

/// The columns among `valid` that the qualifier of `field` has; all of them without one, or if nothing has it.
pub(super) fn visible_to<'a>(field: &Column, valid: &'a [Column]) -> Vec<&'a str> {
    let of = |column: &&Column| column.relation == field.relation;
    let of_relation = valid.iter().filter(of).map(|column| column.name.as_str());
    let of_relation: Vec<&str> = of_relation.filter(|_| field.relation.is_some()).collect();
    if of_relation.is_empty() {
        valid.iter().map(|column| column.name.as_str()).collect()
    } else {
        of_relation
    }
}

/// The tables of a statement by the names that its columns have before them.
#[derive(Default)]
struct Written {
    /// The alias of a table, or its name without one, and the parts of its name.
    tables: BTreeMap<String, BTreeSet<Vec<String>>>,
    /// Names of subqueries.
    subqueries: BTreeSet<String>,
}

impl Written {
    /// What errors name for the tables of `relation`; the relation itself if it is a subquery.
    fn tables(&self, relation: &TableReference, dataset: &DatasetRef) -> Vec<String> {
        let of_path = self.tables.get(&relation.to_string());
        match of_path.or_else(|| self.tables.get(relation.table())) {
            Some(paths) => paths.iter().map(|path| self.shown(path, dataset)).collect(),
            None => vec![relation.table().to_owned()],
        }
    }

    /// A dataset beside `dataset` if the path has no institution in it; otherwise as it is written.
    fn shown(&self, path: &[String], dataset: &DatasetRef) -> String {
        if let [name] = path
            && !self.subqueries.contains(name)
            && let Ok(name) = DatasetName::new(name)
        {
            let beside = DatasetRef {
                dataset: name,
                ..dataset.clone()
            };
            return beside.to_string();
        }
        path.join(".")
    }
}

impl Visitor for Written {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let named = query.with.iter().flat_map(|with| &with.cte_tables);
        self.subqueries.extend(named.map(|table| folded(&table.alias.name)));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, alias, .. } = factor {
            let path = parts(name);
            let known_as = match alias {
                Some(alias) => folded(&alias.name),
                None => path.join("."),
            };
            self.tables.entry(known_as).or_default().insert(path.clone());
            if let (None, Some(last)) = (alias, path.last()) {
                self.tables.entry(last.clone()).or_default().insert(path);
            }
        }
        ControlFlow::Continue(())
    }
}

fn parts(name: &ObjectName) -> Vec<String> {
    let identifiers = name.0.iter().filter_map(ObjectNamePart::as_ident);
    identifiers.map(folded).collect()
}

/// A name as the planner compares it: without quotes in lower case.
fn folded(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::parse;

    #[test]
    fn unknown_column_names_the_table_of_its_qualifier() {
        let dataset: DatasetRef = "cleveland.omop.condition".parse().unwrap();
        let sql = "WITH few AS (SELECT 1 AS a) SELECT p.born FROM person p JOIN condition c ON c.id = p.id JOIN few ON few.a = p.id";
        let statements = parse(sql, 64).unwrap();
        let valid = [
            Column::new(Some("p"), "year_of_birth"),
            Column::new(Some("c"), "born_at"),
        ];
        let found = |field: Column| tables_of(&field, &valid, statements.first(), &dataset);
        assert_eq!(found(Column::new(Some("p"), "born")), ["cleveland.omop.person"]);
        assert_eq!(found(Column::new(Some("c"), "born")), ["cleveland.omop.condition"]);
        assert_eq!(found(Column::new(Some("few"), "b")), ["few"]);
        let both = ["cleveland.omop.condition", "cleveland.omop.person"];
        assert_eq!(found(Column::new_unqualified("born")), both);
        assert_eq!(visible_to(&Column::new(Some("p"), "born"), &valid), ["year_of_birth"]);
        assert_eq!(visible_to(&Column::new_unqualified("born"), &valid).len(), 2);
    }

    #[test]
    fn unknown_column_of_one_table_names_it_as_it_is_written() {
        let dataset: DatasetRef = "cleveland.omop.condition".parse().unwrap();
        let statements = parse("SELECT born FROM Cleveland.omop.person", 64).unwrap();
        let valid = [Column::new(Some("cleveland.omop.person"), "id")];
        let field = Column::new_unqualified("born");
        let found = tables_of(&field, &valid, statements.first(), &dataset);
        assert_eq!(found, ["cleveland.omop.person"]);
        assert_eq!(tables_of(&field, &[], None, &dataset), ["cleveland.omop.condition"]);
    }
}
