//! Forms of standard SQL that have to mean the same over all members as over one table.

use datafusion::arrow::array::{BooleanArray, Int64Array, StringArray};

use super::*;

fn visits(name: &'static str, codes: &[Option<&str>], paid: &[Option<bool>], numbers: &[i64]) -> Dataset {
    let codes: ArrayRef = Arc::new(StringArray::from(codes.to_vec()));
    let paid: ArrayRef = Arc::new(BooleanArray::from(paid.to_vec()));
    Dataset::new(
        name,
        Tier::Records,
        vec![("code", codes), ("paid", paid), ("n", ints(numbers))],
    )
}

fn all() -> Arc<Institutions> {
    Arc::new(Institutions::new(vec![
        visits(
            "aachen.visits",
            &[Some("a"), None, Some("a"), None],
            &[Some(true), None, Some(false), Some(true)],
            &[1, 2, 3, i64::MIN],
        ),
        visits("basel.visits", &[Some("b"), None], &[None, Some(false)], &[5, 6]),
    ]))
}

#[tokio::test]
async fn plan_rows_that_are_fetched_first_are_the_limit() {
    let all = all();
    for (sql, rows) in [
        (
            "SELECT n FROM consortium.visits WHERE n > 0 ORDER BY n FETCH FIRST 2 ROWS ONLY",
            vec!["1", "2"],
        ),
        (
            "SELECT n FROM consortium.visits ORDER BY n OFFSET 1 ROWS FETCH NEXT ROW ONLY",
            vec!["1"],
        ),
        (
            "SELECT max(q.n) FROM (SELECT n FROM consortium.visits WHERE n > 0 ORDER BY n FETCH FIRST 3 ROWS ONLY) q",
            vec!["3"],
        ),
    ] {
        assert_eq!(all.rows(sql).await, rows, "{sql}");
    }
    for sql in [
        "SELECT n FROM consortium.visits ORDER BY n FETCH FIRST 2 ROWS WITH TIES",
        "SELECT n FROM consortium.visits ORDER BY n LIMIT 1 FETCH FIRST 2 ROWS ONLY",
    ] {
        assert!(all.answer(sql).await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn plan_conditions_after_distinct_from_have_their_own_operands() {
    let all = all();
    for (condition, count) in [
        ("paid IS DISTINCT FROM TRUE", "4"),
        ("paid IS DISTINCT FROM TRUE AND n > 4", "2"),
        ("paid IS NOT DISTINCT FROM FALSE OR n = 1", "3"),
        ("n > 4 AND paid IS DISTINCT FROM FALSE OR code = 'a'", "3"),
        ("NOT paid IS DISTINCT FROM TRUE AND code IS NULL", "1"),
        ("paid IS DISTINCT FROM paid", "0"),
    ] {
        let sql = format!("SELECT count(*) FROM consortium.visits WHERE {condition}");
        assert_eq!(all.rows(&sql).await, [count], "{condition}");
    }
}

#[tokio::test]
async fn plan_group_that_is_named_twice_has_the_cells_of_one() {
    let all = all();
    for (sql, rows) in [
        (
            "SELECT code AS c1, code AS c2, count(*) AS n FROM consortium.visits GROUP BY code, code \
             HAVING count(*) BETWEEN 3 AND 20",
            vec!["-|-|3"],
        ),
        (
            "SELECT n % 2 AS a, code, n % 2 AS b, count(*) AS k, sum(n) AS s FROM consortium.visits WHERE n > 1 \
             GROUP BY n % 2, code, n % 2, code ORDER BY 1, 2",
            vec!["0|-|0|2|8", "1|a|1|1|3", "1|b|1|1|5"],
        ),
        (
            "SELECT code AS c1, count(*) AS n FROM consortium.visits GROUP BY code HAVING count(*) BETWEEN 3 AND 20",
            vec!["-|3"],
        ),
        (
            "SELECT code, sum(CASE WHEN paid THEN n - n END) AS s, max(- 1000.0) AS m FROM consortium.visits \
             GROUP BY code, code HAVING count(*) BETWEEN 3 AND 20",
            vec!["-|0|-1000.0"],
        ),
    ] {
        assert_eq!(all.rows(sql).await, rows, "{sql}");
    }
}

#[tokio::test]
async fn plan_groups_of_groups_have_the_names_of_the_table() {
    let all = all();
    let sql = "SELECT paid AS c1, (n % 2) AS c2, sum(CASE WHEN 2.25 >= visits.N THEN 1 ELSE 0 END) AS c3 \
               FROM consortium.visits WHERE n > 0 GROUP BY ROLLUP (paid, (n % 2)) ORDER BY 1, 2, 3";
    assert_eq!(
        all.rows(sql).await,
        [
            "false|0|0",
            "false|1|0",
            "false|-|0",
            "true|1|1",
            "true|-|1",
            "-|0|1",
            "-|1|0",
            "-|-|1",
            "-|-|2"
        ]
    );
}

#[tokio::test]
async fn plan_least_whole_number_has_no_negative() {
    let all = all();
    assert_eq!(
        all.rows("SELECT -n FROM consortium.visits WHERE n < 2 ORDER BY n")
            .await,
        ["-", "-1"]
    );
    let least: ArrayRef = Arc::new(Int64Array::from(vec![i64::MIN, 7]));
    let one = Dataset::new("aachen.numbers", Tier::Records, vec![("n", least)]);
    let one = Arc::new(Institutions::new(vec![one]));
    assert_eq!(
        one.rows("SELECT -n AS m FROM aachen.numbers ORDER BY n").await,
        ["-", "-7"]
    );
}
