//! Cells that members leave out, and values that they withhold.

use concordat_documents::query::{AnswerRemark, RemarkKind};
use datafusion::arrow::array::{Array, Int64Array};

use super::*;
use crate::federation::testing::batch;

fn counts(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

/// Two members with these answers to every query.
fn answering(tier: Tier, aachen: Vec<(&str, ArrayRef)>, basel: Vec<(&str, ArrayRef)>) -> Arc<Institutions> {
    let all = Institutions::new(vec![
        heart("aachen.heart", tier, &[40], &[200]),
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
    let answer =
        |sum: i64, with: Option<i64>| vec![("a0", counts(&[None])), ("a1", ints(&[sum])), ("a2", counts(&[with]))];
    let all = answering(Tier::Aggregate, answer(5000, None), answer(400, Some(2)));
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
    let answer = |groups: &[&str], rows: &[i64]| vec![("g0", texts(groups)), ("a0", ints(rows))];
    let all = answering(Tier::Aggregate, answer(&["f", "m"], &[20, 20]), answer(&["f"], &[20]));
    let sql = "SELECT sex, count(*) FROM consortium.heart GROUP BY sex ORDER BY 1";
    let (rows, report) = all.answer(sql).await.unwrap();
    assert_eq!(lines(&rows), ["f|40", "m|20"]);
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
    let answer = |sums: &[Option<i64>], with: &[Option<i64>]| {
        vec![
            ("g0", texts(&["f", "m"])),
            ("a0", ints(&[20, 20])),
            ("a1", counts(sums)),
            ("a2", counts(with)),
        ]
    };
    let withheld = || answer(&[None, Some(5000)], &[None, Some(20)]);
    let complete = || answer(&[Some(4000), Some(4600)], &[Some(20), Some(20)]);
    for (value, column) in [("avg(chol)", "avg(chol)"), ("avg(h.chol) AS mean", "mean")] {
        let sql = format!("SELECT h.sex, count(*), {value} FROM consortium.heart h GROUP BY h.sex ORDER BY 1");
        let all = answering(Tier::Aggregate, withheld(), complete());
        let (rows, report) = all.answer(&sql).await.unwrap();
        assert_eq!(lines(&rows), ["f|40|200.0", "m|40|240.0"]);
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
