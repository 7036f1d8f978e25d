use concordat_protocol::time::Timestamp;

use super::*;

fn institution(name: &str) -> Party {
    Party::Institution(name.parse().unwrap())
}

async fn busy_for(limits: &ConcurrencyLimits, party: &Party) -> bool {
    let taken = limits.acquire_within(party.clone(), Duration::ZERO).await;
    taken.is_err_and(|refusal| refusal.code == RefusalCode::Busy)
}

#[tokio::test]
async fn concurrency_party_over_its_limit_does_not_block_others() {
    let limits = ConcurrencyLimits::new(16, Clock::system());
    let greedy = institution("zurich");
    let modest = institution("budapest");
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(limits.acquire_within(greedy.clone(), Duration::ZERO).await.unwrap());
    }
    assert!(busy_for(&limits, &greedy).await);
    assert!(!busy_for(&limits, &modest).await);
    held.pop();
    assert!(!busy_for(&limits, &greedy).await);
}

#[tokio::test]
async fn concurrency_all_parties_share_the_total_limit() {
    let limits = ConcurrencyLimits::new(3, Clock::system());
    let a = institution("aachen");
    let b = institution("basel");
    let c = Party::Person("eva@cleveland".parse().unwrap());
    let mut held = Vec::new();
    for party in [&a, &a, &b] {
        held.push(limits.acquire_within(party.clone(), Duration::ZERO).await.unwrap());
    }
    assert!(busy_for(&limits, &c).await);
    held.pop();
    assert!(!busy_for(&limits, &c).await);
}

#[tokio::test]
async fn concurrency_queries_of_one_party_are_decided_one_by_one() {
    let limits = ConcurrencyLimits::new(16, Clock::system());
    let acquire = async |name| limits.acquire_within(institution(name), Duration::ZERO).await.unwrap();
    let first = acquire("zurich").await;
    let second = acquire("zurich").await;
    let other = acquire("budapest").await;
    let decision = first.decision_slot().await.unwrap();
    assert_eq!(
        (decision.running(), other.decision_slot().await.unwrap().running()),
        (0, 0)
    );
    let mut waiting = Box::pin(second.decision_slot());
    assert!(futures::poll!(&mut waiting).is_pending());
    drop(decision);
    assert_eq!(waiting.await.unwrap().running(), 1);
}

#[tokio::test]
async fn concurrency_party_with_a_waiting_query_is_not_removed() {
    let limits = ConcurrencyLimits::new(16, Clock::system());
    let zurich = || limits.party(&institution("zurich")).unwrap();
    let Shared { slots, .. } = zurich();
    limits.party(&institution("budapest")).unwrap();
    assert!(
        Arc::ptr_eq(&slots, &zurich().slots),
        "the party has a second set of slots"
    );
    drop(slots);
    let exchange = limits.exchange(&"zurich".parse().unwrap()).await.unwrap();
    let exchanges = zurich().exchanges;
    assert_eq!(exchanges.available_permits(), 11);
    limits.party(&institution("budapest")).unwrap();
    assert!(Arc::ptr_eq(&exchanges, &zurich().exchanges));
    drop(exchange);
}

#[tokio::test]
async fn concurrency_exchanges_above_the_limit_wait_and_never_owe_too_many_receipts() {
    let limits = ConcurrencyLimits::new(16, Clock::system());
    let zurich: InstitutionId = "zurich".parse().unwrap();
    let mut held = Vec::new();
    while limits
        .party(&institution("zurich"))
        .unwrap()
        .exchanges
        .available_permits()
        > 0
    {
        held.push(limits.exchange(&zurich).await.unwrap());
    }
    assert!(held.len() > 8 && held.len() < crate::sharing::evidence::MAX_OUTSTANDING);
    let mut waiting = Box::pin(limits.exchange(&zurich));
    assert!(futures::poll!(&mut waiting).is_pending());
    limits.exchange(&"budapest".parse().unwrap()).await.unwrap();
    held.pop();
    waiting.await.unwrap();
}

#[tokio::test]
async fn concurrency_engine_time_is_limited_and_replenished() {
    let clock = Clock::still(Timestamp::from_millis(0));
    let limits = ConcurrencyLimits::new(16, clock.clone());
    let zurich = institution("zurich");
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(limits.acquire_within(zurich.clone(), Duration::ZERO).await.unwrap());
    }
    clock.advance(600_000);
    drop(held);
    // Eight times ten minutes were used, and one hour can be used in advance.
    assert!(busy_for(&limits, &zurich).await);
    assert!(!busy_for(&limits, &institution("budapest")).await);
    clock.advance(1_201_000);
    assert!(!busy_for(&limits, &zurich).await);
}

#[tokio::test]
async fn concurrency_clock_that_is_set_refuses_no_one() {
    const DAY_MS: i64 = 86_400_000;
    let clock = Clock::still(Timestamp::from_millis(10 * DAY_MS));
    let limits = ConcurrencyLimits::new(16, clock.clone());
    let zurich = institution("zurich");
    let slot = limits.acquire_within(zurich.clone(), Duration::ZERO).await.unwrap();
    clock.shift(DAY_MS);
    drop(slot);
    assert!(!busy_for(&limits, &zurich).await);
    clock.shift(-2 * DAY_MS);
    assert!(!busy_for(&limits, &zurich).await);
}

#[tokio::test]
async fn concurrency_catalog_page_waits_for_other_decisions() {
    let limits = ConcurrencyLimits::new(16, Clock::system());
    let zurich = institution("zurich");
    let budapest = institution("budapest");
    let page = limits.decision_slot(&zurich).await.unwrap();
    limits.decision_slot(&budapest).await.unwrap();
    let mut second = Box::pin(limits.decision_slot(&zurich));
    assert!(futures::poll!(&mut second).is_pending());
    let query = limits.acquire_within(zurich.clone(), Duration::ZERO).await.unwrap();
    let mut decision = Box::pin(query.decision_slot());
    assert!(futures::poll!(&mut decision).is_pending());
    drop(page);
    drop(second.await.unwrap());
    assert_eq!(decision.await.unwrap().running(), 0);
}
