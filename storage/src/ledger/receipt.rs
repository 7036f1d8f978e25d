//! The proof that an action was recorded before it happens.

use concordat_protocol::{
    audit::EntryBody,
    ids::{Digest32, QueryId},
};

/// The proof that an entry is durably in the ledger. Only the ledger creates one; it can be neither copied nor stored, so that
/// one entry permits one action.
#[derive(Debug)]
#[must_use = "without the receipt the entry permits nothing"]
pub struct LedgerReceipt {
    sequence: u64,
    leaf: Digest32,
    permits: Option<QueryId>,
    declares: Option<Box<EntryBody>>,
}

impl LedgerReceipt {
    pub(super) fn new(
        (sequence, leaf): (u64, Digest32),
        permits: Option<QueryId>,
        declares: Option<Box<EntryBody>>,
    ) -> Self {
        Self {
            sequence,
            leaf,
            permits,
            declares,
        }
    }

    /// The receipt of an entry, for tests without a ledger.
    #[cfg(test)]
    pub(crate) fn of(entry: &EntryBody) -> Self {
        Self::new((0, Digest32::ZERO), None, declaration(entry))
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

    /// The entry itself, if it states what is declared about a collection.
    pub fn declares(&self) -> Option<&EntryBody> {
        self.declares.as_deref()
    }
}

/// The entry itself, if it states what is declared about a collection.
pub(super) fn declaration(body: &EntryBody) -> Option<Box<EntryBody>> {
    let is_declaration = matches!(
        body,
        EntryBody::DatasetClassified { .. }
            | EntryBody::DatasetPublished { .. }
            | EntryBody::DatasetWithdrawn { .. }
            | EntryBody::DatasetLimited { .. }
    );
    is_declaration.then(|| Box::new(body.clone()))
}
