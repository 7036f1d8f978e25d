//! The only module that reads the system clock.
//!
//! All decisions take `now` as an argument; only the services at the edge hold a [`Clock`]. A clock
//! can be shifted, so that tests can let a grant expire or simulate a node with a wrong clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use concordat_protocol::time::Timestamp;

/// A handle to a source of time; clones share it.
#[derive(Debug, Clone)]
pub struct Clock {
    base: Base,
    /// Milliseconds added to the base.
    shift: Arc<AtomicI64>,
}

#[derive(Debug, Clone, Copy)]
enum Base {
    System,
    Still(i64),
}

impl Clock {
    /// The clock of this machine.
    pub fn system() -> Self {
        Self {
            base: Base::System,
            shift: Arc::default(),
        }
    }

    /// A clock that is fixed at `at` until it is shifted.
    pub fn still(at: Timestamp) -> Self {
        Self {
            base: Base::Still(at.as_millis()),
            shift: Arc::default(),
        }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        let base = match self.base {
            Base::System => system_millis(),
            Base::Still(millis) => millis,
        };
        Timestamp::from_millis(base.saturating_add(self.shift.load(Ordering::Relaxed)))
    }

    /// Moves this clock and all its clones by `millis` milliseconds, forward or back.
    pub fn shift(&self, millis: i64) {
        self.shift.fetch_add(millis, Ordering::Relaxed);
    }
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
    fn the_system_clock_is_past_the_year_2020() {
        assert!(Clock::system().now().as_millis() > 1_577_836_800_000);
    }
}
