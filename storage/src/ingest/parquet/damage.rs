//! What is wrong with a Parquet file.

use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::errors::{ParquetError, Result};

/// What is wrong with a file, and what to do if its author can avoid it.
pub(super) type Damage = &'static str;

/// Anything that a correct file does not contain.
pub(super) const DAMAGED: Damage = "it is damaged or incomplete; get it again";

/// Calls the library. Its errors are not passed on, because they may quote a value; a [`Refusal`] states what it is about.
///
/// # Errors
/// [`DAMAGED`] if the library fails or panics, or the refusal that it was given.
pub(super) fn contained<T>(call: impl FnOnce() -> Result<T>) -> std::result::Result<T, Damage> {
    // What the call has changed is dropped after an error, so that it does not matter in which state a panic left it.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(ParquetError::External(error))) => {
            Err(error.downcast_ref::<Refusal>().map_or(DAMAGED, |refusal| refusal.0))
        }
        Ok(Err(_)) | Err(_) => Err(DAMAGED),
    }
}

/// A refusal that passes through the library as an error.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refusal(pub(super) Damage);

impl From<Refusal> for ParquetError {
    fn from(refusal: Refusal) -> Self {
        Self::External(Box::new(refusal))
    }
}
