//! What becomes of a negotiation when a side is removed from the consortium, or its key is replaced.

use std::time::Duration;

use concordat_protocol::identity::PrivateKey;
use concordat_protocol::ids::NegotiationId;
use concordat_protocol::membership::{Enrollment, KeySuccession, Member, to_armor};
use concordat_protocol::negotiation::StateName;
use concordat_protocol::wire::messages::Reply;
use concordat_tests::tester;

use super::malicious_peer::{MaliciousPeer, now, sign, soon};
use super::membership::{member_entry, next, offer};
use super::negotiation_fixture::{await_grant, offered, refused, requested, send_message};
use super::well_behaved::{InProcessNode, World, scope};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offer_from_before_a_removal_becomes_no_grant() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let fixture = offered(&world).await;
    let coordinator = provider.node.membership();
    coordinator.remove(&attacker.institution, &tester()).await.unwrap();
    await_state(provider, &fixture.id(), StateName::Terminated).await;
    coordinator
        .admit(attacker.enrollment().as_bytes(), &tester())
        .await
        .unwrap();
    attacker.until_alone().await;
    attacker.meet(provider).await;
    let accepted = fixture.view.accept(&attacker.node, now()).unwrap();
    refused(attacker, provider, accepted.message).await;
    assert!(provider.node.grants().list().await.is_empty());
    world.assert_still_serving().await;
}

/// A node that was off while a member was removed and admitted again learns both from one roster.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offer_from_before_a_missed_removal_becomes_no_grant() {
    let world = World::connected().await;
    let provider = &world.provider;
    let fixture = offered(&world).await;
    let mut readmitted = next(provider);
    let number = readmitted.number;
    let entry = member_entry(&mut readmitted, "zurich");
    let stated_at = now();
    *entry = Member {
        since: number,
        stated_at,
        statement: world.attacker.statement(stated_at),
        ..entry.clone()
    };
    offer(provider, &readmitted, provider).await.unwrap();
    await_state(provider, &fixture.id(), StateName::Terminated).await;
    assert!(provider.node.grants().list().await.is_empty());
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offer_to_a_replaced_key_is_ended() {
    let world = World::connected().await;
    let fixture = offered(&world).await;
    replace_key(&world).await;
    await_state(&world.provider, &fixture.id(), StateName::Terminated).await;
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_replaced_before_the_confirmation_keeps_the_grant() {
    let world = World::new().await;
    let attacker = &world.attacker;
    let member = &world.member;
    attacker.meet(member).await;
    let mut fixture = requested(&world, scope(&attacker.institution)).await;
    let sent = fixture
        .view
        .agree(
            concordat_protocol::ids::Digest32::ZERO,
            &attacker.institution_key,
            &attacker.node,
            now(),
        )
        .unwrap();
    fixture.step(attacker, member, sent).await;
    fixture.follow(member).await;
    let successor = replace_key(&world).await;
    let roster = world.provider.roster();
    // The member may have received it already.
    drop(member.node.membership().import(roster, &tester()).await);
    successor.meet(member).await;
    let sent = fixture.view.finalize(&successor.node, now()).unwrap();
    assert_eq!(send_message(&successor, member, sent.message).await, Reply::Accepted);
    await_grant(member, &fixture.id()).await;
    world.assert_still_serving().await;
}

/// The key of the attacker is replaced, for which its old one has signed; returns the peer with the new keys.
async fn replace_key(world: &World) -> MaliciousPeer {
    let old = &world.attacker;
    let successor = MaliciousPeer::start(old.institution.as_str(), 88);
    let succession = KeySuccession {
        institution: old.institution.clone(),
        from: old.institution_key.public(),
        to: successor.institution_key.public(),
        at: now(),
    };
    let stated = Enrollment {
        succeeds: Some(sign(&succession, &old.institution_key)),
        ..successor.statement(now()).peek_unverified().unwrap()
    };
    let application = to_armor(&sign(&stated, &successor.institution_key));
    let coordinator = world.provider.node.membership();
    coordinator.admit(application.as_bytes(), &tester()).await.unwrap();
    successor
}

async fn await_state(target: &InProcessNode, id: &NegotiationId, expected: StateName) {
    let reached = async {
        while target.node.negotiations().show(id).await.unwrap().state != expected {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon(reached).await;
}
