//! The answer to a federated query, as its requester reads it.

use std::fmt;

use concordat_documents::query::AnswerSummary;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use futures::StreamExt;
use tokio_util::task::TaskTracker;

use super::error::FederationError;
use super::report::QueryReport;
use super::source::{Answer, Batches};

/// An answer: its columns, its rows as they arrive, and at the end a summary of where they came from.
pub struct AnswerStream {
    schema: SchemaRef,
    batches: Option<Batches>,
    report: QueryReport,
    tasks: TaskTracker,
}

impl AnswerStream {
    /// The stream of `answer`; `tasks` are the exchanges that it is read from.
    pub(super) fn new(answer: Answer, report: QueryReport, tasks: TaskTracker) -> Self {
        Self {
            schema: answer.schema,
            batches: Some(answer.batches),
            report,
            tasks,
        }
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// The next rows; `None` at the end. Nothing follows an error: the rows before it are genuine but incomplete.
    ///
    /// # Errors
    /// The [`FederationError`] that ended the answer early.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, FederationError>> {
        let batches = self.batches.as_mut()?;
        let next = batches.next().await;
        if !matches!(next, Some(Ok(_))) {
            // Dropping the reader stops the exchanges that were not read to their end.
            self.batches = None;
            self.tasks.close();
            self.tasks.wait().await;
        }
        next
    }

    /// Receipts and notes; complete once [`Self::next`] has returned `None` or an error.
    pub fn summary(&self) -> AnswerSummary {
        self.report.summary()
    }
}

impl fmt::Debug for AnswerStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerStream")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}
