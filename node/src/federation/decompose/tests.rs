use super::*;
use crate::federation::statement::ParsedQuery;

fn decompose_sql(sql: &str) -> Result<Decomposed, String> {
    let parsed = ParsedQuery::parse(sql).unwrap();
    decompose(&parsed.query, parsed.tables.first().unwrap(), "parts")
}

fn all(columns: &[&str]) -> BTreeSet<String> {
    columns.iter().map(ToString::to_string).collect()
}

#[test]
fn decompose_mean_becomes_sum_and_count() {
    let decomposed = decompose_sql(
        "SELECT sex, count(*), avg(h.chol) AS mean FROM consortium.heart h WHERE h.age > 40 GROUP BY sex",
    )
    .unwrap();
    assert_eq!(
        decomposed.contribution.text(&all(&["sex", "chol", "age"])).unwrap(),
        "SELECT \"sex\" AS \"g0\", count(*) AS \"a0\", sum(\"chol\") AS \"a1\", count(\"chol\") AS \"a2\" FROM \"heart\" \
         WHERE \"age\" > 40 GROUP BY \"sex\""
    );
    assert_eq!(
        decomposed.local.to_string(),
        "SELECT \"g0\" AS \"sex\", sum(\"a0\") AS \"count(*)\", \
         (CAST(sum(CASE WHEN \"a2\" IS NOT NULL THEN \"a1\" END) AS DOUBLE) / \
         nullif(CAST(sum(CASE WHEN \"a1\" IS NOT NULL THEN \"a2\" END) AS DOUBLE), 0.0)) AS \"mean\" FROM \"parts\" GROUP BY \"g0\""
    );
}

#[test]
fn decompose_keeps_order_having_and_limit_local() {
    let decomposed = decompose_sql(
        "SELECT sex AS s, SUM(chol) + 1 FROM consortium.heart GROUP BY 1 HAVING count(*) > 5 ORDER BY s, max(age) DESC LIMIT 3",
    )
    .unwrap();
    let local = decomposed.local.to_string();
    assert!(local.contains("HAVING sum(\"a1\") > 5"), "{local}");
    assert!(local.ends_with("ORDER BY \"s\", max(\"a2\") DESC LIMIT 3"), "{local}");
    assert!(local.contains("sum(\"a0\") + 1 AS \"SUM(chol) + 1\""), "{local}");
}

#[test]
fn decompose_grouped_column_in_an_aggregate_is_kept() {
    let decomposed = decompose_sql("SELECT sex, count(sex) FROM consortium.heart GROUP BY sex").unwrap();
    let text = decomposed.contribution.text(&all(&["sex"])).unwrap();
    assert!(text.contains("count(\"sex\") AS \"a0\""), "{text}");
}

#[test]
fn decompose_same_aggregate_is_requested_once() {
    let decomposed = decompose_sql("SELECT avg(chol), sum(chol), count(chol) FROM consortium.heart").unwrap();
    assert_eq!(
        decomposed.contribution.text(&all(&["chol"])).unwrap(),
        "SELECT sum(\"chol\") AS \"a0\", count(\"chol\") AS \"a1\" FROM \"heart\""
    );
}

#[test]
fn decompose_member_without_a_column_counts_as_nulls() {
    let decomposed = decompose_sql("SELECT sex, avg(chol), count(*) FROM consortium.heart GROUP BY sex").unwrap();
    assert_eq!(
        decomposed.contribution.text(&all(&["sex"])).unwrap(),
        "SELECT \"sex\" AS \"g0\", count(*) AS \"a2\" FROM \"heart\" GROUP BY \"sex\""
    );
    let decomposed = decompose_sql("SELECT sum(chol + age) FROM consortium.heart").unwrap();
    assert_eq!(
        decomposed.contribution.text(&all(&["age"])),
        Err(MissingColumn("chol".to_owned()))
    );
    let decomposed = decompose_sql("SELECT count(*) FROM consortium.heart WHERE chol IS NULL").unwrap();
    assert_eq!(
        decomposed.contribution.text(&all(&["age"])),
        Err(MissingColumn("chol".to_owned()))
    );
}

#[test]
fn decompose_of_a_non_decomposable_query_gives_the_reason() {
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
        ("SELECT 1 FROM consortium.heart", "individual records"),
    ] {
        let message = decompose_sql(sql).unwrap_err();
        assert!(message.contains(reason), "{sql}: {message}");
    }
}
