//! What the engine needs to know about a dataset version.

use std::{fmt, sync::Arc};

use arrow::datatypes::SchemaRef;
use concordat_keys::{KeyInTransit, OrderKey, PseudonymKey};
use concordat_storage::catalog::{CollectionSource, OpenVersion};
use object_store::{ObjectMeta, ObjectStore};

use crate::Holder;

/// Where a query's runtime finds the objects of its datasets.
pub(super) const OBJECTS_URL: &str = "concordat://objects";

/// One immutable version of a dataset, as the engine reads it.
pub trait Table: fmt::Debug + Send + Sync {
    /// All columns as they are stored.
    fn schema(&self) -> SchemaRef;
    /// The column that identifies subjects.
    fn subject_column(&self) -> &str;
    /// The store with the Parquet files; it returns plaintext.
    fn object_store(&self) -> Arc<dyn ObjectStore>;
    /// The Parquet files, with plaintext lengths in bytes.
    fn objects(&self) -> Vec<ObjectMeta>;
}

/// A version with the keys of the answers that are computed from it. They stay in the node, except those of one answer.
pub trait Source: Table {
    /// The key of the pseudonyms under the grant of these 16 bytes, or for the institution's own users.
    fn pseudonym_key(&self, grant: Option<&[u8; 16]>) -> PseudonymKey;
    /// The key of the order in which rows are released, likewise for each grant; it also differs for each version.
    fn order_key(&self, grant: Option<&[u8; 16]>) -> OrderKey;
}

impl Table for OpenVersion {
    fn schema(&self) -> SchemaRef {
        self.schema()
    }

    fn subject_column(&self) -> &str {
        self.subject_column().as_str()
    }

    fn object_store(&self) -> Arc<dyn ObjectStore> {
        self.object_store()
    }

    fn objects(&self) -> Vec<ObjectMeta> {
        self.objects()
    }
}

impl Source for OpenVersion {
    fn pseudonym_key(&self, grant: Option<&[u8; 16]>) -> PseudonymKey {
        self.pseudonym_key(grant)
    }

    fn order_key(&self, grant: Option<&[u8; 16]>) -> OrderKey {
        self.order_key(grant)
    }
}

/// The keys of one answer.
#[derive(Debug)]
pub(super) struct AnswerKeys {
    /// The key for pseudonyms.
    pub(super) pseudonyms: PseudonymKey,
    /// The key for the order of the rows.
    pub(super) order: OrderKey,
}

impl AnswerKeys {
    /// The keys for the answers of `source` to `holder`.
    pub(super) fn of(source: &dyn Source, holder: &Holder) -> Self {
        Self {
            pseudonyms: source.pseudonym_key(holder.grant()),
            order: source.order_key(holder.grant()),
        }
    }

    /// The keys for the answers of a version of a collection to `holder`.
    pub(super) fn of_collection(source: &dyn CollectionSource, holder: &Holder) -> Self {
        Self {
            pseudonyms: source.pseudonym_key(holder.grant()),
            order: source.order_key(holder.grant()),
        }
    }

    /// The keys that another process sent, if they have the right length.
    pub(super) fn from_transit(pseudonyms: &KeyInTransit, order: &KeyInTransit) -> Option<Self> {
        Some(Self {
            pseudonyms: PseudonymKey::from_transit(pseudonyms)?,
            order: OrderKey::from_transit(order)?,
        })
    }
}
