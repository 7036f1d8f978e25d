//! A version of a collection in a process: its objects are read from the node.

use std::sync::Arc;

use concordat_protocol::{
    ids::{CollectionName, DatasetName},
    schema::VersionNumber,
};
use concordat_storage::catalog::{Collection, StoredDataset};
use object_store::ObjectStore;

use super::objects::NodeStore;

/// Datasets of a version of a collection, as described by the node.
#[derive(Debug)]
pub(super) struct RemoteCollection {
    pub(super) name: CollectionName,
    pub(super) version: VersionNumber,
    pub(super) subjects: u32,
    pub(super) datasets: Vec<StoredDataset>,
    pub(super) store: Arc<NodeStore>,
}

impl Collection for RemoteCollection {
    fn name(&self) -> &CollectionName {
        &self.name
    }

    fn version(&self) -> VersionNumber {
        self.version
    }

    fn subjects(&self) -> u32 {
        self.subjects
    }

    fn datasets(&self) -> Vec<DatasetName> {
        self.datasets.iter().map(|dataset| dataset.name.clone()).collect()
    }

    fn dataset(&self, name: &DatasetName) -> Option<StoredDataset> {
        self.datasets.iter().find(|dataset| dataset.name == *name).cloned()
    }

    fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store) as Arc<dyn ObjectStore>
    }
}
