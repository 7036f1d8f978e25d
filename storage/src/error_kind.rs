//! What kind of error one is, so that every caller reacts the same way.
//!
//! Each area has its own error type with a `kind()` that answers with one of these; the command line turns the answer into
//! its exit code and the API into a status, without either knowing the errors themselves.

use serde::{Deserialize, Serialize};

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ErrorKind {
    /// The caller asked for something that cannot be (wrong input, wrong permissions on a file they own).
    Usage,
    /// A rule forbids it.
    Denied,
    /// It does not exist, or the caller may not know that it does.
    NotFound,
    /// A peer or service did not answer.
    Unreachable,
    /// Stored bytes are not the bytes that were written.
    Integrity,
    /// A key, a login or a lock is missing.
    Locked,
    /// The machine or the program failed.
    Machine,
}

/// The kind of an error of a store that another process reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the store did not give what was asked for")]
pub(crate) struct Reported(pub(crate) ErrorKind);
