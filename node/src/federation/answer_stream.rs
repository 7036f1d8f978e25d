//! The answer to a federated query, as its requester reads it.
//!
//! It ends with an error once the requester may act no longer, whether or not it is being read: then its rows are dropped, and with them
//! the exchanges and the computation that they come from.

use std::fmt;
use std::sync::Arc;

use concordat_documents::query::AnswerSummary;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use futures::StreamExt;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::error::FederationError;
use super::missing_values::MissingValues;
use super::report::QueryReport;
use super::source::{Answer, Batches};
use crate::iam::IamError;

/// An answer: its columns, its rows as they arrive, and at the end a summary of where they came from.
pub struct AnswerStream {
    schema: SchemaRef,
    /// `None` after their end.
    rows: Arc<Mutex<Option<Batches>>>,
    /// Whether the end was read.
    over: bool,
    missing: MissingValues,
    report: QueryReport,
    tasks: TaskTracker,
    /// Canceled once the requester may act no longer.
    ended: CancellationToken,
    _watch: AbortOnDropHandle<()>,
}

impl AnswerStream {
    /// The stream of `answer`; `tasks` are the exchanges that it is read from. It ends when `until_ended` completes.
    pub(super) fn new(
        answer: Answer,
        (report, tasks): (QueryReport, TaskTracker),
        until_ended: impl Future<Output = IamError> + Send + 'static,
    ) -> Self {
        let rows = Arc::new(Mutex::new(Some(answer.batches)));
        let ended = CancellationToken::new();
        let unread = Arc::downgrade(&rows);
        let end = ended.clone();
        let watch = tokio::spawn(async move {
            let error = until_ended.await;
            tracing::debug!(%error, "a running answer ends, because its requester may act no longer");
            end.cancel();
            if let Some(unread) = unread.upgrade() {
                *unread.lock().await = None;
            }
        });
        Self {
            schema: answer.schema,
            rows,
            over: false,
            missing: MissingValues::default(),
            report,
            tasks,
            ended,
            _watch: AbortOnDropHandle::new(watch),
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
        if self.over {
            return None;
        }
        let mut rows = self.rows.lock().await;
        let may_not = FederationError::NotPermitted(IamError::NotLoggedIn);
        let next = match rows.as_mut() {
            Some(open) => tokio::select! {
                biased;
                () = self.ended.cancelled() => Some(Err(may_not)),
                next = open.next() => next,
            },
            None => Some(Err(may_not)),
        };
        if let Some(Ok(batch)) = &next {
            self.missing.add(batch);
        } else {
            // Dropping the reader stops the exchanges that were not read to their end.
            *rows = None;
            drop(rows);
            self.over = true;
            self.tasks.close();
            self.tasks.wait().await;
        }
        if next.is_none() {
            self.report.missing_values(&self.missing, &self.schema);
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
