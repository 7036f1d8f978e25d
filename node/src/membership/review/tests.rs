use std::time::Duration;

use concordat_protocol::identity::{InstitutionKey, NodeKey, PrivateKey};
use concordat_protocol::ids::{InstitutionId, Jurisdiction};
use concordat_protocol::membership::{
    Charter, EarlierKey, Enrollment, Follows, KeySuccession, Member, MemberNode, MemberStatus, PinnedCharter,
    ValidEnrollment, admit, remove, replace_key,
};
use concordat_protocol::signed::Signed;
use concordat_protocol::text::{Address, ConsortiumName, LegalName};
use concordat_protocol::time::Timestamp;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const YEAR: Duration = Duration::from_secs(365 * 86_400);

fn key(seed: u8) -> InstitutionKey {
    InstitutionKey::from_seed(&[seed; 32].into())
}

fn applicant(institution: &str, seed: u8) -> ValidEnrollment {
    applicant_at(institution, seed, NOW)
}

fn applicant_at(institution: &str, seed: u8, issued_at: Timestamp) -> ValidEnrollment {
    let enrollment = Enrollment {
        institution: InstitutionId::new(institution).unwrap(),
        name: LegalName::new(institution).unwrap(),
        jurisdiction: Jurisdiction::new("HU").unwrap(),
        key: key(seed).public(),
        nodes: vec![MemberNode {
            node: NodeKey::from_seed(&[seed; 32].into()).public(),
            addresses: vec![Address::new("/ip4/192.0.2.1/tcp/7400").unwrap()],
        }],
        issued_at,
        succeeds: None,
    };
    let signed = Signed::sign(&enrollment, &key(seed)).unwrap().signed().clone();
    ValidEnrollment::check(signed, issued_at).unwrap()
}

/// Cleveland, the founder, and budapest.
fn known() -> Roster {
    let name = ConsortiumName::new("Heart Study").unwrap();
    let founded = Roster::found(name, &applicant("cleveland", 1), NOW, NOW.plus_seconds(86_400));
    admit(&founded, &applicant("budapest", 2), NOW, YEAR).unwrap()
}

fn budapest(roster: &mut Roster) -> &mut Member {
    &mut roster.members[1]
}

fn changes(proposed: &Roster) -> Result<Vec<String>, MembershipError> {
    roster_changes(&known(), proposed)
}

/// The roster with another charter, and the change that leads to it.
fn change_charter(roster: &mut Roster, to: Charter) {
    let change = roster.change_charter(to, NOW).unwrap();
    roster.charter = change.to.clone();
    roster.charter_changes.push(CoSigned::propose(&change).unwrap());
}

/// `budapest` has the key of `to`, after these steps: the keys that authorize the next one, or none if the holders do.
fn succeed(roster: &mut Roster, steps: &[(u8, Option<u8>)], to: u8) {
    let next = steps.iter().skip(1).map(|(seed, _)| *seed).chain([to]);
    let earlier = steps.iter().zip(next).map(|((seed, signer), next)| EarlierKey {
        key: key(*seed).public(),
        followed_by: match signer {
            None => Follows::Holders { at: NOW },
            Some(signer) => Follows::OldKey(succession(*seed, next, *signer)),
        },
    });
    let member = budapest(roster);
    member.earlier = earlier.collect();
    member.key = key(to).public();
}

fn succession(from: u8, to: u8, signer: u8) -> Signed<KeySuccession> {
    let statement = KeySuccession {
        institution: InstitutionId::new("budapest").unwrap(),
        from: key(from).public(),
        to: key(to).public(),
        at: NOW,
    };
    Signed::sign(&statement, &key(signer)).unwrap().signed().clone()
}

/// A change of the roster, and the texts that describe it.
type Edit = (fn(&mut Roster), &'static [&'static str]);

const EDITS: [Edit; 14] = [
    (
        |r| *r = admit(r, &applicant("zurich", 3), NOW, YEAR).unwrap(),
        &["`zurich` is added", "law HU", "key ", "`zurich` has node"],
    ),
    (
        |r| *r = remove(r, &InstitutionId::new("budapest").unwrap(), NOW, YEAR).unwrap(),
        &["`budapest` is removed"],
    ),
    (|r| r.members.truncate(1), &["`budapest` is no longer listed"]),
    (
        |r| budapest(r).status = MemberStatus::Suspended,
        &["`budapest` is suspended"],
    ),
    (
        |r| succeed(r, &[(2, Some(2))], 9),
        &["`budapest` has another key, signed for by its old key", "instead of"],
    ),
    (
        |r| budapest(r).name = LegalName::new("Another").unwrap(),
        &["`budapest` is called Another"],
    ),
    (
        |r| budapest(r).jurisdiction = Jurisdiction::new("US").unwrap(),
        &["law of US instead of HU"],
    ),
    (
        |r| budapest(r).nodes[0].addresses = vec![Address::new("/ip4/192.0.2.9/tcp/1").unwrap()],
        &["`budapest` has node", "192.0.2.9", "no longer has", "192.0.2.1"],
    ),
    (
        |r| budapest(r).nodes[0].node = NodeKey::from_seed(&[9; 32].into()).public(),
        &["`budapest` has node", "`budapest` no longer has node"],
    ),
    (
        |r| budapest(r).stated_at = NOW.plus_seconds(1),
        &["`budapest` has another statement"],
    ),
    (
        |r| change_charter(r, Charter::new(vec![key(1).public(), key(2).public()], 2).unwrap()),
        &[
            "2 holders of the charter have to sign instead of 1",
            "from then on: `budapest`",
        ],
    ),
    (
        |r| change_charter(r, Charter::new(vec![key(7).public()], 1).unwrap()),
        &[
            "no longer a holder of the charter: `cleveland`",
            "from then on: no member",
        ],
    ),
    (
        |r| r.consortium = ConsortiumName::new("Other").unwrap(),
        &["the consortium is called `Other`"],
    ),
    (
        |r| r.not_after = NOW.plus_seconds(5),
        &["valid until 2027", "instead of"],
    ),
];

#[test]
fn every_change_of_a_roster_is_named_before_it_is_signed() {
    let unchanged = changes(&known()).unwrap();
    assert_eq!(unchanged.len(), 1, "{unchanged:?}");
    for (edit, texts) in EDITS {
        let mut proposed = known();
        edit(&mut proposed);
        assert_ne!(proposed, known());
        let changes = changes(&proposed).unwrap();
        for text in texts {
            assert!(
                changes.iter().any(|change| change.contains(text)),
                "{text} is not in {changes:?}"
            );
        }
    }
}

#[test]
fn review_lists_nodes_in_another_order() {
    let mut before = known();
    budapest(&mut before).nodes.push(MemberNode {
        node: NodeKey::from_seed(&[9; 32].into()).public(),
        addresses: Vec::new(),
    });
    let mut after = before.clone();
    budapest(&mut after).nodes.reverse();
    let changes = roster_changes(&before, &after).unwrap();
    assert!(
        changes[0].contains("`budapest` lists its nodes in another order"),
        "{changes:?}"
    );
}

/// A holder that replaces a member's key by its own appends a step that its own key has signed: that is the last one.
#[test]
fn review_lists_every_step_to_another_key() {
    let reviewed = |steps: &[(u8, Option<u8>)], to: u8| {
        let mut proposed = known();
        succeed(&mut proposed, steps, to);
        changes(&proposed).unwrap().join("\n")
    };
    let fingerprint = |seed: u8| key(seed).public().fingerprint();
    let by_holders = "`budapest` has another key, the holders replace the key; the member's old key has not signed";
    for steps in [
        &[(2, None)][..],
        &[(2, None), (8, Some(8))],
        &[(2, Some(2)), (8, None)],
        &[(2, None), (7, Some(7)), (8, Some(8))],
    ] {
        let text = reviewed(steps, 9);
        assert!(
            text.contains(by_holders) && !text.contains("signed for by its old key"),
            "{text}"
        );
        for (number, (seed, signer)) in (1..).zip(steps) {
            let step = format!("step {number} of {}, from key {}", steps.len(), fingerprint(*seed));
            assert!(text.contains(&step), "{step} is not in {text}");
            assert_eq!(
                signer.is_none(),
                text.contains(&format!("{step} to")) && by(&text, &step).contains("holders replace it")
            );
        }
    }
    let text = reviewed(&[(2, None), (8, Some(8))], 9);
    assert!(
        by(&text, "step 2 of 2").contains("which the holders have chosen"),
        "{text}"
    );
    let own = reviewed(&[(2, Some(2)), (8, Some(8))], 9);
    assert!(
        own.contains("signed for by its old key") && !own.contains("holders"),
        "{own}"
    );
    assert!(own.contains("step 1 of 2") && own.contains("step 2 of 2"), "{own}");
}

/// The line with this text.
fn by<'a>(text: &'a str, step: &str) -> &'a str {
    text.lines().find(|line| line.contains(step)).unwrap_or_default()
}

/// A member whose entry has another `since` loses its grants.
#[test]
fn review_refuses_a_since_of_a_member_not_removed() {
    let budapest_id = InstitutionId::new("budapest").unwrap();
    let again = applicant_at("budapest", 2, NOW.plus_seconds(1));
    let mut proposed = admit(&known(), &again, NOW, YEAR).unwrap();
    budapest(&mut proposed).nodes[0].addresses = vec![Address::new("/ip4/192.0.2.9/tcp/1").unwrap()];
    assert!(changes(&proposed).is_ok(), "a newer statement with another address");
    budapest(&mut proposed).since = proposed.number;
    let refused = changes(&proposed).unwrap_err();
    assert!(matches!(refused, MembershipError::NotRemoved { institution } if institution == budapest_id));

    let removed = remove(&known(), &budapest_id, NOW, YEAR).unwrap();
    let readmitted = admit(&removed, &again, NOW, YEAR).unwrap();
    let changes = roster_changes(&removed, &readmitted).unwrap();
    for text in [
        "`budapest` takes part again",
        "`budapest` is admitted again, by roster 4",
    ] {
        assert!(
            changes.iter().any(|change| change.contains(text)),
            "{text}: {changes:?}"
        );
    }
}

/// What has no description is not reviewed as something else, and not signed.
#[test]
fn review_fails_for_what_it_does_not_describe() {
    let edits: [fn(&mut Roster); 9] = [
        |r| budapest(r).key = key(9).public(),
        |r| succeed(r, &[(8, Some(8))], 2),
        |r| succeed(r, &[(8, Some(8))], 9),
        |r| {
            succeed(r, &[(2, Some(2))], 9);
            budapest(r).earlier[0].followed_by = Follows::OldKey(succession(2, 8, 2));
        },
        |r| budapest(r).statement = applicant_at("budapest", 2, NOW.plus_seconds(1)).signed().clone(),
        |r| r.members.reverse(),
        |r| {
            let twice = budapest(r).clone();
            r.members.push(twice);
        },
        |r| r.charter = Charter::sole(key(2).public()),
        |r| {
            change_charter(r, Charter::sole(key(2).public()));
            r.charter = Charter::sole(key(1).public());
        },
    ];
    for (number, edit) in edits.into_iter().enumerate() {
        let mut proposed = known();
        edit(&mut proposed);
        let refused = changes(&proposed);
        assert!(
            matches!(refused, Err(MembershipError::NotDescribed { .. })),
            "{number}: {refused:?}"
        );
    }
    // Known steps and changes are not rewritten.
    let replaced = replace_key(&known(), &applicant_at("budapest", 8, NOW.plus_seconds(1)), NOW, YEAR).unwrap();
    let mut rewritten = replaced.clone();
    budapest(&mut rewritten).earlier[0].followed_by = Follows::OldKey(succession(2, 8, 2));
    assert!(roster_changes(&replaced, &rewritten).is_err());
    let mut changed = known();
    change_charter(&mut changed, Charter::sole(key(2).public()));
    let mut other = known();
    change_charter(&mut other, Charter::sole(key(7).public()));
    change_charter(&mut other, Charter::sole(key(2).public()));
    assert!(roster_changes(&changed, &other).is_err() && roster_changes(&changed, &known()).is_err());
}

/// A charter that was passed on and taken back is the same, but its holders in between could have signed.
#[test]
fn review_lists_every_change_of_the_charter() {
    let mut proposed = known();
    change_charter(&mut proposed, Charter::sole(key(7).public()));
    change_charter(&mut proposed, known().charter);
    assert_eq!(proposed.charter, known().charter);
    assert_ne!(
        proposed.pinned_charter().unwrap(),
        PinnedCharter::first(known().charter)
    );
    let changes = changes(&proposed).unwrap();
    let passed = changes
        .iter()
        .filter(|change| change.contains("the charter of `Heart Study` is changed"));
    assert_eq!(passed.count(), 2, "{changes:?}");
    assert!(
        changes.iter().any(|change| change.contains("from then on: no member")),
        "{changes:?}"
    );
}

#[test]
fn only_the_reviewed_document_is_signed() {
    let one = Digest32::from_bytes([1; 32]);
    let other = Digest32::from_bytes([2; 32]);
    assert!(reviewed(one, one).is_ok());
    assert!(matches!(reviewed(one, other), Err(MembershipError::NotReviewed { digest }) if digest == one));
}
