//! Remarks on parts of members: those that an answer lacks, and those that were received in another way.

use concordat_documents::query::RemarkKind;
use concordat_protocol::ids::DatasetRef;

use super::{CellName, Remark, listed};

impl Remark {
    /// The part of `dataset` is not in the answer, for `reason`.
    pub(in crate::federation) fn missing_member(dataset: &DatasetRef, reason: &str) -> Self {
        let text = format!("`{dataset}` is not part of the answer: {reason}");
        Self::about(RemarkKind::MissingMember, dataset, text)
    }

    /// The grant for `dataset` has ended, for `reason`, so it is not among the members any more.
    pub(in crate::federation) fn former_member(dataset: &DatasetRef, reason: &str) -> Self {
        let text = format!("`{dataset}` is not shared any more: {reason}");
        Self::about(RemarkKind::FormerMember, dataset, text)
    }

    /// The part of `dataset` is not in the answer because it does not show `column`.
    pub(in crate::federation) fn missing_column(dataset: &DatasetRef, column: &str) -> Self {
        let text = format!("`{dataset}` is not part of the answer: it does not share a column `{column}`");
        Self::about(RemarkKind::MissingColumn, dataset, text).on_column(column)
    }

    /// `cells` lack the part of `dataset`; at most `most` of them are listed.
    pub(in crate::federation) fn missing_cells(dataset: &DatasetRef, cells: Vec<CellName>, most: usize) -> Self {
        let text = format!(
            "no part of `{dataset}` is in: {}; it has none there, or too few subjects",
            named(&cells)
        );
        Self::about(RemarkKind::MissingCells, dataset, text).on_cells(cells, most)
    }

    /// The values of `column` in `cells`, which has one cell without a name if there are no groups, lack the part of `dataset`; at most
    /// `most` of them are listed. With `others`, the rows have other figures, which lack it too.
    pub(in crate::federation) fn missing_values(
        dataset: &DatasetRef,
        column: &str,
        others: bool,
        cells: Vec<CellName>,
        most: usize,
    ) -> Self {
        let of = match cells.iter().all(CellName::is_empty) {
            true => String::new(),
            false => format!(" of: {}", named(&cells)),
        };
        let others = match others {
            true => ", so that it is in no other figure of the same row",
            false => "",
        };
        let text = format!(
            "no part of `{dataset}` is in `{column}`{of}; it has no value there, or too few subjects have or lack one{others}"
        );
        Self::about(RemarkKind::MissingCells, dataset, text)
            .on_column(column)
            .on_cells(cells, most)
    }

    /// Figures of `dataset` about fewer than `min_cell` subjects are withheld. It is the same whether there are any: a number would be an answer
    /// about people of whom there are too few.
    pub(in crate::federation) fn withheld_cells(dataset: &DatasetRef, min_cell: u32) -> Self {
        let text = format!(
            "{} withholds figures of `{dataset}` about fewer than {min_cell} subjects, and what would reveal them, if there are any",
            dataset.institution
        );
        Self::about(RemarkKind::WithheldCells, dataset, text)
    }

    /// Values are missing in these columns of `rows` rows: in how many of them. It states what the rows show and nothing else, so that it is about no
    /// one of whom they do not state as much: not which of the reasons it is.
    pub(in crate::federation) fn missing_figures(columns: &[(String, u64)], rows: u64) -> Self {
        let each = columns
            .iter()
            .map(|(column, missing)| format!("`{column}` ({missing} of {rows} rows)"));
        let text = format!(
            "values are missing in {}: a figure is missing if it is about fewer subjects than its holder shows or about no one, if it would reveal \
             others, or if it is computed from one that is missing; a group without a value is that of the rows without one; which of these it \
             is, is not stated",
            listed(each, ", ")
        );
        Self::new(RemarkKind::MissingFigures, text)
    }

    /// `dataset` states that there are rows only about so many subjects. It is the same whether there are fewer.
    pub(in crate::federation) fn withheld_existence(dataset: &DatasetRef, min_cell: u32) -> Self {
        let text =
            format!("the answer of `{dataset}` is false also if there are rows about fewer than {min_cell} subjects");
        Self::about(RemarkKind::WithheldCells, dataset, text)
    }

    /// The connection was lost after `rows` rows of `dataset`, and the answer of its holder was continued.
    pub(in crate::federation) fn continued(dataset: &DatasetRef, rows: u64) -> Self {
        let text = format!(
            "the connection to {} was lost after {rows} rows of `{dataset}`: the query was sent again, its answer begins with the \
             same rows, and the others are from there",
            dataset.institution
        );
        Self::about(RemarkKind::ContinuedAnswer, dataset, text)
    }
}

/// The first of the cells, and how many more there are.
fn named(cells: &[CellName]) -> String {
    let named = cells.iter().map(|cell| {
        let groups = cell.iter().map(|(group, value)| format!("{group} = {value}"));
        groups.collect::<Vec<_>>().join(", ")
    });
    listed(named, "; ")
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
