//! When to dial members that are not connected.

use std::{collections::BTreeMap, time::Duration};

use concordat_protocol::ids::NodeId;
use tokio::time::Instant;

use crate::config::Backoff;

/// A connection that ends sooner than this after it was made counts as a failed attempt: a member that accepts and closes,
/// because it has not joined yet or its clock is wrong, must not be dialed without a pause.
const STABLE: Duration = Duration::from_secs(10);

/// The members that should be connected, with the time of the next attempt for those that are not.
#[derive(Debug)]
pub(crate) struct Redial {
    backoff: Backoff,
    targets: BTreeMap<NodeId, Target>,
}

#[derive(Debug, Clone, Copy)]
struct Target {
    failures: u32,
    /// `None` while an attempt is under way or the member is connected.
    due: Option<Instant>,
    /// When the connection was established; `None` if it is not connected.
    connected: Option<Instant>,
    /// Whether the attempt under way is repeated at once if it fails: it does not use the newest addresses.
    again: bool,
}

impl Redial {
    pub(crate) fn new(backoff: Backoff) -> Self {
        Self {
            backoff,
            targets: BTreeMap::new(),
        }
    }

    /// Requests a connection with `node`, dialed `dial_tiebreak` after `now`, or after a back-off if its last connection was not stable;
    /// does nothing if an attempt is due or under way.
    pub(crate) fn want(&mut self, node: NodeId, now: Instant, dial_tiebreak: Duration) {
        let target = self.targets.entry(node).or_insert(Target {
            failures: 0,
            due: Some(now + dial_tiebreak),
            connected: None,
            again: false,
        });
        let Some(since) = target.connected.take() else { return };
        if now.saturating_duration_since(since) < STABLE {
            target.failures = target.failures.saturating_add(1);
            target.due = Some(now + self.backoff.delay(target.failures, u32::MAX));
        } else {
            target.failures = 0;
            target.due = Some(now + dial_tiebreak);
        }
    }

    /// Makes an attempt due at `now`, because `node` has another address, or after the attempt that is under way; does nothing while it is
    /// connected.
    pub(crate) fn dial_at_once(&mut self, node: &NodeId, now: Instant) {
        let Some(target) = self.targets.get_mut(node) else {
            return;
        };
        if target.connected.is_some() {
            return;
        }
        target.failures = 0;
        match &mut target.due {
            Some(due) => *due = now,
            None => target.again = true,
        }
    }

    /// Records that `node` is connected.
    pub(crate) fn mark_connected(&mut self, node: &NodeId, now: Instant) {
        if let Some(target) = self.targets.get_mut(node) {
            target.due = None;
            target.again = false;
            target.connected = Some(now);
        }
    }

    /// Keeps only the members for which `wanted` returns true.
    pub(crate) fn retain(&mut self, wanted: impl Fn(&NodeId) -> bool) {
        self.targets.retain(|node, _| wanted(node));
    }

    /// Records that an attempt failed; the next one is due after a back-off that `random` varies.
    pub(crate) fn failed(&mut self, node: &NodeId, now: Instant, random: u32) {
        let Some(target) = self.targets.get_mut(node) else {
            return;
        };
        if std::mem::take(&mut target.again) {
            target.due = Some(now);
        } else {
            target.failures = target.failures.saturating_add(1);
            target.due = Some(now + self.backoff.delay(target.failures, random));
        }
    }

    /// When the next attempt is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.targets.values().filter_map(|target| target.due).min()
    }

    /// Those due at `now`; their attempts count as under way until they succeed or fail.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<NodeId> {
        let due = self
            .targets
            .iter_mut()
            .filter(|(_, target)| target.due.is_some_and(|due| due <= now));
        due.map(|(node, target)| {
            target.due = None;
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
        let mut redial = Redial::new(backoff);
        let node = NodeId::from_bytes([1; 32]);
        let start = Instant::now();
        redial.want(node, start, Duration::ZERO);
        assert_eq!(redial.take_due(start), [node]);
        assert_eq!((redial.take_due(start), redial.next_due()), (vec![], None));

        redial.failed(&node, start, u32::MAX);
        assert_eq!(redial.next_due(), Some(start + Duration::from_secs(1)));
        redial.want(node, start, Duration::ZERO);
        assert_eq!(redial.take_due(start), []);

        redial.mark_connected(&node, start);
        assert_eq!(redial.next_due(), None);
    }

    #[test]
    fn redial_is_due_at_once_at_another_address() {
        let backoff = Backoff {
            first: Duration::from_secs(60),
            cap: Duration::from_secs(60),
        };
        let mut redial = Redial::new(backoff);
        let node = NodeId::from_bytes([1; 32]);
        let start = Instant::now();
        redial.want(node, start, Duration::ZERO);
        assert_eq!(redial.take_due(start), [node]);
        redial.dial_at_once(&node, start);
        assert_eq!(redial.next_due(), None, "an attempt is under way");
        redial.failed(&node, start, u32::MAX);
        assert_eq!(redial.take_due(start), [node]);
        redial.failed(&node, start, u32::MAX);
        assert_eq!(redial.take_due(start), []);
        redial.dial_at_once(&node, start);
        assert_eq!(redial.take_due(start), [node]);
        redial.mark_connected(&node, start);
        redial.dial_at_once(&node, start);
        assert_eq!(redial.next_due(), None, "it is connected");
    }

    #[test]
    fn redial_member_that_closes_at_once_is_delayed() {
        let backoff = Backoff {
            first: Duration::from_secs(1),
            cap: Duration::from_secs(8),
        };
        let mut redial = Redial::new(backoff);
        let node = NodeId::from_bytes([1; 32]);
        let start = Instant::now();
        redial.want(node, start, Duration::ZERO);
        let mut waits = Vec::new();
        let mut now = start;
        for _ in 0..3 {
            assert_eq!(redial.take_due(now), [node]);
            redial.mark_connected(&node, now);
            redial.want(node, now, Duration::ZERO);
            let due = redial.next_due().unwrap();
            waits.push(due - now);
            now = due;
        }
        assert_eq!(waits, [1, 2, 4].map(Duration::from_secs));

        assert_eq!(redial.take_due(now), [node]);
        redial.mark_connected(&node, now);
        redial.want(node, now + STABLE, Duration::ZERO);
        assert_eq!(redial.next_due(), Some(now + STABLE));
    }
}
