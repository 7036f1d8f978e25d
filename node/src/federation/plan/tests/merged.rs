//! Figures over several members below `records` are those of one holder of all rows, if nothing is withheld.

use proptest::prelude::*;

use super::*;
use crate::federation::testing::batch;

const QUERIES: [&str; 9] = [
    "SELECT sex, count(*) AS n, sum(chol) AS s, avg(chol) AS m FROM TABLE GROUP BY sex ORDER BY sex",
    "SELECT var_samp(chol) AS v, var_pop(chol) AS p, stddev(chol) AS d, stddev_pop(chol) AS e FROM TABLE",
    "SELECT sex, covar_samp(chol, age) AS d, covar_pop(chol, age) AS p FROM TABLE GROUP BY sex ORDER BY sex",
    "SELECT CASE WHEN age >= 50 THEN 'old' ELSE 'young' END AS old, count(*) AS n, avg(age + 2 * chol) AS m FROM TABLE GROUP BY 1 ORDER BY 1",
    // A number of no one is withheld, and then a member has no part of the other figures of the row.
    "SELECT count(*) FILTER (WHERE sex = 'f') AS f FROM TABLE WHERE age > 20",
    "SELECT sum(chol) AS s FROM TABLE WHERE age > 20",
    "SELECT sex, n, n * 100 / (SELECT count(*) FROM TABLE) AS percent FROM (SELECT sex, count(*) AS n FROM TABLE GROUP BY sex) g \
     WHERE n IS NOT NULL ORDER BY n DESC, sex LIMIT 2",
    "SELECT sex, count(*) AS n, 100.0 * count(*) / sum(count(*)) OVER () AS percent FROM TABLE GROUP BY sex \
     ORDER BY n DESC NULLS LAST, sex LIMIT 2",
    "SELECT age, sex, count(*) AS n FROM TABLE WHERE age BETWEEN 40 AND 42 GROUP BY age, sex HAVING count(*) > 1 ORDER BY n DESC, age, sex",
];

type Rows = Vec<(i64, i64)>;

fn rows() -> impl Strategy<Value = Vec<Rows>> {
    prop::collection::vec(prop::collection::vec((1..110_i64, 0..1000_i64), 2..12), 2..4)
}

/// Members of a name each, with these ages and values.
fn members(parts: &[Rows], tier: Tier) -> Arc<Institutions> {
    let names = ["aachen.heart", "basel.heart", "zurich.heart"];
    let datasets = parts.iter().zip(names).enumerate().map(|(at, (rows, name))| {
        let (ages, values): (Vec<i64>, Vec<i64>) = rows.iter().copied().unzip();
        // One of them may be shared as records.
        let tier = if at == 1 { tier } else { Tier::Aggregate };
        heart(name, tier, &ages, &values)
    });
    Arc::new(Institutions::new(datasets.collect()))
}

/// Whether two rows are equal, where numbers may differ in the last digits.
fn is_close(one: &str, other: &str) -> bool {
    let mut parts = one.split('|').zip(other.split('|'));
    one.split('|').count() == other.split('|').count()
        && parts.all(|(one, other)| match (one.parse::<f64>(), other.parse::<f64>()) {
            (Ok(one), Ok(other)) => (one - other).abs() <= 1e-6 * other.abs().max(1.0),
            _ => one == other,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn merged_answers_are_those_of_one_holder(parts in rows(), is_shared in any::<bool>()) {
        // Otherwise no one lists `f`.
        prop_assume!(parts.iter().flatten().any(|(age, _)| age % 2 == 0));
        let tier = if is_shared { Tier::Records } else { Tier::Aggregate };
        let several = members(&parts, tier);
        let one = members(&[parts.concat()], Tier::Aggregate);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        // Holders of records do not compute covariances.
        for sql in QUERIES.into_iter().filter(|sql| !is_shared || !sql.contains("covar")) {
            let [merged, alone] = runtime.block_on(async {
                [
                    several.rows(&sql.replace("TABLE", "consortium.heart")).await,
                    one.rows(&sql.replace("TABLE", "aachen.heart")).await,
                ]
            });
            prop_assert_eq!(merged.len(), alone.len(), "{}: {:?} {:?}", sql, merged, alone);
            for (merged, alone) in merged.iter().zip(&alone) {
                prop_assert!(is_close(merged, alone), "{}: {} {}", sql, merged, alone);
            }
        }
    }
}

/// A withheld cell is missing, in `HAVING`, in arithmetic and in an order, and never zero.
#[tokio::test]
async fn merged_cells_that_all_withhold_are_missing_above() {
    let all = two(Tier::Aggregate);
    for (sql, rows) in [
        (
            "SELECT sex, count(*) + 0 AS n FROM consortium.heart GROUP BY sex ORDER BY n DESC NULLS LAST, sex",
            vec!["f|3", "m|2", "other|-", "-|-"],
        ),
        (
            "SELECT sex, count(*) AS n FROM consortium.heart GROUP BY sex HAVING NOT count(*) > 2 ORDER BY sex",
            vec!["m|2"],
        ),
        (
            "SELECT sex FROM consortium.heart GROUP BY sex HAVING count(*) IS NULL ORDER BY sex",
            vec!["other", "-"],
        ),
    ] {
        assert_eq!(all.rows(sql).await, rows, "{sql}");
    }
}

/// An answer that was computed on other declarations is not combined: its groups are not these.
#[tokio::test]
async fn merged_answer_of_another_grid_is_refused() {
    let answer = batch(vec![("g0", texts(&["<40", "40+"])), ("a0", ints(&[20, 20]))]);
    let all = Institutions::new(vec![
        heart("aachen.heart", Tier::Aggregate, &[40, 41], &[200, 210]),
        heart("basel.heart", Tier::Aggregate, &[60], &[230]),
    ]);
    let all = ["aachen", "basel"]
        .into_iter()
        .fold(all, |all, name| all.declaring(name, vec![38, 40, 42]));
    let all = Arc::new(all.answering("aachen.heart", answer));
    let sql = "SELECT age, count(*) AS n FROM consortium.heart WHERE age BETWEEN 38 AND 41 GROUP BY age";
    let error = all.answer(sql).await.unwrap_err();
    assert!(matches!(error, FederationError::ColumnsChanged { .. }), "{error}");
}
