use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;
use crate::audit::leaf_hash;
use crate::identity::{NodeKey, PrivateKey};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn key(seed: u8) -> NodeKey {
    NodeKey::from_seed(&Zeroizing::new([seed; 32]))
}

/// Leaves of a history that diverges from the first one after `fork` entries.
fn history(length: u64, fork: u64) -> Vec<Digest32> {
    let leaf = |n: u64| leaf_hash(format!("{n} {}", n >= fork).as_bytes());
    (0..length).map(leaf).collect()
}

fn head(leaves: &[Digest32], size: u64, generation: u32) -> LedgerHead {
    LedgerHead {
        institution: InstitutionId::new("budapest").unwrap(),
        node: key(1).public(),
        generation,
        tree: TreeHead {
            size,
            root: merkle::root(leaves, size).unwrap(),
        },
        at: NOW,
    }
}

fn path(leaves: &[Digest32], known: u64, shown: u64) -> Vec<Digest32> {
    if known == 0 || known >= shown {
        Vec::new()
    } else {
        merkle::consistency_path(leaves, known, shown).unwrap()
    }
}

proptest! {
    #[test]
    fn growth_is_proven_by_every_ledger_that_only_grew(first in 0u64..200, more in 0u64..200) {
        let leaves = history(first + more, u64::MAX);
        let known = head(&leaves, first, 0);
        let shown = head(&leaves, first + more, 0);
        let path = path(&leaves, first, first + more);
        prop_assert_eq!(check_growth(&known, &shown, Some(&path)), Ok(()));
        let none = check_growth(&known, &shown, None);
        let unproven = matches!(none, Err(HeadConflict::NotProven { .. }));
        prop_assert!(unproven);
    }

    #[test]
    fn growth_is_not_proven_by_a_restored_ledger(
        known in 1u64..150,
        back in 0u64..150,
        on in 0u64..150,
        restored in 0u32..2,
    ) {
        let fork = back % known;
        let length = fork + on;
        let original = history(known, u64::MAX);
        let other = history(length, fork);
        let known_head = head(&original, known, 0);
        let shown = head(&other, length, restored);
        for path in [None, Some(path(&other, known, length)), Some(path(&original, fork, known)), Some(Vec::new())] {
            let checked = check_growth(&known_head, &shown, path.as_deref());
            match checked {
                Err(HeadConflict::Restored { .. }) => prop_assert_eq!(restored, 1),
                Err(_) => prop_assert_eq!(restored, 0),
                Ok(()) => prop_assert!(false, "{} {} {}", known, fork, length),
            }
        }
    }
}

#[test]
fn growth_does_not_lead_back_to_an_earlier_generation() {
    let leaves = history(9, u64::MAX);
    let path = path(&leaves, 4, 9);
    let grown = |known, shown| check_growth(&head(&leaves, 4, known), &head(&leaves, 9, shown), Some(&path));
    assert_eq!(grown(1, 1), Ok(()));
    assert_eq!(grown(0, 1), Ok(()));
    assert!(matches!(grown(1, 0), Err(HeadConflict::Shorter { .. })));
}

#[test]
fn head_counts_only_for_the_node_that_signed_it_about_itself() {
    let leaves = history(1, u64::MAX);
    let own = head(&leaves, 1, 0);
    let node = own.node;
    let institution = own.institution.clone();
    let signed = |head: &LedgerHead, seed| Signed::sign(head, &key(seed)).unwrap().signed().clone();
    assert!(signed(&own, 1).head_of(node, &institution).is_ok());
    assert!(signed(&own, 2).head_of(node, &institution).is_err());
    let about_another = LedgerHead {
        node: key(2).public(),
        ..own.clone()
    };
    assert_eq!(
        signed(&about_another, 1).head_of(node, &institution),
        Err(HeadError::OtherNode)
    );
    let elsewhere = InstitutionId::new("zurich").unwrap();
    assert_eq!(signed(&own, 1).head_of(node, &elsewhere), Err(HeadError::OtherNode));
}
