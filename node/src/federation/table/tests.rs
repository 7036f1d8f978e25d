use concordat_protocol::scope::Tier;
use datafusion::arrow::array::ArrayRef;

use super::*;
use crate::federation::testing::{Dataset, Institutions, ints, texts};

fn heart() -> Arc<Institutions> {
    Arc::new(Institutions::new(vec![
        Dataset::new(
            "aachen.heart",
            Tier::Records,
            vec![
                ("Age", ints(&[41, 50, 60])),
                ("name", texts(&["x", "y", "z"])),
                ("chol", ints(&[210, 190, 220])),
            ],
        ),
        Dataset::new(
            "basel.heart",
            Tier::Records,
            vec![("AGE", ints(&[70])), ("name", texts(&["w"])), ("Chol", ints(&[230]))],
        ),
    ]))
}

#[tokio::test]
async fn table_columns_and_conditions_are_sent_in_the_names_of_each_member() {
    let all = heart();
    let sql = "SELECT age, lag(age) OVER (ORDER BY age) FROM consortium.heart WHERE chol > 200 AND name IS NOT NULL";
    assert_eq!(all.rows(sql).await, ["41|-", "60|41", "70|60"]);
    let mut received = all.received();
    received.sort();
    assert_eq!(
        received,
        [
            "aachen: SELECT \"Age\" FROM \"heart\" WHERE \"chol\" > 200 AND \"name\" IS NOT NULL",
            "basel: SELECT \"AGE\" FROM \"heart\" WHERE \"Chol\" > 200 AND \"name\" IS NOT NULL"
        ]
    );
}

#[tokio::test]
async fn table_condition_that_a_member_may_understand_otherwise_is_checked_here() {
    let all = heart();
    let sql = "SELECT age FROM consortium.heart WHERE age + 1 > 51 AND name LIKE 'z%'";
    assert_eq!(all.rows(sql).await, ["60"]);
    assert!(
        all.received().iter().all(|text| !text.contains("WHERE")),
        "{:?}",
        all.received()
    );
}

#[tokio::test]
async fn table_rows_that_are_only_counted_transfer_one_column() {
    let all = heart();
    let sql = "SELECT count(*) FROM (SELECT 1 FROM consortium.heart LIMIT 2)";
    assert_eq!(all.rows(sql).await, ["2"]);
    assert!(
        all.received().iter().all(|text| text.contains("SELECT \"A")),
        "{:?}",
        all.received()
    );
}

/// A name of this many letters.
fn column_name(number: i64, letters: usize) -> String {
    format!("c{number:0>width$}", width = letters - 1)
}

/// 1,100 columns, of which the one row contains the numbers.
fn wide(letters: usize) -> Arc<Institutions> {
    let columns = || (0..1100).map(|number| (column_name(number, letters), ints(&[number])));
    let dataset = |name, columns: Vec<(String, ArrayRef)>| {
        let columns = columns.iter().map(|(name, values)| (name.as_str(), Arc::clone(values)));
        Dataset::new(name, Tier::Records, columns.collect())
    };
    Arc::new(Institutions::new(vec![
        dataset("aachen.wide", columns().collect()),
        dataset("basel.wide", columns().rev().collect()),
    ]))
}

#[tokio::test]
async fn table_columns_are_requested_by_name_or_if_too_long_all() {
    let numbers: Vec<String> = (0..1100).map(|number: i64| number.to_string()).collect();
    let numbers = numbers.join("|");
    for letters in [8, 63] {
        let all = wide(letters);
        let mut rows = all.rows("SELECT * FROM consortium.wide").await;
        rows.sort();
        assert_eq!(rows, [format!("{numbers}|aachen"), format!("{numbers}|basel")]);
        let mut received = all.received();
        received.sort();
        if letters == 63 {
            let expected = ["aachen: SELECT * FROM \"wide\"", "basel: SELECT * FROM \"wide\""];
            assert_eq!(received, expected);
        } else {
            let named = |text: &String| text.contains("SELECT \"c0000000\", \"c0000001\"");
            assert!(received.len() == 2 && received.iter().all(named), "{received:?}");
        }
    }
}

#[tokio::test]
async fn table_columns_that_do_not_fit_in_a_query_are_refused() {
    let all = wide(63);
    let names: Vec<String> = (0..990).map(|number| column_name(number, 63)).collect();
    let sql = format!("SELECT {} FROM consortium.wide", names.join(","));
    assert!(sql.len() <= MAX_SQL);
    let error = all.answer(&sql).await.unwrap_err();
    assert!(matches!(error, FederationError::Usage { .. }), "{error:?}");
    assert!(error.to_string().contains("990 columns of `aachen.wide`"), "{error}");
    assert!(error.help().is_some_and(|help| help.contains("`*`")), "{error:?}");
    assert!(all.received().is_empty(), "{:?}", all.received());
}

#[tokio::test]
async fn table_conditions_that_do_not_fit_in_a_query_are_refused() {
    let all = heart();
    let text = "a".repeat(MAX_SQL);
    let sql = format!("SELECT age FROM consortium.heart WHERE name <> '{text}'");
    let error = all.answer(&sql).await.unwrap_err();
    assert!(matches!(error, FederationError::Usage { .. }), "{error:?}");
    assert!(
        error.to_string().starts_with("the conditions on `aachen.heart`"),
        "{error}"
    );
    assert!(all.received().is_empty(), "{:?}", all.received());
}
