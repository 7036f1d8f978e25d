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
