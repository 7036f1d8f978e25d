//! The report of one query: the receipts of the answers behind it, and remarks that a reader needs to interpret the rows.

mod beyond;
mod ordered;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use concordat_documents::query::{AnswerReceipt, AnswerRemark, AnswerSummary, RemarkKind};
use concordat_protocol::ids::{DatasetName, DatasetRef, Digest32};
use concordat_protocol::query::Receipt;
use concordat_protocol::scope::Tier;
use concordat_protocol::wire::messages::Refusal;
use serde::{Deserialize, Serialize};

use super::error::FederationError;
use super::union_table::INSTITUTION;

/// A cell of an answer: the names of its groups and their values.
pub(super) type CellName = BTreeMap<String, String>;

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

/// What the reader of an answer has to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Remark(AnswerRemark);

impl Remark {
    /// The part of `dataset` is not in the answer, for `reason`.
    pub(super) fn missing_member(dataset: &DatasetRef, reason: &str) -> Self {
        let text = format!("`{dataset}` is not part of the answer: {reason}");
        Self::about(RemarkKind::MissingMember, dataset, text)
    }

    /// The grant for `dataset` has ended, for `reason`, so it is not among the members any more.
    pub(super) fn former_member(dataset: &DatasetRef, reason: &str) -> Self {
        let text = format!("`{dataset}` is not shared any more: {reason}");
        Self::about(RemarkKind::FormerMember, dataset, text)
    }

    /// The part of `dataset` is not in the answer because it does not show `column`.
    pub(super) fn missing_column(dataset: &DatasetRef, column: &str) -> Self {
        let text = format!("`{dataset}` is not part of the answer: it does not share a column `{column}`");
        let mut remark = Self::about(RemarkKind::MissingColumn, dataset, text);
        remark.0.column = Some(column.to_owned());
        remark
    }

    /// `cells` lack the part of `dataset`; at most `most` of them are listed.
    pub(super) fn missing_cells(dataset: &DatasetRef, mut cells: Vec<CellName>, most: usize) -> Self {
        let text = format!(
            "no part of `{dataset}` is in: {}; it has none there, or too few subjects",
            listed(&cells)
        );
        cells.truncate(most);
        let mut remark = Self::about(RemarkKind::MissingCells, dataset, text);
        remark.0.cells = cells;
        remark
    }

    /// The values of `column` in `cells`, which has one cell without a name if there are no groups, lack the part of `dataset`; at most
    /// `most` of them are listed. With `others`, the rows have other figures, which lack it too.
    pub(super) fn missing_values(
        dataset: &DatasetRef,
        column: &str,
        others: bool,
        mut cells: Vec<CellName>,
        most: usize,
    ) -> Self {
        let of = match cells.iter().all(CellName::is_empty) {
            true => String::new(),
            false => format!(" of: {}", listed(&cells)),
        };
        let others = match others {
            true => ", so that it is in no other figure of the same row",
            false => "",
        };
        let text = format!(
            "no part of `{dataset}` is in `{column}`{of}; it has no value there, or too few subjects have or lack one{others}"
        );
        cells.truncate(most);
        let mut remark = Self::about(RemarkKind::MissingCells, dataset, text);
        remark.0.column = Some(column.to_owned());
        remark.0.cells = cells;
        remark
    }

    /// The second column called `name` is `other` in the answer.
    pub(super) fn renamed(name: &str, other: &str) -> Self {
        Self(AnswerRemark {
            kind: RemarkKind::RenamedColumn,
            institution: None,
            dataset: None,
            column: Some(other.to_owned()),
            cells: Vec::new(),
            text: format!("another column is called `{name}` too, so this one is `{other}` in the answer"),
        })
    }

    /// The column `own` of `dataset` is `name` in the table of all members, in which `own` is the institution of a row.
    pub(super) fn renamed_at(dataset: &DatasetRef, own: &str, name: &str) -> Self {
        let text = format!(
            "`{dataset}` has a column `{own}`, which is `{name}` here: over all members, `{INSTITUTION}` is the member of each row"
        );
        let mut remark = Self::about(RemarkKind::RenamedColumn, dataset, text);
        remark.0.column = Some(name.to_owned());
        remark
    }

    /// The connection was lost after `rows` rows of `dataset`, and the answer of its holder was continued.
    pub(super) fn continued(dataset: &DatasetRef, rows: u64) -> Self {
        let text = format!(
            "the connection to {} was lost after {rows} rows of `{dataset}`: the query was sent again, its answer begins with the \
             same rows, and the others are from there",
            dataset.institution
        );
        Self::about(RemarkKind::ContinuedAnswer, dataset, text)
    }

    /// `column` adds what several members count, and a person may be at more than one of them.
    pub(super) fn counted_at_each_member(column: &str) -> Self {
        let text = format!(
            "`{column}` adds the subjects of each member: a person who is at two members counts twice, because no member knows who is at \
             another one"
        );
        Self::combined_parts(column, text)
    }

    /// The edges of `column` differ between members, so it has the levels with these labels, which all members have.
    pub(super) fn levels_of_all(column: &str, labels: &[String]) -> Self {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        Self::combined_parts(
            column,
            format!(
                "members declare other levels of `{column}`, so it has those that all of them have: {}",
                labels.join(", ")
            ),
        )
    }

    /// `dataset` does not list the values with these labels in `column`, which other members list.
    pub(super) fn unlisted_values(dataset: &DatasetRef, column: &str, labels: &[String]) -> Self {
        let first: Vec<String> = labels.iter().take(5).map(|label| format!("`{label}`")).collect();
        let more = match labels.len().saturating_sub(first.len()) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let text = format!(
            "`{dataset}` does not list {}{more} in `{column}`: it has no part in rows of these values, and none in those of all other values",
            first.join(", ")
        );
        let mut remark = Self::about(RemarkKind::CombinedParts, dataset, text);
        remark.0.column = Some(column.to_owned());
        remark
    }

    /// Members limit the values of `column` to different ranges, as `ranges` lists them.
    pub(super) fn ranges_of_members(column: &str, ranges: &[String]) -> Self {
        Self::combined_parts(
            column,
            format!(
                "the values in `{column}` are limited to the range that each member declares: {}",
                ranges.join(", ")
            ),
        )
    }

    fn combined_parts(column: &str, text: String) -> Self {
        Self(AnswerRemark {
            kind: RemarkKind::CombinedParts,
            institution: None,
            dataset: None,
            column: Some(column.to_owned()),
            cells: Vec::new(),
            text,
        })
    }

    /// The parts of members are protected in different ways, as `protections` lists them; those that are `weakest` are the least precise.
    pub(super) fn mixed_protections(weakest: &str, protections: &[String]) -> Self {
        Self(AnswerRemark {
            kind: RemarkKind::CombinedParts,
            institution: None,
            dataset: None,
            column: None,
            cells: Vec::new(),
            text: format!(
                "the parts of members are not alike ({}), and what is combined of them is as precise as the {weakest} ones",
                protections.join(", ")
            ),
        })
    }

    fn about(kind: RemarkKind, dataset: &DatasetRef, text: String) -> Self {
        Self(AnswerRemark {
            kind,
            institution: Some(dataset.institution.clone()),
            dataset: Some(dataset.dataset.clone()),
            column: None,
            cells: Vec::new(),
            text,
        })
    }

    /// Whether a member's whole part is missing.
    fn is_incomplete(&self) -> bool {
        match self.0.kind {
            RemarkKind::MissingMember | RemarkKind::MissingColumn => true,
            RemarkKind::FormerMember
            | RemarkKind::MissingCells
            | RemarkKind::WithheldCells
            | RemarkKind::RenamedColumn
            | RemarkKind::ContinuedAnswer
            | RemarkKind::CombinedParts
            | RemarkKind::OrderOfFigures
            | RemarkKind::DatesBeyond
            | RemarkKind::InventedRows => false,
        }
    }

    /// The remark as it is sent to the requester.
    #[cfg(test)]
    pub(super) fn document(&self) -> AnswerRemark {
        self.0.clone()
    }
}

/// The first of the cells, and how many more there are.
fn listed(cells: &[CellName]) -> String {
    let shown = |cell: &CellName| {
        let groups = cell.iter().map(|(group, value)| format!("{group} = {value}"));
        groups.collect::<Vec<_>>().join(", ")
    };
    let first: Vec<String> = cells.iter().take(5).map(shown).collect();
    let more = match cells.len().saturating_sub(first.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", first.join("; "))
}

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

    /// Adds an answer whose receipt both sides have signed.
    pub(super) fn receipt(&self, dataset: &DatasetRef, receipt: &Receipt, digest: Digest32, cells: Cells) {
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
        if receipt.tier < Tier::Records {
            self.withheld(dataset, cells);
        }
    }

    /// Adds a remark about groups of an answer below tier `records`. It is the same whether any are withheld: a number would be an answer about
    /// people of whom there are too few. Of a single row it is seen what is missing.
    fn withheld(&self, dataset: &DatasetRef, cells: Cells) {
        let institution = &dataset.institution;
        let text = match cells {
            Cells::Groups { min_cell } => format!(
                "{institution} withholds figures of `{dataset}` about fewer than {min_cell} subjects, and what would reveal them, if there \
                 are any"
            ),
            Cells::One => return,
        };
        self.remark(Remark::about(RemarkKind::WithheldCells, dataset, text));
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
        let of_table = |remark: &&Remark| {
            let is_missing = remark.is_incomplete() || remark.0.kind == RemarkKind::FormerMember;
            is_missing && remark.0.dataset.as_ref() == Some(dataset)
        };
        self.with(|written| {
            let missing = written.remarks.iter().filter(of_table);
            missing.map(|remark| remark.0.text.clone()).collect()
        })
    }

    /// An error if a member's part is missing.
    ///
    /// # Errors
    /// [`FederationError::Incomplete`] with every reason.
    pub(super) fn require_complete(&self) -> Result<(), FederationError> {
        let missing: Vec<String> = self.with(|written| {
            let incomplete = written.remarks.iter().filter(|remark| remark.is_incomplete());
            incomplete.map(|remark| remark.0.text.clone()).collect()
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
            notes: written.remarks.iter().map(|remark| remark.0.text.clone()).collect(),
            remarks: written.remarks.iter().map(|remark| remark.0.clone()).collect(),
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut Written) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(cells: Cells) -> Vec<String> {
        let report = QueryReport::default();
        report.withheld(&"budapest.stays".parse().unwrap(), cells);
        report.summary().notes
    }

    #[test]
    fn report_note_on_groups_does_not_depend_on_the_answer() {
        let [fixed] = notes(Cells::Groups { min_cell: 10 }).try_into().unwrap();
        assert!(fixed.contains("fewer than 10 subjects"), "{fixed}");
        assert!(notes(Cells::One).is_empty());
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
    fn report_lists_the_first_cells_and_counts_the_others() {
        let dataset = "budapest.stays".parse().unwrap();
        let ward = |number: u8| CellName::from([("ward".to_owned(), number.to_string())]);
        let remark = Remark::missing_values(&dataset, "avg(age)", false, (0..8).map(ward).collect(), 7).document();
        assert!(
            remark
                .text
                .contains("is in `avg(age)` of: ward = 0; ward = 1; ward = 2; ward = 3; ward = 4 and 3 more;"),
            "{}",
            remark.text
        );
        assert_eq!(remark.cells.len(), 7);
        assert_eq!(remark.column.as_deref(), Some("avg(age)"));
        let one = Remark::missing_values(&dataset, "n", true, vec![CellName::new()], 7).document();
        assert!(one.text.contains("is in `n`; it has no value there"), "{}", one.text);
        assert!(one.text.ends_with("no other figure of the same row"), "{}", one.text);
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
