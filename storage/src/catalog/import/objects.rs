//! The objects that an import writes.

use arrow::datatypes::SchemaRef;
use object_store::{ObjectStore, path::Path};
use tokio::runtime::Handle;

use super::{
    super::{
        ObjectEntry,
        writer::{Target, VersionWriter},
    },
    ImportError,
};
use crate::{seal::SealedStore, subjects::StoredBatches};

/// Writes objects, and knows all of them until the version is visible.
pub(super) struct ImportObjects<'a> {
    pub(super) runtime: &'a Handle,
    pub(super) sealed: SealedStore,
    /// The store below `sealed`.
    pub(super) inner: &'a dyn ObjectStore,
    pub(super) folder: String,
    written: Vec<Path>,
}

impl<'a> ImportObjects<'a> {
    pub(super) fn new(runtime: &'a Handle, sealed: SealedStore, inner: &'a dyn ObjectStore, folder: String) -> Self {
        Self {
            runtime,
            sealed,
            inner,
            folder,
            written: Vec::new(),
        }
    }

    /// Writes the rows that `fill` passes on, as objects of at most about `rows_per_object` rows each; all of them are durable after this.
    pub(super) fn write(
        &mut self,
        schema: SchemaRef,
        rows_per_object: u64,
        fill: impl FnOnce(&mut VersionWriter<'_>) -> Result<(), ImportError>,
    ) -> Result<Vec<ObjectEntry>, ImportError> {
        let mut writer = VersionWriter::new(Target {
            runtime: self.runtime,
            sealed: self.sealed.clone(),
            inner: self.inner,
            folder: self.folder.clone(),
            schema,
            rows_per_object: rows_per_object.max(1),
        });
        let result = fill(&mut writer).and_then(|()| Ok(writer.finish()?));
        self.written.extend(writer.abandon());
        result
    }

    /// Writes what is stored about subjects, as one object; `None` if there are no rows.
    pub(super) fn write_table(&mut self, table: StoredBatches) -> Result<Option<ObjectEntry>, ImportError> {
        let objects = self.write(table.schema(), u64::MAX, |writer| {
            for batch in table {
                writer.write(&batch?)?;
            }
            Ok(())
        })?;
        Ok(objects.into_iter().next())
    }

    /// The paths of everything that was written, or may have been.
    pub(super) fn into_paths(self) -> Vec<Path> {
        self.written
    }
}
