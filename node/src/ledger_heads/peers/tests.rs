use concordat_protocol::audit::{TreeHead, leaf_hash, merkle};
use concordat_protocol::identity::{NodeKey, PrivateKey};

use super::*;

fn leaves(history: &str, count: u64) -> Vec<Digest32> {
    (0..count)
        .map(|n| leaf_hash(format!("{history} {n}").as_bytes()))
        .collect()
}

fn shown(history: &str, size: u64) -> Shown {
    let key = NodeKey::from_seed(&[1; 32].into());
    let head = LedgerHead {
        institution: InstitutionId::new("zurich").unwrap(),
        node: key.public(),
        generation: 0,
        tree: TreeHead {
            size,
            root: merkle::root(&leaves(history, size), size).unwrap(),
        },
        at: Timestamp::from_millis(1_800_000_000_000),
    };
    let signed = Signed::sign(&head, &key).unwrap().signed().clone();
    Shown { signed, head }
}

/// The proof that `size` entries extend the prefixes in `firsts`.
fn proof(history: &str, size: u64, firsts: &[u64]) -> LedgerProof {
    let path = |first: &u64| {
        if *first == size {
            return Some(Vec::new());
        }
        Some(merkle::consistency_path(&leaves(history, size), *first, size).unwrap())
    };
    LedgerProof {
        head: shown(history, size).signed,
        paths: firsts.iter().map(path).collect(),
    }
}

fn of_nine() -> PeerLedger {
    PeerLedger::new(InstitutionId::new("zurich").unwrap(), shown("one", 9))
}

fn sizes(ledger: &PeerLedger) -> Vec<u64> {
    ledger.known().map(|known| known.head.tree.size).collect()
}

#[test]
fn head_without_a_proof_waits_whatever_its_size() {
    let mut ledger = of_nine();
    for size in [12, 5, 10, 12] {
        ledger.observe(shown("one", size)).unwrap();
    }
    assert_eq!(sizes(&ledger), [9, 12, 5, 10]);
    let sent: Vec<Shown> = ledger.known().cloned().collect();
    ledger
        .extend(&sent, shown("one", 14), &proof("one", 14, &[9, 12, 5, 10]))
        .unwrap();
    assert_eq!(sizes(&ledger), [14]);
}

#[test]
fn every_pending_head_has_to_be_extended() {
    for fork in [5, 12] {
        let mut ledger = of_nine();
        ledger.observe(shown("two", fork)).unwrap();
        let sent: Vec<Shown> = ledger.known().cloned().collect();
        for history in ["one", "two"] {
            let proof = proof(history, 14, &[9, fork]);
            let refused = ledger.clone().extend(&sent, shown(history, 14), &proof);
            assert!(
                matches!(refused, Err(HeadRejected::Conflict { .. })),
                "{history} {fork}"
            );
        }
    }
}

#[test]
fn two_roots_of_one_size_are_a_contradiction_at_once() {
    let mut ledger = of_nine();
    ledger.observe(shown("one", 12)).unwrap();
    for size in [9, 12] {
        let refused = ledger.observe(shown("two", size));
        assert!(matches!(refused, Err(HeadRejected::Conflict { .. })), "{size}");
    }
    assert_eq!(sizes(&ledger), [9, 12]);
}

#[test]
fn head_that_came_meanwhile_stays_pending() {
    let mut ledger = of_nine();
    let sent: Vec<Shown> = ledger.known().cloned().collect();
    ledger.observe(shown("one", 11)).unwrap();
    ledger.extend(&sent, shown("one", 14), &proof("one", 14, &[9])).unwrap();
    assert_eq!(sizes(&ledger), [14, 11]);
    // A second answer to the same hello is not proven against the present base.
    ledger.extend(&sent, shown("one", 16), &proof("one", 16, &[9])).unwrap();
    assert_eq!(sizes(&ledger), [14, 11, 16]);
}

#[test]
fn pending_heads_are_bounded_and_none_is_dropped() {
    let mut ledger = of_nine();
    let most = u64::try_from(MAX_PENDING).unwrap();
    for n in 1..=most {
        ledger.observe(shown("one", 9 + n)).unwrap();
        assert_eq!(ledger.has_many_pending(), n >= most / 2);
    }
    assert!(matches!(ledger.observe(shown("one", 99)), Err(HeadRejected::Full)));
    assert!(
        ledger.observe(shown("one", 10)).is_ok(),
        "a known head does not count again"
    );
    assert_eq!(sizes(&ledger).len(), MAX_HEADS);
}

#[test]
fn only_a_head_that_was_shown_is_acknowledged() {
    let mut ledger = of_nine();
    let root = |history, size| shown(history, size).head.tree.root;
    assert!(ledger.acknowledge(root("one", 9)).is_none(), "nothing to acknowledge");
    ledger.contradict(shown("two", 12), "why".to_owned(), Timestamp::from_millis(0));
    for size in 13..60 {
        ledger.conflict.as_mut().unwrap().show(shown("two", size));
    }
    assert_eq!(ledger.conflict.as_ref().unwrap().shown.len(), MAX_SHOWN);
    for never in [root("one", 9), root("two", 60), root("two", 12)] {
        assert!(ledger.clone().acknowledge(never).is_none());
    }
    assert_eq!(ledger.acknowledge(root("two", 40)).unwrap().head.tree.size, 40);
    assert_eq!(sizes(&ledger), [40]);
    assert!(ledger.conflict.is_none());
}

/// A hello is on its way while an administrator acknowledges another history.
#[test]
fn hello_from_before_an_acknowledgment_is_no_new_contradiction() {
    let mut ledger = of_nine();
    ledger.observe(shown("one", 11)).unwrap();
    let sent: Vec<Shown> = ledger.known().cloned().collect();
    ledger.contradict(shown("two", 12), "restored".to_owned(), Timestamp::from_millis(0));
    let base = shown("two", 12).head.tree.root;
    ledger.acknowledge(base).unwrap();
    let late = proof("two", 14, &[9, 11]);
    ledger.extend(&sent, shown("two", 14), &late).unwrap();
    // It is not proven to extend the new base either, so that the next hello asks for that.
    assert_eq!(sizes(&ledger), [12, 14]);
    let third = ledger.clone().extend(
        &ledger.known().cloned().collect::<Vec<_>>(),
        shown("one", 16),
        &proof("one", 16, &[12, 14]),
    );
    assert!(matches!(third, Err(HeadRejected::Conflict { .. })));
    let sent_later: Vec<Shown> = ledger.known().cloned().collect();
    ledger
        .extend(&sent_later, shown("two", 16), &proof("two", 16, &[12, 14]))
        .unwrap();
    assert_eq!(sizes(&ledger), [16]);
    // What was set aside is no excuse any more.
    let refused = ledger.extend(&sent, shown("two", 18), &proof("two", 18, &[9, 11]));
    assert!(matches!(refused, Err(HeadRejected::Conflict { .. })));
}
