//! The query as text: one `SELECT` over `institution.dataset`, `institution.collection.dataset`, `consortium.dataset` and
//! `consortium.collection.dataset`.

mod current_date;
mod named_tables;
mod query_tables;
mod rewrite;
mod table_name;

use std::collections::BTreeSet;

use concordat_engine::TextParser;
use concordat_protocol::{ids::DatasetName, schema::VersionNumber};
use datafusion::sql::sqlparser::ast::{GroupByExpr, Ident, Query, SetExpr, Statement, TableFactor};

use super::error::FederationError;

pub(super) use current_date::use_current_date;
pub(super) use named_tables::tables_of;
pub(super) use query_tables::QueryTables;
pub(super) use rewrite::{separate_signs, use_local_version_names, use_provider_table_name};
pub(super) use table_name::{ANSWER, TableName};

/// How deeply a query may be nested: the same limit as at a provider.
pub(super) const MAX_DEPTH: usize = 64;

/// One parsed `SELECT`, and the tables it names.
#[derive(Clone, Debug)]
pub(super) struct ParsedQuery {
    /// The statement.
    pub(super) query: Query,
    /// Every table, once.
    pub(super) tables: BTreeSet<TableName>,
}

impl ParsedQuery {
    /// Parses `sql`, in the engine process that has the `parser`.
    ///
    /// # Errors
    /// [`FederationError::Usage`] unless it is exactly one `SELECT` over tables with names of two or three parts.
    pub(super) fn read(parser: TextParser, sql: &str) -> Result<Self, FederationError> {
        let statements = parser
            .parse(sql, MAX_DEPTH)
            .map_err(|error| FederationError::usage(format!("the SQL text cannot be read: {error}")))?;
        let query = match <[Statement; 1]>::try_from(statements) {
            Ok([Statement::Query(query)]) => *query,
            Ok([_]) => return Err(FederationError::usage("only `SELECT` is answered")),
            Err(several) if several.is_empty() => {
                return Err(FederationError::usage("an empty text is not a query"));
            }
            Err(_) => return Err(FederationError::usage("only one statement at a time is answered")),
        };
        let tables = tables_of(&query)?;
        Ok(Self { query, tables })
    }

    /// What the node has to know of it.
    pub(super) fn query_tables(&self) -> QueryTables {
        QueryTables {
            tables: self.tables.clone(),
            reads_one_table: reads_one_table(&self.query),
        }
    }

    /// As [`Self::read`], in the process of a test.
    #[cfg(test)]
    pub(super) fn parse(sql: &str) -> Result<Self, FederationError> {
        TextParser::in_tests(|parser| Self::read(parser, sql))
            .unwrap_or_else(|| Err(FederationError::usage("no thread")))
    }
}

/// Whether the rows of the answer are groups.
pub(super) fn is_grouped(query: &Query) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return false;
    };
    match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(groups, _) => !groups.is_empty(),
    }
}

/// Whether the rows that are selected from are those of one table, and not of another query.
fn reads_one_table(query: &Query) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return false;
    };
    let [from] = select.from.as_slice() else {
        return false;
    };
    query.with.is_none() && from.joins.is_empty() && matches!(from.relation, TableFactor::Table { .. })
}

/// A table of a provider in SQL text, with its version if there is one.
pub(super) fn table_text(dataset: &DatasetName, version: Option<VersionNumber>) -> String {
    let table = quoted(dataset.as_str()).to_string();
    match version {
        None => table,
        Some(version) => format!("{table} VERSION AS OF {version}"),
    }
}

/// An identifier in quotes, so that it is taken literally.
pub(super) fn quoted(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(sql: &str) -> Vec<String> {
        ParsedQuery::parse(sql)
            .unwrap()
            .tables
            .iter()
            .map(TableName::to_string)
            .collect()
    }

    fn refusal(sql: &str) -> String {
        ParsedQuery::parse(sql).unwrap_err().to_string()
    }

    #[test]
    fn statement_reads_one_table_unless_another_query_is_below() {
        let reads_one = |sql: &str| reads_one_table(&ParsedQuery::parse(sql).unwrap().query);
        assert!(reads_one("SELECT count(*) FROM budapest.heart WHERE age > 40"));
        for other in [
            "SELECT n FROM (SELECT count(*) AS n FROM budapest.heart GROUP BY age) AS t",
            "WITH t AS (SELECT count(*) AS n FROM budapest.heart GROUP BY age) SELECT n FROM t",
            "SELECT count(*) FROM budapest.heart AS a JOIN budapest.heart AS b ON a.id = b.id",
            "SELECT count(*) FROM budapest.heart AS a, budapest.heart AS b",
            "SELECT age FROM budapest.heart UNION ALL SELECT age FROM budapest.heart",
        ] {
            assert!(!reads_one(other), "{other}");
        }
    }

    #[test]
    fn statement_tables_are_found_in_every_position() {
        assert_eq!(tables("SELECT * FROM budapest.heart"), ["budapest.heart"]);
        let sql = "WITH old AS (SELECT * FROM zurich.heart) SELECT (SELECT max(age) FROM consortium.heart) FROM old \
                   JOIN cleveland.heart c ON old.id = c.id WHERE c.id IN (SELECT id FROM budapest.visits)";
        assert_eq!(
            tables(sql),
            ["consortium.heart", "budapest.visits", "cleveland.heart", "zurich.heart"]
        );
    }

    #[test]
    fn statement_table_without_institution_gets_a_hint() {
        let error = ParsedQuery::parse("SELECT * FROM heart").unwrap_err();
        assert!(error.help().unwrap().contains("consortium.heart"), "{error}");
    }

    #[test]
    fn statement_other_than_one_select_is_rejected() {
        assert!(refusal("SELECT 1; SELECT 2").contains("one statement"));
        assert!(refusal("").contains("empty"));
        for sql in [
            "DROP TABLE budapest.heart",
            "COPY budapest.heart TO 'x.csv'",
            "INSERT INTO budapest.heart VALUES (1)",
            "WITH gone AS (DELETE FROM budapest.heart RETURNING *) SELECT * FROM gone",
            "SELECT * INTO mine FROM budapest.heart",
            "SELECT * FROM budapest.heart FOR UPDATE",
        ] {
            assert!(ParsedQuery::parse(sql).is_err(), "{sql}");
        }
        assert!(refusal("SELECT * FROM read_csv('/etc/passwd')").contains("not a table"));
        assert!(refusal("SELECT * FROM a.b.c.d").contains("institution.dataset"));
        assert_eq!(
            tables("SELECT * FROM consortium.omop.person"),
            ["consortium.omop.person"]
        );
    }

    #[test]
    fn statement_versions_are_separate_tables() {
        let sql =
            "SELECT heart.age FROM budapest.heart VERSION AS OF 3 JOIN budapest.heart AS new ON new.id = heart.id";
        let mut parsed = ParsedQuery::parse(sql).unwrap();
        let names: Vec<String> = parsed.tables.iter().map(TableName::to_string).collect();
        assert_eq!(names, ["budapest.heart", "budapest.heart VERSION AS OF 3"]);
        use_local_version_names(&mut parsed.query);
        assert_eq!(
            parsed.query.to_string(),
            "SELECT heart.age FROM budapest.\"heart@3\" AS \"heart\" JOIN budapest.heart AS new ON new.id = heart.id"
        );
        let old = ParsedQuery::parse("SELECT age FROM budapest.heart VERSION AS OF 3").unwrap();
        let table = old.tables.first().unwrap().clone();
        let mut query = old.query;
        use_provider_table_name(&mut query, &table);
        assert_eq!(query.to_string(), "SELECT age FROM \"heart\" VERSION AS OF 3");
        assert!(refusal("SELECT * FROM consortium.heart VERSION AS OF 3").contains("counts its own"));
        assert!(refusal("SELECT * FROM budapest.heart FOR SYSTEM_TIME AS OF '2026-01-01'").contains("cannot be read"));
    }

    #[test]
    fn statement_with_two_signs_is_no_comment() {
        for sql in [
            "SELECT - -2.5, 1 FROM basel.heart",
            "SELECT 1 FROM basel.heart WHERE 3 < - - -age AND + -1 < 2",
        ] {
            let parsed = ParsedQuery::parse(sql).unwrap();
            let mut query = parsed.query;
            separate_signs(&mut query);
            let text = query.to_string();
            assert!(!text.contains("--"), "{text}");
            let again = ParsedQuery::parse(&text).unwrap().query;
            assert_eq!(again.to_string(), text);
        }
    }

    #[test]
    fn statement_sent_to_provider_has_no_institution_name() {
        let mut parsed = ParsedQuery::parse(
            "SELECT budapest.heart.age, heart.sex, budapest.heart.* FROM budapest.heart WHERE budapest.heart.age > 3",
        )
        .unwrap();
        let table = parsed.tables.first().unwrap().clone();
        use_provider_table_name(&mut parsed.query, &table);
        assert_eq!(
            parsed.query.to_string(),
            "SELECT heart.age, heart.sex, \"heart\".* FROM \"heart\" WHERE heart.age > 3"
        );
    }

    #[test]
    fn statement_names_datasets_of_collections_in_three_parts() {
        let sql = "WITH person AS (SELECT budapest.omop.person.age FROM budapest.omop.person) \
                   SELECT person.age, e.* FROM person JOIN budapest.omop.event AS e ON e.age = person.age";
        let mut parsed = ParsedQuery::parse(sql).unwrap();
        let names: Vec<String> = parsed.tables.iter().map(TableName::to_string).collect();
        assert_eq!(names, ["budapest.omop.event", "budapest.omop.person"]);
        let person = parsed.tables.last().unwrap();
        assert_eq!(person.location(), ("budapest", "omop"));
        assert_eq!(person.collection_name().as_str(), "omop");
        assert_eq!(person.at("basel".parse().unwrap()).to_string(), "basel.omop.person");
        for table in parsed.tables.clone() {
            use_provider_table_name(&mut parsed.query, &table);
        }
        assert_eq!(
            parsed.query.to_string(),
            "WITH person AS (SELECT omop.person.age FROM \"omop\".\"person\") \
             SELECT person.age, e.* FROM person JOIN \"omop\".\"event\" AS e ON e.age = person.age"
        );
    }
}
