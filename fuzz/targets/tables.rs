//! Files that people import: no input makes the inspection panic, and its result for a file matches what reading the file returns.
//!
//! The first byte chooses the options, the rest is the file.

#![no_main]

mod bounded;

use std::{fs, sync::LazyLock};

use concordat_storage::ingest::{TableOptions, Header, Missing, Refused, Source, batches, infer_schema};
use libfuzzer_sys::fuzz_target;

static DIR: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else {
        return;
    };
    let path = DIR.path().join("table.csv");
    fs::write(&path, bytes).expect("a file");
    let path = Source::at_path(path);
    let Ok(found) = infer_schema(&path, &options(*choice)) else {
        return;
    };
    let columns = found.columns().len();
    let Ok(read) = batches(&path, &found) else {
        return;
    };
    let mut rows = 0;
    for batch in read {
        let Ok(batch) = batch else {
            return;
        };
        assert!(batch.num_columns() >= columns, "a column was lost");
        rows += batch.num_rows() as u64;
    }
    assert_eq!(rows, found.rows(), "the inspection counted a different number of rows");
});

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
