//! Queries of the last 24 hours, counted by the hour.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use concordat_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

const HOUR_MS: i64 = 3_600_000;
/// Hours that count in addition to the current one: together at least 24 hours. The next one counts too, in case the clock was set back by
/// less than an hour; later ones were counted by a clock that was wrong.
const HOURS: i64 = 24;

/// Queries by hour.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct HourCounts(BTreeMap<i64, u32>);

impl HourCounts {
    /// Removes what does not count at `now`.
    pub(super) fn retain_counted(&mut self, now: Timestamp) {
        let counted = counted_hours(now);
        self.0.retain(|then, _| counted.contains(then));
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there are `limit` or more.
    pub(super) fn has_reached(&self, limit: u32) -> bool {
        self.total() >= u64::from(limit)
    }

    /// How many more there may be until there are `limit`.
    pub(super) fn left(&self, limit: u32) -> u32 {
        let left = u64::from(limit).saturating_sub(self.total());
        u32::try_from(left).unwrap_or(limit)
    }

    /// Adds a query at `now`.
    pub(super) fn add(&mut self, now: Timestamp) {
        let current = self.0.entry(hour(now)).or_insert(0);
        *current = current.saturating_add(1);
    }

    /// When fewer than `limit` are left, if no more are added; `None` if that never comes, because the limit is 0, or is not reached.
    pub(super) fn below_from(&self, limit: u32) -> Option<Timestamp> {
        let mut left = self.total();
        self.0.iter().find_map(|(hour, count)| {
            let was_reached = left >= u64::from(limit);
            left = left.saturating_sub(u64::from(*count));
            let ends = hour.saturating_add(HOURS).saturating_add(1).saturating_mul(HOUR_MS);
            (was_reached && left < u64::from(limit)).then(|| Timestamp::from_millis(ends))
        })
    }

    fn total(&self) -> u64 {
        self.0.values().map(|count| u64::from(*count)).sum()
    }
}

/// The hour in which a time is.
pub(super) fn hour(now: Timestamp) -> i64 {
    now.as_millis().div_euclid(HOUR_MS)
}

/// The hours that count at a time.
pub(super) fn counted_hours(now: Timestamp) -> RangeInclusive<i64> {
    let hour = hour(now);
    hour.saturating_sub(HOURS)..=hour.saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The beginning of an hour.
    const NOON: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn hours(hours: i64) -> Timestamp {
        NOON.plus_millis(hours * HOUR_MS)
    }

    #[test]
    fn hour_counts_end_when_they_state() {
        let mut counts = HourCounts::default();
        for at in [0, 0, 3, 7] {
            counts.add(hours(at));
        }
        assert_eq!(counts.below_from(5), None, "it is not reached");
        assert_eq!(counts.below_from(0), None, "it never ends");
        for (limit, first) in [(4, 0), (3, 0), (2, 3), (1, 7)] {
            let until = counts.below_from(limit).unwrap();
            assert_eq!(until, hours(first + 25), "{limit}");
            let mut before = counts.clone();
            before.retain_counted(until.plus_millis(-1));
            assert!(before.has_reached(limit), "{limit}");
            let mut then = counts.clone();
            then.retain_counted(until);
            assert!(!then.has_reached(limit), "{limit}");
        }
    }

    #[test]
    fn hour_counts_state_how_many_are_left() {
        let mut counts = HourCounts::default();
        for at in 0..3 {
            counts.add(hours(at));
        }
        for (limit, left) in [(0, 0), (2, 0), (3, 0), (4, 1), (u32::MAX, u32::MAX - 3)] {
            assert_eq!(counts.left(limit), left);
            assert_eq!(counts.left(limit) == 0, counts.has_reached(limit), "{limit}");
        }
    }

    #[test]
    fn hour_counts_keep_the_form_in_which_quotas_are_stored() {
        let mut counts = HourCounts::default();
        counts.add(NOON);
        counts.add(NOON);
        let stored = serde_json::to_string(&counts).unwrap();
        assert_eq!(stored, format!("{{\"{}\":2}}", hour(NOON)));
        assert_eq!(serde_json::from_str::<HourCounts>(&stored).unwrap(), counts);
    }
}
