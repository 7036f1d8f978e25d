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
        checked(sql, &dataset, &["age", "sex"]).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

#[test]
fn query_can_request_a_version() {
    let version = |sql: &str| requested_version(sql).unwrap().map(VersionNumber::get);
    assert_eq!(version("SELECT * FROM heart"), None);
    assert_eq!(
        version("SELECT h.age FROM budapest.heart VERSION AS OF 3 AS h"),
        Some(3)
    );
    let dataset = "budapest.heart".parse().unwrap();
    checked("SELECT age FROM heart VERSION AS OF 3", &dataset, &["age"]).unwrap();
    for sql in [
        "SELECT age FROM heart FOR SYSTEM_TIME AS OF '2026-01-01'",
        "SELECT age FROM heart TIMESTAMP AS OF '2026-01-01'",
        "SELECT age FROM heart VERSION AS OF 99999999999999999999",
    ] {
        assert!(requested_version(sql).is_err(), "{sql}");
        assert!(checked(sql, &dataset, &["age"]).is_err(), "{sql}");
    }
}
