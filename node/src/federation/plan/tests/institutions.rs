//! Conditions on the institution: members that they exclude matter in no way.

use super::*;

/// `beta` lacks `y` and has another type of `zip`, and `gamma` cannot be reached.
fn three() -> Arc<Institutions> {
    let all = Institutions::new(vec![
        Dataset::new(
            "alfa.t",
            Tier::Records,
            vec![("x", ints(&[1])), ("y", ints(&[10])), ("zip", ints(&[8001]))],
        ),
        Dataset::new(
            "beta.t",
            Tier::Records,
            vec![("X", ints(&[2])), ("zip", texts(&["EC1"]))],
        ),
        Dataset::new("gamma.t", Tier::Records, vec![("x", ints(&[3]))]),
    ]);
    Arc::new(all.offline("gamma.t"))
}

#[tokio::test]
async fn plan_members_that_a_condition_excludes_do_not_matter() {
    for (sql, row) in [
        ("SELECT avg(y) FROM consortium.t WHERE institution = 'alfa'", "10.0"),
        ("SELECT y FROM consortium.t WHERE institution = 'alfa'", "10"),
        ("SELECT y FROM consortium.t WHERE 'alfa' = INSTITUTION AND y > 1", "10"),
        (
            "SELECT zip FROM consortium.t WHERE institution = 'alfa' AND zip > 8000",
            "8001",
        ),
        (
            "SELECT zip FROM consortium.t WHERE institution = 'beta' AND zip LIKE 'EC%'",
            "EC1",
        ),
        (
            "SELECT zip, count(*) FROM consortium.t WHERE institution IN ('beta') GROUP BY zip",
            "EC1|1",
        ),
        ("SELECT median(x) FROM consortium.t WHERE institution = 'beta'", "2.0"),
        (
            "SELECT sum(x) FROM consortium.t WHERE institution IN ('alfa', 'beta')",
            "3",
        ),
        ("SELECT sum(x) FROM consortium.t WHERE institution <> 'gamma'", "3"),
        ("SELECT sum(x) FROM consortium.t WHERE NOT institution = 'gamma'", "3"),
        (
            "SELECT sum(x) FROM consortium.t WHERE institution = 'alfa' OR institution = 'beta'",
            "3",
        ),
        (
            "SELECT sum(x) FROM consortium.t WHERE institution = 'alfa' AND x > 0 OR institution = 'beta' AND x > 1",
            "3",
        ),
        (
            "SELECT q.y FROM (SELECT * FROM consortium.t) q WHERE q.institution = 'alfa'",
            "10",
        ),
        (
            "SELECT institution, sum(y) FROM consortium.t GROUP BY institution HAVING institution = 'alfa'",
            "alfa|10",
        ),
        // Read twice, from one member each.
        (
            "SELECT count(*) FROM consortium.t a LEFT JOIN consortium.t b ON a.x < b.x AND b.institution = 'beta' \
             WHERE a.institution = 'alfa'",
            "1",
        ),
    ] {
        let all = three();
        let (rows, report) = all.answer(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(lines(&rows), [row], "{sql}");
        assert!(report.require_complete().is_ok(), "{sql}");
        assert!(report.summary().remarks.is_empty(), "{sql}");
    }
}

#[tokio::test]
async fn plan_members_that_a_condition_excludes_get_no_query() {
    let all = three();
    let sql = "SELECT sum(x) FROM consortium.t WHERE x > 0 AND institution = 'beta'";
    assert_eq!(all.rows(sql).await, ["2"]);
    let received = all.received();
    assert_eq!(received.len(), 1, "{received:?}");
    assert!(received[0].starts_with("beta: "), "{received:?}");
    assert!(!received[0].contains("institution"), "{received:?}");
}

#[tokio::test]
async fn plan_members_that_one_table_needs_have_their_remark() {
    for sql in [
        "SELECT sum(x) FROM consortium.t",
        "SELECT sum(x) FROM consortium.t WHERE institution >= 'beta'",
        "SELECT sum(x) FROM consortium.t WHERE institution = 'alfa' OR x > 1",
        "SELECT sum(x) FROM consortium.t WHERE institution = 'alfa' OR random() > 2",
        "SELECT institution, sum(x) FROM consortium.t GROUP BY institution",
        "SELECT count(*) FROM consortium.t a JOIN consortium.t b ON a.x = b.x WHERE a.institution = 'alfa'",
        "SELECT count(*) FROM (SELECT x, institution FROM consortium.t ORDER BY x LIMIT 1) q WHERE q.institution = 'alfa'",
    ] {
        let (_, report) = three()
            .answer(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        let Err(FederationError::Incomplete { missing }) = report.require_complete() else {
            panic!("{sql}")
        };
        assert_eq!(missing.len(), 1, "{sql}: {missing:?}");
        assert!(missing[0].contains("gamma.t"), "{sql}: {missing:?}");
    }
}

#[tokio::test]
async fn plan_query_of_a_missing_member_only_states_why() {
    let error = refusal(&three(), "SELECT sum(x) FROM consortium.t WHERE institution = 'gamma'").await;
    let FederationError::NoPart { table, missing } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(table, "consortium.t");
    assert!(missing[0].contains("it cannot be reached"), "{missing:?}");
    let lacking = refusal(&three(), "SELECT y FROM consortium.t WHERE institution = 'beta'").await;
    assert!(lacking.to_string().contains("no column `y`"), "{lacking}");
}

#[tokio::test]
async fn plan_institution_of_no_member_has_no_rows() {
    let sql = "SELECT x, y, zip FROM consortium.t WHERE institution = 'nowhere'";
    let (rows, report) = three().answer(sql).await.unwrap();
    assert_eq!(rows.num_rows(), 0);
    assert!(report.require_complete().is_ok());
}
