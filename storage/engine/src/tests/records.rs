use super::*;
use arrow::ipc::reader::StreamReader;
use concordat_protocol::error_kind::Explain;
use concordat_protocol::{
    scope::{Bound, Value},
    wire::messages::AnswerDigest,
};

#[tokio::test]
async fn released_bytes_contain_no_text_of_other_rows() {
    let fixture = Fixture::new().await;
    let two = Values::Set([111, 112].map(Value::Int).into());
    let some = with_rows(clear(Tier::Records, &["name", "age"]), "mrn", two);
    for sql in [
        "SELECT name FROM heart",
        "SELECT name FROM heart WHERE age = 31",
        "SELECT max(name) FROM heart",
    ] {
        let mut ipc = fixture.query(some.clone(), sql).await.unwrap().into_ipc().unwrap();
        let mut bytes = Vec::new();
        while let Some(chunk) = ipc.next_chunk().await.unwrap() {
            bytes.extend_from_slice(&chunk.bytes);
        }
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("Sentinel-11"), "{sql}");
        for other in ["Sentinel-9", "Sentinel-40", "Sentinel-150"] {
            assert!(!text.contains(other), "{sql}: {other}");
        }
    }
}

#[tokio::test]
async fn only_permitted_columns_and_rows_are_released_transformed() {
    let fixture = Fixture::new().await;
    let columns = [
        ("name", Transform::Pseudonym),
        ("born", YEAR),
        ("age", BANDS),
        ("PERSON_ID", Transform::Clear),
    ];
    let low = Some(Bound {
        value: Value::Int(198),
        inclusive: true,
    });
    let scope = with_rows(scope(Tier::Records, &columns), "mrn", Values::Range { low, high: None });
    let rows = fixture
        .rows(scope, "SELECT * FROM heart ORDER BY PERSON_ID")
        .await
        .unwrap();
    let seen: Vec<_> = rows
        .iter()
        .map(|row| (row[1].as_str(), row[2].as_str(), row[3].as_str()))
        .collect();
    assert_eq!(seen, [("2024", "90+", "1198"), ("2024", "90+", "1199")]);
    assert!(
        rows.iter()
            .all(|row| row[0].len() == 32 && !row[0].contains("Sentinel")),
        "{rows:?}"
    );
}

#[tokio::test]
async fn pseudonyms_agree_within_a_grant_and_differ_between_grants() {
    let fixture = Fixture::new().await;
    let scope = || {
        scope(
            Tier::Records,
            &[("sex", Transform::Pseudonym), ("PERSON_ID", Transform::Pseudonym)],
        )
    };
    let sql = "SELECT sex, count(*) FROM heart GROUP BY sex ORDER BY sex";
    let one = fixture.rows(scope(), sql).await.unwrap();
    assert_eq!(one, fixture.rows(scope(), sql).await.unwrap());
    assert_eq!(one.len(), 2);
    let permit = fixture.permit(grant(2), scope());
    let other = answer(permit, &fixture, sql, Arc::new(|| Ok(())), Bounds::default())
        .await
        .unwrap();
    assert!(
        texts(other)
            .await
            .unwrap()
            .iter()
            .all(|row| one.iter().all(|known| known[0] != row[0]))
    );
}

#[tokio::test]
async fn names_match_without_regard_to_case() {
    let fixture = Fixture::new().await;
    let scope = || clear(Tier::Records, &["PERSON_ID", "name"]);
    for sql in [
        "SELECT PERSON_ID, UPPER(name) FROM heart WHERE PERSON_ID = 1007",
        "select h.PERSON_ID, Upper(h.name) from budapest.heart AS h where h.PERSON_ID in (1007) limit 3",
        "SELECT heart.PERSON_ID, upper(\"name\") FROM budapest.heart WHERE budapest.heart.PERSON_ID = 1007",
        "SELECT person_id, UPPER(Name) FROM heart h WHERE h.Person_Id = 1007 ORDER BY person_ID",
        "SELECT \"person_id\", UPPER(h.\"NAME\") FROM heart h WHERE h.\"Person_Id\" = 1007 ORDER BY \"person_ID\"",
    ] {
        assert_eq!(
            fixture.rows(scope(), sql).await.unwrap(),
            [["1007", "SENTINEL-7"]],
            "{sql}"
        );
    }
    let answer = fixture
        .query(
            scope(),
            "SELECT person_id, count(*) AS Persons FROM heart GROUP BY person_id",
        )
        .await;
    let schema = answer.unwrap().schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["PERSON_ID", "Persons"]);
    let error = fixture.refused(scope(), "SELECT \"person-id\" FROM heart").await;
    let text = error.to_string();
    let expected = "no column `person-id` in `budapest.heart`; did you mean `PERSON_ID`? there are `PERSON_ID`";
    assert!(text.starts_with(expected), "{text}");
}

#[tokio::test]
async fn conditions_only_see_transformed_values() {
    let fixture = Fixture::new().await;
    let scope = || scope(Tier::Records, &[("age", BANDS), ("born", YEAR)]);
    let count = |sql: &'static str| async { fixture.rows(scope(), sql).await.unwrap()[0][0].clone() };
    assert_eq!(count("SELECT count(*) FROM heart WHERE age = '40-49'").await, "20");
    assert_eq!(
        count("SELECT count(*) FROM heart WHERE age >= 50 AND age < 60").await,
        "20"
    );
    for sql in [
        "SELECT count(*) FROM heart WHERE age = '47'",
        "SELECT count(*) FROM heart WHERE age > 50",
        "SELECT count(*) FROM heart WHERE CAST(age AS INT) > 50",
        "SELECT count(*) FROM heart WHERE born >= DATE '1980-06-01'",
    ] {
        let error = fixture.refused(scope(), sql).await;
        assert!(matches!(error, QueryError::Invalid { .. }), "{sql}: {error}");
    }
    assert_eq!(count("SELECT count(*) FROM heart WHERE born < 1971").await, "4");
}

#[tokio::test]
async fn errors_reveal_no_row_and_quote_no_value() {
    let fixture = Fixture::new().await;
    let low = Some(Bound {
        value: Value::Int(50),
        inclusive: true,
    });
    let scope = || {
        with_rows(
            clear(Tier::Records, &["mrn", "name", "age"]),
            "mrn",
            Values::Range {
                low: low.clone(),
                high: None,
            },
        )
    };
    let count = |sql: &'static str| async { fixture.rows(scope(), sql).await.unwrap()[0][0].clone() };
    assert_eq!(count("SELECT count(*) FROM heart WHERE 1 / (mrn - 3) < 5").await, "150");
    assert_eq!(
        count("SELECT count(*) FROM heart WHERE 1 / (mrn - 77) < 5").await,
        "149"
    );
    assert_eq!(
        count("SELECT count(*) FROM heart WHERE mrn % (mrn - 77) >= 0").await,
        "149"
    );
    assert_eq!(
        count("SELECT count(*) FROM heart WHERE TRY_CAST(name AS INT) = 1").await,
        "0"
    );
    let error = fixture.refused(scope(), "SELECT CAST(name AS INT) FROM heart").await;
    assert_eq!(
        error.to_string(),
        "a value of the answer cannot be cast to INT; write `TRY_CAST` to get a missing value, and `IS NULL` after it to count those"
    );
    let error = fixture
        .refused(scope(), "SELECT count(*) FROM heart WHERE name > 5")
        .await;
    assert!(
        error.to_string().contains("`TRY_CAST(\"name\" AS DOUBLE) > 5`"),
        "{error}"
    );
}

#[tokio::test]
async fn a_row_filter_skips_files_and_keeps_what_it_must() {
    let fixture = Fixture::new().await;
    let some = |values: Vec<Value>| Values::Set(values.into_iter().collect());
    let scope = with_rows(
        clear(Tier::Records, &["chol"]),
        "name",
        some(vec![Value::Text("Sentinel-11".into()), Value::Text("no".into())]),
    );
    assert_eq!(
        fixture.rows(scope, "SELECT chol FROM heart").await.unwrap(),
        [["211.0"]]
    );
    let scope = with_rows(clear(Tier::Records, &["mrn"]), "chol", Values::Any);
    assert_eq!(
        fixture.rows(scope, "SELECT count(*) FROM heart").await.unwrap(),
        [["180"]]
    );
    let mut scope = clear(Tier::Records, &["mrn"]);
    let missing = Constraint::new(Values::Set(Default::default()), true).unwrap();
    only_rows(
        &mut scope,
        Rows::new(BTreeMap::from([(name("chol"), missing)])).unwrap(),
    );
    assert_eq!(
        fixture.rows(scope, "SELECT count(*) FROM heart").await.unwrap(),
        [["20"]]
    );
}

#[tokio::test]
async fn scope_that_does_not_match_the_dataset_is_refused() {
    let fixture = Fixture::new().await;
    let sql = "SELECT count(*) FROM heart";
    for (column, transform) in [
        ("name", BANDS),
        ("name", YEAR),
        ("born", BANDS),
        ("age", YEAR),
        ("chol", YEAR),
    ] {
        let error = fixture.refused(scope(Tier::Records, &[(column, transform)]), sql).await;
        assert!(
            matches!(error, QueryError::TransformMismatch { .. }),
            "{column} {error}"
        );
    }
    let text = Values::Set([Value::Text("47".into())].into());
    let error = fixture
        .refused(with_rows(clear(Tier::Records, &["name"]), "age", text.clone()), sql)
        .await;
    assert!(matches!(error, QueryError::RowsMismatch { .. }), "{error}");
    let error = fixture
        .refused(with_rows(clear(Tier::Records, &["name"]), "missing", text), sql)
        .await;
    assert!(matches!(error, QueryError::MissingColumn { .. }), "{error}");
}

#[tokio::test]
async fn an_answer_beyond_its_row_limit_ends_in_an_error() {
    let fixture = Fixture::new().await;
    let mut scope = clear(Tier::Records, &["mrn"]);
    scope.limits.max_rows = Some(150);
    let error = fixture.refused(scope.clone(), "SELECT mrn FROM heart").await;
    assert!(matches!(error, QueryError::TooManyRows { limit: 150 }), "{error}");
    assert_eq!(
        fixture
            .rows(scope, "SELECT mrn FROM heart LIMIT 150")
            .await
            .unwrap()
            .len(),
        150
    );
}

#[tokio::test]
async fn revocation_takes_effect_before_the_next_batch() {
    let fixture = Fixture::of(&[patients(0..50_000)]).await;
    let checks = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&checks);
    let watch = move || {
        if count.fetch_add(1, Ordering::SeqCst) == 0 {
            Ok(())
        } else {
            Err(Cut {
                reason: "the grant was revoked".to_owned(),
            })
        }
    };
    let mut ipc = fixture
        .query_while(clear(Tier::Records, &["mrn"]), "SELECT mrn FROM heart", Arc::new(watch))
        .await
        .unwrap()
        .into_ipc()
        .unwrap();
    assert!(ipc.next_chunk().await.unwrap().is_some());
    let error = ipc.next_chunk().await.unwrap_err();
    assert_eq!(error.to_string(), "the answer was stopped: the grant was revoked");
    assert!(
        ipc.next_chunk().await.unwrap().is_none(),
        "not even the end marker follows"
    );
    assert!(matches!((ipc.totals().rows, ipc.totals().complete), (1..50_000, false)));
}

#[tokio::test]
async fn released_answer_is_arrow_and_its_totals_match() {
    let fixture = Fixture::new().await;
    let sql = "SELECT mrn, name FROM heart ORDER BY mrn";
    let mut ipc = fixture
        .query(clear(Tier::Records, &["mrn", "name"]), sql)
        .await
        .unwrap()
        .into_ipc()
        .unwrap();
    let mut bytes = Vec::new();
    while let Some(chunk) = ipc.next_chunk().await.unwrap() {
        bytes.extend_from_slice(&chunk.bytes);
    }
    let totals = ipc.totals();
    assert_eq!(
        (totals.rows, totals.bytes, totals.complete),
        (200, bytes.len() as u64, true)
    );
    assert_eq!(totals.answer, AnswerDigest::of(&bytes));
    let rows: usize = StreamReader::try_new(bytes.as_slice(), None)
        .unwrap()
        .map(|batch| batch.unwrap().num_rows())
        .sum();
    assert_eq!(rows, 200);
}

#[tokio::test]
async fn large_batches_are_released_in_small_chunks() {
    let wide = |range: std::ops::Range<i64>| {
        let batch = patients(range);
        let names: ArrayRef = Arc::new(StringArray::from_iter_values(
            (0..batch.num_rows()).map(|n| format!("{n}{}", "x".repeat(4096))),
        ));
        let columns = batch.columns().iter().enumerate().map(|(at, column)| {
            if at == 1 {
                Arc::clone(&names)
            } else {
                Arc::clone(column)
            }
        });
        RecordBatch::try_new(schema(), columns.collect()).unwrap()
    };
    let fixture = Fixture::of(&[wide(0..2000)]).await;
    let mut answer = fixture
        .query(clear(Tier::Records, &["name"]), "SELECT name FROM heart")
        .await
        .unwrap();
    let mut rows = 0;
    while let Some(batch) = answer.next_batch().await.unwrap() {
        rows += batch.records().num_rows();
        assert!(batch.records().num_rows() < 300);
    }
    assert_eq!(rows, 2000);
}

#[tokio::test]
async fn memory_and_time_are_bounded() {
    let mut fixture = Fixture::new().await;
    let permit = fixture.permit(grant(1), clear(Tier::Records, &["name"]));
    let little = Bounds {
        memory: 1000,
        ..Bounds::default()
    };
    let sorted = answer(
        permit,
        &fixture,
        "SELECT name FROM heart ORDER BY name",
        Arc::new(|| Ok(())),
        little,
    )
    .await
    .unwrap();
    let error = texts(sorted).await.unwrap_err();
    assert!(matches!(error, QueryError::Memory), "{error}");
    fixture.stall = Duration::from_secs(3600);
    let permit = fixture.permit(grant(1), clear(Tier::Records, &["name"]));
    let little = Bounds {
        time: Duration::from_millis(1),
        ..Bounds::default()
    };
    let late = answer(permit, &fixture, "SELECT name FROM heart", Arc::new(|| Ok(())), little).await;
    let error = match late {
        Ok(answer) => texts(answer).await.unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(error, QueryError::Deadline), "{error}");
}

#[tokio::test]
async fn a_version_without_rows_has_an_empty_answer() {
    let fixture = Fixture::of(&[]).await;
    let sql = "SELECT count(*) FROM heart WHERE age > 3";
    assert_eq!(
        fixture.rows(clear(Tier::Records, &["age"]), sql).await.unwrap(),
        [["0"]]
    );
}

#[tokio::test]
async fn damaged_objects_are_an_integrity_error() {
    let fixture = Fixture::new().await;
    let path = fixture.objects[0].location.clone();
    let len = usize::try_from(fixture.objects[0].size).unwrap();
    fixture.store.put(&path, vec![7_u8; len].into()).await.unwrap();
    let error = fixture
        .refused(clear(Tier::Records, &["mrn"]), "SELECT mrn FROM heart")
        .await;
    assert_eq!(
        error.kind(),
        concordat_protocol::error_kind::ErrorKind::Integrity,
        "{error}"
    );
}

#[tokio::test]
async fn condition_on_transformed_column_prunes_no_stored_values() {
    let fixture = Fixture::new().await;
    let scope = || {
        scope(
            Tier::Records,
            &[("name", Transform::Pseudonym), ("mrn", Transform::Clear)],
        )
    };
    let known = fixture
        .rows(scope(), "SELECT name FROM heart WHERE mrn = 150")
        .await
        .unwrap();
    let back = format!("SELECT mrn FROM heart WHERE name = '{}'", known[0][0]);
    assert_eq!(fixture.rows(scope(), &back).await.unwrap(), [["150"]]);
}
