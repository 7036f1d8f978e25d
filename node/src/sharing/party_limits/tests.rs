use concordat_protocol::time::Timestamp;

use super::super::wait_deadline::WAIT_TIMEOUT;
use super::*;

fn institution(name: &str) -> Party {
    Party::Institution(name.parse().unwrap())
}

fn person(name: &str) -> Party {
    Party::Person(format!("{name}@cleveland").parse().unwrap())
}

/// The deadline of a query that waits for nothing.
fn at_once() -> WaitDeadline {
    WaitDeadline::after(Duration::ZERO)
}

async fn busy_for(limits: &ConcurrencyLimits, party: &Party) -> bool {
    let taken = limits.acquire(party.clone(), at_once()).await;
    taken.is_err_and(|refusal| refusal.code == RefusalCode::Busy)
}

#[tokio::test]
async fn concurrency_party_over_its_limit_does_not_block_others() {
    let limits = ConcurrencyLimits::new(16, Clock::system());
    let greedy = institution("zurich");
    let modest = institution("budapest");
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(limits.acquire(greedy.clone(), at_once()).await.unwrap());
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
        held.push(limits.acquire(party.clone(), at_once()).await.unwrap());
    }
    assert!(busy_for(&limits, &c).await);
    held.pop();
    assert!(!busy_for(&limits, &c).await);
}

/// People who do not read their answers, and others who wait behind them, hold nothing of what members have.
#[tokio::test]
async fn concurrency_own_people_leave_half_to_members() {
    let limits = ConcurrencyLimits::new(16, Clock::system());
    let mut held = Vec::new();
    for name in ["eva", "pal"] {
        while let Ok(slot) = limits.acquire(person(name), at_once()).await {
            held.push(slot);
        }
    }
    assert_eq!(held.len(), 8);
    assert!(busy_for(&limits, &person("ida")).await);
    let mut waiting = Vec::new();
    for name in ["ida", "pal", "ida"] {
        let mut one = Box::pin(limits.acquire(person(name), WaitDeadline::start()));
        assert!(futures::poll!(&mut one).is_pending());
        waiting.push(one);
    }
    for _ in 0..4 {
        held.push(limits.acquire(institution("zurich"), at_once()).await.unwrap());
        held.push(limits.acquire(institution("budapest"), at_once()).await.unwrap());
    }
    drop(waiting);
}

#[tokio::test]
async fn concurrency_person_leaves_slots_to_colleagues() {
    let limits = ConcurrencyLimits::new(16, Clock::system());
    let mut held = Vec::new();
    while let Ok(slot) = limits.acquire(person("eva"), at_once()).await {
        held.push(slot);
    }
    assert_eq!(held.len(), 6);
    for _ in 0..2 {
        held.push(limits.acquire(person("pal"), at_once()).await.unwrap());
    }
    held.pop();
    assert!(!busy_for(&limits, &person("ida")).await, "a slot that is free again");
}

#[tokio::test]
async fn concurrency_limits_of_own_people_alone_use_all_slots() {
    let limits = ConcurrencyLimits::for_own_people(4, Clock::system());
    let mut held = Vec::new();
    for (name, taken) in [("eva", 2), ("pal", 4)] {
        while let Ok(slot) = limits.acquire(person(name), at_once()).await {
            held.push(slot);
        }
        assert_eq!(held.len(), taken, "{name}");
    }
}

#[tokio::test]
async fn concurrency_each_party_can_query_with_a_single_slot() {
    let limits = ConcurrencyLimits::new(1, Clock::system());
    assert!(!busy_for(&limits, &person("eva")).await);
    assert!(!busy_for(&limits, &institution("zurich")).await);
}

#[tokio::test]
async fn concurrency_queries_of_one_party_are_decided_one_by_one() {
    let limits = ConcurrencyLimits::new(16, Clock::system());
    let acquire = async |name| limits.acquire(institution(name), at_once()).await.unwrap();
    let first = acquire("zurich").await;
    let second = acquire("zurich").await;
    let other = acquire("budapest").await;
    let decision = first.decision_slot(WaitDeadline::start()).await.unwrap();
    assert_eq!(
        (
            decision.running(),
            other.decision_slot(WaitDeadline::start()).await.unwrap().running()
        ),
        (0, 0)
    );
    let mut waiting = Box::pin(second.decision_slot(WaitDeadline::start()));
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
    let exchange = limits
        .exchange(&"zurich".parse().unwrap(), WaitDeadline::start())
        .await
        .unwrap();
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
        held.push(limits.exchange(&zurich, WaitDeadline::start()).await.unwrap());
    }
    assert!(held.len() > 8 && held.len() < crate::sharing::evidence::MAX_OUTSTANDING);
    let mut waiting = Box::pin(limits.exchange(&zurich, WaitDeadline::start()));
    assert!(futures::poll!(&mut waiting).is_pending());
    limits
        .exchange(&"budapest".parse().unwrap(), WaitDeadline::start())
        .await
        .unwrap();
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
        held.push(limits.acquire(zurich.clone(), at_once()).await.unwrap());
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
    let slot = limits.acquire(zurich.clone(), at_once()).await.unwrap();
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
    let page = limits.decision_slot(&zurich, WaitDeadline::start()).await.unwrap();
    limits.decision_slot(&budapest, WaitDeadline::start()).await.unwrap();
    let mut second = Box::pin(limits.decision_slot(&zurich, WaitDeadline::start()));
    assert!(futures::poll!(&mut second).is_pending());
    let query = limits.acquire(zurich.clone(), at_once()).await.unwrap();
    let mut decision = Box::pin(query.decision_slot(WaitDeadline::start()));
    assert!(futures::poll!(&mut decision).is_pending());
    drop(page);
    drop(second.await.unwrap());
    assert_eq!(decision.await.unwrap().running(), 0);
}

/// A wait with a deadline of its own lasts longer than the test allows.
#[tokio::test]
async fn concurrency_all_waits_of_a_query_share_its_deadline() {
    let limits = ConcurrencyLimits::new(2, Clock::system());
    let zurich = institution("zurich");
    let of_zurich: InstitutionId = "zurich".parse().unwrap();
    let _exchange = limits.exchange(&of_zurich, at_once()).await.unwrap();
    let query = limits.acquire(zurich.clone(), at_once()).await.unwrap();
    let _other = limits.acquire(institution("budapest"), at_once()).await.unwrap();
    let _decision = query.decision_slot(at_once()).await.unwrap();
    let waits = async {
        [
            limits.exchange(&of_zurich, at_once()).await.unwrap_err().code,
            limits.acquire(zurich.clone(), at_once()).await.unwrap_err().code,
            limits.acquire(institution("basel"), at_once()).await.unwrap_err().code,
            query.decision_slot(at_once()).await.unwrap_err().code,
            limits.decision_slot(&zurich, at_once()).await.unwrap_err().code,
        ]
    };
    let refused = tokio::time::timeout(WAIT_TIMEOUT / 4, waits).await;
    assert_eq!(refused.expect("a wait has another deadline"), [RefusalCode::Busy; 5]);
}
