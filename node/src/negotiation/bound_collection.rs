//! A collection as an agreement is about it: by its name and by its creation, so that another collection of the same name is not opened by
//! it.

use concordat_policy::CollectionFacts;
use concordat_protocol::ids::{CollectionRef, CreationId};
use concordat_protocol::release::ReleaseRules;
use concordat_storage::{catalog::CatalogError, data_dir::Storage};

use super::NegotiationError;
use crate::policies::facts_of_collection;

/// The collection of this node that an agreement is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BoundCollection {
    collection: CollectionRef,
    /// `None` if the collection was imported by a version that recorded none.
    created: Option<CreationId>,
}

impl BoundCollection {
    /// The collection of this name that was created with this id.
    pub(crate) const fn new(collection: CollectionRef, created: Option<CreationId>) -> Self {
        Self { collection, created }
    }

    /// The collection that has this name now; `None` if there is none.
    ///
    /// # Errors
    /// [`NegotiationError::Catalog`] when the catalog cannot be read.
    pub(crate) async fn named(
        storage: &Storage,
        collection: &CollectionRef,
    ) -> Result<Option<(Self, CollectionFacts)>, NegotiationError> {
        let catalog = storage.catalog().clone();
        let collection = collection.clone();
        let read = move || match catalog.current(&collection.collection) {
            Ok((record, manifest)) => {
                let facts = facts_of_collection(&collection.institution, &record, &manifest);
                Ok(Some((Self::new(collection, record.created), facts)))
            }
            Err(CatalogError::NotFound { .. }) => Ok(None),
            Err(other) => Err(other),
        };
        Ok(tokio::task::spawn_blocking(read).await??)
    }

    /// Its id, to be stored with the agreement.
    pub(super) const fn created(&self) -> Option<CreationId> {
        self.created
    }

    /// What the catalog records about it; `None` if it does not exist any more, whatever has its name now.
    ///
    /// # Errors
    /// [`NegotiationError::Catalog`] when the catalog cannot be read.
    pub(crate) async fn facts(&self, storage: &Storage) -> Result<Option<CollectionFacts>, NegotiationError> {
        let found = Self::named(storage, &self.collection).await?;
        Ok(found.filter(|(now, _)| now == self).map(|(_, facts)| facts))
    }

    /// Whether it still exists. Only the record is read.
    ///
    /// # Errors
    /// [`NegotiationError::Catalog`] when the catalog cannot be read.
    pub(super) async fn exists(&self, storage: &Storage) -> Result<bool, NegotiationError> {
        Ok(self.release_rules(storage).await?.is_some())
    }

    /// The release rules that its steward has set; `None` if it does not exist any more. Only the record is read.
    ///
    /// # Errors
    /// [`NegotiationError::Catalog`] when the catalog cannot be read.
    pub(super) async fn release_rules(&self, storage: &Storage) -> Result<Option<ReleaseRules>, NegotiationError> {
        let catalog = storage.catalog().clone();
        let name = self.collection.collection.clone();
        let created = self.created;
        let read = move || match catalog.datasets().collection(&name) {
            Ok(record) => Ok((record.created == created).then_some(record.release)),
            Err(CatalogError::NotFound { .. }) => Ok(None),
            Err(other) => Err(other),
        };
        Ok(tokio::task::spawn_blocking(read).await??)
    }
}
