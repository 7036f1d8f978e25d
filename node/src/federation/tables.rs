//! The tables of a query, by the names that it uses.

use std::collections::BTreeMap;
use std::sync::Arc;

use concordat_engine::CATALOG;
use concordat_protocol::ids::{CollectionRef, DatasetRef, InstitutionId};
use concordat_protocol::scope::Tier;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider};
use datafusion::common::TableReference;
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::context::SessionState;
use datafusion::sql::sqlparser::ast::ObjectName;

use super::declared::Declared;
use super::error::FederationError;
use super::source::{Access, Target};
use super::statement::TableName;
use super::union_table::UnionTable;

/// Each table with its members, and what the holders declare of collections for queries below tier `records`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tables {
    tables: BTreeMap<TableName, UnionTable>,
    declared: BTreeMap<(CollectionRef, Access), Arc<Declared>>,
}

impl Tables {
    pub(super) fn insert(&mut self, name: TableName, table: UnionTable) {
        self.tables.insert(name, table);
    }

    pub(super) fn get(&self, name: &TableName) -> Option<&UnionTable> {
        self.tables.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &TableName) -> Option<&mut UnionTable> {
        self.tables.get_mut(name)
    }

    /// Adds what the permission for `target` shows of its collection.
    pub(super) fn declare(&mut self, target: &Target, declared: Arc<Declared>) {
        self.declared
            .insert((target.dataset.collection(), target.access), declared);
    }

    /// What the permission for `target` shows of its collection; `None` if nothing is declared.
    pub(super) fn declared(&self, target: &Target) -> Option<&Arc<Declared>> {
        self.declared.get(&(target.dataset.collection(), target.access))
    }

    /// All that is declared, by collection and permission.
    pub(super) fn declarations(&self) -> impl Iterator<Item = (&CollectionRef, Access, &Arc<Declared>)> {
        self.declared
            .iter()
            .map(|((collection, access), declared)| (collection, *access, declared))
    }

    /// The same tables with these declarations.
    pub(super) fn with_declarations(
        self,
        declared: impl IntoIterator<Item = (CollectionRef, Access, Arc<Declared>)>,
    ) -> Self {
        let declared = declared.into_iter();
        Self {
            declared: declared
                .map(|(collection, access, declared)| ((collection, access), declared))
                .collect(),
            ..self
        }
    }

    /// Whether a table has a member below tier `records`: its parts are counted.
    pub(super) fn has_statistics(&self) -> bool {
        self.targets().any(|target| target.tier < Tier::Records)
    }

    /// The same tables with the columns as they are shown at tier `records`, if no member that is left is below it.
    pub(super) fn shown_as_records(self) -> Self {
        if self.declared.is_empty() || self.has_statistics() {
            return self;
        }
        let Self { tables, declared } = self;
        let shown = |target: &Target| {
            let declared = declared.get(&(target.dataset.collection(), target.access))?;
            declared.shown.get(&target.dataset.dataset).map(Arc::clone)
        };
        let tables = tables.into_iter().map(|(name, table)| {
            let table = table.with_schemas(&name.dataset, name.institution.is_some(), &shown);
            (name, table)
        });
        Self {
            tables: tables.collect(),
            declared: BTreeMap::new(),
        }
    }

    /// All tables, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&TableName, &UnionTable)> {
        self.tables.iter()
    }

    /// The targets of all tables, in their order. A dataset that two tables have is there twice.
    pub(super) fn targets(&self) -> impl Iterator<Item = &Target> {
        self.tables
            .values()
            .flat_map(|table| &table.members)
            .map(|member| &member.target)
    }

    /// The tables of all members that share a dataset.
    pub(super) fn of_members(&self) -> impl Iterator<Item = (&TableName, &UnionTable)> {
        self.tables.iter().filter(|(name, _)| name.institution.is_none())
    }

    /// The same tables with the types that `institution` gives to columns that cannot be combined.
    pub(super) fn typed_by(&self, institution: &InstitutionId) -> Self {
        let typed = |(name, table): (&TableName, &UnionTable)| (name.clone(), table.typed_by(institution));
        Self {
            tables: self.tables.iter().map(typed).collect(),
            declared: self.declared.clone(),
        }
    }

    /// The table that a plan reads under this name.
    pub(super) fn of_scan(&self, name: &TableReference) -> Option<(&TableName, &UnionTable)> {
        let location = (name.catalog().unwrap_or(CATALOG), name.schema()?);
        self.named(location, name.table())
    }

    /// The names of the columns of the table that a statement names.
    pub(super) fn columns_of(&self, name: &ObjectName) -> Option<Vec<String>> {
        let parts: Option<Vec<&str>> = name
            .0
            .iter()
            .map(|part| part.as_ident().map(|ident| ident.value.as_str()))
            .collect();
        let (_, table) = match parts.as_deref() {
            Some([schema, table]) => self.named((CATALOG, *schema), table)?,
            Some([catalog, schema, table]) => self.named((*catalog, *schema), table)?,
            Some(_) | None => return None,
        };
        Some(table.schema.fields().iter().map(|field| field.name().clone()).collect())
    }

    fn named(&self, location: (&str, &str), table: &str) -> Option<(&TableName, &UnionTable)> {
        self.tables
            .iter()
            .find(|(name, _)| name.location() == location && name.local_name() == table)
    }

    /// A dataset of the query, to be named in errors about no table in particular.
    pub(super) fn any_dataset(&self) -> Option<DatasetRef> {
        let members = self.tables.values().flat_map(|table| &table.members);
        members.map(|member| member.target.dataset.clone()).next()
    }

    /// Registers each table, without rows, for planning.
    ///
    /// # Errors
    /// If the session does not accept a table.
    pub(super) fn register(&self, state: &SessionState) -> Result<(), FederationError> {
        let catalogs = state.catalog_list();
        for (name, table) in &self.tables {
            let (catalog, schema) = name.location();
            let catalog = match catalogs.catalog(catalog) {
                Some(catalog) => catalog,
                None => {
                    let new: Arc<dyn CatalogProvider> = Arc::new(MemoryCatalogProvider::new());
                    catalogs.register_catalog(catalog.to_owned(), Arc::clone(&new));
                    new
                }
            };
            if catalog.schema(schema).is_none() {
                catalog.register_schema(schema, Arc::new(MemorySchemaProvider::new()))?;
            }
            if let Some(schema) = catalog.schema(schema) {
                schema.register_table(name.local_name(), Arc::new(EmptyTable::new(Arc::clone(&table.schema))))?;
            }
        }
        Ok(())
    }
}
