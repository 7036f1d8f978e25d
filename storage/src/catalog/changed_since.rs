//! The subjects whose rows have changed over several versions.

use std::collections::BTreeSet;

use concordat_protocol::schema::VersionNumber;
use tokio::runtime::Handle;

use super::{CatalogError, ChangedTable, OpenCollection, subject_tables::stored, versions::Versions};
use crate::subjects::{ChangedSubjects, SubjectError};

impl Versions {
    /// See [`super::Catalog::changed_since`].
    pub(super) fn changed_since(
        &self,
        runtime: &Handle,
        version: &OpenCollection,
        since: VersionNumber,
    ) -> Result<Option<BTreeSet<u32>>, CatalogError> {
        let mut changed = BTreeSet::new();
        let mut newer = version.clone();
        while newer.manifest().version() > since {
            let Some(older) = self.before(&newer)? else {
                return Ok(None);
            };
            match changed_in(runtime, &older, &newer)? {
                Some(subjects) => changed.extend(subjects),
                None => return Ok(None),
            }
            newer = older;
        }
        Ok(Some(changed))
    }

    /// The version before, if it is kept.
    fn before(&self, version: &OpenCollection) -> Result<Option<OpenCollection>, CatalogError> {
        let manifest = version.manifest();
        let number = VersionNumber::new(manifest.version().get().saturating_sub(1));
        match self.open_collection(manifest.collection(), Some(number)) {
            Ok(before) => Ok(Some(before)),
            Err(CatalogError::NoSuchVersion { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The ordinals of the subjects whose rows are others than in the version before; `None` if an ordinal can be another subject.
fn changed_in(
    runtime: &Handle,
    older: &OpenCollection,
    newer: &OpenCollection,
) -> Result<Option<Vec<u32>>, CatalogError> {
    let subjects = newer.manifest().subjects();
    Ok(match &subjects.changed {
        ChangedTable::All => None,
        ChangedTable::Added => Some((older.manifest().subjects().count..subjects.count).collect()),
        ChangedTable::Listed(table) => {
            let rows = u32::try_from(table.rows).map_err(|_| SubjectError::Damaged {
                what: "more subjects changed than there are",
            })?;
            let read = ChangedSubjects::open(subjects.count, rows, stored(runtime, newer, table)?)?;
            Some(read.ordinals().to_vec())
        }
    })
}
