//! What is delivered: each message only once whatever triggers its sending, however late, and notices in order.

use concordat_protocol::wire::streams::{NEGOTIATION, NOTICE};
use std::time::Duration;

use concordat_network::Session;
use concordat_node::Restriction;
use concordat_protocol::audit::{EntryBody, LedgerProof};
use concordat_protocol::grant::{Acknowledgement, Effective, GrantEvent, NoticeEffect};
use concordat_protocol::ids::NegotiationId;
use concordat_protocol::negotiation::{Body, ConsumerNegotiation, StateName};
use concordat_protocol::text::Reason;
use concordat_protocol::wire::messages::{NegotiationFrame, NoticeFrame, NoticeReply, Refusal, RefusalCode, Reply};
use concordat_tests::tester;
use futures::{FutureExt, StreamExt};
use libp2p_stream::IncomingStreams;

use super::malicious_peer::{Wire, empty_ledger, now, sign, soon};
use super::negotiation::request;
use super::negotiation_fixture::{change, granted, next_message, send_message};
use super::notices::effective_state;
use super::well_behaved::{World, nameless, scope, why, wide};

/// How long no message may arrive: far longer than a message takes.
const QUIET: Duration = Duration::from_secs(2);
/// How soon what was not acknowledged is sent again, where a test is about that.
const RETRY: Duration = Duration::from_millis(500);

async fn is_quiet(incoming: &mut IncomingStreams) -> bool {
    tokio::time::timeout(QUIET, incoming.next()).await.is_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_is_sent_once_however_often_the_peer_repeats_itself() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let mut incoming = attacker.accept(NEGOTIATION);
    let id = NegotiationId::from_bytes([43; 16]);
    let requested = ConsumerNegotiation::request(
        id,
        &world.attacker_as_consumer(),
        nameless(provider),
        why(),
        &attacker.node,
        now(),
    )
    .unwrap();
    assert_eq!(
        send_message(attacker, provider, requested.message.clone()).await,
        Reply::Accepted
    );
    let by = tester();
    let whole = Restriction::default();
    let listening = async {
        let (_, mut stream) = Wire::next(&mut incoming).await;
        let _offer: NegotiationFrame = stream.recv().await.unwrap();
        // The offer is in flight and not acknowledged; a peer that repeats the request has not seen it.
        for _ in 0..3 {
            assert_eq!(
                send_message(attacker, provider, requested.message.clone()).await,
                Reply::Accepted
            );
        }
        assert!(is_quiet(&mut incoming).await, "the offer is in flight twice");
        stream.send(&Reply::Accepted).await.unwrap();
        assert!(
            is_quiet(&mut incoming).await,
            "a waiting sender repeats a message that was accepted"
        );
        // A repeated request is answered again.
        assert_eq!(
            send_message(attacker, provider, requested.message.clone()).await,
            Reply::Accepted
        );
        next_message(&mut incoming).await;
        assert!(is_quiet(&mut incoming).await, "one request has two answers");
    };
    let (made, ()) = tokio::join!(provider.node.negotiations().offer(&id, &whole, &by), listening);
    made.unwrap();
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_is_sent_once_while_the_hello_runs() {
    let world = World::new().await;
    let attacker = &world.attacker;
    let member = &world.member;
    let mut incoming = attacker.accept(NEGOTIATION);
    attacker.dial(member).await.unwrap();
    let by = tester();
    let meeting = async {
        let begun = async {
            while member.negotiations() == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        soon(begun).await;
        let proof = LedgerProof {
            head: empty_ledger(&attacker.institution, &attacker.node),
            paths: Vec::new(),
        };
        let hello = attacker.hello(member, |_| (), |_| ());
        attacker.send_hello(member, &hello, &proof).await.unwrap();
        next_message(&mut incoming).await;
        assert!(is_quiet(&mut incoming).await, "the request is sent twice");
    };
    let requested = scope(&attacker.institution);
    let (made, ()) = tokio::join!(member.node.negotiations().request(requested, why(), &by), meeting);
    made.unwrap();
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_that_waited_for_a_week_is_accepted() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let mut late = request(&world, 1, wide(provider));
    late.sent_at = now().plus_seconds(-7 * 86_400);
    let reply = send_message(attacker, provider, sign(&late, &attacker.node)).await;
    assert_eq!(reply, Reply::Accepted);
    world.assert_still_serving().await;
}

/// A session can outlast the restart of the peer, so that no new connection triggers the delivery of what was lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_lost_within_a_session_is_sent_again() {
    let world = World::retrying(RETRY).await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    attacker.meet(provider).await;
    let session = || {
        let sessions = provider.node.network().sessions();
        let session = sessions.borrow().get(&attacker.id()).map(Session::number);
        session.expect("the attacker is connected")
    };
    let before = session();
    let mut incoming = attacker.accept(NEGOTIATION);
    let id = NegotiationId::from_bytes([44; 16]);
    let parties = world.attacker_as_consumer();
    let scope = nameless(provider);
    let requested = ConsumerNegotiation::request(id, &parties, scope, why(), &attacker.node, now()).unwrap();
    assert_eq!(
        send_message(attacker, provider, requested.message).await,
        Reply::Accepted
    );
    let by = tester();
    let whole = Restriction::default();
    let losing = async {
        let (_, mut stream) = Wire::next(&mut incoming).await;
        let offer: NegotiationFrame = stream.recv().await.unwrap();
        // The stream ends without an answer.
        offer.message
    };
    let (made, lost) = tokio::join!(provider.node.negotiations().offer(&id, &whole, &by), losing);
    assert_eq!(made.unwrap().state, StateName::Offered);
    assert_eq!(next_message(&mut incoming).await, lost);
    assert!(is_quiet(&mut incoming).await, "an accepted message is sent again");
    assert_eq!(session(), before, "the attacker has connected again");
    world.assert_still_serving().await;
}

/// As when a client closes its connection while its request is handled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn change_whose_caller_goes_away_is_complete() {
    let world = World::retrying(RETRY).await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    attacker.meet(provider).await;
    let grant = granted(&world).await;
    let mut incoming = attacker.accept(NOTICE);
    let before = provider.node.ledger().size();
    let by = tester();
    let revoked = async {
        while effective_state(provider, &grant).await != Effective::Revoked {
            let negotiations = provider.node.negotiations();
            let reason = Reason::new("a test").unwrap();
            // Polled once: the change has begun, unless the grant was locked at this moment.
            drop(
                negotiations
                    .change_grant(&grant, GrantEvent::Revoke, reason, &by)
                    .now_or_never(),
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    soon(revoked).await;
    let (_, mut stream) = Wire::next(&mut incoming).await;
    let NoticeFrame { notice } = stream.recv().await.unwrap();
    assert_eq!(notice.peek_unverified().unwrap().event, GrantEvent::Revoke);
    let entries = provider.node.ledger().range(before, u64::MAX).unwrap();
    let count =
        |is_counted: fn(&EntryBody) -> bool| entries.iter().filter(|stored| is_counted(&stored.entry.body)).count();
    assert_eq!(count(|body| matches!(body, EntryBody::GrantChanged { .. })), 1);
    assert_eq!(count(|body| matches!(body, EntryBody::ChangeNotMade { .. })), 0);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_refused_on_delivery_is_ended() {
    let world = World::new().await;
    let attacker = &world.attacker;
    let member = &world.member;
    let negotiations = member.node.negotiations();
    let waiting = negotiations
        .request(scope(&attacker.institution), why(), &tester())
        .await;
    let id = waiting.unwrap().id;
    let mut incoming = attacker.accept(NEGOTIATION);
    attacker.meet(member).await;
    let (_, mut stream) = Wire::next(&mut incoming).await;
    let _request: NegotiationFrame = stream.recv().await.unwrap();
    let refusal = Refusal::because(RefusalCode::NotFound, "there is no dataset `zurich.heart`");
    stream.send(&Reply::Refused(refusal)).await.unwrap();
    let end = next_message(&mut incoming).await.peek_unverified().unwrap();
    assert!(matches!(end.body, Body::Terminate { .. }), "{end}");
    assert_eq!(negotiations.show(&id).await.unwrap().state, StateName::Terminated);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notice_that_was_refused_is_sent_before_the_next() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let grant = granted(&world).await;
    let mut incoming = attacker.accept(NOTICE);
    let refuse = async {
        let (_, mut stream) = Wire::next(&mut incoming).await;
        let NoticeFrame { notice } = stream.recv().await.unwrap();
        let refusal = Refusal::because(RefusalCode::Failed, "the disk is full");
        stream.send(&NoticeReply::Refused(refusal)).await.unwrap();
        notice
    };
    let ((), first) = tokio::join!(change(provider, &grant, GrantEvent::Suspend), refuse);
    let acknowledge = async {
        let mut numbers = Vec::new();
        for _ in 0..2 {
            let (node, mut stream) = Wire::next(&mut incoming).await;
            let NoticeFrame { notice } = stream.recv().await.unwrap();
            let verified = notice.verify(node).unwrap();
            numbers.push(verified.document().sequence);
            let answer = Acknowledgement {
                notice: verified.digest(),
                by: attacker.institution.clone(),
                effect: NoticeEffect::Applied,
                at: now(),
            };
            let reply = NoticeReply::Acknowledged(sign(&answer, &attacker.node));
            stream.send(&reply).await.unwrap();
        }
        numbers
    };
    let ((), numbers) = tokio::join!(change(provider, &grant, GrantEvent::Resume), acknowledge);
    assert_eq!((first.peek_unverified().unwrap().sequence, numbers), (1, vec![1, 2]));
    world.assert_still_serving().await;
}
