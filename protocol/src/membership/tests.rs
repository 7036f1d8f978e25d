use std::time::Duration;

use zeroize::Zeroizing;

mod changes;
mod holders;

use super::*;
use crate::identity::{InstitutionKey, NodeKey, PrivateKey};
use crate::ids::{InstitutionId, Jurisdiction, NodeId};
use crate::signed::{CoSigned, SignatureError, Signed};
use crate::text::{Address, ConsortiumName, LegalName};
use crate::time::Timestamp;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

fn institution_key(seed: u8) -> InstitutionKey {
    InstitutionKey::from_seed(&Zeroizing::new([seed; 32]))
}

fn node(seed: u8) -> NodeId {
    NodeKey::from_seed(&Zeroizing::new([seed; 32])).public()
}

fn id(text: &str) -> InstitutionId {
    InstitutionId::new(text).unwrap()
}

fn address() -> Vec<Address> {
    vec![Address::new("/ip4/127.0.0.1/tcp/7400").unwrap()]
}

fn founder() -> ValidEnrollment {
    let statement = Enrollment {
        jurisdiction: Jurisdiction::new("US").unwrap(),
        ..application("cleveland", 1, 101)
    };
    stated(&statement, 1)
}

fn stated(statement: &Enrollment, key: u8) -> ValidEnrollment {
    let signed = Signed::sign(statement, &institution_key(key)).unwrap().signed().clone();
    ValidEnrollment::check(signed, NOW.plus_seconds(3600)).unwrap()
}

fn first() -> Roster {
    let not_after = NOW.plus_seconds(365 * 24 * 3600);
    Roster::found(ConsortiumName::new("Heart").unwrap(), &founder(), NOW, not_after)
}

fn signed(roster: &Roster) -> CoSigned<Roster> {
    signed_by(roster, &[1])
}

fn signed_by<T: crate::signed::Document>(document: &T, seeds: &[u8]) -> CoSigned<T> {
    let proposed = CoSigned::propose(document).unwrap();
    seeds.iter().fold(proposed, |signed, seed| {
        signed.add_signature(&institution_key(*seed)).unwrap()
    })
}

fn sole() -> PinnedCharter {
    PinnedCharter::first(Charter::sole(institution_key(1).public()))
}

fn check(roster: &Roster, previous: Option<&ValidRoster>) -> Result<ValidRoster, RosterError> {
    ValidRoster::check(signed(roster), &sole(), previous, NOW)
}

fn application(name: &str, key: u8, at: u8) -> Enrollment {
    Enrollment {
        institution: id(name),
        name: LegalName::new(name).unwrap(),
        jurisdiction: Jurisdiction::new("HU").unwrap(),
        key: institution_key(key).public(),
        nodes: vec![at_node(at)],
        issued_at: NOW,
        succeeds: None,
    }
}

fn at_node(seed: u8) -> MemberNode {
    MemberNode {
        node: node(seed),
        addresses: address(),
    }
}

fn applicant(name: &str, key: u8, at: u8) -> ValidEnrollment {
    stated(&application(name, key, at), key)
}

/// The application of `budapest`, made `seconds` after the first and listing these nodes.
fn later(key: u8, nodes: &[u8], seconds: i64) -> ValidEnrollment {
    let statement = Enrollment {
        nodes: nodes.iter().map(|seed| at_node(*seed)).collect(),
        issued_at: NOW.plus_seconds(seconds),
        ..application("budapest", key, 102)
    };
    stated(&statement, key)
}

fn two() -> Roster {
    admit(&first(), &applicant("budapest", 2, 102), NOW, YEAR).unwrap()
}

#[test]
fn a_roster_names_its_active_nodes() {
    let roster = check(&two(), None).unwrap();
    assert_eq!(roster.number(), 2);
    assert_eq!(roster.active_node(&node(102)).unwrap().institution, id("budapest"));
    assert!(roster.active_node(&node(99)).is_none());
    assert_eq!(roster.active_members().count(), 2);
}

#[test]
fn suspended_and_removed_members_have_no_active_nodes() {
    for change in [suspend, remove] {
        let roster = check(&change(&two(), &id("budapest"), NOW, YEAR).unwrap(), None).unwrap();
        assert!(roster.active_node(&node(102)).is_none());
        assert!(roster.active_member(&id("budapest")).is_none());
        assert!(roster.member(&id("budapest")).is_some());
    }
}

#[test]
fn only_the_charter_key_makes_rosters() {
    let error = ValidRoster::check(signed_by(&two(), &[2]), &sole(), None, NOW).unwrap_err();
    assert_eq!(error, RosterError::Signature(SignatureError::MissingSignature));
    let other = Roster {
        charter: Charter::sole(institution_key(2).public()),
        ..two()
    };
    assert!(matches!(check(&other, None), Err(RosterError::OtherCharter { .. })));
}

#[test]
fn roster_is_valid_only_until_it_expires() {
    let late = first().not_after.plus_millis(1);
    let expired = ValidRoster::check(signed(&first()), &sole(), None, late).unwrap_err();
    assert!(matches!(expired, RosterError::Expired { .. }));
    assert!(matches!(
        check(&first(), None).unwrap().check_validity(late),
        Err(RosterError::Expired { .. })
    ));
    let early = ValidRoster::check(signed(&first()), &sole(), None, NOW.plus_seconds(-3600)).unwrap_err();
    assert!(matches!(early, RosterError::FutureDated { .. }));
}

#[test]
fn a_roster_is_never_replaced_by_an_older_one() {
    let held = check(&two(), None).unwrap();
    assert_eq!(
        check(&first(), Some(&held)).unwrap_err(),
        RosterError::Older { offered: 1, held: 2 }
    );
    assert!(check(&two(), Some(&held)).is_ok());
}

/// A member that sends old rosters, or the current one again, makes no one verify their thousands of signatures.
#[test]
fn roster_that_is_not_newer_costs_no_signatures() {
    let held = check(&two(), None).unwrap();
    let unsigned = |roster: &Roster| ValidRoster::check(signed_by(roster, &[]), &sole(), Some(&held), NOW);
    assert_eq!(
        unsigned(&first()).unwrap_err(),
        RosterError::Older { offered: 1, held: 2 }
    );
    assert_eq!(unsigned(&two()).unwrap().digest(), held.digest());
    // Another roster under the current number is compared once its signatures were checked, before those of all members.
    let mut other = two();
    other.members[1].statement = applicant("zurich", 3, 103).signed().clone();
    assert_eq!(
        unsigned(&other).unwrap_err(),
        RosterError::Signature(SignatureError::MissingSignature)
    );
    assert!(matches!(
        check(&other, Some(&held)),
        Err(RosterError::Equivocation { number: 2, .. })
    ));
    // The current one is not accepted again once it has expired.
    let late = held.roster().not_after.plus_seconds(1);
    let again = ValidRoster::check(signed(&two()), &sole(), Some(&held), late);
    assert!(matches!(again, Err(RosterError::Expired { .. })));
}

#[test]
fn key_succession_never_leads_back() {
    let next = |from: u8, to: u8| {
        let succession = KeySuccession {
            institution: id("budapest"),
            from: institution_key(from).public(),
            to: institution_key(to).public(),
            at: NOW,
        };
        let signed = Signed::sign(&succession, &institution_key(from)).unwrap();
        signed.signed().clone()
    };
    let after =
        |successions: &[Signed<KeySuccession>]| key_after(&id("budapest"), institution_key(1).public(), successions);
    assert_eq!(after(&[next(1, 2), next(2, 3)]), Ok(institution_key(3).public()));
    for back in [vec![next(1, 2), next(2, 1)], vec![next(1, 2), next(2, 3), next(3, 2)]] {
        assert_eq!(after(&back), Err(KeySuccessionError::Repeated));
    }
}

#[test]
fn two_rosters_under_one_number_are_equivocation() {
    let held = check(&two(), None).unwrap();
    let other = admit(&first(), &applicant("zurich", 3, 103), NOW, YEAR).unwrap();
    assert!(matches!(
        check(&other, Some(&held)),
        Err(RosterError::Equivocation { number: 2, .. })
    ));
    let foreign = Roster {
        consortium: ConsortiumName::new("Lung").unwrap(),
        number: 9,
        ..two()
    };
    assert!(matches!(
        check(&foreign, Some(&held)),
        Err(RosterError::OtherConsortium { .. })
    ));
}

#[test]
fn nothing_is_listed_twice() {
    let twice = |change: fn(&mut Member)| {
        let mut roster = two();
        change(&mut roster.members[1]);
        let error = check(&roster, None).unwrap_err();
        let RosterError::Duplicate { what, .. } = error else {
            panic!("{error}")
        };
        what
    };
    assert_eq!(twice(|member| member.institution = id("cleveland")), "institution");
    assert_eq!(
        twice(|member| member.key = institution_key(1).public()),
        "institution key"
    );
    assert_eq!(twice(|member| member.nodes[0].node = node(101)), "node");
}

#[test]
fn every_list_has_a_maximum() {
    let over = |change: fn(&mut Roster)| {
        let mut roster = first();
        change(&mut roster);
        matches!(check(&roster, None), Err(RosterError::TooMany { .. }))
    };
    assert!(over(
        |roster| roster.members = vec![roster.members[0].clone(); MAX_MEMBERS + 1]
    ));
    assert!(over(
        |roster| roster.members[0].nodes = vec![at_node(101); MAX_NODES + 1]
    ));
    assert!(over(
        |roster| roster.members[0].nodes[0].addresses = vec![address()[0].clone(); MAX_ADDRESSES + 1]
    ));
    assert_eq!(
        check(
            &Roster {
                members: Vec::new(),
                ..first()
            },
            None
        )
        .unwrap_err(),
        RosterError::Empty
    );
}

#[test]
fn an_application_is_signed_by_the_key_it_names_and_fresh() {
    let forged = Signed::sign(&application("budapest", 2, 102), &institution_key(3))
        .unwrap()
        .signed()
        .clone();
    assert!(matches!(
        ValidEnrollment::check(forged, NOW),
        Err(EnrollmentError::Signature(_))
    ));
    let valid = Signed::sign(&application("budapest", 2, 102), &institution_key(2))
        .unwrap()
        .signed()
        .clone();
    let late = NOW.plus_seconds(40 * 24 * 3600);
    assert!(matches!(
        ValidEnrollment::check(valid, late),
        Err(EnrollmentError::Stale(_))
    ));
}

#[test]
fn admission_cannot_replace_another_member() {
    let refused = |who: ValidEnrollment| admit(&two(), &who, NOW, YEAR).unwrap_err();
    assert!(matches!(
        refused(applicant("budapest", 3, 103)),
        ChangeError::OtherKey { .. }
    ));
    assert!(matches!(
        refused(applicant("zurich", 2, 103)),
        ChangeError::Taken { .. }
    ));
    assert!(matches!(
        refused(applicant("zurich", 3, 102)),
        ChangeError::Taken { .. }
    ));
    let suspended = suspend(&two(), &id("budapest"), NOW, YEAR).unwrap();
    let again = admit(&suspended, &applicant("budapest", 2, 102), NOW, YEAR);
    assert!(matches!(again, Err(ChangeError::Suspended { .. })));
}

#[test]
fn removed_member_may_return_with_its_key() {
    let more = admit(&two(), &later(2, &[102, 112], 1), NOW, YEAR).unwrap();
    assert_eq!((more.members[1].nodes.len(), more.members[1].since), (2, 2));
    let old = admit(&more, &later(2, &[102], 1), NOW, YEAR);
    assert!(matches!(old, Err(ChangeError::OldApplication { .. })));
    let removed = remove(&more, &id("budapest"), NOW, YEAR).unwrap();
    let again = admit(&removed, &later(2, &[102, 112], 1), NOW, YEAR);
    assert!(matches!(again, Err(ChangeError::OldApplication { .. })));
    let back = admit(&removed, &later(2, &[107], 2), NOW, YEAR).unwrap();
    assert_eq!(
        (back.number, back.members[1].nodes.len(), back.members[1].since),
        (5, 1, 5)
    );
    assert!(check(&back, None).unwrap().active_node(&node(102)).is_none());
}

#[test]
fn removed_id_key_or_node_is_never_reassigned() {
    let removed = remove(&two(), &id("budapest"), NOW, YEAR).unwrap();
    let refused = |who: ValidEnrollment| admit(&removed, &who, NOW, YEAR).unwrap_err();
    assert!(matches!(refused(later(7, &[107], 5)), ChangeError::OtherKey { .. }));
    assert!(matches!(
        refused(applicant("vienna", 2, 107)),
        ChangeError::Taken { .. }
    ));
    assert!(matches!(
        refused(applicant("vienna", 7, 102)),
        ChangeError::Taken { .. }
    ));
    assert!(admit(&removed, &applicant("vienna", 7, 107), NOW, YEAR).is_ok());
}

#[test]
fn founder_and_non_members_cannot_be_removed() {
    assert!(matches!(
        remove(&two(), &id("cleveland"), NOW, YEAR),
        Err(ChangeError::Founder { .. })
    ));
    assert!(matches!(
        remove(&two(), &id("zurich"), NOW, YEAR),
        Err(ChangeError::Unknown { .. })
    ));
    let suspended = suspend(&two(), &id("budapest"), NOW, YEAR).unwrap();
    let lifted = reinstate(&suspended, &id("budapest"), NOW, YEAR).unwrap();
    assert!(check(&lifted, None).unwrap().active_node(&node(102)).is_some());
    let removed = remove(&two(), &id("budapest"), NOW, YEAR).unwrap();
    assert!(reinstate(&removed, &id("budapest"), NOW, YEAR).is_err());
}

fn certificate() -> NodeCertificate {
    NodeCertificate {
        institution: id("budapest"),
        node: node(102),
        institution_key: institution_key(2).public(),
        issued_at: NOW,
        not_after: NOW.plus_seconds(3600),
    }
}

fn shown(
    certificate: &NodeCertificate,
    key: u8,
    peer: u8,
    now: Timestamp,
) -> Result<ValidCertificate, CertificateError> {
    let signed = Signed::sign(certificate, &institution_key(key))
        .unwrap()
        .signed()
        .clone();
    ValidCertificate::check(signed, &check(&two(), None).unwrap(), node(peer), now)
}

#[test]
fn certificate_is_valid_for_its_node_institution_and_time_only() {
    let valid = shown(&certificate(), 2, 102, NOW).unwrap();
    assert_eq!((valid.institution(), valid.node()), (&id("budapest"), node(102)));
    assert!(matches!(
        shown(&certificate(), 2, 99, NOW),
        Err(CertificateError::NotAMember { .. })
    ));
    assert!(matches!(
        shown(&certificate(), 1, 102, NOW),
        Err(CertificateError::Signature(_))
    ));
    assert!(matches!(
        shown(&certificate(), 2, 101, NOW),
        Err(CertificateError::Signature(_))
    ));
    for wrong in [
        NodeCertificate {
            node: node(101),
            ..certificate()
        },
        NodeCertificate {
            institution: id("cleveland"),
            ..certificate()
        },
        NodeCertificate {
            institution_key: institution_key(1).public(),
            ..certificate()
        },
    ] {
        assert!(matches!(
            shown(&wrong, 2, 102, NOW),
            Err(CertificateError::OtherNode { .. })
        ));
    }
    assert!(matches!(
        shown(&certificate(), 2, 102, NOW.plus_seconds(3601)),
        Err(CertificateError::Expired { .. })
    ));
    assert!(matches!(
        shown(&certificate(), 2, 102, NOW.plus_seconds(-900)),
        Err(CertificateError::FutureDated { .. })
    ));
}

#[test]
fn files_are_read_raw_and_armored() {
    let roster = signed(&two());
    assert_eq!(from_file::<CoSigned<Roster>>(roster.as_bytes()).unwrap(), roster);
    let mailed = format!(
        "Dear colleague,\r\n{}\r\nGreetings",
        to_armor(&roster).replace('\n', "\r\n")
    );
    assert_eq!(from_file::<CoSigned<Roster>>(mailed.as_bytes()).unwrap(), roster);
    assert_eq!(
        from_file::<Signed<Enrollment>>(mailed.as_bytes()).unwrap_err(),
        ArmorError::OtherKind { expected: "ENROLLMENT" }
    );
    let cut = mailed.replace("-----END", "");
    assert_eq!(
        from_file::<CoSigned<Roster>>(cut.as_bytes()).unwrap_err(),
        ArmorError::Damaged
    );
}

#[test]
fn address_record_is_of_a_listed_node_signed_bounded_and_current() {
    let key = NodeKey::from_seed(&Zeroizing::new([101; 32]));
    let roster = check(&first(), None).unwrap();
    let good = AddressRecord {
        node: key.public(),
        number: 1,
        addresses: address(),
        at: NOW,
    };
    let received = |record: &AddressRecord, key: &NodeKey| {
        let signed = Signed::sign(record, key).unwrap().signed().clone();
        ValidAddressRecord::check(signed, &roster, NOW).map(|valid| valid.record().clone())
    };
    assert_eq!(received(&good, &key), Ok(good.clone()));
    let other = NodeKey::from_seed(&Zeroizing::new([9; 32]));
    let changed = |change: &dyn Fn(&mut AddressRecord)| {
        let mut record = good.clone();
        change(&mut record);
        record
    };
    let not_listed = changed(&|record| record.node = other.public());
    assert_eq!(
        received(&not_listed, &other),
        Err(AddressRecordError::NotAMember { node: other.public() })
    );
    assert_eq!(
        received(&good, &other),
        Err(AddressRecordError::Signature(SignatureError::WrongSignature))
    );
    for count in [0, MAX_ADDRESSES + 1] {
        let record = changed(&|record| record.addresses = vec![address()[0].clone(); count]);
        assert_eq!(received(&record, &key), Err(AddressRecordError::WrongNumberOfAddresses));
    }
    let long = changed(&|record| record.addresses = vec![Address::new(&"ä".repeat(256)).unwrap(); MAX_ADDRESSES]);
    assert_eq!(received(&long, &key), Err(AddressRecordError::TooLong));
    let future = changed(&|record| record.at = NOW.plus_seconds(3600));
    assert_eq!(
        received(&future, &key),
        Err(AddressRecordError::FutureDated { at: future.at })
    );
    let stated_at = roster.roster().members[0].stated_at;
    let older = changed(&|record| record.at = stated_at.plus_millis(-1));
    assert_eq!(received(&older, &key), Err(AddressRecordError::OlderThanTheRoster));
}
