//! The proof that an action was recorded before it happens.

use concordat_protocol::ids::{Digest32, QueryId};

/// The proof that an entry is durably in the ledger. Only the ledger creates one; it can be neither copied nor stored, so that
/// one entry permits one action.
#[derive(Debug)]
#[must_use = "without the receipt the entry permits nothing"]
pub struct LedgerReceipt {
    sequence: u64,
    leaf: Digest32,
    permits: Option<QueryId>,
}

impl LedgerReceipt {
    pub(super) fn new(sequence: u64, leaf: Digest32, permits: Option<QueryId>) -> Self {
        Self {
            sequence,
            leaf,
            permits,
        }
    }

    /// The entry's number.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The entry's leaf hash.
    pub fn leaf(&self) -> Digest32 {
        self.leaf
    }

    /// The request, if the entry is the decision to permit one.
    pub fn permits(&self) -> Option<QueryId> {
        self.permits
    }
}
