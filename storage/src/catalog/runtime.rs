//! Where file work is done.

use tokio::runtime::Handle;

use super::CatalogError;

/// The runtime of this thread.
pub(super) fn runtime() -> Result<Handle, CatalogError> {
    Handle::try_current().map_err(|_| CatalogError::NoRuntime)
}
