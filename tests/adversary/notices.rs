//! Notices about grants, from peers that may not send them.

use concordat_protocol::grant::{Effective, GrantEvent, Notice, NoticeEffect};
use concordat_protocol::ids::GrantId;
use concordat_protocol::signed::Signed;
use concordat_protocol::text::Reason;
use concordat_protocol::wire::messages::{NoticeFrame, NoticeReply};
use concordat_protocol::wire::streams::NOTICE;

use super::malicious_peer::{MaliciousPeer, now, sign};
use super::negotiation_fixture::{change, grant_between_members, granted, granted_to_member};
use super::well_behaved::{InProcessNode, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grant_can_be_ended_only_by_its_parties() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let grant = grant_between_members(&world).await;
    for event in [GrantEvent::Relinquish, GrantEvent::Suspend, GrantEvent::Revoke] {
        let own_name = notice(&world, provider, grant, event, 1);
        let their_name = Notice {
            from: world.member.id().clone(),
            ..own_name.clone()
        };
        for forged in [own_name, their_name] {
            refused(attacker, provider, sign(&forged, &attacker.node)).await;
        }
        // Really signed by the consumer, but sent by another member.
        let true_one = Notice {
            from: world.member.id().clone(),
            ..notice(&world, provider, grant, event, 1)
        };
        refused(
            attacker,
            provider,
            sign(&true_one, &world.member.node.identity().node_key),
        )
        .await;
    }
    assert_eq!(effective_state(provider, &grant).await, Effective::Active);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumer_can_return_a_grant_but_not_suspend_or_resume_it() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let grant = granted(&world).await;
    change(provider, &grant, GrantEvent::Suspend).await;
    for event in [GrantEvent::Suspend, GrantEvent::Resume, GrantEvent::Revoke] {
        refused(
            attacker,
            provider,
            sign(&notice(&world, provider, grant, event, 1), &attacker.node),
        )
        .await;
    }
    assert_eq!(effective_state(provider, &grant).await, Effective::Suspended);
    let returned = sign(
        &notice(&world, provider, grant, GrantEvent::Relinquish, 1),
        &attacker.node,
    );
    assert!(matches!(
        send_notice(attacker, provider, returned).await,
        NoticeReply::Acknowledged(_)
    ));
    assert_eq!(effective_state(provider, &grant).await, Effective::Relinquished);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoked_grant_stays_revoked_after_any_replay() {
    let world = World::new().await;
    let attacker = &world.attacker;
    let member = &world.member;
    attacker.meet(member).await;
    let grant = granted_to_member(&world).await;
    let event = |event, sequence| sign(&notice(&world, member, grant, event, sequence), &attacker.node);
    let suspend = event(GrantEvent::Suspend, 1);
    let revoke = event(GrantEvent::Revoke, 3);
    // The member was away for a week when the grant was resumed.
    let late = Notice {
        at: now().plus_seconds(-7 * 86_400),
        ..notice(&world, member, grant, GrantEvent::Resume, 2)
    };
    let resume = sign(&late, &attacker.node);

    assert_eq!(effect(attacker, member, &suspend).await, NoticeEffect::Applied);
    assert_eq!(effective_state(member, &grant).await, Effective::Suspended);
    assert_eq!(effect(attacker, member, &resume).await, NoticeEffect::Applied);
    assert_eq!(effect(attacker, member, &suspend).await, NoticeEffect::Superseded);
    assert_eq!(effective_state(member, &grant).await, Effective::Active);
    assert_eq!(effect(attacker, member, &revoke).await, NoticeEffect::Applied);
    for (again, expected) in [
        (&suspend, NoticeEffect::Superseded),
        (&resume, NoticeEffect::Superseded),
        (&event(GrantEvent::Resume, 4), NoticeEffect::Ended),
        (&event(GrantEvent::Suspend, 5), NoticeEffect::Ended),
        // The acknowledgment may have been lost.
        (&revoke, NoticeEffect::Applied),
    ] {
        assert_eq!(effect(attacker, member, again).await, expected);
        assert_eq!(effective_state(member, &grant).await, Effective::Revoked);
    }
    world.assert_still_serving().await;
}

pub(super) fn notice(world: &World, to: &InProcessNode, grant: GrantId, event: GrantEvent, sequence: u32) -> Notice {
    let reason = Reason::new("because").unwrap();
    Notice {
        grant,
        event,
        reason,
        from: world.attacker.institution.clone(),
        to: to.id().clone(),
        sequence,
        at: now(),
    }
}

pub(super) async fn send_notice(
    attacker: &MaliciousPeer,
    target: &InProcessNode,
    notice: Signed<Notice>,
) -> NoticeReply {
    attacker
        .request(target, NOTICE, &NoticeFrame { notice })
        .await
        .expect("every notice is answered")
}

/// What a notice did, as acknowledged.
async fn effect(attacker: &MaliciousPeer, target: &InProcessNode, notice: &Signed<Notice>) -> NoticeEffect {
    match send_notice(attacker, target, notice.clone()).await {
        NoticeReply::Acknowledged(answer) => answer.peek_unverified().unwrap().effect,
        NoticeReply::Refused(refusal) => panic!("{refusal:?}"),
    }
}

async fn refused(attacker: &MaliciousPeer, target: &InProcessNode, notice: Signed<Notice>) {
    let reply = attacker
        .request::<NoticeReply>(target, NOTICE, &NoticeFrame { notice })
        .await;
    assert!(
        !matches!(reply, Ok(NoticeReply::Acknowledged(_))),
        "the notice was accepted"
    );
}

pub(super) async fn effective_state(target: &InProcessNode, grant: &GrantId) -> Effective {
    target.node.grants().get(grant).await.unwrap().effective(now())
}
