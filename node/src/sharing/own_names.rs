//! The names of own datasets, for a person who wrote one that does not exist.

use concordat_protocol::ids::{CollectionName, DatasetName};

use super::handle::Sharing;
use super::requester::Requester;
use crate::iam::Action;

impl Sharing {
    /// The datasets of an own collection as queries name them, or the own collections if there is no such collection. None for a person who may
    /// not list datasets, and if the catalog cannot be read.
    pub(crate) async fn own_names(&self, requester: &Requester, collection: &CollectionName) -> Vec<String> {
        if !requester.actor().may(Action::ReadDatasets) {
            return Vec::new();
        }
        let datasets = self.own_rows(collection).await;
        let alone = DatasetName::from(collection);
        if datasets.keys().any(|name| *name != alone) {
            let names = datasets.keys();
            return names.map(|name| format!("{collection}.{name}")).collect();
        }
        let catalog = self.0.parts.storage.catalog().clone();
        let names = move || catalog.datasets().map_collections(|record| record.name.to_string());
        match tokio::task::spawn_blocking(names).await {
            Ok(Ok(names)) => names,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the names of collections cannot be read");
                Vec::new()
            }
            Err(_) => Vec::new(),
        }
    }
}
