//! Datasets from the perspective of a steward and of a query.

use std::{
    fs,
    num::NonZeroU32,
    path::{Path as FsPath, PathBuf},
    sync::Arc,
};

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::Int64Type,
    util::display::array_value_to_string,
};
use concordat_keys::{Argon2Cost, Passphrase, Secret};
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::{
    identity::InstitutionKey,
    ids::{ColumnName, DatasetName},
    schema::{ColumnClass, ColumnKind, VersionNumber},
    time::Timestamp,
};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

use super::*;
use crate::{
    data_dir::Storage,
    ingest::{IngestError, Note, Refused, SUBJECT_COLUMN, Source, SubjectRule, TableOptions},
    objects::ObjectLocation,
    seal::store_error_kind,
};

mod ancestors;
mod answering;
mod appending;
mod code_names;
mod complete;
mod damage;
mod declared;
mod erasing;
mod failures;
mod indexing;
mod injected_faults;
mod ordinals;
mod planned;
mod real;
mod rotation;
mod several;
mod value_names;
mod weakened;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const PEOPLE: &str = "id,name,age\n1,Zsofia Sentinel,41\n2,Bela Sentinel,52\n3,Carl Sentinel,\n";

/// A node with a catalog, a folder to import from, and a runtime.
struct TestNode {
    storage: Option<Storage>,
    runtime: Runtime,
    dir: TempDir,
    files: TempDir,
}

impl TestNode {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let storage = Storage::init(dir.path(), &secret()).unwrap();
        storage.identities().put_institution(&key(1)).unwrap();
        let storage = Some(storage);
        let files = tempfile::tempdir().unwrap();
        Self {
            storage,
            runtime,
            dir,
            files,
        }
    }

    /// Closes the directory and opens it again, with a layer around the store of objects.
    fn reopen(&mut self, layer: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>) {
        self.storage = None;
        self.storage = Some(Storage::open_over(self.dir.path(), &secret(), &ObjectLocation::Local, layer).unwrap());
    }

    fn catalog(&self) -> &Catalog {
        self.storage.as_ref().unwrap().catalog()
    }

    fn request(&self, contents: &str, mode: ImportMode) -> ImportRequest {
        let path = self.files.path().join("people.csv");
        fs::write(&path, contents).unwrap();
        ImportRequest {
            mode,
            again: true,
            options: each_row(mode),
            ..ImportRequest::new(people(), Source::at_path(path))
        }
    }

    fn import(&self, request: &ImportRequest) -> Result<Imported, ImportError> {
        self.import_watched(request, &mut |_| {})
    }

    fn import_watched(
        &self,
        request: &ImportRequest,
        watch: &mut dyn FnMut(Progress),
    ) -> Result<Imported, ImportError> {
        let _within = self.runtime.enter();
        self.catalog().import(request, &key(1), NOW, watch)
    }

    fn import_text(&self, contents: &str, mode: ImportMode) -> Imported {
        self.import(&self.request(contents, mode)).unwrap()
    }

    /// The rows as a query reads them: without the ordinals.
    fn read(&self, version: &OpenVersion) -> Result<Vec<RecordBatch>, object_store::Error> {
        let mut batches = self.read_stored(version)?;
        for batch in &mut batches {
            let is_hidden = |index: &usize| batch.schema().field(*index).name() == ORDINAL_COLUMN;
            let shown: Vec<usize> = (0..batch.num_columns()).filter(|index| !is_hidden(index)).collect();
            *batch = batch.project(&shown).unwrap();
        }
        Ok(batches)
    }

    /// The rows as they are stored.
    fn read_stored(&self, version: &OpenVersion) -> Result<Vec<RecordBatch>, object_store::Error> {
        let mut batches = Vec::new();
        for object in version.objects() {
            batches.extend(self.try_read_object(version.object_store().as_ref(), &object)?);
        }
        Ok(batches)
    }

    fn read_object(&self, store: &dyn ObjectStore, object: &ObjectMeta) -> Vec<RecordBatch> {
        self.try_read_object(store, object).unwrap()
    }

    fn try_read_object(
        &self,
        store: &dyn ObjectStore,
        object: &ObjectMeta,
    ) -> Result<Vec<RecordBatch>, object_store::Error> {
        let bytes = self
            .runtime
            .block_on(async { store.get(&object.location).await?.bytes().await })?;
        assert_eq!(bytes.len() as u64, object.size);
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
            .unwrap()
            .build()
            .unwrap();
        Ok(reader.map(Result::unwrap).collect())
    }

    fn verify(&self) -> Result<Verification, CatalogError> {
        let _within = self.runtime.enter();
        self.catalog().maintenance().verify(&people())
    }

    fn collect_orphans(&self) -> u64 {
        let _within = self.runtime.enter();
        self.catalog().maintenance().collect_orphans().unwrap()
    }

    /// Sets the retention rule, and removes what it excludes.
    fn retain(&self, versions: u32) -> u64 {
        let retention = self.catalog().retention();
        retention.set_rule(&people(), NonZeroU32::new(versions)).unwrap();
        self.trim().unwrap()
    }

    /// Removes what the retention rule excludes, as a node does after an import.
    fn trim(&self) -> Result<u64, CatalogError> {
        let _within = self.runtime.enter();
        let retention = self.catalog().retention();
        let excluded = retention.excluded(&people())?;
        excluded.map_or(Ok(0), |oldest| retention.trim(&people(), oldest))
    }

    fn object_files(&self) -> Vec<PathBuf> {
        let mut files = files_below(&self.dir.path().join("objects"));
        files.sort();
        files
    }

    fn current(&self) -> OpenVersion {
        self.catalog().open_version(&people(), None).unwrap()
    }
}

fn secret() -> Passphrase {
    Passphrase::new(Secret::from("p".to_owned()), Argon2Cost::dangerous_minimum())
}

fn key(seed: u8) -> InstitutionKey {
    InstitutionKey::from_seed(&Zeroizing::new([seed; 32]))
}

fn people() -> DatasetName {
    DatasetName::new("people").unwrap()
}

fn column(name: &str) -> ColumnName {
    ColumnName::new(name).unwrap()
}

fn files_below(dir: &FsPath) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] })
        .collect()
}

/// The values of one column; a missing one is empty.
fn values(batches: &[RecordBatch], name: &str) -> Vec<String> {
    let mut values = Vec::new();
    for batch in batches {
        let array = batch.column_by_name(name).unwrap();
        values.extend((0..array.len()).map(|row| array_value_to_string(array, row).unwrap()));
    }
    values
}

/// Each row is its own subject in a new dataset; an existing one keeps its rule.
fn each_row(mode: ImportMode) -> TableOptions {
    TableOptions {
        subject: match mode {
            ImportMode::Create => SubjectRule::EachRow,
            ImportMode::Append | ImportMode::Replace => SubjectRule::Unstated,
        },
        ..TableOptions::default()
    }
}

#[test]
fn what_is_imported_is_what_is_read() {
    let mut node = TestNode::new();
    let imported = node.import_text(PEOPLE, ImportMode::Create);
    assert_eq!(
        (imported.version, imported.rows, imported.refused),
        (VersionNumber::FIRST, 3, 0)
    );
    node.reopen(|objects| objects);
    let version = node.current();
    assert_eq!(version.manifest_digest(), imported.manifest);
    assert_eq!(version.subject_column().as_str(), SUBJECT_COLUMN);
    assert_eq!(version.schema().field(0).name(), SUBJECT_COLUMN);
    let batches = node.read(&version).unwrap();
    assert_eq!(batches[0].schema().fields(), version.schema().fields());
    assert_eq!(
        values(&batches, "name"),
        ["Zsofia Sentinel", "Bela Sentinel", "Carl Sentinel"]
    );
    assert_eq!(values(&batches, "age"), ["41", "52", ""]);
    assert_eq!(node.verify().unwrap().objects, 1);
}

#[test]
fn verification_that_is_not_needed_any_more_ends_early() {
    let node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    let _within = node.runtime.enter();
    let verify_while = |is_needed: bool| {
        node.catalog()
            .maintenance()
            .verify_while(&people(), || is_needed)
            .unwrap()
    };
    assert_eq!(verify_while(true).map(|found| found.objects), Some(1));
    assert_eq!(verify_while(false), None);
}

#[test]
fn no_plaintext_is_on_the_disk() {
    let node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    for path in files_below(node.dir.path()) {
        let bytes = fs::read(&path).unwrap();
        // Three letters would be found in sealed bytes by chance.
        for clear in ["Sentinel", "PAR1", "people", "name"] {
            let found = bytes.windows(clear.len()).any(|window| window == clear.as_bytes());
            assert!(!found, "`{clear}` in {}", path.display());
        }
    }
}

#[test]
fn current_manifest_is_that_of_the_newest_version() {
    let node = TestNode::new();
    assert!(matches!(
        node.catalog().current(&CollectionName::from(&people())),
        Err(CatalogError::NotFound { .. })
    ));
    node.import_text(PEOPLE, ImportMode::Create);
    node.import_text("id,name,age\n1,Zsofia Sentinel,42\n", ImportMode::Append);
    let (record, manifest) = node.catalog().current(&CollectionName::from(&people())).unwrap();
    assert_eq!(record.current.get(), 2);
    assert_eq!(manifest.alone().as_ref(), Some(node.current().manifest()));
}

#[test]
fn described_version_is_the_one_that_is_named() {
    let node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    let first = node.current().manifest().clone();
    node.import_text("id,name,age\n1,Zsofia Sentinel,42\n", ImportMode::Append);
    let described = |version: Option<u64>| {
        let version = version.map(VersionNumber::new);
        node.catalog().described(&CollectionName::from(&people()), version)
    };
    assert_eq!(described(Some(1)).unwrap().1.alone(), Some(first));
    assert_eq!(
        described(None).unwrap().1.alone().as_ref(),
        Some(node.current().manifest())
    );
    let third = described(Some(3));
    assert!(matches!(third, Err(CatalogError::NoSuchVersion { .. })));
}

#[test]
fn a_reader_keeps_the_version_it_started_with() {
    let node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    let old = node.current();
    let imported = node.import_text("id,name,age\n9,Dora,30\n", ImportMode::Replace);
    assert_eq!((imported.version.get(), imported.total_rows), (2, 1));
    assert_eq!(node.collect_orphans(), 0);
    assert_eq!(values(&node.read(&old).unwrap(), "id"), ["1", "2", "3"]);
    assert_eq!(values(&node.read(&node.current()).unwrap(), "id"), ["9"]);
    let first = node
        .catalog()
        .open_version(&people(), Some(VersionNumber::FIRST))
        .unwrap();
    assert_eq!(first.manifest(), old.manifest());
    let third = node.catalog().open_version(&people(), Some(VersionNumber::new(3)));
    assert_eq!(third.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(node.catalog().datasets().versions(&people()).unwrap().len(), 2);
}

#[test]
fn appended_rows_are_new_subjects_and_may_lack_values() {
    let node = TestNode::new();
    node.import_text("id,name,age\n1,Anna,41\n2,Bela,52\n", ImportMode::Create);
    assert!(!node.current().manifest().column(&column("age")).unwrap().nullable);
    let imported = node.import_text("id,name,age\n3,Carl,\n4,Dora,\n", ImportMode::Append);
    assert_eq!((imported.rows, imported.total_rows), (2, 4));
    let version = node.current();
    assert!(version.manifest().column(&column("age")).unwrap().nullable);
    let batches = node.read(&version).unwrap();
    assert_eq!(values(&batches, SUBJECT_COLUMN), ["1", "2", "3", "4"]);
    assert_eq!(values(&batches, "age"), ["41", "52", "", ""]);
    assert!(
        batches
            .iter()
            .all(|batch| batch.column(3).as_primitive_opt::<Int64Type>().is_some())
    );
}

#[test]
fn a_file_with_other_columns_is_not_appended() {
    let node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    let error = node
        .import(&node.request("id,age,sex\n4,old,1\n", ImportMode::Append))
        .unwrap_err();
    let ImportError::Columns { differences, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(
        differences.as_slice(),
        [
            "it lacks column `name`",
            "column `age` contains text, not whole numbers"
        ]
    );
    let swapped = node
        .import(&node.request("id,age,name\n4,40,Eva\n", ImportMode::Append))
        .unwrap_err();
    let ImportError::Columns { differences, .. } = &swapped else {
        panic!("{swapped}")
    };
    assert_eq!(differences.as_slice(), ["its columns are in another order"]);
    assert!(
        error.to_string().contains("`--replace` would replace all rows"),
        "{error}"
    );
    let mut named = node.request("id,name,age\n4,Eva,40\n", ImportMode::Append);
    named.options.subject = SubjectRule::Column("id".to_owned());
    let named = node.import(&named).unwrap_err();
    assert!(
        named
            .to_string()
            .contains("its subjects are in column `id`, not numbered by row"),
        "{named}"
    );
    assert_eq!(node.current().manifest().version, VersionNumber::FIRST);
}

#[test]
fn a_new_column_is_appended_and_the_rows_before_lack_it() {
    let node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    node.import_text(
        "sex,id,name,age\n1,4,Dora Sentinel,33\n0,5,Emil Sentinel,61\n",
        ImportMode::Append,
    );
    let version = node.current();
    let columns: Vec<&str> = version
        .manifest()
        .own_columns()
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(columns, ["id", "name", "age", "sex"], "new columns come last");
    assert!(version.manifest().column(&column("sex")).unwrap().nullable);
    let batches = node.read(&version).unwrap();
    assert_eq!(values(&batches, "name")[3..], ["Dora Sentinel", "Emil Sentinel"]);
    assert_eq!(values(&batches[1..], "sex"), ["1", "0"]);
    let record = node.catalog().datasets().show(&people()).unwrap();
    assert!(
        node.catalog()
            .datasets()
            .unclassified(&record)
            .unwrap()
            .contains(&column("sex"))
    );
}

#[test]
fn new_dataset_needs_its_subjects_stated() {
    let node = TestNode::new();
    let mut request = node.request(PEOPLE, ImportMode::Create);
    request.options.subject = SubjectRule::Unstated;
    assert!(matches!(node.import(&request), Err(ImportError::SubjectNotStated)));
    assert!(node.catalog().datasets().list().unwrap().is_empty());
}

#[test]
fn version_without_stated_subjects_keeps_the_rule() {
    let node = TestNode::new();
    for (stated, expected) in [
        (SubjectRule::Column("id".to_owned()), "id"),
        (SubjectRule::Unstated, "id"),
        (SubjectRule::EachRow, SUBJECT_COLUMN),
        (SubjectRule::Unstated, SUBJECT_COLUMN),
    ] {
        let exists = !node.catalog().datasets().list().unwrap().is_empty();
        let mode = if exists {
            ImportMode::Replace
        } else {
            ImportMode::Create
        };
        let mut request = node.request(PEOPLE, mode);
        request.options.subject = stated;
        node.import(&request).unwrap();
        assert_eq!(node.current().subject_column().as_str(), expected);
    }
}

#[test]
fn the_subject_column_is_remembered_when_rows_are_appended() {
    let node = TestNode::new();
    let mut request = node.request(PEOPLE, ImportMode::Create);
    request.options.subject = SubjectRule::Column("id".to_owned());
    node.import(&request).unwrap();
    node.import_text("id,name,age\n1,Zsofia Sentinel,42\n", ImportMode::Append);
    let version = node.current();
    assert_eq!(version.subject_column().as_str(), "id");
    assert_eq!(values(&node.read(&version).unwrap(), "id"), ["1", "2", "3", "1"]);
}

#[test]
fn rows_are_spread_over_objects_and_no_rows_need_none() {
    let node = TestNode::new();
    let rows: String = (0..20_000).map(|row| format!("{row},x\n")).collect();
    let mut request = node.request(&format!("id,what\n{rows}"), ImportMode::Create);
    request.rows_per_object = 8192;
    node.import(&request).unwrap();
    let version = node.current();
    let sizes: Vec<u64> = version.manifest().objects.iter().map(|object| object.rows).collect();
    assert_eq!(sizes, [8192, 8192, 3616]);
    let ids = values(&node.read(&version).unwrap(), "id");
    assert!(ids.iter().enumerate().all(|(row, id)| *id == row.to_string()));

    node.import_text("id,what\n", ImportMode::Replace);
    assert!(node.current().objects().is_empty());
    assert_eq!(node.verify().unwrap().versions, 2);
}

#[test]
fn what_is_unclassified_is_not_published() {
    let node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    let catalog = node.catalog();
    let error = catalog.datasets().publish(&people()).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("run `concordat dataset classify people id=CLASS name=CLASS age=CLASS`"),
        "{error}"
    );
    let some = [
        (column("id"), ColumnClass::DirectIdentifier),
        (column("name"), ColumnClass::DirectIdentifier),
    ];
    catalog
        .datasets()
        .classify(&people(), &some.into_iter().collect())
        .unwrap();
    assert_eq!(
        catalog.datasets().publish(&people()).unwrap_err().kind(),
        ErrorKind::Usage
    );
    catalog
        .datasets()
        .classify(
            &people(),
            &[(column("age"), ColumnClass::QuasiIdentifier)].into_iter().collect(),
        )
        .unwrap();
    assert!(catalog.datasets().publish(&people()).unwrap().published);
    assert!(!catalog.datasets().withdraw(&people()).unwrap().published);
    for unknown in ["weight", SUBJECT_COLUMN] {
        let error = catalog.datasets().classify(
            &people(),
            &[(column(unknown), ColumnClass::Ordinary)].into_iter().collect(),
        );
        assert!(matches!(error, Err(CatalogError::UnknownColumns { .. })), "{unknown}");
    }
}

#[test]
fn a_new_column_withdraws_a_published_dataset() {
    let node = TestNode::new();
    node.import_text("age\n41\n", ImportMode::Create);
    let age = [(column("age"), ColumnClass::QuasiIdentifier)].into_iter().collect();
    node.catalog().datasets().classify(&people(), &age).unwrap();
    node.catalog().datasets().publish(&people()).unwrap();
    assert!(!node.import_text("age\n42\n", ImportMode::Replace).is_withdrawn());
    assert!(node.catalog().datasets().show(&people()).unwrap().published);
    let imported = node.import_text("age,diagnosis\n43,flu\n", ImportMode::Replace);
    assert!(imported.is_withdrawn());
    let record = node.catalog().datasets().show(&people()).unwrap();
    assert!(!record.published);
    assert_eq!(record.classification, age);
    assert_eq!(
        node.catalog().datasets().unclassified(&record).unwrap(),
        [column("diagnosis")]
    );
}
