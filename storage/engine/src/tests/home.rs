//! The consumer's side in tests: tables with typed columns, planned and computed as its node does.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch},
    datatypes::SchemaRef,
    util::display::array_value_to_string,
};
use concordat_protocol::ids::DatasetRef;
use datafusion::{
    catalog::TableProvider,
    common::TableReference,
    datasource::{MemTable, empty::EmptyTable},
    execution::context::{SessionContext, SessionState},
    logical_expr::LogicalPlan,
    prelude::DataFrame,
    sql::sqlparser::ast::Statement,
};

use crate::{
    Casts, QueryError, ShownColumn, executable, home_state, meaning, parse, reading, resolve_names, shown::bare_schema,
    shown_schema, with_oldest_year,
};

/// Tables of the default schema, each with its columns as a grant shows them, and their rows.
pub(crate) struct Home {
    state: SessionState,
    tables: BTreeMap<String, (SchemaRef, Arc<dyn TableProvider>)>,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self {
            state: home_state(256 << 20, "here").unwrap(),
            tables: BTreeMap::new(),
        }
    }

    /// With one table `t`.
    pub(crate) fn of(columns: Vec<(ShownColumn, ArrayRef)>) -> Self {
        Self::new().with("t", "somewhere", columns)
    }

    /// With another table, whose pseudonyms are of `origin`.
    pub(crate) fn with(self, name: &str, origin: &str, columns: Vec<(ShownColumn, ArrayRef)>) -> Self {
        let (shown, values): (Vec<ShownColumn>, Vec<ArrayRef>) = columns.into_iter().unzip();
        let schema = shown_schema(origin, &shown).unwrap();
        self.table(name, schema, values)
    }

    /// With another table, in which `oldest` and all years before it are shown as `oldest`.
    pub(crate) fn with_years_from(self, oldest: i32, name: &str, columns: Vec<(ShownColumn, ArrayRef)>) -> Self {
        let (shown, values): (Vec<ShownColumn>, Vec<ArrayRef>) = columns.into_iter().unzip();
        let schema = shown_schema("somewhere", &shown).unwrap();
        self.table(name, Arc::new(with_oldest_year(&schema, oldest)), values)
    }

    fn table(mut self, name: &str, schema: SchemaRef, values: Vec<ArrayRef>) -> Self {
        let rows = Arc::new(bare_schema(&schema));
        let batch = RecordBatch::try_new(Arc::clone(&rows), values).unwrap();
        let table: Arc<dyn TableProvider> = Arc::new(MemTable::try_new(rows, vec![vec![batch]]).unwrap());
        let context = SessionContext::new_with_state(self.state.clone());
        context
            .register_table(
                TableReference::bare(name),
                Arc::new(EmptyTable::new(Arc::clone(&schema))),
            )
            .unwrap();
        self.state = context.state();
        self.tables.insert(name.to_owned(), (schema, table));
        self
    }

    pub(crate) fn dataset() -> DatasetRef {
        "gamma.t".parse().unwrap()
    }

    pub(crate) async fn meant(&self, sql: &str) -> Result<LogicalPlan, QueryError> {
        let mut statements = parse(sql, 64).map_err(|error| QueryError::Syntax {
            detail: error.to_string(),
        })?;
        let Some(Statement::Query(mut query)) = statements.pop() else {
            panic!("{sql}")
        };
        resolve_names(&mut query, &|name| {
            let (schema, _) = self.tables.get(&name.to_string())?;
            Some(schema.fields().iter().map(|field| field.name().clone()).collect())
        })?;
        meaning(&self.state, Statement::Query(query), &Self::dataset()).await
    }

    pub(crate) async fn planned(&self, sql: &str, casts: Casts) -> Result<LogicalPlan, QueryError> {
        let plan = self.meant(sql).await?;
        executable(&self.state, plan, casts, &Self::dataset())
    }

    /// The rows as text.
    pub(crate) async fn rows(&self, sql: &str) -> Result<Vec<Vec<String>>, QueryError> {
        self.computed(sql, Casts::Strict).await
    }

    pub(crate) async fn computed(&self, sql: &str, casts: Casts) -> Result<Vec<Vec<String>>, QueryError> {
        let plan = self.planned(sql, casts).await?;
        let plan = reading(plan, &|name| {
            let (_, table) = self.tables.get(name.table())?;
            Some(Arc::clone(table))
        })?;
        let schema = Arc::clone(plan.schema());
        let batches = DataFrame::new(self.state.clone(), plan).collect().await;
        let batches = batches.map_err(|error| {
            let found = QueryError::computing(&error);
            assert!(
                !matches!(found, QueryError::Engine { .. } | QueryError::Computation),
                "{sql}: {error}"
            );
            found
        })?;
        let mut rows = Vec::new();
        for batch in batches {
            for (found, planned) in batch.columns().iter().zip(schema.fields()) {
                assert_eq!(found.data_type(), planned.data_type(), "{sql}");
            }
            for row in 0..batch.num_rows() {
                let cells = batch.columns().iter();
                rows.push(
                    cells
                        .map(|column| array_value_to_string(column, row).unwrap())
                        .collect(),
                );
            }
        }
        Ok(rows)
    }

    /// The first value of the first row.
    pub(crate) async fn value(&self, sql: &str) -> Result<String, QueryError> {
        let rows = self.rows(sql).await?;
        Ok(rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next())
            .unwrap_or_default())
    }

    /// The message of the refusal.
    pub(crate) async fn refusal(&self, sql: &str) -> String {
        match self.rows(sql).await {
            Err(error) => error.to_string(),
            Ok(rows) => panic!("`{sql}` was answered: {rows:?}"),
        }
    }
}
