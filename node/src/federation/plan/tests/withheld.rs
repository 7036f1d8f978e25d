//! Cells that members leave out, and values that they withhold.

use concordat_documents::query::{AnswerRemark, RemarkKind};
use datafusion::arrow::array::{Array, Int64Array, StringArray};

use super::*;
use crate::federation::testing::batch;

fn counts(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

/// The labels of the cells: two that occur, all others, and missing values.
fn grid() -> ArrayRef {
    Arc::new(StringArray::from(vec![Some("f"), Some("m"), Some("other"), None]))
}

/// Two members with these answers to every query.
fn answering(tier: Tier, aachen: Vec<(&str, ArrayRef)>, basel: Vec<(&str, ArrayRef)>) -> Arc<Institutions> {
    let all = Institutions::new(vec![
        heart("aachen.heart", tier, &[40, 41], &[200, 210]),
        heart("basel.heart", tier, &[60], &[230]),
    ]);
    Arc::new(
        all.answering("aachen.heart", batch(aachen))
            .answering("basel.heart", batch(basel)),
    )
}

fn missing_cells(report: &QueryReport) -> Vec<AnswerRemark> {
    let remarks = report.summary().remarks.into_iter();
    remarks
        .filter(|remark| remark.kind == RemarkKind::MissingCells)
        .collect()
}

#[tokio::test]
async fn plan_withheld_part_is_missing_not_zero_or_half_a_mean() {
    // The mean, the number of rows, and the number of values.
    let answer =
        |mean: i64, with: Option<i64>| vec![("a0", ints(&[mean])), ("a1", counts(&[None])), ("a2", counts(&[with]))];
    let all = answering(Tier::Aggregate, answer(250, None), answer(200, Some(2)));
    let sql = "SELECT count(*), avg(chol) FROM consortium.heart";
    let (rows, report) = all.answer(sql).await.unwrap();
    assert!(rows.column(0).is_null(0), "both withhold the count");
    assert_eq!(lines(&rows), ["-|200.0"]);
    let remarks = missing_cells(&report);
    assert_eq!(remarks.len(), 1, "both withhold the count: {remarks:?}");
    assert_eq!(remarks[0].institution.as_ref().unwrap().as_str(), "aachen");
    assert_eq!(remarks[0].column.as_deref(), Some("avg(chol)"));
    assert_eq!(remarks[0].cells, [BTreeMap::new()]);
    assert!(report.require_complete().is_ok());
}

#[tokio::test]
async fn plan_cell_that_lacks_a_part_has_a_remark() {
    let answer = |rows: [Option<i64>; 2]| vec![("g0", grid()), ("a0", counts(&[rows[0], rows[1], None, None]))];
    let all = answering(Tier::Aggregate, answer([Some(20), Some(20)]), answer([Some(20), None]));
    let sql = "SELECT sex, count(*) FROM consortium.heart GROUP BY sex ORDER BY 1";
    let (rows, report) = all.answer(sql).await.unwrap();
    assert_eq!(lines(&rows), ["f|40", "m|20", "other|-", "-|-"]);
    let notes = report.summary().notes;
    assert!(
        notes
            .iter()
            .any(|note| note.contains("basel.heart") && note.contains("sex = m")),
        "{notes:?}"
    );
    assert!(report.require_complete().is_ok());
}

#[tokio::test]
async fn plan_value_withheld_in_a_group_has_a_remark() {
    let answer = |means: [Option<i64>; 2], with: [Option<i64>; 2]| {
        vec![
            ("g0", grid()),
            ("a0", counts(&[means[0], means[1], None, None])),
            ("a1", counts(&[Some(20), Some(20), None, None])),
            ("a2", counts(&[with[0], with[1], None, None])),
        ]
    };
    let withheld = || answer([None, Some(250)], [None, Some(20)]);
    let complete = || answer([Some(200), Some(230)], [Some(20), Some(20)]);
    for (value, column) in [("avg(chol)", "avg(chol)"), ("avg(h.chol) AS mean", "mean")] {
        let sql = format!("SELECT h.sex, count(*), {value} FROM consortium.heart h GROUP BY h.sex ORDER BY 1");
        let all = answering(Tier::Aggregate, withheld(), complete());
        let (rows, report) = all.answer(&sql).await.unwrap();
        // Aachen withholds the mean of `f`, so it is in no figure of that row.
        assert_eq!(lines(&rows), ["f|20|200.0", "m|40|240.0", "other|-|-", "-|-|-"]);
        let remarks = missing_cells(&report);
        assert_eq!(remarks.len(), 1, "{remarks:?}");
        assert_eq!(remarks[0].institution.as_ref().unwrap().as_str(), "aachen");
        assert_eq!(remarks[0].column.as_deref(), Some(column));
        assert_eq!(remarks[0].cells, [BTreeMap::from([("sex".to_owned(), "f".to_owned())])]);
        let text = &remarks[0].text;
        assert!(text.contains(column) && text.contains("sex = f"), "{text}");
        assert!(!text.contains("g0") && !text.contains("a1"), "{text}");
    }
}

/// A remark names a column of the answer: the one that is computed from a figure that is none.
#[tokio::test]
async fn plan_remark_names_the_column_that_is_computed() {
    // A sum and a number of rows, in the order of the text.
    let answer = |sums: [Option<i64>; 2]| {
        vec![
            ("g0", grid()),
            ("a0", counts(&[sums[0], sums[1], None, None])),
            ("a1", counts(&[sums[1], sums[0], None, None])),
        ]
    };
    let all = answering(Tier::Aggregate, answer([Some(20), None]), answer([Some(30), Some(30)]));
    let sql = "SELECT sex, 1.0 * sum(chol) / count(*) AS rate FROM consortium.heart GROUP BY sex ORDER BY sex";
    let (rows, report) = all.answer(sql).await.unwrap();
    // In both rows aachen withholds one of the two, so each is that of basel.
    assert_eq!(lines(&rows), ["f|1.0", "m|1.0", "other|-", "-|-"]);
    for remark in missing_cells(&report) {
        assert_eq!(remark.institution.as_ref().unwrap().as_str(), "aachen");
        assert_eq!(remark.column.as_deref(), Some("rate"));
        assert!(
            remark.text.contains("no other figure of the same row"),
            "{}",
            remark.text
        );
    }
    assert_eq!(missing_cells(&report).len(), 2);
    // A member that is only in the number of rows would make the rate larger.
    let sql = "SELECT sex, count(*) AS n FROM consortium.heart GROUP BY sex HAVING 1.0 * sum(chol) / count(*) > 1 ORDER BY sex";
    let (rows, _) = all.answer(sql).await.unwrap();
    assert_eq!(rows.num_rows(), 0);
}

#[tokio::test]
async fn plan_records_withhold_nothing() {
    let none = vec![("a0", counts(&[None])), ("a1", counts(&[Some(0)]))];
    let some = vec![("a0", ints(&[400])), ("a1", ints(&[2]))];
    let all = answering(Tier::Records, none, some);
    let (rows, report) = all.answer("SELECT avg(chol) FROM consortium.heart").await.unwrap();
    assert_eq!(lines(&rows), ["200.0"]);
    assert!(missing_cells(&report).is_empty());
}

#[tokio::test]
async fn plan_groups_of_institutions_lack_no_part() {
    let all = two(Tier::Aggregate);
    let sql = "SELECT institution, count(*) FROM consortium.heart GROUP BY institution";
    let (_, report) = all.answer(sql).await.unwrap();
    assert!(missing_cells(&report).is_empty());
}
