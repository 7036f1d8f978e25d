//! First rows, ranks, totals and groups of figures of which an answer has a remark.

use concordat_documents::query::{AnswerRemark, RemarkKind};
use datafusion::arrow::array::Date32Array;

use super::*;

fn of_orders(report: &QueryReport) -> Vec<AnswerRemark> {
    let remarks = report.summary().remarks.into_iter();
    remarks
        .filter(|remark| remark.kind == RemarkKind::OrderOfFigures)
        .collect()
}

/// The remark is about the text, and the same for one holder and for several.
#[tokio::test]
async fn plan_first_rows_of_figures_have_a_remark() {
    let all = two(Tier::Aggregate);
    let mut texts = BTreeSet::new();
    for (table, first) in [("aachen.heart", "f|2"), ("consortium.heart", "f|3")] {
        let sql = format!("SELECT sex, count(*) AS n FROM {table} GROUP BY sex ORDER BY n DESC NULLS LAST LIMIT 1");
        let (rows, report) = all.answer(&sql).await.unwrap();
        assert_eq!(lines(&rows), [first]);
        let [remark] = <[AnswerRemark; 1]>::try_from(of_orders(&report)).unwrap();
        assert_eq!(remark.column.as_deref(), Some("n"));
        assert!(
            report.require_complete().is_ok(),
            "it is an answer without `--allow-partial`"
        );
        texts.insert(remark.text);
        let stated = sql.replace(" ORDER BY", " HAVING count(*) IS NOT NULL ORDER BY");
        let (rows, report) = all.answer(&stated).await.unwrap();
        assert_eq!(lines(&rows), [first]);
        assert!(of_orders(&report).is_empty(), "{stated}");
    }
    assert_eq!(texts.len(), 1, "{texts:?}");
    let records = "SELECT sex, count(*) AS n FROM basel.heart GROUP BY sex ORDER BY n DESC LIMIT 1";
    let (_, report) = all.answer(records).await.unwrap();
    assert!(of_orders(&report).is_empty(), "records withhold nothing");
}

/// Missing values are first in this dialect, and are rows that are seen.
#[tokio::test]
async fn plan_first_rows_of_missing_figures_are_shown() {
    let all = two(Tier::Aggregate);
    for table in ["aachen.heart", "consortium.heart"] {
        let sql = format!("SELECT sex, count(*) AS n FROM {table} GROUP BY sex ORDER BY n DESC, sex LIMIT 3");
        let (rows, report) = all.answer(&sql).await.unwrap();
        assert_eq!(lines(&rows)[..2], ["other|-", "-|-"]);
        assert!(lines(&rows)[2].starts_with("f|"), "{sql}");
        let [remark] = <[AnswerRemark; 1]>::try_from(of_orders(&report)).unwrap();
        assert!(remark.text.contains("`NULLS LAST`"), "{}", remark.text);
    }
}

#[tokio::test]
async fn plan_ranks_of_figures_have_a_remark() {
    let all = two(Tier::Aggregate);
    for table in ["aachen.heart", "consortium.heart"] {
        let sql = format!(
            "SELECT sex, rank() OVER (ORDER BY n DESC NULLS LAST) AS r FROM (SELECT sex, count(*) AS n FROM {table} GROUP BY sex) g \
             ORDER BY r, sex"
        );
        let (rows, report) = all.answer(&sql).await.unwrap();
        assert_eq!(lines(&rows), ["f|1", "m|2", "other|3", "-|3"], "{sql}");
        assert_eq!(of_orders(&report).len(), 1);
    }
}

/// Each member counts the total as well: it is not the sum of the groups that are shown.
#[tokio::test]
async fn plan_total_of_figures_is_that_of_all_members() {
    let all = two(Tier::Aggregate);
    let percent = "100.0 * count(*) / sum(count(*)) OVER () AS percent";
    let sql = format!("SELECT sex, {percent} FROM consortium.heart GROUP BY sex ORDER BY sex");
    assert_eq!(all.rows(&sql).await, ["f|60.0", "m|40.0", "other|-", "-|-"]);
    assert_eq!(all.received().len(), 4, "the groups and the total of each member");
    let parts = "SELECT * FROM (SELECT institution, sex, 1.0 * count(*) / sum(count(*)) OVER (PARTITION BY institution) AS part \
                 FROM consortium.heart GROUP BY institution, sex) q WHERE part = 0.5 ORDER BY sex";
    assert_eq!(all.rows(parts).await, ["basel|f|0.5", "basel|m|0.5"]);
    let one = sql.replace("consortium", "aachen");
    let rows = all.rows(&one).await;
    assert!(
        rows[0].starts_with("f|66.6") && rows[1].starts_with("m|33.3"),
        "{rows:?}"
    );
}

/// The outermost years have what is beyond the edges, at one holder and at several of them together.
#[tokio::test]
async fn plan_outermost_groups_have_a_remark() {
    let visits = |name: &'static str| {
        let days: ArrayRef = Arc::new(Date32Array::from(vec![10_957, 11_000, 11_100]));
        Dataset::new(name, Tier::Aggregate, vec![("day", days)])
    };
    let one = Arc::new(Institutions::new(vec![visits("aachen.visits")]));
    let two = Arc::new(Institutions::new(vec![visits("aachen.visits"), visits("basel.visits")]));
    for (all, table) in [(one, "aachen.visits"), (two, "consortium.visits")] {
        for (condition, expected) in [
            (
                "",
                "the group 1999 has all rows whose `day` is before DATE '2000-01-01', and the group 2002 has",
            ),
            (
                "WHERE day < DATE '2002-01-01'",
                "the group 1999 has all rows whose `day` is before DATE '2000-01-01': ",
            ),
            ("WHERE day >= DATE '2000-01-01' AND day < DATE '2002-01-01'", ""),
        ] {
            let sql = format!("SELECT date_part('year', day) AS y, count(*) AS n FROM {table} {condition} GROUP BY 1");
            let (plan, report) = all.plan(&sql).await;
            plan.unwrap_or_else(|error| panic!("{sql}: {error}"));
            let mut remarks = report.summary().remarks.into_iter();
            let found = remarks.find(|remark| remark.kind == RemarkKind::ValuesBeyond);
            assert_eq!(found.is_some(), !expected.is_empty(), "{sql}");
            let text = found.map(|remark| remark.text).unwrap_or_default();
            assert!(text.starts_with(expected), "{sql}: {text}");
        }
    }
}

/// The remark follows from the text and the declarations: this holder has edges at the months of 2000 and 2001.
#[tokio::test]
async fn plan_months_beyond_the_edges_have_a_remark() {
    let days: ArrayRef = Arc::new(Date32Array::from(vec![10_957, 11_000, 11_100]));
    let visits = Dataset::new("aachen.visits", Tier::Aggregate, vec![("day", days)]);
    let all = Arc::new(Institutions::new(vec![visits]));
    for (condition, expected) in [
        ("", 1),
        ("WHERE day >= DATE '2000-01-01'", 1),
        ("WHERE day >= DATE '2000-01-01' AND day < DATE '2002-01-01'", 0),
    ] {
        let sql =
            format!("SELECT date_part('month', day) AS m, count(*) AS n FROM aachen.visits {condition} GROUP BY 1");
        let (plan, report) = all.plan(&sql).await;
        assert!(matches!(plan.unwrap(), Plan::Whole { .. }), "{sql}");
        let remarks = report.summary().remarks.into_iter();
        let found = remarks.filter(|remark| remark.kind == RemarkKind::ValuesBeyond);
        assert_eq!(found.count(), expected, "{sql}");
    }
}
