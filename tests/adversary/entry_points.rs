//! Entry points: non-members, borrowed certificates, wrong clocks, and rosters that are not the coordinator's.

use concordat_protocol::audit::EntryBody;
use concordat_protocol::identity::{InstitutionKey, NodeKey, PrivateKey};
use concordat_protocol::membership::{Charter, Roster};
use concordat_protocol::wire::messages::{Hello, HelloReply, RosterMessage};
use concordat_protocol::wire::streams::{HELLO, NEGOTIATION, NOTICE, ROSTER};
use concordat_tests::tester;

use super::malicious_peer::{MaliciousPeer, cosign, now, sign};
use super::well_behaved::{InProcessNode, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn non_member_is_cut_off_before_any_protocol_runs() {
    let world = World::new().await;
    let non_member = MaliciousPeer::start("zurich", 66);
    // The dialer's own handshake may complete before the other side closes the connection.
    if non_member.dial(&world.provider).await.is_ok() {
        let hello = non_member.hello(&world.provider, |_| (), |_| ());
        assert!(
            non_member
                .request::<HelloReply>(&world.provider, HELLO, &hello)
                .await
                .is_err()
        );
    }
    non_member.until_alone().await;
    assert!(
        !world
            .provider
            .node
            .network()
            .connected_peers()
            .contains(&non_member.id())
    );
    world.assert_still_serving().await;
}

/// Cases that a wrong clock explains: the node that dialed gets a hello back, so that it can see the difference, and is rejected too.
const CLOCKS: [&str; 4] = [
    "a certificate that has run out",
    "a certificate of tomorrow",
    "a stale statement",
    "a clock an hour ahead",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hello_that_is_not_fresh_and_its_senders_ends_the_connection() {
    let world = World::new().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let hour = 3600;
    let other = NodeKey::from_seed(&[9; 32].into());
    let forgeries: [(&str, Hello); 10] = [
        (
            "another node's certificate",
            attacker.hello(provider, |c| c.node = other.public(), |_| ()),
        ),
        (
            "another institution's name",
            attacker.hello(provider, |c| c.institution = "budapest".parse().unwrap(), |_| ()),
        ),
        (
            "a certificate that names another institution's key",
            attacker.hello(
                provider,
                |c| c.institution_key = provider.node.identity().institution_public(),
                |_| (),
            ),
        ),
        (
            "a certificate that has run out",
            attacker.hello(provider, |c| c.not_after = now().plus_seconds(-1), |_| ()),
        ),
        (
            "a certificate of tomorrow",
            attacker.hello(provider, |c| c.issued_at = now().plus_seconds(24 * hour), |_| ()),
        ),
        (
            "a stale statement",
            attacker.hello(provider, |_| (), |s| s.sent_at = now().plus_seconds(-hour)),
        ),
        (
            "a clock an hour ahead",
            attacker.hello(provider, |_| (), |s| s.sent_at = now().plus_seconds(hour)),
        ),
        (
            "a statement to another node",
            attacker.hello(provider, |_| (), |s| s.to = other.public()),
        ),
        (
            "a statement of another node",
            attacker.hello(provider, |_| (), |s| s.from = other.public()),
        ),
        ("a certificate by another key", {
            let hello = attacker.hello(provider, |_| (), |_| ());
            let certificate = hello.certificate.peek_unverified().unwrap();
            Hello {
                certificate: sign(&certificate, &InstitutionKey::from_seed(&[8; 32].into())),
                ..hello
            }
        }),
    ];
    for (what, forged) in forgeries {
        attacker.dial(provider).await.unwrap();
        let answered = attacker.request::<HelloReply>(provider, HELLO, &forged).await.is_ok();
        assert_eq!(answered, CLOCKS.contains(&what), "{what}");
        attacker.until_alone().await;
        assert!(session_of(attacker, provider).is_none(), "{what} left a session");
    }
    // The first is recorded at once, the others together when their minute is over.
    assert_eq!(refusals(provider, attacker), 1);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hello_overheard_is_useless_to_another_node() {
    let world = World::new().await;
    let thief = MaliciousPeer::start("zagreb", 44);
    world
        .provider
        .node
        .membership()
        .admit(thief.enrollment().as_bytes(), &tester())
        .await
        .unwrap();
    thief.dial(&world.provider).await.unwrap();
    let overheard = world.attacker.hello(&world.provider, |_| (), |_| ());
    assert!(
        thief
            .request::<HelloReply>(&world.provider, HELLO, &overheard)
            .await
            .is_err()
    );
    thief.until_alone().await;
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn member_without_a_hello_is_not_served() {
    let world = World::new().await;
    for protocol in [ROSTER, NEGOTIATION, NOTICE] {
        // A connection without a hello is cut after a short time.
        world.attacker.until_alone().await;
        world.attacker.dial(&world.provider).await.unwrap();
        let mut stream = world.attacker.open(&world.provider, protocol).await.unwrap();
        stream.send(&RosterMessage::Request).await.unwrap();
        assert!(stream.is_dropped().await, "{protocol} was served");
    }
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roster_that_is_forged_old_or_expired_changes_nothing() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let charter = &provider.node.identity().institution_key();
    let before = provider.roster();
    let current = provider.roster().peek_unverified().unwrap();
    let issue = |change: &dyn Fn(&mut Roster)| {
        let mut roster = Roster {
            number: current.number + 1,
            issued_at: now(),
            ..current.clone()
        };
        change(&mut roster);
        roster
    };
    let rosters = [
        (
            "signed by a member",
            cosign(&issue(&|_| ()), &[&attacker.institution_key]),
        ),
        (
            "under the member's own charter",
            cosign(
                &issue(&|r| r.charter = Charter::sole(attacker.institution_key.public())),
                &[&attacker.institution_key],
            ),
        ),
        ("older", cosign(&issue(&|r| r.number = current.number - 1), &[charter])),
        (
            "another with the same number",
            cosign(&issue(&|r| r.number = current.number), &[charter]),
        ),
        (
            "expired",
            cosign(&issue(&|r| r.not_after = now().plus_seconds(-1)), &[charter]),
        ),
        (
            "of tomorrow",
            cosign(&issue(&|r| r.issued_at = now().plus_seconds(86_400)), &[charter]),
        ),
        (
            "of another consortium",
            cosign(&issue(&|r| r.consortium = "Other".parse().unwrap()), &[charter]),
        ),
        (
            "with a member twice",
            cosign(&issue(&|r| r.members.push(current.members[0].clone())), &[charter]),
        ),
        ("without members", cosign(&issue(&|r| r.members.clear()), &[charter])),
    ];
    for (what, roster) in rosters {
        let announced = attacker
            .request::<RosterMessage>(provider, ROSTER, &RosterMessage::Announce(roster))
            .await;
        assert!(announced.is_err(), "a roster {what} was accepted");
        assert_eq!(provider.roster(), before, "a roster {what} was accepted");
    }
    let known = attacker
        .request::<RosterMessage>(provider, ROSTER, &RosterMessage::Announce(before))
        .await
        .unwrap();
    assert!(matches!(known, RosterMessage::Acknowledged));
    world.assert_still_serving().await;
}

/// The attacker held the charter once and gave it back. Its signatures of that time lead nowhere else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn charter_given_back_is_not_taken_again() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let ours = &provider.node.identity().institution_key();
    let theirs = &attacker.institution_key;
    let current = provider.roster().peek_unverified().unwrap();
    let changed = |from: &Roster, to: Charter, holder: &InstitutionKey| {
        let change = from.change_charter(to.clone(), now()).unwrap();
        let mut next = Roster {
            number: from.number + 1,
            issued_at: now(),
            charter: to,
            ..from.clone()
        };
        next.charter_changes.push(cosign(&change, &[holder]));
        next
    };
    let lent = changed(&current, Charter::sole(theirs.public()), ours);
    let returned = changed(&lent, Charter::sole(ours.public()), theirs);
    for (roster, holder) in [(&lent, theirs), (&returned, ours)] {
        let signed = cosign(roster, &[holder]);
        provider.node.membership().import(signed, &tester()).await.unwrap();
    }
    let before = provider.roster();
    let accomplice = InstitutionKey::from_seed(&[77; 32].into());
    let sole = || Charter::sole(accomplice.public());
    for (what, mut taken) in [
        ("continues from the charter it had", changed(&lent, sole(), theirs)),
        ("continues from the present one", changed(&returned, sole(), theirs)),
        (
            "gives it back once more",
            changed(&changed(&lent, Charter::sole(ours.public()), theirs), sole(), theirs),
        ),
    ] {
        taken.number = returned.number + 1;
        let signed = cosign(&taken, &[&accomplice]);
        let announced = attacker
            .request::<RosterMessage>(provider, ROSTER, &RosterMessage::Announce(signed))
            .await;
        assert!(announced.is_err(), "a roster that {what} was accepted");
        assert_eq!(provider.roster(), before, "a roster that {what} was accepted");
    }
    world.assert_still_serving().await;
}

/// Two rosters with which the charter key was misused exist; a member sends them in turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rosters_refused_in_turn_add_a_bounded_number_of_entries() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let charter = &provider.node.identity().institution_key();
    let current = provider.roster().peek_unverified().unwrap();
    let contradictory = [1, 2].map(|days| {
        let not_after = current.not_after.plus_seconds(days * 86_400);
        cosign(
            &Roster {
                not_after,
                ..current.clone()
            },
            &[charter],
        )
    });
    let before = provider.node.ledger().size();
    for roster in contradictory.iter().cycle().take(20) {
        let sent = RosterMessage::Announce(roster.clone());
        assert!(
            attacker
                .request::<RosterMessage>(provider, ROSTER, &sent)
                .await
                .is_err()
        );
    }
    let entries = provider.node.ledger().range(before, u64::MAX).unwrap();
    let refused = |body: &EntryBody| matches!(body, EntryBody::RosterRefused { .. } | EntryBody::PeerRefused { .. });
    let refusals = entries.iter().filter(|stored| refused(&stored.entry.body)).count();
    assert_eq!(refusals, 1, "the rest is recorded when the minute is over");
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn member_that_is_removed_is_cut_off_for_good() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    provider
        .node
        .membership()
        .remove(&attacker.institution, &tester())
        .await
        .unwrap();
    attacker.until_alone().await;
    if attacker.dial(provider).await.is_ok() {
        let hello = attacker.hello(provider, |_| (), |_| ());
        assert!(attacker.request::<HelloReply>(provider, HELLO, &hello).await.is_err());
    }
    attacker.until_alone().await;
    world.assert_still_serving().await;
}

fn session_of(attacker: &MaliciousPeer, target: &InProcessNode) -> Option<()> {
    let sessions = target.node.network().sessions();
    let attested = sessions
        .borrow()
        .get(&attacker.id())
        .and_then(|session| session.attested());
    attested.map(|_| ())
}

/// How many entries of the ledger record that this peer was rejected.
fn refusals(target: &InProcessNode, attacker: &MaliciousPeer) -> usize {
    let entries = target.node.ledger().range(0, target.node.ledger().size()).unwrap();
    let refused = |body: &EntryBody| matches!(body, EntryBody::PeerRefused { node, .. } if *node == attacker.id());
    entries.iter().filter(|entry| refused(&entry.entry.body)).count()
}
