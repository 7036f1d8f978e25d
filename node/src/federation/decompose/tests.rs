use super::*;
use crate::federation::statement::Question;

fn take_apart(sql: &str) -> Result<Decomposed, String> {
    let question = Question::parse(sql).unwrap();
    decompose(&question.query, question.tables.first().unwrap(), "parts")
}

fn all(columns: &[&str]) -> BTreeSet<String> {
    columns.iter().map(ToString::to_string).collect()
}

#[test]
fn a_mean_becomes_a_sum_and_a_count() {
    let taken =
        take_apart("SELECT sex, count(*), avg(h.chol) AS mean FROM consortium.heart h WHERE h.age > 40 GROUP BY sex")
            .unwrap();
    assert_eq!(
        taken.share.text(&all(&["sex", "chol", "age"])).unwrap(),
        "SELECT \"sex\" AS \"g0\", count(*) AS \"a0\", sum(\"chol\") AS \"a1\", count(\"chol\") AS \"a2\" FROM \"heart\" \
         WHERE \"age\" > 40 GROUP BY \"sex\""
    );
    assert_eq!(
        taken.home.to_string(),
        "SELECT \"g0\" AS \"sex\", sum(\"a0\") AS \"count(*)\", \
         (CAST(sum(CASE WHEN \"a2\" IS NOT NULL THEN \"a1\" END) AS DOUBLE) / \
         nullif(CAST(sum(CASE WHEN \"a1\" IS NOT NULL THEN \"a2\" END) AS DOUBLE), 0.0)) AS \"mean\" FROM \"parts\" GROUP BY \"g0\""
    );
}

#[test]
fn order_having_and_limit_stay_at_home() {
    let taken = take_apart(
        "SELECT sex AS s, SUM(chol) + 1 FROM consortium.heart GROUP BY 1 HAVING count(*) > 5 ORDER BY s, max(age) DESC LIMIT 3",
    )
    .unwrap();
    let home = taken.home.to_string();
    assert!(home.contains("HAVING sum(\"a1\") > 5"), "{home}");
    assert!(home.ends_with("ORDER BY \"s\", max(\"a2\") DESC LIMIT 3"), "{home}");
    assert!(home.contains("sum(\"a0\") + 1 AS \"SUM(chol) + 1\""), "{home}");
}

#[test]
fn a_grouped_column_inside_an_aggregate_is_still_the_column() {
    let taken = take_apart("SELECT sex, count(sex) FROM consortium.heart GROUP BY sex").unwrap();
    let text = taken.share.text(&all(&["sex"])).unwrap();
    assert!(text.contains("count(\"sex\") AS \"a0\""), "{text}");
}

#[test]
fn the_same_aggregate_is_asked_for_once() {
    let taken = take_apart("SELECT avg(chol), sum(chol), count(chol) FROM consortium.heart").unwrap();
    assert_eq!(
        taken.share.text(&all(&["chol"])).unwrap(),
        "SELECT sum(\"chol\") AS \"a0\", count(\"chol\") AS \"a1\" FROM \"heart\""
    );
}

#[test]
fn a_member_without_a_column_counts_as_missing_values() {
    let taken = take_apart("SELECT sex, avg(chol), count(*) FROM consortium.heart GROUP BY sex").unwrap();
    assert_eq!(
        taken.share.text(&all(&["sex"])).unwrap(),
        "SELECT \"sex\" AS \"g0\", count(*) AS \"a2\" FROM \"heart\" GROUP BY \"sex\""
    );
    let taken = take_apart("SELECT sum(chol + age) FROM consortium.heart").unwrap();
    assert_eq!(taken.share.text(&all(&["age"])), Err(MissingColumn("chol".to_owned())));
    let taken = take_apart("SELECT count(*) FROM consortium.heart WHERE chol IS NULL").unwrap();
    assert_eq!(taken.share.text(&all(&["age"])), Err(MissingColumn("chol".to_owned())));
}

#[test]
fn what_cannot_be_put_together_says_why() {
    for (sql, reason) in [
        ("SELECT median(chol) FROM consortium.heart", "`median`"),
        ("SELECT count(DISTINCT sex) FROM consortium.heart", "DISTINCT"),
        (
            "SELECT sex, age, count(*) FROM consortium.heart GROUP BY sex",
            "`age` is neither",
        ),
        ("SELECT * FROM consortium.heart", "all columns"),
        ("SELECT DISTINCT sex FROM consortium.heart", "distinct"),
        (
            "SELECT count(*) FROM consortium.heart a JOIN consortium.heart b ON a.id = b.id",
            "joins",
        ),
        (
            "SELECT count(*) FROM consortium.heart WHERE id IN (SELECT id FROM consortium.heart)",
            "subquery",
        ),
        ("SELECT count(*) FILTER (WHERE age > 3) FROM consortium.heart", "FILTER"),
        ("SELECT sum(count(*)) OVER () FROM consortium.heart", "window"),
        (
            "SELECT sex, count(*) FROM consortium.heart GROUP BY CUBE (sex)",
            "several ways",
        ),
        ("SELECT 1 FROM consortium.heart", "single records"),
    ] {
        let told = take_apart(sql).unwrap_err();
        assert!(told.contains(reason), "{sql}: {told}");
    }
}
