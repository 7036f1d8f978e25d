use super::*;
use concordat_protocol::error_kind::Explain;

const COLUMNS: [&str; 4] = ["age", "sex", "chol", "born"];

fn aggregate() -> Scope {
    clear(Tier::Aggregate, &COLUMNS)
}

#[tokio::test]
async fn large_groups_are_exact() {
    let fixture = Fixture::new().await;
    let sql = "SELECT sex, count(*) AS n, avg(chol) AS mean, avg(chol) / 38.67 FROM heart GROUP BY sex HAVING count(*) > 20 ORDER BY sex DESC LIMIT 5";
    let rows = fixture.rows(aggregate(), sql).await.unwrap();
    let mean = |sex: i64| {
        let values: Vec<f64> = (0..200_i32)
            .filter(|n| i64::from((n + 1) % 2) == sex && n % 10 != 0)
            .map(|n| 200.0 + f64::from(n))
            .collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    assert_eq!((rows[0][0].as_str(), rows[0][1].as_str()), ("1", "100"));
    assert!((rows[0][2].parse::<f64>().unwrap() - mean(1)).abs() < 1e-9);
    assert!((rows[1][3].parse::<f64>().unwrap() - mean(0) / 38.67).abs() < 1e-9);
}

#[tokio::test]
async fn groups_of_bands_are_in_the_order_of_ages() {
    let fixture = Fixture::new().await;
    let scope = || scope(Tier::Aggregate, &[("age", BANDS), ("sex", Transform::Clear)]);
    let sql =
        "SELECT age, count(*) AS n, avg(sex) FROM heart WHERE age < 50 OR age >= 90 GROUP BY age ORDER BY age DESC";
    let rows = fixture.rows(scope(), sql).await.unwrap();
    let bands: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(bands, ["90+", "40-49", "30-39", "20-29"]);
    assert_eq!(rows[1][1..], ["20", "0.5"]);
}

#[tokio::test]
async fn small_groups_are_withheld_with_another_to_protect_them() {
    let fixture = Fixture::new().await;
    // Three ages below 23, two patients each, make 6 subjects; the smallest other group is withheld with them.
    let sql =
        "SELECT CASE WHEN age < 23 THEN 'a' WHEN age < 60 THEN 'b' ELSE 'c' END AS g, count(*) FROM heart GROUP BY g";
    let mut answer = fixture.query(aggregate(), sql).await.unwrap();
    // The number of withheld groups would be an answer about them.
    assert_eq!(answer.suppressed_cells(), 0);
    let batch = answer.next_batch().await.unwrap().unwrap();
    assert_eq!(batch.records().num_rows(), 1);
    assert_eq!(batch.records().column(0).as_string::<i32>().value(0), "c");
}

#[tokio::test]
async fn subjects_are_counted_and_not_rows() {
    let one = patients(0..1);
    let rows: Vec<RecordBatch> = (0..50).map(|_| one.clone()).collect();
    let fixture = Fixture::of(&[arrow::compute::concat_batches(&schema(), &rows).unwrap()]).await;
    let rows = fixture
        .rows(aggregate(), "SELECT sex, count(*) FROM heart GROUP BY sex")
        .await
        .unwrap();
    assert!(rows.is_empty(), "fifty rows of one patient: {rows:?}");
}

#[tokio::test]
async fn groups_that_share_subjects_do_not_protect_each_other() {
    let visits = |ward: i64, range: std::ops::Range<i64>| {
        let batch = patients(range);
        let wards: ArrayRef = Arc::new(Int64Array::from(vec![ward; batch.num_rows()]));
        let mut columns = batch.columns().to_vec();
        columns[4] = wards;
        RecordBatch::try_new(schema(), columns).unwrap()
    };
    let sql = "SELECT sex FROM heart GROUP BY sex ORDER BY sex";
    let disjoint = Fixture::of(&[
        visits(0, 0..6),
        visits(1, 10..17),
        visits(2, 100..140),
        visits(3, 140..190),
    ])
    .await;
    assert_eq!(disjoint.rows(aggregate(), sql).await.unwrap(), [["2"], ["3"]]);
    let shared = Fixture::of(&[
        visits(0, 0..6),
        visits(1, 0..7),
        visits(2, 100..140),
        visits(3, 140..190),
    ])
    .await;
    assert_eq!(shared.rows(aggregate(), sql).await.unwrap(), [["3"]]);
}

#[tokio::test]
async fn subjects_beyond_memory_are_counted_up_to_the_minimum() {
    let fixture = Fixture::of(&[patients(0..100_000), patients(100_000..200_000)]).await;
    let little = |sql| {
        let bounds = Bounds {
            memory: 4 << 20,
            ..Bounds::default()
        };
        let permit = fixture.permit(grant(1), aggregate());
        answer(permit, &fixture, sql, Arc::new(|| Ok(())), bounds)
    };
    let sql = "SELECT sex, count(*), count(chol) FROM heart GROUP BY sex ORDER BY sex";
    let rows = texts(little(sql).await.unwrap()).await.unwrap();
    assert_eq!(rows, [["0", "100000", "100000"], ["1", "100000", "80000"]]);
    // With little memory it is unknown that these groups share no subject: the small ones (6 and 7) do not protect each
    // other any more.
    let sql = "SELECT CASE WHEN \"PERSON_ID\" < 1006 THEN 'a' WHEN \"PERSON_ID\" < 1013 THEN 'b' \
               WHEN \"PERSON_ID\" < 90000 THEN 'c' ELSE 'd' END AS g, count(*) FROM heart GROUP BY g";
    let scope = || clear(Tier::Aggregate, &["PERSON_ID"]);
    let shown = |memory| {
        let bounds = Bounds {
            memory,
            ..Bounds::default()
        };
        answer(
            fixture.permit(grant(1), scope()),
            &fixture,
            sql,
            Arc::new(|| Ok(())),
            bounds,
        )
    };
    let rows = texts(shown(64 << 20).await.unwrap()).await.unwrap();
    assert_eq!(rows.len(), 2, "{rows:?}");
    let rows = texts(shown(4 << 20).await.unwrap()).await.unwrap();
    assert_eq!(rows, [["d", "111000"]]);
}

#[tokio::test]
async fn mean_over_few_values_is_withheld_in_a_large_group() {
    let fixture = Fixture::new().await;
    // 20 patients lack `chol`; two more have it.
    let sql = "SELECT count(*), count(chol), avg(chol) FROM heart WHERE chol IS NULL OR age = 21";
    assert_eq!(fixture.rows(aggregate(), sql).await.unwrap(), [["22", "", ""]]);
}

#[tokio::test]
async fn a_total_of_few_is_an_empty_row() {
    let fixture = Fixture::new().await;
    let mut answer = fixture
        .query(aggregate(), "SELECT count(*), sum(chol) FROM heart WHERE age = 40")
        .await
        .unwrap();
    assert_eq!(answer.suppressed_cells(), 2);
    let batch = answer.next_batch().await.unwrap().unwrap();
    assert!(batch.records().columns().iter().all(|column| column.is_null(0)));
    let inferred = "SELECT count(*) IS NULL, coalesce(count(*), 0) > 0 FROM heart WHERE age = 40";
    assert_eq!(fixture.rows(aggregate(), inferred).await.unwrap(), [["true", "false"]]);
}

#[tokio::test]
async fn what_shows_single_values_is_not_an_aggregate() {
    let fixture = Fixture::new().await;
    for sql in [
        "SELECT age FROM heart",
        "SELECT DISTINCT sex FROM heart",
        "SELECT age + 1 FROM heart WHERE sex = 1 LIMIT 1",
        "SELECT min(chol) FROM heart",
        "SELECT max(chol) FROM heart",
        "SELECT median(chol) FROM heart",
        "SELECT corr(chol, age) FROM heart",
        "SELECT sum(CASE WHEN age = 47 THEN chol ELSE 0 END) FROM heart",
        "SELECT sum(chol * age) FROM heart",
        "SELECT avg(chol + 0) FROM heart",
        "SELECT count(nullif(age, 47)) FROM heart",
        "SELECT sum(chol) FILTER (WHERE age <> 47) FROM heart",
        "SELECT sum(1) FROM heart",
        "SELECT DISTINCT count(*) FROM heart",
        "SELECT age, sex, chol, born, age + 1, age + 2, age + 3, count(*) FROM heart GROUP BY age, sex, chol, born, age + 1, age + 2, age + 3",
    ] {
        let error = fixture.refused(aggregate(), sql).await;
        assert_eq!(
            error.kind(),
            concordat_protocol::error_kind::ErrorKind::Denied,
            "{sql}: {error}"
        );
    }
}

#[tokio::test]
async fn the_number_of_groups_is_bounded() {
    let fixture = Fixture::new().await;
    let bounds = Bounds {
        groups: 50,
        ..Bounds::default()
    };
    let permit = fixture.permit(grant(1), aggregate());
    let error = answer(
        permit,
        &fixture,
        "SELECT age, count(*) FROM heart GROUP BY age",
        Arc::new(|| Ok(())),
        bounds,
    )
    .await;
    assert!(matches!(error, Err(QueryError::TooManyGroups { limit: 50 })));
}

#[tokio::test]
async fn lower_tiers_return_a_count_or_whether_it_exists() {
    let fixture = Fixture::new().await;
    let count = || clear(Tier::Count, &["age", "chol"]);
    assert_eq!(
        fixture
            .rows(count(), "SELECT count(*) FROM heart WHERE age >= 70")
            .await
            .unwrap(),
        [["100"]]
    );
    assert_eq!(
        fixture
            .rows(count(), "SELECT count(*) FROM heart WHERE age = 70")
            .await
            .unwrap(),
        [[""]]
    );
    for sql in [
        "SELECT avg(chol) FROM heart",
        "SELECT age, count(*) FROM heart GROUP BY age",
        "SELECT count(DISTINCT age) FROM heart",
        "SELECT count(*), count(chol) FROM heart",
        "SELECT age FROM heart",
    ] {
        assert!(
            matches!(fixture.refused(count(), sql).await, QueryError::Tier { .. }),
            "{sql}"
        );
    }
    let exists = || clear(Tier::Exists, &["age"]);
    assert_eq!(
        fixture
            .rows(exists(), "SELECT count(*) FROM heart WHERE age >= 70")
            .await
            .unwrap(),
        [["true"]]
    );
    assert_eq!(
        fixture
            .rows(exists(), "SELECT count(*) FROM heart WHERE age = 70")
            .await
            .unwrap(),
        [["false"]]
    );
    assert!(matches!(
        fixture.refused(exists(), "SELECT age FROM heart").await,
        QueryError::Tier { .. }
    ));
}

#[tokio::test]
async fn counting_needs_no_column() {
    let fixture = Fixture::new().await;
    assert_eq!(
        fixture
            .rows(clear(Tier::Count, &[]), "SELECT count(*) FROM heart")
            .await
            .unwrap(),
        [["200"]]
    );
}

#[tokio::test]
async fn no_error_reveals_a_single_row() {
    let fixture = Fixture::new().await;
    let oracle = |what: &str| format!("SELECT count(*) FROM heart WHERE CASE WHEN age = 47 THEN {what} ELSE 1 END = 1");
    for fallible in [
        "abs(-9223372036854775807 - 1)",
        "character_length(substr('x', 1, sex - 5))",
        "date_part('nonsense', born)",
        "round(chol, sex)",
        "log(sex, chol)",
    ] {
        let error = fixture.refused(aggregate(), &oracle(fallible)).await;
        assert!(matches!(error, QueryError::Function { .. }), "{fallible}: {error}");
    }
    for infallible in [
        "1 / (sex - sex)",
        "1 % (sex - sex)",
        "(-9223372036854775807 - 1) / (0 - 1 - sex + sex)",
        "date_part('year', born)",
        "TRY_CAST(substring AS INT)",
    ] {
        let sql = oracle(&infallible.replace("substring", "upper(concat('x', sex))"));
        assert_eq!(
            fixture.rows(aggregate(), &sql).await.unwrap(),
            [["198"]],
            "{infallible}"
        );
    }
    let error = fixture
        .refused(aggregate(), &oracle("CAST(upper(concat('x', sex)) AS INT)"))
        .await;
    assert!(error.to_string().contains("write `TRY_CAST(upper("), "{error}");
    // A literal that cannot be cast is refused whether or not anyone is 47, or 470.
    for age in [47, 470] {
        let error = fixture
            .refused(aggregate(), &oracle("CAST('x' AS INT)").replace("47", &age.to_string()))
            .await;
        assert!(matches!(error, QueryError::Invalid { .. }), "{error}");
    }
    let above = "SELECT round(avg(chol), 0), abs(count(*)) FROM heart WHERE date_part('year', born) > 1900";
    assert_eq!(fixture.rows(aggregate(), above).await.unwrap().len(), 1);
    assert_eq!(
        fixture
            .rows(aggregate(), "SELECT sex FROM heart GROUP BY sex")
            .await
            .unwrap()
            .len(),
        2
    );
}

/// A group that a query repeats is one column of the grouping. If it counted as two, the counts of subjects were read from other columns.
#[tokio::test]
async fn aggregate_groups_that_are_repeated_are_one() {
    let fixture = Fixture::new().await;
    let repeated = [
        ("sex", "sex, sex"),
        ("age, sex", "age, sex, age"),
        ("age", "age, age, age"),
        ("chol", "chol, chol"),
    ];
    for (once, often) in repeated {
        for measures in [
            "count(*)",
            "avg(chol), count(*)",
            "sum(age), avg(chol), count(chol), count(*)",
            "count(DISTINCT sex), max(age)",
        ] {
            let sql = |groups: &str| format!("SELECT {once}, {measures} FROM heart GROUP BY {groups} ORDER BY {once}");
            let expected = fixture.rows(aggregate(), &sql(once)).await;
            let found = fixture.rows(aggregate(), &sql(often)).await;
            match (expected, found) {
                (Ok(expected), Ok(found)) => assert_eq!(found, expected, "{once}: {measures}"),
                (Err(expected), Err(found)) => assert_eq!(found.to_string(), expected.to_string()),
                (expected, found) => panic!("{once}: {measures}: {expected:?} and {found:?}"),
            }
        }
    }
}
