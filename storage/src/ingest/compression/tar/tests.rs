//! Archives as programs write them, and damaged ones.

use proptest::prelude::*;

use super::*;

/// A header for `size` bytes of `path`, as `kind`.
pub(in crate::ingest) fn header_of(path: &str, kind: u8, size: usize) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    block[..path.len()].copy_from_slice(path.as_bytes());
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    signed(block)
}

/// The block with its checksum.
fn signed(mut block: Vec<u8>) -> Vec<u8> {
    block[CHECKSUM].fill(b' ');
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn entry(path: &str, kind: u8, contents: &[u8]) -> Vec<u8> {
    let mut bytes = header_of(path, kind, contents.len());
    bytes.extend_from_slice(contents);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

fn end() -> Vec<u8> {
    vec![0; 2 * BLOCK]
}

/// An archive of these files.
pub(in crate::ingest) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes: Vec<u8> = files
        .iter()
        .flat_map(|(path, contents)| entry(path, b'0', contents))
        .collect();
    bytes.extend(end());
    bytes
}

type Files = Vec<(String, Vec<u8>)>;

fn read(bytes: &[u8]) -> Result<Files, ArchiveError> {
    let mut reader = TarReader::new(bytes);
    let mut files = Vec::new();
    while let Some(path) = reader.next_file()? {
        let mut contents = Vec::new();
        reader.read_file(&mut |part| {
            contents.extend_from_slice(part);
            Ok(())
        })?;
        files.push((String::from_utf8_lossy(&path).into_owned(), contents));
    }
    Ok(files)
}

fn refused(bytes: &[u8]) -> &'static str {
    match read(bytes) {
        Err(ArchiveError::Refused(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn tar_files_are_read_with_their_names() {
    let long = format!("omop/{}/person.csv", "x".repeat(120));
    let pax = format!("path={long}\n");
    let length = pax.len() + 4;
    let pax = format!("{length} {pax}");
    let mut bytes = entry("omop/", b'5', b"");
    bytes.extend(entry("././@LongLink", b'L', format!("{long}\0").as_bytes()));
    bytes.extend(entry("cut", b'0', b"a,b\n1,2\n"));
    bytes.extend(entry("paxheader", b'x', pax.as_bytes()));
    bytes.extend(entry("cut", 0, &[7; 1025]));
    bytes.extend(entry("visit.csv", b'0', b""));
    let mut prefixed = header_of("note.csv", b'0', 1);
    prefixed[345..349].copy_from_slice(b"omop");
    bytes.extend(signed(prefixed));
    bytes.extend([b'n'].into_iter().chain([0; BLOCK - 1]));
    bytes.extend(end());
    let files = read(&bytes).unwrap();
    assert_eq!(
        files,
        [
            (long.clone(), b"a,b\n1,2\n".to_vec()),
            (long, vec![7; 1025]),
            ("visit.csv".to_owned(), Vec::new()),
            ("omop/note.csv".to_owned(), vec![b'n']),
        ]
    );
}

#[test]
fn tar_with_a_path_that_no_system_opens_is_refused() {
    let long = "x".repeat(4097);
    let file = |kind, record: &[u8]| {
        let mut bytes = entry("record", kind, record);
        bytes.extend(entry("cut", b'0', b"a"));
        bytes.extend(end());
        bytes
    };
    let path = |length: usize| format!("{long:.length$}\0");
    assert_eq!(read(&file(b'L', path(4096).as_bytes())).unwrap().len(), 1);
    refused(&file(b'L', path(4097).as_bytes()));
    let pax = |length: usize| {
        let record = format!("path={long:.length$}\n");
        format!("{} {record}", record.len() + 5)
    };
    assert_eq!(read(&file(b'x', pax(4096).as_bytes())).unwrap().len(), 1);
    refused(&file(b'x', pax(4097).as_bytes()));
    refused(&file(b'g', &vec![b' '; 64 * 1024 + 1]));
}

#[test]
fn tar_that_is_cut_anywhere_is_incomplete() {
    let bytes = tar(&[
        ("person.csv", &b"person_id\n1\n"[..]),
        ("visit.csv", &b"visit_id\n2\n"[..]),
    ]);
    assert_eq!(read(&bytes).unwrap().len(), 2);
    for len in (0..bytes.len()).step_by(97) {
        assert!(refused(&bytes[..len]).contains("incomplete"), "{len} bytes");
    }
    // One block of zeros is not the end.
    let mut other = bytes.clone();
    other.truncate(bytes.len() - BLOCK);
    other.extend(entry("a", b'0', b""));
    assert!(refused(&other).contains("damaged"));
}

#[test]
fn tar_with_links_and_lies_is_refused() {
    for kind in [b'1', b'2', b'3', b'4', b'6', b'S'] {
        assert!(refused(&entry("person.csv", kind, b"")).contains("link"), "{kind}");
    }
    assert!(refused(&entry("p", b'x', b"22 GNU.sparse.major=1\n")).contains("sparse"));
    for record in ["8 path=a\n", "path=a\n", "11 size=1x\n", "99999999 path=a\n"] {
        assert!(
            refused(&entry("p", b'x', record.as_bytes())).contains("invalid"),
            "{record}"
        );
    }
    assert!(refused(&header_of("p", b'L', 2 << 20)).contains("invalid"));
    let mut changed = header_of("person.csv", b'0', 0);
    changed[0] = b'q';
    assert!(refused(&changed).contains("damaged"));
    let many: Vec<u8> = (0..=MAX_MEMBERS).flat_map(|_| entry("a/", b'5', b"")).collect();
    assert!(refused(&many).contains("10,000"));
}

#[test]
fn tar_numbers_are_octal_or_binary() {
    assert_eq!(number(b"00000000017\0"), Some(15));
    assert_eq!(number(b"       17 \0\0"), Some(15));
    assert_eq!(number(b"\x80\0\0\0\0\0\0\0\0\0\x01\0"), Some(256));
    for wrong in [
        &b""[..],
        b"            ",
        b"8",
        b"1 7",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        assert_eq!(number(wrong), None, "{wrong:?}");
    }
}

proptest! {
    /// No bytes make it panic, and what is written is read.
    #[test]
    fn tar_of_any_bytes_is_read_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..3000),
        at in 0_usize..3000,
    ) {
        read(&bytes).ok();
        let mut archive = tar(&[("a.csv", bytes.as_slice()), ("b.csv", &b"x"[..])]);
        let files = read(&archive).unwrap();
        prop_assert_eq!(&files[0].1, &bytes);
        let at = at % archive.len();
        archive[at] ^= 0xff;
        read(&archive).ok();
    }
}
