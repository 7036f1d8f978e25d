//! Figures of values that are limited to a declared range, of which an answer has a remark.

use concordat_documents::query::{AnswerRemark, RemarkKind};

use super::*;

const RANGE: &str = "-1000000 to 1000000";

/// The remarks on limits; the holders declare the same range for each column of numbers.
async fn of_limits(all: &Arc<Institutions>, sql: &str) -> Vec<AnswerRemark> {
    let (plan, report) = all.plan(sql).await;
    plan.unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert!(report.require_complete().is_ok(), "{sql}");
    let remarks = report.summary().remarks.into_iter();
    let is_of_limits =
        |remark: &AnswerRemark| matches!(remark.kind, RemarkKind::LimitedValues | RemarkKind::QuantilesInBands);
    remarks.filter(is_of_limits).collect()
}

#[tokio::test]
async fn plan_values_that_one_holder_limits_have_a_remark() {
    let all = two(Tier::Aggregate);
    for (sql, kind) in [
        ("SELECT avg(chol) AS f FROM aachen.heart", RemarkKind::LimitedValues),
        (
            "SELECT sex, sum(chol) AS f FROM aachen.heart GROUP BY sex",
            RemarkKind::LimitedValues,
        ),
        (
            "SELECT median(chol) AS f FROM aachen.heart",
            RemarkKind::QuantilesInBands,
        ),
        // Cells of one member each.
        (
            "SELECT institution, avg(chol) AS f FROM consortium.heart GROUP BY institution",
            RemarkKind::LimitedValues,
        ),
    ] {
        let [remark] = <[AnswerRemark; 1]>::try_from(of_limits(&all, sql).await).unwrap();
        assert_eq!(remark.kind, kind, "{sql}");
        assert_eq!(remark.institution.unwrap().as_str(), "aachen", "{sql}");
        assert_eq!(remark.column.as_deref(), Some("chol"), "{sql}");
        assert!(remark.text.contains(RANGE), "{sql}: {}", remark.text);
    }
    for sql in [
        "SELECT count(*) AS n FROM aachen.heart",
        "SELECT avg(chol) AS f FROM basel.heart",
    ] {
        assert!(of_limits(&all, sql).await.is_empty(), "{sql}");
    }
}

/// Records have no limits, and equal ranges are ranges too.
#[tokio::test]
async fn plan_values_that_members_limit_have_a_remark() {
    let same = Institutions::new(vec![
        heart("aachen.heart", Tier::Aggregate, &[40, 41, 50], &[200, 210, 220]),
        heart("basel.heart", Tier::Aggregate, &[60, 61], &[230, 241]),
    ]);
    for (all, is_listed) in [(two(Tier::Aggregate), true), (Arc::new(same), false)] {
        let found = of_limits(&all, "SELECT avg(chol) AS f FROM consortium.heart").await;
        let [remark] = <[AnswerRemark; 1]>::try_from(found).unwrap();
        assert_eq!(remark.column.as_deref(), Some("chol"));
        assert!(remark.text.contains(RANGE), "{}", remark.text);
        assert_eq!(
            remark.text.contains("without limits at basel"),
            is_listed,
            "{}",
            remark.text
        );
    }
}
