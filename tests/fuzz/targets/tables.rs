//! Files that people import: no input makes the inspection panic, and its result for a file matches what reading the file returns.
//!
//! The first byte chooses the options, the rest is the file. The library that reads Parquet panics for some damaged files, which the
//! product contains: a panic is a finding if it gets any further.

#![no_main]

mod bounded;

use std::{fs, sync::LazyLock};

use concordat_protocol::schema::ColumnKind;
use concordat_storage::ingest::{
    BooleanWords, DateFormat, DecimalSign, Delimiter, Header, IngestError, Missing, Notation, Refused, Source,
    TableOptions, ThousandsSign, batches, infer_schema,
};
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
        delimiter: [
            None,
            Some(Delimiter::Byte(b',')),
            Some(Delimiter::Byte(b';')),
            Some(Delimiter::Blanks),
        ][usize::from(choice & 3)],
        header: if choice & 4 == 0 { Header::Auto } else { Header::Present },
        missing: [Missing::Auto, Missing::Everywhere, Missing::BlankOnly][usize::from(choice >> 3) % 3],
        refused: if choice & 128 == 0 {
            Refused::Stop
        } else {
            Refused::Skip
        },
        quotes: choice & 96 != 96,
        comment: (choice & 68 == 68).then_some(b'#'),
        skip_lines: u64::from(choice & 68 == 64),
        missing_words: if choice & 36 == 36 {
            vec!["-".to_owned()]
        } else {
            Vec::new()
        },
        notation: if choice & 32 == 0 {
            Notation::default()
        } else {
            german()
        },
        existing: if choice & 66 == 66 {
            vec![("a".to_owned(), ColumnKind::Float), ("b".to_owned(), ColumnKind::Text)]
        } else {
            Vec::new()
        },
        ..TableOptions::default()
    }
}

/// Numbers, dates and truth values as they are written in Germany.
fn german() -> Notation {
    let form: DateFormat = "%d.%m.%Y".parse().expect("a form");
    let words: BooleanWords = "ja,nein".parse().expect("two words");
    Notation {
        decimal: DecimalSign::Comma,
        thousands: Some(ThousandsSign::Point),
        dates: vec![form],
        zone: "Europe/Berlin".parse().ok(),
        booleans: vec![words],
    }
}
