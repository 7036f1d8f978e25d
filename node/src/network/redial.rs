//! When to try a member again that is not connected.

use std::{collections::BTreeMap, time::Duration};

use concordat_protocol::ids::NodeId;
use tokio::time::Instant;

use super::config::Backoff;

/// A connection that ends sooner than this after it was made counts as a failed attempt: a member that accepts and hangs up,
/// because it has not joined yet or its clock is wrong, is not to be dialled without a pause.
const STABLE: Duration = Duration::from_secs(15);

/// The members that are to be connected, with the time of the next attempt for those that are not.
#[derive(Debug)]
pub(super) struct Redial {
    backoff: Backoff,
    away: BTreeMap<NodeId, Away>,
}

#[derive(Debug, Clone, Copy)]
struct Away {
    failures: u32,
    /// `None` while an attempt is under way or the member is connected.
    due: Option<Instant>,
    /// Since when it is connected.
    connected: Option<Instant>,
}

impl Redial {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self {
            backoff,
            away: BTreeMap::new(),
        }
    }

    /// Wants `node` connected, tried `courtesy` after `now`, or after a back-off if its last connection did not hold; does
    /// nothing if an attempt is due or under way.
    pub(super) fn want(&mut self, node: NodeId, now: Instant, courtesy: Duration) {
        let away = self.away.entry(node).or_insert(Away {
            failures: 0,
            due: Some(now + courtesy),
            connected: None,
        });
        let Some(since) = away.connected.take() else { return };
        if now.saturating_duration_since(since) < STABLE {
            away.failures = away.failures.saturating_add(1);
            away.due = Some(now + self.backoff.delay(away.failures, u32::MAX));
        } else {
            away.failures = 0;
            away.due = Some(now + courtesy);
        }
    }

    /// Notes that `node` is connected.
    pub(super) fn settle(&mut self, node: &NodeId, now: Instant) {
        if let Some(away) = self.away.get_mut(node) {
            away.due = None;
            away.connected = Some(now);
        }
    }

    /// Keeps only those that `wanted` says.
    pub(super) fn retain(&mut self, wanted: impl Fn(&NodeId) -> bool) {
        self.away.retain(|node, _| wanted(node));
    }

    /// Notes that an attempt failed; the next one is due after a back-off that `random` varies.
    pub(super) fn failed(&mut self, node: &NodeId, now: Instant, random: u32) {
        if let Some(away) = self.away.get_mut(node) {
            away.failures = away.failures.saturating_add(1);
            away.due = Some(now + self.backoff.delay(away.failures, random));
        }
    }

    /// When the next attempt is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.away.values().filter_map(|away| away.due).min()
    }

    /// Those due at `now`; their attempts count as under way until they succeed or fail.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<NodeId> {
        let due = self
            .away
            .iter_mut()
            .filter(|(_, away)| away.due.is_some_and(|due| due <= now));
        due.map(|(node, away)| {
            away.due = None;
            *node
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_attempt_is_due_once_and_again_after_it_failed() {
        let backoff = Backoff {
            first: Duration::from_secs(1),
            cap: Duration::from_secs(8),
        };
        let (mut redial, node, start) = (Redial::new(backoff), NodeId::from_bytes([1; 32]), Instant::now());
        redial.want(node, start, Duration::ZERO);
        assert_eq!(redial.take_due(start), [node]);
        assert_eq!((redial.take_due(start), redial.next_due()), (vec![], None));

        redial.failed(&node, start, u32::MAX);
        assert_eq!(redial.next_due(), Some(start + Duration::from_secs(1)));
        redial.want(node, start, Duration::ZERO);
        assert_eq!(redial.take_due(start), []);

        redial.settle(&node, start);
        assert_eq!(redial.next_due(), None);
    }

    #[test]
    fn a_member_that_hangs_up_at_once_is_given_time() {
        let backoff = Backoff {
            first: Duration::from_secs(1),
            cap: Duration::from_secs(8),
        };
        let (mut redial, node, start) = (Redial::new(backoff), NodeId::from_bytes([1; 32]), Instant::now());
        redial.want(node, start, Duration::ZERO);
        let mut waits = Vec::new();
        let mut now = start;
        for _ in 0..3 {
            assert_eq!(redial.take_due(now), [node]);
            redial.settle(&node, now);
            redial.want(node, now, Duration::ZERO);
            let due = redial.next_due().unwrap();
            waits.push(due - now);
            now = due;
        }
        assert_eq!(waits, [1, 2, 4].map(Duration::from_secs));

        assert_eq!(redial.take_due(now), [node]);
        redial.settle(&node, now);
        redial.want(node, now + STABLE, Duration::ZERO);
        assert_eq!(redial.next_due(), Some(now + STABLE));
    }
}
