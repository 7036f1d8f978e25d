//! What peers are refused before anything is decided about them, entered in the ledger in bounded number.
//!
//! The first refusal of a peer is entered at once. Those that follow within a minute are counted and entered together when the
//! minute is over, so that a peer can make this ledger grow by two entries a minute and no more. Beyond [`MOST_PEERS`] peers in
//! one minute the others share one count: however many nodes act together, what they can make it grow by has a bound.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use concordat_protocol::ids::NodeId;
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::Attribution;

use crate::shutdown::Stage;

/// The time whose refusals make up one entry.
const WINDOW_MS: i64 = 60_000;
/// How often windows that are over are looked for.
const LOOK: Duration = Duration::from_secs(10);
/// Peers whose refusals are counted apart. The rest of a minute is entered as those of the last of them.
const MOST_PEERS: usize = 64;

/// What is to be entered, and on whose account.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Due {
    /// The peer; of several that are counted together, the last one.
    pub(crate) peer: NodeId,
    /// How many refusals.
    pub(crate) count: u32,
    /// Why the last of them was.
    pub(crate) reason: Reason,
    /// On whose account the entry is made.
    pub(crate) by: Attribution,
}

/// The refusals of the last minute, by peer.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Windows>);

#[derive(Debug, Default)]
struct Windows {
    peers: BTreeMap<NodeId, Window>,
    /// Those of all peers beyond [`MOST_PEERS`].
    others: Option<Window>,
}

#[derive(Debug)]
struct Window {
    began: Timestamp,
    /// Refusals since the one that was entered when it began.
    counted: u32,
    last: Due,
}

impl Window {
    fn count(&mut self, last: Due) {
        self.counted = self.counted.saturating_add(1);
        self.last = last;
    }

    fn due(self) -> Option<Due> {
        let due = Due {
            count: self.counted,
            ..self.last
        };
        (self.counted > 0).then_some(due)
    }

    fn is_over(&self, now: Timestamp) -> bool {
        // A clock that was put back ends it, too.
        !(0..WINDOW_MS).contains(&now.since(self.began))
    }
}

impl Refusals {
    /// Notes a refusal and gives what is to be entered now.
    pub(crate) fn note(&self, peer: NodeId, by: Attribution, reason: Reason, now: Timestamp) -> Vec<Due> {
        let this = Due {
            peer,
            count: 1,
            reason,
            by,
        };
        let mut windows = self.windows();
        let is_new = !windows.peers.contains_key(&peer);
        let full = is_new && windows.peers.len() >= MOST_PEERS;
        let standing = if full {
            windows.others.as_mut()
        } else {
            windows.peers.get_mut(&peer)
        };
        if let Some(window) = standing.filter(|window| !window.is_over(now)) {
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

    /// Ends the windows that are over at `now`, all of them if there is no `now`, and gives what they counted.
    fn ended(&self, now: Option<Timestamp>) -> Vec<Due> {
        let mut windows = self.windows();
        let over = |window: &Window| now.is_none_or(|now| window.is_over(now));
        let ended: Vec<NodeId> = windows
            .peers
            .iter()
            .filter(|(_, w)| over(w))
            .map(|(peer, _)| *peer)
            .collect();
        let mut ended: Vec<Window> = ended.iter().filter_map(|peer| windows.peers.remove(peer)).collect();
        ended.extend(windows.others.take_if(|window| over(window)));
        ended.into_iter().filter_map(Window::due).collect()
    }

    /// Enters what was counted once its minute is over, until `stage` stops; then what is left.
    pub(crate) async fn enter_counted<F: Future<Output = ()>>(
        &self,
        stage: &Stage,
        now: impl Fn() -> Timestamp,
        enter: impl Fn(Vec<Due>) -> F,
    ) {
        let wait = || tokio::time::sleep(LOOK);
        while stage.token().run_until_cancelled(wait()).await.is_some() {
            enter(self.ended(Some(now()))).await;
        }
        enter(self.ended(None)).await;
    }

    fn windows(&self) -> MutexGuard<'_, Windows> {
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
        Reason::fitted("no such grant")
    }

    fn counts(due: &[Due]) -> Vec<u32> {
        due.iter().map(|due| due.count).collect()
    }

    #[test]
    fn a_flood_of_refusals_is_entered_in_two_entries_a_minute_and_each_is_counted() {
        let refusals = Refusals::default();
        let ((greedy, by), (modest, other)) = (peer(1), peer(2));
        let mut entered = Vec::new();
        for n in 0..6000 {
            let now = START.plus_millis(n * 50);
            entered.extend(counts(&refusals.note(greedy, by.clone(), reason(), now)));
        }
        assert_eq!(counts(&refusals.note(modest, other, reason(), START)), [1]);
        let last = refusals.ended(None);
        assert!(last.iter().all(|due| due.by == by && due.peer == greedy));
        entered.extend(counts(&last));
        assert_eq!(entered.iter().sum::<u32>(), 6000);
        assert_eq!(entered.len(), 10, "five minutes: {entered:?}");
        assert!(refusals.ended(None).is_empty());
    }

    #[test]
    fn what_is_counted_is_entered_when_the_minute_is_over_although_nothing_follows() {
        let refusals = Refusals::default();
        let (node, by) = peer(1);
        for n in 0..3 {
            refusals.note(node, by.clone(), Reason::fitted("a replay"), START.plus_millis(n));
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
        assert!(entered.len() <= MOST_PEERS + 2, "{}", entered.len());
        assert_eq!(entered.iter().sum::<u32>(), 16_000);
    }
}
