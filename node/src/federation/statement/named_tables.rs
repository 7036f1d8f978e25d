//! The tables that a statement names, and whether it only reads.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use concordat_engine::{version_number, visit};
use concordat_protocol::schema::VersionNumber;
use datafusion::sql::sqlparser::ast::{ObjectName, Query, SetExpr, TableFactor, Visit, Visitor};

use super::table_name::{ANSWER, TableName};
use crate::federation::error::FederationError;

/// The tables that `node` names, except those that it defines itself.
pub(in crate::federation) fn tables_of<V: Visit>(node: &V) -> Result<BTreeSet<TableName>, FederationError> {
    Ok(occurrences(node)?.into_iter().collect())
}

/// The tables that `node` names, once per mention.
fn occurrences<V: Visit>(node: &V) -> Result<Vec<TableName>, FederationError> {
    let mut defined = Defined::default();
    let _ = visit(node, &mut defined);
    let mut named = Named {
        defined: defined.0,
        version: None,
        tables: Vec::new(),
        refused: None,
    };
    let _ = visit(node, &mut named);
    match named.refused {
        None => Ok(named.tables),
        Some(error) => Err(error),
    }
}

/// Collects the names of common table expressions.
#[derive(Default)]
struct Defined(BTreeSet<String>);

impl Visitor for Defined {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let defined = query.with.iter().flat_map(|with| &with.cte_tables);
        self.0.extend(defined.map(|table| table.alias.name.value.clone()));
        ControlFlow::Continue(())
    }
}

struct Named {
    defined: BTreeSet<String>,
    /// The version of the table whose name is visited next.
    version: Option<VersionNumber>,
    tables: Vec<TableName>,
    /// Why the visit ended early.
    refused: Option<FederationError>,
}

impl Named {
    fn refuse(&mut self, error: FederationError) -> ControlFlow<()> {
        self.refused = Some(error);
        ControlFlow::Break(())
    }
}

impl Visitor for Named {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let unsupported = query.for_clause.is_some() || !query.locks.is_empty() || !query.pipe_operators.is_empty();
        if unsupported || !only_reads(&query.body) {
            return self.refuse(FederationError::usage("only `SELECT` is answered"));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "a form of table that is not listed is refused"
        )]
        match factor {
            TableFactor::Table {
                args: None, version, ..
            } => {
                self.version = version.as_ref().and_then(version_number);
                match version {
                    Some(other) if self.version.is_none() => self.refuse(FederationError::usage_with(
                        format!("`{other}` is not a version that can be queried"),
                        "write `VERSION AS OF` and its number; `concordat dataset versions` lists them",
                    )),
                    Some(_) | None => ControlFlow::Continue(()),
                }
            }
            TableFactor::Derived { .. } | TableFactor::NestedJoin { .. } => ControlFlow::Continue(()),
            other => self.refuse(FederationError::usage(format!(
                "`{other}` is not a table that can be queried"
            ))),
        }
    }

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
        let single = match name.0.as_slice() {
            [part] => part.as_ident().map(|ident| ident.value.as_str()),
            _ => None,
        };
        let version = self.version.take();
        if single.is_some_and(|single| self.defined.contains(single) || single.starts_with(ANSWER)) {
            return ControlFlow::Continue(());
        }
        match TableName::read(name, version) {
            Ok(table) => {
                self.tables.push(table);
                ControlFlow::Continue(())
            }
            Err(error) => self.refuse(error),
        }
    }
}

fn only_reads(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => select.into.is_none(),
        SetExpr::Query(query) => only_reads(&query.body),
        SetExpr::SetOperation { left, right, .. } => only_reads(left) && only_reads(right),
        SetExpr::Values(_) => true,
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) | SetExpr::Table(_) => false,
    }
}
