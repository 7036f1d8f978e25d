//! Refusals of peers and of the own people before any decision about them, recorded in the ledger in bounded number.
//!
//! The first refusal of a peer is recorded at once. Those that follow within a minute are counted and recorded together when the
//! minute is over, so that a peer can make this ledger grow by at most two entries a minute. Beyond [`MAX_PEERS`] peers in
//! one minute the others share one count: the growth is bounded even if many nodes cooperate. The same holds for people.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use concordat_protocol::ids::NodeId;
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::Attribution;

use crate::shutdown::Stage;

/// The time window whose refusals are recorded in one entry.
const WINDOW_MS: i64 = 60_000;
/// How often to check for windows that are over.
const WINDOW_CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// Maximum number of peers whose refusals are counted separately. Those of all others in a minute are recorded under the last of them.
const MAX_PEERS: usize = 64;

/// A refusal entry to be recorded, and its attribution.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Due<K = NodeId> {
    /// The peer or person; the last one if several are counted together.
    pub(crate) peer: K,
    /// Number of refusals.
    pub(crate) count: u32,
    /// Reason of the last refusal.
    pub(crate) reason: Reason,
    /// Attribution of the entry.
    pub(crate) by: Attribution,
}

/// The refusals of the last minute, by peer, or by person.
#[derive(Debug)]
pub(crate) struct Refusals<K = NodeId>(Mutex<Windows<K>>);

impl<K> Default for Refusals<K> {
    fn default() -> Self {
        Self(Mutex::new(Windows {
            peers: BTreeMap::new(),
            others: None,
        }))
    }
}

#[derive(Debug)]
struct Windows<K> {
    peers: BTreeMap<K, Window<K>>,
    /// Those of all peers beyond [`MAX_PEERS`].
    others: Option<Window<K>>,
}

#[derive(Debug)]
struct Window<K> {
    began: Timestamp,
    /// Number of refusals since the one that was recorded when the window began.
    counted: u32,
    last: Due<K>,
}

impl<K> Window<K> {
    fn count(&mut self, last: Due<K>) {
        self.counted = self.counted.saturating_add(1);
        self.last = last;
    }

    fn due(self) -> Option<Due<K>> {
        let due = Due {
            count: self.counted,
            ..self.last
        };
        (self.counted > 0).then_some(due)
    }

    fn is_over(&self, now: Timestamp) -> bool {
        // A clock that was set back also ends the window.
        !(0..WINDOW_MS).contains(&now.since(self.began))
    }
}

impl<K: Clone + Ord> Refusals<K> {
    /// Counts a refusal and returns what has to be recorded now.
    pub(crate) fn note(&self, peer: K, by: Attribution, reason: Reason, now: Timestamp) -> Vec<Due<K>> {
        let this = Due {
            peer: peer.clone(),
            count: 1,
            reason,
            by,
        };
        let mut windows = self.windows();
        let is_new = !windows.peers.contains_key(&peer);
        let full = is_new && windows.peers.len() >= MAX_PEERS;
        let open = if full {
            windows.others.as_mut()
        } else {
            windows.peers.get_mut(&peer)
        };
        if let Some(window) = open.filter(|window| !window.is_over(now)) {
            window.count(this);
            return Vec::new();
        }
        let opened = Window {
            began: now,
            counted: 0,
            last: this.clone(),
        };
        let before = if full {
            windows.others.replace(opened)
        } else {
            windows.peers.insert(peer, opened)
        };
        before.and_then(Window::due).into_iter().chain([this]).collect()
    }

    /// Ends the windows that are over at `now`, or all of them if `now` is `None`, and returns their counts.
    fn ended(&self, now: Option<Timestamp>) -> Vec<Due<K>> {
        let mut windows = self.windows();
        let over = |window: &Window<K>| now.is_none_or(|now| window.is_over(now));
        let ended: Vec<K> = windows
            .peers
            .iter()
            .filter(|(_, w)| over(w))
            .map(|(peer, _)| peer.clone())
            .collect();
        let mut ended: Vec<Window<K>> = ended.iter().filter_map(|peer| windows.peers.remove(peer)).collect();
        ended.extend(windows.others.take_if(|window| over(window)));
        ended.into_iter().filter_map(Window::due).collect()
    }

    /// Records the counts of each window when it is over, until `stage` stops; then those of all remaining windows.
    pub(crate) async fn enter_counted<F: Future<Output = ()>>(
        &self,
        stage: &Stage,
        now: impl Fn() -> Timestamp,
        enter: impl Fn(Vec<Due<K>>) -> F,
    ) {
        let wait = || tokio::time::sleep(WINDOW_CHECK_INTERVAL);
        while stage.token().run_until_cancelled(wait()).await.is_some() {
            enter(self.ended(Some(now()))).await;
        }
        enter(self.ended(None)).await;
    }

    fn windows(&self) -> MutexGuard<'_, Windows<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use concordat_protocol::audit::Cause;

    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn peer(seed: u16) -> (NodeId, Attribution) {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&seed.to_be_bytes());
        let node = NodeId::from_bytes(bytes);
        let by = Attribution::vouch(Cause::Peer {
            node,
            institution: None,
            actor: None,
        });
        (node, by)
    }

    fn reason() -> Reason {
        Reason::sanitized("no such grant")
    }

    fn counts(due: &[Due]) -> Vec<u32> {
        due.iter().map(|due| due.count).collect()
    }

    #[test]
    fn refusals_of_one_peer_make_two_entries_a_minute() {
        let refusals = Refusals::default();
        let ((flooding, by), (second, other)) = (peer(1), peer(2));
        let mut entered = Vec::new();
        for n in 0..6000 {
            let now = START.plus_millis(n * 50);
            entered.extend(counts(&refusals.note(flooding, by.clone(), reason(), now)));
        }
        assert_eq!(counts(&refusals.note(second, other, reason(), START)), [1]);
        let last = refusals.ended(None);
        assert!(last.iter().all(|due| due.by == by && due.peer == flooding));
        entered.extend(counts(&last));
        assert_eq!(entered.iter().sum::<u32>(), 6000);
        assert_eq!(entered.len(), 10, "five minutes: {entered:?}");
        assert!(refusals.ended(None).is_empty());
    }

    #[test]
    fn refusals_are_recorded_at_the_end_of_their_minute() {
        let refusals = Refusals::default();
        let (node, by) = peer(1);
        for n in 0..3 {
            refusals.note(node, by.clone(), Reason::sanitized("a replay"), START.plus_millis(n));
        }
        assert!(refusals.ended(Some(START.plus_millis(WINDOW_MS - 1))).is_empty());
        assert_eq!(counts(&refusals.ended(Some(START.plus_millis(WINDOW_MS)))), [2]);
    }

    #[test]
    fn refusals_of_many_peers_are_bounded_together() {
        let refusals = Refusals::default();
        let mut entered = Vec::new();
        for seed in 0..16_000 {
            let (node, by) = peer(seed);
            entered.extend(counts(&refusals.note(
                node,
                by,
                reason(),
                START.plus_millis(i64::from(seed)),
            )));
        }
        entered.extend(counts(&refusals.ended(None)));
        assert!(entered.len() <= MAX_PEERS + 2, "{}", entered.len());
        assert_eq!(entered.iter().sum::<u32>(), 16_000);
    }
}
