//! Files that people import: no input makes the inspection panic, and its result for a file matches what reading the file returns.
//!
//! The first byte chooses the options, the rest is the file. The library that reads Parquet panics for some damaged files, which the
//! product contains: a panic is a finding if it gets any further.

#![no_main]

mod bounded;

use std::{fs, sync::LazyLock};

use concordat_storage::ingest::{Header, IngestError, Missing, Refused, Source, TableOptions, batches, infer_schema};
use libfuzzer_sys::fuzz_target;

static DIR: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    // The fuzzer's hook ends the process at any panic.
    drop(std::panic::take_hook());
    tempfile::tempdir().expect("a folder")
});

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else {
        return;
    };
    let path = DIR.path().join("table.csv");
    fs::write(&path, bytes).expect("a file");
    let path = Source::at_path(path);
    let found = match infer_schema(&path, &options(*choice)) {
        Ok(found) => found,
        Err(error) => return assert_contained(&error),
    };
    let columns = found.columns().len();
    let Ok(read) = batches(&path, &found) else {
        return;
    };
    let mut rows = 0;
    for batch in read {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => return assert_contained(&error),
        };
        assert!(batch.num_columns() >= columns, "a column was lost");
        rows += batch.num_rows() as u64;
    }
    assert_eq!(rows, found.rows(), "the inspection counted a different number of rows");
});

/// A thread that panicked, and a line that was accepted and cannot be decoded, are bugs.
fn assert_contained(error: &IngestError) {
    assert!(
        !matches!(error, IngestError::Interrupted { .. } | IngestError::Undecodable { .. }),
        "{error}"
    );
}

fn options(choice: u8) -> TableOptions {
    TableOptions {
        delimiter: [None, Some(b','), Some(b';'), Some(b'\t')][usize::from(choice & 3)],
        header: if choice & 4 == 0 { Header::Auto } else { Header::Present },
        missing: [Missing::Auto, Missing::Everywhere, Missing::BlankOnly][usize::from(choice >> 3) % 3],
        refused: if choice & 128 == 0 {
            Refused::Stop
        } else {
            Refused::Skip
        },
        ..TableOptions::default()
    }
}
