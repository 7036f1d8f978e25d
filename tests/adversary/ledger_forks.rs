//! Ledgers with two histories, shown to one peer one after the other or to two at the same time.

use std::time::Duration;

use concordat_node::sharing::QUERY;
use concordat_protocol::audit::{LedgerHead, LedgerProof, merkle};
use concordat_protocol::identity::NodeKey;
use concordat_protocol::ids::{Digest32, GrantId};
use concordat_protocol::query::Receipt;
use concordat_protocol::signed::Signed;
use concordat_protocol::wire::messages::{Countersignature, QueryClosing, QueryFrame, QueryOpening};
use concordat_tests::tester;

use super::answers::Stage;
use super::deal::granted;
use super::honest::{House, World};
use super::ledgers::{attested, leave, leaves, own, tree};
use super::questions::question;
use super::rogue::{Rogue, now, sign, soon};

/// From here on the node asks for proofs by itself.
const MANY: usize = (concordat_protocol::audit::MAX_HEADS - 1) / 2;

/// The first `count` entries of one of the two histories, which agree in none.
fn head(rogue: &Rogue, history: &str, count: usize) -> Signed<LedgerHead> {
    own(rogue, tree(&leaves(count, history)))
}

/// Why one history extends its own beginnings.
fn path(history: &str, first: usize, count: usize) -> Option<Vec<Digest32>> {
    match first {
        0 => Some(Vec::new()),
        _ if first > count => None,
        _ if first == count => Some(Vec::new()),
        _ => Some(merkle::consistency_path(&leaves(count, history), first as u64, count as u64).unwrap()),
    }
}

fn proof(rogue: &Rogue, history: &str, count: usize, firsts: &[usize]) -> LedgerProof {
    LedgerProof {
        head: head(rogue, history, count),
        paths: firsts.iter().map(|first| path(history, *first, count)).collect(),
    }
}

/// The sizes of the heads that are kept of the rogue, the proven one first.
fn kept(house: &House, rogue: &Rogue) -> Vec<u64> {
    let kept = house.node.membership().heads().kept(&rogue.id());
    kept.iter()
        .map(|head| head.peek_unverified().unwrap().tree.size)
        .collect()
}

/// Asks by the rules and countersigns with `shown` as the head of the ledger.
async fn ask_showing(world: &World, grant: GrantId, shown: Signed<LedgerHead>) {
    let (rogue, provider) = (&world.rogue, &world.provider);
    let mut stream = rogue.open(provider, QUERY).await.unwrap();
    let envelope = question(world, grant, |_| (), |_| ());
    stream.send(&QueryFrame { envelope }).await.unwrap();
    assert!(matches!(stream.recv().await.unwrap(), QueryOpening::Accepted { .. }));
    while !stream.block().await.unwrap().is_empty() {}
    let QueryClosing { receipt, .. } = stream.recv().await.unwrap();
    let receipt = receipt.add_signature(&rogue.node).unwrap();
    let signed = Countersignature { receipt, ledger: shown };
    stream.send(&signed).await.unwrap();
    assert!(stream.is_dropped().await);
}

/// A world in which the provider knows nine entries of the rogue's ledger, and a grant.
async fn known_of_nine() -> (World, GrantId) {
    let world = World::met().await;
    let grant = granted(&world).await;
    leave(&world.rogue, &world.provider).await;
    assert!(
        attested(
            &world.rogue,
            &world.provider,
            &proof(&world.rogue, "one", 9, &[0]),
            None
        )
        .await
    );
    assert_eq!(kept(&world.provider, &world.rogue), [9]);
    (world, grant)
}

async fn acknowledge_latest(house: &House, rogue: &Rogue) {
    let heads = house.node.membership().heads();
    let root = heads.conflicts()[0].head.to_string();
    heads
        .acknowledge_peer(rogue.institution.clone(), root, tester())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ledger_head_of_a_countersignature_is_no_base_until_proven() {
    let (world, grant) = known_of_nine().await;
    let (rogue, provider) = (&world.rogue, &world.provider);
    // It signs for another history, then goes on with either of the two: no hello can extend both.
    for (history, firsts) in [("two", [9, 12]), ("one", [9, 12])] {
        ask_showing(&world, grant, head(rogue, "two", 12)).await;
        assert_eq!(kept(provider, rogue), [9, 12], "the proven head stays the base");
        leave(rogue, provider).await;
        let shown = proof(rogue, history, 14, &firsts);
        assert!(!attested(rogue, provider, &shown, None).await, "{history}");
        assert_eq!(provider.node.membership().heads().conflicts().len(), 1, "{history}");
        acknowledge_latest(provider, rogue).await;
        assert_eq!(kept(provider, rogue), [14]);
        // A restore that is acknowledged: nine entries of the first history are the base again.
        assert!(!attested(rogue, provider, &proof(rogue, "one", 9, &[14]), None).await);
        acknowledge_latest(provider, rogue).await;
        assert!(attested(rogue, provider, &proof(rogue, "one", 9, &[9]), None).await);
    }
    // What only grew is proven for both.
    ask_showing(&world, grant, head(rogue, "one", 12)).await;
    leave(rogue, provider).await;
    assert!(attested(rogue, provider, &proof(rogue, "one", 14, &[9, 12]), None).await);
    assert_eq!(kept(provider, rogue), [14]);
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ledger_head_of_a_receipt_is_no_base_until_proven() {
    let mut stage = Stage::set().await;
    leave(&stage.world.rogue, &stage.world.friend).await;
    let first = proof(&stage.world.rogue, "one", 9, &[0]);
    assert!(attested(&stage.world.rogue, &stage.world.friend, &first, None).await);
    let chunks = stage.truth.chunks.clone();
    let rows = stage.play(async |rogue, mut exchange| {
        exchange.open().await;
        exchange.rows(&chunks).await;
        let receipt = Receipt {
            ledger: head(rogue, "two", 12),
            ..exchange.receipt(&chunks)
        };
        exchange.close(rogue, &receipt, None).await;
        let signed: Countersignature = exchange.stream.recv().await.unwrap();
        let friend = signed.ledger.peek_unverified().unwrap();
        assert!(friend.tree.size > 0, "the consumer shows its ledger, too");
        assert!(signed.ledger.head_of(friend.node, &friend.institution).is_ok());
    });
    rows.await.unwrap();
    let (rogue, friend) = (&stage.world.rogue, &stage.world.friend);
    assert_eq!(kept(friend, rogue), [9, 12]);
    leave(rogue, friend).await;
    assert!(!attested(rogue, friend, &proof(rogue, "two", 14, &[9, 12]), None).await);
    assert_eq!(friend.node.membership().heads().conflicts().len(), 1);
    stage.world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipt_with_the_head_of_another_node_is_not_countersigned() {
    let mut stage = Stage::set().await;
    let chunks = stage.truth.chunks.clone();
    let act = async |rogue: &Rogue, mut exchange: super::answers::Exchange| {
        exchange.open().await;
        exchange.rows(&chunks).await;
        let other = NodeKey::from_seed(&[77; 32].into());
        let receipt = Receipt {
            ledger: super::rogue::empty_ledger(&rogue.institution, &other),
            ..exchange.receipt(&chunks)
        };
        exchange.close(rogue, &receipt, None).await;
        assert!(exchange.stream.recv::<Countersignature>().await.is_err());
    };
    stage
        .plays("another node", concordat_node::fault::Code::Integrity, act)
        .await;
    stage.world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pending_ledger_heads_are_bounded_and_asked_for() {
    let (world, grant) = known_of_nine().await;
    let (rogue, provider) = (&world.rogue, &world.provider);
    let mut asked = rogue.accept(concordat_node::network::hello::HELLO);
    for n in 1..=MANY {
        ask_showing(&world, grant, head(rogue, "one", 9 + n)).await;
    }
    // The provider says hello again, on the session that stands, and shows which heads it has.
    let (_, mut stream) = super::rogue::Wire::next(&mut asked).await;
    let hello: concordat_protocol::wire::messages::Hello = stream.recv().await.unwrap();
    assert_eq!(hello.kept.len(), 1 + MANY);
    drop(stream);
    for n in MANY + 1..=2 * MANY {
        ask_showing(&world, grant, head(rogue, "one", 9 + n)).await;
    }
    ask_showing(&world, grant, head(rogue, "one", 100)).await;
    let sizes = kept(provider, rogue);
    assert_eq!(sizes.len(), 1 + 2 * MANY, "{sizes:?}");
    assert!(
        !sizes.contains(&100),
        "what does not fit is not countersigned: {sizes:?}"
    );
    leave(rogue, provider).await;
    let firsts: Vec<usize> = (9..=9 + 2 * MANY).collect();
    assert!(attested(rogue, provider, &proof(rogue, "one", 80, &firsts), None).await);
    assert_eq!(kept(provider, rogue), [80]);
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_ledger_head_is_one_that_was_shown() {
    let (world, _) = known_of_nine().await;
    let (rogue, provider) = (&world.rogue, &world.provider);
    leave(rogue, provider).await;
    let heads = provider.node.membership().heads();
    let root = |history, count| tree(&leaves(count, history)).root.to_string();
    for (history, count) in [("two", 12), ("three", 20)] {
        assert!(!attested(rogue, provider, &proof(rogue, history, count, &[9]), None).await);
    }
    let listed = heads.conflicts();
    assert_eq!(
        (listed[0].head.to_string(), listed[0].shown_entries),
        (root("three", 20), 20)
    );
    let institution = rogue.institution.clone();
    for never_shown in [root("two", 11), root("four", 12), root("one", 9)] {
        let refused = heads.acknowledge_peer(institution.clone(), never_shown, tester()).await;
        assert!(refused.is_err());
    }
    // The administrator has looked at the one with twelve entries; what was shown since is not taken for it.
    let done = heads
        .acknowledge_peer(institution.clone(), root("two", 12), tester())
        .await;
    assert_eq!(done.unwrap().shown_entries, 12);
    assert!(!attested(rogue, provider, &proof(rogue, "three", 20, &[12]), None).await);
    heads
        .acknowledge_peer(institution, root("three", 20), tester())
        .await
        .unwrap();
    assert!(attested(rogue, provider, &proof(rogue, "three", 21, &[20]), None).await);
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ledger_forks_shown_to_two_peers_meet_their_own_signatures() {
    let world = World::met().await;
    let (rogue, provider, friend) = (&world.rogue, &world.provider, &world.friend);
    leave(rogue, provider).await;
    // Each of the two sees a ledger that only grows, of its own history.
    for (house, history) in [(provider, "one"), (friend, "two")] {
        let known = kept(house, rogue).first().map(|_| 0);
        let firsts: Vec<usize> = known.into_iter().collect();
        assert!(attested(rogue, house, &proof(rogue, history, 9, &firsts), None).await);
        leave(rogue, house).await;
        assert!(attested(rogue, house, &proof(rogue, history, 12, &[9]), None).await);
        leave(rogue, house).await;
    }
    // Neither history can be shown to the other one.
    for (house, history) in [(provider, "two"), (friend, "one")] {
        assert!(!attested(rogue, house, &proof(rogue, history, 12, &[12]), None).await);
    }
    // The two signed heads side by side convict the node: one size, two roots.
    let of = |house: &House| house.node.membership().heads().kept(&rogue.id())[0].clone();
    let [one, two] = [of(provider), of(friend)].map(|head| head.head_of(rogue.id(), &rogue.institution).unwrap());
    assert_eq!(one.tree.size, two.tree.size);
    assert!(concordat_protocol::audit::check_growth(&one, &two, Some(&[])).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ledgers_of_two_nodes_of_one_institution_are_kept_apart() {
    let (world, _) = known_of_nine().await;
    let (rogue, provider) = (&world.rogue, &world.provider);
    leave(rogue, provider).await;
    let second = rogue.beside(60);
    let membership = provider.node.membership();
    let both = rogue.enrolment_beside(&second);
    membership.admit(both.as_bytes(), &tester()).await.unwrap();
    // The second node has its own ledger, and cannot show that of the first.
    let borrowed = proof(rogue, "one", 12, &[]);
    assert!(!attested(&second, provider, &borrowed, None).await);
    assert!(attested(&second, provider, &proof(&second, "two", 5, &[]), None).await);
    leave(&second, provider).await;
    assert_eq!((kept(provider, rogue), kept(provider, &second)), (vec![9], vec![5]));
    // One of them goes back; the other one is served all the same, and acknowledging names the right one.
    assert!(!attested(rogue, provider, &proof(rogue, "three", 12, &[9]), None).await);
    assert!(attested(&second, provider, &proof(&second, "two", 6, &[5]), None).await);
    leave(&second, provider).await;
    let listed = membership.heads().conflicts();
    assert_eq!(listed.iter().map(|one| one.node).collect::<Vec<_>>(), [rogue.id()]);
    let of_second = tree(&leaves(6, "two")).root.to_string();
    let institution = rogue.institution.clone();
    let wrong = membership
        .heads()
        .acknowledge_peer(institution, of_second, tester())
        .await;
    assert!(wrong.is_err());
    acknowledge_latest(provider, rogue).await;
    assert_eq!((kept(provider, rogue), kept(provider, &second)), (vec![12], vec![6]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_hellos_of_two_histories_leave_one_base() {
    let (world, _) = known_of_nine().await;
    let (rogue, provider) = (&world.rogue, &world.provider);
    let heads = provider.node.membership().heads();
    // Both were asked about nine entries and both extend them; the second answer comes after the first was taken.
    let asked = heads.kept(&rogue.id());
    let fork = |entry: &str| {
        let mut leaves = leaves(9, "one");
        leaves.push(concordat_protocol::audit::leaf_hash(entry.as_bytes()));
        leaves
    };
    let peer = (rogue.id(), rogue.institution.clone());
    for (entry, more) in [("a", 10), ("b", 11)] {
        let mut leaves = fork(entry);
        leaves.resize(more, Digest32::ZERO);
        let path = merkle::consistency_path(&leaves, 9, more as u64).unwrap();
        let proof = LedgerProof {
            head: own(rogue, tree(&leaves)),
            paths: vec![Some(path)],
        };
        let taken = heads.check_peer(peer.clone(), asked.clone(), proof, tester()).await;
        taken.unwrap();
    }
    assert_eq!(
        kept(provider, rogue),
        [10, 11],
        "the second one is not proven against the first"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_node_stops_although_the_peer_that_showed_it_hangs_up() {
    let world = World::met().await;
    let (rogue, provider, friend) = (&world.rogue, &world.provider, &world.friend);
    leave(rogue, provider).await;
    super::deal::between_friends(&world).await;
    assert!(
        provider
            .node
            .network()
            .connected_peers()
            .contains(&friend.node.identity().node())
    );
    let heads = provider.node.membership().heads();
    let mut later = heads.signed().unwrap().peek_unverified().unwrap();
    later.tree.size += 1_000;
    let key = NodeKey::from_seed(&provider.node.identity().node_key.expose_seed());
    let epoch = provider.node.epoch().current();
    rogue.dial(provider).await.unwrap();
    let mut hello = rogue.hello(provider, |_| (), |_| ());
    hello.kept = vec![sign(&later, &key)];
    let mut stream = rogue
        .open(provider, concordat_node::network::hello::HELLO)
        .await
        .unwrap();
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
        provider.node.membership().in_force(now()).is_err(),
        "nothing is decided any more"
    );
    let eva = friend.researcher().await;
    assert!(friend.ask(&eva, "SELECT sex FROM cleveland.heart").await.is_err());
}
