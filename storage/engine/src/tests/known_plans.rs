//! Plans that are known change no answer, whatever was planned before.

use super::*;
use crate::{known_plans::KnownPlans, run::compute, source::AnswerKeys};
use concordat_protocol::scope::Value;
use futures::TryStreamExt;

const STATEMENTS: [&str; 5] = [
    "SELECT age, chol FROM heart WHERE age < 40",
    "SELECT * FROM heart ORDER BY age LIMIT 20",
    "SELECT sex, count(*) AS n, avg(age) AS mean FROM heart GROUP BY sex",
    "SELECT count(*) AS n FROM heart",
    "SELECT age FROM heart WHERE age / (age - 30) > 1",
];

/// The answer as text, or the message of the refusal.
async fn outcome(fixture: &Fixture, scope: &Scope, sql: &str, plans: &KnownPlans) -> Result<Vec<String>, String> {
    let keys = AnswerKeys::of(fixture, &grant(1));
    let bounds = Bounds::default();
    let computed = async {
        let raw = compute(fixture, scope.clone(), &keys, (sql, None), bounds, plans).await?;
        raw.batches.try_collect::<Vec<_>>().await
    };
    let batches = computed.await.map_err(|error| error.to_string())?;
    let texts = batches.iter().flat_map(|batch| {
        let line = |row| {
            let cells = batch
                .columns()
                .iter()
                .map(|column| array_value_to_string(column, row).unwrap());
            cells.collect::<Vec<_>>().join("|")
        };
        (0..batch.num_rows()).map(line).collect::<Vec<_>>()
    });
    Ok(texts.collect())
}

#[tokio::test]
async fn known_plan_gives_the_answer_of_a_new_one() {
    let versions = [Fixture::new().await, Fixture::of(&[patients(50..90)]).await];
    let scopes = [
        clear(Tier::Records, &["age", "chol", "sex"]),
        clear(Tier::Records, &["age", "sex"]),
        scope(Tier::Records, &[("age", BANDS), ("chol", Transform::Clear)]),
        clear(Tier::Aggregate, &["age", "chol", "sex"]),
        clear(Tier::Count, &["age", "chol", "sex"]),
        clear(Tier::Exists, &["age", "chol", "sex"]),
        with_rows(
            clear(Tier::Records, &["age", "chol", "sex"]),
            "sex",
            Values::Set([Value::Int(1)].into()),
        ),
    ];
    let plans = KnownPlans::default();
    let mut answered = 0;
    for _ in 0..2 {
        for fixture in &versions {
            for scope in &scopes {
                for sql in STATEMENTS {
                    let new = outcome(fixture, scope, sql, &KnownPlans::default()).await;
                    let known = outcome(fixture, scope, sql, &plans).await;
                    assert_eq!(known, new, "{sql} within {scope:?}");
                    answered += usize::from(new.is_ok());
                }
            }
        }
    }
    assert!(answered > 40, "{answered} were answered");
}
