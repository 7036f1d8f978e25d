//! What the node itself knows of a query's text.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::table_name::TableName;

/// Most tables of a query, as its parser admits.
const MAX_TABLES: usize = 1000;

/// What the node has to know of the text of a query before it is planned, as an engine process has read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub(in crate::federation) struct QueryTables {
    /// Every table, once.
    pub(in crate::federation) tables: BTreeSet<TableName>,
    /// Whether the rows that are selected from are those of one table, and not of another query.
    pub(in crate::federation) reads_one_table: bool,
}

/// What a process sends, which may have been taken over by the text that it has read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    tables: Vec<TableName>,
    reads_one_table: bool,
}

/// Tables that no query can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no query names these tables")]
struct InvalidTables;

impl TryFrom<Unchecked> for QueryTables {
    type Error = InvalidTables;

    fn try_from(unchecked: Unchecked) -> Result<Self, InvalidTables> {
        let Unchecked {
            tables,
            reads_one_table,
        } = unchecked;
        if tables.len() > MAX_TABLES || tables.iter().any(|table| !table.is_valid()) {
            return Err(InvalidTables);
        }
        Ok(Self {
            tables: tables.into_iter().collect(),
            reads_one_table,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::federation::statement::ParsedQuery;

    fn table(name: &str) -> Value {
        json!({ "institution": null, "collection": null, "dataset": name, "version": null })
    }

    fn received(tables: &[Value]) -> Result<QueryTables, serde_json::Error> {
        serde_json::from_value(json!({ "tables": tables, "reads_one_table": true }))
    }

    #[test]
    fn tables_of_a_text_cross_the_socket() {
        for sql in [
            "SELECT 1",
            "SELECT age FROM basel.heart VERSION AS OF 18446744073709551615",
            "SELECT a.age FROM consortium.omop.person AS a JOIN basel.omop.visit AS b ON a.id = b.id",
        ] {
            let tables = ParsedQuery::parse(sql).unwrap().query_tables();
            let sent = serde_json::to_vec(&tables).unwrap();
            assert_eq!(serde_json::from_slice::<QueryTables>(&sent).unwrap(), tables, "{sql}");
        }
    }

    #[test]
    fn tables_that_no_text_names_are_not_received() {
        assert!(received(&[table("heart")]).is_ok());
        let with = |field: &str, value: Value| {
            let mut table = table("heart");
            table.as_object_mut().unwrap().insert(field.to_owned(), value);
            received(&[table])
        };
        for (field, value) in [
            ("version", json!(3)),
            ("institution", json!("consortium")),
            ("institution", json!("../basel")),
            ("collection", json!("A b")),
            ("dataset", json!("heart; DROP")),
        ] {
            assert!(with(field, value.clone()).is_err(), "{field} {value}");
        }
        let many = |count: usize| {
            let tables: Vec<Value> = (0..count).map(|number| table(&format!("heart_{number}"))).collect();
            received(&tables)
        };
        assert_eq!(many(MAX_TABLES).unwrap().tables.len(), MAX_TABLES);
        assert!(many(MAX_TABLES + 1).is_err());
    }
}
