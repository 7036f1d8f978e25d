//! The last step of an import: one commit that makes the version visible, with all of its datasets.
//!
//! An import may take long, and keys and classes may change in the meantime. So the record is read again here, and its current values are
//! kept; the import fails only if there is a new version, if the rules of the collection have changed, or if its key or its collection no
//! longer exists.

use std::collections::BTreeMap;

use concordat_keys::KeyError;
use concordat_protocol::{
    collection::CollectionRules,
    identity::InstitutionKey,
    ids::{ActorId, CreationId, DatasetName, Digest32},
    schema::VersionNumber,
    signed::Signed,
    time::Timestamp,
};

use super::{
    super::{
        CatalogError, Classification, CollectionManifest, CollectionRecord, DatasetDeclarations, DatasetManifest,
        ManifestForm, ProposedColumns, SubjectTables, VersionEntries,
        datasets::{import_key, manifest_key},
        entered::Entered,
        record::DatasetKeys,
        weakened::is_weakened,
    },
    ImportError, Importer,
    code_names::{Named, rename},
    destination::Destination,
    shape::Shape,
    value_names::FoundNames,
    write::{Part, Written},
};
use crate::{
    ingest::Note,
    ledger::Attribution,
    meta::{Batch, MetaError},
};

/// Who creates a version, when, and under which rules of the collection.
#[derive(Clone, Copy)]
pub(super) struct Creation<'a> {
    pub(super) by: Option<&'a Attribution>,
    pub(super) signer: &'a InstitutionKey,
    pub(super) now: Timestamp,
    /// `None` for a collection without.
    pub(super) rules: Option<&'a CollectionRules>,
    /// The names that were found in reference datasets.
    names: &'a [FoundNames],
}

impl<'a> Creation<'a> {
    /// Begins a version, before anything is read.
    pub(super) const fn begin(by: Option<&'a Attribution>, signer: &'a InstitutionKey, now: Timestamp) -> Self {
        Self {
            by,
            signer,
            now,
            rules: None,
            names: &[],
        }
    }

    /// The same version with the declarations of its collection.
    pub(super) const fn with_rules(self, rules: Option<&'a CollectionRules>) -> Self {
        Self { rules, ..self }
    }

    /// The same version with the names that were found for its collection.
    pub(super) fn with_names(self, named: Option<&'a Named>) -> Self {
        let Some(named) = named else { return self };
        Self {
            rules: named.rules.as_ref().or(self.rules),
            names: &named.found,
            ..self
        }
    }

    /// Reading and writing may have taken hours, in which the account was disabled or its session has ended.
    fn check_importer(&self) -> Result<(), ImportError> {
        let checked = self.by.map_or(Ok(()), |by| by.check(self.now));
        Ok(checked?)
    }

    /// As manifests name who creates the version.
    fn actor(&self) -> Option<&'a ActorId> {
        self.by.and_then(Attribution::actor)
    }
}

/// A version that is visible.
pub(super) struct Committed {
    pub(super) manifest: CollectionManifest,
    pub(super) digest: Digest32,
    /// What the ledger has to state about it.
    pub(super) entries: VersionEntries,
}

impl Importer {
    /// Signs the manifest and makes the version visible.
    pub(super) fn commit(
        &self,
        destination: &Destination,
        written: &Written<'_>,
        creation: Creation<'_>,
    ) -> Result<Committed, ImportError> {
        let _changes = self.datasets.lock_changes();
        creation.check_importer()?;
        let old = self.unchanged(destination)?;
        let draft = Draft {
            destination,
            parts: &written.parts,
            old: old.as_ref(),
            creation,
        };
        let manifest = draft.manifest(written.subjects.clone())?;
        let signed = Signed::sign(&manifest, creation.signer).map_err(ImportError::Sign)?;
        let mut batch = Batch::new();
        let declared = draft.declared(&manifest);
        let record = match &old {
            Some(old) => old.clone().with_datasets(declared),
            None => CollectionRecord::first(
                (destination.name.clone(), destination.segment.clone()),
                declared,
                self.wrapped_keys(destination, &mut batch)?,
                self.new_creation(&mut batch)?,
            ),
        };
        let record = record.and_then(|record| match creation.rules {
            Some(rules) => record.with_rules(rules.clone()),
            None => Some(record),
        });
        let record = draft.at_version(record, &manifest)?;
        let is_withdrawn = old.as_ref().is_some_and(|old| old.published) && !record.published;
        let entries = VersionEntries::of(&record, (&manifest, signed.digest()), is_withdrawn);
        self.stage_imports(&mut batch, &draft, &record)?;
        self.stage_proposals(&mut batch, &draft, &record)?;
        let stored = self.store(batch, (old.as_ref(), &record), signed.signed(), &entries);
        stored.map_err(|error| {
            if matches!(error, MetaError::Conflict { .. }) {
                destination.concurrent_change()
            } else {
                CatalogError::from(error).into()
            }
        })?;
        Ok(Committed {
            digest: signed.digest(),
            entries,
            manifest,
        })
    }

    /// The collection as it is now, if it still has the version and the rules that the import started from, and the key that sealed its
    /// objects.
    fn unchanged(&self, destination: &Destination) -> Result<Option<CollectionRecord>, ImportError> {
        match (
            self.datasets.find(&DatasetName::from(&destination.name))?,
            &destination.old,
        ) {
            (None, None) => return Ok(None),
            (Some(now), Some(old)) if now.current == old.current && now.rules() == old.rules() => {
                if self.keys.open_keys(&now)?.ids().contains(&destination.key.id()) {
                    return Ok(Some(now));
                }
            }
            (Some(_), Some(_)) | (Some(_), None) | (None, Some(_)) => {}
        }
        Err(destination.concurrent_change())
    }

    /// Wraps the keys of a new collection, and creates its segment if that is new too.
    fn wrapped_keys(&self, destination: &Destination, batch: &mut Batch) -> Result<DatasetKeys, CatalogError> {
        let name = destination.name.as_str();
        let segment = self.keys.segment_or_new(&destination.segment, batch)?;
        Ok(DatasetKeys {
            current: segment.wrap_dataset(name, &destination.key)?,
            older: Vec::new(),
            past: Vec::new(),
            pseudonyms: segment.wrap_pseudonyms(name, &destination.pseudonyms)?,
            moved: false,
            reencrypting: false,
        })
    }

    /// The id of a new collection, which no other one has or had.
    fn new_creation(&self, batch: &mut Batch) -> Result<CreationId, CatalogError> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(KeyError::Random)?;
        let created = CreationId::from_bytes(random);
        self.answers.stage_new(batch, created)?;
        Ok(created)
    }

    /// What is kept of the imports of datasets that there still are.
    fn stage_imports(
        &self,
        batch: &mut Batch,
        draft: &Draft<'_>,
        record: &CollectionRecord,
    ) -> Result<(), CatalogError> {
        for name in draft.old.into_iter().flat_map(|old| old.datasets().keys()) {
            if !record.datasets().contains_key(name) {
                batch.remove(&self.datasets.imports, &import_key(&record.name, name));
            }
        }
        let is_alone = record.alone().is_some();
        for part in draft.parts {
            // Rows of a collection lead to subjects as is declared, whatever its columns look like.
            let notes = part.notes.iter();
            let notes = notes.filter(|note| is_alone || !matches!(note, Note::Repeats { .. }));
            if let Some(latest) = part.prepared.latest(record.current, notes) {
                let key = import_key(&record.name, part.prepared.name);
                batch.put(&self.datasets.imports, &key, &latest)?;
            }
        }
        Ok(())
    }

    /// What was proposed for columns of rows that stay.
    pub(super) fn proposed_before(&self, destination: &Destination) -> Result<ProposedColumns, CatalogError> {
        match destination.stays() {
            Some(_) => self.datasets.proposed(&destination.name),
            None => Ok(ProposedColumns::new()),
        }
    }

    /// What is proposed for columns that were open before, of rows that stay, is not proposed again from the rows that are added.
    fn stage_proposals(
        &self,
        batch: &mut Batch,
        draft: &Draft<'_>,
        record: &CollectionRecord,
    ) -> Result<(), CatalogError> {
        if record.rules().is_none() && record.alone().is_none() {
            return Ok(());
        }
        let mut proposed = self.proposed_before(draft.destination)?;
        if let Some(rules) = record.rules() {
            rename(&mut proposed, rules, draft.creation.names);
        }
        for part in draft.parts {
            let columns = proposed.entry(part.prepared.name.clone()).or_default();
            for (column, of_rows) in &part.proposed {
                columns.entry(column.clone()).or_insert_with(|| of_rows.clone());
            }
        }
        proposed.retain(|_, columns| !columns.is_empty());
        batch.put(&self.datasets.proposals, record.name.as_str(), &proposed)?;
        Ok(())
    }

    fn store(
        &self,
        mut batch: Batch,
        (old, record): (Option<&CollectionRecord>, &CollectionRecord),
        signed: &Signed<CollectionManifest>,
        entries: &VersionEntries,
    ) -> Result<(), MetaError> {
        let datasets = &self.datasets;
        let key = manifest_key(&record.dataset_name(), record.current);
        datasets.put_declared(&mut batch, old, record, &Entered::with_version(entries))?;
        batch
            .expect(&datasets.manifests, &key, None)?
            .put(&datasets.manifests, &key, signed)?;
        datasets.meta.commit(batch)
    }
}

impl Destination {
    fn concurrent_change(&self) -> ImportError {
        ImportError::ConcurrentChange {
            name: DatasetName::from(&self.name),
        }
    }
}

/// What the manifest and the record are made from.
struct Draft<'a> {
    destination: &'a Destination,
    parts: &'a [Part<'a>],
    old: Option<&'a CollectionRecord>,
    creation: Creation<'a>,
}

impl Draft<'_> {
    fn manifest(&self, subjects: SubjectTables) -> Result<CollectionManifest, ImportError> {
        let stay = self.destination.stays();
        let mut datasets: BTreeMap<DatasetName, DatasetManifest> = BTreeMap::new();
        for dataset in stay.into_iter().flat_map(CollectionManifest::datasets) {
            let mut dataset = dataset.clone();
            if let Some(classification) = self.known_classification(&dataset.name) {
                dataset.classification = classification;
            }
            datasets.insert(dataset.name.clone(), dataset);
        }
        for part in self.parts {
            let name = part.prepared.name.clone();
            let stays = datasets.remove(&name);
            datasets.insert(name, self.dataset(part, stays));
        }
        let version = self.old.map_or(VersionNumber::FIRST, |old| old.current.next());
        Ok(CollectionManifest::new(ManifestForm {
            collection: self.destination.name.clone(),
            version,
            datasets: datasets.into_values().collect(),
            subjects,
            imported_at: self.creation.now,
            by: self.creation.actor().cloned(),
        })?)
    }

    fn dataset(&self, part: &Part<'_>, stays: Option<DatasetManifest>) -> DatasetManifest {
        let prepared = part.prepared;
        let (rows, unowned) = stays.as_ref().map_or((0, 0), |stays| (stays.rows, stays.unowned));
        let new_unowned = if part.ordinals { part.owners.without_owner() } else { 0 };
        let mut objects = stays.map_or_else(Vec::new, |stays| stays.objects);
        objects.extend(part.objects.iter().cloned());
        DatasetManifest {
            name: prepared.name.clone(),
            kind: part.kind.clone(),
            columns: prepared.shape.columns().to_vec(),
            classification: self.classification(prepared.name, &prepared.shape),
            objects,
            rows: rows + prepared.rows.count(),
            unowned: unowned + new_unowned,
            provenance: prepared.rows.provenance(self.creation.now, self.creation.actor()),
            ordinals: part.ordinals,
        }
    }

    /// The classes of the columns that still exist.
    fn classification(&self, name: &DatasetName, shape: &Shape) -> Classification {
        let is_here = |column: &_| shape.columns().iter().any(|other| other.name == *column);
        let known = self.known_classification(name);
        known.map_or_else(Classification::default, |known| known.filtered(is_here))
    }

    /// The classes that are declared for the version, or else those that the dataset had.
    fn known_classification(&self, name: &DatasetName) -> Option<Classification> {
        if let Some(rules) = self.creation.rules {
            let columns = rules.dataset(name)?.columns();
            return Some(
                columns
                    .filter_map(|(column, rules)| Some((column.clone(), rules.class()?)))
                    .collect(),
            );
        }
        let known = self.old.and_then(|old| old.datasets().get(name))?;
        Some(known.classification.clone())
    }

    /// What is declared of the datasets of the version.
    fn declared(&self, manifest: &CollectionManifest) -> BTreeMap<DatasetName, DatasetDeclarations> {
        let datasets = manifest.datasets().iter();
        datasets
            .map(|dataset| (dataset.name.clone(), self.declarations(dataset)))
            .collect()
    }

    /// A collection stays published only while all columns of all datasets have a class, and no declaration is weaker than when it was
    /// published.
    fn at_version(
        &self,
        record: Option<CollectionRecord>,
        manifest: &CollectionManifest,
    ) -> Result<CollectionRecord, ImportError> {
        let is_classified = |dataset: &DatasetManifest| {
            let mut own = dataset.own_columns();
            own.all(|column| dataset.classification.class(&column.name).is_some())
        };
        let mut record = record.ok_or_else(|| ImportError::Kind {
            name: DatasetName::from(&self.destination.name),
            problem: "has no datasets, or too many",
        })?;
        let is_weaker = self.old.is_some_and(|old| is_weakened(old, &record));
        record.published = record.published && manifest.datasets().iter().all(is_classified) && !is_weaker;
        record.current = manifest.version();
        Ok(record)
    }

    /// As the request declares the dataset, or else as it was.
    fn declarations(&self, dataset: &DatasetManifest) -> DatasetDeclarations {
        let mut parts = self.parts.iter();
        let imported = parts.find(|part| *part.prepared.name == dataset.name);
        let known = self.old.and_then(|old| old.datasets().get(&dataset.name));
        match (imported, known) {
            (None, Some(known)) => known.clone(),
            (Some(part), _) => DatasetDeclarations {
                kind: part.prepared.kind.clone(),
                classification: dataset.classification.clone(),
            },
            (None, None) => DatasetDeclarations {
                kind: dataset.kind.clone(),
                classification: dataset.classification.clone(),
            },
        }
    }
}
