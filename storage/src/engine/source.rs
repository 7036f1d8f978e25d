//! What the engine needs to know about a dataset version.

use std::{fmt, sync::Arc};

use arrow::datatypes::SchemaRef;
use object_store::{ObjectMeta, ObjectStore};

use crate::{
    engine::Holder,
    keys::{OrderKey, PseudonymKey},
};

/// Where a query's runtime finds the objects of its one dataset.
pub(super) const OBJECTS_URL: &str = "concordat://objects";

/// One immutable version of a dataset, as the engine reads it.
pub trait Source: fmt::Debug + Send + Sync {
    /// All columns as they are stored.
    fn schema(&self) -> SchemaRef;
    /// The column that identifies subjects.
    fn subject_column(&self) -> &str;
    /// The store with the Parquet files; it returns plaintext.
    fn object_store(&self) -> Arc<dyn ObjectStore>;
    /// The Parquet files, with plaintext lengths in bytes.
    fn objects(&self) -> Vec<ObjectMeta>;
    /// The key of the pseudonyms under the grant of these 16 bytes, or for the institution's own users.
    fn pseudonym_key(&self, grant: Option<&[u8; 16]>) -> PseudonymKey;
    /// The key of the order in which rows are released, likewise for each grant; it also differs for each version.
    fn order_key(&self, grant: Option<&[u8; 16]>) -> OrderKey;
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

    /// The keys from the bytes that another process sent, if they have the right length.
    pub(super) fn from_bytes(pseudonyms: &[u8], order: &[u8]) -> Option<Self> {
        Some(Self {
            pseudonyms: PseudonymKey::from_bytes(pseudonyms)?,
            order: OrderKey::from_bytes(order)?,
        })
    }
}
