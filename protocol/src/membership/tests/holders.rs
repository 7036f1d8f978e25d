//! Charters of several holders: how many must sign, and how one replaces another.

use super::*;

fn charter(seeds: &[u8], threshold: u8) -> Charter {
    Charter::new(
        seeds.iter().map(|seed| institution_key(*seed).public()).collect(),
        threshold,
    )
    .unwrap()
}

fn change(from: &Charter, to: &Charter) -> CharterChange {
    CharterChange {
        consortium: first().consortium,
        from: from.clone(),
        to: to.clone(),
        at: NOW,
    }
}

/// A roster under `charter` that contains `changes`.
fn under(charter: &Charter, changes: &[CoSigned<CharterChange>]) -> Roster {
    Roster {
        charter: charter.clone(),
        charter_changes: changes.to_vec(),
        number: 3,
        ..two()
    }
}

#[test]
fn a_charter_has_different_keys_and_a_threshold_within_them() {
    let keys = |seeds: &[u8]| {
        seeds
            .iter()
            .map(|seed| institution_key(*seed).public())
            .collect::<Vec<_>>()
    };
    assert_eq!(Charter::new(keys(&[1, 2, 3]), 2), Charter::new(keys(&[3, 1, 2]), 2));
    assert!(matches!(Charter::new(keys(&[1, 1]), 1), Err(CharterError::Keys)));
    assert!(matches!(Charter::new(keys(&[]), 0), Err(CharterError::Keys)));
    let many: Vec<u8> = (1..=9).collect();
    assert!(matches!(Charter::new(keys(&many), 1), Err(CharterError::Keys)));
    for threshold in [0, 4] {
        assert!(matches!(
            Charter::new(keys(&[1, 2, 3]), threshold),
            Err(CharterError::Threshold { .. })
        ));
    }
    assert_eq!(sole().summary(), "charter 1 of 1: one key can change the roster");
}

#[test]
fn roster_needs_as_many_holders_as_the_charter_requires() {
    let pinned = charter(&[1, 2, 3], 2);
    let roster = under(&pinned, &[]);
    for signers in [&[1, 2][..], &[2, 3], &[3, 1], &[1, 2, 3], &[1, 9, 2]] {
        assert!(
            ValidRoster::check(signed_by(&roster, signers), &pinned, None, NOW).is_ok(),
            "{signers:?}"
        );
    }
    for signers in [&[][..], &[1], &[1, 1], &[1, 9], &[8, 9], &[2, 2, 2]] {
        let refused = ValidRoster::check(signed_by(&roster, signers), &pinned, None, NOW).unwrap_err();
        assert_eq!(
            refused,
            RosterError::Signature(SignatureError::MissingSignature),
            "{signers:?}"
        );
    }
    // It is the same roster no matter which holders signed it.
    let held = ValidRoster::check(signed_by(&roster, &[1, 2]), &pinned, None, NOW).unwrap();
    assert!(ValidRoster::check(signed_by(&roster, &[2, 3]), &pinned, Some(&held), NOW).is_ok());
    // What a holder checks before it signs does not require signatures, but everything else.
    assert!(ValidRoster::check_proposal(&signed_by(&roster, &[]), &pinned, Some(&held), NOW).is_ok());
    let older = Roster { number: 2, ..roster };
    assert!(ValidRoster::check_proposal(&signed_by(&older, &[]), &pinned, Some(&held), NOW).is_err());
}

#[test]
fn charter_change_needs_signatures_of_its_holders() {
    let (old, new) = (charter(&[1, 2, 3], 2), charter(&[4, 5], 1));
    let result = |changes: &[CoSigned<CharterChange>], signers: &[u8]| {
        ValidRoster::check(signed_by(&under(&new, changes), signers), &old, None, NOW).map(|_| ())
    };
    let good = signed_by(&change(&old, &new), &[1, 3]);
    assert_eq!(result(std::slice::from_ref(&good), &[4]), Ok(()));
    // The old holders cannot sign for the new ones, and the new ones cannot add themselves.
    assert!(result(&[good], &[1, 2]).is_err());
    assert!(matches!(result(&[], &[4]), Err(RosterError::OtherCharter { .. })));
    assert!(matches!(result(&[], &[1, 2]), Err(RosterError::OtherCharter { .. })));
    for signers in [&[1][..], &[4, 5], &[1, 1], &[]] {
        let weak = signed_by(&change(&old, &new), signers);
        assert!(
            matches!(result(&[weak], &[4]), Err(RosterError::Charter(_))),
            "{signers:?}"
        );
    }
    let elsewhere = CharterChange {
        consortium: ConsortiumName::new("Lung").unwrap(),
        ..change(&old, &new)
    };
    assert!(matches!(
        result(&[signed_by(&elsewhere, &[1, 2])], &[4]),
        Err(RosterError::Charter(_))
    ));
}

#[test]
fn charter_changes_are_followed_in_order_after_absence() {
    let (a, b, c) = (sole(), charter(&[1, 2, 3], 2), charter(&[2, 3, 4], 3));
    let changes = [signed_by(&change(&a, &b), &[1]), signed_by(&change(&b, &c), &[1, 2])];
    let roster = signed_by(&under(&c, &changes), &[2, 3, 4]);
    for pinned in [&a, &b, &c] {
        assert!(ValidRoster::check(roster.clone(), pinned, None, NOW).is_ok());
    }
    // The first holder has transferred the charter and cannot reclaim it from members that have seen the transfer.
    let back = signed_by(&under(&a, &[]), &[1]);
    assert!(ValidRoster::check(back, &b, None, NOW).is_err());
    let fork = charter(&[7], 1);
    let forked = signed_by(&under(&fork, &[signed_by(&change(&a, &fork), &[1])]), &[7]);
    for pinned in [&b, &c] {
        assert!(ValidRoster::check(forked.clone(), pinned, None, NOW).is_err());
    }
    // A chain with a missing or unsigned change is refused.
    let gap = signed_by(&under(&c, &changes[1..]), &[2, 3, 4]);
    assert!(ValidRoster::check(gap, &a, None, NOW).is_err());
    let weak = [changes[0].clone(), signed_by(&change(&b, &c), &[1])];
    assert!(ValidRoster::check(signed_by(&under(&c, &weak), &[2, 3, 4]), &a, None, NOW).is_err());
}
