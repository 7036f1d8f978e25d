//! The tokio runtime for file I/O.

use tokio::runtime::Handle;

use super::CatalogError;

/// The runtime of this thread.
pub(super) fn runtime() -> Result<Handle, CatalogError> {
    Handle::try_current().map_err(|_| CatalogError::NoRuntime)
}
