//! What is declared about collections, and what is proposed for their columns.

use concordat_protocol::{
    collection::CollectionRules,
    ids::{CollectionName, ColumnName, DatasetName},
};

use super::{
    CatalogError, CollectionManifest, CollectionRecord, LatestImport, ProposedColumns,
    datasets::{Datasets, import_key},
    proposed::rules_of_rows,
};

impl Datasets {
    /// The current version of a collection, its signature checked.
    ///
    /// # Errors
    /// As [`super::Catalog::open_version`].
    pub fn current_version(&self, record: &CollectionRecord) -> Result<CollectionManifest, CatalogError> {
        Ok(self.manifest(record, record.current)?.document().clone())
    }

    /// What is kept of the import that a dataset of a collection was imported by last; `None` if nothing is kept.
    ///
    /// # Errors
    /// [`CatalogError::Meta`] if state cannot be read.
    pub fn latest_import_of(
        &self,
        collection: &CollectionName,
        dataset: &DatasetName,
    ) -> Result<Option<LatestImport>, CatalogError> {
        Ok(self.imports.get(&import_key(collection, dataset))?)
    }

    /// What is proposed for the columns of a collection, and can be declared. Of a dataset alone nothing can: see [`Datasets::rules`].
    ///
    /// # Errors
    /// [`CatalogError::Meta`] if state cannot be read.
    pub fn proposals(&self, name: &CollectionName) -> Result<ProposedColumns, CatalogError> {
        let record = self.find(&DatasetName::from(name))?;
        if record.is_some_and(|record| record.alone().is_some()) {
            return Ok(ProposedColumns::new());
        }
        self.proposed(name)
    }

    /// What is proposed for the columns of a collection from its rows.
    pub(super) fn proposed(&self, name: &CollectionName) -> Result<ProposedColumns, CatalogError> {
        Ok(self.proposals.get(name.as_str())?.unwrap_or_default())
    }

    /// The rules of a collection as it is now. Of a dataset alone they are its classes, and what was proposed from the rows with which its
    /// columns were imported; a column that contains something else since then has neither levels nor a range.
    ///
    /// # Errors
    /// [`CatalogError::InvalidRules`] if what is declared does not fit its columns.
    pub fn rules(&self, record: &CollectionRecord) -> Result<CollectionRules, CatalogError> {
        if let Some(rules) = record.rules() {
            return Ok(rules.clone());
        }
        let known = self.current_version(record)?.known_columns();
        let proposed = match record.alone() {
            Some(_) => self.proposed(&record.name)?,
            None => ProposedColumns::new(),
        };
        let rules = rules_of_rows(record, &proposed, &known);
        rules.ok_or_else(|| CatalogError::InvalidRules {
            name: record.dataset_name(),
        })
    }

    /// The columns of the current version of a collection that have no class yet, in the order of their datasets.
    ///
    /// # Errors
    /// As [`super::Catalog::open_version`].
    pub fn unclassified_columns(
        &self,
        record: &CollectionRecord,
    ) -> Result<Vec<(DatasetName, ColumnName)>, CatalogError> {
        let version = self.current_version(record)?;
        let mut found = Vec::new();
        for dataset in version.datasets() {
            let declared = record.datasets().get(&dataset.name);
            let is_classified =
                |column: &ColumnName| declared.is_some_and(|declared| declared.classification.class(column).is_some());
            let columns = dataset.own_columns().map(|column| &column.name);
            let without = columns.filter(|column| !is_classified(column));
            found.extend(without.map(|column| (dataset.name.clone(), column.clone())));
        }
        Ok(found)
    }
}
