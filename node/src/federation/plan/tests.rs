mod collections;
mod failures;
mod institutions;
mod limited;
mod merged;
mod noise;
mod ordered;
mod standard;
mod whole_numbers;
mod withheld;

use concordat_protocol::scope::{BandWidth, Generalization, Transform};
use datafusion::arrow::array::{ArrayRef, Float64Array};

use super::*;
use crate::federation::testing::{Dataset, Institutions, ints, lines, texts};

fn heart(name: &'static str, tier: Tier, ages: &[i64], chol: &[i64]) -> Dataset {
    let sex: Vec<&str> = ages.iter().map(|age| if age % 2 == 0 { "f" } else { "m" }).collect();
    Dataset::new(
        name,
        tier,
        vec![("age", ints(ages)), ("sex", texts(&sex)), ("chol", ints(chol))],
    )
}

fn two(tier: Tier) -> Arc<Institutions> {
    Arc::new(Institutions::new(vec![
        heart("aachen.heart", tier, &[40, 41, 50], &[200, 210, 220]),
        heart("basel.heart", Tier::Records, &[60, 61], &[230, 241]),
    ]))
}

async fn refusal(institutions: &Arc<Institutions>, sql: &str) -> FederationError {
    institutions
        .plan(sql)
        .await
        .0
        .err()
        .unwrap_or_else(|| panic!("planned: {sql}"))
}

/// All holders and this node count by the day on which the query is planned.
#[tokio::test]
async fn plan_below_records_has_the_day_of_the_plan() {
    let all = two(Tier::Aggregate);
    let text = async |sql: &str| match all.plan(sql).await.0.unwrap() {
        Plan::Whole { query, .. } => query.sql,
        Plan::Local(local) => local.text,
    };
    let counted = text("SELECT current_date AS today, count(*) AS n FROM aachen.heart").await;
    assert!(counted.contains("DATE '2026-11-30' AS today"), "{counted}");
    // So does a query for records, as there is one day for all rows and all texts.
    let records = text("SELECT current_date AS today, age FROM basel.heart").await;
    assert!(records.contains("DATE '2026-11-30' AS today"), "{records}");
    let days = "SELECT count(*) AS n FROM basel.heart WHERE current_date = DATE '2026-11-30'";
    assert_eq!(all.rows(days).await, ["2"]);
}

/// No holder computes it, and this node has one time for all rows.
#[tokio::test]
async fn plan_has_the_time_at_which_it_was_made() {
    let all = two(Tier::Records);
    let sql = "SELECT DISTINCT now() > TIMESTAMP '2020-01-01 00:00:00' AND now() = current_timestamp AND age > 0 AS later FROM consortium.heart";
    assert_eq!(all.rows(sql).await, ["true"]);
}

#[tokio::test]
async fn plan_query_of_one_dataset_is_sent_as_a_whole() {
    let all = two(Tier::Aggregate);
    let sql = "SELECT SEX, count(*) AS N FROM basel.heart GROUP BY Sex ORDER BY 2 LIMIT 3";
    let (plan, _) = all.plan(sql).await;
    let Plan::Whole { target, query } = plan.unwrap() else {
        panic!("not whole")
    };
    assert_eq!(target.dataset.to_string(), "basel.heart");
    assert_eq!(
        query.sql,
        "SELECT sex, count(*) AS N FROM \"heart\" GROUP BY sex ORDER BY 2 LIMIT 3"
    );
    let names: Vec<_> = query
        .schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    assert_eq!(names, ["sex", "N"]);
    assert!(query.grouped);
}

#[tokio::test]
async fn plan_requests_partial_aggregates_from_all_members() {
    let all = two(Tier::Aggregate);
    let sql = "SELECT h.sex, count(*), avg(h.chol) AS mean FROM consortium.heart h WHERE h.age > 40 GROUP BY h.sex ORDER BY 1";
    // Each cell of the grid is a row: those without rows, or with too few, are missing.
    assert_eq!(all.rows(sql).await, ["f|2|225.0", "m|2|225.5", "other|-|-", "-|-|-"]);
    let received = all.received();
    assert_eq!(received.len(), 2);
    assert!(
        received[0].starts_with("aachen: SELECT r1.\"sex\" AS \"g0\", "),
        "{received:?}"
    );
    assert!(
        received[0].contains(" FROM \"heart\" AS r1 WHERE ") && received[0].ends_with(" GROUP BY 1"),
        "{received:?}"
    );
    // Of records, groups are labels of the same cells.
    assert!(received[1].starts_with("basel: SELECT CASE WHEN "), "{received:?}");
}

#[tokio::test]
async fn plan_order_having_and_limit_are_computed_from_the_combined_cells() {
    let all = two(Tier::Aggregate);
    let sql = "SELECT sex AS s, sum(chol) + 1 AS t FROM consortium.heart GROUP BY sex \
               HAVING count(*) > 2 AND count(*) IS NOT NULL AND sum(chol) IS NOT NULL ORDER BY t DESC LIMIT 3";
    assert_eq!(all.rows(sql).await, ["f|651"]);
}

#[tokio::test]
async fn plan_records_at_tier_aggregate_are_refused_with_the_reason() {
    let all = two(Tier::Aggregate);
    for (sql, expected) in [
        (
            "SELECT median(chol) FROM consortium.heart",
            "does not follow from theirs",
        ),
        (
            "SELECT count(DISTINCT sex) FROM consortium.heart",
            "count(DISTINCT subject)",
        ),
        ("SELECT min(chol) FROM consortium.heart", "approx_percentile_cont"),
        ("SELECT * FROM consortium.heart", "individual records"),
        (
            "SELECT count(*) FROM consortium.heart WHERE age IN (SELECT age FROM basel.heart)",
            "not datasets of one collection",
        ),
        (
            "SELECT sex, age, count(*) FROM consortium.heart GROUP BY GROUPING SETS ((sex), (age))",
            "the set of all columns",
        ),
        (
            "SELECT avg(count(*)) OVER () FROM consortium.heart GROUP BY sex",
            "a second query",
        ),
        ("SELECT sex FROM consortium.heart GROUP BY sex", "add `count(*)`"),
        ("SELECT sex FROM aachen.heart GROUP BY sex", "add `count(*)`"),
        (
            "SELECT age + 1 AS a, count(*) AS n FROM consortium.heart GROUP BY age",
            "whose levels are labels",
        ),
        (
            "SELECT sex, rank() OVER (ORDER BY count(*) DESC) AS r FROM consortium.heart GROUP BY sex",
            "`IS NOT NULL` of each figure that the function depends on",
        ),
        (
            "SELECT * FROM (SELECT sex, count(*) AS n FROM consortium.heart GROUP BY sex) g ORDER BY coalesce(n, 0) DESC LIMIT 1",
            "`IS NOT NULL` of each figure that the order",
        ),
        (
            "SELECT sex FROM basel.heart WHERE sex NOT IN (SELECT sex FROM (SELECT sex, count(*) AS n FROM aachen.heart GROUP BY sex) g \
             WHERE n > 1)",
            "this form over figures",
        ),
    ] {
        let error = refusal(&all, sql).await.to_string();
        assert!(error.contains(expected), "{sql}: {error}");
    }
    assert!(all.received().is_empty());
    let filtered = "SELECT count(*) FILTER (WHERE age > 40) AS n FROM consortium.heart";
    assert_eq!(all.rows(filtered).await, ["4"]);
}

/// Each set of groups is a query of its own to each member, and its parts are combined.
#[tokio::test]
async fn plan_sets_of_groups_are_combined_one_by_one() {
    let all = two(Tier::Aggregate);
    for groups in ["ROLLUP (sex)", "CUBE (sex)", "GROUPING SETS ((), (sex))"] {
        let sql = format!(
            "SELECT * FROM (SELECT sex, count(*) AS n FROM consortium.heart GROUP BY {groups}) AS t WHERE n IS NOT NULL ORDER BY n"
        );
        assert_eq!(all.rows(&sql).await, ["m|2", "f|3", "-|5"], "{groups}");
    }
    let of_sets = all.received().into_iter().filter(|sql| sql.starts_with("aachen"));
    assert_eq!(of_sets.count(), 6);
    // What is shared as records is grouped here, whatever the sets are.
    let records = two(Tier::Records);
    let sql = "SELECT sex, count(*) AS n FROM consortium.heart GROUP BY ROLLUP (sex) ORDER BY n";
    assert_eq!(records.rows(sql).await, ["m|2", "f|3", "-|5"]);
}

#[tokio::test]
async fn plan_what_a_holder_does_not_compute_is_computed_from_its_records() {
    let all = two(Tier::Aggregate);
    let sql = "SELECT age, row_number() OVER (ORDER BY age DESC) AS r FROM basel.heart ORDER BY r";
    assert_eq!(all.rows(sql).await, ["61|1", "60|2"]);
    assert_eq!(all.received(), ["basel: SELECT \"age\" FROM \"heart\""]);
    let error = refusal(&all, "SELECT age, row_number() OVER (ORDER BY age) FROM aachen.heart").await;
    assert!(
        matches!(&error, FederationError::Query { dataset: Some(_), .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn plan_window_over_groups_needs_the_groups_only() {
    let all = two(Tier::Aggregate);
    let sql = "SELECT sex, rank() OVER (ORDER BY n DESC) AS r FROM (SELECT sex, count(*) AS n FROM aachen.heart GROUP BY sex) g \
               WHERE n IS NOT NULL ORDER BY r";
    assert_eq!(all.rows(sql).await, ["f|1", "m|2"]);
    let combined = sql.replace("aachen.heart", "consortium.heart");
    assert_eq!(all.rows(&combined).await, ["f|1", "m|2"]);
}

#[tokio::test]
async fn plan_sends_every_branch_to_the_holder_of_its_data() {
    let all = two(Tier::Aggregate);
    let sql = "SELECT 'a' AS site, count(*) AS n FROM aachen.heart UNION ALL SELECT 'b', count(*) FROM basel.heart ORDER BY n";
    assert_eq!(all.rows(sql).await, ["b|2", "a|3"]);
    let sql = "WITH groups AS (SELECT sex, count(*) AS n FROM aachen.heart GROUP BY sex) \
               SELECT g.sex, g.n, b.age FROM groups g JOIN basel.heart b ON g.sex = b.sex ORDER BY b.age";
    assert_eq!(all.rows(sql).await, ["f|2|60", "m|1|61"]);
}

#[tokio::test]
async fn plan_institution_is_a_column_of_the_union() {
    let all = two(Tier::Aggregate);
    let sql = "SELECT institution, count(*) AS n FROM consortium.heart WHERE age >= 50 GROUP BY institution ORDER BY 1";
    assert_eq!(all.rows(sql).await, ["aachen|1", "basel|2"]);
    let asked = all.received().len();
    let sql = "SELECT age, institution FROM consortium.heart WHERE institution = 'basel' ORDER BY age";
    let records = two(Tier::Records);
    assert_eq!(records.rows(sql).await, ["60|basel", "61|basel"]);
    assert_eq!(
        records.received().len(),
        1,
        "the other member is not asked: {:?}",
        records.received()
    );
    let sql = "SELECT count(*) FROM consortium.heart WHERE institution IN ('basel', 'zurich')";
    assert_eq!(all.rows(sql).await, ["2"]);
    assert_eq!(all.received().len(), asked + 1);
    // Whether a member below `records` has matching rows does not show.
    let sql = "SELECT institution, count(*) AS n FROM consortium.heart WHERE age > 55 GROUP BY institution";
    assert_eq!(all.rows(sql).await, ["aachen|-", "basel|2"]);
}

#[tokio::test]
async fn plan_members_that_differ_fit_in_the_columns_in_use() {
    let number: ArrayRef = Arc::new(Float64Array::from(vec![2.5]));
    let all = Arc::new(Institutions::new(vec![
        Dataset::new(
            "alfa.t",
            Tier::Records,
            vec![
                ("pid", texts(&["a"])),
                ("Age", ints(&[50])),
                ("zip", ints(&[1])),
                ("d", ints(&[1])),
            ],
        ),
        Dataset::new(
            "beta.t",
            Tier::Records,
            vec![
                ("PID", texts(&["b"])),
                ("age", ints(&[70])),
                ("zip", texts(&["x"])),
                ("d", number),
            ],
        ),
    ]));
    assert_eq!(
        all.rows("SELECT count(AGE), avg(age), sum(d) FROM consortium.t").await,
        ["2|60.0|3.5"]
    );
    assert_eq!(
        all.rows("SELECT pid, age FROM consortium.t ORDER BY age").await,
        ["a|50", "b|70"]
    );
    let error = refusal(&all, "SELECT zip FROM consortium.t").await;
    assert!(
        matches!(&error, FederationError::SchemaMismatch { column, .. } if column == "zip"),
        "{error}"
    );
    let error = refusal(&all, "SELECT zip, count(*) FROM consortium.t GROUP BY zip").await;
    assert!(matches!(&error, FederationError::SchemaMismatch { .. }), "{error}");
}

#[tokio::test]
async fn plan_column_without_values_fits_to_every_type() {
    let none: ArrayRef = Arc::new(datafusion::arrow::array::StringArray::from(vec![None::<&str>, None]));
    let all = Arc::new(Institutions::new(vec![
        Dataset::new(
            "alfa.t",
            Tier::Records,
            vec![("pid", texts(&["a1", "a2"])), ("ldl", ints(&[130, 110]))],
        ),
        Dataset::new(
            "beta.t",
            Tier::Records,
            vec![("pid", texts(&["b1", "b2"])), ("ldl", none)],
        ),
    ]));
    assert_eq!(
        all.rows("SELECT avg(ldl), count(*) FROM consortium.t").await,
        ["120.0|4"]
    );
    let sql = "SELECT ldl, pid FROM consortium.t ORDER BY pid";
    assert_eq!(all.rows(sql).await, ["130|a1", "110|a2", "-|b1", "-|b2"]);
}

#[tokio::test]
async fn plan_member_without_a_column_in_use_is_left_out_in_every_form() {
    let all = || {
        Arc::new(Institutions::new(vec![
            Dataset::new("alfa.t", Tier::Records, vec![("x", ints(&[1])), ("y", ints(&[10]))]),
            Dataset::new("beta.t", Tier::Records, vec![("x", ints(&[2]))]),
        ]))
    };
    for (sql, rows) in [
        ("SELECT avg(y) FROM consortium.t", "10.0"),
        ("SELECT avg(y + 1) FROM consortium.t", "11.0"),
        ("SELECT count(*) FROM consortium.t WHERE y > 1", "1"),
        ("SELECT count(*) FROM consortium.t WHERE y IS NULL", "0"),
        ("SELECT x, y FROM consortium.t", "1|10"),
        ("SELECT y, count(*) FROM consortium.t GROUP BY y", "10|1"),
    ] {
        let (answer, report) = all().answer(sql).await.unwrap();
        assert_eq!(lines(&answer), [rows], "{sql}");
        let Err(FederationError::Incomplete { missing }) = report.require_complete() else {
            panic!("{sql}")
        };
        assert!(
            missing[0].contains("beta.t") && missing[0].contains("`y`"),
            "{missing:?}"
        );
    }
    let (_, report) = all().answer("SELECT sum(x) FROM consortium.t").await.unwrap();
    assert!(report.require_complete().is_ok());
}

#[tokio::test]
async fn plan_bands_compare_at_their_edges_only() {
    let ages = Dataset::new("alfa.t", Tier::Aggregate, vec![("age", ints(&[45, 55, 65, 95]))])
        .showing("age", Transform::Generalized(Generalization::AgeBand(BandWidth::Ten)));
    let all = Arc::new(Institutions::new(vec![ages]));
    assert_eq!(
        all.rows("SELECT count(*) FROM consortium.t WHERE age >= 50").await,
        ["3"]
    );
    for sql in [
        "SELECT count(*) FROM consortium.t WHERE age > 50",
        "SELECT count(*) FROM alfa.t WHERE age < 55",
        "SELECT count(*) FROM alfa.t WHERE CAST(age AS INT) > 50",
    ] {
        let error = refusal(&all, sql).await;
        assert!(matches!(&error, FederationError::Query { .. }), "{sql}: {error:?}");
    }
}

#[tokio::test]
async fn plan_names_of_an_answer_are_distinct() {
    let all = two(Tier::Records);
    let sql = "SELECT a.age, b.age FROM aachen.heart a JOIN basel.heart b ON a.sex = b.sex";
    let (rows, report) = all.answer(sql).await.unwrap();
    let names: Vec<_> = rows
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    assert_eq!(names, ["age", "age_2"]);
    assert_eq!(report.summary().notes.len(), 1);
    let (rows, _) = all
        .answer("SELECT * FROM aachen.heart a JOIN basel.heart b ON a.sex = b.sex")
        .await
        .unwrap();
    let names: BTreeSet<_> = rows
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    assert_eq!(names.len(), 6);
}

#[tokio::test]
async fn plan_unknown_column_is_a_usage_error_before_anything_is_sent() {
    let all = two(Tier::Aggregate);
    for sql in [
        "SELECT avg(cholesterol) FROM consortium.heart",
        "SELECT cholesterol FROM basel.heart",
    ] {
        let error = refusal(&all, sql).await;
        let text = error.to_string();
        assert!(text.contains("cholesterol"), "{text}");
    }
    let error = refusal(&all, "SELECT 1").await;
    assert!(matches!(&error, FederationError::Usage { .. }), "{error}");
    assert!(all.received().is_empty());
}

/// Statements that are short, or shallow, and become large when they are planned.
#[tokio::test]
async fn plan_statement_that_expands_is_refused_at_no_cost() {
    let all = two(Tier::Records);
    let repeated = |part: &str, number: usize, by: &str| vec![part; number].join(by);
    let doubled: String = (0..40)
        .map(|n| {
            format!(
                ", a{} AS (SELECT x.sex FROM a{n} x JOIN a{n} y ON x.sex = y.sex)",
                n + 1
            )
        })
        .collect();
    let tables: Vec<String> = (0..1000).map(|n| format!("aachen.heart t{n}")).collect();
    for sql in [
        format!(
            "SELECT {} AS x FROM aachen.heart h JOIN basel.heart i ON h.sex = i.sex",
            repeated("1", 20_000, "+")
        ),
        repeated("SELECT sex FROM aachen.heart", 1000, " UNION ALL "),
        format!("SELECT count(*) FROM {}", tables.join(", ")),
        format!("WITH a0 AS (SELECT h.sex FROM aachen.heart h){doubled} SELECT count(*) FROM a40"),
        format!("SELECT * FROM (WITH a0 AS (SELECT h.sex FROM aachen.heart h){doubled} SELECT count(*) FROM a40)"),
        format!(
            "SELECT (WITH a0 AS (SELECT h.sex FROM aachen.heart h){doubled} SELECT count(*) FROM a40) FROM basel.heart"
        ),
    ] {
        let (plan, _) = all.plan(&sql).await;
        assert!(plan.is_err(), "{}", sql.chars().take(60).collect::<String>());
    }
}
