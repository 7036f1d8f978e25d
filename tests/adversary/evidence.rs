//! Evidence that one side withholds, and outcomes that one side does not want recorded.

use concordat_protocol::wire::streams::{QUERY, RECEIPT};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use concordat_node::{Actor, Question};
use concordat_protocol::audit::{EntryBody, Outcome};
use concordat_protocol::identity::NodeKey;
use concordat_protocol::ids::{GrantId, QueryId};
use concordat_protocol::query::{QueryEnvelope, Receipt};
use concordat_protocol::scope::Tier;
use concordat_protocol::signed::CoSigned;
use concordat_protocol::text::Reason;
use concordat_protocol::wire::messages::{
    AnswerDigest, Countersignature, QueryClosing, QueryFrame, QueryOpening, ReceiptReply, ReceiptRequest, Refusal,
    RefusalCode, Reply,
};
use concordat_tests::tester;
use tokio::sync::Notify;

use super::answers::show_columns;
use super::malicious_peer::{MaliciousPeer, Wire, now, soon};
use super::negotiation_fixture::{grant_between_members, granted, granted_to_member};
use super::queries::{envelope, send_query};
use super::well_behaved::{InProcessNode, World};

/// Receipts that may wait for a countersignature (`node/src/sharing/evidence.rs`).
const MAX_OUTSTANDING: usize = 16;

/// Sends a query, reads the whole answer, and leaves without a countersignature. False if the provider refused because of that.
pub(super) async fn query_without_signing(world: &World, grant: GrantId) -> bool {
    let mut stream = world.attacker.open(&world.provider, QUERY).await.unwrap();
    let envelope = envelope(world, grant, |_| (), |_| ());
    stream.send(&QueryFrame { envelope }).await.unwrap();
    match stream.recv().await.unwrap() {
        QueryOpening::Accepted { .. } => {}
        QueryOpening::Refused(refusal) => {
            assert_eq!(refusal.code, RefusalCode::CountersignFirst, "{refusal:?}");
            return false;
        }
    }
    stream.chunks().await.unwrap();
    let QueryClosing { .. } = stream.recv().await.unwrap();
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_without_countersignature_is_not_answered_until_it_signs() {
    let world = World::connected().await;
    let grant = granted(&world).await;
    for n in 0..MAX_OUTSTANDING {
        assert!(
            query_without_signing(&world, grant).await,
            "answer {n} is within the limit"
        );
    }
    assert!(!query_without_signing(&world, grant).await, "one more is refused");

    // No other member is affected.
    grant_between_members(&world).await;
    let eva = world.member.researcher().await;
    assert!(
        world
            .member
            .query(&eva, "SELECT sex FROM cleveland.heart")
            .await
            .unwrap()
            > 0
    );

    let mut stream = world.attacker.open(&world.provider, RECEIPT).await.unwrap();
    stream.send(&ReceiptRequest {}).await.unwrap();
    let ReceiptReply { receipts } = stream.recv().await.unwrap();
    assert_eq!(receipts.len(), MAX_OUTSTANDING);
    let forger = NodeKey::from_seed(&[9; 32].into());
    let forged = receipts[0].add_signature(&forger).unwrap();
    let altered = CoSigned::propose(&Receipt {
        bytes: 1,
        ..receipts[1].peek_unverified().unwrap()
    });
    let altered = altered.unwrap().add_signature(&world.attacker.node).unwrap();
    for bad in [forged, altered, receipts[2].clone()] {
        stream.send(&world.attacker.countersignature(bad)).await.unwrap();
        assert!(matches!(stream.recv().await.unwrap(), Reply::Refused(_)));
    }
    assert!(
        !query_without_signing(&world, grant).await,
        "invalid signatures do not count"
    );
    let signed = receipts[0].add_signature(&world.attacker.node).unwrap();
    stream.send(&world.attacker.countersignature(signed)).await.unwrap();
    assert_eq!(stream.recv::<Reply>().await.unwrap(), Reply::Accepted);
    assert!(
        query_without_signing(&world, grant).await,
        "it has signed one, so one is answered"
    );
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipt_that_is_written_off_no_longer_blocks_its_consumer() {
    let world = World::connected().await;
    let grant = granted(&world).await;
    for _ in 0..MAX_OUTSTANDING {
        assert!(query_without_signing(&world, grant).await);
    }
    let refused = send_query(
        &world.attacker,
        &world.provider,
        envelope(&world, grant, |_| (), |_| ()),
    );
    let refused = refused.await.err().expect("too many receipts wait");
    let remedy = refused.reasons[0].remedy.as_deref().unwrap();
    let query = remedy.split("concordat audit write-off ").nth(1).expect(remedy);
    let query: QueryId = query.split(' ').next().unwrap().parse().unwrap();

    let node = world.provider.node.clone();
    let written_off = tokio::task::spawn_blocking(move || {
        let by = (&tester(), now());
        let reason = || Reason::new("its state was restored from before the query").unwrap();
        let first = node.evidence().write_off(query, reason(), by).unwrap();
        (first, node.evidence().write_off(query, reason(), by).unwrap())
    });
    assert_eq!(written_off.await.unwrap(), (true, false), "it is written off once");
    let entries = world.provider.node.ledger().tail(1).unwrap();
    assert!(
        matches!(&entries[0].entry.body, EntryBody::ReceiptWrittenOff { query: of, .. } if *of == query),
        "{entries:?}"
    );
    assert!(query_without_signing(&world, grant).await);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_query_of_a_client_that_leaves_has_an_outcome() {
    let world = World::connected().await;
    let provider = &world.provider;
    let eva = provider.researcher().await;
    let decided = |body: &EntryBody| matches!(body, EntryBody::DecisionMade { permitted: true, .. });
    let ended = |body: &EntryBody| matches!(body, EntryBody::AnswerReleased { .. });
    let question = Question::new("SELECT sex FROM cleveland.heart");
    let query = provider.node.federation().query(&eva, &question);
    let until_decided = async {
        while !bodies(provider).iter().any(decided) {
            tokio::task::yield_now().await;
        }
    };
    // The client leaves as soon as the decision is in the ledger.
    tokio::select! {
        biased;
        () = until_decided => {}
        answer = query => panic!("the answer has begun: {}", answer.is_ok()),
    }
    let closed = async {
        while !bodies(provider).iter().any(ended) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon(closed).await;
    let body = bodies(provider).into_iter().find(ended).unwrap();
    assert!(
        matches!(
            &body,
            EntryBody::AnswerReleased {
                rows: 0,
                outcome: Outcome::Failed { .. },
                ..
            }
        ),
        "{body:?}"
    );
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_that_signs_what_it_owes_is_answered() {
    let world = World::connected().await;
    grant_between_members(&world).await;
    let eva = world.member.researcher().await;
    // These answers are not read to the end, so their receipts are not signed at once.
    for _ in 0..=MAX_OUTSTANDING {
        let sql = "SELECT sex, chol FROM cleveland.heart";
        let answer = soon(world.member.node.federation().query(&eva, &Question::new(sql)))
            .await
            .unwrap();
        drop(answer);
    }
    let rows = world.member.query(&eva, "SELECT sex FROM cleveland.heart").await;
    assert!(rows.unwrap() > 0);
    until_closed(&world.member, MAX_OUTSTANDING + 2).await;
    world.assert_still_serving().await;
}

/// Readers leave before, while and after their query is entered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn query_whose_reader_leaves_at_any_instant_has_an_end() {
    let world = World::connected().await;
    let member = &world.member;
    grant_between_members(&world).await;
    let eva = member.researcher().await;
    let question = Question::new("SELECT sex FROM cleveland.heart");
    // Its text is known then, and needs no process that is ended with its reader.
    member.query(&eva, "SELECT sex FROM cleveland.heart").await.unwrap();
    for step in 0..60 {
        let asked = member.node.federation().query(&eva, &question);
        drop(tokio::time::timeout(Duration::from_micros(1000 * step), asked).await);
    }
    for _ in 0..200 {
        if opened(member).len() == closed(member).len() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (opened, closed) = (opened(member), closed(member));
    assert!(opened.len() > 1, "none of those who left was entered");
    assert_eq!(opened.len(), closed.len(), "a query has no end");
    world.assert_still_serving().await;
}

/// What a provider does with a query: the last step that it takes, and how it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Vanish,
    Refuse,
    Open,
    SomeRows,
    AllRows,
    ForeignReceipt,
    Cut,
    Whole,
}

const ACTS: [Act; 8] = [
    Act::Vanish,
    Act::Refuse,
    Act::Open,
    Act::SomeRows,
    Act::AllRows,
    Act::ForeignReceipt,
    Act::Cut,
    Act::Whole,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn query_is_recorded_at_the_consumer_however_it_ends() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let member = &world.member;
    attacker.meet(member).await;
    let grant = granted(&world).await;
    let query = envelope(&world, grant, |_| (), |_| ());
    let truth = send_query(attacker, &world.provider, query)
        .await
        .expect("an answer")
        .chunks;
    granted_to_member(&world).await;
    let eva = member.researcher().await;
    let mut incoming = attacker.accept(QUERY);
    show_columns(attacker);
    for act in ACTS {
        let ended = Notify::new();
        let acting = async {
            let (_, mut stream) = Wire::next(&mut incoming).await;
            let frame: QueryFrame = stream.recv().await.unwrap();
            let received = frame.envelope.peek_unverified().unwrap();
            let stored = member.node.evidence().get(received.query).unwrap().expect("a record");
            assert_eq!(
                stored.envelope,
                Some(frame.envelope),
                "{act:?}: it is stored before it is sent"
            );
            assert!(
                opened(member).contains(&received.query),
                "{act:?}: it is recorded before it is sent"
            );
            perform(attacker, act, &mut stream, &received, &truth).await;
            drop(stream);
            // A member that has got rows asks for the others.
            loop {
                tokio::select! {
                    () = ended.notified() => break received.query,
                    (_, mut again) = Wire::next(&mut incoming) => {
                        let _: QueryFrame = again.recv().await.unwrap();
                        let refusal = Refusal::because(RefusalCode::Denied, "not today");
                        again.send(&QueryOpening::Refused(refusal)).await.unwrap();
                    }
                }
            }
        };
        let asking = async {
            let answered = member.query(&eva, "SELECT sex, chol FROM zurich.heart").await;
            ended.notify_one();
            answered
        };
        let (answered, query) = tokio::join!(asking, acting);
        assert_eq!(answered.is_ok(), act == Act::Whole, "{act:?}: {answered:?}");
        let ends = closed(member);
        let end = ends
            .get(&query)
            .unwrap_or_else(|| panic!("{act:?}: its outcome is not in the ledger"));
        let expected = match act {
            Act::Refuse => matches!(end, Outcome::Refused { .. }),
            Act::Cut => matches!(end, Outcome::Cut { .. }),
            Act::Whole => *end == Outcome::Completed,
            Act::Vanish | Act::Open | Act::SomeRows | Act::AllRows | Act::ForeignReceipt => {
                matches!(end, Outcome::Failed { .. })
            }
        };
        assert!(expected, "{act:?} ended as {end:?}");
        assert!(!member.node.evidence().is_open(query).unwrap(), "{act:?}");
        let stored = member.node.evidence().get(query).unwrap().unwrap();
        assert_eq!(stored.countersigned, matches!(act, Act::Whole | Act::Cut), "{act:?}");
    }
    assert_eq!(opened(member).len(), closed(member).len());
    world.assert_still_serving().await;
}

async fn perform(attacker: &MaliciousPeer, act: Act, stream: &mut Wire, envelope: &QueryEnvelope, truth: &[Vec<u8>]) {
    if act == Act::Vanish {
        return;
    }
    if act == Act::Refuse {
        let refusal = Refusal::because(RefusalCode::Denied, "not today");
        stream.send(&QueryOpening::Refused(refusal)).await.unwrap();
        return;
    }
    let opening = QueryOpening::Accepted {
        query: envelope.query,
        tier: Tier::Records,
    };
    stream.send(&opening).await.unwrap();
    let sent = match act {
        Act::Open => return,
        Act::SomeRows => &truth[..1],
        Act::Vanish | Act::Refuse | Act::AllRows | Act::ForeignReceipt | Act::Cut | Act::Whole => truth,
    };
    for chunk in sent {
        stream.chunk(chunk).await.unwrap();
    }
    if act == Act::SomeRows {
        return;
    }
    stream.body(&[]).await.unwrap();
    if act == Act::AllRows {
        return;
    }
    let mut receipt = receipt(envelope, truth);
    let mut cut = None;
    match act {
        Act::ForeignReceipt => receipt.grant = GrantId::from_bytes([9; 16]),
        Act::Cut => {
            receipt.outcome = concordat_protocol::query::Outcome::Cut;
            cut = Some(Refusal::because(RefusalCode::Denied, "it is over"));
        }
        Act::Vanish | Act::Refuse | Act::Open | Act::SomeRows | Act::AllRows | Act::Whole => {}
    }
    let receipt = CoSigned::propose(&receipt)
        .unwrap()
        .add_signature(&attacker.node)
        .unwrap();
    stream.send(&QueryClosing { receipt, cut }).await.unwrap();
    // It arrives if the receipt is true.
    let _ = stream.recv::<Countersignature>().await;
}

fn receipt(envelope: &QueryEnvelope, chunks: &[Vec<u8>]) -> Receipt {
    let mut answer = AnswerDigest::default();
    chunks.iter().for_each(|chunk| answer.update(chunk));
    Receipt {
        query: envelope.query,
        grant: envelope.grant,
        provider: envelope.to.clone(),
        consumer: envelope.from.clone(),
        actor: envelope.actor.peek_unverified().unwrap().actor,
        purpose: envelope.purpose.clone(),
        sql: envelope.sql_digest(),
        tier: Tier::Records,
        rows: super::well_behaved::SUBJECTS as u64,
        bytes: chunks.iter().map(|chunk| chunk.len() as u64).sum(),
        answer: answer.finish(),
        outcome: concordat_protocol::query::Outcome::Completed,
        decision: concordat_protocol::ids::Digest32::ZERO,
        ledger: super::malicious_peer::empty_ledger(&envelope.to, &NodeKey::from_seed(&[3; 32].into())),
        at: now(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn query_whose_reader_stops_is_recorded_as_incomplete() {
    let world = World::connected().await;
    grant_between_members(&world).await;
    let eva: Actor = world.member.researcher().await;
    for batches in [0, 1] {
        let sql = "SELECT sex, chol FROM cleveland.heart";
        let mut answer = soon(world.member.node.federation().query(&eva, &Question::new(sql)))
            .await
            .unwrap();
        for _ in 0..batches {
            soon(answer.next()).await.unwrap().unwrap();
        }
        drop(answer);
    }
    until_closed(&world.member, 2).await;
    assert_eq!(opened(&world.member).len(), 2);
    let by_eva = world
        .member
        .node
        .ledger()
        .tail(20)
        .unwrap()
        .into_iter()
        .filter(|stored| {
            matches!(
                stored.entry.body,
                EntryBody::QueryOpened { .. } | EntryBody::QueryClosed { .. }
            )
        });
    assert!(
        by_eva
            .into_iter()
            .all(|stored| stored.entry.cause.actor() == Some(eva.id()))
    );
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn early_refusals_add_a_bounded_number_of_entries() {
    let world = World::connected().await;
    granted(&world).await;
    let before = bodies(&world.provider).len();
    // The existing grant has the number 42.
    for n in 50..100 {
        let unknown = GrantId::from_bytes([n; 16]);
        let refused = send_query(
            &world.attacker,
            &world.provider,
            envelope(&world, unknown, |_| (), |_| ()),
        )
        .await;
        assert_eq!(refused.err().expect("no such grant").code, RefusalCode::NotFound);
    }
    let recorded: Vec<EntryBody> = bodies(&world.provider).split_off(before);
    let refused = |body: &&EntryBody| matches!(body, EntryBody::QueriesRefused { count: 1, .. });
    assert!(
        (1..=2).contains(&recorded.iter().filter(refused).count()),
        "{recorded:?}"
    );
    assert!(recorded.len() < 10, "{recorded:?}");
    let by_attacker = world.provider.node.ledger().range(0, u64::MAX).unwrap().into_iter();
    let by_attacker = by_attacker.filter(|stored| matches!(stored.entry.body, EntryBody::QueriesRefused { .. }));
    assert!(
        by_attacker
            .into_iter()
            .all(|stored| stored.entry.cause.peer() == Some(&world.attacker.institution))
    );
    world.assert_still_serving().await;
}

async fn until_closed(target: &InProcessNode, count: usize) {
    let all = async {
        while closed(target).len() < count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon(all).await;
}

fn bodies(target: &InProcessNode) -> Vec<EntryBody> {
    let entries = target.node.ledger().range(0, u64::MAX).unwrap();
    entries.into_iter().map(|stored| stored.entry.body).collect()
}

fn opened(target: &InProcessNode) -> BTreeSet<QueryId> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a test names the variant that it looks for"
    )]
    let opened = bodies(target).into_iter().filter_map(|body| match body {
        EntryBody::QueryOpened { query, .. } => Some(query),
        _ => None,
    });
    opened.collect()
}

fn closed(target: &InProcessNode) -> BTreeMap<QueryId, Outcome> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a test names the variant that it looks for"
    )]
    let closed = bodies(target).into_iter().filter_map(|body| match body {
        EntryBody::QueryClosed { query, outcome, .. } => Some((query, outcome)),
        _ => None,
    });
    closed.collect()
}
