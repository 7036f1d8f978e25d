//! When an answer below `records` may leave: at the next of few times after its query was admitted, so that how long it took shows little.
//!
//! A repetition leaves as late as the first answer did, although it takes less time. An answer that would leave after the end of its time
//! leaves when it is ready.

use std::time::Duration;

use concordat_disclosure::TimeClass;
use tokio::time::Instant;

/// Least time that an answer has left when it leaves, so that it is not late for its waiting alone.
const LEFT: Duration = Duration::from_secs(5);

/// Waits until an answer to a query that was admitted at `since` may leave, `least` being the first of its times. It has `time` in all.
pub(super) async fn until_slot(since: Instant, least: TimeClass, time: Duration) {
    tokio::time::sleep(wait(since.elapsed(), least, time)).await;
}

/// How long it waits, once `elapsed` has passed.
fn wait(elapsed: Duration, least: TimeClass, time: Duration) -> Duration {
    let class = TimeClass::not_before(elapsed).max(least);
    if class.time().saturating_add(LEFT) > time {
        return Duration::ZERO;
    }
    class.time().saturating_sub(elapsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(600);

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn slot_is_the_next_one_and_not_before_that_of_the_first() {
        let leaves = |elapsed: u64, least: u8| {
            let elapsed = millis(elapsed);
            elapsed + wait(elapsed, TimeClass::new(least).unwrap(), TIME)
        };
        for (elapsed, least, at) in [
            (1, 0, 32),
            (32, 0, 32),
            (33, 0, 64),
            (5, 3, 256),
            (300, 3, 512),
            (40_000, 0, 65_536),
        ] {
            assert_eq!(leaves(elapsed, least), millis(at), "{elapsed} {least}");
        }
    }

    #[test]
    fn slot_after_the_time_of_a_query_is_not_awaited() {
        let class = TimeClass::default();
        assert_eq!(wait(millis(300_000), class, TIME), millis(224_288));
        assert_eq!(wait(millis(525_000), class, TIME), Duration::ZERO);
        assert_eq!(wait(millis(1), class, millis(1)), Duration::ZERO);
    }

    #[tokio::test]
    async fn slot_has_passed_when_the_wait_is_over() {
        let since = Instant::now();
        until_slot(since, TimeClass::new(1).unwrap(), TIME).await;
        assert!(since.elapsed() >= millis(64));
    }
}
