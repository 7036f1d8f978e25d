//! How much a member can make others store and record with negotiations and notices.

use std::collections::BTreeMap;
use std::time::Duration;

use concordat_protocol::grant::{Effective, GrantEvent};
use concordat_protocol::ids::{ColumnName, NegotiationId};
use concordat_protocol::negotiation::ConsumerNegotiation;
use concordat_protocol::scope::{Columns, Constraint, Datasets, Rows, Scope, Transform, Value, Values};
use concordat_protocol::text::Reason;
use concordat_protocol::wire::messages::{NoticeReply, RefusalCode, Reply};
use futures::StreamExt;

use super::malicious_peer::{now, sign};
use super::negotiation::request;
use super::negotiation_fixture::{granted_to_member, send_message};
use super::notices::{effective_state, notice, send_notice};
use super::well_behaved::{InProcessNode, World, nameless, why, wide};

/// Entries that a ledger may have besides those of a test, from its connections.
const OTHER_ENTRIES: u64 = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_flood_is_refused_before_it_fills_the_node() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let mut accepted = 0;
    let mut last = None;
    for number in 0..=u8::MAX {
        let message = sign(&request(&world, number, wide(provider)), &attacker.node);
        match send_message(attacker, provider, message).await {
            Reply::Accepted => accepted += 1,
            Reply::Refused(refusal) => last = Some(refusal.code),
        }
    }
    assert_eq!(last, Some(RefusalCode::Busy), "{accepted} requests were accepted");
    assert_eq!(provider.negotiations(), accepted);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_sent_in_parallel_do_not_exceed_the_limit() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let requests = (0..96).map(|number| {
        let message = sign(&request(&world, number, wide(provider)), &attacker.node);
        send_message(attacker, provider, message)
    });
    let replies: Vec<Reply> = futures::stream::iter(requests).buffer_unordered(8).collect().await;
    let accepted = replies.iter().filter(|reply| **reply == Reply::Accepted).count();
    assert_eq!((accepted, provider.negotiations()), (64, 64));
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_many_bytes_are_refused_before_usual_ones() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let mut accepted = 0;
    let refused = loop {
        let message = sign(&request(&world, accepted, long(provider)), &attacker.node);
        match send_message(attacker, provider, message).await {
            Reply::Accepted => accepted += 1,
            Reply::Refused(refusal) => break refusal,
        }
    };
    // 8 MiB; more than sixty would be open.
    assert!((38..48).contains(&accepted), "{accepted}");
    let rule = refused.reasons.first().and_then(|reason| reason.rule.as_deref());
    assert_eq!(
        (refused.code, rule),
        (RefusalCode::Busy, Some("negotiation-bytes-a-day"))
    );
    let usual = sign(&request(&world, accepted, wide(provider)), &attacker.node);
    assert_eq!(send_message(attacker, provider, usual).await, Reply::Accepted);
    world.assert_still_serving().await;
}

/// A request of about 200 KB.
fn long(target: &InProcessNode) -> Scope {
    let values = (0..800).map(|number| Value::Text(format!("{number:0>250}"))).collect();
    let coded = Constraint::new(Values::Set(values), false).unwrap();
    let sex: ColumnName = "sex".parse().unwrap();
    let columns = [(sex.clone(), Transform::Clear)];
    Scope {
        datasets: Datasets::one(
            "heart".parse().unwrap(),
            Columns::new(columns).unwrap(),
            Rows::new(BTreeMap::from([(sex, coded)])).unwrap(),
        ),
        ..wide(target)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_begun_and_ended_at_once_are_bounded() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let before = provider.node.ledger().size();
    let mut begun = 0;
    let mut refused = None;
    for number in 0..=u8::MAX {
        let id = NegotiationId::from_bytes([number; 16]);
        let parties = world.attacker_as_consumer();
        let scope = nameless(provider);
        let sent = ConsumerNegotiation::request(id, &parties, scope, why(), &attacker.node, now()).unwrap();
        if let Reply::Refused(refusal) = send_message(attacker, provider, sent.message).await {
            refused = Some(refusal.code);
            break;
        }
        begun += 1;
        let reason = Reason::new("not needed").unwrap();
        let end = sent.next.terminate(reason, &attacker.node, now()).unwrap();
        // The second one ends nothing. It is acknowledged, because the first acknowledgment may have been lost.
        for _ in 0..2 {
            let reply = send_message(attacker, provider, end.message.clone()).await;
            assert_eq!(reply, Reply::Accepted);
        }
    }
    assert_eq!((begun, refused), (128, Some(RefusalCode::Busy)));
    assert_eq!(provider.negotiations(), 0, "a withdrawn request is still stored");
    let entries = provider.node.ledger().size() - before;
    assert!(entries <= 2 * begun + OTHER_ENTRIES, "{entries} entries");
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_that_alternate_add_a_bounded_number_of_entries() {
    let world = World::new().await;
    let attacker = &world.attacker;
    let member = &world.member;
    attacker.meet(member).await;
    let grant = granted_to_member(&world).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = member.node.ledger().size();
    let mut number = 0;
    let mut resumed = 0;
    let mut send = async |event| {
        number += 1;
        let signed = sign(&notice(&world, member, grant, event, number), &attacker.node);
        send_notice(attacker, member, signed).await
    };
    for _ in 0..40 {
        assert!(matches!(send(GrantEvent::Suspend).await, NoticeReply::Acknowledged(_)));
        match send(GrantEvent::Resume).await {
            NoticeReply::Acknowledged(_) => resumed += 1,
            NoticeReply::Refused(refusal) => assert_eq!(refusal.code, RefusalCode::Busy),
        }
    }
    assert_eq!(resumed, 8);
    assert_eq!(effective_state(member, &grant).await, Effective::Suspended);
    let entries = member.node.ledger().size() - before;
    assert!(entries <= 2 * resumed + 1 + OTHER_ENTRIES, "{entries} entries");
    assert!(matches!(send(GrantEvent::Revoke).await, NoticeReply::Acknowledged(_)));
    assert_eq!(effective_state(member, &grant).await, Effective::Revoked);
    world.assert_still_serving().await;
}
