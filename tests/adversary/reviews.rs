//! What a holder of the charter who is deceived about a file would sign.

use concordat_node::MembershipError;
use concordat_protocol::audit::EntryBody;
use concordat_protocol::identity::PrivateKey;
use concordat_protocol::membership::{EarlierKey, Follows, KeySuccession, Member, Roster, to_armor};
use concordat_protocol::signed::CoSigned;
use concordat_protocol::time::Timestamp;
use concordat_tests::tester;

use super::malicious_peer::{MaliciousPeer, now, sign};
use super::membership::{member_entry, next};
use super::well_behaved::World;

/// The entry of `peer`, stated at `at`, beside what the charter states about `known`.
fn stated(peer: &MaliciousPeer, at: Timestamp, known: &Member) -> Member {
    let statement = peer.statement(at);
    let content = statement.peek_unverified().unwrap();
    Member {
        key: content.key,
        nodes: content.nodes,
        stated_at: content.issued_at,
        statement,
        ..known.clone()
    }
}

fn file(roster: &Roster) -> String {
    to_armor(&CoSigned::propose(roster).unwrap())
}

/// Another holder replaces the key of a member by one of its own, and lets that key sign for a second one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn takeover_of_a_key_is_shown_to_the_holder_as_such() {
    let world = World::connected().await;
    let provider = &world.provider;
    let first = MaliciousPeer::start("zurich", 77);
    let second = MaliciousPeer::start("zurich", 78);
    let mut taken = next(provider);
    let entry = member_entry(&mut taken, "zurich");
    let succession = KeySuccession {
        institution: entry.institution.clone(),
        from: first.institution_key.public(),
        to: second.institution_key.public(),
        at: now(),
    };
    let known = entry.key;
    *entry = Member {
        earlier: vec![
            EarlierKey {
                key: known,
                followed_by: Follows::Holders { at: now() },
            },
            EarlierKey {
                key: first.institution_key.public(),
                followed_by: Follows::OldKey(sign(&succession, &first.institution_key)),
            },
        ],
        ..stated(&second, now(), entry)
    };
    let review = provider
        .node
        .membership()
        .review_roster(file(&taken).as_bytes())
        .unwrap();
    let text = review.changes.join("\n");
    for expected in [
        "the holders replace the key; the member's old key has not signed",
        &format!("step 1 of 2, from key {}", known.fingerprint()),
        &format!("step 2 of 2, from key {}", first.institution_key.public().fingerprint()),
    ] {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
    assert!(!text.contains("signed for by its old key"), "{text}");
    world.assert_still_serving().await;
}

/// The member has stated another address, and the file also marks it as admitted again: its grants would be suspended everywhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holder_does_not_sign_that_a_member_was_admitted_again() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let membership = provider.node.membership();
    let before = provider.roster();
    let mut roster = next(provider);
    let number = roster.number;
    let entry = member_entry(&mut roster, "zurich");
    *entry = stated(attacker, now().plus_seconds(1), entry);
    membership.review_roster(file(&roster).as_bytes()).unwrap();
    member_entry(&mut roster, "zurich").since = number;
    let file = file(&roster);
    let refused = membership.review_roster(file.as_bytes()).unwrap_err();
    assert!(matches!(refused, MembershipError::NotRemoved { .. }), "{refused}");
    let digest = CoSigned::propose(&roster).unwrap().payload_digest().unwrap();
    let signed = || {
        let entries = provider.node.ledger().range(0, provider.node.ledger().size()).unwrap();
        let is_signature = |body: &EntryBody| matches!(body, EntryBody::CharterSigned { .. });
        entries.iter().filter(|entry| is_signature(&entry.entry.body)).count()
    };
    let signatures = signed();
    let refused = membership
        .sign_roster(file.as_bytes(), digest, &tester())
        .await
        .unwrap_err();
    assert!(matches!(refused, MembershipError::NotRemoved { .. }), "{refused}");
    assert_eq!(signed(), signatures);
    assert_eq!(provider.roster(), before);
    world.assert_still_serving().await;
}
