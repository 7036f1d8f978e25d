//! The report of one query: the receipts of the answers behind it, and remarks that a reader needs to interpret the rows.

pub(super) mod protected;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use concordat_documents::query::{AnswerReceipt, AnswerSummary};
use concordat_engine::{Beyond, FigureOrder, LimitedValues};
use concordat_protocol::ids::{DatasetName, DatasetRef, Digest32};
use concordat_protocol::query::Receipt;
use concordat_protocol::scope::{Scope, Tier};
use concordat_protocol::wire::messages::Refusal;
use datafusion::arrow::datatypes::{Fields, Schema};

use super::error::FederationError;
use super::missing_values::MissingValues;
use super::remark::Remark;

/// The summary while it is being written; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct QueryReport(Arc<Mutex<Written>>);

#[derive(Debug, Default)]
struct Written {
    receipts: Vec<AnswerReceipt>,
    remarks: Vec<Remark>,
    /// Whether columns are used that a holder has stated for an earlier query.
    known_columns: bool,
    /// Members that cannot take part, until it is known whether the query needs them.
    left_out: Vec<(DatasetRef, Remark)>,
    /// What the own policy refused while the query was planned, and why.
    refused: Vec<(String, Refusal)>,
}

impl QueryReport {
    /// A report with these remarks, and these members that were left out and are not decided about.
    pub(super) fn of(remarks: Vec<Remark>, left_out: Vec<(DatasetRef, Remark)>) -> Self {
        Self(Arc::new(Mutex::new(Written {
            remarks,
            left_out,
            ..Written::default()
        })))
    }

    /// All remarks so far.
    pub(super) fn remarks(&self) -> Vec<Remark> {
        self.with(|written| written.remarks.clone())
    }

    /// The members that were left out and are not decided about, each with its remark.
    pub(super) fn undecided(&self) -> Vec<(DatasetRef, Remark)> {
        self.with(|written| written.left_out.clone())
    }

    /// Adds the remarks of the report with which the query was planned or computed, which has decided about the members that were left out.
    pub(super) fn decided(&self, remarks: Vec<Remark>) {
        self.with(|written| written.left_out.clear());
        for remark in remarks {
            self.remark(remark);
        }
    }

    /// Adds an answer whose receipt both sides have signed; below tier `records`, figures are about `min_cell` subjects or more, if any
    /// are withheld.
    pub(super) fn receipt(&self, dataset: &DatasetRef, receipt: &Receipt, digest: Digest32, min_cell: Option<u32>) {
        self.with(|written| {
            written.receipts.push(AnswerReceipt {
                dataset: dataset.clone(),
                grant: receipt.grant,
                query: receipt.query,
                rows: receipt.rows,
                bytes: receipt.bytes,
                outcome: receipt.outcome.clone(),
                receipt: digest,
            });
        });
        if let Some(min_cell) = min_cell {
            self.withheld(dataset, receipt.tier, min_cell);
        }
    }

    /// Adds a remark about an answer below tier `records`. A single row has it too: its missing value could be read as a mean of no one.
    fn withheld(&self, dataset: &DatasetRef, tier: Tier, min_cell: u32) {
        match tier {
            Tier::Exists => self.remark(Remark::withheld_existence(dataset, min_cell)),
            Tier::Count | Tier::Aggregate => self.remark(Remark::withheld_cells(dataset, min_cell)),
            Tier::Records => {}
        }
    }

    /// Adds a remark on the noise of figures of `dataset` at `tier`. Records have none, and at tier `exists` no figure is shown: there the
    /// noise of private figures decides about the answer.
    fn noise(&self, dataset: &DatasetRef, tier: Tier, scope: &Scope) {
        let remark = match tier {
            Tier::Count | Tier::Aggregate => Remark::of_noise(dataset, &scope.protection),
            Tier::Exists => Remark::of_noisy_existence(dataset, &scope.protection, scope.limits.min_cell),
            Tier::Records => None,
        };
        if let Some(remark) = remark {
            self.remark(remark);
        }
    }

    /// Adds a remark on the values that are missing from the rows with these columns, if the answer has figures of a holder. Missing values of
    /// records are as they are stored.
    pub(super) fn missing_values(&self, missing: &MissingValues, schema: &Schema) {
        let has_figures = self.with(|written| written.remarks.iter().any(Remark::is_of_figures));
        if let Some(remark) = missing.remark(schema).filter(|_| has_figures) {
            self.remark(remark);
        }
    }

    /// Adds a remark for each range to which figures of `dataset` limit values, and for quantiles within bands.
    pub(super) fn limited(&self, dataset: &DatasetRef, limited: &BTreeSet<LimitedValues>) {
        for limited in limited {
            self.remark(Remark::of_limits(dataset, limited));
        }
    }

    /// Adds a remark on the noise of means and sums for each range to which figures of `dataset` limit values.
    pub(super) fn noise_of_values(&self, dataset: &DatasetRef, scope: &Scope, limited: &BTreeSet<LimitedValues>) {
        for limited in limited {
            if let Some(remark) = Remark::of_noise_of_values(dataset, &scope.protection, limited) {
                self.remark(remark);
            }
        }
    }

    /// Adds a remark for each of these orders. `answer` are the columns of the answer.
    pub(super) fn ordered(&self, orders: &BTreeSet<FigureOrder>, answer: &Fields) {
        for order in orders {
            self.remark(Remark::of_order(order, answer));
        }
    }

    /// Adds a remark for each of the groups that have values beyond the declared edges.
    pub(super) fn beyond(&self, groups: &BTreeSet<Beyond>) {
        for group in groups {
            self.remark(Remark::of_values_beyond(group));
        }
    }

    /// Adds a remark unless it is already there.
    pub(super) fn remark(&self, remark: Remark) {
        self.with(|written| {
            if !written.remarks.contains(&remark) {
                written.remarks.push(remark);
            }
        });
    }

    /// Leaves out a member of a table of several. Whether `remark` is about the answer is decided by [`Self::decide`].
    pub(super) fn leave_out(&self, dataset: &DatasetRef, remark: Remark) {
        self.with(|written| written.left_out.push((dataset.clone(), remark)));
    }

    /// The members that were left out and are not decided about.
    pub(super) fn left_out(&self) -> Vec<DatasetRef> {
        self.with(|written| written.left_out.iter().map(|(dataset, _)| dataset.clone()).collect())
    }

    /// Adds the remarks about those members that were left out and that the query needs. Of the others it needs nothing.
    pub(super) fn decide(&self, is_needed: impl Fn(&DatasetRef) -> bool) {
        let left_out = self.with(|written| std::mem::take(&mut written.left_out));
        for (dataset, remark) in left_out {
            if is_needed(&dataset) {
                self.remark(remark);
            }
        }
    }

    /// Why members of the table of all that share `dataset`, or did, are missing.
    pub(super) fn missing(&self, dataset: &DatasetName) -> Vec<String> {
        self.with(|written| {
            let missing = written.remarks.iter().filter(|remark| remark.is_of_missing(dataset));
            missing.map(|remark| remark.text().to_owned()).collect()
        })
    }

    /// An error if a member's part is missing.
    ///
    /// # Errors
    /// [`FederationError::Incomplete`] with every reason.
    pub(super) fn require_complete(&self) -> Result<(), FederationError> {
        let missing: Vec<String> = self.with(|written| {
            let incomplete = written.remarks.iter().filter(|remark| remark.is_incomplete());
            incomplete.map(|remark| remark.text().to_owned()).collect()
        });
        if missing.is_empty() {
            return Ok(());
        }
        Err(FederationError::Incomplete { missing })
    }

    /// Notes that the own policy refused a part of the query, which was not sent for that reason.
    pub(super) fn refused(&self, subject: String, refusal: Refusal) {
        self.with(|written| written.refused.push((subject, refusal)));
    }

    /// What the own policy refused, once.
    pub(super) fn take_refused(&self) -> Vec<(String, Refusal)> {
        self.with(|written| std::mem::take(&mut written.refused))
    }

    /// Notes that the query is planned on columns that a holder has stated for an earlier one.
    pub(super) fn use_known_columns(&self) {
        self.with(|written| written.known_columns = true);
    }

    /// Whether `error` may have its reason in columns that are no longer those that the query was planned on.
    pub(super) fn may_be_of_other_columns(&self, error: &FederationError) -> bool {
        let used_known = self.with(|written| written.known_columns);
        matches!(error, FederationError::ColumnsChanged { .. }) || used_known && error.depends_on_columns()
    }

    /// What was added so far.
    pub(super) fn summary(&self) -> AnswerSummary {
        self.with(|written| AnswerSummary {
            receipts: written.receipts.clone(),
            notes: written.remarks.iter().map(|remark| remark.text().to_owned()).collect(),
            remarks: written.remarks.iter().map(Remark::document).collect(),
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut Written) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use concordat_documents::query::RemarkKind;
    use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};

    use super::*;
    use crate::federation::remark::CellName;

    fn notes(tier: Tier) -> Vec<String> {
        let report = QueryReport::default();
        report.withheld(&"budapest.stays".parse().unwrap(), tier, 10);
        report.summary().notes
    }

    #[test]
    fn report_note_on_what_is_withheld_names_the_smallest_cell() {
        for tier in [Tier::Exists, Tier::Count, Tier::Aggregate] {
            let [note] = notes(tier).try_into().unwrap();
            assert!(note.contains("fewer than 10 subjects"), "{note}");
            assert_eq!(note.contains("is false"), tier == Tier::Exists, "{note}");
        }
        assert!(notes(Tier::Records).is_empty());
    }

    /// Of figures that may be withheld and not of records, whose missing values are as they are stored.
    #[test]
    fn report_counts_missing_values_of_figures_only() {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(12)]));
        let rows = RecordBatch::try_from_iter([("n", column)]).unwrap();
        let mut missing = MissingValues::default();
        missing.add(&rows);
        for (tier, expected) in [(Tier::Records, 0), (Tier::Aggregate, 1)] {
            let report = QueryReport::default();
            report.withheld(&"budapest.stays".parse().unwrap(), tier, 10);
            report.missing_values(&missing, &rows.schema());
            let remarks = report.summary().remarks;
            let found = remarks
                .iter()
                .filter(|remark| remark.kind == RemarkKind::MissingFigures);
            assert_eq!(found.count(), expected, "{tier}: {remarks:?}");
            assert!(report.require_complete().is_ok());
        }
    }

    #[test]
    fn report_names_the_members_that_the_query_needs() {
        let report = QueryReport::default();
        let (alfa, beta): (DatasetRef, DatasetRef) = ("alfa.stays".parse().unwrap(), "beta.stays".parse().unwrap());
        for dataset in [&alfa, &beta] {
            report.leave_out(dataset, Remark::missing_member(dataset, "it cannot be reached"));
        }
        assert!(
            report.require_complete().is_ok(),
            "it is not known whether they are needed"
        );
        assert_eq!(report.left_out(), [alfa.clone(), beta.clone()]);
        report.decide(|dataset| *dataset == beta);
        assert!(report.left_out().is_empty());
        let missing = report.missing(&"stays".parse().unwrap());
        assert_eq!(missing, report.summary().notes);
        assert!(missing.len() == 1 && missing[0].contains("beta.stays"), "{missing:?}");
        assert!(report.require_complete().is_err());
        assert!(report.missing(&"other".parse().unwrap()).is_empty());
    }

    #[test]
    fn report_of_the_engine_decides_about_those_left_out() {
        let report = QueryReport::default();
        let (alfa, beta): (DatasetRef, DatasetRef) = ("alfa.stays".parse().unwrap(), "beta.stays".parse().unwrap());
        report.remark(Remark::renamed("id", "id_2"));
        for dataset in [&alfa, &beta] {
            report.leave_out(dataset, Remark::missing_member(dataset, "it cannot be reached"));
        }
        let engine = QueryReport::of(report.remarks(), report.undecided());
        engine.decide(|dataset| *dataset == beta);
        report.decided(engine.remarks());
        assert!(report.left_out().is_empty());
        assert_eq!(report.summary().notes, engine.summary().notes);
        assert_eq!(report.summary().notes.len(), 2);
    }

    #[test]
    fn report_is_complete_until_a_member_is_missing() {
        let report = QueryReport::default();
        let dataset = "budapest.stays".parse().unwrap();
        report.remark(Remark::renamed("id", "id_2"));
        report.remark(Remark::missing_cells(&dataset, vec![CellName::new()], 10));
        report.remark(Remark::continued(&dataset, 3));
        assert!(report.require_complete().is_ok());
        report.remark(Remark::missing_column(&dataset, "age"));
        let Err(FederationError::Incomplete { missing }) = report.require_complete() else {
            panic!("a member is missing");
        };
        assert_eq!(missing.len(), 1);
    }
}
