use concordat_protocol::scope::Tier;
use datafusion::arrow::array::{Array, Float64Array, Int64Array};

use std::sync::LazyLock;

use super::*;
use crate::federation::plan::{Targets, plan};
use crate::federation::statement::ParsedQuery;
use crate::federation::table::tests::{Script, batch, ints, target};

async fn run_query(sql: &str, targets: &Targets, script: Arc<dyn QuerySource>) -> Result<Answer, FederationError> {
    let planned = plan(ParsedQuery::parse(sql).unwrap(), targets).unwrap();
    // Rows are computed only while the threads exist.
    static THREADS: LazyLock<Threads> = LazyLock::new(Threads::default);
    run(planned, script, &THREADS, 64 << 20).await
}

fn consortium(targets: Vec<Target>) -> Targets {
    let table = ParsedQuery::parse("SELECT 1 FROM consortium.heart")
        .unwrap()
        .tables
        .pop_first()
        .unwrap();
    Targets::from([(table, targets)])
}

#[tokio::test]
async fn run_partial_aggregates_equal_those_of_one_table() {
    let columns = &["sex", "chol"][..];
    let targets = consortium(vec![
        target("aachen.heart", Tier::Aggregate, columns),
        target("basel.heart", Tier::Records, columns),
    ]);
    // aachen: sex 0 has 2 rows, one without a value; basel: sex 0 has 1 row, sex 1 has 3.
    let script = Script::new(vec![
        (
            "aachen",
            batch(vec![
                ("g0", ints(&[0])),
                ("a0", ints(&[2])),
                ("a1", ints(&[200])),
                ("a2", ints(&[1])),
            ]),
        ),
        (
            "basel",
            batch(vec![
                ("g0", ints(&[0, 1])),
                ("a0", ints(&[1, 3])),
                ("a1", ints(&[301, 700])),
                ("a2", ints(&[1, 3])),
            ]),
        ),
    ]);
    let sql = "SELECT sex, count(*), avg(chol) FROM consortium.heart GROUP BY sex ORDER BY sex";
    let answer = run_query(sql, &targets, script).await.unwrap();
    let names: Vec<_> = answer
        .schema
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    assert_eq!(names, ["sex", "count(*)", "avg(chol)"]);
    let rows: Vec<_> = answer.batches.try_collect().await.unwrap();
    let rows = datafusion::arrow::compute::concat_batches(&answer.schema, &rows).unwrap();
    let counts = rows.column(1).as_any().downcast_ref::<Int64Array>().unwrap();
    let means = rows.column(2).as_any().downcast_ref::<Float64Array>().unwrap();
    assert_eq!(counts.values(), &[3, 3]);
    assert_eq!(means.values(), &[501.0 / 2.0, 700.0 / 3.0]);
}

#[tokio::test]
async fn run_count_of_no_rows_is_zero_and_mean_is_null() {
    let targets = consortium(vec![
        target("aachen.heart", Tier::Aggregate, &["chol"]),
        target("basel.heart", Tier::Aggregate, &[]),
    ]);
    let empty = batch(vec![
        ("a0", ints(&[0])),
        ("a1", Arc::new(Int64Array::from(vec![None]))),
        ("a2", ints(&[0])),
    ]);
    let script = Script::new(vec![("aachen", empty), ("basel", batch(vec![("a0", ints(&[0]))]))]);
    let sql = "SELECT count(*) AS n, avg(chol) AS mean FROM consortium.heart";
    let answer = run_query(sql, &targets, script).await.unwrap();
    let rows: Vec<_> = answer.batches.try_collect().await.unwrap();
    let first = rows.first().unwrap();
    assert_eq!(
        first.column(0).as_any().downcast_ref::<Int64Array>().unwrap().value(0),
        0
    );
    assert!(first.column(1).is_null(0));
}

#[tokio::test]
async fn run_withheld_cell_is_null_not_zero_or_half_a_mean() {
    let missing = || -> datafusion::arrow::array::ArrayRef { Arc::new(Int64Array::from(vec![None])) };
    let both = vec![
        target("aachen.heart", Tier::Aggregate, &["chol"]),
        target("basel.heart", Tier::Aggregate, &["chol"]),
    ];
    let aachen = batch(vec![("a0", missing()), ("a1", ints(&[5000])), ("a2", missing())]);
    let basel = batch(vec![("a0", missing()), ("a1", ints(&[400])), ("a2", ints(&[2]))]);
    let script = Script::new(vec![("aachen", aachen), ("basel", basel)]);
    let sql = "SELECT count(*), avg(chol) FROM consortium.heart";
    let answer = run_query(sql, &consortium(both), script).await.unwrap();
    let rows: Vec<_> = answer.batches.try_collect().await.unwrap();
    let first = rows.first().unwrap();
    assert!(first.column(0).is_null(0), "both withhold the count");
    assert_eq!(
        first
            .column(1)
            .as_any()
            .downcast_ref::<Float64Array>()
            .unwrap()
            .values(),
        &[200.0]
    );
}

#[tokio::test]
async fn run_records_of_several_members_are_joined_locally() {
    let script = Script::new(vec![
        ("aachen", batch(vec![("id", ints(&[1, 2, 3]))])),
        ("basel", batch(vec![("id", ints(&[2, 3, 3]))])),
    ]);
    let table = |name: &str| {
        ParsedQuery::parse(&format!("SELECT 1 FROM {name}"))
            .unwrap()
            .tables
            .pop_first()
            .unwrap()
    };
    let targets = Targets::from([
        (
            table("aachen.person"),
            vec![target("aachen.person", Tier::Records, &["id"])],
        ),
        (
            table("basel.visit"),
            vec![target("basel.visit", Tier::Records, &["id"])],
        ),
    ]);
    let sql = "SELECT p.id, count(*) AS n FROM aachen.person p JOIN basel.visit v ON p.id = v.id GROUP BY p.id ORDER BY n DESC";
    let answer = run_query(sql, &targets, script.clone()).await.unwrap();
    let rows: Vec<_> = answer.batches.try_collect().await.unwrap();
    let rows = datafusion::arrow::compute::concat_batches(&answer.schema, &rows).unwrap();
    assert_eq!(
        rows.column(0).as_any().downcast_ref::<Int64Array>().unwrap().values(),
        &[3, 2]
    );
    assert_eq!(
        rows.column(1).as_any().downcast_ref::<Int64Array>().unwrap().values(),
        &[2, 1]
    );
}

#[tokio::test]
async fn run_unknown_column_is_a_usage_error() {
    let script = Script::new(vec![
        ("aachen", batch(vec![("id", ints(&[1]))])),
        ("basel", batch(vec![("id", ints(&[2]))])),
    ]);
    let both = vec![
        target("aachen.heart", Tier::Records, &["id"]),
        target("basel.heart", Tier::Records, &["id"]),
    ];
    let sql = "SELECT ID FROM consortium.heart";
    let error = run_query(sql, &consortium(both), script).await.unwrap_err();
    assert!(matches!(&error, FederationError::Usage { .. }), "{error:?}");
}
