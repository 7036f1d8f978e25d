//! By which rules the cells of an answer are decided: those of the scope that was decided, and nothing else.
//!
//! A scope follows from the terms that both sides signed, the records of the collection and the policy set. No session, no query and nothing
//! that a person states is an input here; a contract test compares what this file uses with a list, and that it is the only one.

use concordat_engine::{Disclosure, QueryError};
use concordat_protocol::scope::Scope;
use zeroize::Zeroizing;

/// The rules of answers within `scope`, whose noise comes from `secret`.
///
/// # Errors
/// [`QueryError::NotApplied`] if there are no such rules.
pub(super) fn disclosure_of(scope: &Scope, secret: Zeroizing<[u8; 32]>) -> Result<Disclosure, QueryError> {
    Disclosure::new(scope.limits.min_cell, &scope.protection, secret)
}
