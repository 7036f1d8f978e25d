//! Whoever holds the charter key, and what it cannot do to the members and their grants; and what ends with time.

use std::time::Duration;

use concordat_node::membership::MembershipError;
use concordat_node::network::hello::{Attested, HELLO};
use concordat_protocol::audit::{EntryBody, LedgerProof};
use concordat_protocol::grant::{Effective, GrantEvent};
use concordat_protocol::identity::{InstitutionKey, PrivateKey};
use concordat_protocol::ids::{GrantId, NodeId};
use concordat_protocol::membership::{EarlierKey, Follows, Member, MemberStatus, Roster, RosterError};
use concordat_protocol::text::{Address, Reason};
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::{HelloReply, RefusalCode};
use concordat_tests::tester;
use futures::StreamExt;

use super::deal::{NEGOTIATION, between_friends, change, granted};
use super::honest::{House, World};
use super::rogue::{Rogue, cosign, empty_ledger, now, soon};

/// How long nothing must happen before it counts as not happening.
const QUIET: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_given_to_another_key_takes_over_no_grant() {
    let world = World::met().await;
    let (rogue, provider, friend) = (&world.rogue, &world.provider, &world.friend);
    let grant = granted(&world).await;
    let coordinator = provider.node.membership();
    coordinator.remove(&rogue.institution, &tester()).await.unwrap();
    await_standing(provider, &grant, Effective::Suspended).await;

    // The coordinator's own node does not admit the impostor.
    let impostor = Rogue::start("zurich", 77);
    let admitted = coordinator.admit(impostor.enrolment().as_bytes(), &tester()).await;
    assert!(matches!(admitted, Err(MembershipError::Change(_))), "{admitted:?}");
    // A roster that the charter key signs by hand is refused by everybody, the coordinator's node included.
    let mut forged = next(provider);
    let entry = member(&mut forged, "zurich");
    let stated = impostor.statement(now()).peek_unverified().unwrap();
    *entry = Member {
        key: stated.key,
        nodes: stated.nodes,
        stated_at: stated.issued_at,
        statement: impostor.statement(stated.issued_at),
        since: entry.since,
        status: MemberStatus::Active,
        ..entry.clone()
    };
    for house in [provider, friend] {
        let refused = offer(house, &forged, provider).await.unwrap_err();
        let (held, offered) = (
            rogue.house.public().fingerprint(),
            impostor.house.public().fingerprint(),
        );
        let expected = RosterError::KeyChanged {
            institution: rogue.institution.clone(),
            held,
            offered,
        };
        assert!(
            matches!(&refused, MembershipError::Roster(error) if *error == expected),
            "{refused}"
        );
        assert_refusal_is_told(house, &refused, &forged);
    }
    // The impostor is nobody: it is cut off, told no number of a grant, and no lease is its own.
    let mut heard = impostor.accept(NEGOTIATION);
    if impostor.dial(provider).await.is_ok() {
        let hello = impostor.hello(provider, |_| (), |_| ());
        assert!(impostor.ask::<HelloReply>(provider, HELLO, &hello).await.is_err());
    }
    assert!(
        tokio::time::timeout(QUIET, heard.next()).await.is_err(),
        "the impostor was told something"
    );
    assert_eq!(standing(provider, &grant).await, Effective::Suspended);
    world.still_stands().await;
}

/// The holders of the charter may replace a key. The one they put there is let in, and inherits nothing until people have confirmed it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn institution_key_that_the_holders_put_there_inherits_no_grant() {
    let world = World::met().await;
    let (rogue, provider, friend) = (&world.rogue, &world.provider, &world.friend);
    let grant = granted(&world).await;
    let impostor = Rogue::start("zurich", 77);
    let mut replaced = next(provider);
    let entry = member(&mut replaced, "zurich");
    let stated = impostor.statement(now()).peek_unverified().unwrap();
    *entry = Member {
        key: stated.key,
        earlier: vec![EarlierKey {
            key: entry.key,
            followed_by: Follows::Holders { at: now() },
        }],
        nodes: stated.nodes,
        stated_at: stated.issued_at,
        statement: impostor.statement(stated.issued_at),
        ..entry.clone()
    };
    for house in [provider, friend] {
        offer(house, &replaced, provider).await.unwrap();
    }
    await_standing(provider, &grant, Effective::Suspended).await;
    let membership = provider.node.membership();
    let roster = membership.newest().unwrap();
    let waiting = membership.unconfirmed_keys(&roster);
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].key, impostor.house.public());

    // By whichever key it shows itself, it gets no lease and resumes nothing.
    impostor.meet(provider).await;
    let met = provider.node.network().sessions().borrow().get(&impostor.id()).cloned();
    let impostor_shown = soon(met.expect("a session").until_attested()).await.unwrap();
    assert_eq!(impostor_shown.earlier_keys, []);
    let refused = provider
        .node
        .grants()
        .lease(&grant, &impostor_shown, now())
        .await
        .unwrap_err();
    assert_eq!(refused.code, RefusalCode::NotFound);
    let reason = Reason::new("resumed").unwrap();
    let resumed = provider
        .node
        .negotiations()
        .change_grant(&grant, GrantEvent::Resume, reason, &tester())
        .await;
    assert!(
        resumed.is_err(),
        "a grant was resumed for a key that nobody has confirmed"
    );
    for wrong in [
        rogue.house.public().fingerprint(),
        String::new(),
        waiting[0].key.fingerprint().chars().take(9).collect(),
    ] {
        let confirmed = membership.confirm_key(&rogue.institution, &wrong, &tester()).await;
        assert!(matches!(confirmed, Err(MembershipError::NotReplaced { .. })), "{wrong}");
    }
    // A later roster does not take back what was shown, nor invent another history.
    type Change = fn(&mut Member);
    let changes: [Change; 3] = [
        |member| member.earlier.clear(),
        |member| {
            member.earlier[0].followed_by = Follows::Holders {
                at: Timestamp::from_millis(1),
            }
        },
        |member| member.earlier.push(member.earlier[0].clone()),
    ];
    for change in changes {
        let mut forged = next(provider);
        change(member(&mut forged, "zurich"));
        assert!(offer(friend, &forged, provider).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_given_to_the_key_of_the_terms_and_to_no_name() {
    let world = World::met().await;
    let (rogue, provider) = (&world.rogue, &world.provider);
    let grant = granted(&world).await;
    let grants = provider.node.grants();
    let shown = attested(provider, rogue.id());
    assert!(grants.lease(&grant, &shown, now()).await.is_ok());
    let other = InstitutionKey::from_seed(&[78; 32].into()).public();
    let mut impostors = vec![Attested {
        institution_key: other,
        ..shown.clone()
    }];
    // Names that begin, end or almost read the same, by the right key: one character decides.
    for name in [
        "zuric",
        "zurich2",
        "urich",
        "zurich-a",
        "a-zurich",
        "zurlch",
        "cleveland",
    ] {
        impostors.push(Attested {
            institution: name.parse().unwrap(),
            ..shown.clone()
        });
    }
    for impostor in impostors {
        let refused = grants.lease(&grant, &impostor, now()).await.unwrap_err();
        assert_eq!(refused.code, RefusalCode::NotFound, "{impostor:?}");
        assert!(
            !refused.reasons[0].text.contains("suspended"),
            "{impostor:?} learns of the grant"
        );
    }
    // Back after a removal: the right name and key, and still no lease until the provider resumes.
    let returned = Attested {
        member_since: shown.member_since + 1,
        ..shown
    };
    let refused = grants.lease(&grant, &returned, now()).await.unwrap_err();
    assert_eq!(refused.code, RefusalCode::Denied);
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_roster_that_changes_a_member_without_its_word_is_refused_by_each_member() {
    let world = World::met().await;
    let (provider, friend) = (&world.provider, &world.friend);
    let (before, stranger) = (provider.roster(), Rogue::start("vienna", 88));
    type Change<'a> = Box<dyn Fn(&mut Member) + 'a>;
    let changes: [(&str, Change<'_>); 6] = [
        ("key", Box::new(|member| member.key = stranger.house.public())),
        (
            "one more node",
            Box::new(|member| {
                let mut node = member.nodes[0].clone();
                node.node = stranger.id();
                member.nodes.push(node);
            }),
        ),
        ("another node", Box::new(|member| member.nodes[0].node = stranger.id())),
        ("no node", Box::new(|member| member.nodes.clear())),
        (
            "address",
            Box::new(|member| member.nodes[0].addresses = vec![Address::new("/ip4/127.0.0.1/tcp/1").unwrap()]),
        ),
        ("law", Box::new(|member| member.jurisdiction = "AT".parse().unwrap())),
    ];
    for (what, make) in &changes {
        for name in ["cleveland", "budapest", "zurich"] {
            let mut forged = next(provider);
            make(member(&mut forged, name));
            for house in [provider, friend] {
                let refused = offer(house, &forged, provider).await;
                let refused = refused.expect_err(&format!("another {what} of {name} was taken by {}", house.id()));
                assert_refusal_is_told(house, &refused, &forged);
                assert_eq!(house.roster(), before, "another {what} of {name} was taken");
            }
        }
    }
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_was_removed_and_is_back_resumes_nothing() {
    let world = World::new().await;
    let (provider, friend) = (&world.provider, &world.friend);
    let grant = between_friends(&world).await;
    let eva = friend.researcher().await;
    let sql = "SELECT age FROM cleveland.heart";
    friend.ask(&eva, sql).await.expect("an active grant");
    let coordinator = provider.node.membership();
    coordinator.remove(friend.id(), &tester()).await.unwrap();
    assert!(friend.ask(&eva, sql).await.is_err());
    await_standing(provider, &grant, Effective::Suspended).await;

    let application = friend.node.membership().enrol(None).unwrap();
    coordinator.admit(application.as_bytes(), &tester()).await.unwrap();
    let roster = coordinator.export().unwrap();
    let roster = concordat_protocol::membership::from_file(roster.as_bytes()).unwrap();
    friend.node.membership().import(roster, &tester()).await.unwrap();
    await_session(provider, friend).await;
    assert!(
        friend.ask(&eva, sql).await.is_err(),
        "the grant was resumed by the admission"
    );
    assert_eq!(standing(provider, &grant).await, Effective::Suspended);
    change(provider, &grant, GrantEvent::Resume).await;
    assert_eq!(standing(provider, &grant).await, Effective::Active);
    friend.ask(&eva, sql).await.expect("the provider has resumed the grant");
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_finalized_is_told_once() {
    let world = World::met().await;
    let (rogue, provider) = (&world.rogue, &world.provider);
    granted(&world).await;
    world.still_stands().await;
    provider.node.network().disconnect(rogue.id()).await.unwrap();
    rogue.until_alone().await;
    let mut heard = rogue.accept(NEGOTIATION);
    rogue.meet(provider).await;
    let again = tokio::time::timeout(QUIET, heard.next()).await;
    assert!(again.is_err(), "an acknowledged message was sent again");
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_with_the_certificate_that_was_shown() {
    let world = World::new().await;
    let (rogue, provider) = (&world.rogue, &world.provider);
    rogue.dial(provider).await.unwrap();
    let short = rogue.hello(provider, |c| c.not_after = now().plus_seconds(3), |_| ());
    let proof = LedgerProof {
        head: empty_ledger(&rogue.institution, &rogue.node),
        paths: vec![Some(Vec::new())],
    };
    rogue.greet(provider, &short, &proof).await.unwrap();
    let mut held = rogue.open(provider, NEGOTIATION).await.unwrap();
    let epoch = provider.node.epoch().current();
    assert!(held.is_dropped().await, "the stream outlived the certificate");
    rogue.until_alone().await;
    assert!(
        provider.node.epoch().current() > epoch,
        "running answers are not decided again"
    );
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_roster_ends_what_is_served_under_it() {
    let world = World::new().await;
    let (provider, friend) = (&world.provider, &world.friend);
    between_friends(&world).await;
    let eva = friend.researcher().await;
    let sql = "SELECT age FROM cleveland.heart";
    let short = Roster {
        not_after: now().plus_seconds(4),
        ..next(provider)
    };
    offer(provider, &short, provider).await.unwrap();
    friend.ask(&eva, sql).await.expect("a roster in force");
    let mut epoch = provider.node.epoch().watch();
    epoch.mark_unchanged();
    soon(epoch.changed())
        .await
        .expect("the end of the roster raises the epoch");
    while now() <= short.not_after {
        soon(tokio::time::sleep(Duration::from_millis(50))).await;
    }
    assert!(friend.ask(&eva, sql).await.is_err(), "served without a roster in force");
    assert!(provider.ledger_holds() && friend.ledger_holds());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_renewed_before_their_end_and_nothing_breaks() {
    let world = World::new().await;
    let (provider, friend) = (&world.provider, &world.friend);
    world.still_stands().await;
    let (there, here) = (friend.node.network().local_id(), provider.node.network().local_id());
    let (before, number) = (attested(provider, there), session(provider, there));
    let hours = 20 * 3_600_000;
    provider.node.clock().shift(hours);
    friend.node.clock().shift(hours);
    for (house, peer) in [(provider, there), (friend, here)] {
        let renewed = async {
            while attested(house, peer).not_after <= before.not_after {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        soon(renewed).await;
    }
    assert_eq!(
        session(provider, there),
        number,
        "the session was not the same throughout"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_of_a_grant_takes_effect_or_fails() {
    let world = World::met().await;
    let (rogue, provider) = (&world.rogue, &world.provider);
    let grant = granted(&world).await;
    let shown = attested(provider, rogue.id());
    let negotiations = provider.node.negotiations();
    let end = |grant: GrantId, event| async move {
        let reason = Reason::new("a test").unwrap();
        negotiations.change_grant(&grant, event, reason, &tester()).await
    };
    let unknown = GrantId::from_bytes([99; 16]);
    for event in [
        GrantEvent::Suspend,
        GrantEvent::Resume,
        GrantEvent::Revoke,
        GrantEvent::Relinquish,
    ] {
        assert!(
            end(unknown, event).await.is_err(),
            "{event} of a grant that is not there"
        );
    }
    // Relinquishing is not the provider's, and an active grant cannot be resumed: neither reports success.
    assert!(end(grant, GrantEvent::Relinquish).await.is_err());
    assert!(end(grant, GrantEvent::Resume).await.is_err());
    for event in [GrantEvent::Suspend, GrantEvent::Revoke] {
        end(grant, event).await.unwrap();
        assert!(
            provider.node.grants().lease(&grant, &shown, now()).await.is_err(),
            "{event} did nothing"
        );
        assert!(end(grant, event).await.is_err(), "a second {event} reports success");
    }
    assert!(end(grant, GrantEvent::Resume).await.is_err());
    world.still_stands().await;
}

/// The roster that would come next, to be changed and signed by the charter key.
fn next(house: &House) -> Roster {
    let current = house.roster().peek_unverified().unwrap();
    Roster {
        number: current.number + 1,
        issued_at: now(),
        ..current
    }
}

fn member<'a>(roster: &'a mut Roster, name: &str) -> &'a mut Member {
    let found = roster
        .members
        .iter_mut()
        .find(|member| member.institution.as_str() == name);
    found.unwrap()
}

/// Signs `roster` with the charter key of `coordinator` and gives it to `house`.
async fn offer(house: &House, roster: &Roster, coordinator: &House) -> Result<(), MembershipError> {
    let signed = cosign(roster, &[&coordinator.node.identity().institution_key()]);
    house.node.membership().import(signed, &tester()).await.map(drop)
}

/// A refused roster is in the ledger, and shown until a newer one has come.
fn assert_refusal_is_told(house: &House, error: &MembershipError, roster: &Roster) {
    let shown = house.node.membership().refused().expect("a refused roster is shown");
    assert_eq!((shown.number, &shown.reason), (roster.number, &error.to_string()));
    let entries = house.node.ledger().range(0, house.node.ledger().size()).unwrap();
    let told = |body: &EntryBody| matches!(body, EntryBody::RosterRefused { digest, .. } if *digest == shown.digest);
    let told = entries.iter().any(|entry| told(&entry.entry.body));
    assert!(told, "the ledger does not tell of it");
}

fn attested(house: &House, peer: NodeId) -> Attested {
    let sessions = house.node.network().sessions();
    let session = sessions.borrow().get(&peer).cloned().expect("a session");
    Attested::clone(&session.attested().expect("a peer that has said hello"))
}

fn session(house: &House, peer: NodeId) -> u64 {
    house
        .node
        .network()
        .sessions()
        .borrow()
        .get(&peer)
        .expect("a session")
        .number()
}

async fn standing(house: &House, grant: &GrantId) -> Effective {
    house.node.grants().get(grant).await.unwrap().effective(now())
}

async fn await_standing(house: &House, grant: &GrantId, expected: Effective) {
    let reached = async {
        while standing(house, grant).await != expected {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon(reached).await;
}

/// Waits until the two have shown each other who they are.
async fn await_session(one: &House, other: &House) {
    let peer = other.node.network().local_id();
    let met = async {
        loop {
            let sessions = one.node.network().sessions();
            let session = sessions.borrow().get(&peer).cloned();
            if session.is_some_and(|session| session.attested().is_some()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon(met).await;
}
