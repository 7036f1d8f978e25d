//! The tables of a query, by the names that it uses.

use std::collections::BTreeMap;
use std::sync::Arc;

use concordat_protocol::ids::{DatasetRef, InstitutionId};
use datafusion::catalog::MemorySchemaProvider;
use datafusion::common::TableReference;
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::context::SessionState;
use datafusion::sql::sqlparser::ast::ObjectName;

use super::error::FederationError;
use super::source::Target;
use super::statement::TableName;
use super::union_table::UnionTable;

/// Each table with its members.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tables(BTreeMap<TableName, UnionTable>);

impl Tables {
    pub(super) fn insert(&mut self, name: TableName, table: UnionTable) {
        self.0.insert(name, table);
    }

    pub(super) fn get(&self, name: &TableName) -> Option<&UnionTable> {
        self.0.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &TableName) -> Option<&mut UnionTable> {
        self.0.get_mut(name)
    }

    /// All tables, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&TableName, &UnionTable)> {
        self.0.iter()
    }

    /// The targets of all tables, in their order. A dataset that two tables have is there twice.
    pub(super) fn targets(&self) -> impl Iterator<Item = &Target> {
        self.0
            .values()
            .flat_map(|table| &table.members)
            .map(|member| &member.target)
    }

    /// The tables of all members that share a dataset.
    pub(super) fn of_members(&self) -> impl Iterator<Item = (&TableName, &UnionTable)> {
        self.0.iter().filter(|(name, _)| name.institution.is_none())
    }

    /// The same tables with the types that `institution` gives to columns that cannot be combined.
    pub(super) fn typed_by(&self, institution: &InstitutionId) -> Self {
        let typed = |(name, table): (&TableName, &UnionTable)| (name.clone(), table.typed_by(institution));
        Self(self.0.iter().map(typed).collect())
    }

    /// The table that a plan reads under this name.
    pub(super) fn of_scan(&self, name: &TableReference) -> Option<(&TableName, &UnionTable)> {
        let schema = name.schema()?;
        self.named(schema, name.table())
    }

    /// The names of the columns of the table that a statement names.
    pub(super) fn columns_of(&self, name: &ObjectName) -> Option<Vec<String>> {
        let parts: Option<Vec<&str>> = name
            .0
            .iter()
            .map(|part| part.as_ident().map(|ident| ident.value.as_str()))
            .collect();
        let (_, table) = match parts.as_deref() {
            Some([schema, table]) => self.named(schema, table)?,
            Some(_) | None => return None,
        };
        Some(table.schema.fields().iter().map(|field| field.name().clone()).collect())
    }

    fn named(&self, schema: &str, table: &str) -> Option<(&TableName, &UnionTable)> {
        self.0
            .iter()
            .find(|(name, _)| name.schema() == schema && name.local_name() == table)
    }

    /// A dataset of the query, to be named in errors about no table in particular.
    pub(super) fn any_dataset(&self) -> Option<DatasetRef> {
        let members = self.0.values().flat_map(|table| &table.members);
        members.map(|member| member.target.dataset.clone()).next()
    }

    /// Registers each table, without rows, for planning.
    ///
    /// # Errors
    /// If the session does not accept a table.
    pub(super) fn register(&self, state: &SessionState) -> Result<(), FederationError> {
        let catalog = state
            .catalog_list()
            .catalog(&state.config_options().catalog.default_catalog);
        let Some(catalog) = catalog else { return Ok(()) };
        for (name, table) in &self.0 {
            if catalog.schema(name.schema()).is_none() {
                catalog.register_schema(name.schema(), Arc::new(MemorySchemaProvider::new()))?;
            }
            if let Some(schema) = catalog.schema(name.schema()) {
                schema.register_table(name.local_name(), Arc::new(EmptyTable::new(Arc::clone(&table.schema))))?;
            }
        }
        Ok(())
    }
}
