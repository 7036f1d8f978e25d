//! Every change from one roster to the next, with and without the member's own statement, and how a member judges it.

use super::*;

/// One change of a roster, signed by the charter key.
struct Change {
    what: &'static str,
    make: fn(&mut Roster),
    verdict: Verdict,
}

/// The result of the check by a member that has the previous roster.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Accepted,
    KeyChanged,
    KeyNotSigned,
    NotStated,
    BadStatement,
    OldStatement,
    Dropped,
    Revived,
    Backdated,
    Duplicate,
}

fn zurich(roster: &mut Roster) -> &mut Member {
    roster
        .members
        .iter_mut()
        .find(|member| member.institution == id("zurich"))
        .unwrap()
}

/// The entry of `budapest`.
fn budapest(roster: &mut Roster) -> &mut Member {
    roster
        .members
        .iter_mut()
        .find(|member| member.institution == id("budapest"))
        .unwrap()
}

fn restate(roster: &mut Roster, key: u8, seconds: i64, change: fn(&mut Enrollment)) {
    let mut statement = Enrollment {
        issued_at: NOW.plus_seconds(seconds),
        ..application("budapest", key, 102)
    };
    change(&mut statement);
    let since = budapest(roster).since;
    let status = budapest(roster).status;
    let entry = Member::admitted(&stated(&statement, key), since);
    *budapest(roster) = Member { status, ..entry };
}

/// The next key of `budapest`: a statement that `to` follows `from`, signed with the key of `signer`.
fn signed_over(signer: u8, from: u8, to: u8) -> Follows {
    let succession = KeySuccession {
        institution: id("budapest"),
        from: institution_key(from).public(),
        to: institution_key(to).public(),
        at: NOW,
    };
    Follows::OldKey(
        Signed::sign(&succession, &institution_key(signer))
            .unwrap()
            .signed()
            .clone(),
    )
}

/// Gives `budapest` the key `current`, after the earlier `keys`, each with the proof of its successor.
fn rekey(roster: &mut Roster, keys: Vec<(u8, Follows)>, current: u8) {
    restate(roster, current, keys.len().try_into().unwrap(), |_| ());
    budapest(roster).earlier = keys
        .into_iter()
        .map(|(key, followed_by)| EarlierKey {
            key: institution_key(key).public(),
            followed_by,
        })
        .collect();
}

const BY_HOLDERS: Follows = Follows::Holders { at: NOW };

/// All ways to give a member another key.
fn changes_of_key() -> Vec<Change> {
    let change = |what, make, verdict| Change { what, make, verdict };
    vec![
        change(
            "another key for which the old one signed",
            |r| rekey(r, vec![(2, signed_over(2, 2, 6))], 6),
            Verdict::Accepted,
        ),
        change(
            "another key by the holders",
            |r| rekey(r, vec![(2, BY_HOLDERS)], 6),
            Verdict::Accepted,
        ),
        change(
            "two further keys",
            |r| rekey(r, vec![(2, signed_over(2, 2, 6)), (6, BY_HOLDERS)], 7),
            Verdict::Accepted,
        ),
        change(
            "another key that signed for itself",
            |r| rekey(r, vec![(2, signed_over(6, 2, 6))], 6),
            Verdict::KeyNotSigned,
        ),
        change(
            "another key than the one for which the old one signed",
            |r| rekey(r, vec![(2, signed_over(2, 2, 7))], 6),
            Verdict::KeyNotSigned,
        ),
        change(
            "another key, signed by a third",
            |r| rekey(r, vec![(2, signed_over(7, 7, 6))], 6),
            Verdict::KeyNotSigned,
        ),
        change(
            "another key after one that it never had",
            |r| rekey(r, vec![(7, signed_over(7, 7, 6))], 6),
            Verdict::KeyChanged,
        ),
        change(
            "its key after one that it never had",
            |r| rekey(r, vec![(7, signed_over(7, 7, 2))], 2),
            Verdict::KeyChanged,
        ),
        change(
            "its key followed by itself",
            |r| rekey(r, vec![(2, BY_HOLDERS)], 2),
            Verdict::Duplicate,
        ),
        change(
            "a key of another member",
            |r| rekey(r, vec![(2, BY_HOLDERS)], 3),
            Verdict::Duplicate,
        ),
        change(
            "an earlier key of another member",
            |r| rekey(r, vec![(2, BY_HOLDERS), (3, BY_HOLDERS)], 6),
            Verdict::Duplicate,
        ),
        change(
            "more keys than allowed",
            |r| {
                let keys = (10_u8..).take(MAX_EARLIER_KEYS).map(|key| (key, BY_HOLDERS));
                rekey(r, [(2, BY_HOLDERS)].into_iter().chain(keys).collect(), 6);
            },
            Verdict::KeyNotSigned,
        ),
    ]
}

/// The changes one by one, starting from a roster with `cleveland`, `budapest` (active) and `zurich` (removed).
fn changes() -> Vec<Change> {
    let change = |what, make, verdict| Change { what, make, verdict };
    let mut changes = changes_of_key();
    changes.extend([
        change("no change", |_| (), Verdict::Accepted),
        change(
            "its expiry time",
            |r| r.not_after = r.not_after.plus_seconds(9),
            Verdict::Accepted,
        ),
        change(
            "a new member",
            |r| r.members.push(Member::admitted(&applicant("vienna", 5, 105), r.number)),
            Verdict::Accepted,
        ),
        change(
            "a new member, as if it had been admitted before",
            |r| r.members.push(Member::admitted(&applicant("vienna", 5, 105), 1)),
            Verdict::Backdated,
        ),
        change(
            "suspended",
            |r| budapest(r).status = MemberStatus::Suspended,
            Verdict::Accepted,
        ),
        change(
            "removed",
            |r| budapest(r).status = MemberStatus::Removed,
            Verdict::Accepted,
        ),
        change(
            "dropped",
            |r| r.members.retain(|m| m.institution != id("budapest")),
            Verdict::Dropped,
        ),
        change(
            "a removed one dropped",
            |r| r.members.retain(|m| m.institution != id("zurich")),
            Verdict::Dropped,
        ),
        change(
            "other nodes, stated",
            |r| restate(r, 2, 1, |s| s.nodes.push(at_node(112))),
            Verdict::Accepted,
        ),
        change(
            "a node less, stated",
            |r| restate(r, 2, 1, |s| s.nodes = vec![at_node(112)]),
            Verdict::Accepted,
        ),
        change(
            "another name, stated",
            |r| restate(r, 2, 1, |s| s.name = LegalName::new("B").unwrap()),
            Verdict::Accepted,
        ),
        change(
            "another law, stated",
            |r| restate(r, 2, 1, |s| s.jurisdiction = Jurisdiction::new("AT").unwrap()),
            Verdict::Accepted,
        ),
        change(
            "an older statement",
            |r| restate(r, 2, -1, |_| ()),
            Verdict::OldStatement,
        ),
        change(
            "another statement of the same time",
            |r| restate(r, 2, 0, |s| s.nodes.push(at_node(112))),
            Verdict::OldStatement,
        ),
        change(
            "a node more",
            |r| budapest(r).nodes.push(at_node(112)),
            Verdict::NotStated,
        ),
        change("a node less", |r| budapest(r).nodes.clear(), Verdict::NotStated),
        change(
            "another node",
            |r| budapest(r).nodes.iter_mut().for_each(|n| n.node = node(112)),
            Verdict::NotStated,
        ),
        change(
            "another address",
            |r| budapest(r).nodes.iter_mut().for_each(|n| n.addresses.clear()),
            Verdict::NotStated,
        ),
        change(
            "another name",
            |r| budapest(r).name = LegalName::new("B").unwrap(),
            Verdict::NotStated,
        ),
        change(
            "another law",
            |r| budapest(r).jurisdiction = Jurisdiction::new("AT").unwrap(),
            Verdict::NotStated,
        ),
        change(
            "another time of statement",
            |r| budapest(r).stated_at = NOW.plus_seconds(1),
            Verdict::NotStated,
        ),
        change(
            "a statement by another key",
            |r| budapest(r).statement = applicant("budapest", 6, 102).signed().clone(),
            Verdict::BadStatement,
        ),
        change(
            "another key, stated only by itself",
            |r| restate(r, 6, 1, |_| ()),
            Verdict::KeyChanged,
        ),
        change(
            "another key without a statement",
            |r| budapest(r).key = institution_key(6).public(),
            Verdict::BadStatement,
        ),
        change(
            "another key after a new admission",
            |r| {
                restate(r, 6, 1, |_| ());
                budapest(r).since = r.number;
            },
            Verdict::KeyChanged,
        ),
        change(
            "another id for the key",
            |r| {
                let renamed = Member::admitted(&applicant("bologna", 2, 102), r.number);
                *budapest(r) = renamed;
            },
            Verdict::Dropped,
        ),
        change(
            "another id for the key beside the old one",
            |r| {
                r.members
                    .push(Member::admitted(&applicant("bologna", 2, 112), r.number))
            },
            Verdict::Duplicate,
        ),
        change(
            "the node of a removed one for a new member",
            |r| r.members.push(Member::admitted(&applicant("vienna", 5, 103), r.number)),
            Verdict::Duplicate,
        ),
        change(
            "a removed one is active",
            |r| zurich(r).status = MemberStatus::Active,
            Verdict::Revived,
        ),
        change(
            "a removed one is only suspended",
            |r| zurich(r).status = MemberStatus::Suspended,
            Verdict::Revived,
        ),
        change(
            "a removed one is active, admitted again with its old statement",
            |r| {
                zurich(r).status = MemberStatus::Active;
                zurich(r).since = r.number;
            },
            Verdict::Revived,
        ),
        change(
            "a removed one has applied again",
            |r| *zurich(r) = Member::admitted(&returned(3), r.number),
            Verdict::Accepted,
        ),
        change(
            "a removed one has applied again, and is listed as never removed",
            |r| *zurich(r) = Member::admitted(&returned(3), 2),
            Verdict::Backdated,
        ),
        change(
            "the id of a removed one for another key",
            |r| *zurich(r) = Member::admitted(&returned(6), r.number),
            Verdict::KeyChanged,
        ),
        change(
            "admitted by a future roster",
            |r| budapest(r).since = r.number + 1,
            Verdict::Backdated,
        ),
        change(
            "admitted by another past roster",
            |r| budapest(r).since = 1,
            Verdict::Backdated,
        ),
    ]);
    changes
}

/// What `zurich` sends with key `key` after it was removed.
fn returned(key: u8) -> ValidEnrollment {
    let statement = Enrollment {
        issued_at: NOW.plus_seconds(1),
        ..application("zurich", key, 103)
    };
    stated(&statement, key)
}

/// `cleveland`, `budapest` and `zurich`, of whom the last was removed.
fn three() -> Roster {
    let three = admit(&two(), &applicant("zurich", 3, 103), NOW, YEAR).unwrap();
    remove(&three, &id("zurich"), NOW, YEAR).unwrap()
}

fn next(roster: &Roster) -> Roster {
    Roster {
        number: roster.number + 1,
        ..roster.clone()
    }
}

fn verdict(result: Result<ValidRoster, RosterError>) -> Verdict {
    match result {
        Ok(_) => Verdict::Accepted,
        Err(RosterError::KeyChanged { .. }) => Verdict::KeyChanged,
        Err(RosterError::Keys { .. }) => Verdict::KeyNotSigned,
        Err(RosterError::NotStated { .. }) => Verdict::NotStated,
        Err(RosterError::Statement { .. }) => Verdict::BadStatement,
        Err(RosterError::OldStatement { .. }) => Verdict::OldStatement,
        Err(RosterError::Dropped { .. }) => Verdict::Dropped,
        Err(RosterError::Revived { .. }) => Verdict::Revived,
        Err(RosterError::Backdated { .. }) => Verdict::Backdated,
        Err(RosterError::Duplicate { .. }) => Verdict::Duplicate,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn roster_change_needs_the_members_own_statement() {
    let held = check(&three(), None).unwrap();
    for Change {
        what,
        make,
        verdict: expected,
    } in changes()
    {
        let mut offered = next(held.roster());
        make(&mut offered);
        let found = check(&offered, Some(&held));
        if let Err(error) = &found {
            let abuse = error.is_abuse() || matches!(error, RosterError::Duplicate { .. });
            assert!(abuse, "{what}: {error} is not reported");
        }
        assert_eq!(verdict(found), expected, "{what}");
    }
}

/// Two changes in a row, checked by a member that sees both rosters and by one that was offline for the first: what the one
/// refuses, the other must not accept either.
#[test]
fn roster_change_after_absence_is_checked_as_strictly() {
    let held = check(&three(), None).unwrap();
    for first in changes() {
        for second in changes() {
            let mut one = next(held.roster());
            let what = format!("{}, then {}", first.what, second.what);
            (first.make)(&mut one);
            let mut two = next(&one);
            let still_listed = |name| one.members.iter().any(|member| member.institution == id(name));
            if !still_listed("budapest") || !still_listed("zurich") {
                continue;
            }
            (second.make)(&mut two);
            let online = check(&one, Some(&held)).and_then(|seen| check(&two, Some(&seen)));
            let offline = check(&two, Some(&held));
            // A change that the second one corrects does no harm; what was accepted in two steps must not fail in one.
            if online.is_ok() {
                assert!(offline.is_ok(), "{what}: {:?}", offline.err());
            }
            if let Ok(accepted) = &offline {
                for known in &held.roster().members {
                    let now = accepted.member(&known.institution).unwrap();
                    let followed = now.key == known.key || now.had(&known.key);
                    assert!(followed, "{what}: another key was accepted");
                    let unconfirmed = ConfirmedKeys::default();
                    let by_holders = now.earlier.iter().any(|earlier| earlier.followed_by == BY_HOLDERS);
                    assert_eq!(
                        now.recognized_keys(&unconfirmed).contains(&known.key),
                        !by_holders,
                        "{what}"
                    );
                    let revived = known.status == MemberStatus::Removed && now.status != MemberStatus::Removed;
                    assert!(
                        !revived || now.since > held.number(),
                        "{what}: revived without a new application"
                    );
                }
            }
        }
    }
}

/// Which keys count, for each history of three keys and each choice of those that were confirmed.
#[test]
fn key_rights_transfer_only_by_old_key_or_confirmation() {
    let held = check(&three(), None).unwrap();
    for (first, second) in [(true, true), (true, false), (false, true), (false, false)] {
        let by = |own: bool, from, to| if own { signed_over(from, from, to) } else { BY_HOLDERS };
        let mut roster = next(held.roster());
        rekey(&mut roster, vec![(2, by(first, 2, 6)), (6, by(second, 6, 7))], 7);
        let roster = check(&roster, Some(&held)).unwrap();
        for (six, seven) in [(true, true), (true, false), (false, true), (false, false)] {
            let mut confirmed = ConfirmedKeys::default();
            confirmed.confirm(id("zurich"), institution_key(6).public());
            for (key, _) in [(6, six), (7, seven)]
                .into_iter()
                .filter(|(_, is_confirmed)| *is_confirmed)
            {
                confirmed.confirm(id("budapest"), institution_key(key).public());
            }
            let keys = roster.member(&id("budapest")).unwrap().recognized_keys(&confirmed);
            let has = |key: u8| keys.contains(&institution_key(key).public());
            assert!(has(7));
            assert_eq!(has(6), second || seven);
            assert_eq!(has(2), (first || six) && (second || seven));
            assert!(!has(3));
        }
    }
}

/// The coordinator's side: who gets which key, and what that requires.
#[test]
fn a_member_gets_another_key_by_its_old_one_or_by_the_holders() {
    let with = |succeeds: Option<Signed<KeySuccession>>, key: u8| {
        let statement = Enrollment {
            issued_at: NOW.plus_seconds(1),
            succeeds,
            ..application("budapest", key, 102)
        };
        stated(&statement, key)
    };
    let Follows::OldKey(succession) = signed_over(2, 2, 6) else {
        panic!("made by the old key")
    };
    let roster = admit(&three(), &with(Some(succession.clone()), 6), NOW, YEAR).unwrap();
    let member = check(&roster, None).unwrap().member(&id("budapest")).unwrap().clone();
    assert_eq!(member.key, institution_key(6).public());
    assert!(member.had(&institution_key(2).public()) && member.since == 2);

    let alone = admit(&three(), &with(None, 6), NOW, YEAR);
    assert!(matches!(alone, Err(ChangeError::OtherKey { .. })));
    let by_holders = replace_key(&three(), &with(None, 6), NOW, YEAR).unwrap();
    assert_eq!(
        by_holders.members[1].earlier[0].followed_by,
        Follows::Holders { at: NOW }
    );
    let same = replace_key(&three(), &with(None, 2), NOW, YEAR);
    assert!(matches!(same, Err(ChangeError::NothingToReplace { .. })));
    let unknown = replace_key(&three(), &applicant("vienna", 5, 105), NOW, YEAR);
    assert!(matches!(unknown, Err(ChangeError::Unknown { .. })));

    // A key that was replaced does not return, and a statement about another key than the one listed is not followed.
    let back = replace_key(&roster, &with(None, 2), NOW, YEAR);
    assert!(matches!(back, Err(ChangeError::Taken { .. })));
    let later = Enrollment {
        issued_at: NOW.plus_seconds(2),
        succeeds: Some(succession),
        ..application("budapest", 6, 102)
    };
    let twice = admit(&by_holders, &stated(&later, 6), NOW, YEAR);
    assert!(twice.is_ok_and(|roster| roster.members[1].earlier.len() == 1));
    let Follows::OldKey(foreign) = signed_over(7, 7, 8) else {
        panic!("made by the old key")
    };
    let foreign = admit(&three(), &with(Some(foreign), 8), NOW, YEAR);
    assert!(matches!(foreign, Err(ChangeError::OtherKey { .. })));

    // The holder of the charter has to transfer it first.
    let founder = Enrollment {
        issued_at: NOW.plus_seconds(1),
        ..application("cleveland", 9, 101)
    };
    let holder = replace_key(&three(), &stated(&founder, 9), NOW, YEAR);
    assert!(matches!(holder, Err(ChangeError::HolderKey { .. })));
}
