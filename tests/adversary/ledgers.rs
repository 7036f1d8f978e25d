//! Ledgers that were replaced, and claims about the ledgers of others.

use std::time::Duration;

use concordat_protocol::audit::{Cause, EntryBody, LedgerHead, LedgerProof, TreeHead, leaf_hash, merkle};
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::identity::{NodeKey, PrivateKey};
use concordat_protocol::ids::{Digest32, InstitutionId};
use concordat_protocol::signed::Signed;
use concordat_tests::tester;

use super::malicious_peer::{MaliciousPeer, ledger_head, now, sign, soon};
use super::well_behaved::{InProcessNode, World};

/// How often it is checked whether the attacker is served.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

pub(super) fn leaves(count: usize, history: &str) -> Vec<Digest32> {
    (0..count)
        .map(|n| leaf_hash(format!("{history} {n}").as_bytes()))
        .collect()
}

pub(super) fn tree(leaves: &[Digest32]) -> TreeHead {
    let size = leaves.len() as u64;
    TreeHead {
        size,
        root: merkle::root(leaves, size).unwrap(),
    }
}

/// Shows a head and returns whether the provider then serves the attacker.
async fn served(
    world: &World,
    head: Signed<LedgerHead>,
    path: Option<Vec<Digest32>>,
    claim: Option<Signed<LedgerHead>>,
) -> bool {
    let proof = LedgerProof {
        head,
        paths: vec![path],
    };
    let served = attested(&world.attacker, &world.provider, &proof, claim).await;
    if served {
        leave(&world.attacker, &world.provider).await;
    }
    served
}

/// Connects, shows a ledger, and returns whether the target then serves the attacker; if so, the session stays open.
pub(super) async fn attested(
    attacker: &MaliciousPeer,
    target: &InProcessNode,
    proof: &LedgerProof,
    claim: Option<Signed<LedgerHead>>,
) -> bool {
    attacker.dial(target).await.unwrap();
    let mut hello = attacker.hello(target, |_| (), |_| ());
    hello.known_heads = claim.into_iter().collect();
    // A refused member may be cut off before it has sent everything.
    let _ = attacker.send_hello(target, &hello, proof).await;
    let attested = soon(async {
        loop {
            let session = target.node.network().sessions().borrow().get(&attacker.id()).cloned();
            match session {
                Some(session) if session.attested().is_some() => return true,
                Some(_) => tokio::time::sleep(POLL_INTERVAL).await,
                None => return false,
            }
        }
    })
    .await;
    if !attested {
        disconnected(attacker).await;
    }
    attested
}

/// The attacker learns a moment later that a session has ended; its connection to another node may continue.
async fn disconnected(attacker: &MaliciousPeer) {
    tokio::time::timeout(Duration::from_secs(2), attacker.until_alone())
        .await
        .ok();
}

/// Ends the session with a target.
pub(super) async fn leave(attacker: &MaliciousPeer, target: &InProcessNode) {
    let mut sessions = target.node.network().sessions();
    target.node.network().disconnect(attacker.id()).await.unwrap();
    let ended = sessions.wait_for(|sessions| !sessions.contains_key(&attacker.id()));
    soon(ended).await.unwrap();
    disconnected(attacker).await;
}

pub(super) fn own(attacker: &MaliciousPeer, tree: TreeHead) -> Signed<LedgerHead> {
    ledger_head(&attacker.institution, &attacker.node, tree)
}

async fn acknowledge(world: &World) {
    let heads = world.provider.node.membership().heads();
    let conflicts = heads.conflicts();
    assert_eq!(conflicts.len(), 1);
    let head = conflicts[0].head.to_string();
    let institution = world.attacker.institution.clone();
    let wrong = heads
        .acknowledge_peer(institution.clone(), "00000000".to_owned(), tester())
        .await;
    assert_eq!(wrong.unwrap_err().kind(), ErrorKind::NotFound);
    heads.acknowledge_peer(institution, head, tester()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ledger_that_was_replaced_ends_service_until_acknowledged() {
    let world = World::new().await;
    let attacker = &world.attacker;
    let known = leaves(9, "one");
    let other = leaves(12, "two");
    let path = |leaves: &[Digest32], first| Some(merkle::consistency_path(leaves, first, leaves.len() as u64).unwrap());
    assert!(
        served(&world, own(attacker, tree(&known[..4])), None, None).await,
        "the first head is the base"
    );
    assert!(
        served(&world, own(attacker, tree(&known)), path(&known, 4), None).await,
        "it only grew"
    );

    let base = own(attacker, tree(&known));
    let attacks = [
        ("a shorter ledger", tree(&known[..5]), Some(Vec::new())),
        (
            "another history of the same length",
            tree(&other[..9]),
            Some(Vec::new()),
        ),
        ("a longer history with its own path", tree(&other), path(&other, 9)),
        ("no path", tree(&leaves(12, "one")), None),
        (
            "a path of too many hashes",
            tree(&leaves(12, "one")),
            Some(vec![Digest32::ZERO; 1000]),
        ),
    ];
    for (what, shown, path) in attacks {
        assert!(!served(&world, own(attacker, shown), path, None).await, "{what}");
        // A head that was accepted before is no longer enough.
        assert!(!served(&world, base.clone(), Some(Vec::new()), None).await, "{what}");
        acknowledge(&world).await;
        assert!(
            served(&world, own(attacker, tree(&known)), Some(Vec::new()), None).await,
            "{what}"
        );
    }
    let ledger = world.provider.node.ledger();
    let entries = ledger.range(0, ledger.size()).unwrap();
    let count = |is: fn(&EntryBody) -> bool| entries.iter().filter(|entry| is(&entry.entry.body)).count();
    assert_eq!(count(|body| matches!(body, EntryBody::PeerLedgerConflict { .. })), 5);
    assert_eq!(
        count(|body| matches!(body, EntryBody::PeerLedgerAcknowledged { .. })),
        5
    );
    for entry in &entries {
        if matches!(entry.entry.body, EntryBody::PeerLedgerAcknowledged { .. }) {
            assert!(
                matches!(entry.entry.cause, Cause::Person { .. }),
                "{:?}",
                entry.entry.cause
            );
        }
    }
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ledger_head_of_another_or_of_another_time_is_refused() {
    let world = World::new().await;
    let attacker = &world.attacker;
    let shown = tree(&leaves(3, "one"));
    let non_member = NodeKey::from_seed(&[77; 32].into());
    let provider = world.provider.node.membership().heads().signed().unwrap();
    let at = |seconds| {
        let mut head = own(attacker, shown).peek_unverified().unwrap();
        head.at = now().plus_seconds(seconds);
        sign(&head, &attacker.node)
    };
    let zagreb = InstitutionId::new("zagreb").unwrap();
    let heads = [
        (
            "of another node",
            ledger_head(&attacker.institution, &non_member, shown),
        ),
        ("of the provider itself", provider),
        ("of another institution", ledger_head(&zagreb, &attacker.node, shown)),
        ("of the future", at(3600)),
        ("of the past", at(-3600)),
    ];
    for (what, head) in heads {
        assert!(!served(&world, head, Some(Vec::new()), None).await, "{what}");
    }
    assert!(
        world.provider.node.membership().heads().conflicts().is_empty(),
        "none of them is stored"
    );
    assert!(served(&world, own(attacker, shown), Some(Vec::new()), None).await);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ledger_claims_that_are_false_stop_no_node() {
    let world = World::new().await;
    let attacker = &world.attacker;
    let heads = world.provider.node.membership().heads();
    let true_head = heads.signed().unwrap();
    let mut far = true_head.peek_unverified().unwrap();
    far.tree.size = 1_000_000_000;
    let shown = own(attacker, tree(&leaves(3, "one")));
    let claims = [
        ("signed by the attacker", sign(&far, &attacker.node)),
        ("about the attacker", own(attacker, far.tree)),
        ("no signature", Signed::from_bytes(vec![0xa0]).unwrap()),
        ("an older head of the node, replayed", true_head),
    ];
    for (what, claim) in claims {
        assert!(
            served(&world, shown.clone(), Some(Vec::new()), Some(claim)).await,
            "{what}"
        );
        assert!(heads.own_conflict().is_none(), "{what}");
    }
    assert_eq!(attacker.node.public(), attacker.id());
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ledger_older_than_its_own_signature_stops_the_node() {
    let world = World::new().await;
    let provider = &world.provider;
    let heads = provider.node.membership().heads();
    // As if the data directory had been restored: only the node's own key can sign this.
    let mut later = heads.signed().unwrap().peek_unverified().unwrap();
    later.tree.size += 1_000;
    let claim = sign(
        &later,
        &NodeKey::from_seed(&provider.node.identity().node_key.expose_seed()),
    );
    let shown = own(&world.attacker, tree(&leaves(3, "one")));
    assert!(!served(&world, shown.clone(), Some(Vec::new()), Some(claim.clone())).await);
    assert!(
        !served(&world, shown.clone(), Some(Vec::new()), None).await,
        "it stays stopped"
    );
    assert!(provider.node.network().connected_peers().is_empty());
    let digest = heads.own_conflict().expect("a conflict").signed.digest().to_string();
    assert_eq!(heads.acknowledge_own(digest, tester()).await.unwrap(), 1);
    for _ in 0..2 {
        let again = served(&world, shown.clone(), Some(Vec::new()), Some(claim.clone())).await;
        assert!(again, "a head from before the acknowledged restore no longer stops it");
    }
    let ledger = provider.node.ledger();
    let entries = ledger.range(0, ledger.size()).unwrap();
    let detected = |body: &EntryBody| matches!(body, EntryBody::OwnLedgerConflict { .. });
    assert_eq!(entries.iter().filter(|entry| detected(&entry.entry.body)).count(), 1);
}
