//! An immutable version of a collection, as its signed manifest states it.
//!
//! All datasets of a version become visible together, and have the subjects of the version. A manifest of a dataset that was signed before
//! there were collections stays as it is, and is read as that of a collection of one without ordinals.

use std::{collections::BTreeSet, sync::Arc};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use concordat_protocol::{
    collection::{Contents, DatasetKind, KnownColumns, MAX_DATASETS},
    identity::InstitutionPublicKey,
    ids::{ActorId, CollectionName, ColumnName, DatasetName, Digest32},
    labels::{self, DomainLabel},
    schema::{ColumnKind, VersionNumber},
    signed::{Document, SignatureError, Signed},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use super::{Classification, ColumnMeta, Manifest, ObjectEntry, Provenance};
use crate::ingest::SUBJECT_COLUMN;

/// The last column of the objects of a dataset with ordinals: the ordinal of each row's owner, NULL if it has none. It is in no schema.
pub const ORDINAL_COLUMN: &str = "__concordat_ordinal";

/// The contents of a version of a collection; signed by the institution's key.
///
/// INVARIANT (the only constructor is [`CollectionManifest::new`], which decoding uses too): there is a dataset, the datasets are in the
/// order of their names, no object is named twice, and the numbers of rows agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ManifestForm")]
pub struct CollectionManifest {
    collection: CollectionName,
    version: VersionNumber,
    datasets: Vec<DatasetManifest>,
    subjects: SubjectTables,
    imported_at: Timestamp,
    by: Option<ActorId>,
}

/// What a [`CollectionManifest`] is made from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestForm {
    /// The collection.
    pub collection: CollectionName,
    /// Its version.
    pub version: VersionNumber,
    /// Its datasets, in the order of their names.
    pub datasets: Vec<DatasetManifest>,
    /// Its subjects.
    pub subjects: SubjectTables,
    /// When the version was created.
    pub imported_at: Timestamp,
    /// Who created it, if it was a known person.
    pub by: Option<ActorId>,
}

/// Label of the digest of the contents of reference datasets.
const REFERENCES: &str = "concordat/1 contents of reference datasets";

/// A dataset of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetManifest {
    /// The dataset.
    pub name: DatasetName,
    /// How its rows lead to subjects. That a subject has at most one row is what was found, not what was declared.
    pub kind: DatasetKind,
    /// The columns in order, including the assigned subject if there is one.
    pub columns: Vec<ColumnMeta>,
    /// The classes of the columns when the version was created.
    pub classification: Classification,
    /// The objects that contain the rows, in order; empty if there are no rows.
    pub objects: Vec<ObjectEntry>,
    /// Rows in all objects.
    pub rows: u64,
    /// Rows without an owner; zero if the dataset has no ordinals.
    pub unowned: u64,
    /// The origin of the rows that were added last.
    pub provenance: Provenance,
    /// Whether the objects have the column [`ORDINAL_COLUMN`]. Without it the dataset is in no statistic.
    pub ordinals: bool,
}

/// The subjects of a version, and what is stored about them, in the order of their ordinals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubjectTables {
    /// How many ordinals have been given.
    pub count: u32,
    /// Who they are ([`crate::subjects::registry_schema`]); `None` if there are none, or each row is its own subject.
    pub registry: Option<ObjectEntry>,
    /// What their rows contain ([`crate::subjects::digest_schema`]); `None` likewise.
    pub digests: Option<ObjectEntry>,
    /// Whose rows are others than in the version before.
    pub changed: ChangedTable,
}

/// Whose rows are others than in the version before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ChangedTable {
    /// Those of the subjects that the version before did not have.
    Added,
    /// All: an ordinal is not the subject that it was in the version before.
    All,
    /// Those of the listed subjects ([`crate::subjects::changed_schema`]).
    Listed(ObjectEntry),
}

/// Why there is no such manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a manifest of a collection: {0}")]
pub struct InvalidManifest(&'static str);

impl Document for CollectionManifest {
    const LABEL: DomainLabel = labels::COLLECTION_MANIFEST;
}

impl SubjectTables {
    /// No subjects.
    #[must_use]
    pub fn none() -> Self {
        Self {
            count: 0,
            registry: None,
            digests: None,
            changed: ChangedTable::Added,
        }
    }

    fn objects(&self) -> impl Iterator<Item = &ObjectEntry> {
        let changed = match &self.changed {
            ChangedTable::Listed(object) => Some(object),
            ChangedTable::Added | ChangedTable::All => None,
        };
        self.registry.iter().chain(&self.digests).chain(changed)
    }

    fn check(&self) -> Result<(), InvalidManifest> {
        let count = u64::from(self.count);
        let full = |table: &Option<ObjectEntry>| table.as_ref().is_none_or(|object| object.rows == count && count > 0);
        if !full(&self.registry) || !full(&self.digests) {
            return Err(InvalidManifest("its subjects are not as many as are stored"));
        }
        match &self.changed {
            ChangedTable::Listed(object) if object.rows > count || self.digests.is_none() => {
                Err(InvalidManifest("more subjects changed than there are"))
            }
            ChangedTable::Listed(_) | ChangedTable::Added | ChangedTable::All => Ok(()),
        }
    }
}

impl DatasetManifest {
    /// The Arrow schema of the dataset, which may differ from that of an older object as [`Manifest::schema`] describes.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(
            self.columns.iter().map(ColumnMeta::field).collect::<Vec<_>>(),
        ))
    }

    /// The column of this name.
    #[must_use]
    pub fn column(&self, name: &ColumnName) -> Option<&ColumnMeta> {
        self.columns.iter().find(|column| column.name == *name)
    }

    /// The columns of the imported data: all but the assigned subject.
    pub fn own_columns(&self) -> impl Iterator<Item = &ColumnMeta> {
        self.columns.iter().filter(|column| !column.name.is_reserved())
    }

    /// The Arrow schema of the objects: that of the dataset, and [`ORDINAL_COLUMN`] if there are ordinals.
    #[must_use]
    pub fn stored_schema(&self) -> SchemaRef {
        if self.ordinals {
            with_ordinals(&self.schema())
        } else {
            self.schema()
        }
    }

    fn check(&self) -> Result<(), InvalidManifest> {
        let rows = self
            .objects
            .iter()
            .try_fold(0_u64, |sum, object| sum.checked_add(object.rows));
        if rows != Some(self.rows) {
            return Err(InvalidManifest("a dataset has other rows than its objects"));
        }
        let can_be_owned = match self.kind {
            DatasetKind::Keyed { .. } | DatasetKind::Owned { .. } | DatasetKind::EachRow => true,
            DatasetKind::Reference | DatasetKind::Unowned => false,
        };
        if self.ordinals && !can_be_owned || self.unowned > self.rows || self.unowned > 0 && !self.ordinals {
            return Err(InvalidManifest(
                "a dataset has owners although its kind or version has none",
            ));
        }
        Ok(())
    }
}

/// The schema with the column of the ordinals.
pub(in crate::catalog) fn with_ordinals(schema: &Schema) -> SchemaRef {
    let ordinal = Arc::new(Field::new(ORDINAL_COLUMN, DataType::UInt32, true));
    let fields = schema.fields().iter().map(Arc::clone).chain([ordinal]);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

impl CollectionManifest {
    /// The manifest with these contents.
    ///
    /// # Errors
    /// [`InvalidManifest`] for the part that contradicts the others.
    pub fn new(form: ManifestForm) -> Result<Self, InvalidManifest> {
        let ordered = form
            .datasets
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if a.name < b.name));
        if !(1..=MAX_DATASETS).contains(&form.datasets.len()) || !ordered {
            return Err(InvalidManifest("its datasets are none, too many or not in order"));
        }
        for dataset in &form.datasets {
            dataset.check()?;
        }
        form.subjects.check()?;
        let manifest = Self {
            collection: form.collection,
            version: form.version,
            datasets: form.datasets,
            subjects: form.subjects,
            imported_at: form.imported_at,
            by: form.by,
        };
        let mut paths = BTreeSet::new();
        if manifest.objects().all(|object| paths.insert(&object.path)) {
            Ok(manifest)
        } else {
            Err(InvalidManifest("an object is named twice"))
        }
    }

    /// The collection.
    #[must_use]
    pub fn collection(&self) -> &CollectionName {
        &self.collection
    }

    /// The version of the collection, and of all its datasets.
    #[must_use]
    pub fn version(&self) -> VersionNumber {
        self.version
    }

    /// The datasets, in the order of their names.
    #[must_use]
    pub fn datasets(&self) -> &[DatasetManifest] {
        &self.datasets
    }

    /// A value that stands for the rows of all reference datasets: another one if any of them are others. The same file, imported again, has
    /// the same one. Empty if there are none.
    ///
    /// Figures about subjects depend on rows of reference datasets, and which subjects they are about does not: noise that is a function of the
    /// subjects alone would be the same before and after such a row changes.
    #[must_use]
    pub fn reference_contents(&self) -> Vec<u8> {
        let references = self.datasets.iter().filter(|of| of.kind == DatasetKind::Reference);
        let contents = references.map(|of| (&of.name, of.objects.iter().map(|object| object.content).collect()));
        let contents: Vec<(&DatasetName, Vec<Digest32>)> = contents.collect();
        if contents.is_empty() {
            return Vec::new();
        }
        let mut bytes = Vec::new();
        // Writing to memory does not fail, and no part has a type that cannot be encoded.
        let _ = ciborium::into_writer(&contents, &mut bytes);
        Digest32::sha256(REFERENCES, &bytes).as_bytes().to_vec()
    }

    /// The dataset of this name.
    #[must_use]
    pub fn dataset(&self, name: &DatasetName) -> Option<&DatasetManifest> {
        self.datasets.iter().find(|dataset| dataset.name == *name)
    }

    /// The columns of the imported data, with what they contain.
    #[must_use]
    pub fn known_columns(&self) -> KnownColumns {
        KnownColumns::new(self.datasets.iter().map(|dataset| {
            let columns = dataset.own_columns();
            let columns = columns.map(|column| (column.name.clone(), contents(column.kind, column.empty)));
            (dataset.name.clone(), columns.collect())
        }))
    }

    /// The subjects.
    #[must_use]
    pub fn subjects(&self) -> &SubjectTables {
        &self.subjects
    }

    /// When the version was created.
    #[must_use]
    pub fn imported_at(&self) -> Timestamp {
        self.imported_at
    }

    /// Who created it, if it was a known person.
    #[must_use]
    pub fn by(&self) -> Option<&ActorId> {
        self.by.as_ref()
    }

    /// Every object of the version: those of the datasets, and what is stored about the subjects.
    pub fn objects(&self) -> impl Iterator<Item = &ObjectEntry> {
        let of_datasets = self.datasets.iter().flat_map(|dataset| &dataset.objects);
        of_datasets.chain(self.subjects.objects())
    }

    /// The version of a collection of one as that of a dataset; `None` for any other collection.
    #[must_use]
    pub fn alone(&self) -> Option<Manifest> {
        let [dataset] = self.datasets.as_slice() else {
            return None;
        };
        if !self.collection.is_name_of(&dataset.name) {
            return None;
        }
        Some(Manifest {
            dataset: dataset.name.clone(),
            version: self.version,
            columns: dataset.columns.clone(),
            subject: subject_column(&dataset.kind)?,
            classification: dataset.classification.clone(),
            objects: dataset.objects.clone(),
            rows: dataset.rows,
            provenance: dataset.provenance.clone(),
        })
    }
}

impl TryFrom<ManifestForm> for CollectionManifest {
    type Error = InvalidManifest;

    fn try_from(form: ManifestForm) -> Result<Self, InvalidManifest> {
        Self::new(form)
    }
}

/// The version of a dataset, as that of a collection of one without ordinals. It was signed as it is, so it is not checked again.
impl From<Manifest> for CollectionManifest {
    fn from(manifest: Manifest) -> Self {
        let imported_at = manifest.provenance.imported_at;
        let by = manifest.provenance.by.clone();
        let collection = CollectionName::from(&manifest.dataset);
        let dataset = DatasetManifest {
            name: manifest.dataset,
            kind: kind_of_subject(&manifest.subject),
            columns: manifest.columns,
            classification: manifest.classification,
            objects: manifest.objects,
            rows: manifest.rows,
            unowned: 0,
            provenance: manifest.provenance,
            ordinals: false,
        };
        Self {
            collection,
            version: manifest.version,
            datasets: vec![dataset],
            subjects: SubjectTables::none(),
            imported_at,
            by,
        }
    }
}

/// What a column contains.
pub(in crate::catalog) fn contents(kind: ColumnKind, is_empty: bool) -> Contents {
    if is_empty { Contents::Empty } else { Contents::Of(kind) }
}

/// The column that a dataset of a collection of one identifies its subjects by.
pub(in crate::catalog) fn subject_column(kind: &DatasetKind) -> Option<ColumnName> {
    match kind {
        DatasetKind::Keyed { subject, .. } => Some(subject.clone()),
        DatasetKind::EachRow => ColumnName::new(SUBJECT_COLUMN).ok(),
        DatasetKind::Owned { .. } | DatasetKind::Reference | DatasetKind::Unowned => None,
    }
}

/// The kind of a dataset that identifies its subjects by this column, as far as the column states it.
pub(in crate::catalog) fn kind_of_subject(subject: &ColumnName) -> DatasetKind {
    if subject.is_reserved() {
        DatasetKind::EachRow
    } else {
        DatasetKind::Keyed {
            subject: subject.clone(),
            unique: false,
        }
    }
}

/// A manifest whose signature was checked.
#[derive(Clone, Debug)]
pub struct VersionManifest {
    manifest: CollectionManifest,
    digest: Digest32,
}

impl VersionManifest {
    /// Checks the signature of a stored manifest, of a collection or of a dataset alone. A signature on one is invalid on the other.
    pub(in crate::catalog) fn verify(
        stored: Signed<CollectionManifest>,
        keys: &[InstitutionPublicKey],
    ) -> Result<Self, SignatureError> {
        let digest = stored.digest();
        let bytes = stored.as_bytes().to_vec();
        let manifest = match stored.verify_any(keys) {
            Ok(verified) => verified.document().clone(),
            Err(SignatureError::WrongSignature) => {
                let alone = Signed::<Manifest>::from_bytes(bytes)?.verify_any(keys)?;
                CollectionManifest::from(alone.document().clone())
            }
            Err(error) => return Err(error),
        };
        Ok(Self { manifest, digest })
    }

    /// The manifest.
    #[must_use]
    pub fn document(&self) -> &CollectionManifest {
        &self.manifest
    }

    /// Identifies the signed manifest, for receipts and the ledger.
    #[must_use]
    pub fn digest(&self) -> Digest32 {
        self.digest
    }
}

#[cfg(test)]
mod tests;
