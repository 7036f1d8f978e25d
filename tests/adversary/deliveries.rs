//! Each message of a negotiation is in flight only once, whatever triggers its sending.

use std::time::Duration;

use concordat_node::negotiation::Restriction;
use concordat_protocol::audit::LedgerProof;
use concordat_protocol::ids::NegotiationId;
use concordat_protocol::negotiation::ConsumerNegotiation;
use concordat_protocol::wire::messages::{NegotiationFrame, Reply};
use concordat_tests::tester;
use futures::StreamExt;
use libp2p_stream::IncomingStreams;

use super::malicious_peer::{Wire, empty_ledger, now, soon};
use super::negotiation_fixture::{NEGOTIATION, next_message, send_message};
use super::well_behaved::{World, nameless, scope, why};

/// How long no message may arrive: far longer than a message takes.
const QUIET: Duration = Duration::from_secs(2);

async fn is_quiet(incoming: &mut IncomingStreams) -> bool {
    tokio::time::timeout(QUIET, incoming.next()).await.is_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_is_sent_once_however_often_the_peer_repeats_itself() {
    let world = World::connected().await;
    let (attacker, provider) = (&world.attacker, &world.provider);
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
    let (by, whole) = (tester(), Restriction::default());
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
    let (attacker, member) = (&world.attacker, &world.member);
    let mut incoming = attacker.accept(NEGOTIATION);
    attacker.dial(member).await.unwrap();
    let by = tester();
    let meeting = async {
        let begun = async {
            while member.negotiations().await == 0 {
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
