//! Errors for refused statements.

use concordat_protocol::ids::RESERVED_PREFIX;
use datafusion::sql::sqlparser::ast::Ident;

use crate::QueryError;

/// How deeply a query may be nested; the engine walks it recursively.
pub(super) const MAX_DEPTH: usize = 64;

pub(super) const fn refused(what: &'static str) -> QueryError {
    QueryError::Refused { what }
}

pub(super) fn forbid(present: bool, what: &'static str) -> Result<(), QueryError> {
    if present { Err(refused(what)) } else { Ok(()) }
}

/// What the holder of a collection does not compute, and how to write it instead.
pub(super) const fn not_computed(what: &'static str, nearest: &'static str) -> QueryError {
    QueryError::NotComputed {
        what,
        nearest: Some(nearest),
    }
}

pub(super) const fn too_deep() -> QueryError {
    QueryError::TooComplex {
        what: "nested too deeply",
        max: MAX_DEPTH,
    }
}

pub(super) fn not_reserved(name: &Ident) -> Result<(), QueryError> {
    forbid(
        name.value.to_ascii_lowercase().starts_with(RESERVED_PREFIX),
        "names that start with `__concordat` are",
    )
}
