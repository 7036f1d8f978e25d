//! What a memory is of.

use concordat_protocol::ids::{CreationId, DatasetName};
use concordat_storage::answers::MemoryOwner;

/// Which memory an answer belongs to.
#[derive(Clone, Debug)]
pub(in crate::sharing) struct MemoryKey {
    /// The collection, as a dataset of its name.
    pub(in crate::sharing) name: DatasetName,
    /// The creation of the collection.
    pub(in crate::sharing) created: CreationId,
    /// Whose answers count together.
    pub(in crate::sharing) owner: MemoryOwner,
}
