//! Messages of negotiations are on their way once, whoever wants to send them.

use std::time::Duration;

use concordat_node::negotiation::Restriction;
use concordat_protocol::audit::LedgerProof;
use concordat_protocol::ids::NegotiationId;
use concordat_protocol::negotiation::ConsumerNegotiation;
use concordat_protocol::wire::messages::{NegotiationFrame, Reply};
use concordat_tests::tester;
use futures::StreamExt;
use libp2p_stream::IncomingStreams;

use super::deal::{NEGOTIATION, hear, say};
use super::honest::{World, nameless, scope, why};
use super::rogue::{Wire, empty_ledger, now, soon};

/// How long nothing may come: far longer than a message takes.
const QUIET: Duration = Duration::from_secs(2);

async fn is_quiet(incoming: &mut IncomingStreams) -> bool {
    tokio::time::timeout(QUIET, incoming.next()).await.is_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_is_sent_once_however_often_the_peer_repeats_itself() {
    let world = World::met().await;
    let (rogue, provider) = (&world.rogue, &world.provider);
    let mut incoming = rogue.accept(NEGOTIATION);
    let id = NegotiationId::from_bytes([43; 16]);
    let asked =
        ConsumerNegotiation::request(id, &world.asking(), nameless(provider), why(), &rogue.node, now()).unwrap();
    assert_eq!(say(rogue, provider, asked.message.clone()).await, Reply::Taken);
    let (by, whole) = (tester(), Restriction::default());
    let listening = async {
        let (_, mut stream) = Wire::next(&mut incoming).await;
        let _offer: NegotiationFrame = stream.recv().await.unwrap();
        // The offer is on its way and not acknowledged; whoever repeats the request has not seen it.
        for _ in 0..3 {
            assert_eq!(say(rogue, provider, asked.message.clone()).await, Reply::Taken);
        }
        assert!(is_quiet(&mut incoming).await, "the offer is on its way twice");
        stream.send(&Reply::Taken).await.unwrap();
        assert!(is_quiet(&mut incoming).await, "whoever waited sends what was taken");
        // Whoever asks once more is answered once more.
        assert_eq!(say(rogue, provider, asked.message.clone()).await, Reply::Taken);
        hear(&mut incoming).await;
        assert!(is_quiet(&mut incoming).await, "one question has two answers");
    };
    let (made, ()) = tokio::join!(provider.node.negotiations().offer(&id, &whole, &by), listening);
    made.unwrap();
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_is_sent_once_while_the_hello_runs() {
    let world = World::new().await;
    let (rogue, friend) = (&world.rogue, &world.friend);
    let mut incoming = rogue.accept(NEGOTIATION);
    rogue.dial(friend).await.unwrap();
    let by = tester();
    let meeting = async {
        let begun = async {
            while friend.negotiations().await == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        soon(begun).await;
        let proof = LedgerProof {
            head: empty_ledger(&rogue.institution, &rogue.node),
            paths: Vec::new(),
        };
        let hello = rogue.hello(friend, |_| (), |_| ());
        rogue.greet(friend, &hello, &proof).await.unwrap();
        hear(&mut incoming).await;
        assert!(is_quiet(&mut incoming).await, "the request is sent twice");
    };
    let wish = scope(&rogue.institution);
    let (made, ()) = tokio::join!(friend.node.negotiations().request(wish, why(), &by), meeting);
    made.unwrap();
    world.still_stands().await;
}
