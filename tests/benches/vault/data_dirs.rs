//! Data directories: importing, opening, rotating.

use std::path::Path;
use std::time::Instant;

use concordat_keys::{Argon2Cost, Passphrase, Secret};
use concordat_protocol::identity::InstitutionKey;
use concordat_protocol::ids::{DatasetName, SegmentName};
use concordat_protocol::time::Timestamp;
use concordat_storage::ingest::{Source, SubjectRule};
use concordat_storage::{
    catalog::{ImportRequest, MAIN_SEGMENT},
    data_dir::Storage,
};
use tokio::runtime::Runtime;

use super::peak;

/// The large dataset.
pub(crate) const VISITS: &str = "visits";
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// Passphrases are as cheap as possible: their cost is not a property of storage.
fn source() -> Passphrase {
    Passphrase::new(Secret::from("benchmark".to_owned()), Argon2Cost::dangerous_minimum())
}

fn key() -> InstitutionKey {
    InstitutionKey::from_seed(&[7; 32].into())
}

pub(crate) fn name(text: &str) -> DatasetName {
    DatasetName::new(text).unwrap()
}

fn create(dir: &Path) -> Storage {
    let storage = Storage::init(dir, &source()).unwrap();
    storage.identities().put_institution(&key()).unwrap();
    storage
}

/// The data directory, opened.
pub(crate) fn opened(dir: &Path) -> Storage {
    Storage::open(dir, &source()).unwrap()
}

/// Imports `file` into a new directory.
pub(crate) fn import(dir: &Path, file: &Path) {
    let storage = create(dir);
    let mut request = ImportRequest::new(name(VISITS), Source::at_path(file));
    request.options.subject = SubjectRule::Column("patient_id".to_owned());
    let runtime = Runtime::new().unwrap();
    let began = Instant::now();
    let done = runtime.block_on(async {
        tokio::task::spawn_blocking(move || storage.catalog().import(&request, &key(), NOW, &mut |_| ()))
            .await
            .unwrap()
            .unwrap()
    });
    println!(
        r#"{{"seconds": {:.3}, "rows": {}, "peak_mib": {:.1}}}"#,
        began.elapsed().as_secs_f64(),
        done.rows,
        peak()
    );
}

/// Makes a directory with many datasets of ten rows each.
pub(crate) fn many(dir: &Path, count: u64) {
    let storage = create(dir);
    let file = dir.with_extension("csv");
    let rows: String = (0..10).map(|row| format!("{row},{},{}\n", row % 2, 40 + row)).collect();
    std::fs::write(&file, format!("id,sex,age\n{rows}")).unwrap();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        tokio::task::spawn_blocking(move || {
            for number in 0..count {
                let mut request = ImportRequest::new(name(&format!("small_{number}")), Source::at_path(&file));
                request.options.subject = SubjectRule::EachRow;
                storage.catalog().import(&request, &key(), NOW, &mut |_| ()).unwrap();
            }
        })
        .await
        .unwrap();
    });
    println!(r#"{{"datasets": {count}}}"#);
}

/// Opens a directory and reads its catalog.
pub(crate) fn open(dir: &Path) {
    let began = Instant::now();
    let storage = opened(dir);
    let datasets = storage.catalog().datasets().list().unwrap().len();
    println!(
        r#"{{"seconds": {:.3}, "datasets": {datasets}, "peak_mib": {:.1}}}"#,
        began.elapsed().as_secs_f64(),
        peak()
    );
}

/// Rotates the key of the segment that contains all datasets.
pub(crate) fn rotate(dir: &Path) {
    let storage = opened(dir);
    let began = Instant::now();
    let segment = SegmentName::new(MAIN_SEGMENT).unwrap();
    let rewrapped = storage.catalog().keys().rotate_segment(&segment).unwrap();
    println!(
        r#"{{"seconds": {:.3}, "datasets": {rewrapped}, "peak_mib": {:.1}}}"#,
        began.elapsed().as_secs_f64(),
        peak()
    );
}
