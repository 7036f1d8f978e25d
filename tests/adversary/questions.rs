//! Questions that nobody may ask, from a member that holds a grant.

use std::sync::atomic::{AtomicU64, Ordering};

use concordat_node::sharing::QUERY;
use concordat_protocol::audit::EntryBody;
use concordat_protocol::grant::GrantEvent;
use concordat_protocol::identity::NodeKey;
use concordat_protocol::ids::{GrantId, QueryId};
use concordat_protocol::query::{ActorAssertion, Factor, MAX_SQL, QueryEnvelope, Receipt, Role};
use concordat_protocol::scope::Purpose;
use concordat_protocol::signed::{CoSigned, Signed};
use concordat_protocol::wire::messages::{QueryClosing, QueryFrame, QueryOpening, Refusal, RefusalCode};

use super::deal::{between_friends, change, granted};
use super::honest::{House, SUBJECTS, World};
use super::rogue::{Rogue, now, sign};

/// More than one statement, other statements than `SELECT`, other tables than the one, and what reads or writes elsewhere.
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

/// Places in which a column can be named.
const PLACES: [&str; 10] = [
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_envelope_that_is_not_exactly_its_senders_is_refused() {
    let world = World::met().await;
    let (rogue, provider) = (&world.rogue, &world.provider);
    let grant = granted(&world).await;
    let lies: [(&str, Signed<QueryEnvelope>); 15] = [
        (
            "speaks for another",
            question(&world, grant, |q| q.from = "budapest".parse().unwrap(), |_| ()),
        ),
        (
            "speaks for another",
            question(&world, grant, |_| (), |a| a.actor = "eva@budapest".parse().unwrap()),
        ),
        (
            "addressed to another",
            question(&world, grant, |q| q.to = "budapest".parse().unwrap(), |_| ()),
        ),
        (
            "addressed to another",
            question(&world, grant, |_| (), |a| a.audience = "budapest".parse().unwrap()),
        ),
        (
            "for another query",
            question(&world, grant, |_| (), |a| a.query = QueryId::from_bytes([1; 16])),
        ),
        (
            "has expired",
            question(&world, grant, |_| (), |a| a.expires = now().plus_seconds(-1)),
        ),
        (
            "not fresh",
            question(&world, grant, |q| q.sent_at = now().plus_seconds(-3600), |_| ()),
        ),
        (
            "not fresh",
            question(&world, grant, |q| q.sent_at = now().plus_seconds(3600), |_| ()),
        ),
        (
            "deadline",
            question(&world, grant, |q| q.deadline = now().plus_seconds(-1), |_| ()),
        ),
        (
            "longer than",
            question(&world, grant, |q| q.sql = " ".repeat(MAX_SQL + 1), |_| ()),
        ),
        ("not signed by the node that sent it", by_another(&world, grant)),
        (
            "not signed by the node that sent it",
            with_an_assertion_by_another(&world, grant),
        ),
        ("", question(&world, grant, |_| (), |a| a.roles.clear())),
        ("", question(&world, grant, |_| (), |a| a.training_until = None)),
        (
            "",
            question(&world, grant, |q| q.purpose = Purpose::ClinicalCare, |_| ()),
        ),
    ];
    for (words, lie) in lies {
        let refusal = refused(rogue, provider, lie).await;
        assert!(
            refusal.reasons[0].text.contains(words),
            "{refusal:?} should say `{words}`"
        );
    }
    assert_eq!(released(provider), 0);
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_is_answered_once() {
    let world = World::met().await;
    let grant = granted(&world).await;
    let once = question(&world, grant, |_| (), |_| ());
    assert!(ask(&world.rogue, &world.provider, once.clone()).await.is_ok());
    let refusal = refused(&world.rogue, &world.provider, once).await;
    assert!(refusal.reasons[0].text.contains("asked before"), "{refusal:?}");
    assert_eq!(released(&world.provider), 1);
    world.still_stands().await;
}

/// The evidence of the other query would be lost under the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_number_of_another_query_is_refused_whoever_asked_it() {
    let world = World::met().await;
    let grant = granted(&world).await;
    between_friends(&world).await;
    let eva = world.friend.researcher().await;
    world.friend.ask(&eva, "SELECT sex FROM cleveland.heart").await.unwrap();
    // The answer is entered when its end is known, which may be a moment later.
    let entered = async {
        while released(&world.provider) < 1 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    super::rogue::soon(entered).await;
    let ledger = world.provider.node.ledger();
    let entries = ledger.range(0, ledger.size()).unwrap();
    let asked = entries.iter().find_map(|entry| {
        if let EntryBody::DecisionMade { request, .. } = &entry.entry.body {
            Some(*request)
        } else {
            None
        }
    });
    let used = asked.unwrap();
    let again = question(&world, grant, |q| q.query = used, |a| a.query = used);
    let refusal = refused(&world.rogue, &world.provider, again).await;
    assert!(refusal.reasons[0].text.contains("asked before"), "{refusal:?}");
    assert_eq!(released(&world.provider), 1);
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_grant_is_refused_in_the_words_for_one_that_is_not_there() {
    let world = World::met().await;
    let theirs = between_friends(&world).await;
    let none = GrantId::from_bytes([9; 16]);
    let mut answers = Vec::new();
    for grant in [theirs, none] {
        let refusal = refused(&world.rogue, &world.provider, question(&world, grant, |_| (), |_| ())).await;
        answers.push((refusal.code, refusal.reasons[0].text.replace(&grant.to_string(), "…")));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].0, RefusalCode::NotFound);
    let eva = world.friend.researcher().await;
    assert_eq!(
        world.friend.ask(&eva, "SELECT sex FROM cleveland.heart").await.unwrap(),
        SUBJECTS
    );
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_one_select_over_the_one_table_is_run() {
    let world = World::met().await;
    let grant = granted(&world).await;
    let nested = format!("SELECT {}1{} FROM heart", "(".repeat(5000), ")".repeat(5000));
    let long_chain = format!("SELECT 1 FROM heart WHERE {}", vec!["sex = 1"; 6000].join(" OR "));
    for sql in FORBIDDEN.iter().copied().chain([nested.as_str(), long_chain.as_str()]) {
        let question = question(&world, grant, |q| q.sql = sql.to_owned(), |_| ());
        let shown: String = sql.chars().take(80).collect();
        assert!(
            ask(&world.rogue, &world.provider, question).await.is_err(),
            "`{shown}` was answered"
        );
    }
    assert_eq!(released_rows(&world.provider), 0);
    let good = question(&world, grant, |_| (), |_| ());
    assert!(ask(&world.rogue, &world.provider, good).await.is_ok());
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hidden_column_is_refused_in_the_words_for_one_that_is_not_there() {
    let world = World::met().await;
    let grant = granted(&world).await;
    for place in PLACES {
        let mut answers = Vec::new();
        for column in ["name", "none"] {
            let sql = place.replace("{}", column);
            let refusal = refused(
                &world.rogue,
                &world.provider,
                question(&world, grant, |q| q.sql = sql, |_| ()),
            )
            .await;
            answers.push((refusal.code, refusal.reasons[0].text.replace(column, "…")));
        }
        assert_eq!(answers[0], answers[1], "`{place}`");
    }
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hidden_table_is_refused_in_the_words_for_one_that_is_not_there() {
    let world = World::met().await;
    let grant = granted(&world).await;
    let mut answers = Vec::new();
    for table in ["ward", "none"] {
        let sql = format!("SELECT sex FROM {table}");
        let refusal = refused(
            &world.rogue,
            &world.provider,
            question(&world, grant, |q| q.sql = sql, |_| ()),
        )
        .await;
        answers.push((refusal.code, refusal.reasons[0].text.replace(table, "…")));
    }
    assert_eq!(answers[0], answers[1]);
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_revocation_nothing_is_answered() {
    let world = World::met().await;
    let (rogue, provider) = (&world.rogue, &world.provider);
    let grant = granted(&world).await;
    assert!(
        ask(rogue, provider, question(&world, grant, |_| (), |_| ()))
            .await
            .is_ok()
    );
    // The rogue does not even read the notice.
    revoke(provider, grant).await;
    let refusal = refused(rogue, provider, question(&world, grant, |_| (), |_| ())).await;
    assert_eq!(refusal.code, RefusalCode::Denied);
    assert!(refusal.reasons[0].text.contains("was revoked"), "{refusal:?}");
    assert_eq!(released(provider), 1);
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_that_is_not_signed_is_told_apart_and_costs_nobody_anything() {
    let world = World::met().await;
    let (rogue, provider) = (&world.rogue, &world.provider);
    let grant = granted(&world).await;
    let other = NodeKey::from_seed(&[9; 32].into());
    for forge in [true, false] {
        let mut stream = rogue.open(provider, QUERY).await.unwrap();
        stream
            .send(&QueryFrame {
                envelope: question(&world, grant, |_| (), |_| ()),
            })
            .await
            .unwrap();
        assert!(matches!(stream.recv().await.unwrap(), QueryOpening::Accepted { .. }));
        while !stream.block().await.unwrap().is_empty() {}
        let QueryClosing { receipt, .. } = stream.recv().await.unwrap();
        if forge {
            stream
                .send(&rogue.countersignature(receipt.add_signature(&other).unwrap()))
                .await
                .unwrap();
            assert!(stream.is_dropped().await);
        }
    }
    world.still_stands().await;
    assert_eq!(countersigned(provider), 0);
}

/// A sound question, but for what the two functions change before it is signed.
pub(super) fn question(
    world: &World,
    grant: GrantId,
    envelope: impl FnOnce(&mut QueryEnvelope),
    assertion: impl FnOnce(&mut ActorAssertion),
) -> Signed<QueryEnvelope> {
    question_by(&world.rogue, world, grant, envelope, assertion)
}

/// As [`question`], by any rogue.
pub(super) fn question_by(
    rogue: &Rogue,
    world: &World,
    grant: GrantId,
    envelope: impl FnOnce(&mut QueryEnvelope),
    assertion: impl FnOnce(&mut ActorAssertion),
) -> Signed<QueryEnvelope> {
    sign(&unsigned(rogue, world, grant, envelope, assertion), &rogue.node)
}

fn unsigned(
    rogue: &Rogue,
    world: &World,
    grant: GrantId,
    envelope: impl FnOnce(&mut QueryEnvelope),
    assertion: impl FnOnce(&mut ActorAssertion),
) -> QueryEnvelope {
    let query = fresh();
    let mut stated = ActorAssertion {
        actor: format!("mallory@{}", rogue.institution).parse().unwrap(),
        roles: [Role::Researcher].into(),
        factors: [Factor::Password].into(),
        authenticated_at: now().plus_seconds(-60),
        password_reset_at: None,
        training_until: Some(now().plus_seconds(86_400)),
        audience: world.provider.id().clone(),
        query,
        expires: now().plus_seconds(60),
    };
    assertion(&mut stated);
    let mut question = QueryEnvelope {
        query,
        grant,
        from: rogue.institution.clone(),
        to: world.provider.id().clone(),
        actor: sign(&stated, &rogue.node),
        purpose: Purpose::HealthResearch,
        sql: "SELECT sex, chol FROM heart".to_owned(),
        sent_at: now(),
        deadline: now().plus_seconds(60),
    };
    envelope(&mut question);
    question
}

fn by_another(world: &World, grant: GrantId) -> Signed<QueryEnvelope> {
    sign(
        &unsigned(&world.rogue, world, grant, |_| (), |_| ()),
        &NodeKey::from_seed(&[9; 32].into()),
    )
}

fn with_an_assertion_by_another(world: &World, grant: GrantId) -> Signed<QueryEnvelope> {
    let mut question = unsigned(&world.rogue, world, grant, |_| (), |_| ());
    let stated = question.actor.peek_unverified().unwrap();
    question.actor = sign(&stated, &NodeKey::from_seed(&[9; 32].into()));
    sign(&question, &world.rogue.node)
}

fn fresh() -> QueryId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0xee; 16];
    bytes[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    QueryId::from_bytes(bytes)
}

/// An answer as it came.
pub(super) struct Answer {
    pub(super) chunks: Vec<Vec<u8>>,
    pub(super) receipt: CoSigned<Receipt>,
}

/// Asks by the rules and countersigns; fails with the refusal, wherever in the answer it stands.
pub(super) async fn ask(rogue: &Rogue, house: &House, envelope: Signed<QueryEnvelope>) -> Result<Answer, Refusal> {
    let mut stream = rogue.open(house, QUERY).await.unwrap();
    stream.send(&QueryFrame { envelope }).await.unwrap();
    match stream.recv().await.expect("every question has an answer") {
        QueryOpening::Accepted { .. } => {}
        QueryOpening::Refused(refusal) => return Err(refusal),
    }
    let mut chunks = Vec::new();
    loop {
        let chunk = stream.block().await.unwrap();
        if chunk.is_empty() {
            break;
        }
        chunks.push(chunk);
    }
    let QueryClosing { receipt, cut } = stream.recv().await.unwrap();
    let both = receipt.add_signature(&rogue.node).unwrap();
    stream.send(&rogue.countersignature(both)).await.unwrap();
    assert!(stream.is_dropped().await);
    cut.map_or(Ok(Answer { chunks, receipt }), Err)
}

async fn refused(rogue: &Rogue, house: &House, envelope: Signed<QueryEnvelope>) -> Refusal {
    match ask(rogue, house, envelope).await {
        Err(refusal) => refusal,
        Ok(_) => panic!("the question was answered"),
    }
}

async fn revoke(house: &House, grant: GrantId) {
    change(house, &grant, GrantEvent::Revoke).await;
}

fn count(house: &House, which: impl Fn(&EntryBody) -> u64) -> u64 {
    let ledger = house.node.ledger();
    ledger
        .range(0, ledger.size())
        .unwrap()
        .iter()
        .map(|entry| which(&entry.entry.body))
        .sum()
}

/// How many answers the ledger knows of.
fn released(house: &House) -> u64 {
    count(house, |body| {
        u64::from(matches!(body, EntryBody::AnswerReleased { rows, .. } if *rows > 0))
    })
}

fn released_rows(house: &House) -> u64 {
    count(house, |body| {
        if let EntryBody::AnswerReleased { rows, .. } = body {
            *rows
        } else {
            0
        }
    })
}

fn countersigned(house: &House) -> u64 {
    count(house, |body| {
        u64::from(matches!(body, EntryBody::ReceiptCountersigned { .. }))
    })
}
