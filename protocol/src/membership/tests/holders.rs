//! Charters of several holders: how many must sign, and how one replaces another.

use super::*;

fn charter(seeds: &[u8], threshold: u8) -> Charter {
    Charter::new(
        seeds.iter().map(|seed| institution_key(*seed).public()).collect(),
        threshold,
    )
    .unwrap()
}

/// The first change of the charter `from`.
fn change(from: &Charter, to: &Charter) -> CharterChange {
    next_change(None, from, to)
}

/// A change of the charter `from` after the change `previous`.
fn next_change(previous: Option<&CoSigned<CharterChange>>, from: &Charter, to: &Charter) -> CharterChange {
    CharterChange {
        consortium: first().consortium,
        previous: previous.map(|previous| previous.payload_digest().unwrap()),
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

/// What a member pins that has seen `changes`, which lead to `charter`.
fn pin(charter: &Charter, changes: &[CoSigned<CharterChange>]) -> PinnedCharter {
    PinnedCharter::named(charter.clone(), changes).unwrap()
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
    assert_eq!(
        sole().charter().summary(),
        "charter 1 of 1: one key can change the roster"
    );
}

#[test]
fn roster_needs_as_many_holders_as_the_charter_requires() {
    let holders = charter(&[1, 2, 3], 2);
    let roster = under(&holders, &[]);
    let pinned = pin(&holders, &[]);
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
    let old = charter(&[1, 2, 3], 2);
    let new = charter(&[4, 5], 1);
    let result = |changes: &[CoSigned<CharterChange>], signers: &[u8]| {
        ValidRoster::check(signed_by(&under(&new, changes), signers), &pin(&old, &[]), None, NOW).map(|_| ())
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
    let a = charter(&[1], 1);
    let b = charter(&[1, 2, 3], 2);
    let c = charter(&[2, 3, 4], 3);
    let to_b = signed_by(&change(&a, &b), &[1]);
    let to_c = signed_by(&next_change(Some(&to_b), &b, &c), &[1, 2]);
    let changes = [to_b.clone(), to_c.clone()];
    let roster = signed_by(&under(&c, &changes), &[2, 3, 4]);
    let pins = [pin(&a, &[]), pin(&b, &changes[..1]), pin(&c, &changes)];
    for pinned in &pins {
        let checked = ValidRoster::check(roster.clone(), pinned, None, NOW).unwrap();
        assert_eq!(checked.roster().pinned_charter().unwrap(), pins[2]);
    }
    // The first holder has transferred the charter and cannot reclaim it from members that have seen the transfer.
    let back = signed_by(&under(&a, &[]), &[1]);
    assert!(ValidRoster::check(back, &pins[1], None, NOW).is_err());
    let fork = charter(&[7], 1);
    let forked = signed_by(&under(&fork, &[signed_by(&change(&a, &fork), &[1])]), &[7]);
    for pinned in &pins[1..] {
        assert!(ValidRoster::check(forked.clone(), pinned, None, NOW).is_err());
    }
    // A chain with a missing or unsigned change is refused.
    for pinned in &pins {
        let gap = signed_by(&under(&c, &changes[1..]), &[2, 3, 4]);
        assert!(ValidRoster::check(gap, pinned, None, NOW).is_err());
        let weak = [to_b.clone(), signed_by(&next_change(Some(&to_b), &b, &c), &[1])];
        assert!(ValidRoster::check(signed_by(&under(&c, &weak), &[2, 3, 4]), pinned, None, NOW).is_err());
    }
}

/// The charter goes from A to B and back to A. The holders of B have signed once; they cannot sign again what follows A.
#[test]
fn charter_that_returned_is_not_taken_back() {
    let a = charter(&[1], 1);
    let b = charter(&[2, 3], 2);
    let x = charter(&[7], 1);
    let to_b = signed_by(&change(&a, &b), &[1]);
    let to_a = signed_by(&next_change(Some(&to_b), &b, &a), &[2, 3]);
    let history = [to_b.clone(), to_a.clone()];
    let held_pin = pin(&a, &history);
    let held = ValidRoster::check(signed_by(&under(&a, &history), &[1]), &held_pin, None, NOW).unwrap();
    let offer = |changes: &[CoSigned<CharterChange>]| {
        let roster = Roster {
            number: 4,
            ..under(&x, changes)
        };
        signed_by(&roster, &[7])
    };
    let taken = offer(&[to_b.clone(), signed_by(&next_change(Some(&to_b), &b, &x), &[2, 3])]);
    // With what the member has pinned, and with every earlier pin that a stop may have left behind.
    for pinned in [&held_pin, &pin(&b, &history[..1]), &pin(&a, &[])] {
        assert!(
            ValidRoster::check(taken.clone(), pinned, Some(&held), NOW).is_err(),
            "{pinned:?}"
        );
    }
    assert!(ValidRoster::check(taken.clone(), &held_pin, None, NOW).is_err());
    // Nor by appending to the whole history: the last holder is A again.
    let appended = offer(&[
        to_b,
        to_a.clone(),
        signed_by(&next_change(Some(&to_a), &b, &x), &[2, 3]),
    ]);
    assert!(ValidRoster::check(appended, &held_pin, Some(&held), NOW).is_err());
    // Only the present holder continues.
    let next = [
        history.as_slice(),
        &[signed_by(&next_change(Some(&to_a), &a, &x), &[1])],
    ]
    .concat();
    assert!(ValidRoster::check(offer(&next), &held_pin, Some(&held), NOW).is_ok());
}

/// A change names the one before it, so the signatures of holders are valid at one place of the history only.
#[test]
fn charter_change_is_valid_at_one_place_of_the_history() {
    let a = charter(&[1], 1);
    let b = charter(&[2], 1);
    let to_b = signed_by(&change(&a, &b), &[1]);
    let to_a = signed_by(&next_change(Some(&to_b), &b, &a), &[2]);
    let again = [to_b.clone(), to_a, to_b];
    let roster = signed_by(&under(&b, &again), &[2]);
    for pinned in [pin(&b, &again), pin(&a, &[]), pin(&a, &again[..2])] {
        let refused = ValidRoster::check(roster.clone(), &pinned, None, NOW).unwrap_err();
        assert_eq!(refused, RosterError::Charter(CharterError::OtherCharter), "{pinned:?}");
    }
    let unchanged = [signed_by(&change(&a, &a), &[1])];
    let roster = signed_by(&under(&a, &unchanged), &[1]);
    assert!(ValidRoster::check(roster, &pin(&a, &[]), None, NOW).is_err());
}

/// A stop between roster and pin leaves an older pin: the roster itself shows that the history continues from it.
#[test]
fn charter_history_of_the_held_roster_is_kept() {
    let a = charter(&[1], 1);
    let b = charter(&[2], 1);
    let x = charter(&[7], 1);
    let to_b = [signed_by(&change(&a, &b), &[1])];
    let older_pin = pin(&a, &[]);
    let held = ValidRoster::check(signed_by(&under(&b, &to_b), &[2]), &older_pin, None, NOW).unwrap();
    for (charter, changes, signer) in [(&x, vec![signed_by(&change(&a, &x), &[1])], 7), (&a, Vec::new(), 1)] {
        let roster = Roster {
            number: 4,
            ..under(charter, &changes)
        };
        let refused = ValidRoster::check(signed_by(&roster, &[signer]), &older_pin, Some(&held), NOW);
        assert_eq!(refused.unwrap_err(), RosterError::OtherHistory);
    }
}

/// The example of `docs/protocol.md`, computed by another program from that page.
#[test]
fn charter_change_has_the_documented_bytes() {
    const DOCUMENTED: &str = "\
        8440a058baa56a636f6e736f727469756d6548656172746870726576696f7573f66466726f6da2646b65797381582\
        08a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c697468726573686f6c640162746f\
        a2646b6579738258208139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b39458208a88e3d\
        d7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c697468726573686f6c64026261741b000001\
        a3185c500081835826a201270458208a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5\
        ca058402d9b83e4a74b7757b530ebab7e9b602c34e23e2186ae9ee0441d37cfff986bcf8ad181db020abc5f9cafb5\
        631951ecaba88b9a4182711d20e8b80c1e64a27d0f";
    let signed = signed_by(&change(&charter(&[1], 1), &charter(&[1, 2], 2)), &[1]);
    assert_eq!(data_encoding::HEXLOWER.encode(signed.as_bytes()), DOCUMENTED);
    assert_eq!(
        signed.payload_digest().unwrap().to_string(),
        "67e02ad85c4dd2e3e4551e7e9e132fe4cc07b5e01d90e624b6257d130a94fb8e"
    );
}
