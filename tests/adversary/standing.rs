//! Offers and grants that have lost what they rest on: the person who made them, the visibility of the dataset, the dataset itself.

use std::time::Duration;

use concordat_node::{Node, Restriction};
use concordat_protocol::audit::{EntryBody, GrantChange};
use concordat_protocol::grant::{Effective, GrantEvent};
use concordat_protocol::ids::{CollectionName, DatasetName, GrantId, NegotiationId};
use concordat_protocol::negotiation::{AsConsumer, StateName};
use concordat_protocol::release::ReleaseChange;
use concordat_protocol::text::Reason;
use concordat_protocol::wire::messages::RefusalCode;
use concordat_tests::{make_change, tester};

use super::malicious_peer::{MaliciousPeer, now, soon};
use super::negotiation_fixture::{NegotiationFixture, granted, offered};
use super::notices::effective_state;
use super::well_behaved::{InProcessNode, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offer_of_a_disabled_steward_becomes_no_grant() {
    let world = World::connected().await;
    let provider = &world.provider;
    let mut fixture = offered(&world).await;
    let node = provider.node.clone();
    let disable = move || {
        let change = node.accounts().disabled("stella").unwrap();
        node.accounts().make(change).unwrap();
    };
    tokio::task::spawn_blocking(disable).await.unwrap();
    let stopped = accept(&mut fixture, &world.attacker, provider).await;
    assert!(stopped.contains("disabled"), "{stopped}");

    // Another steward decides.
    let id = fixture.id();
    let by = provider.steward_named("sven").await;
    let whole = Restriction::default();
    let (confirmed, ()) = tokio::join!(
        provider.node.negotiations().offer(&id, &whole, &by),
        fixture.follow(provider)
    );
    let confirmed = confirmed.unwrap();
    assert_eq!((confirmed.state, confirmed.stopped), (StateName::Agreed, None));
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offer_for_a_withdrawn_dataset_becomes_no_grant() {
    let world = World::connected().await;
    let provider = &world.provider;
    let mut fixture = offered(&world).await;
    let node = provider.node.clone();
    let withdraw = move || {
        let heart = CollectionName::new("heart").unwrap();
        make_change(&node, node.storage().catalog().datasets().plan_withdrawal(&heart));
    };
    tokio::task::spawn_blocking(withdraw).await.unwrap();
    let stopped = accept(&mut fixture, &world.attacker, provider).await;
    assert!(stopped.contains("there is no dataset"), "{stopped}");
    let by = provider.steward().await;
    let confirmed = provider
        .node
        .negotiations()
        .offer(&fixture.id(), &Restriction::default(), &by)
        .await;
    assert!(confirmed.is_err(), "an offer for a withdrawn dataset was confirmed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offer_beyond_the_present_policy_becomes_no_grant() {
    let world = World::connected().await;
    let provider = &world.provider;
    let mut fixture = offered(&world).await;
    let node = provider.node.clone();
    let limit = move || {
        let heart = DatasetName::new("heart").unwrap();
        let none = ReleaseChange {
            sensitive: Some(None),
            ..ReleaseChange::default()
        };
        make_change(&node, node.storage().catalog().datasets().plan_release(&heart, &none));
    };
    tokio::task::spawn_blocking(limit).await.unwrap();
    let stopped = accept(&mut fixture, &world.attacker, provider).await;
    assert!(stopped.contains("policy"), "{stopped}");
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grant_opens_no_other_dataset_of_the_same_name() {
    let world = World::connected().await;
    let provider = &world.provider;
    let grant = granted(&world).await;
    let session = provider
        .node
        .network()
        .sessions()
        .borrow()
        .get(&world.attacker.id())
        .cloned();
    let shown = soon(session.expect("a session").until_attested()).await.unwrap();
    let grants = provider.node.grants();
    assert!(grants.lease(&grant, &shown, now()).await.is_ok());
    provider.exchange_dataset().await;
    assert_eq!(effective_state(provider, &grant).await, Effective::Active);
    let refused = grants.lease(&grant, &shown, now()).await.unwrap_err();
    assert_eq!(refused.code, RefusalCode::Denied);
    assert!(refused.reasons[0].text.contains("erased"), "{refused:?}");
}

/// The entry of a revocation does not wait for a chunk in transit, and the revocation does: nothing arrives after it has returned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocation_is_entered_before_the_last_chunk_has_arrived() {
    let world = World::connected().await;
    let provider = &world.provider;
    let grant = granted(&world).await;
    let session = provider
        .node
        .network()
        .sessions()
        .borrow()
        .get(&world.attacker.id())
        .cloned();
    let shown = soon(session.expect("a session").until_attested()).await.unwrap();
    let lease = provider.node.grants().lease(&grant, &shown, now()).await.unwrap();
    let in_transit = lease.guard(now()).await.unwrap();
    let node = provider.node.clone();
    let before = node.ledger().size();
    let revoking = tokio::spawn(async move { revoke(&node, &grant).await });
    let is_entered = || {
        let entries = provider.node.ledger().range(before, u64::MAX).unwrap();
        entries.iter().any(|stored| {
            matches!(
                stored.entry.body,
                EntryBody::GrantChanged {
                    change: GrantChange::Revoked,
                    ..
                }
            )
        })
    };
    let entered = async {
        while !is_entered() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon(entered).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!revoking.is_finished(), "a chunk is in transit");
    drop(in_transit);
    soon(revoking).await.unwrap();
    let refused = lease.guard(now()).await.unwrap_err();
    assert_eq!(refused.reasons[0].rule.as_deref(), Some("grant-revoked"));
    assert_eq!(effective_state(provider, &grant).await, Effective::Revoked);
}

async fn revoke(node: &Node, grant: &GrantId) {
    let reason = Reason::new("a test").unwrap();
    let negotiations = node.negotiations();
    drop(
        negotiations
            .change_grant(grant, GrantEvent::Revoke, reason, &tester())
            .await
            .unwrap(),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offer_for_an_erased_dataset_is_ended() {
    let world = World::connected().await;
    let provider = &world.provider;
    let mut fixture = offered(&world).await;
    provider.exchange_dataset().await;
    let sent = fixture.view.accept(&world.attacker.node, now()).unwrap();
    fixture.step(&world.attacker, provider, sent).await;
    fixture.follow(provider).await;
    assert_eq!(fixture.view.state_name(), StateName::Terminated);
    assert!(!is_granted(provider, &fixture.id()).await);
}

/// The attacker accepts, and the provider shows why it does not sign.
async fn accept(
    fixture: &mut NegotiationFixture<AsConsumer>,
    attacker: &MaliciousPeer,
    provider: &InProcessNode,
) -> String {
    let sent = fixture.view.accept(&attacker.node, now()).unwrap();
    fixture.step(attacker, provider, sent).await;
    let id = fixture.id();
    let stopped = async {
        loop {
            let shown = provider.node.negotiations().show(&id).await.unwrap();
            assert!(
                matches!(shown.state, StateName::Offered | StateName::Accepted),
                "{} although the offer does not stand",
                shown.state
            );
            if let Some(stopped) = shown.stopped {
                return stopped.to_string();
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let stopped = soon(stopped).await;
    assert!(!is_granted(provider, &id).await);
    stopped
}

async fn is_granted(provider: &InProcessNode, id: &NegotiationId) -> bool {
    provider.node.grants().get(&GrantId::from(*id)).await.is_some()
}
