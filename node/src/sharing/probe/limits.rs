//! How many probes are answered.

use std::sync::{Mutex, PoisonError};

use concordat_protocol::ids::NodeId;
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::{Refusal, RefusalCode};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::membership::NewRecords;

/// How many probes of one node are answered in [`WINDOW_MS`]: a peer sends one a day, and further ones if the first are interrupted.
const MAX_PROBES: u32 = 4;
/// The time for which probes are counted: a day, in milliseconds.
const WINDOW_MS: i64 = 86_400_000;

/// The probes of peers.
#[derive(Debug)]
pub(in crate::sharing) struct Probes {
    recent: Mutex<NewRecords>,
    one: Semaphore,
}

impl Probes {
    /// None yet.
    pub(in crate::sharing) fn new() -> Self {
        Self {
            recent: Mutex::new(NewRecords::new(MAX_PROBES, WINDOW_MS)),
            one: Semaphore::new(1),
        }
    }

    /// Admits a probe of `node`, unless another one is being answered or the node has sent too many.
    ///
    /// # Errors
    /// [`RefusalCode::Busy`].
    pub(super) fn admit(&self, node: NodeId, now: Timestamp) -> Result<SemaphorePermit<'_>, Refusal> {
        let busy = |text: &str| Refusal::because(RefusalCode::Busy, text);
        let only = self.one.try_acquire();
        let only = only.map_err(|_| busy("another probe is being answered; try again later"))?;
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.admit(node, now) {
            Ok(only)
        } else {
            Err(busy("the node has been probed often enough today; try again tomorrow"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Timestamp = Timestamp::from_millis(WINDOW_MS);

    #[test]
    fn probes_of_a_node_are_bounded_in_a_day() {
        let probes = Probes::new();
        let node = NodeId::from_bytes([1; 32]);
        for _ in 0..MAX_PROBES {
            assert!(probes.admit(node, DAY).is_ok());
        }
        assert_eq!(probes.admit(node, DAY).unwrap_err().code, RefusalCode::Busy);
        assert!(probes.admit(NodeId::from_bytes([2; 32]), DAY).is_ok());
        assert!(probes.admit(node, DAY.plus_millis(WINDOW_MS)).is_ok());
    }

    #[test]
    fn probes_are_answered_one_at_a_time() {
        let probes = Probes::new();
        let first = probes.admit(NodeId::from_bytes([1; 32]), DAY).unwrap();
        let other = NodeId::from_bytes([2; 32]);
        assert_eq!(probes.admit(other, DAY).unwrap_err().code, RefusalCode::Busy);
        drop(first);
        assert!(probes.admit(other, DAY).is_ok());
    }
}
