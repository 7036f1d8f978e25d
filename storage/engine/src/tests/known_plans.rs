//! Plans that are known change no answer, whatever was planned before.

use super::*;
use crate::{
    guard::View,
    known_plans::{KnownPlans, PlanKey},
    one_dataset::OneDataset,
    run::compute,
    session::planning_context,
    source::AnswerKeys,
};
use concordat_protocol::scope::Value;
use datafusion::datasource::empty::EmptyTable;
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
                .rows
                .columns()
                .iter()
                .map(|column| array_value_to_string(column, row).unwrap());
            cells.collect::<Vec<_>>().join("|")
        };
        (0..batch.rows.num_rows()).map(line).collect::<Vec<_>>()
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

#[tokio::test]
async fn optimized_plan_is_kept_for_the_same_columns_only() {
    let sql = "SELECT age FROM heart WHERE age < 40";
    let fixture = Fixture::new().await;
    let keys = AnswerKeys::of(&fixture, &grant(1));
    let records = clear(Tier::Records, &["age", "sex"]);
    let of = OneDataset::of(&records).unwrap();
    let view = View::new(&fixture, &of, &keys.pseudonyms).unwrap();
    let table = Arc::new(EmptyTable::new(view.planned()));
    let state = planning_context(&of.dataset, table).unwrap().state();
    let plans = KnownPlans::default();
    let key = PlanKey::new((sql, None), &of, view.planned());
    let known = plans.get(key, &state).await.unwrap();
    assert!(known.optimized(&view.pruning()).is_none());
    outcome(&fixture, &records, sql, &plans).await.unwrap();
    let kept = known.optimized(&view.pruning()).unwrap();
    assert_ne!(kept, known.plan);
    let banded = OneDataset::of(&scope(Tier::Records, &[("age", BANDS), ("sex", Transform::Clear)]));
    let banded = View::new(&fixture, &banded.unwrap(), &keys.pseudonyms).unwrap();
    assert!(known.optimized(&banded.pruning()).is_none());
}
