//! When an answer leaves: at one of few times, so that how long it took shows little about what was computed.

use std::time::Duration;

/// The first time, in milliseconds.
const FIRST_MS: u64 = 32;
/// The number of the last class: 32 ms · 2^15 are 17 minutes, and no answer may take so long.
const MAX: u8 = 15;
/// How much longer than what was measured an answer takes at least before it can leave, because it is computed from its cells afterward.
const REST: Duration = Duration::from_millis(16);

/// A time since the beginning of a query: 32 ms · 2^n, with n from 0 to 15.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeClass(u8);

impl TimeClass {
    /// The class with this number; `None` if there is none.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number <= MAX { Some(Self(number)) } else { None }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Its time.
    #[must_use]
    pub fn time(self) -> Duration {
        Duration::from_millis(FIRST_MS.saturating_mul(1_u64 << self.0))
    }

    /// The first class whose time has not passed; the last one if all have.
    #[must_use]
    pub fn not_before(elapsed: Duration) -> Self {
        let mut all = (0..=MAX).map(Self);
        all.find(|class| class.time() >= elapsed).unwrap_or(Self(MAX))
    }

    /// The class of an answer whose cells were decided after `elapsed`, and from which the rest is computed. What is stored of it is the same for
    /// each repetition.
    #[must_use]
    pub fn of_decision(elapsed: Duration) -> Self {
        Self::not_before(elapsed.saturating_add(elapsed / 4).saturating_add(REST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn time_class_is_the_first_whose_time_has_not_passed() {
        for (elapsed, number) in [(0, 0), (31, 0), (32, 0), (33, 1), (64, 1), (65, 2), (1_048_576, 15)] {
            assert_eq!(TimeClass::not_before(millis(elapsed)).number(), number, "{elapsed}");
        }
        assert_eq!(TimeClass::not_before(Duration::MAX).number(), MAX);
        assert_eq!(TimeClass::new(MAX).unwrap().time(), millis(32 << 15));
        assert_eq!(TimeClass::new(MAX + 1), None);
    }

    /// What is computed from the cells fits into the class that is stored with the decision.
    #[test]
    fn time_class_of_a_decision_has_time_for_the_rest() {
        for elapsed in [0, 5, 16, 17, 30, 100, 5_000] {
            let class = TimeClass::of_decision(millis(elapsed));
            assert!(class.time() >= millis(elapsed) + REST, "{elapsed}");
        }
        assert_eq!(TimeClass::of_decision(millis(10)).number(), 0);
        assert_eq!(TimeClass::of_decision(Duration::MAX).number(), MAX);
    }
}
