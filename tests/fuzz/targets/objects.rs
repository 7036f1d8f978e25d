//! Sealed objects: no input makes the reader panic, and a modified object is refused or opens to what was sealed.
//!
//! The first byte chooses what is opened: the bytes themselves, or a valid object with the bytes written into it somewhere.

#![no_main]

mod bounded;

use std::sync::LazyLock;

use concordat_keys::{Argon2Cost, DatasetKey, MasterKey, Passphrase, Secret, Suite};
use concordat_storage::seal::{BLOCK_LEN, HEADER_LEN, Opener, open, plain_len, seal, sealed_len};
use libfuzzer_sys::fuzz_target;

static KEY: LazyLock<DatasetKey> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a folder");
    let secret = Secret::from("fuzz".to_owned());
    let passphrase = Passphrase::new(secret, Argon2Cost::dangerous_minimum());
    let master = MasterKey::create(&dir.path().join("master.key"), &passphrase).expect("a master key");
    let (segment, _) = master.create_segment("main").expect("a segment's key");
    segment.create_dataset("heart").expect("a dataset's key").0
});

/// Empty, one byte, one byte less than a block, a block, two blocks and nine bytes, with either suite.
static VALID: LazyLock<Vec<(Vec<u8>, Vec<u8>)>> = LazyLock::new(|| {
    let lengths = [0, 1, BLOCK_LEN - 1, BLOCK_LEN, 2 * BLOCK_LEN + 9];
    let suites = [Suite::ChaCha20Poly1305, Suite::Aes256Gcm];
    let each = lengths
        .iter()
        .flat_map(|len| suites.iter().map(move |suite| (*len, *suite)));
    each.map(|(len, suite)| {
        let plain: Vec<u8> = (0..len).map(|at| (at * 31 % 251) as u8).collect();
        let sealed = seal(&KEY, suite, &plain).expect("it can be sealed");
        assert_eq!(sealed.len() as u64, sealed_len(plain.len() as u64));
        (plain, sealed)
    })
    .collect()
});

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else {
        return;
    };
    let Some((plain, sealed)) = VALID.get(usize::from(*choice)) else {
        return arbitrary(bytes);
    };
    let Some((position, bytes)) = bytes.split_first_chunk::<4>() else {
        return;
    };
    let changed = written_into(sealed, u32::from_be_bytes(*position) as usize, bytes);
    match open(&KEY, &changed) {
        Ok(opened) => assert!(changed == *sealed && opened == *plain, "a changed object was opened"),
        Err(_) => assert_ne!(changed, *sealed, "a valid object was refused"),
    }
    blocks(&changed);
});

/// Opens the bytes as they are and after an intact header, so that more than the header is checked.
fn arbitrary(bytes: &[u8]) {
    let _ = open(&KEY, bytes);
    blocks(bytes);
    let (_, valid) = &VALID[0];
    let with_header = [&valid[..HEADER_LEN], bytes].concat();
    if with_header != *valid {
        assert!(
            open(&KEY, &with_header).is_err(),
            "an object that was never sealed was opened"
        );
    }
    blocks(&with_header);
}

/// Overwrites bytes at the position, appends, or truncates there if there are no bytes to write.
fn written_into(sealed: &[u8], position: usize, bytes: &[u8]) -> Vec<u8> {
    let position = position % (sealed.len() + 1);
    if bytes.is_empty() {
        return sealed[..position].to_vec();
    }
    let rest = sealed.get(position + bytes.len()..).unwrap_or_default();
    [&sealed[..position], bytes, rest].concat()
}

/// Opens each block separately, as a reader of ranges does: both as the last block and as another one.
fn blocks(sealed: &[u8]) {
    let len = plain_len(sealed.len() as u64);
    let Ok(opener) = Opener::new(&KEY, sealed) else {
        return;
    };
    let Some(body) = sealed.get(HEADER_LEN..) else {
        return;
    };
    for (number, block) in body.chunks(BLOCK_LEN + 16).enumerate() {
        for last in [true, false] {
            let mut block = block.to_vec();
            if let Ok(opened) = opener.open_block(number as u64, last, &mut block) {
                assert!(
                    len.is_some_and(|len| opened as u64 <= len),
                    "a block is longer than its object"
                );
            }
        }
    }
}
