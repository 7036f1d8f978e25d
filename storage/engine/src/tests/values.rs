//! Values of an answer: zeros, and what functions make of them.

use super::*;

#[tokio::test]
async fn negative_zero_is_zero() {
    let batch = patients(0..40);
    let mut columns = batch.columns().to_vec();
    columns[5] = Arc::new(Float64Array::from(
        (0..40)
            .map(|row| if row % 2 == 0 { -0.0 } else { 0.0 })
            .collect::<Vec<f64>>(),
    ));
    let fixture = Fixture::of(&[RecordBatch::try_new(schema(), columns).unwrap()]).await;
    for (sql, expected) in [
        ("SELECT count(*) FROM heart WHERE chol = 0", "40"),
        ("SELECT count(*) FROM heart WHERE chol >= 0 AND chol <= 0.0", "40"),
        ("SELECT count(*) FROM heart WHERE -chol = 0 AND chol IN (0)", "40"),
        ("SELECT count(*) AS n FROM heart GROUP BY chol", "40"),
        (
            "SELECT count(*) FROM heart WHERE chol < 0 OR chol > 0 OR chol <> 0",
            "0",
        ),
    ] {
        let rows = fixture.rows(clear(Tier::Records, &["chol"]), sql).await.unwrap();
        assert_eq!(rows, [[expected]], "{sql}");
    }
}

#[tokio::test]
async fn function_without_a_value_does_not_end_the_answer() {
    let fixture = Fixture::new().await;
    let scope = || clear(Tier::Records, &["mrn", "name", "age", "chol"]);
    let sql =
        "SELECT sqrt(age - 60), substr(name, 0, age - 60), round(chol, age), ln(age - 60), age / (age - 60) FROM heart";
    let rows = fixture.rows(scope(), sql).await.unwrap();
    assert_eq!(rows.len(), 200);
    let missing = |at: usize| rows.iter().filter(|row| row[at].is_empty()).count();
    assert_eq!((missing(0), missing(3), missing(4)), (80, 82, 2));
    for (sql, count) in [
        ("SELECT mrn FROM heart FETCH FIRST 3 ROWS ONLY", 3),
        ("SELECT mrn FROM heart OFFSET 198 ROWS FETCH NEXT 3 ROWS ONLY", 2),
        ("-- a comment\nSELECT mrn FROM heart LIMIT 4 -- another", 4),
    ] {
        assert_eq!(fixture.rows(scope(), sql).await.unwrap().len(), count, "{sql}");
    }
}
