//! What is remembered of the answers behind one query: receipts and what the reader has to know about the rows.

use std::sync::{Arc, Mutex, PoisonError};

use concordat_protocol::ids::{DatasetRef, Digest32, GrantId, QueryId};
use concordat_protocol::query::{Outcome, Receipt};
use serde::{Deserialize, Serialize};

/// One answer, as both sides signed for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Received {
    /// Which dataset answered.
    pub dataset: DatasetRef,
    /// Under which grant.
    pub grant: GrantId,
    /// Which query it was.
    pub query: QueryId,
    /// Rows that crossed.
    pub rows: u64,
    /// Bytes that crossed.
    pub bytes: u64,
    /// Cells withheld because too few subjects stand behind them.
    pub suppressed_cells: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Names the receipt in both ledgers.
    pub receipt: Digest32,
}

/// Receipts and notes of one query; filled while its rows stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Every answer with a receipt.
    pub receipts: Vec<Received>,
    /// What the reader has to know about the rows, in sentences.
    pub notes: Vec<String>,
}

/// The account while it is being written; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal(Arc<Mutex<Account>>);

impl Journal {
    /// Enters an answer whose receipt both sides have signed.
    pub(super) fn receipt(&self, dataset: &DatasetRef, receipt: &Receipt, digest: Digest32) {
        self.with(|account| {
            account.receipts.push(Received {
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

    /// Notes that cells were withheld, if any were.
    pub(super) fn withheld(&self, dataset: &DatasetRef, cells: u64) {
        let (cells, them) = match cells {
            0 => return,
            1 => ("1 cell".to_owned(), "it"),
            many => (format!("{many} cells"), "them"),
        };
        self.note(format!(
            "{} withheld {cells} of `{dataset}` with too few subjects behind {them}",
            dataset.institution
        ));
    }

    /// Adds a sentence, once.
    pub(super) fn note(&self, text: String) {
        self.with(|account| {
            if !account.notes.contains(&text) {
                account.notes.push(text);
            }
        });
    }

    /// What was entered so far.
    pub(super) fn account(&self) -> Account {
        self.with(|account| account.clone())
    }

    fn with<T>(&self, change: impl FnOnce(&mut Account) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
