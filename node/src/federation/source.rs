//! The interface between planning and the network: which datasets are queried, and how.

use std::fmt::Debug;
use std::pin::Pin;

use async_trait::async_trait;
use concordat_protocol::scope::{Columns, Purpose, Tier};
use concordat_protocol::{
    ids::{DatasetRef, Digest32, GrantId},
    schema::VersionNumber,
};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use futures::Stream;
use serde::{Deserialize, Serialize};

use super::error::FederationError;

/// One dataset that may be queried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The columns that an answer may contain, and how each is shown.
    pub(super) columns: Columns,
    /// What identifies the declarations that a query below `records` is planned on; `None` if there are none, and for own datasets.
    pub(super) rules: Option<Digest32>,
}

/// What permits a query of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Access {
    /// A grant from another institution.
    Grant(GrantId),
    /// It is our own dataset.
    Own,
}

/// A query for one target, with what its answer must be. It was checked as its holder checks it.
#[derive(Clone, Debug)]
pub(super) struct MemberQuery {
    /// The text, in which the table has the dataset's name.
    pub(super) sql: String,
    /// The columns of the answer, by name and type.
    pub(super) schema: SchemaRef,
    /// Whether the rows of the answer are groups.
    pub(super) grouped: bool,
    /// How many figures of each group are requested below tier `records`, each of which has noise if figures are perturbed; `None` if they are not
    /// known, and for records.
    pub(super) figures: Option<u64>,
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
    /// Sends `query` to `target`. Returns once the answer has begun; its columns are those of the query.
    ///
    /// # Errors
    /// [`FederationError::ColumnsChanged`] if the answer has other columns.
    async fn query(&self, target: &Target, query: MemberQuery) -> Result<Answer, FederationError>;
}

/// Whether an answer has exactly the requested columns, by name and type. A provider that sends more, by mistake or on purpose, would
/// transfer data that this institution may not hold.
pub(super) fn has_columns(received: &Schema, requested: &Schema) -> bool {
    let columns = |schema: &Schema| -> Vec<(String, DataType)> {
        let column = |field: &FieldRef| (field.name().clone(), field.data_type().clone());
        schema.fields().iter().map(column).collect()
    };
    columns(received) == columns(requested)
}
