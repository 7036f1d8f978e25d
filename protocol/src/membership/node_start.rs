//! The starts of a node, counted, so that an older copy of a node and a second one beside it are distinguished from the newest.
//!
//! 1. A node counts its starts in its sealed state and chooses a random id at each ([`NodeStart`]). Both are in the ledger's entry about
//!    the start, and in the signed statement of each hello.
//! 2. Each peer stores the newest start that it has seen of each node, as the node signed it, and compares every hello with it
//!    ([`NodeStart::compare`]): an earlier start is an older copy of the node, and another start of the same number is a second node that
//!    runs on a copy of the same data directory.
//! 3. A node that goes on from an older copy on purpose counts a new generation, which comes after all starts of the earlier ones.

use serde::{Deserialize, Serialize};

use crate::ids::StartId;

/// One start of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeStart {
    /// How often a restore had been acknowledged at the node.
    pub generation: u32,
    /// How often the node had been started, this start included.
    pub number: u64,
    /// Chosen at random at the start.
    pub id: StartId,
}

/// How a start of a node relates to the newest one that is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartOrder {
    /// It is the same.
    Same,
    /// It came later.
    Later,
    /// It came earlier: the node is an older copy.
    Earlier,
    /// It is another one in the same place: two nodes run on copies of one data directory.
    Beside,
}

impl NodeStart {
    /// How this start relates to the start `known`.
    #[must_use]
    pub fn compare(&self, known: &Self) -> StartOrder {
        let place = |start: &Self| (start.generation, start.number);
        match place(self).cmp(&place(known)) {
            std::cmp::Ordering::Less => StartOrder::Earlier,
            std::cmp::Ordering::Greater => StartOrder::Later,
            // A start keeps its id under every generation.
            std::cmp::Ordering::Equal if self.id == known.id => StartOrder::Same,
            std::cmp::Ordering::Equal => StartOrder::Beside,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(generation: u32, number: u64, id: u8) -> NodeStart {
        let id = StartId::from_bytes([id; 16]);
        NodeStart { generation, number, id }
    }

    #[test]
    fn start_is_ordered_by_generation_and_number_and_then_by_id() {
        let known = start(1, 5, 1);
        for (shown, order) in [
            (known, StartOrder::Same),
            (start(1, 6, 2), StartOrder::Later),
            (start(2, 1, 2), StartOrder::Later),
            (start(1, 4, 2), StartOrder::Earlier),
            (start(0, 9, 2), StartOrder::Earlier),
            (start(1, 5, 2), StartOrder::Beside),
        ] {
            assert_eq!(shown.compare(&known), order, "{shown:?}");
        }
    }
}
