//! Ledgers with two histories, shown to one peer one after the other or to two peers at the same time.

use concordat_protocol::wire::streams::{HELLO, QUERY};
use std::time::Duration;

use concordat_protocol::audit::{LedgerHead, LedgerProof, merkle};
use concordat_protocol::identity::NodeKey;
use concordat_protocol::ids::{Digest32, GrantId};
use concordat_protocol::query::Receipt;
use concordat_protocol::signed::Signed;
use concordat_protocol::wire::messages::{Countersignature, QueryClosing, QueryFrame, QueryOpening};
use concordat_tests::tester;

use super::answers::ProviderFixture;
use super::ledgers::{attested, leave, leaves, own, tree};
use super::malicious_peer::{MaliciousPeer, now, sign, soon};
use super::negotiation_fixture::granted;
use super::queries::envelope;
use super::well_behaved::{InProcessNode, World};

/// From this number of pending heads on, the node requests proofs itself.
const MANY: usize = (concordat_protocol::audit::MAX_HEADS - 1) / 2;

/// The first `count` entries of one of the two histories, which have no entry in common.
fn head(attacker: &MaliciousPeer, history: &str, count: usize) -> Signed<LedgerHead> {
    own(attacker, tree(&leaves(count, history)))
}

/// The proof that one history extends its own earlier state.
fn path(history: &str, first: usize, count: usize) -> Option<Vec<Digest32>> {
    match first {
        0 => Some(Vec::new()),
        _ if first > count => None,
        _ if first == count => Some(Vec::new()),
        _ => Some(merkle::consistency_path(&leaves(count, history), first as u64, count as u64).unwrap()),
    }
}

fn proof(attacker: &MaliciousPeer, history: &str, count: usize, firsts: &[usize]) -> LedgerProof {
    LedgerProof {
        head: head(attacker, history, count),
        paths: firsts.iter().map(|first| path(history, *first, count)).collect(),
    }
}

/// The sizes of the stored heads of the attacker, the proven one first.
fn stored_heads(target: &InProcessNode, attacker: &MaliciousPeer) -> Vec<u64> {
    let kept = target.node.membership().heads().known_heads(&attacker.id());
    kept.iter()
        .map(|head| head.peek_unverified().unwrap().tree.size)
        .collect()
}

/// Queries by the rules and countersigns with `shown` as the head of the ledger.
async fn query_with_head(world: &World, grant: GrantId, shown: Signed<LedgerHead>) {
    let attacker = &world.attacker;
    let provider = &world.provider;
    let mut stream = attacker.open(provider, QUERY).await.unwrap();
    let envelope = envelope(world, grant, |_| (), |_| ());
    stream.send(&QueryFrame { envelope }).await.unwrap();
    assert!(matches!(stream.recv().await.unwrap(), QueryOpening::Accepted { .. }));
    stream.chunks().await.unwrap();
    let QueryClosing { receipt, .. } = stream.recv().await.unwrap();
    let receipt = receipt.add_signature(&attacker.node).unwrap();
    let signed = Countersignature { receipt, ledger: shown };
    stream.send(&signed).await.unwrap();
    assert!(stream.is_dropped().await);
}

/// A world in which the provider knows nine entries of the attacker's ledger, and a grant.
async fn known_of_nine() -> (World, GrantId) {
    let world = World::connected().await;
    let grant = granted(&world).await;
    leave(&world.attacker, &world.provider).await;
    assert!(
        attested(
            &world.attacker,
            &world.provider,
            &proof(&world.attacker, "one", 9, &[0]),
            None
        )
        .await
    );
    assert_eq!(stored_heads(&world.provider, &world.attacker), [9]);
    (world, grant)
}

async fn acknowledge_latest(target: &InProcessNode, attacker: &MaliciousPeer) {
    let heads = target.node.membership().heads();
    let root = heads.conflicts()[0].head.to_string();
    heads
        .acknowledge_peer(attacker.institution.clone(), root, tester())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ledger_head_of_a_countersignature_is_no_base_until_proven() {
    let (world, grant) = known_of_nine().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    // It signs for another history, then continues with either of the two: no hello can extend both.
    for (history, firsts) in [("two", [9, 12]), ("one", [9, 12])] {
        query_with_head(&world, grant, head(attacker, "two", 12)).await;
        assert_eq!(
            stored_heads(provider, attacker),
            [9, 12],
            "the proven head stays the base"
        );
        leave(attacker, provider).await;
        let shown = proof(attacker, history, 14, &firsts);
        assert!(!attested(attacker, provider, &shown, None).await, "{history}");
        assert_eq!(provider.node.membership().heads().conflicts().len(), 1, "{history}");
        acknowledge_latest(provider, attacker).await;
        assert_eq!(stored_heads(provider, attacker), [14]);
        // A restore that is acknowledged: nine entries of the first history are the base again.
        assert!(!attested(attacker, provider, &proof(attacker, "one", 9, &[14]), None).await);
        acknowledge_latest(provider, attacker).await;
        assert!(attested(attacker, provider, &proof(attacker, "one", 9, &[9]), None).await);
    }
    // A ledger that only grew is proven for both heads.
    query_with_head(&world, grant, head(attacker, "one", 12)).await;
    leave(attacker, provider).await;
    assert!(attested(attacker, provider, &proof(attacker, "one", 14, &[9, 12]), None).await);
    assert_eq!(stored_heads(provider, attacker), [14]);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ledger_head_of_a_receipt_is_no_base_until_proven() {
    let mut fixture = ProviderFixture::new().await;
    leave(&fixture.world.attacker, &fixture.world.member).await;
    let first = proof(&fixture.world.attacker, "one", 9, &[0]);
    assert!(attested(&fixture.world.attacker, &fixture.world.member, &first, None).await);
    let chunks = fixture.truth.chunks.clone();
    let rows = fixture.answer_with(async |attacker, mut exchange| {
        exchange.open().await;
        exchange.rows(&chunks).await;
        let receipt = Receipt {
            ledger: head(attacker, "two", 12),
            ..exchange.receipt(&chunks)
        };
        exchange.close(attacker, &receipt, None).await;
        let signed: Countersignature = exchange.stream.recv().await.unwrap();
        let member = signed.ledger.peek_unverified().unwrap();
        assert!(member.tree.size > 0, "the consumer shows its ledger too");
        assert!(signed.ledger.head_of(member.node, &member.institution).is_ok());
    });
    rows.await.unwrap();
    let attacker = &fixture.world.attacker;
    let member = &fixture.world.member;
    assert_eq!(stored_heads(member, attacker), [9, 12]);
    leave(attacker, member).await;
    assert!(!attested(attacker, member, &proof(attacker, "two", 14, &[9, 12]), None).await);
    assert_eq!(member.node.membership().heads().conflicts().len(), 1);
    fixture.world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipt_with_the_head_of_another_node_is_not_countersigned() {
    let mut fixture = ProviderFixture::new().await;
    let chunks = fixture.truth.chunks.clone();
    let respond = async |attacker: &MaliciousPeer, mut exchange: super::answers::Exchange| {
        exchange.open().await;
        exchange.rows(&chunks).await;
        let other = NodeKey::from_seed(&[77; 32].into());
        let receipt = Receipt {
            ledger: super::malicious_peer::empty_ledger(&attacker.institution, &other),
            ..exchange.receipt(&chunks)
        };
        exchange.close(attacker, &receipt, None).await;
        assert!(exchange.stream.recv::<Countersignature>().await.is_err());
    };
    fixture
        .expect_error(
            "another node",
            concordat_protocol::error_kind::ErrorKind::Integrity,
            respond,
        )
        .await;
    fixture.world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pending_ledger_heads_are_bounded_and_requested() {
    let (world, grant) = known_of_nine().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let mut hellos = attacker.accept(HELLO);
    for n in 1..=MANY {
        query_with_head(&world, grant, head(attacker, "one", 9 + n)).await;
    }
    // The provider sends another hello on the existing session, and shows which heads it has.
    let (_, mut stream) = super::malicious_peer::Wire::next(&mut hellos).await;
    let hello: concordat_protocol::wire::messages::Hello = stream.recv().await.unwrap();
    assert_eq!(hello.known_heads.len(), 1 + MANY);
    drop(stream);
    for n in MANY + 1..=2 * MANY {
        query_with_head(&world, grant, head(attacker, "one", 9 + n)).await;
    }
    query_with_head(&world, grant, head(attacker, "one", 100)).await;
    let sizes = stored_heads(provider, attacker);
    assert_eq!(sizes.len(), 1 + 2 * MANY, "{sizes:?}");
    assert!(
        !sizes.contains(&100),
        "heads beyond the limit are not countersigned: {sizes:?}"
    );
    leave(attacker, provider).await;
    let firsts: Vec<usize> = (9..=9 + 2 * MANY).collect();
    assert!(attested(attacker, provider, &proof(attacker, "one", 80, &firsts), None).await);
    assert_eq!(stored_heads(provider, attacker), [80]);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_ledger_head_is_one_that_was_shown() {
    let (world, _) = known_of_nine().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    leave(attacker, provider).await;
    let heads = provider.node.membership().heads();
    let root = |history, count| tree(&leaves(count, history)).root.to_string();
    for (history, count) in [("two", 12), ("three", 20)] {
        assert!(!attested(attacker, provider, &proof(attacker, history, count, &[9]), None).await);
    }
    let listed = heads.conflicts();
    assert_eq!(
        (listed[0].head.to_string(), listed[0].shown_entries),
        (root("three", 20), 20)
    );
    let institution = attacker.institution.clone();
    for never_shown in [root("two", 11), root("four", 12), root("one", 9)] {
        let refused = heads.acknowledge_peer(institution.clone(), never_shown, tester()).await;
        assert!(refused.is_err());
    }
    // The administrator has reviewed the head with twelve entries; a head that was shown later does not count as acknowledged.
    let acknowledged = heads
        .acknowledge_peer(institution.clone(), root("two", 12), tester())
        .await;
    assert_eq!(acknowledged.unwrap().shown_entries, 12);
    assert!(!attested(attacker, provider, &proof(attacker, "three", 20, &[12]), None).await);
    heads
        .acknowledge_peer(institution, root("three", 20), tester())
        .await
        .unwrap();
    assert!(attested(attacker, provider, &proof(attacker, "three", 21, &[20]), None).await);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ledger_forks_shown_to_two_peers_meet_their_own_signatures() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let member = &world.member;
    leave(attacker, provider).await;
    // Each of the two peers sees a ledger that only grows, with its own history.
    for (target, history) in [(provider, "one"), (member, "two")] {
        let known = stored_heads(target, attacker).first().map(|_| 0);
        let firsts: Vec<usize> = known.into_iter().collect();
        assert!(attested(attacker, target, &proof(attacker, history, 9, &firsts), None).await);
        leave(attacker, target).await;
        assert!(attested(attacker, target, &proof(attacker, history, 12, &[9]), None).await);
        leave(attacker, target).await;
    }
    // Neither history can be shown to the other one.
    for (target, history) in [(provider, "two"), (member, "one")] {
        assert!(!attested(attacker, target, &proof(attacker, history, 12, &[12]), None).await);
    }
    // The two signed heads together prove the fork: one size, two roots.
    let of = |target: &InProcessNode| target.node.membership().heads().known_heads(&attacker.id())[0].clone();
    let [one, two] = [of(provider), of(member)].map(|head| head.head_of(attacker.id(), &attacker.institution).unwrap());
    assert_eq!(one.tree.size, two.tree.size);
    assert!(concordat_protocol::audit::check_growth(&one, &two, Some(&[])).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ledgers_of_two_nodes_of_one_institution_are_kept_apart() {
    let (world, _) = known_of_nine().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    leave(attacker, provider).await;
    let second = attacker.beside(60);
    let membership = provider.node.membership();
    let both = attacker.enrolment_beside(&second);
    membership.admit(both.as_bytes(), &tester()).await.unwrap();
    // The second node has its own ledger, and cannot show that of the first.
    let borrowed = proof(attacker, "one", 12, &[]);
    assert!(!attested(&second, provider, &borrowed, None).await);
    assert!(attested(&second, provider, &proof(&second, "two", 5, &[]), None).await);
    leave(&second, provider).await;
    assert_eq!(
        (stored_heads(provider, attacker), stored_heads(provider, &second)),
        (vec![9], vec![5])
    );
    // One of them is rolled back; the other one is still served, and the acknowledgment names the right one.
    assert!(!attested(attacker, provider, &proof(attacker, "three", 12, &[9]), None).await);
    assert!(attested(&second, provider, &proof(&second, "two", 6, &[5]), None).await);
    leave(&second, provider).await;
    let listed = membership.heads().conflicts();
    assert_eq!(listed.iter().map(|one| one.node).collect::<Vec<_>>(), [attacker.id()]);
    let of_second = tree(&leaves(6, "two")).root.to_string();
    let institution = attacker.institution.clone();
    let wrong = membership
        .heads()
        .acknowledge_peer(institution, of_second, tester())
        .await;
    assert!(wrong.is_err());
    acknowledge_latest(provider, attacker).await;
    assert_eq!(
        (stored_heads(provider, attacker), stored_heads(provider, &second)),
        (vec![12], vec![6])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_hellos_of_two_histories_leave_one_base() {
    let (world, _) = known_of_nine().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let heads = provider.node.membership().heads();
    // Both were asked to extend nine entries and both do; the second answer arrives after the first was accepted.
    let requested = heads.known_heads(&attacker.id());
    let fork = |entry: &str| {
        let mut leaves = leaves(9, "one");
        leaves.push(concordat_protocol::audit::leaf_hash(entry.as_bytes()));
        leaves
    };
    let peer = (attacker.id(), attacker.institution.clone());
    for (entry, more) in [("a", 10), ("b", 11)] {
        let mut leaves = fork(entry);
        leaves.resize(more, Digest32::ZERO);
        let path = merkle::consistency_path(&leaves, 9, more as u64).unwrap();
        let proof = LedgerProof {
            head: own(attacker, tree(&leaves)),
            paths: vec![Some(path)],
        };
        let checked = heads.check_peer(peer.clone(), requested.clone(), proof, tester()).await;
        checked.unwrap();
    }
    assert_eq!(
        stored_heads(provider, attacker),
        [10, 11],
        "the second one is not proven against the first"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_node_stops_although_the_peer_that_showed_it_hangs_up() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let member = &world.member;
    leave(attacker, provider).await;
    super::negotiation_fixture::grant_between_members(&world).await;
    assert!(
        provider
            .node
            .network()
            .connected_peers()
            .contains(&member.node.identity().node())
    );
    let heads = provider.node.membership().heads();
    let mut later = heads.signed().unwrap().peek_unverified().unwrap();
    later.tree.size += 1_000;
    let key = NodeKey::from_seed(&provider.node.identity().node_key.expose_seed());
    let epoch = provider.node.epoch().current();
    attacker.dial(provider).await.unwrap();
    let mut hello = attacker.hello(provider, |_| (), |_| ());
    hello.known_heads = vec![sign(&later, &key)];
    let mut stream = attacker.open(provider, HELLO).await.unwrap();
    stream.send(&hello).await.unwrap();
    drop(stream);
    let stopped = async {
        while !provider.node.network().connected_peers().is_empty() || provider.node.epoch().current() == epoch {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon(stopped).await;
    assert!(heads.own_conflict().is_some());
    assert!(
        provider.node.membership().valid_roster(now()).is_err(),
        "the node makes no more decisions"
    );
    let eva = member.researcher().await;
    assert!(member.query(&eva, "SELECT sex FROM cleveland.heart").await.is_err());
}
