//! A malicious provider that offers receipts later which were not signed at once.

use concordat_protocol::ids::Digest32;
use concordat_protocol::query::Receipt;
use concordat_protocol::signed::CoSigned;
use concordat_protocol::wire::messages::{
    Countersignature, QueryOpening, ReceiptReply, ReceiptRequest, Refusal, RefusalCode, Reply,
};
use concordat_protocol::wire::streams::RECEIPT;
use libp2p_stream::IncomingStreams;

use super::answers::{Exchange, ProviderFixture};
use super::malicious_peer::{MaliciousPeer, Wire};

/// Ends a query of the member with `end`, and offers receipts about it later. Returns those that the member signed.
async fn signed_later(
    fixture: &mut ProviderFixture,
    requests: &mut IncomingStreams,
    end: impl AsyncFnOnce(&MaliciousPeer, Exchange) -> Vec<Receipt>,
) -> Vec<Receipt> {
    let mut offered = Vec::new();
    let respond = async |attacker: &MaliciousPeer, exchange: Exchange| {
        offered = end(attacker, exchange).await;
    };
    fixture.answer_with(respond).await.expect_err("the query fails");
    let mut signed = Vec::new();
    let respond = async |attacker: &MaliciousPeer, mut exchange: Exchange| {
        let refusal = Refusal::because(RefusalCode::CountersignFirst, "sign first");
        exchange.stream.send(&QueryOpening::Refused(refusal)).await.unwrap();
        let (_, mut stream) = Wire::next(requests).await;
        let ReceiptRequest {} = stream.recv().await.unwrap();
        let sign = |receipt: &Receipt| {
            CoSigned::propose(receipt)
                .unwrap()
                .add_signature(&attacker.node)
                .unwrap()
        };
        let receipts = offered.iter().map(sign).collect();
        stream.send(&ReceiptReply { receipts }).await.unwrap();
        while let Ok(Countersignature { receipt, .. }) = stream.recv().await {
            signed.push(receipt.peek_unverified().unwrap());
            // If it accepted one, it would be queried once more.
            let refusal = Refusal::because(RefusalCode::Invalid, "no such receipt waits");
            stream.send(&Reply::Refused(refusal)).await.unwrap();
        }
    };
    fixture.answer_with(respond).await.expect_err("it is not answered");
    signed
}

/// The end marker of a stream of rows.
const END: usize = 8;

/// Makes a receipt false.
type Forge = fn(&mut Receipt);

/// What a receipt states falsely.
const FORGERIES: [(&str, Forge); 5] = [
    ("more rows", |receipt| receipt.rows += 1),
    ("fewer rows", |receipt| receipt.rows -= 1),
    ("more bytes", |receipt| receipt.bytes += 1),
    ("fewer bytes", |receipt| receipt.bytes -= 1),
    ("another answer", |receipt| receipt.answer = Digest32::ZERO),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipt_that_was_refused_is_not_signed_later() {
    let mut fixture = ProviderFixture::new().await;
    let mut requests = fixture.world.attacker.accept(RECEIPT);
    let chunks = fixture.truth.chunks.clone();
    for (what, forge) in FORGERIES {
        let mut truth = None;
        let end = async |attacker: &MaliciousPeer, mut exchange: Exchange| {
            let receipt = exchange.receipt(&chunks);
            let mut forged = receipt.clone();
            forge(&mut forged);
            exchange.open().await;
            exchange.rows(&chunks).await;
            exchange.close(attacker, &forged, None).await;
            assert!(exchange.stream.is_dropped().await, "{what} was signed at once");
            truth = Some(receipt.clone());
            vec![forged, receipt]
        };
        let signed = signed_later(&mut fixture, &mut requests, end).await;
        assert_eq!(signed, Vec::from_iter(truth), "{what}");
    }
    fixture.world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipt_of_a_refused_query_is_signed_for_nothing() {
    let mut fixture = ProviderFixture::new().await;
    let mut requests = fixture.world.attacker.accept(RECEIPT);
    let chunks = fixture.truth.chunks.clone();
    let failed = |receipt: Receipt| Receipt {
        outcome: concordat_protocol::query::Outcome::Failed,
        ..receipt
    };
    let end = async |_: &MaliciousPeer, mut exchange: Exchange| {
        let refusal = Refusal::because(RefusalCode::Denied, "not today");
        exchange.stream.send(&QueryOpening::Refused(refusal)).await.unwrap();
        let one_row = Receipt {
            rows: 1,
            ..exchange.receipt(&[])
        };
        vec![
            exchange.receipt(&chunks),
            failed(exchange.receipt(&chunks)),
            failed(one_row),
        ]
    };
    let signed = signed_later(&mut fixture, &mut requests, end).await;
    assert!(signed.is_empty(), "{signed:?}");
    fixture.world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipt_of_half_an_answer_is_never_signed_as_complete() {
    let mut fixture = ProviderFixture::new().await;
    let mut requests = fixture.world.attacker.accept(RECEIPT);
    let mut rows = fixture.truth.chunks.concat();
    rows.truncate(rows.len() - END);
    // What follows the rows is not a message, so that the member ends the query.
    let sent = [rows, vec![0xab; 64]];
    let mut truth = None;
    let end = async |_: &MaliciousPeer, mut exchange: Exchange| {
        exchange.open().await;
        for chunk in &sent {
            // The last confirmation may not arrive any more.
            let _ = exchange.stream.chunk(chunk).await;
        }
        let complete = exchange.receipt(&sent);
        let failed = Receipt {
            outcome: concordat_protocol::query::Outcome::Failed,
            ..complete.clone()
        };
        let fewer = Receipt {
            outcome: concordat_protocol::query::Outcome::Failed,
            ..exchange.receipt(&sent[..1])
        };
        truth = Some(failed.clone());
        vec![complete, fewer, failed]
    };
    let signed = signed_later(&mut fixture, &mut requests, end).await;
    assert_eq!(signed, Vec::from_iter(truth));
    fixture.world.assert_still_serving().await;
}
