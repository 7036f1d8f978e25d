//! Remarks on first rows and ranks in the order of figures, of which some may be withheld.
//!
//! They follow from the text of a query, and are the same whether any figure is withheld.

use concordat_documents::query::RemarkKind;
use concordat_engine::{FigureOrder, MissingFigures, OrderedBy};
use datafusion::arrow::datatypes::Fields;

use super::Remark;

impl Remark {
    /// The remark on an order, which names its column if that is one of `answer`, the columns of the answer.
    pub(in crate::federation) fn of_order(order: &FigureOrder, answer: &Fields) -> Self {
        let column = order.column.as_ref();
        let column = column.filter(|name| answer.iter().any(|field| field.name() == *name));
        ordered(order, column)
    }
}

/// The remark on an order by `column`, if that is one of the answer.
fn ordered(order: &FigureOrder, column: Option<&String>) -> Remark {
    let by = column.map_or_else(|| "a figure".to_owned(), |column| format!("`{column}`"));
    let text = match (order.of, order.missing) {
        (OrderedBy::FirstRows, MissingFigures::Last) => format!(
            "`LIMIT` keeps the first rows by {by}, and groups without that figure come last: a group whose figure is withheld can be left out \
             although it belongs among the first"
        ),
        (OrderedBy::FirstRows, MissingFigures::First) => format!(
            "`LIMIT` keeps the first rows by {by}, and groups without that figure come first: one whose figure is withheld, or that no one is \
             in, can take the place of another group; `NULLS LAST` puts them last"
        ),
        (OrderedBy::FirstRows, MissingFigures::LeftOut) => "`LIMIT` keeps the first rows that meet a condition on figures: a group whose \
                                                            figure is withheld does not meet it, and can be left out although it belongs \
                                                            among them"
            .to_owned(),
        (OrderedBy::Ranks, MissingFigures::Last | MissingFigures::First | MissingFigures::LeftOut) => format!(
            "ranks are by {by}, and groups without that figure have the last ones: the other ranks are among the groups that are shown"
        ),
    };
    let remark = Remark::new(RemarkKind::OrderOfFigures, text);
    match column {
        Some(column) => remark.on_column(column),
        None => remark,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use concordat_documents::query::AnswerRemark;
    use datafusion::arrow::datatypes::{DataType, Field};

    use super::*;
    use crate::federation::report::QueryReport;

    fn remarks(column: &str, missing: MissingFigures) -> Vec<AnswerRemark> {
        let report = QueryReport::default();
        let order = FigureOrder {
            of: OrderedBy::FirstRows,
            column: Some(column.to_owned()),
            missing,
        };
        let answer = Fields::from(vec![Field::new("n", DataType::Int64, true)]);
        report.ordered(&BTreeSet::from([order]), &answer);
        assert!(report.require_complete().is_ok(), "no part of a member is missing");
        report.summary().remarks
    }

    #[test]
    fn report_of_an_order_names_a_column_of_the_answer() {
        for (column, named) in [("n", Some("n")), ("count(*)", None)] {
            let [remark] = <[AnswerRemark; 1]>::try_from(remarks(column, MissingFigures::Last)).unwrap();
            assert_eq!(remark.kind, RemarkKind::OrderOfFigures);
            assert_eq!(remark.column.as_deref(), named);
            assert!(!remark.text.contains("count(*)"), "{}", remark.text);
        }
    }

    #[test]
    fn report_of_missing_figures_that_are_first_has_a_hint() {
        let text = |missing| remarks("n", missing).remove(0).text;
        assert!(text(MissingFigures::First).contains("`NULLS LAST`"));
        assert!(!text(MissingFigures::Last).contains("`NULLS LAST`"));
        assert!(text(MissingFigures::LeftOut).contains("condition"));
    }
}
