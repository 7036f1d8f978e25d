//! Which columns of a plan have a form.

use concordat_protocol::scope::{BandWidth, Generalization};

use super::*;
use crate::{Form, form_of};

const PSEUDONYM: &str = "0123456789abcdef0123456789abcdef";

fn people() -> Home {
    let text = |values: Vec<&str>| -> ArrayRef { Arc::new(StringArray::from(values)) };
    let columns = || {
        vec![
            shown("id", ColumnKind::Int, Transform::Pseudonym, text(vec![PSEUDONYM, "f"])),
            shown(
                "ward",
                ColumnKind::Text,
                Transform::Pseudonym,
                text(vec![PSEUDONYM, "f"]),
            ),
            shown(
                "age",
                ColumnKind::Int,
                Transform::Generalized(Generalization::AgeBand(BandWidth::Ten)),
                text(vec!["50-59", "90+"]),
            ),
            shown(
                "born",
                ColumnKind::Date,
                Transform::Generalized(Generalization::Year),
                Arc::new(arrow::array::Int32Array::from(vec![1980, 1990])),
            ),
            shown("gone", ColumnKind::Text, Transform::Removed, text(vec!["x", "y"])),
        ]
    };
    let visible = || {
        columns()
            .into_iter()
            .filter(|(column, _)| column.transform != Transform::Removed)
            .collect()
    };
    Home::new()
        .with("t", "alfa/1", visible())
        .with("same", "alfa/1", visible())
        .with("other", "beta/2", visible())
}

#[tokio::test]
async fn only_bare_columns_keep_their_form() {
    let home = people();
    let sql = "SELECT age, age AS a, born AS b, id AS i, - born AS c, CAST(born AS BIGINT) AS e, upper(age) AS f, \
               max(born) OVER () AS g, (SELECT min(born) FROM t) AS h, CASE WHEN born > 1 THEN born END AS k, born + 1 AS l \
               FROM (SELECT * FROM t ORDER BY age LIMIT 3)";
    let plan = home.meant(sql).await.unwrap();
    let forms: Vec<Form> = plan.schema().fields().iter().map(|field| form_of(field)).collect();
    let ten = Form::Band(BandWidth::Ten);
    assert_eq!(forms[..4], [ten, ten, Form::Year, Form::Pseudonym]);
    assert!(forms[4..].iter().all(|form| *form == Form::Clear), "{forms:?}");
    let computed = home.planned(sql, crate::Casts::Strict).await.unwrap();
    assert!(
        computed
            .schema()
            .fields()
            .iter()
            .all(|field| field.metadata().is_empty())
    );
    home.rows(sql).await.unwrap();
}

#[tokio::test]
async fn pseudonyms_are_compared_within_their_origin_and_column() {
    let home = people();
    for (sql, expected) in [
        (format!("SELECT count(*) FROM t WHERE id = '{PSEUDONYM}'"), "1"),
        (format!("SELECT count(*) FROM t WHERE id IN ('{PSEUDONYM}', NULL)"), "1"),
        ("SELECT count(*) FROM t JOIN same ON t.id = same.id".to_owned(), "2"),
        ("SELECT count(*) FROM t JOIN same USING (id)".to_owned(), "2"),
        ("SELECT count(DISTINCT id) FROM t".to_owned(), "2"),
        (
            "SELECT count(*) FROM t WHERE id IN (SELECT id FROM same)".to_owned(),
            "2",
        ),
    ] {
        assert_eq!(home.value(&sql).await.unwrap(), expected, "{sql}");
    }
    for sql in [
        "SELECT * FROM t WHERE id = '17'",
        "SELECT * FROM t WHERE id = 17",
        "SELECT * FROM t WHERE id = '0123456789ABCDEF0123456789ABCDEF'",
        "SELECT * FROM t WHERE id = ward",
        "SELECT * FROM t WHERE id IN ('17')",
        "SELECT * FROM t WHERE id LIKE '17%'",
        "SELECT t.age FROM t JOIN other ON t.id = other.id",
        "SELECT t.age FROM t JOIN other USING (id)",
        "SELECT t.age FROM t JOIN same ON t.id = same.ward",
        "SELECT age FROM t WHERE id IN (SELECT id FROM other)",
        "SELECT id FROM t INTERSECT SELECT id FROM other",
        "SELECT TRY_CAST(id AS BIGINT) FROM t",
    ] {
        let refusal = home.refusal(sql).await;
        assert!(refusal.contains("pseudonym"), "{sql}: {refusal}");
    }
}

/// What is meant can be written as SQL again, and means the same.
#[tokio::test]
async fn meaning_of_a_meaning_is_the_same() {
    let home = people();
    for condition in [
        "age >= 50 AND born < DATE '1985-01-01'",
        "age BETWEEN '50-59' AND '90+' OR born IN (1980)",
        "NOT age < '90+'",
    ] {
        let sql = format!("SELECT age FROM t WHERE {condition} ORDER BY age");
        let once = home.meant(&sql).await.unwrap();
        let text = datafusion::sql::unparser::plan_to_sql(&once).unwrap().to_string();
        let again = home.rows(&text).await.unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(again, home.rows(&sql).await.unwrap(), "{text}");
    }
}

#[tokio::test]
async fn full_join_whose_columns_in_common_stay_is_refused() {
    let home = people();
    // A list without some columns is not written out.
    let listed =
        |join: &str| format!("SELECT * EXCLUDE (years) FROM t {join} (SELECT id, age AS years FROM same) AS o");
    for join in ["FULL JOIN", "RIGHT JOIN"] {
        let refusal = home.refusal(&(listed(join) + " USING (id)")).await;
        assert!(refusal.contains("coalesce"), "{join}: {refusal}");
    }
    let refusal = home.refusal(&listed("NATURAL FULL JOIN")).await;
    assert!(refusal.contains("coalesce"), "{refusal}");
    let rows = home.rows(&(listed("JOIN") + " USING (id)")).await;
    assert_eq!(rows.unwrap().len(), 2);
}

/// The library would call it two columns of one name, which no alias can help.
#[tokio::test]
async fn expression_twice_in_a_grouping_set_is_refused_with_advice() {
    let home = people();
    for groups in [
        "ROLLUP (ward, ward)",
        "ROLLUP (ward, WARD)",
        "ROLLUP (\"ward\", ward)",
        "CUBE (upper(ward), id, upper(ward))",
    ] {
        let refusal = home.refusal(&format!("SELECT count(*) FROM t GROUP BY {groups}")).await;
        assert!(refusal.contains("write the repeated one once"), "{groups}: {refusal}");
    }
    let rows = home
        .rows("SELECT ward, count(*) FROM t GROUP BY GROUPING SETS ((ward), (ward))")
        .await;
    println!("{rows:?}");
    let two_columns = home.refusal("SELECT o.* FROM (SELECT ward, ward FROM t) AS o").await;
    assert!(
        two_columns.contains("two columns have the name `ward`"),
        "{two_columns}"
    );
}

#[tokio::test]
async fn constant_in_a_grouping_set_is_ordered_by() {
    let codes = (0..400).map(|number| match number % 5 {
        0 => None,
        code => Some(["E11", "J45", "I10", "K35"][code - 1]),
    });
    let codes: ArrayRef = Arc::new(StringArray::from_iter(codes));
    let home = Home::of(vec![shown("code", ColumnKind::Text, Transform::Clear, codes)]);
    let compared = "CASE WHEN TIMESTAMP '1970-01-01' < TIMESTAMP '2021-01-01' THEN 'all' ELSE 'none' END";
    for constant in ["'all'", compared, "lower('ALL')"] {
        for nulls in ["FIRST", "LAST"] {
            let sql = format!(
                "SELECT code AS c1, {constant} AS c2 FROM t WHERE code IS NULL OR code > 'A' GROUP BY ROLLUP (code, {constant}) \
                 ORDER BY 1 NULLS {nulls}, 2 NULLS {nulls}"
            );
            let rows = home.rows(&sql).await.unwrap();
            assert_eq!(rows.len(), 11, "{sql}");
            let is_missing = |row: &Vec<String>| row.iter().map(String::is_empty).collect::<Vec<_>>();
            let key = |row: &Vec<String>| {
                let missing = is_missing(row).into_iter().map(|missing| missing == (nulls == "LAST"));
                row.iter()
                    .cloned()
                    .zip(missing)
                    .map(|(value, last)| (last, value))
                    .collect::<Vec<_>>()
            };
            assert!(rows.is_sorted_by_key(key), "{sql}: {rows:?}");
        }
    }
}
