//! The kinds of errors of a store, also of one that another process reads.

use concordat_protocol::error_kind::ErrorKind;
use concordat_storage::seal;

/// The kind of an error of a store that another process reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the store did not return the requested data")]
pub(super) struct Reported(pub(super) ErrorKind);

/// The kind of an error of an object store: the reported one, if another process read it.
pub(super) fn store_error_kind(error: &object_store::Error) -> ErrorKind {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = next {
        if let Some(Reported(kind)) = current.downcast_ref::<Reported>() {
            return *kind;
        }
        next = current.source();
    }
    seal::store_error_kind(error)
}
