//! Whole numbers of one member in a column that is `DOUBLE` at another: an answer has them as they are, or there is none.

use super::*;

/// 18 digits, of which a `DOUBLE` holds 16.
const CODE: i64 = 100_000_000_000_000_992;

/// At `alfa`, `code` and `small` are whole numbers, and at `beta` they have halves.
fn codes(tier: Tier) -> Arc<Institutions> {
    let halves = || -> ArrayRef { Arc::new(Float64Array::from(vec![0.5, 1.5])) };
    let codes: Vec<i64> = (0..4).map(|at| CODE + at).collect();
    let alfa = vec![("code", ints(&codes)), ("small", ints(&[1, 2, 3, 4]))];
    let beta = vec![("code", halves()), ("small", halves())];
    Arc::new(Institutions::new(vec![
        Dataset::new("alfa.t", tier, alfa),
        Dataset::new("beta.t", tier, beta),
    ]))
}

#[tokio::test]
async fn plan_whole_numbers_of_a_member_are_as_they_are() {
    for (sql, rows) in [
        ("SELECT count(*) FROM consortium.t WHERE code = 100000000000000993", "1"),
        ("SELECT count(*) FROM consortium.t WHERE code = 993", "0"),
        (
            "SELECT count(*) FROM consortium.t WHERE code IN (100000000000000993, 0.5)",
            "2",
        ),
        (
            "SELECT count(*) FROM consortium.t WHERE code BETWEEN 1 AND 100000000000000993",
            "3",
        ),
        ("SELECT count(code) FROM consortium.t", "6"),
        (
            "SELECT count(*) FROM consortium.t WHERE code > 1e17 AND code IS NOT NULL",
            "4",
        ),
        ("SELECT count(*) FROM consortium.t WHERE small * 2 > 3", "3"),
        ("SELECT sum(small), avg(small) FROM consortium.t", "12.0|2.0"),
        (
            "SELECT count(DISTINCT code) FROM consortium.t WHERE institution = 'alfa'",
            "4",
        ),
        ("SELECT max(small), min(small) FROM consortium.t", "4.0|0.5"),
        ("SELECT count(DISTINCT small) FROM consortium.t", "6"),
        (
            "SELECT small, count(*) FROM consortium.t GROUP BY small ORDER BY small LIMIT 1",
            "0.5|1",
        ),
        ("SELECT count(*) FROM consortium.t WHERE coalesce(small, 0) > 1", "4"),
        ("SELECT count(*) FROM alfa.t a JOIN beta.t b ON a.code = b.code", "0"),
    ] {
        assert_eq!(codes(Tier::Records).rows(sql).await, [rows], "{sql}");
    }
}

#[tokio::test]
async fn plan_whole_number_that_would_change_ends_the_answer() {
    for sql in [
        "SELECT code FROM consortium.t",
        "SELECT count(DISTINCT code) FROM consortium.t",
        "SELECT code, count(*) FROM consortium.t GROUP BY code",
        "SELECT max(code) FROM consortium.t",
        "SELECT count(*) FROM consortium.t a JOIN consortium.t b ON a.code = b.code",
        "SELECT count(*) FROM consortium.t WHERE coalesce(code, 0) > 5",
        "SELECT count(*) FROM consortium.t WHERE CAST(code AS TEXT) = '5'",
    ] {
        let error = codes(Tier::Records).answer(sql).await.unwrap_err();
        let FederationError::ValueChanges { column, dataset, .. } = &error else {
            panic!("{sql}: {error:?}")
        };
        assert!(
            column.contains("code") && dataset.to_string() == "alfa.t",
            "{sql}: {error}"
        );
        let text = error.to_string();
        assert!(
            text.contains("is a whole number there, and a number over all members"),
            "{text}"
        );
        assert!(error.help().unwrap().contains("`WHERE institution = 'alfa'`"));
    }
    let united = "SELECT code FROM alfa.t UNION ALL SELECT code FROM beta.t";
    let error = codes(Tier::Records).answer(united).await.unwrap_err();
    assert!(error.to_string().contains("has no `DOUBLE`"), "{error}");
    let error = refusal(
        &codes(Tier::Count),
        "SELECT count(*) FROM consortium.t WHERE coalesce(code, 0) > 5",
    )
    .await;
    assert!(error.to_string().contains("below tier `records`"), "{error}");
}

/// `beta` has a column of its own that is called like the institution of a row.
fn with_institution() -> Arc<Institutions> {
    Arc::new(Institutions::new(vec![
        Dataset::new("alfa.t", Tier::Records, vec![("x", ints(&[1]))]),
        Dataset::new(
            "beta.t",
            Tier::Records,
            vec![("Institution", texts(&["clinic"])), ("x", ints(&[2]))],
        ),
    ]))
}

#[tokio::test]
async fn plan_member_does_not_replace_the_institution_of_a_row() {
    let note = "`beta.t` has a column `Institution`, which is `institution_2` here";
    for (sql, rows, noted) in [
        ("SELECT x FROM consortium.t WHERE institution = 'beta'", vec!["2"], true),
        (
            "SELECT x FROM consortium.t WHERE institution = 'alfa'",
            vec!["1"],
            false,
        ),
        (
            "SELECT institution, sum(x) FROM consortium.t GROUP BY institution ORDER BY institution",
            vec!["alfa|1", "beta|2"],
            true,
        ),
        (
            "SELECT institution_2, institution FROM consortium.t WHERE institution = 'beta'",
            vec!["clinic|beta"],
            true,
        ),
        ("SELECT sum(x) FROM consortium.t", vec!["3"], false),
        ("SELECT \"Institution\" FROM beta.t", vec!["clinic"], false),
    ] {
        let (answer, report) = with_institution()
            .answer(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(lines(&answer), rows, "{sql}");
        let notes = report.summary().notes;
        assert_eq!(notes.iter().any(|text| text.contains(note)), noted, "{sql}: {notes:?}");
        assert!(report.require_complete().is_ok(), "{sql}");
    }
}
