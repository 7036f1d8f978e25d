//! The last step of an import: one commit that makes the version visible.
//!
//! An import may take long, and keys and classes may change in the meantime. So the record is read again here, and its
//! current values are kept; the import fails only if there is a new version, or if its key or its dataset no longer
//! exists.

use concordat_keys::{KeyError, PseudonymSecret, SegmentKey};
use concordat_protocol::{
    identity::InstitutionKey,
    ids::{CreationId, Digest32},
    release::ReleaseRules,
    schema::VersionNumber,
    signed::{Signed, Verified},
    text::Text,
    time::Timestamp,
};

use super::{
    super::{
        CatalogError, Classification, DatasetRecord, LatestImport, Manifest, ObjectEntry, Provenance,
        datasets::{Datasets, manifest_key},
        keyring::Keyring,
        record::DatasetKeys,
    },
    ImportError,
    destination::Destination,
    request::{ImportMode, ImportRequest, Imported, Progress},
    shape::Shape,
};
use crate::{
    answers::AnswerStore,
    ingest::{Inspection, Note},
    ledger::Attribution,
    meta::{Batch, MetaError},
};

/// What the manifest and the record are made from.
pub(super) struct Draft<'a> {
    pub(super) request: &'a ImportRequest,
    pub(super) inspection: &'a Inspection,
    pub(super) shape: &'a Shape,
    pub(super) destination: &'a Destination,
}

/// The state in which a version becomes visible.
pub(super) struct Commit<'a> {
    pub(super) datasets: &'a Datasets,
    pub(super) keys: &'a Keyring,
    pub(super) answers: &'a AnswerStore,
}

impl Commit<'_> {
    /// Signs the manifest and makes the version visible.
    pub(super) fn run(
        &self,
        draft: &Draft<'_>,
        objects: Vec<ObjectEntry>,
        signer: &InstitutionKey,
        now: Timestamp,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Imported, ImportError> {
        progress(Progress::Committing);
        let _changes = self.datasets.lock_changes();
        draft.check_importer(now)?;
        let old = self.unchanged(draft)?;
        let manifest = draft.manifest(old.as_ref(), objects, now);
        let signed = Signed::sign(&manifest, signer).map_err(ImportError::Sign)?;
        let mut batch = Batch::new();
        let keys = match &old {
            Some(old) => old.keys.clone(),
            None => self.new_keys(draft, &mut batch)?,
        };
        let created = match &old {
            Some(old) => old.created,
            None => Some(self.new_creation(&mut batch)?),
        };
        let record = draft.record(&manifest, old.as_ref(), (keys, created));
        batch
            .put(
                &self.datasets.imports,
                record.name.as_str(),
                &draft.latest(manifest.version),
            )
            .map_err(CatalogError::from)?;
        let stored = self.store(batch, old.as_ref(), &record, &signed);
        stored.map_err(|error| {
            if matches!(error, MetaError::Conflict { .. }) {
                draft.concurrent_change()
            } else {
                CatalogError::from(error).into()
            }
        })?;
        Ok(Imported {
            version: manifest.version,
            rows: draft.inspection.rows(),
            total_rows: manifest.rows,
            refused: draft.inspection.rejects().count(),
            notes: draft.notes().cloned().collect(),
            repeats: draft.repeats(),
            manifest: signed.digest(),
            withdrawn: old.is_some_and(|old| old.published) && !record.published,
        })
    }

    /// The dataset as it is now, if it still has the version that the import started from and the key that sealed its
    /// objects.
    fn unchanged(&self, draft: &Draft<'_>) -> Result<Option<DatasetRecord>, ImportError> {
        let name = &draft.request.name;
        let now = self.datasets.find(name)?;
        match (now, &draft.destination.old) {
            (None, None) => Ok(None),
            (Some(now), Some(old)) if now.current == old.current => {
                let known = self.keys.open_keys(&now)?.ids();
                if known.contains(&draft.destination.key.id()) {
                    Ok(Some(now))
                } else {
                    Err(draft.concurrent_change())
                }
            }
            (Some(_), Some(_)) | (Some(_), None) | (None, Some(_)) => Err(draft.concurrent_change()),
        }
    }

    /// Wraps the keys of a new dataset, and creates its segment if that is new too.
    fn new_keys(&self, draft: &Draft<'_>, batch: &mut Batch) -> Result<DatasetKeys, CatalogError> {
        let segment = &draft.destination.segment;
        let key = self.keys.segment_or_new(segment, batch)?;
        Ok(draft.wrapped_keys(&key)?)
    }

    /// The id of a new dataset, which no other one has or had.
    fn new_creation(&self, batch: &mut Batch) -> Result<CreationId, CatalogError> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(KeyError::Random)?;
        let created = CreationId::from_bytes(random);
        self.answers.stage_new(batch, created)?;
        Ok(created)
    }

    fn store<P>(
        &self,
        mut batch: Batch,
        old: Option<&DatasetRecord>,
        record: &DatasetRecord,
        signed: &Verified<Manifest, P>,
    ) -> Result<(), MetaError>
    where
        P: concordat_protocol::identity::PublicKey,
    {
        let name = record.name.as_str();
        let datasets = self.datasets;
        let key = manifest_key(&record.name, record.current);
        batch
            .expect(&datasets.records, name, old)?
            .put(&datasets.records, name, record)?;
        batch
            .expect(&datasets.manifests, &key, None)?
            .put(&datasets.manifests, &key, signed.signed())?;
        datasets.meta.commit(batch)
    }
}

impl Draft<'_> {
    fn concurrent_change(&self) -> ImportError {
        ImportError::ConcurrentChange {
            name: self.request.name.clone(),
        }
    }

    /// Reading and writing may have taken hours, in which the account was disabled.
    fn check_importer(&self, now: Timestamp) -> Result<(), ImportError> {
        let checked = self.request.by.as_ref().map_or(Ok(()), |by| by.check(now));
        Ok(checked?)
    }

    /// The version that has the rows of the same file already.
    fn repeats(&self) -> Option<VersionNumber> {
        let file = Digest32::from_bytes(self.inspection.fingerprint().blake3);
        self.destination.repeats(self.request.mode, file)
    }

    /// What is kept of this import.
    fn latest(&self, version: VersionNumber) -> LatestImport {
        LatestImport {
            version,
            options: self.request.kept_options.clone(),
            notes: Note::sentences(self.notes()),
        }
    }

    /// What the steward should know about the file, and about the columns to which its rows are added.
    fn notes(&self) -> impl Iterator<Item = &Note> {
        self.inspection.notes().iter().chain(self.shape.notes())
    }

    fn wrapped_keys(&self, segment: &SegmentKey) -> Result<DatasetKeys, KeyError> {
        let name = self.request.name.as_str();
        Ok(DatasetKeys {
            current: segment.wrap_dataset(name, &self.destination.key)?,
            older: Vec::new(),
            past: Vec::new(),
            pseudonyms: segment.wrap_pseudonyms(name, &PseudonymSecret::random()?)?,
            moved: false,
            reencrypting: false,
        })
    }

    fn manifest(&self, old: Option<&DatasetRecord>, objects: Vec<ObjectEntry>, now: Timestamp) -> Manifest {
        let previous = self.destination.previous.as_ref();
        let appended_to = previous.filter(|_| self.request.mode == ImportMode::Append);
        let old_objects = appended_to.map_or(&[][..], |manifest| manifest.objects.as_slice());
        let file = self.request.source.name().file_name().unwrap_or_default();
        let fingerprint = self.inspection.fingerprint();
        Manifest {
            dataset: self.request.name.clone(),
            version: old.map_or(VersionNumber::FIRST, |old| old.current.next()),
            columns: self.shape.columns().to_vec(),
            subject: self.shape.subject().clone(),
            classification: self.classification(old),
            objects: old_objects.iter().cloned().chain(objects).collect(),
            rows: appended_to.map_or(0, |manifest| manifest.rows) + self.inspection.rows(),
            provenance: Provenance {
                file: Text::sanitized(&file.to_string_lossy()),
                len: fingerprint.length,
                blake3: Digest32::from_bytes(fingerprint.blake3),
                imported_at: now,
                by: self.request.by.as_ref().and_then(Attribution::actor).cloned(),
            },
        }
    }

    /// A dataset stays published only while all its columns have a class.
    fn record(
        &self,
        manifest: &Manifest,
        old: Option<&DatasetRecord>,
        (keys, created): (DatasetKeys, Option<CreationId>),
    ) -> DatasetRecord {
        let classes = &manifest.classification;
        let all_classified = manifest
            .own_columns()
            .all(|column| classes.class(&column.name).is_some());
        DatasetRecord {
            name: manifest.dataset.clone(),
            segment: self.destination.segment.clone(),
            subject: manifest.subject.clone(),
            classification: classes.clone(),
            published: all_classified && old.is_some_and(|old| old.published),
            current: manifest.version,
            oldest: old.map_or(manifest.version, |old| old.oldest),
            keep: old.and_then(|old| old.keep),
            release: old.map_or_else(ReleaseRules::default, |old| old.release.clone()),
            created,
            keys,
        }
    }

    /// The classes of the columns that still exist.
    fn classification(&self, old: Option<&DatasetRecord>) -> Classification {
        old.map_or_else(Classification::default, |old| {
            let columns = self.shape.columns();
            old.classification
                .filtered(|name| columns.iter().any(|column| column.name == *name))
        })
    }
}
