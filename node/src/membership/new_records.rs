//! How many new records of each node are accepted in a time: what a peer signs must not fill the state or the ledger.

use std::collections::BTreeMap;

use concordat_protocol::ids::NodeId;
use concordat_protocol::time::Timestamp;

/// When the present window of each node began, and how many new records were accepted in it.
#[derive(Debug)]
pub(crate) struct NewRecords {
    most: u32,
    window_ms: i64,
    recent: BTreeMap<NodeId, (Timestamp, u32)>,
}

impl NewRecords {
    /// Accepts at most `most` of a node within `window_ms` milliseconds.
    pub(crate) const fn new(most: u32, window_ms: i64) -> Self {
        Self {
            most,
            window_ms,
            recent: BTreeMap::new(),
        }
    }

    /// Whether one more record of `node` may be accepted.
    pub(crate) fn admit(&mut self, node: NodeId, now: Timestamp) -> bool {
        let (began, count) = self.recent.entry(node).or_insert((now, 0));
        if now.since(*began).unsigned_abs() >= self.window_ms.unsigned_abs() {
            (*began, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count <= self.most
    }

    /// Forgets a node that is no member any more.
    pub(crate) fn remove(&mut self, node: &NodeId) {
        self.recent.remove(node);
    }
}
