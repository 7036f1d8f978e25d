//! Records of several datasets of a collection, joined where they are.

mod clinic;
mod random;

use std::collections::BTreeSet;

use super::*;
use clinic::{
    ALL, CODES, Clinic, EVENTS, PERSONS, about_women, is_woman, person_key, person_of, scope as scope_of, with_columns,
    with_rows,
};
use concordat_protocol::{
    ids::DatasetName,
    schema::ColumnKind,
    scope::{DatasetScope, Noise},
};
use concordat_storage::catalog::{Collection as _, ORDINAL_COLUMN};

use crate::{Domains, ShownColumn, foreseen_in_collection, shown_dataset, source::AnswerKeys, worker::Task};

const JOINED: &str =
    "SELECT p.number AS person, e.number AS event FROM person p JOIN event e ON p.person_id = e.person_id";

/// The pairs of [`JOINED`], in the order of their texts.
fn pairs(admits: impl Fn(i64, i64) -> bool) -> Vec<Vec<String>> {
    let owned = (0..EVENTS).filter(|event| person_of(*event) < PERSONS);
    let pairs = owned.map(|event| (person_of(event), event));
    let mut texts: Vec<Vec<String>> = pairs
        .filter(|(person, event)| admits(*person, *event))
        .map(|(person, event)| vec![person.to_string(), event.to_string()])
        .collect();
    texts.sort();
    texts
}

fn numbers(numbers: impl IntoIterator<Item = i64>) -> Vec<Vec<String>> {
    let mut texts: Vec<Vec<String>> = numbers.into_iter().map(|number| vec![number.to_string()]).collect();
    texts.sort();
    texts
}

#[tokio::test]
async fn joined_records_are_those_of_a_reference() {
    let clinic = Clinic::new().await;
    let has_event = |person: i64| (0..EVENTS).any(|event| person_of(event) == person);
    let events_of = |person: i64| (0..EVENTS).filter(|event| person_of(*event) == person).count();
    let in_common = JOINED.replace("ON p.person_id = e.person_id", "USING (person_id)");
    for hidden in [false, true] {
        for sql in [JOINED, in_common.as_str()] {
            let rows = clinic.sorted(grant(1), scope_of(&ALL, hidden), sql).await;
            assert_eq!(rows, pairs(|_, _| true), "{sql}");
        }
    }
    let sorted = async |sql: &str| clinic.sorted(grant(1), scope_of(&ALL, true), sql).await;
    for sql in [
        "SELECT number FROM person p WHERE EXISTS (SELECT 1 FROM event e WHERE e.person_id = p.person_id)",
        "SELECT number FROM person WHERE person_id IN (SELECT person_id FROM event)",
        "SELECT person.number FROM clinic.person LEFT SEMI JOIN budapest.clinic.event ON person.person_id = event.person_id",
    ] {
        assert_eq!(
            sorted(sql).await,
            numbers((0..PERSONS).filter(|person| has_event(*person))),
            "{sql}"
        );
    }
    let unmatched = numbers((0..EVENTS).filter(|event| person_of(*event) >= PERSONS));
    for sql in [
        "SELECT event.number FROM event LEFT ANTI JOIN person ON person.person_id = event.person_id",
        "SELECT number FROM event e WHERE NOT EXISTS (SELECT 1 FROM person p WHERE e.person_id = p.person_id)",
        "SELECT e.number FROM event e LEFT JOIN person p USING (person_id) WHERE p.number IS NULL",
        "WITH known AS (SELECT person_id FROM event EXCEPT SELECT person_id FROM person) \
         SELECT e.number FROM event e JOIN known k ON k.person_id = e.person_id",
    ] {
        assert_eq!(sorted(sql).await, unmatched, "{sql}");
    }
    let counted: Vec<Vec<String>> = {
        let mut rows: Vec<_> = (0..PERSONS)
            .map(|person| vec![person.to_string(), events_of(person).to_string()])
            .collect();
        rows.sort();
        rows
    };
    for sql in [
        "SELECT p.number, (SELECT count(*) FROM event e WHERE e.person_id = p.person_id) AS n FROM person p",
        "SELECT p.number, coalesce(c.n, 0) AS n FROM person p LEFT JOIN \
         (SELECT person_id, count(*) AS n FROM event GROUP BY person_id) AS c ON c.person_id = p.person_id",
    ] {
        assert_eq!(sorted(sql).await, counted, "{sql}");
    }
    let first = "SELECT number FROM (SELECT number, row_number() OVER (PARTITION BY person_id ORDER BY number) AS n FROM event) AS o \
                 WHERE o.n = 1";
    assert_eq!(sorted(first).await, numbers(0..90));
    let median = "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY number) AS m FROM person";
    assert_eq!(sorted(median).await, [["29.5"]]);
    let notes =
        "SELECT n.number FROM note n JOIN event e ON n.about = e.event_id JOIN person p ON p.person_id = e.person_id";
    let owned = (0..EVENTS / 3).filter(|note| person_of(note * 3) < PERSONS);
    assert_eq!(sorted(notes).await, numbers(owned));
    let labels = "SELECT DISTINCT c.label FROM event e JOIN concept c ON e.code = c.concept_id";
    assert_eq!(sorted(labels).await.len(), usize::try_from(CODES).unwrap());
}

/// The library would call the first ones two columns of one name.
#[tokio::test]
async fn joined_tests_outside_of_conditions_have_advice() {
    let clinic = Clinic::new().await;
    let some = "person_id IN (SELECT person_id FROM event WHERE number < 10)";
    let others = "person_id IN (SELECT person_id FROM event WHERE number >= 10)";
    for select in [
        format!("count(*) FILTER (WHERE {some}) AS a, count(*) FILTER (WHERE {others}) AS b"),
        format!("count(*) FILTER (WHERE {some}) AS a"),
        format!("sum(CASE WHEN {some} THEN 1 ELSE 0 END) AS a, sum(CASE WHEN {others} THEN 1 ELSE 0 END) AS b"),
    ] {
        let sql = format!("SELECT {select} FROM person");
        let answer = clinic
            .query_within(grant(1), scope_of(&ALL, false), &sql, Bounds::default())
            .await;
        let Err(error) = answer else {
            panic!("{sql} is answered")
        };
        assert!(
            error.to_string().contains("in `WHERE` and `HAVING` only"),
            "{sql}: {error}"
        );
    }
}

#[tokio::test]
async fn joined_pseudonyms_agree_within_one_grant_only() {
    let clinic = Clinic::new().await;
    let subjects = async |holder: Holder, dataset: &str| -> BTreeSet<String> {
        let sql = format!("SELECT DISTINCT person_id FROM {dataset}");
        let rows = clinic.rows(holder, scope_of(&ALL, true), &sql).await.unwrap();
        rows.into_iter().map(|mut row| row.remove(0)).collect()
    };
    let persons = subjects(grant(1), "person").await;
    let of_events = subjects(grant(1), "event").await;
    assert_eq!(persons.len(), usize::try_from(PERSONS).unwrap());
    assert!(persons.is_subset(&of_events));
    assert_eq!(of_events.len(), 90);
    for other in [
        subjects(grant(2), "event").await,
        subjects(Holder::Local, "event").await,
    ] {
        assert!(other.is_disjoint(&of_events));
    }
    let keys: BTreeSet<String> = (0..90).map(|person| person_key(person).to_string()).collect();
    assert!(keys.is_disjoint(&of_events));
    // What a scope leaves out makes no difference to the subjects of the rest.
    let alone = clinic
        .sorted(
            grant(1),
            scope_of(&["event"], true),
            "SELECT DISTINCT person_id FROM event",
        )
        .await;
    assert_eq!(alone.into_iter().flatten().collect::<BTreeSet<_>>(), of_events);
    for sql in [
        "SELECT 1 FROM person p JOIN event e ON p.person_id = e.event_id",
        "SELECT 1 FROM note n JOIN person p ON p.person_id = n.about",
        "SELECT person_id FROM person UNION SELECT event_id FROM event",
    ] {
        let refused = clinic.rows(grant(1), scope_of(&ALL, true), sql).await;
        assert!(matches!(refused, Err(QueryError::Invalid { .. })), "{sql}: {refused:?}");
    }
}

/// Neither the error nor anything else differs between a dataset that the grant leaves out and one that does not exist.
#[tokio::test]
async fn joined_dataset_that_is_hidden_is_unknown() {
    let clinic = Clinic::new().await;
    let visible = || scope_of(&["person", "event"], true);
    let refused = async |sql: &str, table: &str| {
        let error = clinic.rows(grant(1), visible(), &sql.replace("TABLE", table)).await;
        error.unwrap_err().to_string().replace(table, "TABLE")
    };
    for sql in [
        "SELECT * FROM TABLE",
        "SELECT * FROM clinic.TABLE",
        "SELECT * FROM budapest.clinic.TABLE",
        "SELECT p.number FROM person p JOIN TABLE n ON n.number = p.number",
        "SELECT number FROM person WHERE number IN (SELECT number FROM TABLE)",
        "SELECT TABLE.number FROM person",
        "SELECT number FROM TABLE UNION ALL SELECT number FROM person",
    ] {
        assert_eq!(refused(sql, "note").await, refused(sql, "absent").await, "{sql}");
    }
    let without_rows = Scope {
        datasets: Datasets::new([(
            "absent".parse().unwrap(),
            DatasetScope {
                columns: Columns::new([(name("number"), Transform::Clear)]).unwrap(),
                rows: Rows::all(),
            },
        )])
        .unwrap(),
        ..visible()
    };
    let unknown = clinic.rows(grant(1), without_rows, "SELECT number FROM absent").await;
    assert!(matches!(unknown, Err(QueryError::UnknownTable { .. })));
}

#[tokio::test]
async fn joined_rows_are_those_of_the_subjects_of_the_grant() {
    let clinic = Clinic::new().await;
    let women = |datasets: &[&str]| about_women(scope_of(datasets, true));
    let sorted = async |scope: Scope, dataset: &str| {
        let sql = format!("SELECT number FROM {dataset}");
        clinic.sorted(grant(1), scope, &sql).await
    };
    let is_of_woman = |event: &i64| person_of(*event) < PERSONS && is_woman(person_of(*event));
    let events = numbers((0..EVENTS).filter(is_of_woman));
    let notes = numbers((0..EVENTS / 3).filter(|note| is_of_woman(&(note * 3))));
    assert_eq!(
        sorted(women(&ALL), "person").await,
        numbers((0..PERSONS).filter(|person| is_woman(*person)))
    );
    assert_eq!(sorted(women(&ALL), "event").await, events);
    assert_eq!(sorted(women(&ALL), "note").await, notes);
    // Also where the grant does not contain the dataset by which the subjects are chosen.
    assert_eq!(sorted(women(&["event"]), "event").await, events);
    assert_eq!(sorted(women(&["note"]), "note").await, notes);
    // Of bills it is not known whose they are; concepts are about no subject.
    assert_eq!(sorted(women(&ALL), "bill").await.len(), 0);
    let concepts = "SELECT concept_id FROM concept";
    assert_eq!(clinic.sorted(grant(1), women(&ALL), concepts).await, numbers(0..CODES));
    assert_eq!(
        clinic.sorted(grant(1), women(&ALL), JOINED).await,
        pairs(|person, _| is_woman(person))
    );
    // Without such a filter, rows without a subject are visible.
    assert_eq!(sorted(scope_of(&ALL, true), "event").await, numbers(0..EVENTS));
    assert_eq!(sorted(scope_of(&ALL, true), "bill").await.len(), 50);
}

#[tokio::test]
async fn joined_rows_are_filtered_in_each_dataset() {
    let clinic = Clinic::new().await;
    let narrowed = with_rows(scope_of(&ALL, true), "event", "code", 3);
    let admitted = pairs(|_, event| event % CODES == 3);
    assert_eq!(clinic.sorted(grant(1), narrowed.clone(), JOINED).await, admitted);
    let never = "SELECT number FROM event WHERE code <> 3 OR code IS NULL";
    assert_eq!(clinic.sorted(grant(1), narrowed, never).await.len(), 0);
}

/// The order of joined rows is the same each time, another one under another grant, and unrelated to how the rows are stored.
#[tokio::test]
async fn joined_rows_are_in_a_keyed_order() {
    let clinic = Clinic::new().await;
    let queries = [
        "SELECT number FROM event",
        "SELECT e.number FROM person p JOIN event e ON p.person_id = e.person_id",
        "SELECT e.number FROM event e LEFT JOIN person p ON p.person_id = e.person_id",
        "SELECT number FROM event e WHERE EXISTS (SELECT 1 FROM person p WHERE p.person_id = e.person_id)",
        "SELECT number FROM event UNION ALL SELECT number FROM note",
        "SELECT DISTINCT number FROM event",
        "SELECT number, count(*) AS n FROM event GROUP BY number",
        "SELECT number FROM (SELECT number, count(*) OVER (PARTITION BY code) AS n FROM event) AS c",
    ];
    for sql in queries {
        let under = async |by: u8| clinic.rows(grant(by), scope_of(&ALL, true), sql).await.unwrap();
        let first = under(1).await;
        assert_eq!(first, under(1).await, "{sql}");
        let other = under(2).await;
        assert_ne!(first, other, "{sql}");
        let ascending = ascents(&positions(&first)[..500]);
        assert!((0.35..0.65).contains(&ascending), "{sql}: {ascending}");
        assert_eq!(sorted(&first), sorted(&other), "{sql}");
    }
    let page = async |from: usize| {
        let sql = format!("{JOINED} LIMIT 10 OFFSET {from}");
        clinic.rows(grant(1), scope_of(&ALL, true), &sql).await.unwrap()
    };
    let whole = clinic.rows(grant(1), scope_of(&ALL, true), JOINED).await.unwrap();
    assert_eq!([page(0).await, page(10).await].concat(), whole[..20]);
}

/// The numbers in the first column.
fn positions(rows: &[Vec<String>]) -> Vec<i64> {
    rows.iter().map(|row| row[0].parse().unwrap()).collect()
}

fn sorted(rows: &[Vec<String>]) -> Vec<Vec<String>> {
    let mut rows = rows.to_vec();
    rows.sort();
    rows
}

/// How many of the neighbors are in ascending order: half of them if the order is random.
fn ascents(numbers: &[i64]) -> f64 {
    let ascending = numbers.windows(2).filter(|pair| pair[0] < pair[1]).count();
    f64::from(u32::try_from(ascending).unwrap()) / f64::from(u32::try_from(numbers.len() - 1).unwrap())
}

/// The same rows, stored in another order, are the same answer in another order: which one depends on keys only.
#[tokio::test]
async fn joined_rows_do_not_show_the_order_of_storage() {
    let stored = Clinic::new().await;
    let shuffled = Clinic::stored_as(&|row, count| (row * 7919 + 13) % count).await;
    let rows = async |clinic: &Clinic| clinic.rows(grant(1), scope_of(&ALL, true), JOINED).await.unwrap();
    let first = rows(&stored).await;
    let second = rows(&shuffled).await;
    assert_ne!(first, second);
    assert_eq!(sorted(&first), sorted(&second));
    // Rows that are stored at the same position of both datasets are not at one position in the orders of both.
    let numbers = async |dataset: &str| {
        let sql = format!("SELECT number FROM {dataset} WHERE number < {}", PERSONS / 2);
        positions(&stored.rows(grant(1), scope_of(&ALL, true), &sql).await.unwrap())
    };
    assert_ne!(numbers("person").await, numbers("event").await);
}

#[tokio::test]
async fn joins_that_multiply_rows_are_bounded() {
    let clinic = Clinic::new().await;
    let multiplied = "SELECT a.number AS x, b.number AS y FROM event a JOIN event b ON a.code = b.code";
    let limited = |max_rows: u64| Scope {
        limits: Limits {
            max_rows: Some(max_rows),
            ..Limits::default()
        },
        ..scope_of(&ALL, true)
    };
    let mut answer = clinic
        .query_within(grant(1), limited(1000), multiplied, Bounds::default())
        .await
        .unwrap();
    let mut released = 0;
    let ended = loop {
        match answer.next_batch().await {
            Ok(Some(batch)) => released += batch.records().num_rows(),
            Ok(None) => panic!("it ended after {released} rows"),
            Err(error) => break error,
        }
    };
    assert!(matches!(ended, QueryError::TooManyRows { limit: 1000 }), "{ended}");
    assert!(released <= 1000, "{released}");
    let little = Bounds {
        memory: 512 << 10,
        ..Bounds::default()
    };
    let ordered = format!("{multiplied} ORDER BY x + y DESC, x");
    let failed = async {
        let answer = clinic
            .query_within(grant(1), scope_of(&ALL, true), &ordered, little)
            .await?;
        texts(answer).await
    };
    let failed = failed.await;
    assert!(
        matches!(failed, Err(QueryError::Memory)),
        "{:?}",
        failed.map(|rows| rows.len())
    );
    let short = Bounds {
        time: Duration::from_millis(1),
        ..Bounds::default()
    };
    let long = "SELECT count(*) AS n FROM event a JOIN event b ON a.number <> b.number";
    let late = async {
        let answer = clinic.query_within(grant(1), scope_of(&ALL, true), long, short).await?;
        texts(answer).await
    };
    assert!(matches!(late.await, Err(QueryError::Deadline)));
}

#[tokio::test]
async fn collection_scope_that_is_not_applied_whole_is_refused() {
    let clinic = Clinic::new().await;
    let mut other_tier = scope_of(&ALL, true);
    other_tier.tier = Tier::Aggregate;
    let mut other_collection = scope_of(&ALL, true);
    other_collection.collection = "budapest.hospital".parse().unwrap();
    let mut other_protection = scope_of(&ALL, true);
    other_protection.protection = Protection::Perturbed(Noise::new(2, 4, 1).unwrap());
    for scope in [other_tier, other_collection, other_protection] {
        let refused = clinic.rows(grant(1), scope, "SELECT count(*) AS n FROM person").await;
        assert!(matches!(refused, Err(QueryError::NotApplied { .. })), "{refused:?}");
    }
    let missing = with_rows(scope_of(&ALL, true), "bill", "absent", 1);
    let refused = clinic.rows(grant(1), missing, "SELECT count(*) AS n FROM person").await;
    assert!(matches!(refused, Err(QueryError::MissingColumn { .. })), "{refused:?}");
}

/// The process of a query can read no other dataset, whatever it does: its node knows no other object of the query.
#[tokio::test]
async fn collection_task_contains_only_what_the_scope_needs() {
    let clinic = Clinic::new().await;
    let keys = AnswerKeys::of_collection(&clinic, &grant(1));
    let objects = |scope: Scope| -> Vec<String> {
        let task =
            Task::of_collection(&clinic, scope, &keys, ("SELECT 1 FROM event", None), &Bounds::default()).unwrap();
        let mut bytes = Vec::new();
        ciborium::into_writer(&task, &mut bytes).unwrap();
        let received: Task = ciborium::from_reader(bytes.as_slice()).unwrap();
        let ordinals = received.schema(0).unwrap();
        assert!(ordinals.field_with_name(ORDINAL_COLUMN).is_ok());
        let objects = received.objects().unwrap();
        objects.into_iter().map(|object| object.location.to_string()).collect()
    };
    assert_eq!(
        objects(scope_of(&["event"], true)),
        ["event-0.parquet", "event-1.parquet"]
    );
    assert_eq!(
        objects(about_women(scope_of(&["event"], true))),
        [
            "event-0.parquet",
            "event-1.parquet",
            "person-0.parquet",
            "person-1.parquet"
        ]
    );
}

#[tokio::test]
async fn joined_column_that_is_hidden_is_unknown() {
    let clinic = Clinic::new().await;
    let visible = || with_columns(scope_of(&["person", "event"], true), "person", &["person_id", "number"]);
    let refused = async |template: &str, column: &str| {
        let error = clinic.rows(grant(1), visible(), &template.replace("{}", column)).await;
        error.unwrap_err().to_string().replace(column, "{}")
    };
    for template in [
        "SELECT {} FROM person",
        "SELECT p.{} FROM event e JOIN person p ON p.person_id = e.person_id",
        "SELECT e.number FROM event e JOIN person p ON p.{} = e.number",
        "SELECT number FROM event e WHERE EXISTS (SELECT 1 FROM person p WHERE p.{} = 'f')",
        "WITH p AS (SELECT person_id AS x, {} FROM person) SELECT x FROM p",
        "SELECT row_number() OVER (PARTITION BY {}) AS n FROM person",
        "SELECT number FROM person ORDER BY {}",
    ] {
        assert_eq!(
            refused(template, "sex").await,
            refused(template, "sez").await,
            "{template}"
        );
    }
    let hidden = clinic
        .rows(grant(1), visible(), "SELECT __concordat_ordinal FROM event")
        .await;
    assert!(matches!(hidden, Err(QueryError::NotComputed { .. })), "{hidden:?}");
    let answer = clinic.query_within(grant(1), visible(), "SELECT * FROM person", Bounds::default());
    let columns = answer.await.unwrap().schema();
    let names: Vec<&str> = columns.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["person_id", "number"]);
}

/// The consumer plans with the roles that the provider states, and knows the columns of the answer, or the refusal.
#[tokio::test]
async fn collection_answer_is_foreseen() {
    let clinic = Clinic::new().await;
    let scope = scope_of(&ALL, true);
    let kinds = |name: &DatasetName| Some(clinic.dataset(name)?.kind);
    let of_provider = Domains::of_kinds(&scope.datasets, &kinds);
    let roles = scope.datasets.iter().flat_map(|(dataset, covered)| {
        let role = |column: &ColumnName| (dataset.clone(), column.clone(), of_provider.role(dataset, column));
        covered.columns.names().map(role).collect::<Vec<_>>()
    });
    let domains = Domains::of_roles(roles);
    let mut shown = BTreeMap::new();
    for (dataset, covered) in scope.datasets.iter() {
        let stored = clinic.dataset(dataset).unwrap().schema;
        let columns = stored.fields().iter().map(|field| ShownColumn {
            name: field.name().clone(),
            kind: if *field.data_type() == DataType::Utf8 {
                ColumnKind::Text
            } else {
                ColumnKind::Int
            },
            transform: covered.columns.transform(&name(field.name())),
        });
        let columns: Vec<ShownColumn> = columns.collect();
        let domain_of = |column: &str| domains.of(dataset, &name(column)).to_string();
        shown.insert(dataset.clone(), shown_dataset("a grant", &columns, &domain_of).unwrap());
    }
    let collection = "budapest.clinic".parse().unwrap();
    let mut answered = 0;
    let queries = [
        JOINED,
        "SELECT person_id, p.sex, e.code FROM person p LEFT JOIN event e USING (person_id)",
        "SELECT sex, count(*) AS n, median(number), avg(number) FROM person GROUP BY sex",
        "SELECT e.code, c.label, lag(e.number) OVER (ORDER BY e.number) FROM event e JOIN concept c ON c.concept_id = e.code",
        "SELECT n.about FROM note n UNION SELECT e.event_id FROM event e",
        "WITH w AS (SELECT person_id FROM person) SELECT w.person_id, (SELECT max(number) FROM event) FROM w",
        "SELECT 1 FROM person p JOIN event e ON p.person_id = e.event_id",
        "SELECT 1 FROM person p FULL JOIN event e ON p.person_id = e.person_id",
        "SELECT 1 FROM person p JOIN visit v ON true",
        "SELECT absent FROM person",
        "SELECT sex FROM person WHERE number = 'x'",
    ];
    for sql in queries {
        let foreseen = foreseen_in_collection(sql, &collection, None, &shown).await;
        let answer = clinic
            .query_within(grant(1), scope.clone(), sql, Bounds::default())
            .await;
        match (foreseen, answer) {
            (Ok(foreseen), Ok(answer)) => {
                assert_eq!(foreseen, answer.schema(), "{sql}");
                answered += 1;
            }
            (Err(foreseen), Err(refused)) => assert_eq!(foreseen.to_string(), refused.to_string(), "{sql}"),
            (foreseen, answer) => panic!("{sql}: {foreseen:?}, {answer:?}"),
        }
    }
    assert_eq!(answered, 6);
}
