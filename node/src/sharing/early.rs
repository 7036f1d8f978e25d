//! Queries that are refused before any policy is asked: entered in the ledger, in bounded number.
//!
//! The first of a peer is entered at once. Those that follow within a minute are counted and entered together when the minute is
//! over, so that a peer can make this ledger grow by two entries a minute and no more.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use concordat_protocol::audit::EntryBody;
use concordat_protocol::ids::NodeId;
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::Refusal;
use concordat_storage::ledger::Attribution;

use super::Sharing;
use crate::network::Session;
use crate::shutdown::Stage;

/// The time whose refusals make up one entry.
const WINDOW_MS: i64 = 60_000;
/// How often windows that are over are looked for.
const LOOK: Duration = Duration::from_secs(10);

/// What is to be entered, and on whose account.
type Due = (EntryBody, Attribution);

/// The refusals of the last minute, by peer.
#[derive(Debug, Default)]
pub(super) struct EarlyRefusals(Mutex<BTreeMap<NodeId, Window>>);

#[derive(Debug)]
struct Window {
    began: Timestamp,
    /// Refusals since the one that was entered when it began.
    counted: u32,
    reason: Reason,
    by: Attribution,
}

impl Window {
    fn due(self) -> Option<Due> {
        let body = EntryBody::QueriesRefused {
            count: self.counted,
            reason: self.reason,
        };
        (self.counted > 0).then_some((body, self.by))
    }

    fn is_over(&self, now: Timestamp) -> bool {
        // A clock that was put back ends it, too.
        !(0..WINDOW_MS).contains(&now.since(self.began))
    }
}

impl EarlyRefusals {
    /// Notes a refusal and gives what is to be entered now.
    fn note(&self, peer: NodeId, by: Attribution, reason: Reason, now: Timestamp) -> Vec<Due> {
        let mut windows = self.windows();
        if let Some(window) = windows.get_mut(&peer).filter(|window| !window.is_over(now)) {
            window.counted = window.counted.saturating_add(1);
            window.reason = reason;
            return Vec::new();
        }
        let opened = Window {
            began: now,
            counted: 0,
            reason: reason.clone(),
            by: by.clone(),
        };
        let before = windows.insert(peer, opened).and_then(Window::due);
        let this = (EntryBody::QueriesRefused { count: 1, reason }, by);
        before.into_iter().chain([this]).collect()
    }

    /// Ends the windows that are over at `now`, all of them if there is no `now`, and gives what they counted.
    fn ended(&self, now: Option<Timestamp>) -> Vec<Due> {
        let mut windows = self.windows();
        let over = |window: &Window| now.is_none_or(|now| window.is_over(now));
        let ended: Vec<NodeId> = windows.iter().filter(|(_, w)| over(w)).map(|(peer, _)| *peer).collect();
        let ended = ended.iter().filter_map(|peer| windows.remove(peer));
        ended.filter_map(Window::due).collect()
    }

    fn windows(&self) -> MutexGuard<'_, BTreeMap<NodeId, Window>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sharing {
    /// Enters that a query was refused before the policy was asked.
    pub(super) async fn refused_early(&self, session: &Session, refusal: &Refusal) {
        let first = refusal.reasons.first();
        let reason = Reason::fitted(first.map_or("no reason was given", |reason| reason.text.as_str()));
        let now = self.0.parts.clock.now();
        self.enter_refusals(self.0.early.note(session.peer(), session.attribution(), reason, now))
            .await;
    }

    /// Enters what was counted once its minute is over, until `stage` stops; then what is left.
    pub(super) async fn enter_counted_refusals(self, stage: Stage) {
        while stage
            .token()
            .run_until_cancelled(tokio::time::sleep(LOOK))
            .await
            .is_some()
        {
            let now = self.0.parts.clock.now();
            self.enter_refusals(self.0.early.ended(Some(now))).await;
        }
        self.enter_refusals(self.0.early.ended(None)).await;
    }

    async fn enter_refusals(&self, due: Vec<Due>) {
        let parts = &self.0.parts;
        for (body, by) in due {
            if let Err(error) = parts.ledger.append_async(body, &by, parts.clock.now()).await {
                tracing::error!(%error, "the ledger did not take the refusal of a query");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use concordat_protocol::audit::Cause;

    use super::*;

    fn peer(seed: u8) -> (NodeId, Attribution) {
        let node = NodeId::from_bytes([seed; 32]);
        let by = Attribution::vouch(Cause::Peer {
            node,
            institution: None,
            actor: None,
        });
        (node, by)
    }

    fn counts(due: &[Due]) -> Vec<u32> {
        let count = |(body, _): &Due| {
            let EntryBody::QueriesRefused { count, .. } = body else {
                panic!("{body:?}")
            };
            *count
        };
        due.iter().map(count).collect()
    }

    #[test]
    fn a_flood_of_refusals_is_entered_in_two_entries_a_minute_and_each_is_counted() {
        let refusals = EarlyRefusals::default();
        let start = Timestamp::from_millis(1_800_000_000_000);
        let reason = || Reason::fitted("no such grant");
        let ((greedy, by), (modest, other)) = (peer(1), peer(2));
        let mut entered = Vec::new();
        for n in 0..6000 {
            let now = start.plus_millis(n * 50);
            entered.extend(counts(&refusals.note(greedy, by.clone(), reason(), now)));
        }
        assert_eq!(counts(&refusals.note(modest, other, reason(), start)), [1]);
        let last = refusals.ended(None);
        assert!(last.iter().all(|(_, whose)| *whose == by));
        entered.extend(counts(&last));
        assert_eq!(entered.iter().sum::<u32>(), 6000);
        assert_eq!(entered.len(), 10, "five minutes: {entered:?}");
        assert!(refusals.ended(None).is_empty());
    }

    #[test]
    fn what_is_counted_is_entered_when_the_minute_is_over_although_nothing_follows() {
        let refusals = EarlyRefusals::default();
        let start = Timestamp::from_millis(1_800_000_000_000);
        let (node, by) = peer(1);
        for n in 0..3 {
            refusals.note(node, by.clone(), Reason::fitted("a replay"), start.plus_millis(n));
        }
        assert!(refusals.ended(Some(start.plus_millis(WINDOW_MS - 1))).is_empty());
        assert_eq!(counts(&refusals.ended(Some(start.plus_millis(WINDOW_MS)))), [2]);
    }
}
