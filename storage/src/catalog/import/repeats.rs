//! Files whose rows a dataset has already.

use concordat_protocol::{
    ids::{DatasetName, Digest32},
    schema::VersionNumber,
};

use super::{
    super::{DatasetManifest, ObjectEntry},
    Importer,
    destination::Destination,
};

impl Importer {
    /// The oldest retained version that has added the rows of the same file, if they stay. A manifest that cannot be read is found by
    /// `dataset verify`, and does not stop an import.
    pub(super) fn repeats(
        &self,
        destination: &Destination,
        name: &DatasetName,
        file: Digest32,
    ) -> Option<VersionNumber> {
        let record = destination.old.as_ref()?;
        let mut later = destination.stays_of(name)?.clone();
        let is_same = |dataset: &DatasetManifest| dataset.provenance.blake3 == file;
        let mut found = (is_same(&later) && !later.objects.is_empty()).then_some(record.current);
        for number in (record.oldest.get()..record.current.get()).rev() {
            let number = VersionNumber::new(number);
            let Ok(manifest) = self.datasets.manifest(record, number) else {
                continue;
            };
            let earlier = manifest.document().dataset(name);
            let Some(earlier) = earlier.filter(|earlier| has_rows_of(&later, earlier)) else {
                continue;
            };
            if is_same(earlier) {
                found = Some(number);
            }
            later = earlier.clone();
        }
        found
    }
}

/// Whether a version has the rows of an earlier one: in the same objects, or in copies of them whose subjects are numbered.
fn has_rows_of(later: &DatasetManifest, earlier: &DatasetManifest) -> bool {
    let is_kept = |entry: &ObjectEntry| later.objects.iter().any(|known| known.path == entry.path);
    let is_copied =
        !earlier.ordinals && later.ordinals && earlier.rows == later.rows && earlier.provenance == later.provenance;
    earlier.objects.last().is_some_and(is_kept) || is_copied
}
