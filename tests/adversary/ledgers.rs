//! Ledgers that were replaced, and what is said about the ledgers of others.

use std::time::Duration;

use concordat_node::fault::{Code, Explain};
use concordat_protocol::audit::{Cause, EntryBody, LedgerHead, LedgerProof, TreeHead, leaf_hash, merkle};
use concordat_protocol::identity::{NodeKey, PrivateKey};
use concordat_protocol::ids::{Digest32, InstitutionId};
use concordat_protocol::signed::Signed;
use concordat_tests::tester;

use super::honest::{House, World};
use super::rogue::{Rogue, ledger_head, now, sign, soon};

/// How often and how long it is looked whether the rogue is served.
const LOOK: Duration = Duration::from_millis(50);

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

/// Shows a head and says whether the provider serves the rogue then.
async fn served(
    world: &World,
    head: Signed<LedgerHead>,
    path: Option<Vec<Digest32>>,
    kept: Option<Signed<LedgerHead>>,
) -> bool {
    let proof = LedgerProof {
        head,
        paths: vec![path],
    };
    let served = attested(&world.rogue, &world.provider, &proof, kept).await;
    if served {
        leave(&world.rogue, &world.provider).await;
    }
    served
}

/// Connects, shows a ledger, and says whether the house serves the rogue then; if it does, the session stands.
pub(super) async fn attested(
    rogue: &Rogue,
    house: &House,
    proof: &LedgerProof,
    kept: Option<Signed<LedgerHead>>,
) -> bool {
    rogue.dial(house).await.unwrap();
    let mut hello = rogue.hello(house, |_| (), |_| ());
    hello.kept = kept.into_iter().collect();
    // A refused member may be cut off before it has sent everything.
    let _ = rogue.greet(house, &hello, proof).await;
    let attested = soon(async {
        loop {
            let session = house.node.network().sessions().borrow().get(&rogue.id()).cloned();
            match session {
                Some(session) if session.attested().is_some() => return true,
                Some(_) => tokio::time::sleep(LOOK).await,
                None => return false,
            }
        }
    })
    .await;
    if !attested {
        gone(rogue).await;
    }
    attested
}

/// The rogue hears a moment later that a session has ended; its connection to another node may go on.
async fn gone(rogue: &Rogue) {
    tokio::time::timeout(Duration::from_secs(2), rogue.until_alone())
        .await
        .ok();
}

/// Ends the session with a house.
pub(super) async fn leave(rogue: &Rogue, house: &House) {
    let mut sessions = house.node.network().sessions();
    house.node.network().disconnect(rogue.id()).await.unwrap();
    let ended = sessions.wait_for(|standing| !standing.contains_key(&rogue.id()));
    soon(ended).await.unwrap();
    gone(rogue).await;
}

pub(super) fn own(rogue: &Rogue, tree: TreeHead) -> Signed<LedgerHead> {
    ledger_head(&rogue.institution, &rogue.node, tree)
}

async fn acknowledge(world: &World) {
    let heads = world.provider.node.membership().heads();
    let conflicts = heads.conflicts();
    assert_eq!(conflicts.len(), 1);
    let head = conflicts[0].head.to_string();
    let institution = world.rogue.institution.clone();
    let wrong = heads
        .acknowledge_peer(institution.clone(), "00000000".to_owned(), tester())
        .await;
    assert_eq!(wrong.unwrap_err().code(), Code::NotFound);
    heads.acknowledge_peer(institution, head, tester()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ledger_that_was_replaced_ends_service_until_acknowledged() {
    let world = World::new().await;
    let rogue = &world.rogue;
    let (known, other) = (leaves(9, "one"), leaves(12, "two"));
    let path = |leaves: &[Digest32], first| Some(merkle::consistency_path(leaves, first, leaves.len() as u64).unwrap());
    assert!(
        served(&world, own(rogue, tree(&known[..4])), None, None).await,
        "the first head is the base"
    );
    assert!(
        served(&world, own(rogue, tree(&known)), path(&known, 4), None).await,
        "it only grew"
    );

    let base = own(rogue, tree(&known));
    let attacks = [
        ("a shorter ledger", tree(&known[..5]), Some(Vec::new())),
        (
            "another history of the same length",
            tree(&other[..9]),
            Some(Vec::new()),
        ),
        ("a longer history with a path of its own", tree(&other), path(&other, 9)),
        ("no path", tree(&leaves(12, "one")), None),
        (
            "a path of too many hashes",
            tree(&leaves(12, "one")),
            Some(vec![Digest32::ZERO; 1000]),
        ),
    ];
    for (what, shown, path) in attacks {
        assert!(!served(&world, own(rogue, shown), path, None).await, "{what}");
        // What would have been right before is not enough any more.
        assert!(!served(&world, base.clone(), Some(Vec::new()), None).await, "{what}");
        acknowledge(&world).await;
        assert!(
            served(&world, own(rogue, tree(&known)), Some(Vec::new()), None).await,
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
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ledger_head_of_another_or_of_another_time_is_refused() {
    let world = World::new().await;
    let rogue = &world.rogue;
    let shown = tree(&leaves(3, "one"));
    let stranger = NodeKey::from_seed(&[77; 32].into());
    let provider = world.provider.node.membership().heads().signed().unwrap();
    let at = |seconds| {
        let mut head = own(rogue, shown).peek_unverified().unwrap();
        head.at = now().plus_seconds(seconds);
        sign(&head, &rogue.node)
    };
    let zagreb = InstitutionId::new("zagreb").unwrap();
    let heads = [
        ("of another node", ledger_head(&rogue.institution, &stranger, shown)),
        ("of the provider itself", provider),
        ("of another institution", ledger_head(&zagreb, &rogue.node, shown)),
        ("of the future", at(3600)),
        ("of the past", at(-3600)),
    ];
    for (what, head) in heads {
        assert!(!served(&world, head, Some(Vec::new()), None).await, "{what}");
    }
    assert!(
        world.provider.node.membership().heads().conflicts().is_empty(),
        "none of it is kept"
    );
    assert!(served(&world, own(rogue, shown), Some(Vec::new()), None).await);
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ledger_claims_of_a_liar_stop_no_node() {
    let world = World::new().await;
    let rogue = &world.rogue;
    let heads = world.provider.node.membership().heads();
    let true_head = heads.signed().unwrap();
    let mut far = true_head.peek_unverified().unwrap();
    far.tree.size = 1_000_000_000;
    let shown = own(rogue, tree(&leaves(3, "one")));
    let claims = [
        ("signed by the liar", sign(&far, &rogue.node)),
        ("about the liar", own(rogue, far.tree)),
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
    assert_eq!(rogue.node.public(), rogue.id());
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ledger_older_than_its_own_signature_stops_the_node() {
    let world = World::new().await;
    let provider = &world.provider;
    let heads = provider.node.membership().heads();
    // As if the data directory had been put back: only the node's own key can sign this.
    let mut later = heads.signed().unwrap().peek_unverified().unwrap();
    later.tree.size += 1_000;
    let claim = sign(
        &later,
        &NodeKey::from_seed(&provider.node.identity().node_key.expose_seed()),
    );
    let shown = own(&world.rogue, tree(&leaves(3, "one")));
    assert!(!served(&world, shown.clone(), Some(Vec::new()), Some(claim.clone())).await);
    assert!(
        !served(&world, shown.clone(), Some(Vec::new()), None).await,
        "it stays stopped"
    );
    assert!(provider.node.network().connected_peers().is_empty());
    let digest = heads.own_conflict().expect("it knows").signed.digest().to_string();
    assert_eq!(heads.acknowledge_own(digest, tester()).await.unwrap(), 1);
    for _ in 0..2 {
        let again = served(&world, shown.clone(), Some(Vec::new()), Some(claim.clone())).await;
        assert!(again, "a head from before the acknowledged restore stops it no more");
    }
    let ledger = provider.node.ledger();
    let entries = ledger.range(0, ledger.size()).unwrap();
    let noticed = |body: &EntryBody| matches!(body, EntryBody::OwnLedgerConflict { .. });
    assert_eq!(entries.iter().filter(|entry| noticed(&entry.entry.body)).count(), 1);
}
