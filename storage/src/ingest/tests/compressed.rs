//! Compressed files, and zip files with one file in them.

use std::io::Read as _;

use super::*;
use crate::ingest::{
    compression::{Compression, archive},
    tests::formats::{parquet, table},
    text::{FileText, TextSource as _},
};

const TEXT: &[u8] = b"id,age\n1,50\n2,60\n";
/// The same as xz with the usual checksum, and with SHA-256.
const XZ: [&str; 2] = [
    "fd377a585a000004e6d6b4460200210116000000742fe5a301001069642c6167650a312c35300a322c36300a000000003c802ec8cb536df600012911 \
    320a700e1fb6f37d010000000004595a",
    "fd377a585a00000ae1fb0ca10200210116000000742fe5a301001069642c6167650a312c35300a322c36300a00000000ab49077cbc8fe56e20ab5f27 \
    3e7d465458bd906de2ce71c83cf2fc5d59f4661d000141119deb54a3189b4b9a01000000000a595a",
];
/// The same, by a writer that could need 256 MiB to unpack it.
const XZ_LARGE: &str = "fd377a585a000004e6d6b44602002101200000000988a57601001069642c6167650a312c35300a322c36300a000000003c802ec8cb536df600012911 \
    320a700e1fb6f37d010000000004595a";

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_alphanumeric).collect();
    data_encoding::HEXLOWER.decode(&digits).unwrap()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = bzip2::read::BzEncoder::new(text, bzip2::Compression::fast());
    encoder.read_to_end(&mut bytes).unwrap();
    bytes
}

fn zstd(text: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zip(text: &[u8]) -> Vec<u8> {
    archive::tests::zip(&[("export/table.csv", text)])
}

/// Everything but xz, for which there is no writer here.
type Pack = fn(&[u8]) -> Vec<u8>;
const WRITERS: [(Compression, Pack); 4] = [
    (Compression::Gzip, gzip),
    (Compression::Bzip2, bzip2),
    (Compression::Zstd, zstd),
    (Compression::Zip, zip),
];

/// The table in each compression.
fn compressed() -> Vec<(Compression, Vec<u8>)> {
    let mut files: Vec<_> = WRITERS.iter().map(|(name, pack)| (*name, pack(TEXT))).collect();
    files.extend(XZ.map(|bytes| (Compression::Xz, hex(bytes))));
    files
}

fn usual(bytes: impl AsRef<[u8]>) -> Result<Inspection, IngestError> {
    inspect(bytes, &TableOptions::default())
}

#[test]
fn compressed_files_are_read_like_what_is_in_them() {
    let (plain, expected) = import(TEXT, &TableOptions::default()).unwrap();
    assert_eq!(plain.compression(), None);
    for (compression, bytes) in compressed() {
        let (found, batches) = import(&bytes, &TableOptions::default()).unwrap();
        assert_eq!(found.compression(), Some(compression));
        assert_eq!(found.columns(), plain.columns(), "{compression:?}");
        assert_eq!(cells(&batches), cells(&expected), "{compression:?}");
        let fingerprint = found.fingerprint();
        assert_eq!(fingerprint.blake3, *blake3::hash(&bytes).as_bytes(), "{compression:?}");
        assert_eq!(fingerprint.length, bytes.len() as u64);
    }
}

#[test]
fn files_of_several_parts_are_read_to_their_end() {
    let more = b"3,70\n";
    for (name, pack) in WRITERS.iter().filter(|(name, _)| *name != Compression::Zip) {
        let found = usual([pack(TEXT), pack(more)].concat()).unwrap();
        assert_eq!(found.rows(), 3, "{name:?}");
    }
    let twice = usual([hex(XZ[0]), vec![0; 4], hex(XZ[1])].concat()).unwrap();
    assert_eq!(twice.rows(), 5);
}

#[test]
fn files_of_other_text_are_unpacked_too() {
    let ndjson = b"{\"a\":1}\n{\"a\":2}\n";
    let utf16: Vec<u8> = b"\xff\xfe"
        .iter()
        .copied()
        .chain("id,x\n1,\u{fc}\n".encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    for (name, pack) in WRITERS {
        let found = usual(pack(ndjson)).unwrap();
        assert_eq!((found.format(), found.rows()), (Format::Ndjson, 2), "{name:?}");
        let found = usual(pack(&utf16)).unwrap();
        assert_eq!(found.encoding().unwrap().name(), "UTF-16LE", "{name:?}");
    }
}

#[test]
fn compressed_files_that_are_cut_or_changed_are_refused() {
    for (compression, bytes) in compressed() {
        for length in 10..bytes.len() {
            let error = usual(&bytes[..length]).map(|found| found.rows()).unwrap_err();
            let is_damage = match compression {
                Compression::Zip => matches!(error, IngestError::Archive { .. }),
                Compression::Gzip | Compression::Zstd | Compression::Xz | Compression::Bzip2 => {
                    matches!(error, IngestError::Damaged { .. })
                }
            };
            assert!(is_damage, "{compression:?} cut to {length}: {error}");
            assert!(error.to_string().contains(compression.label()), "{error}");
        }
        if compression == Compression::Zip {
            // Its directory has fields that are not read.
            continue;
        }
        // A changed byte is found, at the latest by the checksum.
        let mut changed = bytes.clone();
        let middle = bytes.len() / 2;
        changed[middle] ^= 0x10;
        let found = usual(&changed).map(|found| found.rows());
        assert!(found.is_err(), "{compression:?}: {found:?}");
    }
}

/// A file of some kilobytes that unpacks to 100 MiB.
#[test]
fn files_that_unpack_to_too_much_are_refused() {
    let part = vec![b'0'; 1 << 20];
    for (name, pack) in WRITERS.iter().filter(|(name, _)| *name != Compression::Zip) {
        let folder = Folder::new();
        let path = folder.file(pack(&part).repeat(100));
        let mut text = FileText::open(&Source::at_path(path), None).unwrap();
        let mut read = 0;
        let error = loop {
            let mut chunk = Vec::new();
            match text.fill(&mut chunk) {
                Ok(more) => assert!(more, "{name:?} was unpacked to its end"),
                Err(error) => break error,
            }
            read += chunk.len();
        };
        assert!(
            matches!(error, IngestError::UnpacksToTooMuch { .. }),
            "{name:?}: {error}"
        );
        assert_eq!(error.kind(), concordat_protocol::error_kind::ErrorKind::Usage);
        assert!((64 << 20..90 << 20).contains(&read), "{name:?}: {read} bytes");
    }
}

#[test]
fn files_that_need_much_memory_are_refused() {
    // The header of a frame with a window of 256 MiB, and an empty block.
    let zstd = b"\x28\xb5\x2f\xfd\x00\x90\x01\x00\x00";
    for (bytes, label) in [(hex(XZ_LARGE), "xz"), (zstd.to_vec(), "zstd")] {
        let error = usual(bytes).map(|found| found.rows()).unwrap_err();
        assert!(matches!(error, IngestError::NeedsMemory { .. }), "{error}");
        assert!(
            error.to_string().contains(label) && error.to_string().contains("128 MiB"),
            "{error}"
        );
    }
}

#[test]
fn what_is_compressed_twice_is_refused() {
    let numbers: arrow::array::ArrayRef = std::sync::Arc::new(arrow::array::UInt64Array::from(vec![1, 2]));
    let parquet = parquet(&table(&[("a", numbers)]));
    for (outer, pack) in WRITERS {
        for (inner, bytes) in compressed() {
            let error = usual(pack(&bytes)).map(|found| found.rows()).unwrap_err();
            let is_named =
                matches!(&error, IngestError::NotText { what, .. } if what.starts_with("a compressed file in"));
            assert!(is_named, "{inner:?} in {outer:?}: {error}");
        }
        let error = usual(pack(&parquet)).map(|found| found.rows()).unwrap_err();
        let is_named = matches!(&error, IngestError::NotText { what, .. } if *what == "a compressed Parquet file");
        assert!(is_named, "Parquet in {outer:?}: {error}");
    }
}

#[test]
fn zip_files_with_none_or_several_files_are_refused_by_their_number() {
    for (files, count) in [
        (&[][..], 0),
        (&[("folder/", &b""[..])], 0),
        (&[("secret-name.csv", TEXT), ("b.csv", TEXT)], 2),
    ] {
        let error = usual(archive::tests::zip(files)).map(|found| found.rows()).unwrap_err();
        assert!(
            matches!(error, IngestError::NotOneFile { count: found, .. } if found == count),
            "{error}"
        );
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn nothing_is_read_of_compressed_files_whose_every_row_is_refused() {
    let ragged = b"record,chol\n1,2,3\n4,5,6\n";
    let skipping = TableOptions {
        header: Header::Present,
        delimiter: Some(Delimiter::Byte(b',')),
        ..skipping()
    };
    for (name, pack) in WRITERS {
        let error = import(pack(ragged), &skipping).map(|_| ()).unwrap_err();
        assert!(
            matches!(error, IngestError::AllRowsRefused { count: 2, .. }),
            "{name:?}: {error}"
        );
    }
}

#[test]
fn uploaded_zip_files_are_read() {
    let folder = Folder::new();
    let text: String = (0..100_000)
        .map(|number| format!("{number},{}\n", number % 7))
        .collect();
    let mut upload = Upload::begin(folder.0.path()).unwrap();
    upload.write(&zip(format!("id,x\n{text}").as_bytes())).unwrap();
    let source = Source::sent("x.zip", upload.finish().unwrap());
    let inspection = infer_schema(&source, &TableOptions::default()).unwrap();
    assert_eq!(inspection.rows(), 100_000);
    let batches: Result<Vec<_>, _> = batches(&source, &inspection).unwrap().collect();
    assert_eq!(cells(&batches.unwrap()).len(), 100_000);
}

#[test]
fn zip_file_that_changes_between_the_passes_is_detected() {
    let folder = Folder::new();
    let path = Source::at_path(folder.file(zip(b"a,b\n1,2\n")));
    let inspection = infer_schema(&path, &TableOptions::default()).unwrap();
    folder.file(zip(b"a,b\n3,4\n"));
    let result = batches(&path, &inspection).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    assert!(matches!(result, Err(IngestError::Changed { .. })), "{result:?}");
}
