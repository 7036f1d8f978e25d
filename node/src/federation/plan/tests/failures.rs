//! Failures of what this node computes from answers and records: what a person reads has no text of the engine, and no value.

use concordat_protocol::error_kind::chain;

use super::*;

const LARGE: i64 = 9_000_000_000_000_000_000;
const TOO_LARGE: &str = "the sum of `code` is beyond 64 bits; write `sum(CAST(code AS DOUBLE))`";

fn codes() -> Arc<Institutions> {
    Arc::new(Institutions::new(vec![
        Dataset::new("alfa.t", Tier::Records, vec![("code", ints(&[LARGE, LARGE]))]),
        Dataset::new("beta.t", Tier::Records, vec![("code", ints(&[LARGE, 1]))]),
    ]))
}

async fn failed(all: &Arc<Institutions>, sql: &str) -> FederationError {
    let error = all.answer(sql).await.err().unwrap_or_else(|| panic!("answered: {sql}"));
    let line = chain(&error);
    for text in [
        "External error",
        "Arrow error",
        "exhausted",
        "smoker",
        "9000000000000000000",
    ] {
        assert!(!line.contains(text), "{sql}: {line}");
    }
    error
}

async fn reason(all: &Arc<Institutions>, sql: &str) -> QueryError {
    let error = failed(all, sql).await;
    let found = format!("{sql}: {error:?}");
    let FederationError::Query { source, .. } = error else {
        panic!("{found}")
    };
    *source
}

#[tokio::test]
async fn plan_sums_of_whole_numbers_do_not_wrap() {
    let all = codes();
    assert_eq!(all.rows("SELECT avg(code) FROM consortium.t").await, ["6.75e18"]);
    let sql = "SELECT sum(CAST(code AS DOUBLE)) FROM consortium.t";
    assert_eq!(all.rows(sql).await, ["2.7e19"]);
    let sql = "SELECT sum(CAST(code AS DECIMAL(19, 0))) FROM consortium.t";
    assert_eq!(all.rows(sql).await, ["27000000000000000001"]);
    assert_eq!(
        all.rows("SELECT sum(code - 1) FROM consortium.t WHERE code < 5").await,
        ["0"]
    );
    for sql in [
        "SELECT sum(code) FROM consortium.t",
        "SELECT code > 5 AS large, sum(code) AS total FROM consortium.t GROUP BY code > 5",
        "SELECT sum(code) / count(*) AS mean FROM consortium.t HAVING count(*) > 1",
        "SELECT sum(a.code) FROM alfa.t a JOIN beta.t b ON a.code = b.code",
        "SELECT sum(code) OVER () FROM consortium.t",
    ] {
        let reason = reason(&all, sql).await;
        assert!(matches!(reason, QueryError::SumTooLarge { .. }), "{sql}: {reason:?}");
        assert_eq!(reason.to_string(), TOO_LARGE, "{sql}");
    }
}

#[tokio::test]
async fn plan_sums_of_decimals_name_what_is_summed() {
    let member = |name| Dataset::new(name, Tier::Records, vec![("code", ints(&[LARGE]))]);
    let all = Arc::new(Institutions::new(vec![member("alfa.t"), member("beta.t")]));
    for aggregate in ["sum", "avg"] {
        let sql = format!("SELECT {aggregate}(CAST(code AS DECIMAL(38, 19))) FROM consortium.t");
        assert_eq!(reason(&all, &sql).await.to_string(), TOO_LARGE, "{sql}");
    }
}

#[tokio::test]
async fn plan_strict_cast_that_fails_names_the_type_only() {
    let smokers = |name| {
        Dataset::new(
            name,
            Tier::Records,
            vec![("smoking", texts(&["Never smoker", "Ever smoker"]))],
        )
    };
    let all = Arc::new(Institutions::new(vec![smokers("alfa.t"), smokers("beta.t")]));
    for sql in [
        "SELECT a.smoking FROM alfa.t a JOIN beta.t b ON a.smoking = b.smoking WHERE CAST(a.smoking AS INT) > 1",
        "SELECT CAST(smoking AS INT) FROM consortium.t",
        "SELECT smoking, row_number() OVER (ORDER BY CAST(smoking AS INT)) FROM alfa.t",
    ] {
        let reason = reason(&all, sql).await;
        assert!(matches!(reason, QueryError::CannotCast { .. }), "{sql}: {reason:?}");
    }
}

#[tokio::test]
async fn plan_query_that_needs_too_much_memory_is_refused() {
    let all = Institutions::new(vec![
        heart("aachen.heart", Tier::Records, &[40, 41, 50], &[200, 210, 220]),
        heart("basel.heart", Tier::Records, &[60, 61], &[230, 241]),
    ]);
    let all = Arc::new(all.with_memory(1));
    for sql in [
        "SELECT a.age FROM aachen.heart a JOIN basel.heart b ON a.sex = b.sex",
        "SELECT age FROM consortium.heart ORDER BY age",
    ] {
        let reason = reason(&all, sql).await;
        assert!(matches!(reason, QueryError::Memory), "{sql}: {reason:?}");
    }
}

#[tokio::test]
async fn plan_error_of_a_member_is_the_one_of_a_join() {
    for lost in ["aachen.heart", "basel.heart"] {
        let all = Institutions::new(vec![
            heart("aachen.heart", Tier::Records, &[40, 41, 50], &[200, 210, 220]),
            heart("basel.heart", Tier::Records, &[60, 61], &[230, 241]),
        ]);
        let all = Arc::new(all.lost(lost));
        let sql = "SELECT a.age FROM aachen.heart a JOIN basel.heart b ON a.sex = b.sex ORDER BY a.age";
        let error = failed(&all, sql).await;
        let FederationError::Misbehaved { provider, .. } = &error else {
            panic!("{lost}: {error:?}")
        };
        assert!(lost.starts_with(provider.as_str()), "{lost}: {provider}");
    }
}
