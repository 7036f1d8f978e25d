//! Notices about grants, from those who may not send them.

use concordat_protocol::grant::{Effective, GrantEvent, Notice};
use concordat_protocol::ids::GrantId;
use concordat_protocol::signed::Signed;
use concordat_protocol::text::Reason;
use concordat_protocol::wire::messages::{NoticeFrame, NoticeReply};
use libp2p::StreamProtocol;

use super::deal::{between_friends, change, given, granted};
use super::honest::{House, World};
use super::rogue::{Rogue, now, sign};

const NOTICE: StreamProtocol = StreamProtocol::new("/concordat/notice/1");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_but_the_parties_can_end_a_grant() {
    let world = World::met().await;
    let (rogue, provider) = (&world.rogue, &world.provider);
    let grant = between_friends(&world).await;
    for event in [GrantEvent::Relinquish, GrantEvent::Suspend, GrantEvent::Revoke] {
        let own_name = notice(&world, provider, grant, event, 1);
        let their_name = Notice {
            from: world.friend.id().clone(),
            ..own_name.clone()
        };
        for lie in [own_name, their_name] {
            refused(rogue, provider, sign(&lie, &rogue.node)).await;
        }
        // Truly signed by the consumer, but sent by somebody else.
        let true_one = Notice {
            from: world.friend.id().clone(),
            ..notice(&world, provider, grant, event, 1)
        };
        refused(rogue, provider, sign(&true_one, &world.friend.node.identity().node_key)).await;
    }
    assert_eq!(standing(provider, &grant).await, Effective::Active);
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_can_give_a_grant_back_but_neither_stop_nor_revive_it() {
    let world = World::met().await;
    let (rogue, provider) = (&world.rogue, &world.provider);
    let grant = granted(&world).await;
    change(provider, &grant, GrantEvent::Suspend).await;
    for event in [GrantEvent::Suspend, GrantEvent::Resume, GrantEvent::Revoke] {
        refused(
            rogue,
            provider,
            sign(&notice(&world, provider, grant, event, 1), &rogue.node),
        )
        .await;
    }
    assert_eq!(standing(provider, &grant).await, Effective::Suspended);
    let back = sign(&notice(&world, provider, grant, GrantEvent::Relinquish, 1), &rogue.node);
    assert!(matches!(
        tell(rogue, provider, back).await,
        NoticeReply::Acknowledged(_)
    ));
    assert_eq!(standing(provider, &grant).await, Effective::Relinquished);
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_revoked_stays_revoked_whatever_is_replayed() {
    let world = World::new().await;
    let (rogue, friend) = (&world.rogue, &world.friend);
    rogue.meet(friend).await;
    let grant = given(&world).await;
    let event = |event, sequence| sign(&notice(&world, friend, grant, event, sequence), &rogue.node);
    let (suspend, resume, revoke) = (
        event(GrantEvent::Suspend, 1),
        event(GrantEvent::Resume, 2),
        event(GrantEvent::Revoke, 3),
    );
    let late = Notice {
        at: now().plus_seconds(-3600),
        ..notice(&world, friend, grant, GrantEvent::Resume, 2)
    };

    taken(rogue, friend, &suspend).await;
    refused(rogue, friend, sign(&late, &rogue.node)).await;
    assert_eq!(standing(friend, &grant).await, Effective::Suspended);
    taken(rogue, friend, &resume).await;
    taken(rogue, friend, &revoke).await;
    for again in [
        &suspend,
        &resume,
        &event(GrantEvent::Resume, 4),
        &event(GrantEvent::Suspend, 5),
    ] {
        refused(rogue, friend, again.clone()).await;
        assert_eq!(standing(friend, &grant).await, Effective::Revoked);
    }
    // The same notice again is acknowledged again, because the acknowledgement may have been lost.
    taken(rogue, friend, &revoke).await;
    assert_eq!(standing(friend, &grant).await, Effective::Revoked);
    world.still_stands().await;
}

fn notice(world: &World, to: &House, grant: GrantId, event: GrantEvent, sequence: u32) -> Notice {
    let reason = Reason::new("because").unwrap();
    Notice {
        grant,
        event,
        reason,
        from: world.rogue.institution.clone(),
        to: to.id().clone(),
        sequence,
        at: now(),
    }
}

async fn tell(rogue: &Rogue, house: &House, notice: Signed<Notice>) -> NoticeReply {
    rogue
        .ask(house, NOTICE, &NoticeFrame { notice })
        .await
        .expect("every notice is answered")
}

async fn taken(rogue: &Rogue, house: &House, notice: &Signed<Notice>) {
    assert!(matches!(
        tell(rogue, house, notice.clone()).await,
        NoticeReply::Acknowledged(_)
    ));
}

async fn refused(rogue: &Rogue, house: &House, notice: Signed<Notice>) {
    let reply = rogue.ask::<NoticeReply>(house, NOTICE, &NoticeFrame { notice }).await;
    assert!(
        !matches!(reply, Ok(NoticeReply::Acknowledged(_))),
        "the notice was taken"
    );
}

async fn standing(house: &House, grant: &GrantId) -> Effective {
    house.node.grants().get(grant).await.unwrap().effective(now())
}
