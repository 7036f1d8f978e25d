//! The interface between planning and the network: which datasets are queried, and how.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::pin::Pin;

use async_trait::async_trait;
use concordat_protocol::scope::{Purpose, Tier};
use concordat_protocol::{
    ids::{DatasetRef, GrantId},
    schema::VersionNumber,
};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use futures::Stream;

use super::error::FederationError;

/// One dataset that may be queried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The dataset and its institution.
    pub(super) dataset: DatasetRef,
    /// Its version; `None` for the current one.
    pub(super) version: Option<VersionNumber>,
    /// What permits the query.
    pub(super) access: Access,
    /// How much an answer may reveal.
    pub(super) tier: Tier,
    /// The purpose of the query.
    pub(super) purpose: Purpose,
    /// The columns that an answer may contain.
    pub(super) columns: BTreeSet<String>,
}

/// What permits a query of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// A grant from another institution.
    Grant(GrantId),
    /// It is our own dataset.
    Own,
}

/// Rows as they arrive; an error is the last item.
pub(super) type Batches = Pin<Box<dyn Stream<Item = Result<RecordBatch, FederationError>> + Send>>;

/// The answer of one target.
pub(super) struct Answer {
    /// Columns of the rows.
    pub(super) schema: SchemaRef,
    /// The rows.
    pub(super) batches: Batches,
}

impl Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

/// Sends queries to targets.
#[async_trait]
pub(super) trait QuerySource: Debug + Send + Sync {
    /// Sends `sql` to `target`. In `sql`, the table has the dataset's name. Returns once the answer has begun.
    async fn query(&self, target: &Target, sql: String) -> Result<Answer, FederationError>;

    /// The columns of `target` that are shared, with their types.
    async fn schema(&self, target: &Target) -> Result<SchemaRef, FederationError>;

    /// Discards the cached schema: the columns of `target` were not those that [`QuerySource::schema`] returned.
    fn forget_schema(&self, target: &Target);
}
