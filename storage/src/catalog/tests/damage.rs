//! Any change to stored data is detected, and changed data is never read.

use concordat_protocol::error_kind::Explain;
use concordat_protocol::{
    schema::VersionNumber,
    signed::{SignatureError, Signed},
};

use super::super::datasets::manifest_key;
use super::*;
use crate::objects::tests::other_kinds::{KINDS, ends};

fn expect_integrity_error(error: CatalogError) -> CatalogError {
    assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
    error
}

#[test]
fn a_flipped_bit_in_an_object_is_never_read_as_data() {
    let mut node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    let object = node.object_files().remove(0);
    let whole = fs::read(&object).unwrap();
    for at in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&object, &bytes).unwrap();
        let error = node.read(&node.current()).unwrap_err();
        assert_eq!(store_error_kind(&error), ErrorKind::Integrity, "byte {at}: {error}");
        expect_integrity_error(node.verify().unwrap_err());
    }
    for len in [0, 55, 56, whole.len() - 1] {
        fs::write(&object, &whole[..len]).unwrap();
        node.read(&node.current()).unwrap_err();
        node.verify().unwrap_err();
    }
    fs::write(&object, &whole).unwrap();
    node.reopen(|objects| objects);
    node.verify().unwrap();
}

#[test]
fn object_that_is_not_a_file_is_damage_and_never_waits() {
    for (kind, replace) in KINDS {
        let node = TestNode::new();
        node.import_text(PEOPLE, ImportMode::Create);
        let object = node.object_files().remove(0);
        let saved = node.files.path().join("saved");
        fs::rename(&object, &saved).unwrap();
        replace(&object, &saved);
        let errors = ends(kind, move || {
            let verified = node.verify().unwrap_err().kind();
            let read = node.read(&node.current()).unwrap_err();
            [verified, store_error_kind(&read)]
        });
        assert_eq!(errors, [ErrorKind::Integrity; 2], "{kind}");
    }
}

#[test]
fn an_intact_object_of_another_version_is_refused() {
    let node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    let old = node.object_files().remove(0);
    node.import_text(
        "id,name,age\n1,Zsofia Sentinel,99\n2,Bela Sentinel,52\n3,Carl Sentinel,\n",
        ImportMode::Replace,
    );
    let new = node.object_files().into_iter().find(|path| *path != old).unwrap();
    fs::copy(&old, &new).unwrap();
    let version = node.current();
    let error = node.read(&version).unwrap_err();
    assert_eq!(store_error_kind(&error), ErrorKind::Integrity, "{error}");
    let location = version.objects().remove(0).location;
    let ranges = node.runtime.block_on(
        version
            .object_store()
            .get_ranges(&location, std::slice::from_ref(&(0..4))),
    );
    assert_eq!(store_error_kind(&ranges.unwrap_err()), ErrorKind::Integrity);
    expect_integrity_error(node.verify().unwrap_err());

    fs::remove_file(&new).unwrap();
    expect_integrity_error(node.verify().unwrap_err());
}

#[test]
fn version_gives_only_its_own_objects_and_is_read_only() {
    let node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    let old = node.current();
    node.import_text(PEOPLE, ImportMode::Replace);
    let store = node.current().object_store();
    let location = old.objects().remove(0).location;
    let read = node.runtime.block_on(async { store.get(&location).await });
    assert!(matches!(read, Err(object_store::Error::NotFound { .. })));
    let own = node.current().objects().remove(0).location;
    for outcome in [
        node.runtime.block_on(async { store.delete(&own).await }),
        node.runtime
            .block_on(async { store.put(&own, "x".into()).await.map(drop) }),
        node.runtime.block_on(async { store.copy(&own, &location).await }),
    ] {
        assert!(matches!(outcome, Err(object_store::Error::NotSupported { .. })));
    }
    node.read(&node.current()).unwrap();
}

#[test]
fn a_manifest_must_be_signed_by_the_institution() {
    let node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    let version = node.current();
    let catalog = node.catalog();
    let key_of_manifest = manifest_key(&people(), VersionNumber::FIRST);
    let forged = Signed::sign(version.manifest(), &key(2)).unwrap();
    catalog
        .0
        .datasets
        .manifests
        .put(
            &key_of_manifest,
            &Signed::from_bytes(forged.signed().as_bytes().to_vec()).unwrap(),
        )
        .unwrap();
    let error = catalog.open_version(&people(), None).unwrap_err();
    let wrong = SignatureError::WrongSignature;
    assert!(matches!(expect_integrity_error(error), CatalogError::Signature { source, .. } if source == wrong));

    let genuine = Signed::sign(version.manifest(), &key(1)).unwrap();
    let mut bytes = genuine.signed().as_bytes().to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    catalog
        .0
        .datasets
        .manifests
        .put(&key_of_manifest, &Signed::from_bytes(bytes).unwrap())
        .unwrap();
    expect_integrity_error(catalog.open_version(&people(), None).unwrap_err());
    expect_integrity_error(node.verify().unwrap_err());
}

#[test]
fn a_manifest_of_another_version_is_refused() {
    let node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    let old = manifest_key(&people(), VersionNumber::FIRST);
    let signed = node.catalog().0.datasets.manifests.get(&old).unwrap().unwrap();
    node.import_text(PEOPLE, ImportMode::Replace);
    let new = manifest_key(&people(), VersionNumber::new(2));
    node.catalog().0.datasets.manifests.put(&new, &signed).unwrap();
    let error = node.catalog().open_version(&people(), None).unwrap_err();
    assert!(matches!(
        expect_integrity_error(error),
        CatalogError::OtherManifest { .. }
    ));
    node.catalog().0.datasets.manifests.remove(&new).unwrap();
    expect_integrity_error(node.catalog().open_version(&people(), None).unwrap_err());
}

/// Bytes of a sealed block.
const BLOCK: usize = 64 * 1024 + 16;
const HEADER: usize = 56;

#[test]
fn removed_duplicated_or_swapped_block_is_never_read_as_data() {
    let node = TestNode::new();
    let wide = |from: u64| -> String {
        let rows = (from..from + 20_000)
            .map(|row| format!("{row},{:x},{}\n", row.wrapping_mul(0x9E37_79B9_7F4A_7C15), row % 90));
        std::iter::once("id,name,age\n".to_owned()).chain(rows).collect()
    };
    node.import_text(&wide(0), ImportMode::Create);
    let old = node.object_files().remove(0);
    node.import_text(&wide(1), ImportMode::Replace);
    let new = node.object_files().into_iter().find(|path| *path != old).unwrap();
    let whole = fs::read(&new).unwrap();
    let other = fs::read(&old).unwrap();
    let cut = |bytes: &[u8]| -> Vec<Vec<u8>> { bytes[HEADER..].chunks(BLOCK).map(<[u8]>::to_vec).collect() };
    let blocks = cut(&whole);
    let others = cut(&other);
    assert!(
        blocks.len() > 3 && blocks.len() == others.len(),
        "{} blocks",
        blocks.len()
    );
    let damage = |what: &str, blocks: Vec<Vec<u8>>| {
        fs::write(&new, [&whole[..HEADER], &blocks.concat()].concat()).unwrap();
        let error = node.verify().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity, "{what}: {error}");
        let error = node.read(&node.current()).unwrap_err();
        assert_eq!(store_error_kind(&error), ErrorKind::Integrity, "{what}: {error}");
    };
    for at in 0..blocks.len() {
        let with = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
            let mut changed = blocks.clone();
            change(&mut changed);
            changed
        };
        damage(&format!("block {at} removed"), with(&|blocks| drop(blocks.remove(at))));
        damage(
            &format!("block {at} duplicated"),
            with(&|blocks| blocks.insert(at, blocks[at].clone())),
        );
        damage(
            &format!("block {at} of the other version"),
            with(&|blocks| blocks[at].clone_from(&others[at])),
        );
        if at + 1 < blocks.len() {
            damage(
                &format!("block {at} and its neighbor"),
                with(&|blocks| blocks.swap(at, at + 1)),
            );
        }
    }
    fs::write(&new, &whole).unwrap();
    node.verify().unwrap();
}
