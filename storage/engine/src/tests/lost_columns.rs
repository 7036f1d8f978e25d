//! A version that lacks columns of the permission.

use super::*;

#[tokio::test]
async fn column_that_the_dataset_has_lost_is_unknown() {
    let fixture = Fixture::new().await;
    let scope = || clear(Tier::Records, &["AGE", "age", "missing"]);
    for (sql, expected) in [
        ("SELECT count(*), avg(age) FROM heart", ["200", "69.5"]),
        // Only one of the spellings is left.
        ("SELECT count(Age), sum(Age) FROM heart", ["200", "13900"]),
    ] {
        assert_eq!(fixture.rows(scope(), sql).await.unwrap(), [expected], "{sql}");
    }
    for sql in [
        "SELECT avg(missing) FROM heart",
        "SELECT count(*) FROM heart WHERE missing = 1",
        "SELECT missing, count(*) FROM heart GROUP BY missing",
    ] {
        let error = fixture.refused(scope(), sql).await;
        let text = error.to_string();
        assert!(
            text.starts_with("no column `missing` in `budapest.heart`; there are "),
            "{sql}: {text}"
        );
        assert_eq!(text.matches("missing").count(), 1, "{sql}: {text}");
    }
    let rows = fixture.rows(clear(Tier::Records, &["age", "missing"]), "SELECT * FROM heart LIMIT 1");
    assert_eq!(rows.await.unwrap()[0].len(), 1);
    let hidden = fixture
        .refused(clear(Tier::Records, &["age"]), "SELECT missing FROM heart")
        .await;
    assert_eq!(
        hidden.to_string(),
        "no column `missing` in `budapest.heart`; there are `age`"
    );
}

#[tokio::test]
async fn a_version_without_the_column_of_the_subjects_is_refused() {
    let mut fixture = Fixture::new().await;
    let fields = schema().fields().iter().skip(1).cloned().collect::<Vec<_>>();
    fixture.schema = Arc::new(Schema::new(fields));
    let records = clear(Tier::Records, &["age"]);
    let error = fixture.refused(records, "SELECT count(*) FROM heart").await;
    assert!(
        matches!(&error, QueryError::MissingColumn { column } if column == "mrn"),
        "{error}"
    );
}
