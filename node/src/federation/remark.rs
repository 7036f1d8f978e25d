//! What a reader has to know to interpret an answer.

mod ordered;

use std::collections::BTreeMap;

use concordat_documents::query::{AnswerRemark, RemarkKind};
use concordat_protocol::ids::{DatasetName, DatasetRef};
use serde::{Deserialize, Serialize};

use super::union_table::INSTITUTION;

/// A cell of an answer: the names of its groups and their values.
pub(super) type CellName = BTreeMap<String, String>;
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

    /// Figures of `dataset` about fewer than `min_cell` subjects are withheld. It is the same whether there are any: a number would be an answer
    /// about people of whom there are too few.
    pub(super) fn withheld_cells(dataset: &DatasetRef, min_cell: u32) -> Self {
        let text = format!(
            "{} withholds figures of `{dataset}` about fewer than {min_cell} subjects, and what would reveal them, if there are any",
            dataset.institution
        );
        Self::about(RemarkKind::WithheldCells, dataset, text)
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
    pub(super) fn is_incomplete(&self) -> bool {
        match self.0.kind {
            RemarkKind::MissingMember | RemarkKind::MissingColumn => true,
            RemarkKind::FormerMember
            | RemarkKind::MissingCells
            | RemarkKind::WithheldCells
            | RemarkKind::RenamedColumn
            | RemarkKind::ContinuedAnswer
            | RemarkKind::CombinedParts
            | RemarkKind::OrderOfFigures
            | RemarkKind::InventedRows => false,
        }
    }

    /// Whether the part of a member that shares `dataset`, or did, is missing.
    pub(super) fn is_of_missing(&self, dataset: &DatasetName) -> bool {
        let is_missing = self.is_incomplete() || self.0.kind == RemarkKind::FormerMember;
        is_missing && self.0.dataset.as_ref() == Some(dataset)
    }

    /// Its sentence.
    pub(super) fn text(&self) -> &str {
        &self.0.text
    }

    /// The remark as it is sent to the requester.
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
