//! People whose account is disabled, or who log out, while the member works for them.

use std::time::Duration;

use concordat_node::{FederationError, Node, Question};
use concordat_protocol::error_kind::{ErrorKind, Explain};

use super::answers::{Exchange, ProviderFixture, SQL};
use super::malicious_peer::{Wire, soon};

/// How long an answer may go on, with the time in which what is in transit may arrive: less than a provider may be silent for.
const LIMIT: Duration = Duration::from_secs(18);

async fn within_limit<T>(ending: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, ending).await.expect("it ends in time")
}

fn disable(node: &Node) {
    let disabled = node.accounts().disabled("eva").unwrap();
    node.accounts().make(disabled).unwrap();
}

/// The provider leaves the stream open after the rows, so that only the member itself can end the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn running_answer_ends_when_its_account_is_disabled() {
    let ProviderFixture {
        world,
        eva,
        truth,
        mut incoming,
        ..
    } = ProviderFixture::new().await;
    let responding = async {
        let (_, stream) = Wire::next(&mut incoming).await;
        let mut exchange = Exchange::read(stream).await;
        exchange.open().await;
        // The answer is not read yet, so the later chunks might not be confirmed.
        exchange.stream.chunk(&truth.chunks[0]).await.unwrap();
        exchange
    };
    let question = Question::new(SQL);
    let querying = world.member.node.federation().query(&eva, &question);
    let (answer, exchange) = tokio::join!(querying, responding);
    let mut answer = answer.unwrap();
    disable(&world.member.node);
    let error = loop {
        match within_limit(answer.next()).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("the answer is complete"),
        }
    };
    assert!(matches!(error, FederationError::NotPermitted(_)), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    assert!(soon(answer.next()).await.is_none());
    drop((answer, exchange));
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn query_that_waits_ends_when_its_account_is_disabled() {
    let ProviderFixture {
        world,
        eva,
        mut incoming,
        ..
    } = ProviderFixture::new().await;
    let node = world.member.node.clone();
    // The provider reads the query and does not answer it.
    let responding = async {
        let (_, stream) = Wire::next(&mut incoming).await;
        let exchange = Exchange::read(stream).await;
        disable(&node);
        exchange
    };
    let question = Question::new(SQL);
    let querying = within_limit(world.member.node.federation().query(&eva, &question));
    let (answer, exchange) = tokio::join!(querying, responding);
    let error = answer.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    drop(exchange);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn query_of_a_disabled_account_is_not_signed_or_entered() {
    let ProviderFixture { world, eva, .. } = ProviderFixture::new().await;
    let node = &world.member.node;
    disable(node);
    let before = node.ledger().size();
    let error = node.federation().query(&eva, &Question::new(SQL)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    assert_eq!(node.ledger().size(), before);
    world.assert_still_serving().await;
}
