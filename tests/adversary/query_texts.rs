//! Texts of queries that are not allowed, from a member that holds a grant.

use concordat_protocol::audit::EntryBody;
use concordat_protocol::query::{MAX_SQL, QueryEnvelope};
use concordat_protocol::schema::VersionNumber;
use concordat_protocol::scope::{Purpose, Scope, Tier};
use concordat_protocol::wire::messages::RefusalCode;

use super::malicious_peer::rule;
use super::negotiation_fixture::{granted, granted_of};
use super::queries::{count, envelope, refused, released, released_rows, send_query};
use super::well_behaved::{SUBJECTS, World, nameless};

/// More than one statement, statements other than `SELECT`, other tables, and statements that read or write elsewhere.
const FORBIDDEN: [&str; 34] = [
    "SELECT sex FROM heart; SELECT chol FROM heart",
    "SELECT sex FROM heart; DROP TABLE heart",
    "DROP TABLE heart",
    "CREATE TABLE copy AS SELECT * FROM heart",
    "CREATE VIEW copy AS SELECT * FROM heart",
    "CREATE EXTERNAL TABLE passwd STORED AS CSV LOCATION '/etc/passwd'",
    "INSERT INTO heart (sex) VALUES (1)",
    "UPDATE heart SET sex = 1",
    "DELETE FROM heart",
    "TRUNCATE TABLE heart",
    "ALTER TABLE heart ADD COLUMN leak int",
    "COPY heart TO '/tmp/leak.csv'",
    "COPY (SELECT * FROM heart) TO '/tmp/leak.parquet' STORED AS PARQUET",
    "SET datafusion.execution.batch_size = 1",
    "SHOW TABLES",
    "EXPLAIN SELECT sex FROM heart",
    "EXPLAIN ANALYZE SELECT sex FROM heart",
    "DESCRIBE heart",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM generate_series(1, 1000000000)",
    "SELECT * FROM range(1, 1000000000)",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM ward",
    "SELECT sex FROM heart UNION SELECT sex FROM ward",
    "SELECT sex FROM heart UNION ALL SELECT secret FROM nowhere",
    "SELECT sex FROM heart WHERE sex IN (SELECT sex FROM ward)",
    "SELECT h.sex FROM heart h, ward w",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT n FROM r",
    "SELECT version()",
    "SELECT sex INTO leak FROM heart",
    "PREPARE p AS SELECT sex FROM heart",
    "",
    "SELECT \u{0} FROM heart; --",
];

/// Positions in which a column can be named.
const COLUMN_POSITIONS: [&str; 10] = [
    "SELECT {} FROM heart",
    "SELECT upper({}) FROM heart",
    "SELECT sex FROM heart WHERE {} = 'Patient 7'",
    "SELECT sex FROM heart WHERE {} IS NULL",
    "SELECT sex FROM heart ORDER BY {}",
    "SELECT count(*) FROM heart GROUP BY {}",
    "SELECT sex, count(*) FROM heart GROUP BY sex HAVING max({}) > 'P'",
    "SELECT sex FROM heart WHERE sex IN (SELECT 1 FROM heart WHERE {} LIKE 'P%')",
    "SELECT CASE WHEN {} > 'P' THEN 1 ELSE 0 END FROM heart",
    "SELECT sum(chol) OVER (PARTITION BY {}) FROM heart",
];

/// A text is kept as evidence also if the query is denied.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn query_texts_beyond_the_budget_of_a_day_are_refused() {
    let world = World::connected().await;
    let grant = granted(&world).await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let short = "SELECT sex FROM heart";
    let longest = format!("{short}{}", " ".repeat(MAX_SQL - short.len()));
    let decided = || {
        count(provider, |body| {
            u64::from(matches!(body, EntryBody::DecisionMade { .. }))
        })
    };
    let before = decided();
    let mut stored = 0;
    let last = loop {
        let denied = |query: &mut QueryEnvelope| {
            query.purpose = Purpose::ClinicalCare;
            query.sql.clone_from(&longest);
        };
        let refusal = refused(attacker, provider, envelope(&world, grant, denied, |_| ())).await;
        assert_eq!(refusal.code, RefusalCode::Denied, "{refusal:?}");
        if rule(&refusal) == Some("query-text-per-day") {
            break stored;
        }
        stored += 1;
        assert!(stored < 1000, "any number of texts is kept");
    };
    assert!(last > 100, "{last}");
    assert_eq!(
        decided() - before,
        last,
        "what is refused for its length leaves no record"
    );
    let short = envelope(&world, grant, |_| (), |_| ());
    assert!(send_query(attacker, provider, short).await.is_ok());
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn query_other_than_one_select_over_one_table_is_refused() {
    let world = World::connected().await;
    let grant = granted(&world).await;
    let nested = format!("SELECT {}1{} FROM heart", "(".repeat(5000), ")".repeat(5000));
    let long_chain = format!("SELECT 1 FROM heart WHERE {}", vec!["sex = 1"; 6000].join(" OR "));
    for sql in FORBIDDEN.iter().copied().chain([nested.as_str(), long_chain.as_str()]) {
        let query = envelope(&world, grant, |q| q.sql = sql.to_owned(), |_| ());
        let shown: String = sql.chars().take(80).collect();
        assert!(
            send_query(&world.attacker, &world.provider, query).await.is_err(),
            "`{shown}` was answered"
        );
    }
    assert_eq!(released_rows(&world.provider), 0);
    let good = envelope(&world, grant, |_| (), |_| ());
    assert!(send_query(&world.attacker, &world.provider, good).await.is_ok());
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hidden_column_is_refused_as_unknown() {
    let world = World::connected().await;
    let grant = granted(&world).await;
    for position in COLUMN_POSITIONS {
        let mut answers = Vec::new();
        for column in ["name", "none"] {
            let sql = position.replace("{}", column);
            let refusal = refused(
                &world.attacker,
                &world.provider,
                envelope(&world, grant, |q| q.sql = sql, |_| ()),
            )
            .await;
            answers.push((refusal.code, format!("{:?}", refusal.reasons).replace(column, "…")));
        }
        assert_eq!(answers[0], answers[1], "`{position}`");
    }
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hidden_table_is_refused_as_unknown() {
    let world = World::connected().await;
    let grant = granted(&world).await;
    let mut answers = Vec::new();
    for table in ["ward", "none"] {
        let sql = format!("SELECT sex FROM {table}");
        let refusal = refused(
            &world.attacker,
            &world.provider,
            envelope(&world, grant, |q| q.sql = sql, |_| ()),
        )
        .await;
        answers.push((refusal.code, format!("{:?}", refusal.reasons).replace(table, "…")));
    }
    assert_eq!(answers[0], answers[1]);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn query_text_with_another_version_than_stated_is_refused() {
    let world = World::connected().await;
    let grant = granted(&world).await;
    world.provider.import_rows(SUBJECTS + 100).await;
    let versions = [None, Some(VersionNumber::FIRST), Some(VersionNumber::new(2))];
    for (sql, own) in [
        ("SELECT sex FROM heart", None),
        ("SELECT sex FROM heart VERSION AS OF 1", Some(VersionNumber::FIRST)),
    ] {
        for version in versions {
            let draft = |draft: &mut QueryEnvelope| {
                draft.sql = sql.to_owned();
                draft.version = version;
            };
            let query = envelope(&world, grant, draft, |_| ());
            let answered = send_query(&world.attacker, &world.provider, query).await;
            match answered {
                Ok(_) => assert_eq!((own, version), (None, None), "{sql} for {version:?} was answered"),
                // Older versions are not for other institutions at all.
                Err(refusal) if version.is_some() => assert_eq!(refusal.code, RefusalCode::Denied, "{refusal:?}"),
                Err(refusal) => {
                    assert_eq!(refusal.code, RefusalCode::Invalid, "{refusal:?}");
                    assert_eq!(rule(&refusal), Some("version-as-stated"), "{refusal:?}");
                }
            }
        }
    }
    assert_eq!(released(&world.provider), 1);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_of_format_2_answers_only_at_records() {
    for tier in [Tier::Records, Tier::Aggregate, Tier::Exists] {
        let world = World::connected().await;
        let provider = &world.provider;
        let scope = Scope {
            tier,
            ..nameless(provider)
        };
        let grant = granted_of(&world, scope).await;
        let sql = if tier == Tier::Records {
            "SELECT sex FROM heart"
        } else {
            "SELECT count(*) FROM heart"
        };
        let query = || envelope(&world, grant, |draft| draft.sql = sql.to_owned(), |_| ());
        provider.sign_as_format_2("heart").await;
        let answered = send_query(&world.attacker, provider, query()).await;
        match (tier, answered) {
            (Tier::Records, answered) => assert!(answered.is_ok()),
            (_, Ok(_)) => panic!("it was answered at {tier}"),
            (_, Err(refusal)) => {
                assert_eq!(refusal.code, RefusalCode::Invalid, "{refusal:?}");
                assert_eq!(rule(&refusal), Some("subjects-numbered"), "{refusal:?}");
                let remedy = refusal.reasons[0].remedy.as_deref().unwrap();
                assert!(remedy.contains("`concordat dataset index heart`"), "{remedy}");
            }
        }
        provider.index("heart").await;
        let answered = send_query(&world.attacker, provider, query()).await;
        assert!(answered.is_ok(), "{tier}: {:?}", answered.err());
        world.assert_still_serving().await;
    }
}
