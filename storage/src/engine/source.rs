//! What the engine needs to know of a dataset version.

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
    /// The column that tells subjects apart.
    fn subject_column(&self) -> &str;
    /// Where the Parquet files are; it gives plaintext.
    fn object_store(&self) -> Arc<dyn ObjectStore>;
    /// The Parquet files, with plaintext lengths in bytes.
    fn objects(&self) -> Vec<ObjectMeta>;
    /// The key of the pseudonyms under the grant of these 16 bytes, or for the institution's own people.
    fn pseudonym_key(&self, grant: Option<&[u8; 16]>) -> PseudonymKey;
    /// The key of the order in which rows leave, for the same; another one for each version.
    fn order_key(&self, grant: Option<&[u8; 16]>) -> OrderKey;
}

/// The keys of one answer.
#[derive(Debug)]
pub(super) struct AnswerKeys {
    /// What pseudonyms are made with.
    pub(super) pseudonyms: PseudonymKey,
    /// What the order of the rows is made with.
    pub(super) order: OrderKey,
}

impl AnswerKeys {
    /// The keys of what `source` shows `holder`.
    pub(super) fn of(source: &dyn Source, holder: &Holder) -> Self {
        Self {
            pseudonyms: source.pseudonym_key(holder.grant()),
            order: source.order_key(holder.grant()),
        }
    }

    /// The keys that another process handed over, if they have the right length.
    pub(super) fn handed_over(pseudonyms: &[u8], order: &[u8]) -> Option<Self> {
        Some(Self {
            pseudonyms: PseudonymKey::handed_over(pseudonyms)?,
            order: OrderKey::handed_over(order)?,
        })
    }
}
