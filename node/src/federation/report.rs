//! The report of one query: the receipts of the answers behind it, and notes that a reader needs to interpret the rows.

use std::sync::{Arc, Mutex, PoisonError};

use concordat_documents::query::{AnswerReceipt, AnswerSummary};
use concordat_protocol::ids::{DatasetRef, Digest32};
use concordat_protocol::query::Receipt;
use concordat_protocol::scope::Tier;

/// The cells that an answer below tier `records` has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cells {
    /// One row, of which every value is a cell.
    One,
    /// One row for each group.
    Groups {
        /// How many subjects a group must have, as agreed in the grant.
        min_cell: u32,
    },
}

/// The summary while it is being written; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct QueryReport(Arc<Mutex<AnswerSummary>>);

impl QueryReport {
    /// Adds an answer whose receipt both sides have signed.
    pub(super) fn receipt(&self, dataset: &DatasetRef, receipt: &Receipt, digest: Digest32, cells: Cells) {
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
        if receipt.tier < Tier::Records {
            self.withheld(dataset, cells, receipt.suppressed_cells);
        }
    }

    /// Adds a note about cells of an answer below tier `records`.
    ///
    /// For groups it is the same whether any were left out. A number would be an answer about people of whom there are
    /// too few: a query that matches one person at most would state whether it does.
    fn withheld(&self, dataset: &DatasetRef, cells: Cells, withheld: u64) {
        let institution = &dataset.institution;
        let note = match (cells, withheld) {
            (Cells::Groups { min_cell }, _) => format!(
                "{institution} leaves out groups of `{dataset}` with fewer than {min_cell} subjects, and what would reveal \
                 them, if there are any"
            ),
            (Cells::One, 0) => return,
            (Cells::One, 1) => format!("{institution} withheld 1 cell of `{dataset}`, which covers too few subjects"),
            (Cells::One, many) => {
                format!("{institution} withheld {many} cells of `{dataset}`, which cover too few subjects")
            }
        };
        self.note(note);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(cells: Cells, withheld: u64) -> Vec<String> {
        let report = QueryReport::default();
        report.withheld(&"budapest.stays".parse().unwrap(), cells, withheld);
        report.summary().notes
    }

    #[test]
    fn report_note_on_groups_does_not_depend_on_their_number() {
        let groups = Cells::Groups { min_cell: 10 };
        let fixed = notes(groups, 0);
        assert_eq!(fixed.len(), 1);
        assert!(fixed[0].contains("fewer than 10 subjects"), "{fixed:?}");
        for withheld in [1, 2, 40] {
            assert_eq!(notes(groups, withheld), fixed);
        }
        assert!(notes(Cells::One, 0).is_empty());
        assert!(notes(Cells::One, 2)[0].contains("withheld 2 cells"));
    }
}
