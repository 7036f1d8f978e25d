//! Queries, signatures and heads of ledgers that would make the provider's evidence invalid later.

use concordat_protocol::wire::streams::RECEIPT;
use std::collections::BTreeSet;

use concordat_keys::Secret;
use concordat_node::{Actor, receipt};
use concordat_protocol::audit::EntryBody;
use concordat_protocol::ids::QueryId;
use concordat_protocol::query::{Receipt, Role, ValidEvidence};
use concordat_protocol::signed::CoSigned;
use concordat_protocol::wire::messages::{Countersignature, ReceiptReply, ReceiptRequest, Reply};
use concordat_tests::tester;

use super::evidence::query_without_signing;
use super::malicious_peer::{MaliciousPeer, Wire, empty_ledger, now};
use super::negotiation_fixture::granted;
use super::queries::{envelope, send_query};
use super::well_behaved::{InProcessNode, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_of_an_old_query_is_valid_at_its_provider() {
    let world = World::connected().await;
    let grant = granted(&world).await;
    let auditor = auditor(&world.provider).await;
    // The provider dates its own certificate at the decision.
    for age in [0, -100, 150] {
        let query = envelope(&world, grant, |q| q.sent_at = now().plus_seconds(-age), |_| ());
        let id = query.peek_unverified().unwrap().query;
        let answered = send_query(&world.attacker, &world.provider, query).await;
        assert!(answered.is_ok(), "{age}");
        let shown = shown_evidence(&world.provider, &auditor, id).await;
        assert!(shown.countersigned, "{age}");
    }
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn countersignature_of_another_node_is_refused() {
    let world = World::new().await;
    let first = &world.attacker;
    let provider = &world.provider;
    let second = first.beside(60);
    let both = first.enrolment_beside(&second);
    let admitted = provider.node.membership().admit(both.as_bytes(), &tester()).await;
    admitted.unwrap();
    first.meet(provider).await;
    let grant = granted(&world).await;
    for _ in 0..3 {
        assert!(query_without_signing(&world, grant).await);
    }
    second.meet(provider).await;
    let head = |node: &MaliciousPeer| empty_ledger(&first.institution, &node.node);
    let signed = |receipt: &CoSigned<Receipt>, signer: &MaliciousPeer, shown: &MaliciousPeer| Countersignature {
        receipt: receipt.add_signature(&signer.node).unwrap(),
        ledger: head(shown),
    };

    // The node that did not send the query has both signatures of the one that did, or signs one of the two itself.
    let (mut stream, receipts) = waiting_receipts(&second, provider).await;
    assert_eq!(receipts.len(), 3);
    let receipt = &receipts[0];
    for (signer, shown) in [(first, first), (first, &second), (&second, &second)] {
        let reply = reply_to(&mut stream, &signed(receipt, signer, shown)).await;
        assert!(matches!(reply, Reply::Refused(_)), "{reply:?}");
    }
    // The node that sent the query shows the head of the other one.
    let (mut stream, receipts) = waiting_receipts(first, provider).await;
    assert_eq!(receipts.len(), 3);
    let reply = reply_to(&mut stream, &signed(receipt, first, &second)).await;
    assert!(matches!(reply, Reply::Refused(_)), "{reply:?}");
    let valid = signed(receipt, first, first);
    assert_eq!(reply_to(&mut stream, &valid).await, Reply::Accepted);
    let query = receipt.peek_unverified().unwrap().query;
    let auditor = auditor(provider).await;
    assert!(shown_evidence(provider, &auditor, query).await.countersigned);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn countersignature_on_many_streams_is_entered_once() {
    const STREAMS: usize = 6;
    let world = World::connected().await;
    let grant = granted(&world).await;
    assert!(query_without_signing(&world, grant).await);
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        streams.push(waiting_receipts(&world.attacker, &world.provider).await);
    }
    let receipt = streams[0].1[0].clone();
    let signed = world
        .attacker
        .countersignature(receipt.add_signature(&world.attacker.node).unwrap());
    for (stream, receipts) in &mut streams {
        assert_eq!(*receipts, std::slice::from_ref(&receipt));
        stream.send(&signed).await.unwrap();
    }
    for (stream, _) in &mut streams {
        assert_eq!(stream.recv::<Reply>().await.unwrap(), Reply::Accepted);
    }
    let ledger = world.provider.node.ledger();
    let entries = ledger.range(0, ledger.size()).unwrap();
    let entered = entries
        .iter()
        .filter(|stored| matches!(stored.entry.body, EntryBody::ReceiptCountersigned { .. }));
    assert_eq!(entered.count(), 1);
    let auditor = auditor(&world.provider).await;
    let query = receipt.peek_unverified().unwrap().query;
    assert!(shown_evidence(&world.provider, &auditor, query).await.countersigned);
    world.assert_still_serving().await;
}

/// A stream on which `peer` has got the receipts that wait for a signature.
async fn waiting_receipts(peer: &MaliciousPeer, target: &InProcessNode) -> (Wire, Vec<CoSigned<Receipt>>) {
    let mut stream = peer.open(target, RECEIPT).await.unwrap();
    stream.send(&ReceiptRequest {}).await.unwrap();
    let ReceiptReply { receipts } = stream.recv().await.unwrap();
    (stream, receipts)
}

async fn reply_to(stream: &mut Wire, signed: &Countersignature) -> Reply {
    stream.send(signed).await.unwrap();
    stream.recv().await.unwrap()
}

/// The evidence as an auditor of `target` gives it to others, checked as they check it.
async fn shown_evidence(target: &InProcessNode, auditor: &Actor, query: QueryId) -> ValidEvidence {
    let bundle = receipt(&target.node, auditor, query.to_string()).await.unwrap();
    let text = serde_json::to_string(&bundle).unwrap();
    let read: concordat_protocol::query::EvidenceBundle = serde_json::from_str(&text).unwrap();
    read.check().unwrap()
}

async fn auditor(target: &InProcessNode) -> Actor {
    let node = target.node.clone();
    let work = move || {
        let password = Secret::from("correct horse battery staple".to_owned());
        let accounts = node.accounts();
        let now = now();
        accounts
            .add("anna", BTreeSet::from([Role::Auditor]), &password, now)
            .unwrap();
        node.sessions().login("anna", &password, now).unwrap().actor
    };
    tokio::task::spawn_blocking(work).await.unwrap()
}
