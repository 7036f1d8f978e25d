//! The ledger entries of a new version.
//!
//! A version can have other declarations than the one before, so its entry states them. The entry is made when the version is visible, and the next
//! start makes it if a stop comes first.

use concordat_protocol::{audit::EntryBody, ids::Digest32};

use super::{CollectionManifest, CollectionRecord};

/// What the ledger states about a new version: that it withdraws the collection, if so, and then the version itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "what a version declares has to be in the ledger"]
pub struct VersionEntries {
    imported: EntryBody,
    withdrawn: Option<EntryBody>,
}

impl VersionEntries {
    /// The entries of the current version of a collection, in their order.
    pub(super) fn of(
        record: &CollectionRecord,
        (manifest, digest): (&CollectionManifest, Digest32),
        is_withdrawn: bool,
    ) -> Self {
        let dataset = record.dataset_name();
        Self {
            imported: record.entry_of_version(manifest, digest),
            withdrawn: is_withdrawn.then_some(EntryBody::DatasetWithdrawn { dataset }),
        }
    }

    /// The version was published before, and is not any more.
    pub(super) const fn is_withdrawn(&self) -> bool {
        self.withdrawn.is_some()
    }
}

impl IntoIterator for VersionEntries {
    type Item = EntryBody;
    type IntoIter = std::iter::Chain<std::option::IntoIter<EntryBody>, std::iter::Once<EntryBody>>;

    fn into_iter(self) -> Self::IntoIter {
        // The next start completes entries that lack the one of the version.
        self.withdrawn.into_iter().chain(std::iter::once(self.imported))
    }
}

impl CollectionRecord {
    /// The ledger entry of one of its versions. What was declared of an older one is not known any more.
    #[must_use]
    pub fn entry_of_version(&self, manifest: &CollectionManifest, digest: Digest32) -> EntryBody {
        let version = manifest.version();
        let datasets = manifest.datasets();
        let rows = datasets.iter().map(|dataset| dataset.rows).fold(0, u64::saturating_add);
        let declared = (version == self.current).then(|| self.declared_digest());
        if self.alone().is_some() {
            EntryBody::DatasetImported {
                dataset: self.dataset_name(),
                version: version.get(),
                rows,
                manifest: digest,
                declared,
            }
        } else {
            EntryBody::CollectionImported {
                collection: self.name.clone(),
                version: version.get(),
                datasets: u32::try_from(datasets.len()).unwrap_or(u32::MAX),
                rows,
                manifest: digest,
                declared,
            }
        }
    }
}
