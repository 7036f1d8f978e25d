//! Starts that are not the newest of their node, copies that run beside each other, and claims about the starts of others.

use std::time::Duration;

use concordat_protocol::audit::{EntryBody, LedgerProof};
use concordat_protocol::identity::NodeKey;
use concordat_protocol::ids::StartId;
use concordat_protocol::membership::NodeStart;
use concordat_protocol::signed::Signed;
use concordat_protocol::wire::messages::{
    Hello, HelloClosing, HelloRefusal, HelloReply, HelloStatement, Refusal, RefusalCode,
};
use concordat_protocol::wire::streams::HELLO;
use concordat_tests::tester;

use super::ledgers::leave;
use super::malicious_peer::{MaliciousPeer, Wire, empty_ledger, rule, sign, soon};
use super::well_behaved::{InProcessNode, World};

/// How often it is checked whether something has happened.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

fn start(generation: u32, number: u64, id: u8) -> NodeStart {
    let id = StartId::from_bytes([id; 16]);
    NodeStart { generation, number, id }
}

fn proof(attacker: &MaliciousPeer) -> LedgerProof {
    LedgerProof {
        head: empty_ledger(&attacker.institution, &attacker.node),
        paths: vec![Some(Vec::new())],
    }
}

/// Connects with a hello that states `start`; returns the refusal, or `None` if the provider serves it.
async fn refusal_of(attacker: &MaliciousPeer, provider: &InProcessNode, start: NodeStart) -> Option<HelloRefusal> {
    attacker.dial(provider).await.unwrap();
    let hello = attacker.hello(provider, |_| (), |statement| statement.start = start);
    match attacker.send_hello(provider, &hello, &proof(attacker)).await.unwrap() {
        HelloReply::Refused(refusal) => {
            attacker.until_alone().await;
            Some(refusal)
        }
        HelloReply::Answered { .. } => {
            until(|| is_served(attacker, provider)).await;
            None
        }
    }
}

fn is_served(attacker: &MaliciousPeer, provider: &InProcessNode) -> bool {
    let session = provider.node.network().sessions().borrow().get(&attacker.id()).cloned();
    session.is_some_and(|session| session.attested().is_some())
}

async fn until(mut condition: impl FnMut() -> bool) {
    let reached = async {
        while !condition() {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    soon(reached).await;
}

fn entries(node: &InProcessNode, is: fn(&EntryBody) -> bool) -> usize {
    let ledger = node.node.ledger();
    let entries = ledger.range(0, ledger.size()).unwrap();
    entries.iter().filter(|stored| is(&stored.entry.body)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn start_that_is_not_the_newest_is_refused_with_proof() {
    let world = World::new().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    for number in [5, 5] {
        assert!(refusal_of(attacker, provider, start(0, number, 1)).await.is_none());
        leave(attacker, provider).await;
    }
    let newest = |refused: &HelloRefusal| {
        let verified = refused.newest.clone().verify(attacker.id()).unwrap();
        verified.document().start
    };
    for (what, shown, expected) in [
        ("an earlier start", start(0, 4, 9), "start-not-the-newest"),
        ("another start of the same number", start(0, 5, 2), "start-of-a-copy"),
    ] {
        let refused = refusal_of(attacker, provider, shown).await.expect(what);
        assert_eq!(refused.refusal.code, RefusalCode::Denied, "{what}");
        assert_eq!(rule(&refused.refusal), Some(expected), "{what}");
        assert!(refused.refusal.reasons[0].remedy.is_some(), "{what}");
        assert_eq!(newest(&refused), start(0, 5, 1), "{what}");
    }
    let listed = provider.node.membership().heads().refused_starts();
    assert_eq!(
        listed
            .iter()
            .map(|found| (found.known, found.shown))
            .collect::<Vec<_>>(),
        [(5, 4)],
        "the first one is kept"
    );
    assert_eq!(
        entries(provider, |body| matches!(body, EntryBody::PeerStartRefused { .. })),
        1
    );
    // A start after an acknowledged restore follows all others, whatever their numbers; nothing is refused beside it.
    assert!(refusal_of(attacker, provider, start(1, 1, 3)).await.is_none());
    assert!(provider.node.membership().heads().refused_starts().is_empty());
    leave(attacker, provider).await;
    let refused = refusal_of(attacker, provider, start(0, 99, 4))
        .await
        .expect("an earlier generation");
    assert_eq!(newest(&refused), start(1, 1, 3));
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn start_whose_hello_fails_does_not_become_the_newest() {
    let world = World::new().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    assert!(refusal_of(attacker, provider, start(0, 5, 1)).await.is_none());
    leave(attacker, provider).await;
    // A later start, but with the ledger of another node.
    attacker.dial(provider).await.unwrap();
    let hello = attacker.hello(provider, |_| (), |statement| statement.start = start(0, 9, 2));
    let other = NodeKey::from_seed(&[77; 32].into());
    let wrong = LedgerProof {
        head: empty_ledger(&attacker.institution, &other),
        paths: vec![Some(Vec::new())],
    };
    attacker.send_hello(provider, &hello, &wrong).await.unwrap();
    attacker.until_alone().await;
    assert!(refusal_of(attacker, provider, start(0, 5, 1)).await.is_none());
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn start_of_a_copy_leaves_the_served_node_connected() {
    let world = World::new().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    assert!(refusal_of(attacker, provider, start(0, 5, 1)).await.is_none());
    let session = || provider.node.network().sessions().borrow()[&attacker.id()].number();
    let before = session();
    let mut hellos = attacker.accept(HELLO);
    // The same keys on another machine.
    let copy = MaliciousPeer::start("zurich", 3);
    assert!(refusal_of(&copy, provider, start(0, 5, 2)).await.is_some());
    assert_eq!(session(), before, "the session of the node that is served goes on");
    // It learns of the copy on its own connection, by what its own key has signed.
    let (_, mut stream) = Wire::next(&mut hellos).await;
    let hello: Hello = stream.recv().await.unwrap();
    let shown = hello
        .refused_start
        .expect("the refused start")
        .verify(attacker.id())
        .unwrap();
    assert_eq!(shown.document().start, start(0, 5, 2));
    assert!(is_served(attacker, provider));
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn start_before_the_present_one_keeps_no_connection() {
    let world = World::new().await;
    let provider = &world.provider;
    let older = &world.attacker;
    assert!(refusal_of(older, provider, start(0, 5, 1)).await.is_none());
    let newer = MaliciousPeer::start("zurich", 3);
    assert!(refusal_of(&newer, provider, start(0, 6, 2)).await.is_none());
    older.until_alone().await;
    assert!(is_served(&newer, provider));
    assert!(refusal_of(older, provider, start(0, 5, 1)).await.is_some());
    world.assert_still_serving().await;
}

/// What a node states about itself: its own statement with another start, signed with its own key.
fn own(
    node: &InProcessNode,
    change: impl FnOnce(&mut HelloStatement),
    attacker: &MaliciousPeer,
) -> Signed<HelloStatement> {
    let identity = node.node.identity();
    let key = NodeKey::from_seed(&identity.node_key.expose_seed());
    let hello = attacker.hello(node, |_| (), |_| ());
    let mut stated = hello.statement.peek_unverified().unwrap();
    stated.from = identity.node();
    stated.to = attacker.id();
    stated.start = node.node.membership().heads().start();
    change(&mut stated);
    sign(&stated, &key)
}

/// Refuses the provider's hello with this statement.
async fn refuse(attacker: &MaliciousPeer, provider: &InProcessNode, newest: Signed<HelloStatement>) {
    attacker.dial(provider).await.unwrap();
    let mut stream = attacker.open(provider, HELLO).await.unwrap();
    stream.send(&attacker.hello(provider, |_| (), |_| ())).await.unwrap();
    let HelloReply::Answered { .. } = stream.recv().await.unwrap() else {
        panic!("the provider refuses the attacker");
    };
    let refusal = Refusal::because(RefusalCode::Denied, "there is a newer one");
    let refused = HelloRefusal { refusal, newest };
    stream.send(&HelloClosing::Refused(refused)).await.unwrap();
    attacker.until_alone().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn start_claims_that_are_false_stop_no_node() {
    let world = World::new().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let heads = provider.node.membership().heads();
    let later = |stated: &mut HelloStatement| stated.start.number += 10;
    let later_by_another = {
        let mut stated = own(provider, later, attacker).peek_unverified().unwrap();
        stated.from = attacker.id();
        sign(&stated, &attacker.node)
    };
    let about_another = own(
        provider,
        |stated| {
            later(stated);
            stated.from = attacker.id();
        },
        attacker,
    );
    for (what, claim) in [
        ("signed by the attacker", later_by_another),
        ("about another node", about_another),
        ("the present start itself", own(provider, |_| (), attacker)),
        (
            "an earlier start, replayed",
            own(provider, |stated| stated.start.number = 0, attacker),
        ),
        ("no signature", Signed::from_bytes(vec![0xa0]).unwrap()),
    ] {
        refuse(attacker, provider, claim).await;
        assert!(!heads.is_copy(), "{what}");
    }
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn start_later_than_ones_own_stops_the_node() {
    let world = World::new().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let heads = provider.node.membership().heads();
    super::negotiation_fixture::grant_between_members(&world).await;
    for what in ["a later start", "another start of the same number"] {
        let epoch = provider.node.epoch().current();
        let claim = own(
            provider,
            |stated| match what {
                "a later start" => stated.start.number += 1,
                _ => stated.start.id = StartId::from_bytes([9; 16]),
            },
            attacker,
        );
        let name = claim.digest().to_string();
        refuse(attacker, provider, claim).await;
        assert!(heads.is_copy(), "{what}");
        assert!(
            provider
                .node
                .membership()
                .valid_roster(super::malicious_peer::now())
                .is_err(),
            "{what}"
        );
        until(|| provider.node.epoch().current() > epoch).await;
        until(|| {
            provider
                .node
                .network()
                .sessions()
                .borrow()
                .values()
                .all(|session| session.attested().is_none())
        })
        .await;
        let present = heads.start();
        let wrong = heads.acknowledge_own("00000000".to_owned(), tester()).await;
        assert!(wrong.is_err(), "{what}");
        let generation = heads.acknowledge_own(name, tester()).await.unwrap();
        assert_eq!(generation, present.generation + 1, "{what}");
        assert_eq!(heads.start(), NodeStart { generation, ..present }, "{what}");
        assert!(!heads.is_copy(), "{what}");
    }
    assert_eq!(
        entries(provider, |body| matches!(
            body,
            EntryBody::OwnStartShown { stops: true, .. }
        )),
        2
    );
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copy_that_a_peer_has_refused_is_shown_and_stops_no_one() {
    let world = World::new().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let heads = provider.node.membership().heads();
    attacker.dial(provider).await.unwrap();
    let mut hello = attacker.hello(provider, |_| (), |_| ());
    let beside = own(
        provider,
        |stated| stated.start.id = StartId::from_bytes([9; 16]),
        attacker,
    );
    hello.refused_start = Some(beside.clone());
    attacker.send_hello(provider, &hello, &proof(attacker)).await.unwrap();
    until(|| is_served(attacker, provider)).await;
    assert!(!heads.is_copy());
    assert_eq!(heads.refused_copy().expect("it is shown").signed, beside);
    assert_eq!(
        entries(provider, |body| matches!(
            body,
            EntryBody::OwnStartShown { stops: false, .. }
        )),
        1
    );
    world.assert_still_serving().await;
}
