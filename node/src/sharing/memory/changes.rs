//! Which subjects differ between versions.

use concordat_disclosure::UnitSet;
use concordat_engine::{Changes, QueryError};
use concordat_protocol::error_kind::Explain;
use concordat_protocol::ids::DatasetName;
use concordat_protocol::schema::VersionNumber;
use concordat_storage::catalog::{Catalog, OpenCollection};

/// The changes up to a version, as the versions in between state them. It reads them on a thread of a runtime with several.
pub(in crate::sharing) struct ChangesBefore {
    catalog: Catalog,
    version: OpenCollection,
}

impl ChangesBefore {
    /// Those up to `version`.
    pub(in crate::sharing) const fn new(catalog: Catalog, version: OpenCollection) -> Self {
        Self { catalog, version }
    }
}

impl Changes for ChangesBefore {
    fn subjects(&self, since: VersionNumber) -> Result<Option<UnitSet>, QueryError> {
        let read = || self.catalog.changed_since(&self.version, since);
        let changed = tokio::task::block_in_place(read).map_err(|error| {
            tracing::error!(%error, "which subjects have changed is not known, so nothing is answered below records");
            QueryError::Stored { kind: error.kind() }
        })?;
        Ok(changed.map(|ordinals| ordinals.into_iter().collect()))
    }

    /// Sets of rows are compared within one version, so this is not used: each version has rows of its own.
    fn rows(&self, _: &DatasetName, _: VersionNumber) -> Result<Option<UnitSet>, QueryError> {
        Ok(None)
    }
}
