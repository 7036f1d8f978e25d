//! How long a provider is waited for, and what ends the wait.

use super::*;

#[tokio::test]
async fn continuation_waits_for_a_limited_time() {
    let read = read([lost_after(3, 1)]).await;
    assert_interrupted(&read, 3, NotContinued::NotBack);
    assert!(read.queries > 3, "{} queries", read.queries);

    // The provider is busy for all that time.
    let busy = (0..1000).map(|_| Step::Refuse(RefusalCode::Busy));
    let read = read_from(&target(Tier::Records), [lost_after(3, 1)].into_iter().chain(busy)).await;
    assert!(
        matches!(read.end, Err(FederationError::Refused { .. })),
        "{:?}",
        read.end
    );
}

#[tokio::test]
async fn continuation_ends_with_the_time_for_the_answer() {
    let provider = Provider::new([lost_after(3, 1)]);
    let (continuation, _, _) = continuation(&provider);
    let continuation = Continuation {
        times: ReconnectTimes {
            first_interval: Duration::from_secs(3600),
            reconnect: Duration::from_secs(3600),
            continuation: Duration::from_millis(20),
            ..SOON
        },
        ..continuation
    };
    let answer = opened(&provider, &target(Tier::Records), continuation).await;
    let read = answer.batches.try_collect::<Vec<_>>();
    let ended = tokio::time::timeout(Duration::from_secs(60), read).await.unwrap();
    let Err(FederationError::Interrupted { reason, .. }) = ended else {
        panic!("{ended:?}")
    };
    assert_eq!(reason, NotContinued::NotBack);
}

/// An answer that waits for its provider after three rows: in a pause, or in an attempt.
async fn waiting(steps: [Step; 2]) -> (Answer, Arc<Provider>, CancellationToken) {
    let provider = Provider::new(steps);
    let (continuation, _, stopping) = continuation(&provider);
    let hour = Duration::from_secs(3600);
    let continuation = Continuation {
        times: ReconnectTimes {
            first_interval: hour,
            max_interval: hour,
            reconnect: hour,
            continuation: hour,
        },
        ..continuation
    };
    let mut answer = opened(&provider, &target(Tier::Records), continuation).await;
    for _ in 0..3 {
        answer.batches.try_next().await.unwrap().unwrap();
    }
    let next = tokio::time::timeout(Duration::from_millis(50), answer.batches.next());
    assert!(next.await.is_err(), "it waits");
    assert_eq!(provider.queries(), 2);
    (answer, provider, stopping)
}

#[tokio::test]
async fn continuation_ends_with_its_reader() {
    for step in [Step::Silence, Step::Hang] {
        let (answer, provider, _) = waiting([lost_after(3, 1), step]).await;
        assert!(Arc::strong_count(&provider) > 1);
        drop(answer);
        let ended = async {
            while Arc::strong_count(&provider) > 1 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap();
    }
}

#[tokio::test]
async fn continuation_ends_when_this_node_stops() {
    for step in [Step::Silence, Step::Hang] {
        let (mut answer, _, stopping) = waiting([lost_after(3, 1), step]).await;
        stopping.cancel();
        let next = tokio::time::timeout(Duration::from_secs(10), answer.batches.try_next());
        let Err(FederationError::Interrupted { rows, reason, .. }) = next.await.unwrap() else {
            panic!("it did not end")
        };
        assert_eq!((rows, reason), (3, NotContinued::Stopping));
    }
}

#[test]
fn continuation_queries_on_the_runtime_of_the_network() {
    let runtime = |name: &str| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder
            .worker_threads(1)
            .thread_name(name)
            .enable_all()
            .build()
            .unwrap()
    };
    let (network, engine) = (runtime("network"), runtime("engine"));
    let provider = Provider::new([lost_after(3, 1), Step::Silence, whole(2)]);
    let (continuation, _, _) = continuation(&provider);
    let of_network = Arc::clone(&provider);
    let opening = network.spawn(async move { opened(&of_network, &target(Tier::Records), continuation).await });
    let answer = network.block_on(opening).unwrap();
    let reading = engine.spawn(answer.batches.try_collect::<Vec<_>>());
    let batches = engine.block_on(reading).unwrap().unwrap();
    assert_eq!(
        lines(&concat_batches(&table().schema(), &batches).unwrap()),
        lines(&table())
    );
    let threads = provider.threads.lock().unwrap().clone();
    assert_eq!(threads, vec![Some("network".to_owned()); 3]);
}
