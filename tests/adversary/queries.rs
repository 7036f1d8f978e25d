//! Queries that are not allowed, from a member that holds a grant.

use concordat_protocol::wire::streams::QUERY;
use std::sync::atomic::{AtomicU64, Ordering};

use concordat_protocol::audit::EntryBody;
use concordat_protocol::grant::GrantEvent;
use concordat_protocol::identity::NodeKey;
use concordat_protocol::ids::{GrantId, QueryId};
use concordat_protocol::query::{ActorAssertion, Factor, MAX_SQL, QueryEnvelope, Receipt, Role};
use concordat_protocol::scope::Purpose;
use concordat_protocol::signed::{CoSigned, Signed};
use concordat_protocol::text::Text;
use concordat_protocol::wire::messages::{QueryClosing, QueryFrame, QueryOpening, Refusal, RefusalCode};

use super::malicious_peer::{MaliciousPeer, now, rule, sign};
use super::negotiation_fixture::{change, grant_between_members, granted};
use super::well_behaved::{InProcessNode, SUBJECTS, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_envelope_that_is_not_exactly_its_senders_is_refused() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let grant = granted(&world).await;
    let forgeries: [(Option<&str>, Signed<QueryEnvelope>); 17] = [
        (
            Some("query-sender"),
            envelope(&world, grant, |q| q.from = "budapest".parse().unwrap(), |_| ()),
        ),
        (
            Some("query-sender"),
            envelope(&world, grant, |_| (), |a| a.actor = "eva@budapest".parse().unwrap()),
        ),
        (
            Some("query-recipient"),
            envelope(&world, grant, |q| q.to = "budapest".parse().unwrap(), |_| ()),
        ),
        (
            Some("query-recipient"),
            envelope(&world, grant, |_| (), |a| a.audience = "budapest".parse().unwrap()),
        ),
        (
            Some("assertion-of-query"),
            envelope(&world, grant, |_| (), |a| a.query = QueryId::from_bytes([1; 16])),
        ),
        (
            Some("assertion-time"),
            envelope(&world, grant, |_| (), |a| a.expires = now().plus_seconds(-1)),
        ),
        (
            Some("query-time"),
            envelope(&world, grant, |q| q.sent_at = now().plus_seconds(-3600), |_| ()),
        ),
        (
            Some("query-time"),
            envelope(&world, grant, |q| q.sent_at = now().plus_seconds(3600), |_| ()),
        ),
        (
            Some("query-deadline"),
            envelope(&world, grant, |q| q.deadline = now().plus_seconds(-1), |_| ()),
        ),
        (
            Some("query-length"),
            envelope(&world, grant, |q| q.sql = " ".repeat(MAX_SQL + 1), |_| ()),
        ),
        (Some("query-signature"), by_another(&world, grant)),
        (Some("query-signature"), with_an_assertion_by_another(&world, grant)),
        (None, envelope(&world, grant, |_| (), |a| a.roles.clear())),
        (None, envelope(&world, grant, |_| (), |a| a.training_until = None)),
        (None, envelope(&world, grant, |_| (), |a| a.training_course = None)),
        (
            None,
            envelope(
                &world,
                grant,
                |_| (),
                |a| a.training_course = Some(Text::new("cooking").unwrap()),
            ),
        ),
        (
            None,
            envelope(&world, grant, |q| q.purpose = Purpose::ClinicalCare, |_| ()),
        ),
    ];
    for (expected, forged) in forgeries {
        let refusal = refused(attacker, provider, forged).await;
        // The last three are for the policy to deny, by any of its rules.
        match expected {
            Some(expected) => assert_eq!(rule(&refusal), Some(expected), "{refusal:?}"),
            None => assert_eq!(refusal.code, RefusalCode::Denied, "{refusal:?}"),
        }
    }
    assert_eq!(released(provider), 0);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn query_is_answered_once() {
    let world = World::connected().await;
    let grant = granted(&world).await;
    let once = envelope(&world, grant, |_| (), |_| ());
    assert!(send_query(&world.attacker, &world.provider, once.clone()).await.is_ok());
    let refusal = refused(&world.attacker, &world.provider, once).await;
    assert_eq!(rule(&refusal), Some("query-once"), "{refusal:?}");
    assert_eq!(released(&world.provider), 1);
    world.assert_still_serving().await;
}

/// The evidence of the other query would be lost under the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn query_id_of_another_query_is_refused_for_any_sender() {
    let world = World::connected().await;
    let grant = granted(&world).await;
    grant_between_members(&world).await;
    let eva = world.member.researcher().await;
    world
        .member
        .query(&eva, "SELECT sex FROM cleveland.heart")
        .await
        .unwrap();
    // The answer is recorded when its outcome is known, which may be a moment later.
    let recorded = async {
        while released(&world.provider) < 1 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    super::malicious_peer::soon(recorded).await;
    let ledger = world.provider.node.ledger();
    let entries = ledger.range(0, ledger.size()).unwrap();
    let request = entries.iter().find_map(|entry| {
        if let EntryBody::DecisionMade { request, .. } = &entry.entry.body {
            Some(*request)
        } else {
            None
        }
    });
    let used = request.unwrap();
    let again = envelope(&world, grant, |q| q.query = used, |a| a.query = used);
    let refusal = refused(&world.attacker, &world.provider, again).await;
    assert_eq!(rule(&refusal), Some("query-id-unused"), "{refusal:?}");
    assert_eq!(released(&world.provider), 1);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grant_of_another_member_is_refused_as_unknown() {
    let world = World::connected().await;
    let theirs = grant_between_members(&world).await;
    let none = GrantId::from_bytes([9; 16]);
    let mut answers = Vec::new();
    for grant in [theirs, none] {
        let refusal = refused(
            &world.attacker,
            &world.provider,
            envelope(&world, grant, |_| (), |_| ()),
        )
        .await;
        answers.push((
            refusal.code,
            format!("{:?}", refusal.reasons).replace(&grant.to_string(), "…"),
        ));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].0, RefusalCode::NotFound);
    let eva = world.member.researcher().await;
    assert_eq!(
        world
            .member
            .query(&eva, "SELECT sex FROM cleveland.heart")
            .await
            .unwrap(),
        SUBJECTS
    );
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn query_after_a_revocation_is_refused() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let grant = granted(&world).await;
    assert!(
        send_query(attacker, provider, envelope(&world, grant, |_| (), |_| ()))
            .await
            .is_ok()
    );
    // The attacker does not even read the notice.
    revoke(provider, grant).await;
    let refusal = refused(attacker, provider, envelope(&world, grant, |_| (), |_| ())).await;
    assert_eq!(refusal.code, RefusalCode::Denied);
    assert_eq!(rule(&refusal), Some("grant-revoked"), "{refusal:?}");
    assert_eq!(released(provider), 1);
    world.assert_still_serving().await;
}

/// A reader keeps the receipt and signs nothing, until it is given up: a kill of the provider would lose what left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outcome_is_entered_while_the_reader_signs() {
    let world = World::connected().await;
    let grant = granted(&world).await;
    let mut stream = world.attacker.open(&world.provider, QUERY).await.unwrap();
    let envelope = envelope(&world, grant, |_| (), |_| ());
    let query = envelope.peek_unverified().unwrap().query;
    stream.send(&QueryFrame { envelope }).await.unwrap();
    assert!(matches!(stream.recv().await.unwrap(), QueryOpening::Accepted { .. }));
    stream.chunks().await.unwrap();
    let QueryClosing { receipt, .. } = stream.recv().await.unwrap();
    let entered = async {
        while world.provider.node.evidence().is_open(query).unwrap() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    // A reader has fifteen seconds.
    let in_time = tokio::time::timeout(std::time::Duration::from_secs(10), entered);
    in_time.await.expect("it is not waited for");
    assert_eq!(released(&world.provider), 1);
    assert_eq!(countersigned(&world.provider), 0);
    // The signature is still accepted.
    let both = receipt.add_signature(&world.attacker.node).unwrap();
    stream.send(&world.attacker.countersignature(both)).await.unwrap();
    assert!(stream.is_dropped().await);
    assert_eq!(countersigned(&world.provider), 1);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipt_without_countersignature_is_recognized_as_such() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let grant = granted(&world).await;
    let other = NodeKey::from_seed(&[9; 32].into());
    for forge in [true, false] {
        let mut stream = attacker.open(provider, QUERY).await.unwrap();
        stream
            .send(&QueryFrame {
                envelope: envelope(&world, grant, |_| (), |_| ()),
            })
            .await
            .unwrap();
        assert!(matches!(stream.recv().await.unwrap(), QueryOpening::Accepted { .. }));
        stream.chunks().await.unwrap();
        let QueryClosing { receipt, .. } = stream.recv().await.unwrap();
        if forge {
            stream
                .send(&attacker.countersignature(receipt.add_signature(&other).unwrap()))
                .await
                .unwrap();
            assert!(stream.is_dropped().await);
        }
    }
    world.assert_still_serving().await;
    assert_eq!(countersigned(provider), 0);
}

/// A valid query, except for what the two functions change before it is signed.
pub(super) fn envelope(
    world: &World,
    grant: GrantId,
    envelope: impl FnOnce(&mut QueryEnvelope),
    assertion: impl FnOnce(&mut ActorAssertion),
) -> Signed<QueryEnvelope> {
    envelope_by(&world.attacker, world, grant, envelope, assertion)
}

/// Like [`envelope()`], by any attacker.
pub(super) fn envelope_by(
    attacker: &MaliciousPeer,
    world: &World,
    grant: GrantId,
    envelope: impl FnOnce(&mut QueryEnvelope),
    assertion: impl FnOnce(&mut ActorAssertion),
) -> Signed<QueryEnvelope> {
    sign(&unsigned(attacker, world, grant, envelope, assertion), &attacker.node)
}

fn unsigned(
    attacker: &MaliciousPeer,
    world: &World,
    grant: GrantId,
    envelope: impl FnOnce(&mut QueryEnvelope),
    assertion: impl FnOnce(&mut ActorAssertion),
) -> QueryEnvelope {
    let query = fresh();
    let mut stated = ActorAssertion {
        actor: format!("mallory@{}", attacker.institution).parse().unwrap(),
        roles: [Role::Researcher].into(),
        factors: [Factor::Password].into(),
        authenticated_at: now().plus_seconds(-60),
        password_reset_at: None,
        training_until: Some(now().plus_seconds(86_400)),
        training_course: Some(Text::new("human-subjects-protection").unwrap()),
        audience: world.provider.id().clone(),
        query,
        expires: now().plus_seconds(60),
    };
    assertion(&mut stated);
    let mut draft = QueryEnvelope {
        query,
        grant,
        from: attacker.institution.clone(),
        to: world.provider.id().clone(),
        actor: sign(&stated, &attacker.node),
        purpose: Purpose::HealthResearch,
        sql: "SELECT sex, chol FROM heart".to_owned(),
        version: None,
        rules: None,
        sent_at: now(),
        deadline: now().plus_seconds(60),
    };
    envelope(&mut draft);
    draft
}

fn by_another(world: &World, grant: GrantId) -> Signed<QueryEnvelope> {
    sign(
        &unsigned(&world.attacker, world, grant, |_| (), |_| ()),
        &NodeKey::from_seed(&[9; 32].into()),
    )
}

fn with_an_assertion_by_another(world: &World, grant: GrantId) -> Signed<QueryEnvelope> {
    let mut draft = unsigned(&world.attacker, world, grant, |_| (), |_| ());
    let stated = draft.actor.peek_unverified().unwrap();
    draft.actor = sign(&stated, &NodeKey::from_seed(&[9; 32].into()));
    sign(&draft, &world.attacker.node)
}

fn fresh() -> QueryId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0xee; 16];
    bytes[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    QueryId::from_bytes(bytes)
}

/// An answer as it was received.
pub(super) struct Answer {
    pub(super) chunks: Vec<Vec<u8>>,
    pub(super) receipt: CoSigned<Receipt>,
}

/// Sends a query by the rules and countersigns; fails with the refusal, at whatever point of the answer it arrives.
pub(super) async fn send_query(
    attacker: &MaliciousPeer,
    target: &InProcessNode,
    envelope: Signed<QueryEnvelope>,
) -> Result<Answer, Refusal> {
    let mut stream = attacker.open(target, QUERY).await.unwrap();
    stream.send(&QueryFrame { envelope }).await.unwrap();
    match stream.recv().await.expect("every query has an answer") {
        QueryOpening::Accepted { .. } => {}
        QueryOpening::Refused(refusal) => return Err(refusal),
    }
    let chunks = stream.chunks().await.unwrap();
    let QueryClosing { receipt, cut } = stream.recv().await.unwrap();
    let both = receipt.add_signature(&attacker.node).unwrap();
    stream.send(&attacker.countersignature(both)).await.unwrap();
    assert!(stream.is_dropped().await);
    cut.map_or(Ok(Answer { chunks, receipt }), Err)
}

pub(super) async fn refused(
    attacker: &MaliciousPeer,
    target: &InProcessNode,
    envelope: Signed<QueryEnvelope>,
) -> Refusal {
    match send_query(attacker, target, envelope).await {
        Err(refusal) => refusal,
        Ok(_) => panic!("the query was answered"),
    }
}

pub(super) async fn revoke(target: &InProcessNode, grant: GrantId) {
    change(target, &grant, GrantEvent::Revoke).await;
}

pub(super) fn count(target: &InProcessNode, which: impl Fn(&EntryBody) -> u64) -> u64 {
    let ledger = target.node.ledger();
    ledger
        .range(0, ledger.size())
        .unwrap()
        .iter()
        .map(|entry| which(&entry.entry.body))
        .sum()
}

/// The number of answers in the ledger.
pub(super) fn released(target: &InProcessNode) -> u64 {
    count(target, |body| {
        u64::from(matches!(body, EntryBody::AnswerReleased { rows, .. } if *rows > 0))
    })
}

pub(super) fn released_rows(target: &InProcessNode) -> u64 {
    count(target, |body| {
        if let EntryBody::AnswerReleased { rows, .. } = body {
            *rows
        } else {
            0
        }
    })
}

fn countersigned(target: &InProcessNode) -> u64 {
    count(target, |body| {
        u64::from(matches!(body, EntryBody::ReceiptCountersigned { .. }))
    })
}
