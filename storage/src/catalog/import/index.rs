//! A new version of a dataset whose rows have no ordinals, with the same rows and ordinals.

use concordat_protocol::{
    collection::DatasetKind,
    identity::InstitutionKey,
    ids::{CollectionName, DatasetName},
    time::Timestamp,
};

use super::{
    super::{CollectionRecord, DatasetManifest},
    ImportError, Importer, Progress,
    alone::imported,
    commit::Creation,
    destination::Destination,
    plan::{Declared, Plan},
    prepared::{Prepared, Proposing, Rows, StoredRows},
    request::{ImportMode, Imported, LEAST_SUBJECTS, ROWS_PER_OBJECT},
    shape::Shape,
};
use crate::ledger::Attribution;

impl Importer {
    /// Imports the rows that a dataset has once more, as an import would now: with the ordinals of their subjects. Blocks until the version is
    /// durable.
    ///
    /// # Errors
    /// [`ImportError::Indexed`] if the rows have ordinals. The dataset is unchanged after an error.
    pub(in crate::catalog) fn index(
        &self,
        name: &DatasetName,
        by: Option<&Attribution>,
        (signer, now): (&InstitutionKey, Timestamp),
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Imported, ImportError> {
        let creation = Creation::begin(by, signer, now);
        let _writing = self.objects.begin_write();
        self.check_signer(signer)?;
        let found = self.datasets.find(name)?;
        let destination = self.destination(&CollectionName::from(name), found, ImportMode::Replace, None)?;
        let rows = self.rows_without_ordinals(name, &destination)?;
        let kind = declared_kind(&destination, rows.dataset);
        let plan = Plan::of(&destination, &[Declared { name, kind: &kind }])?;
        let shape = Shape::stored(rows.dataset);
        let proposing = Proposing::alone(&shape, &kind, destination.old.as_ref(), LEAST_SUBJECTS);
        let prepared = [Prepared {
            name,
            kind,
            shape,
            rows: Rows::Stored(rows),
            proposing,
            keys: Vec::new(),
            about_subject: None,
        }];
        let versions = (&plan, &destination);
        let done = self.create(versions, &prepared, ROWS_PER_OBJECT, creation, progress)?;
        Ok(imported(done, None))
    }

    /// The rows of the current version of a dataset alone. All others have ordinals, or no subjects.
    fn rows_without_ordinals<'a>(
        &self,
        name: &DatasetName,
        destination: &'a Destination,
    ) -> Result<StoredRows<'a>, ImportError> {
        let indexed = || ImportError::Indexed { name: name.clone() };
        let is_alone = destination.old.as_ref().is_some_and(|old| old.alone().is_some());
        let version = destination.previous.as_ref().filter(|_| is_alone).ok_or_else(indexed)?;
        let dataset = version.manifest().dataset(name).filter(|dataset| !dataset.ordinals);
        Ok(StoredRows {
            version,
            dataset: dataset.ok_or_else(indexed)?,
            latest: self.datasets.latest_import(name)?,
        })
    }
}

fn declared_kind(destination: &Destination, dataset: &DatasetManifest) -> DatasetKind {
    let declared = destination.old.as_ref().map(CollectionRecord::datasets);
    let declared = declared.and_then(|datasets| datasets.get(&dataset.name));
    declared.map_or_else(|| dataset.kind.clone(), |declared| declared.kind.clone())
}
