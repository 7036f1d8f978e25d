//! What the holder of the charter key cannot do to members and their grants, and what ends with time.

use concordat_protocol::wire::streams::{HELLO, NEGOTIATION};
use std::time::Duration;

use concordat_network::hello::Attested;
use concordat_node::MembershipError;
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

use super::malicious_peer::{MaliciousPeer, cosign, empty_ledger, now, soon};
use super::negotiation_fixture::{change, grant_between_members, granted};
use super::well_behaved::{InProcessNode, World};

/// How long no message may arrive before it counts as not sent.
const QUIET: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn institution_id_under_another_key_inherits_no_grant() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let member = &world.member;
    let grant = granted(&world).await;
    let coordinator = provider.node.membership();
    coordinator.remove(&attacker.institution, &tester()).await.unwrap();
    await_effective_state(provider, &grant, Effective::Suspended).await;

    // The coordinator's own node does not admit the impostor.
    let impostor = MaliciousPeer::start("zurich", 77);
    let admitted = coordinator.admit(impostor.enrollment().as_bytes(), &tester()).await;
    assert!(matches!(admitted, Err(MembershipError::Change(_))), "{admitted:?}");
    // A roster that is signed manually with the charter key is refused by all members, including the coordinator's node.
    let mut forged = next(provider);
    let entry = member_entry(&mut forged, "zurich");
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
    for target in [provider, member] {
        let refused = offer(target, &forged, provider).await.unwrap_err();
        let held = attacker.institution_key.public().fingerprint();
        let offered = impostor.institution_key.public().fingerprint();
        let expected = RosterError::KeyChanged {
            institution: attacker.institution.clone(),
            held,
            offered,
        };
        assert!(
            matches!(&refused, MembershipError::Roster(error) if *error == expected),
            "{refused}"
        );
        assert_refusal_is_recorded(target, &refused, &forged);
    }
    // The impostor is not a member: it is cut off, learns no grant id, and gets no lease.
    let mut messages = impostor.accept(NEGOTIATION);
    if impostor.dial(provider).await.is_ok() {
        let hello = impostor.hello(provider, |_| (), |_| ());
        assert!(impostor.request::<HelloReply>(provider, HELLO, &hello).await.is_err());
    }
    assert!(
        tokio::time::timeout(QUIET, messages.next()).await.is_err(),
        "a message was sent to the impostor"
    );
    assert_eq!(effective_state(provider, &grant).await, Effective::Suspended);
    world.assert_still_serving().await;
}

/// The holders of the charter may replace a key. The new key is admitted, and inherits nothing until users have confirmed it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn institution_key_set_by_the_holders_inherits_no_grant() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let member = &world.member;
    let grant = granted(&world).await;
    let impostor = MaliciousPeer::start("zurich", 77);
    let mut replaced = next(provider);
    let entry = member_entry(&mut replaced, "zurich");
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
    for target in [provider, member] {
        offer(target, &replaced, provider).await.unwrap();
    }
    await_effective_state(provider, &grant, Effective::Suspended).await;
    let membership = provider.node.membership();
    let roster = membership.newest().unwrap();
    let waiting = membership.unconfirmed_keys(&roster);
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].key, impostor.institution_key.public());

    // With either key it gets no lease and resumes nothing.
    impostor.meet(provider).await;
    let session = provider.node.network().sessions().borrow().get(&impostor.id()).cloned();
    let impostor_shown = soon(session.expect("a session").until_attested()).await.unwrap();
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
    assert!(resumed.is_err(), "a grant was resumed for an unconfirmed key");
    for wrong in [
        attacker.institution_key.public().fingerprint(),
        String::new(),
        waiting[0].key.fingerprint().chars().take(9).collect(),
    ] {
        let confirmed = membership.confirm_key(&attacker.institution, &wrong, &tester()).await;
        assert!(matches!(confirmed, Err(MembershipError::NotReplaced { .. })), "{wrong}");
    }
    // A later roster cannot retract the recorded history, nor invent another one.
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
        change(member_entry(&mut forged, "zurich"));
        assert!(offer(member, &forged, provider).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lease_is_bound_to_the_key_of_the_terms_not_to_the_id() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let grant = granted(&world).await;
    let grants = provider.node.grants();
    let shown = attested(provider, attacker.id());
    assert!(grants.lease(&grant, &shown, now()).await.is_ok());
    let other = InstitutionKey::from_seed(&[78; 32].into()).public();
    let mut impostors = vec![Attested {
        institution_key: other,
        ..shown.clone()
    }];
    // Ids that begin, end or look almost the same, with the right key: one character decides.
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
    // After a removal and readmission: the right id and key, and still no lease until the provider resumes the grant.
    let returned = Attested {
        member_since: shown.member_since + 1,
        ..shown
    };
    let refused = grants.lease(&grant, &returned, now()).await.unwrap_err();
    assert_eq!(refused.code, RefusalCode::Denied);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roster_that_changes_a_member_without_its_consent_is_refused() {
    let world = World::connected().await;
    let provider = &world.provider;
    let member = &world.member;
    let before = provider.roster();
    let non_member = MaliciousPeer::start("vienna", 88);
    type Change<'a> = Box<dyn Fn(&mut Member) + 'a>;
    let changes: [(&str, Change<'_>); 6] = [
        (
            "key",
            Box::new(|member| member.key = non_member.institution_key.public()),
        ),
        (
            "one more node",
            Box::new(|member| {
                let mut node = member.nodes[0].clone();
                node.node = non_member.id();
                member.nodes.push(node);
            }),
        ),
        (
            "another node",
            Box::new(|member| member.nodes[0].node = non_member.id()),
        ),
        ("no node", Box::new(|member| member.nodes.clear())),
        (
            "address",
            Box::new(|member| member.nodes[0].addresses = vec![Address::new("/ip4/127.0.0.1/tcp/1").unwrap()]),
        ),
        (
            "jurisdiction",
            Box::new(|member| member.jurisdiction = "AT".parse().unwrap()),
        ),
    ];
    for (what, make) in &changes {
        for name in ["cleveland", "budapest", "zurich"] {
            let mut forged = next(provider);
            make(member_entry(&mut forged, name));
            for target in [provider, member] {
                let refused = offer(target, &forged, provider).await;
                let refused = refused.expect_err(&format!("another {what} of {name} was accepted by {}", target.id()));
                assert_refusal_is_recorded(target, &refused, &forged);
                assert_eq!(target.roster(), before, "another {what} of {name} was accepted");
            }
        }
    }
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn member_that_was_removed_and_returns_resumes_no_grant() {
    let world = World::new().await;
    let provider = &world.provider;
    let member = &world.member;
    let grant = grant_between_members(&world).await;
    let eva = member.researcher().await;
    let sql = "SELECT age FROM cleveland.heart";
    member.query(&eva, sql).await.expect("an active grant");
    let coordinator = provider.node.membership();
    coordinator.remove(member.id(), &tester()).await.unwrap();
    assert!(member.query(&eva, sql).await.is_err());
    await_effective_state(provider, &grant, Effective::Suspended).await;

    let application = member.node.membership().enroll(None).unwrap();
    coordinator.admit(application.as_bytes(), &tester()).await.unwrap();
    let roster = coordinator.export().unwrap();
    let roster = concordat_protocol::membership::from_file(roster.as_bytes()).unwrap();
    member.node.membership().import(roster, &tester()).await.unwrap();
    await_session(provider, member).await;
    assert!(
        member.query(&eva, sql).await.is_err(),
        "the grant was resumed by the admission"
    );
    assert_eq!(effective_state(provider, &grant).await, Effective::Suspended);
    change(provider, &grant, GrantEvent::Resume).await;
    assert_eq!(effective_state(provider, &grant).await, Effective::Active);
    member
        .query(&eva, sql)
        .await
        .expect("the provider has resumed the grant");
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finalization_is_announced_once() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    granted(&world).await;
    world.assert_still_serving().await;
    provider.node.network().disconnect(attacker.id()).await.unwrap();
    attacker.until_alone().await;
    let mut messages = attacker.accept(NEGOTIATION);
    attacker.meet(provider).await;
    let again = tokio::time::timeout(QUIET, messages.next()).await;
    assert!(again.is_err(), "an acknowledged message was sent again");
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_with_the_certificate_that_was_shown() {
    let world = World::new().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    attacker.dial(provider).await.unwrap();
    let short = attacker.hello(provider, |c| c.not_after = now().plus_seconds(3), |_| ());
    let proof = LedgerProof {
        head: empty_ledger(&attacker.institution, &attacker.node),
        paths: vec![Some(Vec::new())],
    };
    attacker.send_hello(provider, &short, &proof).await.unwrap();
    let mut held = attacker.open(provider, NEGOTIATION).await.unwrap();
    let epoch = provider.node.epoch().current();
    assert!(held.is_dropped().await, "the stream outlived the certificate");
    attacker.until_alone().await;
    assert!(
        provider.node.epoch().current() > epoch,
        "running answers are not re-evaluated"
    );
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_roster_ends_what_is_served_under_it() {
    let world = World::new().await;
    let provider = &world.provider;
    let member = &world.member;
    grant_between_members(&world).await;
    let eva = member.researcher().await;
    let sql = "SELECT age FROM cleveland.heart";
    let short = Roster {
        not_after: now().plus_seconds(4),
        ..next(provider)
    };
    offer(provider, &short, provider).await.unwrap();
    member.query(&eva, sql).await.expect("a current roster");
    let mut epoch = provider.node.epoch().watch();
    epoch.mark_unchanged();
    soon(epoch.changed())
        .await
        .expect("the end of the roster raises the epoch");
    while now() <= short.not_after {
        soon(tokio::time::sleep(Duration::from_millis(50))).await;
    }
    assert!(
        member.query(&eva, sql).await.is_err(),
        "served without a current roster"
    );
    assert!(provider.ledger_is_valid() && member.ledger_is_valid());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_renewed_before_expiry_without_interruption() {
    let world = World::new().await;
    let provider = &world.provider;
    let member = &world.member;
    world.assert_still_serving().await;
    let there = member.node.network().local_id();
    let here = provider.node.network().local_id();
    let before = attested(provider, there);
    let number = session(provider, there);
    let hours = 20 * 3_600_000;
    provider.node.clock().shift(hours);
    member.node.clock().shift(hours);
    for (target, peer) in [(provider, there), (member, here)] {
        let renewed = async {
            while attested(target, peer).not_after <= before.not_after {
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
async fn grant_end_takes_effect_or_fails() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let grant = granted(&world).await;
    let shown = attested(provider, attacker.id());
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
        assert!(end(unknown, event).await.is_err(), "{event} of an unknown grant");
    }
    // A provider cannot relinquish, and an active grant cannot be resumed: neither reports success.
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
    world.assert_still_serving().await;
}

/// The next roster, to be changed and signed with the charter key.
pub(super) fn next(target: &InProcessNode) -> Roster {
    let current = target.roster().peek_unverified().unwrap();
    Roster {
        number: current.number + 1,
        issued_at: now(),
        ..current
    }
}

pub(super) fn member_entry<'a>(roster: &'a mut Roster, name: &str) -> &'a mut Member {
    let found = roster
        .members
        .iter_mut()
        .find(|member| member.institution.as_str() == name);
    found.unwrap()
}

/// Signs `roster` with the charter key of `coordinator` and imports it at `target`.
pub(super) async fn offer(
    target: &InProcessNode,
    roster: &Roster,
    coordinator: &InProcessNode,
) -> Result<(), MembershipError> {
    let signed = cosign(roster, &[&coordinator.node.identity().institution_key()]);
    target.node.membership().import(signed, &tester()).await.map(drop)
}

/// A refused roster is recorded in the ledger, and shown until a newer one arrives.
fn assert_refusal_is_recorded(target: &InProcessNode, error: &MembershipError, roster: &Roster) {
    let shown = target.node.membership().refused().expect("a refused roster is shown");
    assert_eq!((shown.number, &shown.reason), (roster.number, &error.to_string()));
    let entries = target.node.ledger().range(0, target.node.ledger().size()).unwrap();
    let records = |body: &EntryBody| matches!(body, EntryBody::RosterRefused { digest, .. } if *digest == shown.digest);
    let recorded = entries.iter().any(|entry| records(&entry.entry.body));
    assert!(recorded, "the ledger does not record it");
}

fn attested(target: &InProcessNode, peer: NodeId) -> Attested {
    let sessions = target.node.network().sessions();
    let session = sessions.borrow().get(&peer).cloned().expect("a session");
    Attested::clone(&session.attested().expect("a peer that has said hello"))
}

fn session(target: &InProcessNode, peer: NodeId) -> u64 {
    target
        .node
        .network()
        .sessions()
        .borrow()
        .get(&peer)
        .expect("a session")
        .number()
}

async fn effective_state(target: &InProcessNode, grant: &GrantId) -> Effective {
    target.node.grants().get(grant).await.unwrap().effective(now())
}

async fn await_effective_state(target: &InProcessNode, grant: &GrantId, expected: Effective) {
    let reached = async {
        while effective_state(target, grant).await != expected {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon(reached).await;
}

/// Waits until the two have authenticated each other.
async fn await_session(one: &InProcessNode, other: &InProcessNode) {
    let peer = other.node.network().local_id();
    let authenticated = async {
        loop {
            let sessions = one.node.network().sessions();
            let session = sessions.borrow().get(&peer).cloned();
            if session.is_some_and(|session| session.attested().is_some()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon(authenticated).await;
}
