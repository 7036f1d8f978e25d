use super::*;

#[test]
fn ordinary_queries_pass() {
    let dataset = "budapest.heart".parse().unwrap();
    for sql in [
        "SELECT * FROM heart",
        "SELECT h.* FROM heart h WHERE age BETWEEN 3 AND 5 AND NOT sex IS NULL",
        "SELECT age AS a, count(*) FROM budapest.heart GROUP BY a HAVING count(*) > 2 ORDER BY a DESC NULLS LAST LIMIT 3 OFFSET 1;",
        "SELECT count(DISTINCT sex), CAST(age AS DOUBLE PRECISION), age::text FROM heart WHERE age IN (1, 2) OR sex LIKE 'a%'",
        "SELECT EXTRACT(YEAR FROM age), substring(sex FROM 1 FOR 2), trim(BOTH 'x' FROM sex), DATE '2024-01-01' FROM heart",
        "SELECT CASE sex WHEN 1 THEN 'f' ELSE 'm' END, ceil(age), floor(age), position('a' IN sex), -age, (age) FROM heart",
    ] {
        checked(sql, &dataset, None, &["age", "sex"]).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

#[test]
fn query_names_exactly_the_version_that_was_opened() {
    let dataset = "budapest.heart".parse().unwrap();
    let at = |sql: &str, version: Option<u64>| checked(sql, &dataset, version.map(VersionNumber::new), &["age"]);
    let current = "SELECT age FROM heart";
    let third = "SELECT h.age FROM budapest.heart VERSION AS OF 3 AS h";
    at(current, None).unwrap();
    at(third, Some(3)).unwrap();
    for (sql, version) in [(current, Some(3)), (third, None), (third, Some(2))] {
        assert!(
            matches!(at(sql, version), Err(QueryError::OtherVersion)),
            "{sql} for {version:?}"
        );
    }
    for sql in [
        "SELECT age FROM heart FOR SYSTEM_TIME AS OF '2026-01-01'",
        "SELECT age FROM heart TIMESTAMP AS OF '2026-01-01'",
        "SELECT age FROM heart VERSION AS OF 99999999999999999999",
    ] {
        assert!(at(sql, None).is_err(), "{sql}");
    }
}
