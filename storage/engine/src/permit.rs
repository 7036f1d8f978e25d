//! The value that opens the query engine once.
//!
//! A [`Permit`] is created from a scope and the ledger's receipt for the decision behind it. It cannot be copied,
//! stored or sent, and the engine consumes it: one decision, one durable entry, one answer.

use concordat_protocol::{
    ids::{GrantId, QueryId},
    scope::Scope,
};
use concordat_storage::ledger::LedgerReceipt;

/// By what right an answer is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A grant to another institution.
    Grant(GrantId),
    /// The rights of the institution's own users.
    Local,
}

impl Holder {
    /// The grant's 16 bytes; `None` for the institution's own users.
    pub(crate) const fn grant(&self) -> Option<&[u8; 16]> {
        match self {
            Self::Grant(id) => Some(id.as_bytes()),
            Self::Local => None,
        }
    }
}

/// Permission for one answer.
#[derive(Debug)]
#[must_use = "an unused permit means a decision was made and recorded for nothing"]
pub struct Permit {
    holder: Holder,
    scope: Scope,
    receipt: LedgerReceipt,
}

/// The ledger entry is not the decision to permit this query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ledger entry `{sequence}` does not permit this query")]
pub struct NotPermitted {
    /// The entry's number.
    pub sequence: u64,
}

impl Permit {
    /// The permit for what `scope` covers, once the decision to permit `query` is durably in the ledger.
    ///
    /// # Errors
    /// [`NotPermitted`] if the receipt is for another entry than that decision.
    pub fn new(holder: Holder, query: QueryId, scope: Scope, receipt: LedgerReceipt) -> Result<Self, NotPermitted> {
        if receipt.permits() == Some(query) {
            Ok(Self { holder, scope, receipt })
        } else {
            Err(NotPermitted {
                sequence: receipt.sequence(),
            })
        }
    }

    pub(crate) fn open(self) -> (Holder, Scope, LedgerReceipt) {
        (self.holder, self.scope, self.receipt)
    }
}
