//! Rosters with which the charter key was misused: recorded, and shown to people, in bounded number.
//!
//! Only holders of the charter can make such a roster, but every member can send one again. Each is recorded once; a node that
//! sends several in turn makes at most two entries a minute ([`crate::refusals`]).

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use concordat_protocol::audit::Cause;
use concordat_protocol::ids::{Digest32, NodeId};
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::Attribution;

use crate::refusals::{Due, Refusals};

/// How many rosters to remember as recorded: more than holders make by mistake.
const MAX_KNOWN: usize = 16;

/// A roster that the charter key signed and this node rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRoster {
    /// Its number.
    pub number: u64,
    /// Digest of its bytes.
    pub digest: Digest32,
    /// Which rule it violates.
    pub reason: String,
    /// When it was received.
    pub at: Timestamp,
}

/// The rosters that were rejected since the node started.
#[derive(Debug, Default)]
pub(super) struct RefusedRosters {
    newest: Mutex<Option<RefusedRoster>>,
    /// Those that the ledger records, oldest first.
    known: Mutex<VecDeque<Digest32>>,
    counted: Refusals,
}

impl RefusedRosters {
    /// Stops showing the rejected roster if its number is at most `number`: another one has been accepted.
    pub(super) fn forget_until(&self, number: u64) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.take_if(|refused| refused.number <= number);
    }

    /// The roster that was rejected last, if no roster at least as new has been accepted since.
    pub(super) fn newest(&self) -> Option<RefusedRoster> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shows this roster from now on.
    pub(super) fn show(&self, refused: RefusedRoster) {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(refused);
    }

    /// The counts that are still to be recorded.
    pub(super) fn counted(&self) -> &Refusals {
        &self.counted
    }

    /// Notes a roster, and returns what has to be recorded now.
    pub(super) fn note(&self, digest: Digest32, by: &Attribution, reason: &Reason, now: Timestamp) -> DueRefusals {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(&digest) {
            return DueRefusals::default();
        }
        let due = match sender(by) {
            Some(peer) => DueRefusals::of(self.counted.note(peer, by.clone(), reason.clone(), now)),
            // A person who imports a file makes one entry with each file.
            None => DueRefusals {
                roster: true,
                before: Vec::new(),
            },
        };
        if due.roster {
            if known.len() >= MAX_KNOWN {
                known.pop_front();
            }
            known.push_back(digest);
        }
        due
    }
}

/// What has to be recorded now.
#[derive(Debug, Default)]
pub(super) struct DueRefusals {
    /// Whether the roster itself; otherwise it is counted.
    pub(super) roster: bool,
    /// The count of those that the sender sent before.
    pub(super) before: Vec<Due>,
}

impl DueRefusals {
    /// The last of `due` is the refusal of this roster, unless it is only counted.
    fn of(mut due: Vec<Due>) -> Self {
        Self {
            roster: due.pop().is_some(),
            before: due,
        }
    }
}

fn sender(by: &Attribution) -> Option<NodeId> {
    match by.cause() {
        Cause::Peer { node, .. } => Some(*node),
        Cause::Person { .. } | Cause::TwoPeople { .. } | Cause::OsAccount { .. } | Cause::Node { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn digest(n: u8) -> Digest32 {
        Digest32::from_bytes([n; 32])
    }

    /// The entries that rosters, sent in turn by one node over `seconds`, make in the ledger.
    fn entries(rosters: u8, seconds: i64) -> usize {
        let refused = RefusedRosters::default();
        let by = Attribution::vouch(Cause::Peer {
            node: NodeId::from_bytes([7; 32]),
            institution: None,
            actor: None,
        });
        let mut entries = 0;
        for n in 0..seconds * 20 {
            let sent = digest(u8::try_from(n % i64::from(rosters)).unwrap());
            let due = refused.note(
                sent,
                &by,
                &Reason::sanitized("two histories"),
                START.plus_millis(n * 50),
            );
            entries += usize::from(due.roster) + due.before.len();
        }
        entries
    }

    #[test]
    fn refused_rosters_sent_in_turn_make_few_entries() {
        assert_eq!(entries(1, 300), 1);
        // The second is counted for a minute, then recorded too.
        assert_eq!(entries(2, 300), 3);
        // Too many to remember: two entries a minute.
        assert!(entries(40, 300) <= 10, "{}", entries(40, 300));
    }
}
