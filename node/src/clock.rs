//! The only module that reads the system clock.
//!
//! All decisions take `now` as an argument; only the services at the edge hold a [`Clock`]. A clock
//! can be shifted, so that tests can let a grant expire or simulate a node with a wrong clock. What is
//! measured from one moment to another is measured by [`Clock::uptime`], which no setting of the clock changes.

mod difference;

pub(crate) use difference::ClockDifference;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use concordat_protocol::time::Timestamp;

/// A handle to a source of time; clones share it.
#[derive(Debug, Clone)]
pub struct Clock {
    base: Base,
    /// Milliseconds added to the base.
    shift: Arc<AtomicI64>,
    /// Milliseconds that passed in addition to the time of the base.
    passed: Arc<AtomicU64>,
}

#[derive(Debug, Clone, Copy)]
enum Base {
    /// With the moment at which the clock was made.
    System(Instant),
    Still(i64),
}

impl Clock {
    /// The clock of this machine.
    pub fn system() -> Self {
        Self {
            base: Base::System(moment()),
            shift: Arc::default(),
            passed: Arc::default(),
        }
    }

    /// A clock that is fixed at `at` until it is shifted.
    pub fn still(at: Timestamp) -> Self {
        Self {
            base: Base::Still(at.as_millis()),
            shift: Arc::default(),
            passed: Arc::default(),
        }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        let base = match self.base {
            Base::System(_) => system_millis(),
            Base::Still(millis) => millis,
        };
        Timestamp::from_millis(base.saturating_add(self.shift.load(Ordering::Relaxed)))
    }

    /// How long this clock has run: it never goes back, and does not change if the clock is set.
    pub fn uptime(&self) -> Duration {
        let base = match self.base {
            Base::System(since) => since.elapsed(),
            Base::Still(_) => Duration::ZERO,
        };
        base.saturating_add(Duration::from_millis(self.passed.load(Ordering::Relaxed)))
    }

    /// Lets `millis` milliseconds pass on this clock and all its clones.
    pub fn advance(&self, millis: u32) {
        self.shift.fetch_add(i64::from(millis), Ordering::Relaxed);
        self.passed.fetch_add(u64::from(millis), Ordering::Relaxed);
    }

    /// Sets this clock and all its clones forward or back by `millis` milliseconds.
    pub fn shift(&self, millis: i64) {
        self.shift.fetch_add(millis, Ordering::Relaxed);
    }
}

/// The moment now, for timers of the runtime: how long something took, and when it has to end.
pub(crate) fn timer_now() -> tokio::time::Instant {
    tokio::time::Instant::from_std(moment())
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that all other code uses")]
fn moment() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that all other code uses")]
fn system_millis() -> i64 {
    let (magnitude, sign) = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => (after, 1),
        Err(before) => (before.duration(), -1),
    };
    i64::try_from(magnitude.as_millis())
        .unwrap_or(i64::MAX)
        .saturating_mul(sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_a_shift() {
        let clock = Clock::still(Timestamp::from_millis(1_000));
        let other = clock.clone();
        other.shift(500);
        assert_eq!(clock.now().as_millis(), 1_500);
        clock.shift(-2_000);
        assert_eq!(other.now().as_millis(), -500);
    }

    #[test]
    fn clock_that_is_set_keeps_its_uptime() {
        let clock = Clock::still(Timestamp::from_millis(1_000));
        clock.shift(-500);
        assert_eq!(clock.uptime(), Duration::ZERO);
        clock.advance(2_000);
        assert_eq!(
            (clock.uptime(), clock.now().as_millis()),
            (Duration::from_secs(2), 2_500)
        );
    }

    #[test]
    fn the_system_clock_is_past_the_year_2020() {
        assert!(Clock::system().now().as_millis() > 1_577_836_800_000);
    }
}
