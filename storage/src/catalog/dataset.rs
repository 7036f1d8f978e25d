//! A dataset, as the steward's house knows it, and what a steward decides about it.

use std::num::NonZeroU32;

use concordat_protocol::{
    ids::{ColumnName, DatasetName, SegmentName},
    schema::VersionNumber,
};
use serde::{Deserialize, Serialize};

use super::{Catalog, CatalogError, Classification, ReleaseRules, keys::DatasetKeys};
use crate::meta::{Batch, MetaError};

/// What is kept of a dataset apart from its data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetRecord {
    /// Its name.
    pub name: DatasetName,
    /// The segment it lies in.
    pub segment: SegmentName,
    /// The column that says whose record a row is; a reserved name where each row is a subject of its own.
    pub subject: ColumnName,
    /// What its columns reveal.
    pub classification: Classification,
    /// Whether other institutions may know of it.
    pub published: bool,
    /// The version that a new query reads.
    pub current: VersionNumber,
    /// The oldest version that is kept.
    pub oldest: VersionNumber,
    /// How many versions are kept; all of them if nothing is said.
    pub keep: Option<NonZeroU32>,
    /// What the steward has decided about its answers.
    #[serde(default)]
    pub release: ReleaseRules,
    pub(super) keys: DatasetKeys,
}

impl Catalog {
    /// All datasets, by name.
    ///
    /// # Errors
    /// [`CatalogError::Meta`] if state cannot be read.
    pub fn list(&self) -> Result<Vec<DatasetRecord>, CatalogError> {
        Ok(self.0.datasets.iter()?.map(|(_, record)| record).collect())
    }

    /// One dataset.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] if there is none of this name.
    pub fn show(&self, name: &DatasetName) -> Result<DatasetRecord, CatalogError> {
        let found = self.0.datasets.get(name.as_str())?;
        found.ok_or_else(|| CatalogError::NotFound { name: name.clone() })
    }

    /// Sets the classes of some columns; the others keep theirs.
    ///
    /// # Errors
    /// [`CatalogError::UnknownColumns`] if the current version lacks any of them; nothing is changed then.
    pub fn classify(&self, name: &DatasetName, classes: &Classification) -> Result<DatasetRecord, CatalogError> {
        let _changing = self.changing();
        let old = self.show(name)?;
        let manifest = self.manifest(&old, old.current)?;
        let is_known = |column: &ColumnName| manifest.document().own_columns().any(|known| known.name == *column);
        let unknown: Vec<ColumnName> = classes
            .iter()
            .map(|(column, _)| column.clone())
            .filter(|column| !is_known(column))
            .collect();
        if !unknown.is_empty() {
            return Err(CatalogError::UnknownColumns {
                name: name.clone(),
                columns: unknown,
            });
        }
        let mut new = old.clone();
        new.classification.merge(classes);
        self.exchange(&old, new)
    }

    /// Lets other institutions know of the dataset.
    ///
    /// # Errors
    /// [`CatalogError::Unclassified`] while any column of the current version has no class.
    pub fn publish(&self, name: &DatasetName) -> Result<DatasetRecord, CatalogError> {
        let _changing = self.changing();
        let old = self.show(name)?;
        let columns = self.unclassified(&old)?;
        if !columns.is_empty() {
            return Err(CatalogError::Unclassified {
                name: name.clone(),
                columns,
            });
        }
        let new = DatasetRecord {
            published: true,
            ..old.clone()
        };
        self.exchange(&old, new)
    }

    /// Stops letting other institutions know of the dataset; grants are not touched by this.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] if there is none of this name.
    pub fn withdraw(&self, name: &DatasetName) -> Result<DatasetRecord, CatalogError> {
        let _changing = self.changing();
        let old = self.show(name)?;
        let new = DatasetRecord {
            published: false,
            ..old.clone()
        };
        self.exchange(&old, new)
    }

    /// The columns of the current version that have no class yet.
    ///
    /// # Errors
    /// As [`Catalog::open_version`].
    pub fn unclassified(&self, record: &DatasetRecord) -> Result<Vec<ColumnName>, CatalogError> {
        let manifest = self.manifest(record, record.current)?;
        let columns = manifest.document().own_columns().map(|column| &column.name);
        Ok(columns
            .filter(|column| record.classification.class(column).is_none())
            .cloned()
            .collect())
    }

    /// Puts `new` in the place of `old`, if nobody changed it meanwhile.
    pub(super) fn exchange(&self, old: &DatasetRecord, new: DatasetRecord) -> Result<DatasetRecord, CatalogError> {
        let mut batch = Batch::new();
        self.replace(&mut batch, old, &new)?;
        self.0.meta.commit(batch)?;
        Ok(new)
    }

    /// The same as part of a larger change.
    pub(super) fn replace(&self, batch: &mut Batch, old: &DatasetRecord, new: &DatasetRecord) -> Result<(), MetaError> {
        let name = old.name.as_str();
        batch
            .expect(&self.0.datasets, name, Some(old))?
            .put(&self.0.datasets, name, new)?;
        Ok(())
    }
}
