//! Getting in: strangers, borrowed certificates, wrong clocks, and rosters that are not the coordinator's.

use concordat_node::membership::ROSTER;
use concordat_node::network::hello::HELLO;
use concordat_protocol::audit::EntryBody;
use concordat_protocol::identity::{InstitutionKey, NodeKey, PrivateKey};
use concordat_protocol::membership::{Charter, Roster};
use concordat_protocol::wire::messages::{Hello, HelloReply, RosterMessage};
use concordat_tests::tester;
use libp2p::StreamProtocol;

use super::honest::{House, World};
use super::rogue::{Rogue, cosign, now, sign};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_is_cut_off_before_any_protocol_runs() {
    let world = World::new().await;
    let stranger = Rogue::start("zurich", 66);
    // A dialler's own handshake may be through before the other side closes the connection.
    if stranger.dial(&world.provider).await.is_ok() {
        let hello = stranger.hello(&world.provider, |_| (), |_| ());
        assert!(
            stranger
                .ask::<HelloReply>(&world.provider, HELLO, &hello)
                .await
                .is_err()
        );
    }
    stranger.until_alone().await;
    assert!(!world.provider.node.network().connected_peers().contains(&stranger.id()));
    world.still_stands().await;
}

/// What a wrong clock explains: the node that dialled gets a hello back, which tells it the same, and is turned away too.
const CLOCKS: [&str; 4] = [
    "a certificate that has run out",
    "a certificate of tomorrow",
    "a stale statement",
    "a clock an hour ahead",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hello_that_is_not_the_members_own_of_this_moment_ends_the_connection() {
    let world = World::new().await;
    let (rogue, provider) = (&world.rogue, &world.provider);
    let hour = 3600;
    let other = NodeKey::from_seed(&[9; 32].into());
    let lies: [(&str, Hello); 10] = [
        (
            "another node's certificate",
            rogue.hello(provider, |c| c.node = other.public(), |_| ()),
        ),
        (
            "another institution's name",
            rogue.hello(provider, |c| c.institution = "budapest".parse().unwrap(), |_| ()),
        ),
        (
            "a certificate that names another institution's key",
            rogue.hello(
                provider,
                |c| c.institution_key = provider.node.identity().institution_public(),
                |_| (),
            ),
        ),
        (
            "a certificate that has run out",
            rogue.hello(provider, |c| c.not_after = now().plus_seconds(-1), |_| ()),
        ),
        (
            "a certificate of tomorrow",
            rogue.hello(provider, |c| c.issued_at = now().plus_seconds(24 * hour), |_| ()),
        ),
        (
            "a stale statement",
            rogue.hello(provider, |_| (), |s| s.sent_at = now().plus_seconds(-hour)),
        ),
        (
            "a clock an hour ahead",
            rogue.hello(provider, |_| (), |s| s.sent_at = now().plus_seconds(hour)),
        ),
        (
            "a statement to somebody else",
            rogue.hello(provider, |_| (), |s| s.to = other.public()),
        ),
        (
            "a statement of somebody else",
            rogue.hello(provider, |_| (), |s| s.from = other.public()),
        ),
        ("a certificate by another key", {
            let hello = rogue.hello(provider, |_| (), |_| ());
            let certificate = hello.certificate.peek_unverified().unwrap();
            Hello {
                certificate: sign(&certificate, &InstitutionKey::from_seed(&[8; 32].into())),
                ..hello
            }
        }),
    ];
    for (what, lie) in lies {
        rogue.dial(provider).await.unwrap();
        let answered = rogue.ask::<HelloReply>(provider, HELLO, &lie).await.is_ok();
        assert_eq!(answered, CLOCKS.contains(&what), "{what}");
        rogue.until_alone().await;
        assert!(session_of(rogue, provider).is_none(), "{what} left a session");
    }
    // The first is entered at once, the others when their minute is over, together.
    assert_eq!(refusals(provider, rogue), 1);
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hello_overheard_is_of_no_use_to_another_node() {
    let world = World::new().await;
    let thief = Rogue::start("zagreb", 44);
    world
        .provider
        .node
        .membership()
        .admit(thief.enrolment().as_bytes(), &tester())
        .await
        .unwrap();
    thief.dial(&world.provider).await.unwrap();
    let overheard = world.rogue.hello(&world.provider, |_| (), |_| ());
    assert!(
        thief
            .ask::<HelloReply>(&world.provider, HELLO, &overheard)
            .await
            .is_err()
    );
    thief.until_alone().await;
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_served_to_a_member_that_has_not_said_hello() {
    let world = World::new().await;
    for protocol in ["/concordat/roster/1", "/concordat/negotiation/1", "/concordat/notice/1"] {
        // A connection on which no hello comes is cut before long.
        world.rogue.until_alone().await;
        world.rogue.dial(&world.provider).await.unwrap();
        let mut stream = world
            .rogue
            .open(&world.provider, StreamProtocol::new(protocol))
            .await
            .unwrap();
        stream.send(&RosterMessage::Ask).await.unwrap();
        assert!(stream.is_dropped().await, "{protocol} was served");
    }
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rosters_that_are_forged_old_expired_or_contradictory_change_nothing() {
    let world = World::met().await;
    let (rogue, provider) = (&world.rogue, &world.provider);
    let charter = &provider.node.identity().institution_key();
    let (before, current) = (provider.roster(), provider.roster().peek_unverified().unwrap());
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
        ("signed by a member", cosign(&issue(&|_| ()), &[&rogue.house])),
        (
            "under the member's own charter",
            cosign(
                &issue(&|r| r.charter = Charter::sole(rogue.house.public())),
                &[&rogue.house],
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
        let told = rogue
            .ask::<RosterMessage>(provider, ROSTER, &RosterMessage::Tell(roster))
            .await;
        assert!(told.is_err(), "a roster {what} was taken");
        assert_eq!(provider.roster(), before, "a roster {what} was taken");
    }
    let known = rogue
        .ask::<RosterMessage>(provider, ROSTER, &RosterMessage::Tell(before))
        .await
        .unwrap();
    assert!(matches!(known, RosterMessage::Known));
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_removed_is_cut_off_and_not_let_in_again() {
    let world = World::met().await;
    let (rogue, provider) = (&world.rogue, &world.provider);
    provider
        .node
        .membership()
        .remove(&rogue.institution, &tester())
        .await
        .unwrap();
    rogue.until_alone().await;
    if rogue.dial(provider).await.is_ok() {
        let hello = rogue.hello(provider, |_| (), |_| ());
        assert!(rogue.ask::<HelloReply>(provider, HELLO, &hello).await.is_err());
    }
    rogue.until_alone().await;
    world.still_stands().await;
}

fn session_of(rogue: &Rogue, house: &House) -> Option<()> {
    let sessions = house.node.network().sessions();
    let attested = sessions
        .borrow()
        .get(&rogue.id())
        .and_then(|session| session.attested());
    attested.map(|_| ())
}

/// How often the ledger tells that this peer was turned away.
fn refusals(house: &House, rogue: &Rogue) -> usize {
    let entries = house.node.ledger().range(0, house.node.ledger().size()).unwrap();
    let refused = |body: &EntryBody| matches!(body, EntryBody::PeerRefused { node, .. } if *node == rogue.id());
    entries.iter().filter(|entry| refused(&entry.entry.body)).count()
}
