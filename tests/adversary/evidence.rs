//! Evidence that one side would rather not give, and ends that one side would rather not have entered.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names the one variant it looks for"
)]

use std::collections::{BTreeMap, BTreeSet};

use concordat_node::iam::Actor;
use concordat_node::sharing::{QUERY, RECEIPT};
use concordat_protocol::audit::{EntryBody, Outcome};
use concordat_protocol::identity::NodeKey;
use concordat_protocol::ids::{GrantId, QueryId};
use concordat_protocol::query::{QueryEnvelope, Receipt};
use concordat_protocol::scope::Tier;
use concordat_protocol::signed::CoSigned;
use concordat_protocol::wire::messages::{
    AnswerDigest, Countersignature, QueryClosing, QueryFrame, QueryOpening, ReceiptReply, ReceiptRequest, Refusal,
    RefusalCode, Reply,
};

use super::deal::{between_friends, given, granted};
use super::honest::{House, World};
use super::questions::{ask, question};
use super::rogue::{Rogue, Wire, now, soon};

/// Receipts that may wait for a signature (`node/src/sharing/evidence.rs`).
const MAX_OUTSTANDING: usize = 16;

/// Asks, reads all of it, and goes without a signature. False if nothing was answered because of that.
async fn take_unsigned(world: &World, grant: GrantId) -> bool {
    let mut stream = world.rogue.open(&world.provider, QUERY).await.unwrap();
    let envelope = question(world, grant, |_| (), |_| ());
    stream.send(&QueryFrame { envelope }).await.unwrap();
    match stream.recv().await.unwrap() {
        QueryOpening::Accepted { .. } => {}
        QueryOpening::Refused(refusal) => {
            assert_eq!(refusal.code, RefusalCode::CountersignFirst, "{refusal:?}");
            return false;
        }
    }
    while !stream.block().await.unwrap().is_empty() {}
    let QueryClosing { .. } = stream.recv().await.unwrap();
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_countersign_is_answered_again_only_after_it_has() {
    let world = World::met().await;
    let grant = granted(&world).await;
    for n in 0..MAX_OUTSTANDING {
        assert!(take_unsigned(&world, grant).await, "answer {n} lies within the grace");
    }
    assert!(!take_unsigned(&world, grant).await, "one more is refused");

    // Nobody else pays for it.
    between_friends(&world).await;
    let eva = world.friend.researcher().await;
    assert!(world.friend.ask(&eva, "SELECT sex FROM cleveland.heart").await.unwrap() > 0);

    let mut stream = world.rogue.open(&world.provider, RECEIPT).await.unwrap();
    stream.send(&ReceiptRequest {}).await.unwrap();
    let ReceiptReply { receipts } = stream.recv().await.unwrap();
    assert_eq!(receipts.len(), MAX_OUTSTANDING);
    let forger = NodeKey::from_seed(&[9; 32].into());
    let forged = receipts[0].add_signature(&forger).unwrap();
    let altered = CoSigned::propose(&Receipt {
        bytes: 1,
        ..receipts[1].peek_unverified().unwrap()
    });
    let altered = altered.unwrap().add_signature(&world.rogue.node).unwrap();
    for bad in [forged, altered, receipts[2].clone()] {
        stream.send(&world.rogue.countersignature(bad)).await.unwrap();
        assert!(matches!(stream.recv().await.unwrap(), Reply::Refused(_)));
    }
    assert!(
        !take_unsigned(&world, grant).await,
        "signatures that are none pay nothing"
    );
    let signed = receipts[0].add_signature(&world.rogue.node).unwrap();
    stream.send(&world.rogue.countersignature(signed)).await.unwrap();
    assert_eq!(stream.recv::<Reply>().await.unwrap(), Reply::Taken);
    assert!(
        take_unsigned(&world, grant).await,
        "it has signed one, so one is answered"
    );
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_node_signs_what_it_owes_and_is_answered() {
    let world = World::met().await;
    between_friends(&world).await;
    let eva = world.friend.researcher().await;
    // Nobody reads these to their end, so their receipts are not signed at once.
    for _ in 0..=MAX_OUTSTANDING {
        let sql = "SELECT sex, chol FROM cleveland.heart";
        let answer = soon(world.friend.node.federation().query(&eva, sql, None))
            .await
            .unwrap();
        drop(answer);
    }
    let rows = world.friend.ask(&eva, "SELECT sex FROM cleveland.heart").await;
    assert!(rows.unwrap() > 0);
    until_closed(&world.friend, MAX_OUTSTANDING + 2).await;
    world.still_stands().await;
}

/// What a provider does with a question: up to which step it goes, and how it goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Vanish,
    Refuse,
    Open,
    SomeRows,
    AllRows,
    NoReceiptOfOurs,
    Cut,
    Whole,
}

const ACTS: [Act; 8] = [
    Act::Vanish,
    Act::Refuse,
    Act::Open,
    Act::SomeRows,
    Act::AllRows,
    Act::NoReceiptOfOurs,
    Act::Cut,
    Act::Whole,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_is_in_the_askers_ledger_before_it_is_sent_and_however_it_ends() {
    let world = World::met().await;
    let (rogue, friend) = (&world.rogue, &world.friend);
    rogue.meet(friend).await;
    let grant = granted(&world).await;
    let asked = question(&world, grant, |_| (), |_| ());
    let truth = ask(rogue, &world.provider, asked).await.expect("an answer").chunks;
    given(&world).await;
    let eva = friend.researcher().await;
    let mut incoming = rogue.accept(QUERY);
    for act in ACTS {
        let acting = async {
            let (_, mut stream) = Wire::next(&mut incoming).await;
            let frame: QueryFrame = stream.recv().await.unwrap();
            let asked = frame.envelope.peek_unverified().unwrap();
            let kept = friend.node.evidence().get(asked.query).unwrap().expect("a record");
            assert_eq!(
                kept.envelope,
                Some(frame.envelope),
                "{act:?}: it is kept before it is sent"
            );
            assert!(
                opened(friend).contains(&asked.query),
                "{act:?}: it is entered before it is sent"
            );
            perform(rogue, act, &mut stream, &asked, &truth).await;
            asked.query
        };
        let (answered, query) = tokio::join!(friend.ask(&eva, "SELECT sex, chol FROM zurich.heart"), acting);
        assert_eq!(answered.is_ok(), act == Act::Whole, "{act:?}: {answered:?}");
        let ends = closed(friend);
        let end = ends
            .get(&query)
            .unwrap_or_else(|| panic!("{act:?}: its end is not in the ledger"));
        let expected = match act {
            Act::Refuse => matches!(end, Outcome::Refused { .. }),
            Act::Cut => matches!(end, Outcome::Cut { .. }),
            Act::Whole => *end == Outcome::Completed,
            Act::Vanish | Act::Open | Act::SomeRows | Act::AllRows | Act::NoReceiptOfOurs => {
                matches!(end, Outcome::Failed { .. })
            }
        };
        assert!(expected, "{act:?} ended as {end:?}");
        assert!(!friend.node.evidence().is_open(query).unwrap(), "{act:?}");
        let kept = friend.node.evidence().get(query).unwrap().unwrap();
        assert_eq!(kept.countersigned, matches!(act, Act::Whole | Act::Cut), "{act:?}");
    }
    assert_eq!(opened(friend).len(), closed(friend).len());
    world.still_stands().await;
}

async fn perform(rogue: &Rogue, act: Act, stream: &mut Wire, asked: &QueryEnvelope, truth: &[Vec<u8>]) {
    if act == Act::Vanish {
        return;
    }
    if act == Act::Refuse {
        let refusal = Refusal::because(RefusalCode::Denied, "not today");
        stream.send(&QueryOpening::Refused(refusal)).await.unwrap();
        return;
    }
    let opening = QueryOpening::Accepted {
        query: asked.query,
        tier: Tier::Records,
    };
    stream.send(&opening).await.unwrap();
    let sent = match act {
        Act::Open => return,
        Act::SomeRows => &truth[..1],
        _ => truth,
    };
    for chunk in sent {
        stream.body(chunk).await.unwrap();
    }
    if act == Act::SomeRows {
        return;
    }
    stream.body(&[]).await.unwrap();
    if act == Act::AllRows {
        return;
    }
    let mut receipt = receipt(asked, truth);
    let mut cut = None;
    match act {
        Act::NoReceiptOfOurs => receipt.grant = GrantId::from_bytes([9; 16]),
        Act::Cut => {
            receipt.outcome = concordat_protocol::query::Outcome::Cut;
            cut = Some(Refusal::because(RefusalCode::Denied, "it is over"));
        }
        _ => {}
    }
    let receipt = CoSigned::propose(&receipt).unwrap().add_signature(&rogue.node).unwrap();
    stream.send(&QueryClosing { receipt, cut }).await.unwrap();
    // It comes if the receipt is true.
    let _ = stream.recv::<Countersignature>().await;
}

fn receipt(asked: &QueryEnvelope, chunks: &[Vec<u8>]) -> Receipt {
    let mut answer = AnswerDigest::default();
    chunks.iter().for_each(|chunk| answer.update(chunk));
    Receipt {
        query: asked.query,
        grant: asked.grant,
        provider: asked.to.clone(),
        consumer: asked.from.clone(),
        actor: asked.actor.peek_unverified().unwrap().actor,
        purpose: asked.purpose.clone(),
        sql: asked.sql_digest(),
        tier: Tier::Records,
        rows: super::honest::SUBJECTS as u64,
        bytes: chunks.iter().map(|chunk| chunk.len() as u64).sum(),
        suppressed_cells: 0,
        answer: answer.finish(),
        outcome: concordat_protocol::query::Outcome::Completed,
        decision: concordat_protocol::ids::Digest32::ZERO,
        ledger: super::rogue::empty_ledger(&asked.to, &NodeKey::from_seed(&[3; 32].into())),
        at: now(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_whose_reader_stops_is_entered_as_not_read_to_its_end() {
    let world = World::met().await;
    between_friends(&world).await;
    let eva: Actor = world.friend.researcher().await;
    for batches in [0, 1] {
        let sql = "SELECT sex, chol FROM cleveland.heart";
        let mut answer = soon(world.friend.node.federation().query(&eva, sql, None))
            .await
            .unwrap();
        for _ in 0..batches {
            soon(answer.next()).await.unwrap().unwrap();
        }
        drop(answer);
    }
    until_closed(&world.friend, 2).await;
    assert_eq!(opened(&world.friend).len(), 2);
    let by_eva = world
        .friend
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
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_refused_before_the_policy_are_entered_in_bounded_number() {
    let world = World::met().await;
    granted(&world).await;
    let before = bodies(&world.provider).len();
    // The grant that there is has the number 42.
    for n in 50..100 {
        let nobodys = GrantId::from_bytes([n; 16]);
        let refused = ask(&world.rogue, &world.provider, question(&world, nobodys, |_| (), |_| ())).await;
        assert_eq!(refused.err().expect("no such grant").code, RefusalCode::NotFound);
    }
    let entered: Vec<EntryBody> = bodies(&world.provider).split_off(before);
    let refused = |body: &&EntryBody| matches!(body, EntryBody::QueriesRefused { count: 1, .. });
    assert!((1..=2).contains(&entered.iter().filter(refused).count()), "{entered:?}");
    assert!(entered.len() < 10, "{entered:?}");
    let by_rogue = world.provider.node.ledger().range(0, u64::MAX).unwrap().into_iter();
    let by_rogue = by_rogue.filter(|stored| matches!(stored.entry.body, EntryBody::QueriesRefused { .. }));
    assert!(
        by_rogue
            .into_iter()
            .all(|stored| stored.entry.cause.peer() == Some(&world.rogue.institution))
    );
    world.still_stands().await;
}

async fn until_closed(house: &House, count: usize) {
    let all = async {
        while closed(house).len() < count {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    soon(all).await;
}

fn bodies(house: &House) -> Vec<EntryBody> {
    let entries = house.node.ledger().range(0, u64::MAX).unwrap();
    entries.into_iter().map(|stored| stored.entry.body).collect()
}

fn opened(house: &House) -> BTreeSet<QueryId> {
    let opened = bodies(house).into_iter().filter_map(|body| match body {
        EntryBody::QueryOpened { query, .. } => Some(query),
        _ => None,
    });
    opened.collect()
}

fn closed(house: &House) -> BTreeMap<QueryId, Outcome> {
    let closed = bodies(house).into_iter().filter_map(|body| match body {
        EntryBody::QueryClosed { query, outcome, .. } => Some((query, outcome)),
        _ => None,
    });
    closed.collect()
}
