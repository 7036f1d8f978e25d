//! The report of one query: the receipts of the answers behind it, and notes that a reader needs to interpret the rows.

use std::sync::{Arc, Mutex, PoisonError};

use concordat_documents::query::{AnswerReceipt, AnswerSummary};
use concordat_protocol::ids::{DatasetRef, Digest32};
use concordat_protocol::query::Receipt;

/// The summary while it is being written; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct QueryReport(Arc<Mutex<AnswerSummary>>);

impl QueryReport {
    /// Adds an answer whose receipt both sides have signed.
    pub(super) fn receipt(&self, dataset: &DatasetRef, receipt: &Receipt, digest: Digest32) {
        self.with(|summary| {
            summary.receipts.push(AnswerReceipt {
                dataset: dataset.clone(),
                grant: receipt.grant,
                query: receipt.query,
                rows: receipt.rows,
                bytes: receipt.bytes,
                suppressed_cells: receipt.suppressed_cells,
                outcome: receipt.outcome.clone(),
                receipt: digest,
            });
        });
        self.withheld(dataset, receipt.suppressed_cells);
    }

    /// Adds a note if cells were withheld.
    pub(super) fn withheld(&self, dataset: &DatasetRef, cells: u64) {
        let (cells, cover) = match cells {
            0 => return,
            1 => ("1 cell".to_owned(), "covers"),
            many => (format!("{many} cells"), "cover"),
        };
        self.note(format!(
            "{} withheld {cells} of `{dataset}`, which {cover} too few subjects",
            dataset.institution
        ));
    }

    /// Adds a note unless it is already there.
    pub(super) fn note(&self, text: String) {
        self.with(|summary| {
            if !summary.notes.contains(&text) {
                summary.notes.push(text);
            }
        });
    }

    /// What was added so far.
    pub(super) fn summary(&self) -> AnswerSummary {
        self.with(|summary| summary.clone())
    }

    fn with<T>(&self, change: impl FnOnce(&mut AnswerSummary) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
