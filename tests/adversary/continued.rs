//! A provider that loses the connection after rows have arrived, and what it can do with the query that follows.

use std::sync::atomic::{AtomicUsize, Ordering};

use concordat_node::FederationError;
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::grant::GrantEvent;
use concordat_protocol::text::Reason;
use concordat_protocol::wire::messages::Countersignature;
use concordat_tests::tester;

use super::answers::{Exchange, ProviderFixture};
use super::malicious_peer::{MaliciousPeer, Wire};
use super::well_behaved::SUBJECTS;

/// The end marker of a stream of rows.
const END: usize = 8;

/// Sends all rows and loses the connection before the receipt.
async fn rows_only(mut exchange: Exchange, chunks: &[Vec<u8>]) {
    exchange.open().await;
    exchange.rows(chunks).await;
}

/// Sends a whole answer; what the member signs, if it does.
async fn whole(attacker: &MaliciousPeer, again: Wire, chunks: &[Vec<u8>]) -> Option<Countersignature> {
    let mut exchange = Exchange::read(again).await;
    exchange.open().await;
    exchange.rows(chunks).await;
    let receipt = exchange.receipt(chunks);
    exchange.close(attacker, &receipt, None).await;
    exchange.stream.recv().await.ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn continued_answer_with_the_same_rows_is_accepted() {
    let mut fixture = ProviderFixture::new().await;
    let chunks = fixture.truth.chunks.clone();
    let answered = fixture.answer_each_with(
        async |_: &MaliciousPeer, exchange: Exchange| rows_only(exchange, &chunks).await,
        async |attacker: &MaliciousPeer, again: Wire| {
            let signed = whole(attacker, again, &chunks).await;
            signed.expect("the member signs a true receipt");
        },
    );
    assert_eq!(answered.await.unwrap(), SUBJECTS, "each row is there once");
    fixture.world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn continued_answer_with_other_rows_is_refused() {
    let mut fixture = ProviderFixture::new().await;
    let chunks = fixture.truth.chunks.clone();
    // The last value of the last row is one more.
    let mut bytes = chunks.concat();
    let at = bytes.len() - END - size_of::<i64>();
    let value = i64::from_le_bytes(bytes[at..at + size_of::<i64>()].try_into().unwrap());
    assert!((1..10_000).contains(&value), "{value} is not a value of the cohort");
    bytes[at..at + size_of::<i64>()].copy_from_slice(&(value + 1).to_le_bytes());
    let others = [bytes];
    let answered = fixture.answer_each_with(
        async |_: &MaliciousPeer, exchange: Exchange| rows_only(exchange, &chunks).await,
        async |attacker: &MaliciousPeer, again: Wire| drop(whole(attacker, again, &others).await),
    );
    let error = answered.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    let all = SUBJECTS as u64;
    assert!(
        matches!(error, FederationError::Interrupted { rows, .. } if rows == all),
        "{error:?}"
    );
    fixture.world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn query_is_not_sent_again_for_a_disabled_account() {
    let mut fixture = ProviderFixture::new().await;
    let chunks = fixture.truth.chunks.clone();
    let node = fixture.world.member.node.clone();
    let attempts = AtomicUsize::new(0);
    let answered = fixture.answer_each_with(
        async |_: &MaliciousPeer, mut exchange: Exchange| {
            exchange.open().await;
            exchange.rows(&chunks).await;
            let disabled = node.accounts().disabled("eva").unwrap();
            node.accounts().make(disabled).unwrap();
        },
        async |_: &MaliciousPeer, again: Wire| {
            attempts.fetch_add(1, Ordering::Relaxed);
            drop(again);
        },
    );
    let error = answered.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    assert_eq!(attempts.load(Ordering::Relaxed), 0);
    fixture.world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn query_is_not_sent_again_under_an_ended_grant() {
    let mut fixture = ProviderFixture::new().await;
    let chunks = fixture.truth.chunks.clone();
    let grant = fixture.grant;
    let node = fixture.world.member.node.clone();
    let attempts = AtomicUsize::new(0);
    let answered = fixture.answer_each_with(
        async |_: &MaliciousPeer, exchange: Exchange| rows_only(exchange, &chunks).await,
        async |_: &MaliciousPeer, again: Wire| {
            attempts.fetch_add(1, Ordering::Relaxed);
            let reason = Reason::new("a test").unwrap();
            let negotiations = node.negotiations();
            let by = tester();
            let ended = negotiations.change_grant(&grant, GrantEvent::Relinquish, reason, &by);
            ended.await.unwrap();
            drop(again);
        },
    );
    let error = answered.await.unwrap_err();
    assert!(matches!(error, FederationError::Refused { .. }), "{error:?}");
    assert_eq!(attempts.load(Ordering::Relaxed), 1);
    fixture.world.assert_still_serving().await;
}
