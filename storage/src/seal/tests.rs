use std::{
    fs,
    os::unix::fs::PermissionsExt,
    slice::from_ref,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use concordat_keys::{Argon2Cost, DatasetKey, MasterKey, Passphrase, Secret, SegmentKey, Suite, Wrapped};
use futures::{FutureExt, TryStreamExt};
use object_store::{
    GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, PutResult,
    UploadPart, memory::InMemory, path::Path,
};
use proptest::prelude::*;

use super::{
    BLOCK_LEN, HEADER_LEN, PART_LEN, SealError, SealedStore, Sealer, open, plain_len, seal, sealed_len,
    store_error_kind, upload::SealedUpload,
};
use crate::objects::DurableStore;
use concordat_protocol::error_kind::{ErrorKind, Explain};

const SUITES: [Suite; 2] = [Suite::ChaCha20Poly1305, Suite::Aes256Gcm];
const SEALED_BLOCK: usize = BLOCK_LEN + 16;

/// A dataset's key that can be opened repeatedly.
struct Keys {
    segment: SegmentKey,
    wrapped: Wrapped,
}

impl Keys {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let source = Passphrase::new(Secret::from("p".to_owned()), Argon2Cost::dangerous_minimum());
        let master = MasterKey::create(&dir.path().join("master.key"), &source).unwrap();
        let (segment, _) = master.create_segment("main").unwrap();
        let (_, wrapped) = segment.create_dataset("heart").unwrap();
        Self { segment, wrapped }
    }

    fn key(&self) -> DatasetKey {
        self.segment.open_dataset("heart", &self.wrapped).unwrap()
    }

    fn store(&self, inner: &Arc<InMemory>) -> SealedStore {
        SealedStore::new(inner.clone(), self.key(), Suite::auto())
    }
}

fn plain(len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| u8::try_from((at * 7 + at / 251) % 256).unwrap())
        .collect()
}

/// Accepts parts and records their lengths.
#[derive(Debug, Default)]
struct Lengths(Arc<Mutex<Vec<usize>>>);

#[async_trait]
impl MultipartUpload for Lengths {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.0.lock().unwrap().push(data.content_length());
        futures::future::ready(Ok(())).boxed()
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        Ok(PutResult {
            e_tag: None,
            version: None,
        })
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn upload_parts_have_one_size_except_the_last() {
    let keys = Keys::new();
    let whole = PART_LEN - HEADER_LEN;
    let blocks = whole / SEALED_BLOCK * BLOCK_LEN;
    for chunks in [
        vec![20 << 20],
        vec![1, PART_LEN, 3 * PART_LEN, 7],
        vec![blocks, BLOCK_LEN],
        vec![5],
    ] {
        let lengths = Arc::<Mutex<Vec<usize>>>::default();
        let sealer = Sealer::new(&keys.key(), Suite::auto()).unwrap();
        let inner = Box::new(Lengths(Arc::clone(&lengths)));
        let mut upload = SealedUpload::new(inner, sealer, Path::from("a"), Arc::default());
        for len in &chunks {
            upload.put_part(vec![7; *len].into()).await.unwrap();
        }
        upload.complete().await.unwrap();
        let lengths = lengths.lock().unwrap().clone();
        let (last, others) = lengths.split_last().unwrap();
        assert!(others.iter().all(|len| *len == PART_LEN), "{chunks:?}: {lengths:?}");
        assert!((1..=PART_LEN).contains(last), "{chunks:?}: {lengths:?}");
        let sealed = sealed_len(chunks.iter().sum::<usize>() as u64);
        assert_eq!(lengths.iter().sum::<usize>() as u64, sealed, "{chunks:?}");
    }
}

#[test]
fn objects_of_every_length_are_opened_again() {
    let key = Keys::new().key();
    for suite in SUITES {
        for len in [0, 1, 15, BLOCK_LEN - 1, BLOCK_LEN, BLOCK_LEN + 1, 3 * BLOCK_LEN] {
            let sealed = seal(&key, suite, &plain(len)).unwrap();
            assert_eq!(sealed.len() as u64, sealed_len(len as u64));
            assert_eq!(plain_len(sealed.len() as u64), Some(len as u64));
            assert_eq!(open(&key, &sealed).unwrap(), plain(len));
        }
    }
}

#[test]
fn two_objects_of_the_same_plaintext_share_nothing() {
    let key = Keys::new().key();
    let a = seal(&key, Suite::Aes256Gcm, &[0; 64]).unwrap();
    let b = seal(&key, Suite::Aes256Gcm, &[0; 64]).unwrap();
    assert_ne!(a[HEADER_LEN..], b[HEADER_LEN..]);
}

#[test]
fn impossible_lengths_are_rejected() {
    assert_eq!(plain_len(HEADER_LEN as u64), None);
    assert_eq!(plain_len((HEADER_LEN + 15) as u64), None);
    assert_eq!(plain_len((HEADER_LEN + SEALED_BLOCK + 16) as u64), None);
    assert_eq!(
        plain_len((HEADER_LEN + SEALED_BLOCK + 17) as u64),
        Some(BLOCK_LEN as u64 + 1)
    );
}

#[test]
fn every_flipped_byte_of_an_object_is_detected() {
    let key = Keys::new().key();
    for suite in SUITES {
        let small = seal(&key, suite, &plain(100)).unwrap();
        for at in 0..small.len() {
            let mut bad = small.clone();
            bad[at] ^= 1 << (at % 8);
            let error = open(&key, &bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Integrity, "byte {at}: {error}");
        }
        let large = seal(&key, suite, &plain(2 * BLOCK_LEN + 9)).unwrap();
        let tag = HEADER_LEN + BLOCK_LEN;
        for at in [
            HEADER_LEN,
            tag - 1,
            tag,
            tag + 15,
            tag + 16,
            large.len() - 17,
            large.len() - 1,
        ] {
            let mut bad = large.clone();
            bad[at] ^= 0x80;
            assert!(matches!(open(&key, &bad), Err(SealError::Block { .. })), "byte {at}");
        }
    }
}

/// No rearrangement of blocks opens.
#[test]
fn moved_blocks_are_detected() {
    let key = Keys::new().key();
    for suite in SUITES {
        let good = seal(&key, suite, &plain(3 * BLOCK_LEN)).unwrap();
        let other = seal(&key, suite, &plain(3 * BLOCK_LEN)).unwrap();
        let block = |of: &[u8], n: usize| of[HEADER_LEN + n * SEALED_BLOCK..][..SEALED_BLOCK].to_vec();
        let a = block(&good, 0);
        let b = block(&good, 1);
        let c = block(&good, 2);
        let head = good[..HEADER_LEN].to_vec();
        for (name, parts) in [
            ("swapped", vec![&b, &a, &c]),
            ("repeated", vec![&a, &a, &c]),
            ("inserted", vec![&a, &b, &b, &c]),
            ("dropped", vec![&a, &c]),
            ("cut at a block", vec![&a, &b]),
            ("appended", vec![&a, &b, &c, &c]),
            ("foreign", vec![&a, &block(&other, 1), &c]),
            ("empty", vec![]),
        ] {
            let bad = parts
                .into_iter()
                .fold(head.clone(), |bytes, part| [bytes.as_slice(), part].concat());
            let error = open(&key, &bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Integrity, "{name}: {error}");
        }
        let exchanged = [&other[..HEADER_LEN], &good[HEADER_LEN..]].concat();
        assert!(matches!(open(&key, &exchanged), Err(SealError::Block { number: 0 })));
    }
}

#[test]
fn every_cut_and_every_addition_is_detected() {
    let key = Keys::new().key();
    let good = seal(&key, Suite::Aes256Gcm, &plain(BLOCK_LEN + 20)).unwrap();
    for len in (0..120).chain(good.len() - 60..good.len()) {
        assert!(open(&key, &good[..len]).is_err(), "cut to {len}");
    }
    for extra in [1, 16, 17] {
        assert!(open(&key, &[good.as_slice(), &vec![0; extra]].concat()).is_err());
    }
}

#[test]
fn object_of_another_dataset_is_reported_as_foreign_key() {
    let sealed = seal(&Keys::new().key(), Suite::Aes256Gcm, b"x").unwrap();
    assert!(matches!(
        open(&Keys::new().key(), &sealed),
        Err(SealError::ForeignKey { .. })
    ));
}

#[test]
fn blocks_are_sealed_in_order_only() {
    let mut sealer = Sealer::new(&Keys::new().key(), Suite::Aes256Gcm).unwrap();
    assert!(matches!(sealer.seal_block(&mut [0; 9], false), Err(SealError::Order)));
    sealer.seal_block(&mut [0; 9], true).unwrap();
    assert!(matches!(sealer.seal_block(&mut [0; 9], true), Err(SealError::Order)));
}

#[tokio::test]
async fn sealed_store_has_plaintext_above_and_none_below() {
    let keys = Keys::new();
    let inner = Arc::new(InMemory::new());
    let store = keys.store(&inner);
    let path = Path::from("v1/part");
    let data = [b"SENTINEL".as_slice(), &plain(200_000)].concat();
    store.put(&path, data.clone().into()).await.unwrap();
    assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), data);
    assert_eq!(store.head(&path).await.unwrap().size, data.len() as u64);
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert_eq!(listed[0].size, data.len() as u64);
    let below = inner.get(&path).await.unwrap().bytes().await.unwrap();
    assert!(!below.windows(8).any(|window| window == b"SENTINEL"));
    store.rename(&path, &Path::from("v1/renamed")).await.unwrap();
    assert_eq!(
        store.get_range(&Path::from("v1/renamed"), 0..8).await.unwrap(),
        "SENTINEL"
    );
    store.delete(&Path::from("v1/renamed")).await.unwrap();
    assert_eq!(
        store_error_kind(&store.get(&path).await.unwrap_err()),
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn metadata_that_would_be_in_clear_is_not_supported() {
    let keys = Keys::new();
    let inner = Arc::new(InMemory::new());
    let mut options = PutOptions::default();
    options
        .attributes
        .insert(object_store::Attribute::ContentType, "text/csv".into());
    let refused = keys
        .store(&inner)
        .put_opts(&Path::from("a"), "x".into(), options)
        .await
        .unwrap_err();
    assert!(matches!(refused, object_store::Error::NotSupported { .. }));
    let versioned = GetOptions {
        version: Some("1".into()),
        ..GetOptions::default()
    };
    let refused = keys
        .store(&inner)
        .get_opts(&Path::from("a"), versioned)
        .await
        .unwrap_err();
    assert!(matches!(refused, object_store::Error::NotSupported { .. }));
}

#[tokio::test]
async fn create_does_not_overwrite() {
    let keys = Keys::new();
    let inner = Arc::new(InMemory::new());
    let store = keys.store(&inner);
    let path = Path::from("a");
    store.put(&path, "one".into()).await.unwrap();
    let again = store
        .put_opts(&path, "two".into(), PutMode::Create.into())
        .await
        .unwrap_err();
    assert!(matches!(again, object_store::Error::AlreadyExists { .. }));
}

#[tokio::test]
async fn object_replaced_behind_the_cache_is_read_again() {
    let keys = Keys::new();
    let inner = Arc::new(InMemory::new());
    let store = keys.store(&inner);
    let other = keys.store(&inner);
    let path = Path::from("a");
    store.put(&path, "one".into()).await.unwrap();
    assert_eq!(store.get_ranges(&path, from_ref(&(0..3))).await.unwrap()[0], "one");
    other.put(&path, "twenty".into()).await.unwrap();
    assert_eq!(store.get_ranges(&path, from_ref(&(0..6))).await.unwrap()[0], "twenty");
}

#[tokio::test]
async fn cut_object_is_detected_by_a_read_of_its_start() {
    let keys = Keys::new();
    let inner = Arc::new(InMemory::new());
    let path = Path::from("a");
    let sealed = seal(&keys.key(), Suite::auto(), &plain(3 * BLOCK_LEN)).unwrap();
    let cut = Bytes::from(sealed).slice(..HEADER_LEN + 2 * SEALED_BLOCK);
    inner.put(&path, cut.into()).await.unwrap();
    let error = keys
        .store(&inner)
        .get_ranges(&path, from_ref(&(0..10)))
        .await
        .unwrap_err();
    assert_eq!(store_error_kind(&error), ErrorKind::Integrity, "{error:?}");
    let error = keys.store(&inner).get_range(&path, 0..10).await.unwrap_err();
    assert_eq!(store_error_kind(&error), ErrorKind::Integrity, "{error:?}");
}

#[tokio::test]
async fn uploads_in_odd_parts_equal_the_whole() {
    let keys = Keys::new();
    let inner = Arc::new(InMemory::new());
    let store = keys.store(&inner);
    let path = Path::from("a");
    let data = plain(20 * 1024 * 1024 + 3);
    let mut upload = store.put_multipart(&path).await.unwrap();
    for part in data.chunks(3_000_001) {
        upload.put_part(PutPayload::from(part.to_vec())).await.unwrap();
    }
    upload.complete().await.unwrap();
    assert!(store.get(&path).await.unwrap().bytes().await.unwrap() == data);
    let mut empty = store.put_multipart(&path).await.unwrap();
    empty.complete().await.unwrap();
    assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "");
}

#[tokio::test]
async fn durable_files_are_private_and_open_like_any_other() {
    let keys = Keys::new();
    let dir = tempfile::tempdir().unwrap();
    let files = Arc::new(DurableStore::open(&dir.path().join("objects")).unwrap());
    let store = SealedStore::new(files, keys.key(), Suite::auto());
    let path = Path::from("heart/v1/part");
    let mut upload = store.put_multipart(&path).await.unwrap();
    upload.put_part(plain(70_000).into()).await.unwrap();
    upload.complete().await.unwrap();
    store.put(&Path::from("heart/v1/small"), "x".into()).await.unwrap();
    assert_eq!(
        store.get_range(&path, 65_000..70_000).await.unwrap(),
        plain(70_000)[65_000..]
    );
    let mode = |path: &str| {
        fs::metadata(dir.path().join("objects").join(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!([mode("heart/v1/part"), mode("heart/v1/small")], [0o600, 0o600]);
    assert_eq!([mode(""), mode("heart"), mode("heart/v1")], [0o700, 0o700, 0o700]);
    store.delete(&path).await.unwrap();
    assert!(store.head(&path).await.is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_ranges_equal_the_slices(
        len in 1_usize..(5 * BLOCK_LEN),
        ends in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..6),
    ) {
        let data = plain(len);
        let ranges: Vec<_> = ends
            .iter()
            .map(|(a, b)| (a.index(len) as u64, b.index(len) as u64))
            .map(|(a, b)| a.min(b)..a.max(b) + 1)
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let keys = Keys::new();
            let inner = Arc::new(InMemory::new());
            let store = keys.store(&inner);
            let path = Path::from("a");
            store.put(&path, data.clone().into()).await.unwrap();
            let found = store.get_ranges(&path, &ranges).await.unwrap();
            for (bytes, range) in found.iter().zip(&ranges) {
                let slice = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
                assert_eq!(bytes, &data[slice.clone()]);
                assert_eq!(store.get_range(&path, range.clone()).await.unwrap(), data[slice]);
            }
            let options = GetOptions::new().with_range(Some(GetRange::Suffix(ranges[0].end)));
            let tail = store.get_opts(&path, options).await.unwrap().bytes().await.unwrap();
            assert_eq!(tail, data[data.len() - usize::try_from(ranges[0].end).unwrap()..]);
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The property that the fuzz target `objects` checks: bytes changed in a sealed object, appended or cut off are detected
    /// by every way of reading, and arbitrary bytes never make one of them panic.
    #[test]
    fn changed_object_returns_what_was_sealed_or_an_error(
        len in prop::sample::select(vec![0, 1, BLOCK_LEN - 1, BLOCK_LEN, 2 * BLOCK_LEN + 9]),
        offset in any::<prop::sample::Index>(),
        bytes in prop::collection::vec(any::<u8>(), 0..80),
        range in any::<prop::sample::Index>(),
    ) {
        let keys = Keys::new();
        let key = keys.key();
        let data = plain(len);
        let sealed = seal(&key, Suite::Aes256Gcm, &data).unwrap();
        let offset = offset.index(sealed.len() + 1);
        let rest = if bytes.is_empty() { &[] } else { sealed.get(offset + bytes.len()..).unwrap_or_default() };
        let changed = [&sealed[..offset], &bytes, rest].concat();
        if changed == sealed {
            prop_assert_eq!(open(&key, &changed).unwrap(), data);
            return Ok(());
        }
        prop_assert!(open(&key, &changed).is_err());
        let _ = open(&key, &bytes);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let inner = Arc::new(InMemory::new());
            let path = Path::from("a");
            let store = keys.store(&inner);
            inner.put(&path, changed.into()).await.unwrap();
            let start = range.index(data.len().max(1));
            let end = (start + 100).min(data.len());
            if let Ok(found) = store.get_range(&path, start as u64..end as u64).await {
                assert_eq!(found, data[start..end], "what is read from a changed object is what was sealed");
            }
        });
    }
}

/// The vectors are from a second implementation, `tests/foreign/sealed_format.py`.
#[test]
fn sealed_objects_match_the_vectors() {
    let vectors: serde_json::Value = serde_json::from_str(include_str!("vectors.json")).unwrap();
    let hex = |value: &serde_json::Value| -> [u8; 32] {
        let bytes = data_encoding::HEXLOWER.decode(value.as_str().unwrap().as_bytes());
        bytes.unwrap().try_into().unwrap()
    };
    let key = DatasetKey::dangerous_of_vector(hex(&vectors["dataset_key"]));
    assert_eq!(key.id().to_string(), vectors["key_id"].as_str().unwrap());
    let objects = vectors["objects"].as_array().unwrap();
    assert_eq!(objects.len(), 14);
    for vector in objects {
        let suite = Suite::from_number(u8::try_from(vector["suite"].as_u64().unwrap()).unwrap()).unwrap();
        let plain: Vec<u8> = (0..vector["plain_length"].as_u64().unwrap())
            .map(|at| u8::try_from(at % 251).unwrap())
            .collect();
        let sealer = Sealer::with_random(&key, suite, hex(&vector["random"]));
        let sealed = super::object::seal_with(sealer, &plain).unwrap();
        assert_eq!(sealed.len() as u64, vector["sealed_length"].as_u64().unwrap());
        let digest: [u8; 32] = <sha2::Sha256 as sha2::Digest>::digest(&sealed).into();
        assert_eq!(digest, hex(&vector["sealed_sha256"]), "{vector}");
        assert_eq!(open(&key, &sealed).unwrap(), plain);
    }
}
