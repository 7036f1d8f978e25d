//! A text as statistics, in an engine process.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use concordat_protocol::{ids::ColumnName, scope::Transform};
use datafusion::{
    common::TableReference,
    datasource::empty::EmptyTable,
    execution::context::{SessionContext, SessionState},
    sql::sqlparser::ast::Statement,
};

use super::{names::bare_names, task::Planning};
use crate::{
    QueryError, compute,
    grouping::not_countable,
    home_state,
    meaning::plan_of,
    parse, size,
    statistic::{KnownCollection, Lowered, lower},
    worker::messages::{failed, schema_of},
};

/// How deeply a text may be nested.
const MAX_DEPTH: usize = 64;

/// A text as statistics, with what it was planned with.
pub(super) struct Planned {
    pub(super) lowered: Lowered,
    pub(super) known: KnownCollection,
    pub(super) state: SessionState,
}

/// Plans a text over the columns that the scope shows, and lowers it. What is not shown does not exist.
///
/// # Errors
/// [`QueryError`] for what cannot be planned or counted, with the nearest form.
pub(super) async fn planned(planning: &Planning) -> Result<Planned, QueryError> {
    let institution = planning.scope.collection.institution.as_str();
    let context = SessionContext::new_with_state(home_state(planning.memory, institution)?);
    for (dataset, schema) in &planning.columns {
        let covered = planning.scope.datasets.get(dataset).ok_or(failed())?;
        let schema = schema_of(schema).ok_or(failed())?;
        let is_shown = |field: &&Arc<Field>| {
            ColumnName::new(field.name()).is_ok_and(|name| covered.columns.transform(&name) != Transform::Removed)
        };
        let shown: Vec<_> = schema.fields().iter().filter(is_shown).cloned().collect();
        let table = EmptyTable::new(Arc::new(Schema::new(shown)));
        let name = TableReference::bare(dataset.as_str());
        context.register_table(name, Arc::new(table)).map_err(|_| failed())?;
    }
    let mut statement = only_query(&planning.sql)?;
    bare_names(&mut statement, &planning.scope, planning.version)?;
    let state = context.state();
    let dataset = planning.dataset().ok_or(failed())?;
    let plan = plan_of(&state, &statement).await;
    let plan = plan.map_err(|error| QueryError::planning_of(&statement, error, &dataset))?;
    size::admitted(&plan)?;
    let known = compute::shown(&planning.rules, &planning.scope);
    let lowered = lower(&plan, &known, planning.cells).map_err(|error| not_countable(&error))?;
    Ok(Planned { lowered, known, state })
}

/// The one query of a text.
fn only_query(sql: &str) -> Result<Statement, QueryError> {
    let statements = parse(sql, MAX_DEPTH).map_err(|error| QueryError::Syntax {
        detail: error.to_string(),
    })?;
    let [statement @ Statement::Query(_)] = statements.as_slice() else {
        return Err(QueryError::Refused {
            what: "several statements, and others than `SELECT`, are",
        });
    };
    Ok(statement.clone())
}
