//! What a query reads of one version of a collection.

use std::{fmt, sync::Arc};

use arrow::datatypes::SchemaRef;
use concordat_keys::{OrderKey, PseudonymKey};
use concordat_protocol::{
    collection::DatasetKind,
    ids::{CollectionName, DatasetName},
    schema::VersionNumber,
};
use object_store::{ObjectMeta, ObjectStore};

use super::OpenCollection;
use crate::catalog::DatasetManifest;

/// One immutable version of a collection. It has no keys, so the process that computes an answer can have one too.
pub trait Collection: fmt::Debug + Send + Sync {
    /// Its name.
    fn name(&self) -> &CollectionName;
    /// Its version, which is that of all its datasets.
    fn version(&self) -> VersionNumber;
    /// How many ordinals of subjects have been given: each is less than this.
    fn subjects(&self) -> u32;
    /// The names of the datasets, in their order.
    fn datasets(&self) -> Vec<DatasetName>;
    /// The dataset of this name.
    fn dataset(&self, name: &DatasetName) -> Option<StoredDataset>;
    /// The store with the Parquet files of all datasets; it returns plaintext.
    fn object_store(&self) -> Arc<dyn ObjectStore>;
}

/// A version with the keys of the answers that are computed from it. They stay in the node, except those of one answer.
pub trait CollectionSource: Collection {
    /// The key of the pseudonyms under the grant of these 16 bytes, or for the institution's own users.
    fn pseudonym_key(&self, grant: Option<&[u8; 16]>) -> PseudonymKey;
    /// The key of the order in which rows are released, likewise for each grant; it also differs for each version.
    fn order_key(&self, grant: Option<&[u8; 16]>) -> OrderKey;
}

/// A dataset of a version, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDataset {
    /// Its name.
    pub name: DatasetName,
    /// How its rows lead to subjects.
    pub kind: DatasetKind,
    /// All columns but that of the ordinals.
    pub schema: SchemaRef,
    /// The columns of the objects: the same, and [`ORDINAL_COLUMN`](crate::catalog::ORDINAL_COLUMN) if the dataset has ordinals. An older
    /// object may differ as [`Manifest::schema`](crate::catalog::Manifest::schema) describes.
    pub stored_schema: SchemaRef,
    /// Whether rows have the ordinals of their owners. Without them the dataset is in no statistic.
    pub ordinals: bool,
    /// Rows.
    pub rows: u64,
    /// The Parquet files, in the order of the rows.
    pub objects: Vec<StoredObject>,
}

/// A Parquet file of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// Where it is, with its plaintext length in bytes.
    pub meta: ObjectMeta,
    /// The number of its first row within the dataset, from 0. Rows that are added later do not change it.
    pub first_row: u64,
    /// Rows.
    pub rows: u64,
}

impl OpenCollection {
    fn stored(&self, dataset: &DatasetManifest) -> StoredDataset {
        let metas = self.objects(&dataset.objects);
        let mut first_row = 0;
        let objects = dataset.objects.iter().zip(metas).map(|(entry, meta)| {
            let object = StoredObject {
                meta,
                first_row,
                rows: entry.rows,
            };
            first_row += entry.rows;
            object
        });
        StoredDataset {
            name: dataset.name.clone(),
            kind: dataset.kind.clone(),
            schema: dataset.schema(),
            stored_schema: dataset.stored_schema(),
            ordinals: dataset.ordinals,
            rows: dataset.rows,
            objects: objects.collect(),
        }
    }
}

impl Collection for OpenCollection {
    fn name(&self) -> &CollectionName {
        self.manifest().collection()
    }

    fn version(&self) -> VersionNumber {
        self.manifest().version()
    }

    fn subjects(&self) -> u32 {
        self.manifest().subjects().count
    }

    fn datasets(&self) -> Vec<DatasetName> {
        let datasets = self.manifest().datasets().iter();
        datasets.map(|dataset| dataset.name.clone()).collect()
    }

    fn dataset(&self, name: &DatasetName) -> Option<StoredDataset> {
        self.manifest().dataset(name).map(|dataset| self.stored(dataset))
    }

    fn object_store(&self) -> Arc<dyn ObjectStore> {
        self.object_store()
    }
}

impl CollectionSource for OpenCollection {
    fn pseudonym_key(&self, grant: Option<&[u8; 16]>) -> PseudonymKey {
        self.pseudonym_key(grant)
    }

    fn order_key(&self, grant: Option<&[u8; 16]>) -> OrderKey {
        self.order_key(grant)
    }
}
