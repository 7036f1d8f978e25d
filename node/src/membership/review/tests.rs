use std::time::Duration;

use concordat_protocol::identity::{InstitutionKey, NodeKey, PrivateKey};
use concordat_protocol::ids::{InstitutionId, Jurisdiction};
use concordat_protocol::membership::{Enrollment, ValidEnrollment, admit, remove};
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
    let enrollment = Enrollment {
        institution: InstitutionId::new(institution).unwrap(),
        name: LegalName::new(institution).unwrap(),
        jurisdiction: Jurisdiction::new("HU").unwrap(),
        key: key(seed).public(),
        nodes: vec![MemberNode {
            node: NodeKey::from_seed(&[seed; 32].into()).public(),
            addresses: vec![Address::new("/ip4/192.0.2.1/tcp/7400").unwrap()],
        }],
        issued_at: NOW,
        succeeds: None,
    };
    let signed = Signed::sign(&enrollment, &key(seed)).unwrap().signed().clone();
    ValidEnrollment::check(signed, NOW).unwrap()
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
        |r| budapest(r).key = key(9).public(),
        &["`budapest` has another key, signed for by no one", "instead of"],
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
        |r| r.charter = Charter::new(vec![key(1).public(), key(2).public()], 2).unwrap(),
        &[
            "2 holders of the charter have to sign instead of 1",
            "from then on: `budapest`",
        ],
    ),
    (
        |r| r.charter = Charter::new(vec![key(7).public()], 1).unwrap(),
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
    let unchanged = roster_changes(&known(), &known());
    assert_eq!(unchanged.len(), 1, "{unchanged:?}");
    for (edit, texts) in EDITS {
        let mut proposed = known();
        edit(&mut proposed);
        assert_ne!(proposed, known());
        let changes = roster_changes(&known(), &proposed);
        for text in texts {
            assert!(
                changes.iter().any(|change| change.contains(text)),
                "{text} is not in {changes:?}"
            );
        }
    }
}

#[test]
fn only_the_reviewed_document_is_signed() {
    let (one, other) = (Digest32::from_bytes([1; 32]), Digest32::from_bytes([2; 32]));
    assert!(reviewed(one, one).is_ok());
    assert!(matches!(reviewed(one, other), Err(MembershipError::NotReviewed { digest }) if digest == one));
}
