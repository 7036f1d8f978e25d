//! Kinds of errors, so that every caller reacts the same way.
//!
//! Each area has its own error type with a `kind()` that returns one of these. The command line turns it into its exit code and
//! the API into a status, and neither has to know the errors themselves.

use serde::{Deserialize, Serialize};

/// The kind of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ErrorKind {
    /// The caller asked for something impossible (wrong input, wrong permissions on a file they own).
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
#[error("the store did not return the requested data")]
pub(crate) struct Reported(pub(crate) ErrorKind);
