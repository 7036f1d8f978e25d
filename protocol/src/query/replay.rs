//! Each query is answered only once.

use std::collections::{BTreeMap, VecDeque};

use super::MAX_QUERY_AGE_MS;
use crate::ids::{NodeId, QueryId};
use crate::time::{MAX_CLOCK_SKEW_MS, Timestamp};

/// Most queries of one peer that are remembered; more within the window are a flood and are refused.
const MAX_PER_PEER: usize = 65_536;

/// Remembers the queries of the last minutes, peer by peer, so that one peer cannot evict the queries of another. A query
/// older than the window is refused because of its age, so no query has to be remembered longer.
#[derive(Debug, Default)]
pub struct ReplayWindow {
    seen: BTreeMap<NodeId, Peer>,
}

#[derive(Debug, Default)]
struct Peer {
    known: std::collections::BTreeSet<QueryId>,
    order: VecDeque<(Timestamp, QueryId)>,
}

/// Why a query is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Replayed {
    /// It was received before.
    #[error("this query was received before")]
    Again,
    /// Too many queries within the window.
    #[error("more than {MAX_PER_PEER} queries within a few minutes")]
    Flood,
}

impl Replayed {
    /// The name of the broken rule, as peers are sent it.
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Again => "query-once",
            Self::Flood => "query-rate",
        }
    }
}

impl ReplayWindow {
    /// Remembers `query` of `peer`.
    ///
    /// # Errors
    /// [`Replayed`] if it was received before, or if the peer sends too many queries.
    pub fn admit(&mut self, peer: NodeId, query: QueryId, now: Timestamp) -> Result<(), Replayed> {
        let peer = self.seen.entry(peer).or_default();
        peer.forget_before(now.plus_millis(-(MAX_QUERY_AGE_MS + 2 * MAX_CLOCK_SKEW_MS)));
        if peer.known.contains(&query) {
            return Err(Replayed::Again);
        }
        if peer.known.len() >= MAX_PER_PEER {
            return Err(Replayed::Flood);
        }
        peer.known.insert(query);
        peer.order.push_back((now, query));
        Ok(())
    }
}

impl Peer {
    fn forget_before(&mut self, limit: Timestamp) {
        while let Some((at, query)) = self.order.front().copied() {
            if at >= limit {
                return;
            }
            self.order.pop_front();
            self.known.remove(&query);
        }
    }
}
