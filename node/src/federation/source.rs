//! Who is asked, and how: the seam between planning and the network.

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

use super::fault::QueryFault;

/// One dataset that may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Which dataset, and at whom.
    pub(super) dataset: DatasetRef,
    /// Its version; nothing for the current one.
    pub(super) version: Option<VersionNumber>,
    /// By what right.
    pub(super) right: Right,
    /// How much an answer may reveal.
    pub(super) tier: Tier,
    /// What it is asked for.
    pub(super) purpose: Purpose,
    /// The columns an answer may hold.
    pub(super) columns: BTreeSet<String>,
}

/// By what right a dataset is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// A grant by another institution.
    Grant(GrantId),
    /// It is our own.
    Own,
}

/// Rows as they arrive; an error is the last item.
pub(super) type Batches = Pin<Box<dyn Stream<Item = Result<RecordBatch, QueryFault>> + Send>>;

/// The answer of one target.
pub(super) struct Part {
    /// Columns of the rows.
    pub(super) schema: SchemaRef,
    /// The rows.
    pub(super) batches: Batches,
}

impl Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

/// Puts questions to targets.
#[async_trait]
pub(super) trait Ask: Debug + Send + Sync {
    /// Asks `target` the question `sql`, in which the table bears the dataset's name; returns once the answer has begun.
    async fn ask(&self, target: &Target, sql: String) -> Result<Part, QueryFault>;

    /// The columns and types of all that `target` shares.
    async fn shape(&self, target: &Target) -> Result<SchemaRef, QueryFault>;

    /// The columns of `target` were not what [`Ask::shape`] told: it is to be asked again.
    fn forget(&self, target: &Target);
}
