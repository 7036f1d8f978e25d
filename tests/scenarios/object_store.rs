//! The same data in a remote object store: a real S3 server in this process, and everything that can go wrong on the way to it.
//!
//! A [`Vault`] is a data directory whose objects are stored there, used as the daemon uses it. `verify` reads every object of every
//! version and compares it with the hash in its signed manifest, so a passing `verify` means that every object can be read.

mod failures;
mod locations;
mod operator;
mod outage;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use concordat_keys::{Argon2Cost, Passphrase, Secret};
use concordat_protocol::identity::InstitutionKey;
use concordat_protocol::ids::DatasetName;
use concordat_protocol::time::Timestamp;
use concordat_storage::backup::BackupError;
use concordat_storage::ingest::{Source, SubjectRule};
use concordat_storage::objects::{Endpoint, LocationError, ObjectLocation, PlainHttp, Region, S3Location};
use concordat_storage::{
    catalog::{Catalog, CatalogError, ImportError, ImportMode, ImportRequest, Imported, Progress, Verification},
    data_dir::{Storage, StorageError},
};
use concordat_tests::s3::{BUCKET, S3Server};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const PEOPLE: &str = "id,name,age\n1,Zsofia Sentinel,41\n2,Bela Sentinel,52\n3,Carl Sentinel,\n";
/// The prefix of most of the tests.
const PREFIX: &str = "study/a";

/// A data directory with its objects in a store.
struct Vault {
    storage: Option<Storage>,
    runtime: Runtime,
    dir: TempDir,
    files: TempDir,
}

impl Vault {
    /// A new data directory with local objects.
    fn local() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::init(dir.path(), &secret()).unwrap();
        storage.identities().put_institution(&key()).unwrap();
        Self {
            storage: Some(storage),
            runtime: Runtime::new().unwrap(),
            dir,
            files: tempfile::tempdir().unwrap(),
        }
    }

    /// A new data directory with its objects at `location`.
    fn at(location: &ObjectLocation) -> Self {
        let mut vault = Self::local();
        vault.open(location).unwrap();
        vault
    }

    fn close(&mut self) {
        self.storage = None;
    }

    fn open(&mut self, location: &ObjectLocation) -> Result<(), StorageError> {
        self.close();
        self.storage = Some(Storage::open_at(self.dir.path(), &secret(), location)?);
        Ok(())
    }

    fn storage(&self) -> &Storage {
        self.storage.as_ref().unwrap()
    }

    fn catalog(&self) -> &Catalog {
        self.storage().catalog()
    }

    fn request(&self, contents: &str, mode: ImportMode) -> ImportRequest {
        let path = self.files.path().join("people.csv");
        fs::write(&path, contents).unwrap();
        let mut request = ImportRequest {
            mode,
            again: true,
            ..ImportRequest::new(people(), Source::at_path(path))
        };
        request.options.subject = SubjectRule::EachRow;
        request
    }

    fn import(&self, contents: &str, mode: ImportMode) -> Result<Imported, ImportError> {
        self.import_watched(&self.request(contents, mode), &mut |_| {})
    }

    fn import_watched(
        &self,
        request: &ImportRequest,
        watch: &mut dyn FnMut(Progress),
    ) -> Result<Imported, ImportError> {
        let _within = self.runtime.enter();
        self.catalog().import(request, &key(), NOW, watch)
    }

    fn verify(&self) -> Result<Verification, CatalogError> {
        let _within = self.runtime.enter();
        self.catalog().maintenance().verify(&people())
    }

    fn collect_orphans(&self) -> Result<u64, CatalogError> {
        let _within = self.runtime.enter();
        self.catalog().maintenance().collect_orphans()
    }

    /// The newest version's number and rows.
    fn newest(&self) -> (u64, u64) {
        let version = self.catalog().open_version(&people(), None).unwrap();
        (version.manifest().version.get(), version.manifest().rows)
    }
}

/// What is wrong with the location of the objects, according to an error that passes it on.
#[track_caller]
fn at_location<'e>(error: &'e (dyn std::error::Error + 'static)) -> &'e LocationError {
    let chain = std::iter::successors(Some(error), |error| error.source());
    let mut found = chain.filter_map(|error| {
        let of_catalog = |error: &'e CatalogError| {
            if let CatalogError::Location(location) = error {
                Some(location)
            } else {
                None
            }
        };
        if let Some(ImportError::Catalog(error)) = error.downcast_ref() {
            of_catalog(error)
        } else if let Some(StorageError::Location(location)) = error.downcast_ref() {
            Some(location)
        } else if let Some(BackupError::Location(location)) = error.downcast_ref() {
            Some(location)
        } else if let Some(BackupError::Catalog(error)) = error.downcast_ref() {
            of_catalog(error)
        } else if let Some(error) = error.downcast_ref() {
            of_catalog(error)
        } else {
            error.downcast_ref()
        }
    });
    found
        .next()
        .unwrap_or_else(|| panic!("not about the location of the objects: {error:?}"))
}

fn secret() -> Passphrase {
    Passphrase::new(Secret::from("p".to_owned()), Argon2Cost::dangerous_minimum())
}

fn key() -> InstitutionKey {
    InstitutionKey::from_seed(&[1; 32].into())
}

fn people() -> DatasetName {
    DatasetName::new("people").unwrap()
}

/// Rows that fill several objects of 8192 rows.
fn many(rows: u64) -> String {
    let rows: String = (0..rows).map(|row| format!("{row},name {row},40\n")).collect();
    format!("id,name,age\n{rows}")
}

/// A location in the server's bucket, with short timeouts.
fn location(server: &S3Server, folder: &Path, prefix: &str) -> S3Location {
    S3Location {
        url: format!("s3://{BUCKET}/{prefix}").parse().unwrap(),
        endpoint: Some(Endpoint::new(&server.endpoint(), PlainHttp::Loopback).unwrap()),
        region: Region::default(),
        credentials: server.credentials(folder),
        request_timeout: Duration::from_secs(2),
        retries: 4,
    }
}

fn s3(location: S3Location) -> ObjectLocation {
    ObjectLocation::S3(Box::new(location))
}

/// A server, and a data directory with three rows in it.
fn filled() -> (S3Server, Vault) {
    let server = S3Server::start();
    let mut vault = Vault::local();
    let location = s3(location(&server, vault.files.path(), PREFIX));
    vault.open(&location).unwrap();
    vault.import(PEOPLE, ImportMode::Create).unwrap();
    (server, vault)
}

fn names(paths: &[PathBuf]) -> Vec<String> {
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    paths.iter().map(name).collect()
}

/// Searches all files of the server for these texts, in their names and contents.
/// Shorter ones than these would be found in sealed bytes by chance.
fn readable(server: &S3Server, texts: &[&str]) -> Option<String> {
    for path in server.files() {
        let bytes = fs::read(&path).unwrap();
        for text in texts {
            let within = bytes.windows(text.len()).any(|window| window == text.as_bytes());
            if within || path.to_string_lossy().contains(text) {
                return Some(format!("`{text}` in {}", path.display()));
            }
        }
    }
    None
}

#[test]
fn object_store_holds_the_data_and_can_read_none_of_it() {
    let (server, mut vault) = filled();
    vault.import(&many(20_000), ImportMode::Append).unwrap();
    let request = ImportRequest {
        rows_per_object: 8192,
        ..vault.request(&many(20_000), ImportMode::Append)
    };
    vault.import_watched(&request, &mut |_| {}).unwrap();
    assert_eq!(vault.newest(), (3, 40_003));
    assert_eq!(server.objects(PREFIX).len(), 5);
    let here = fs::read_dir(vault.dir.path().join("objects")).unwrap().count();
    assert_eq!(here, 0, "there are no objects in the data directory");
    assert_eq!(readable(&server, &["Sentinel", "PAR1", "people", "name"]), None);

    let again = s3(location(&server, vault.files.path(), PREFIX));
    vault.open(&again).unwrap();
    assert_eq!(vault.verify().unwrap().objects, 8);
    assert_eq!(vault.collect_orphans().unwrap(), 0);

    let _within = vault.runtime.enter();
    vault.catalog().keys().rotate_dataset(&people(), true).unwrap();
    vault
        .catalog()
        .reencryption()
        .run(&people(), None, &mut |_| true)
        .unwrap();
    assert_eq!(vault.verify().unwrap().objects, 8);
    assert_eq!(server.objects(PREFIX).len(), 5);
    let retention = vault.catalog().retention();
    retention.set_rule(&people(), std::num::NonZeroU32::new(1)).unwrap();
    let oldest = retention
        .excluded(&people())
        .unwrap()
        .expect("there are older versions");
    retention.trim(&people(), oldest).unwrap();
    let erased = operator::erase(&vault);
    assert!(erased, "the dataset existed");
    assert_eq!(server.objects(PREFIX), Vec::<PathBuf>::new());
    assert_eq!(server.open_uploads(), 0);
}
