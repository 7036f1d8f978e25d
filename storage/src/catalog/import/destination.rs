//! The destination of a version.

use std::sync::Arc;

use concordat_keys::{DatasetKey, PseudonymSecret};
use concordat_protocol::ids::{CollectionName, DatasetName, SegmentName};

use super::{
    super::{CatalogError, CollectionManifest, CollectionRecord, DatasetManifest, OpenCollection},
    ImportError, Importer,
    request::{ImportMode, MAIN_SEGMENT},
};

/// The collection that gets a version, with the key that seals its objects.
pub(super) struct Destination {
    pub(super) name: CollectionName,
    pub(super) mode: ImportMode,
    pub(super) old: Option<CollectionRecord>,
    /// The version that it has now; open, so that its objects stay.
    pub(super) previous: Option<OpenCollection>,
    pub(super) segment: SegmentName,
    pub(super) key: Arc<DatasetKey>,
    /// From which the keys of the hashes of subjects are derived.
    pub(super) pseudonyms: PseudonymSecret,
}

impl Destination {
    pub(super) fn previous(&self) -> Option<&CollectionManifest> {
        self.previous.as_ref().map(OpenCollection::manifest)
    }

    /// The version that it has now, if its rows stay.
    pub(super) fn stays(&self) -> Option<&CollectionManifest> {
        self.previous().filter(|_| self.mode == ImportMode::Append)
    }

    /// The dataset of this name as it is now, if its rows stay.
    pub(super) fn stays_of(&self, name: &DatasetName) -> Option<&DatasetManifest> {
        self.stays().and_then(|stays| stays.dataset(name))
    }
}

impl Importer {
    /// `found` is the record that the collection has now.
    pub(super) fn destination(
        &self,
        name: &CollectionName,
        found: Option<CollectionRecord>,
        mode: ImportMode,
        segment: Option<&SegmentName>,
    ) -> Result<Destination, ImportError> {
        let dataset = || DatasetName::from(name);
        match (found, mode) {
            (Some(_), ImportMode::Create) => Err(ImportError::Exists { name: dataset() }),
            (None, ImportMode::Append | ImportMode::Replace) => Err(CatalogError::NotFound { name: dataset() }.into()),
            (None, ImportMode::Create) => Ok(Destination {
                name: name.clone(),
                mode,
                old: None,
                previous: None,
                segment: segment.cloned().unwrap_or_else(main_segment),
                key: Arc::new(DatasetKey::random().map_err(CatalogError::from)?),
                pseudonyms: PseudonymSecret::random().map_err(CatalogError::from)?,
            }),
            (Some(old), ImportMode::Append | ImportMode::Replace) => {
                if let Some(wanted) = segment.filter(|wanted| **wanted != old.segment) {
                    return Err(ImportError::OtherSegment {
                        name: dataset(),
                        wanted: wanted.clone(),
                        segment: old.segment,
                    });
                }
                self.existing_destination(old, mode)
            }
        }
    }

    fn existing_destination(&self, old: CollectionRecord, mode: ImportMode) -> Result<Destination, ImportError> {
        let previous = self.versions.open_collection(&old.name, Some(old.current))?;
        let keys = self.keys.open_keys(&old)?;
        Ok(Destination {
            name: old.name.clone(),
            mode,
            previous: Some(previous),
            segment: old.segment.clone(),
            key: Arc::new(keys.current),
            pseudonyms: keys.pseudonyms,
            old: Some(old),
        })
    }
}

#[expect(
    clippy::expect_used,
    reason = "by INVARIANT on MAIN_SEGMENT: it follows the rule of segment names"
)]
fn main_segment() -> SegmentName {
    SegmentName::new(MAIN_SEGMENT).expect("a valid name")
}
