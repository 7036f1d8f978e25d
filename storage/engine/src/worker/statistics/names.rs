//! The names of datasets in a text: with or without collection and institution, and the version that they name.

use std::ops::ControlFlow;

use concordat_protocol::{ids::DatasetName, schema::VersionNumber, scope::Scope};
use datafusion::sql::sqlparser::ast::{Expr, Ident, ObjectName, ObjectNamePart, Statement, TableFactor, VisitorMut};

use crate::{QueryError, version_number, visit_mut};

/// Replaces the names of the datasets that a scope covers by bare ones, without the version. What is not covered keeps its name, under which the
/// planner does not find it.
///
/// # Errors
/// [`QueryError::OtherVersion`] if a dataset has another version than `version`, and [`QueryError::Refused`] for options of a table, which the
/// planner would not see.
pub(super) fn bare_names(
    statement: &mut Statement,
    scope: &Scope,
    version: Option<VersionNumber>,
) -> Result<(), QueryError> {
    let mut names = BareNames {
        scope,
        version,
        refused: None,
    };
    // It breaks only with a refusal.
    let _ = visit_mut(statement, &mut names);
    names.refused.map_or(Ok(()), Err)
}

struct BareNames<'a> {
    scope: &'a Scope,
    version: Option<VersionNumber>,
    refused: Option<QueryError>,
}

impl BareNames<'_> {
    fn check(&self, relation: &mut TableFactor) -> Result<(), QueryError> {
        let TableFactor::Table {
            name,
            alias: _,
            args,
            with_hints,
            version,
            with_ordinality,
            partitions,
            json_path,
            sample,
            index_hints,
        } = relation
        else {
            return Ok(());
        };
        let extended = !with_hints.is_empty() || *with_ordinality || !partitions.is_empty() || !index_hints.is_empty();
        if extended || args.is_some() || json_path.is_some() || sample.is_some() {
            return Err(refused("table functions and options of a table are"));
        }
        let number = version.as_ref().map(|version| {
            version_number(version).ok_or(refused("points in time other than `VERSION AS OF` a number are"))
        });
        let number = number.transpose()?;
        let parts: Option<Vec<&Ident>> = name.0.iter().map(ObjectNamePart::as_ident).collect();
        match parts.and_then(|parts| self.dataset(&parts)) {
            Some(_) if number != self.version => return Err(QueryError::OtherVersion),
            Some(bare) => *name = ObjectName::from(vec![bare]),
            None if number.is_some() => return Err(QueryError::OtherVersion),
            None => {}
        }
        *version = None;
        Ok(())
    }

    /// The last part of the name of a dataset that the scope covers.
    fn dataset(&self, parts: &[&Ident]) -> Option<Ident> {
        let institution = self.scope.collection.institution.as_str();
        let collection = self.scope.collection.collection.as_str();
        let last = match parts {
            [dataset] => *dataset,
            [of, dataset] if is(of, collection) => *dataset,
            // A dataset that is a collection of one has the name of its collection.
            [at, dataset] if is(at, institution) && is(dataset, collection) => *dataset,
            [at, of, dataset] if is(at, institution) && is(of, collection) => *dataset,
            _ => return None,
        };
        let covers = |known: &DatasetName| is(last, known.as_str());
        self.scope.datasets.names().any(covers).then(|| last.clone())
    }

    /// A column with the whole name of its dataset, with the bare one; `None` for other names.
    fn bare_column(&self, parts: &[Ident]) -> Option<Vec<Ident>> {
        let (column, of) = parts.split_last().filter(|(_, of)| of.len() > 1)?;
        let dataset = self.dataset(&of.iter().collect::<Vec<_>>())?;
        Some(vec![dataset, column.clone()])
    }
}

impl VisitorMut for BareNames<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expression
            && let Some(bare) = self.bare_column(parts)
        {
            *parts = bare;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, relation: &mut TableFactor) -> ControlFlow<()> {
        match self.check(relation) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.refused = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

/// Whether an identifier is this name, as the planner reads it: without quotes in lower case.
fn is(ident: &Ident, name: &str) -> bool {
    match ident.quote_style {
        Some(_) => ident.value == name,
        None => ident.value.to_lowercase() == name,
    }
}

const fn refused(what: &'static str) -> QueryError {
    QueryError::Refused { what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{compute::tests::collection::everything, parse};

    /// The text with bare names.
    fn bare(sql: &str, version: Option<u64>) -> Result<String, QueryError> {
        let mut statements = parse(sql, 64).unwrap();
        let mut statement = statements.remove(0);
        bare_names(&mut statement, &everything(), version.map(VersionNumber::new))?;
        Ok(statement.to_string())
    }

    #[test]
    fn names_of_datasets_are_bare_after_the_check() {
        let scope = everything();
        let institution = scope.collection.institution.as_str();
        let collection = scope.collection.collection.as_str();
        let expected = "SELECT count(*) FROM person";
        for name in [
            "person".to_owned(),
            format!("{collection}.person"),
            format!("{institution}.{collection}.person"),
        ] {
            assert_eq!(bare(&format!("SELECT count(*) FROM {name}"), None).unwrap(), expected);
        }
        for other in [format!("{institution}.person"), "elsewhere.person".to_owned()] {
            let text = format!("SELECT count(*) FROM {other}");
            assert_eq!(bare(&text, None).unwrap(), text, "it is not found");
        }
        let column = format!("SELECT count({institution}.{collection}.person.sex) FROM {collection}.person");
        assert_eq!(bare(&column, None).unwrap(), "SELECT count(person.sex) FROM person");
        let nested = format!("SELECT count(*) FROM person WHERE EXISTS (SELECT 1 FROM {collection}.event)");
        assert!(!bare(&nested, None).unwrap().contains(collection));
    }

    #[test]
    fn names_of_another_version_are_refused() {
        let text = "SELECT count(*) FROM person VERSION AS OF 3";
        assert_eq!(bare(text, Some(3)).unwrap(), "SELECT count(*) FROM person");
        for (text, version) in [
            (text, None),
            (text, Some(2)),
            ("SELECT count(*) FROM person", Some(3)),
            ("SELECT count(*) FROM other VERSION AS OF 3", Some(3)),
        ] {
            assert!(matches!(bare(text, version), Err(QueryError::OtherVersion)), "{text}");
        }
    }

    #[test]
    fn names_with_options_of_a_table_are_refused() {
        for text in [
            "SELECT count(*) FROM person TABLESAMPLE (10 PERCENT)",
            "SELECT count(*) FROM person FOR SYSTEM_TIME AS OF '2020-01-01'",
        ] {
            // What the parser refuses is not planned either.
            if parse(text, 64).is_ok() {
                assert!(matches!(bare(text, None), Err(QueryError::Refused { .. })), "{text}");
            }
        }
    }
}
