//! Key rotation while data is in use.

use std::collections::BTreeSet;

use concordat_keys::{Escrow, KeyError, KeyProvider, MasterKey, PseudonymKey, Recipient, RecoveryKey};
use concordat_protocol::error_kind::Explain;
use concordat_protocol::ids::{KeyId, SegmentName};

use super::*;
use crate::catalog::CatalogError;
use crate::data_dir::StorageError;

fn main_segment() -> SegmentName {
    SegmentName::new(MAIN_SEGMENT).unwrap()
}

impl TestNode {
    fn ids(&self) -> Vec<String> {
        values(&self.read(&self.current()).unwrap(), "id")
    }

    fn folders(&self) -> BTreeSet<String> {
        let folder = |path: &PathBuf| {
            path.parent()
                .unwrap()
                .file_name()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        };
        self.object_files().iter().map(folder).collect()
    }

    fn dataset_key(&self) -> KeyId {
        self.catalog().keys().status().unwrap().datasets[0].current
    }

    fn reencrypt(&self) -> Reencrypted {
        let _within = self.runtime.enter();
        self.catalog()
            .reencryption()
            .run(&people(), None, &mut |_| true)
            .unwrap()
    }

    fn pseudonyms(&self) -> [u8; 32] {
        start_of_pseudonyms(&self.current().pseudonym_key(Some(&[7; 16])))
    }
}

/// Differs for every other key.
fn start_of_pseudonyms(key: &PseudonymKey) -> [u8; 32] {
    *key.column_hasher("id").finalize().as_bytes()
}

fn recover(node: &TestNode, escrow: &Escrow, provider: &dyn KeyProvider) -> Result<Storage, StorageError> {
    Storage::recover(node.dir.path(), escrow, provider, &ObjectLocation::Local, |_| Ok(()))
}

#[test]
fn rotated_master_key_opens_all_and_old_file_nothing_new() {
    let mut node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    let master_key = node.dir.path().join("identity/master.key");
    let before = fs::read(&master_key).unwrap();
    let objects = node.object_files();
    let segment = node.catalog().0.keys.segments.get(MAIN_SEGMENT).unwrap().unwrap();
    node.catalog().keys().rotate_master().unwrap();
    assert!(!node.catalog().0.keys.master.is_rotating());
    assert_ne!(fs::read(&master_key).unwrap(), before);
    assert_eq!(node.object_files(), objects, "no data was touched");
    node.reopen(|objects| objects);
    assert_eq!(node.ids(), ["1", "2", "3"]);

    let stolen = node.dir.path().join("stolen.key");
    fs::write(&stolen, before).unwrap();
    fs::set_permissions(&stolen, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let old = MasterKey::unlock(&stolen, &secret()).unwrap();
    old.open_segment(MAIN_SEGMENT, &segment).unwrap();
    let now = node.catalog().0.keys.segments.get(MAIN_SEGMENT).unwrap().unwrap();
    old.open_segment(MAIN_SEGMENT, &now).unwrap_err();
    node.catalog()
        .0
        .keys
        .master
        .open_segment(MAIN_SEGMENT, &segment)
        .unwrap_err();
}

#[test]
fn interrupted_master_rotation_is_finished_at_next_start() {
    let mut node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    node.catalog().0.keys.master.begin_rotation().unwrap();
    assert_eq!(node.ids(), ["1", "2", "3"], "both keys open segments in the meantime");
    node.reopen(|objects| objects);
    assert!(!node.catalog().0.keys.master.is_rotating());
    assert_eq!(node.ids(), ["1", "2", "3"]);
    node.reopen(|objects| objects);
    assert_eq!(node.ids(), ["1", "2", "3"]);
}

#[test]
fn a_new_segment_key_wraps_its_datasets_and_touches_no_data() {
    let mut node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    let record = node.catalog().datasets().show(&people()).unwrap();
    let objects = node.object_files();
    let before = node.pseudonyms();
    assert_eq!(node.catalog().keys().rotate_segment(&main_segment()).unwrap(), 1);
    assert_eq!(node.object_files(), objects);
    node.catalog().keys().open_keys(&record.clone().into()).err().unwrap();
    node.reopen(|objects| objects);
    assert_eq!(node.ids(), ["1", "2", "3"]);
    assert_eq!(node.pseudonyms(), before, "pseudonyms do not change");
    let error = node
        .catalog()
        .keys()
        .rotate_segment(&SegmentName::new("other").unwrap())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn new_dataset_key_seals_new_data_and_reencryption_the_rest() {
    let mut node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    node.import_text("id,name,age\n4,Dora Sentinel,33\n", ImportMode::Append);
    let first = node.dataset_key();
    let pseudonyms = node.pseudonyms();
    let manifests = node.catalog().datasets().versions(&people()).unwrap();
    let new = node.catalog().keys().rotate_dataset(&people(), true).unwrap();
    assert_ne!(new, first);
    assert_eq!(node.catalog().reencryption().pending().unwrap(), [people()]);
    node.import_text("id,name,age\n5,Emil Sentinel,61\n", ImportMode::Append);
    assert_eq!(node.folders(), BTreeSet::from([first.to_string(), new.to_string()]));
    assert_eq!(node.ids(), ["1", "2", "3", "4", "5"], "both keys open what they sealed");

    let reader = node.current();
    let done = node.reencrypt();
    assert_eq!((done.objects, done.of), (3, 3));
    assert_eq!(
        values(&node.read(&reader).unwrap(), "id"),
        ["1", "2", "3", "4", "5"],
        "a reader is not affected"
    );
    drop(reader);
    node.collect_orphans();
    assert_eq!(node.folders(), BTreeSet::from([new.to_string()]));
    node.reopen(|objects| objects);
    assert_eq!(node.ids(), ["1", "2", "3", "4", "5"]);
    assert_eq!(node.verify().unwrap().versions, 3);
    assert_eq!(
        node.catalog().datasets().versions(&people()).unwrap()[..2],
        manifests,
        "manifests are not touched"
    );
    assert_eq!(node.pseudonyms(), pseudonyms);
    let status = node.catalog().keys().status().unwrap().datasets.remove(0);
    assert_eq!(
        (status.current, status.older, status.reencrypting),
        (new, Vec::new(), false)
    );
    assert_eq!(node.catalog().reencryption().pending().unwrap(), []);
}

#[test]
fn interrupted_reencryption_continues_where_it_stopped() {
    let mut node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    node.import_text("id,name,age\n4,Dora Sentinel,33\n", ImportMode::Append);
    node.catalog().keys().rotate_dataset(&people(), true).unwrap();
    let stopped = {
        let _within = node.runtime.enter();
        let mut left = 1;
        let mut once = |_| {
            left -= 1;
            left >= 0
        };
        node.catalog().reencryption().run(&people(), None, &mut once).unwrap()
    };
    assert_eq!((stopped.objects, stopped.of), (1, 2));
    node.reopen(|objects| objects);
    assert_eq!(node.ids(), ["1", "2", "3", "4"]);
    assert_eq!(node.catalog().reencryption().pending().unwrap(), [people()]);
    node.reencrypt();
    assert_eq!(node.collect_orphans(), 0);
    assert_eq!(node.object_files().len(), 2);
    assert_eq!(node.ids(), ["1", "2", "3", "4"]);
}

#[test]
fn reencryption_continues_when_versions_are_removed_meanwhile() {
    let node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    node.import_text("id,name,age\n4,Dora Sentinel,33\n", ImportMode::Replace);
    node.import_text("id,name,age\n5,Emil Sentinel,61\n", ImportMode::Append);
    let new = node.catalog().keys().rotate_dataset(&people(), true).unwrap();
    let _within = node.runtime.enter();
    let mut calls = 0;
    let mut trimming = |_| {
        calls += 1;
        if calls == 1 {
            assert_eq!(node.retain(1), 2);
        }
        true
    };
    let done = node
        .catalog()
        .reencryption()
        .run(&people(), None, &mut trimming)
        .unwrap();
    assert_eq!(done.of, 2);
    assert_eq!(node.catalog().reencryption().pending().unwrap(), []);
    assert_eq!(node.folders(), BTreeSet::from([new.to_string()]));
    assert_eq!(node.ids(), ["4", "5"]);
    assert_eq!(node.collect_orphans(), 0);
}

#[test]
fn object_only_in_use_by_a_reader_is_not_reencrypted() {
    let node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    let old = node.current();
    node.import_text("id,name,age\n4,Dora Sentinel,33\n", ImportMode::Replace);
    node.catalog().keys().rotate_dataset(&people(), true).unwrap();
    let _within = node.runtime.enter();
    let mut trimming = |_| {
        node.retain(1);
        true
    };
    node.catalog()
        .reencryption()
        .run(&people(), None, &mut trimming)
        .unwrap();
    assert_eq!(values(&node.read(&old).unwrap(), "id"), ["1", "2", "3"]);
    let placements = node.catalog().0.objects.placements.iter().unwrap();
    assert_eq!(placements.count(), 1, "only that of the remaining version");
    drop(old);
    assert_eq!(node.collect_orphans(), 1);
    assert_eq!(node.ids(), ["4"]);
}

#[test]
fn object_that_contradicts_its_manifest_is_not_reencrypted() {
    let node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    let old = node.object_files().remove(0);
    let first = node.dataset_key();
    node.import_text(
        "id,name,age\n1,Zsofia Sentinel,41\n2,Bela Sentinel,52\n3,Carl Sentinel,9\n",
        ImportMode::Replace,
    );
    let new = node.object_files().into_iter().find(|path| *path != old).unwrap();
    fs::copy(&old, &new).unwrap();
    node.catalog().keys().rotate_dataset(&people(), true).unwrap();
    let _within = node.runtime.enter();
    let error = node
        .catalog()
        .reencryption()
        .run(&people(), None, &mut |_| true)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
    assert!(
        node.catalog().keys().status().unwrap().datasets[0]
            .older
            .contains(&first)
    );
    assert_eq!(node.catalog().reencryption().pending().unwrap(), [people()]);
}

#[test]
fn keys_may_be_rotated_but_not_discarded_during_an_import() {
    let node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    let more = "id,name,age\n4,Dora Sentinel,33\n";
    let catalog = node.catalog().clone();
    let rotate = |event: Progress| {
        if event == Progress::Inspecting {
            catalog.keys().rotate_master().unwrap();
            catalog.keys().rotate_segment(&main_segment()).unwrap();
            catalog.keys().rotate_dataset(&people(), false).unwrap();
        }
    };
    node.import_watched(&node.request(more, ImportMode::Append), &mut { rotate })
        .unwrap();
    assert_eq!(node.ids(), ["1", "2", "3", "4"]);

    let mut discard = |event: Progress| {
        if event == Progress::Inspecting {
            catalog.keys().rotate_dataset(&people(), true).unwrap();
            catalog.reencryption().run(&people(), None, &mut |_| true).unwrap();
        }
    };
    let error = node
        .import_watched(&node.request(more, ImportMode::Append), &mut discard)
        .unwrap_err();
    assert!(matches!(error, ImportError::ConcurrentChange { .. }), "{error}");
    assert_eq!(node.ids(), ["1", "2", "3", "4"]);

    let created = ImportRequest {
        name: DatasetName::new("others").unwrap(),
        ..node.request(PEOPLE, ImportMode::Create)
    };
    node.import_watched(&created, &mut { rotate }).unwrap();
    node.catalog().open_version(&created.name, None).unwrap();
}

/// The public halves of two recovery keys, and their files as `age-keygen` writes them.
const FIRST: (&str, &str) = (
    "age1k9p9gf034j747m68s0450u9v0affpyhemjmd6gu07jg2aensl5qs7qk9xs",
    "# public key: age1k9p9gf034j747m68s0450u9v0affpyhemjmd6gu07jg2aensl5qs7qk9xs\n\
     AGE-SECRET-KEY-18ETA7R8FV73URZ43WEW6LPJMZU8CY20UL20CF2CCC2W5EF93S75Q9NRZVM\n",
);
const SECOND: (&str, &str) = (
    "age1dper3hun5lrutwzr02sp2rm86dgjmjmuw4fcuq280tguncetfudsk0f3pu",
    "# public key: age1dper3hun5lrutwzr02sp2rm86dgjmjmuw4fcuq280tguncetfudsk0f3pu\n\
     AGE-SECRET-KEY-1M2GP89ZCHWMHKA4EP4PGDT85SLSMVM6ALKWV7U2P03ETFQ56KLQQEF4GM3\n",
);

#[test]
fn any_recovery_key_recovers_from_a_lost_passphrase() {
    let mut node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    let recipients: Vec<Recipient> = [FIRST.0, SECOND.0].map(|public| public.parse().unwrap()).to_vec();
    assert!("age1invalid".parse::<Recipient>().is_err());
    node.catalog().keys().escrow(&[]).unwrap_err();
    let escrow = node.catalog().keys().escrow(&recipients).unwrap();
    assert!(escrow.starts_with("-----BEGIN AGE ENCRYPTED FILE-----"));

    let key = RecoveryKey::in_file(SECOND.1.as_bytes()).unwrap();
    let opened = Escrow::open(escrow.as_bytes(), &key).unwrap();
    Escrow::open(escrow.as_bytes(), &RecoveryKey::in_file(FIRST.1.as_bytes()).unwrap()).unwrap();
    let other_key = RecoveryKey::random();
    assert_eq!(
        Escrow::open(escrow.as_bytes(), &other_key).unwrap_err().kind(),
        ErrorKind::Locked
    );
    RecoveryKey::in_file(b"nothing").unwrap_err();

    // The master key was rotated after the escrow, the segment key was not.
    node.catalog().keys().rotate_master().unwrap();
    node.storage = None;
    let new = Passphrase::new(Secret::from("new".to_owned()), Argon2Cost::dangerous_minimum());
    let recovered = recover(&node, &opened, &new).unwrap();
    node.storage = Some(recovered);
    assert_eq!(node.ids(), ["1", "2", "3"]);
    node.storage = None;
    assert_eq!(
        Storage::open(node.dir.path(), &secret()).unwrap_err().kind(),
        ErrorKind::Locked
    );
    node.storage = Some(Storage::open(node.dir.path(), &new).unwrap());
    node.catalog().keys().rotate_segment(&main_segment()).unwrap();
    node.catalog().keys().rotate_master().unwrap();
    node.storage.as_ref().unwrap().change_provider(&secret()).unwrap();
    node.storage = None;

    // An escrow from before a rotation of the segment key is refused with that reason, and nothing is changed.
    let error = recover(&node, &opened, &new).unwrap_err();
    assert!(
        matches!(&error, StorageError::Catalog(CatalogError::Key(KeyError::OutdatedEscrow { segment })) if segment == MAIN_SEGMENT),
        "{error}"
    );
    node.reopen(|objects| objects);
    assert_eq!(node.ids(), ["1", "2", "3"]);

    // An escrow of another node opens nothing.
    let other = TestNode::new();
    let foreign = other.catalog().keys().escrow(&recipients).unwrap();
    let foreign = Escrow::open(foreign.as_bytes(), &key).unwrap();
    node.storage = None;
    let error = recover(&node, &foreign, &new).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
    node.reopen(|objects| objects);
    assert_eq!(node.ids(), ["1", "2", "3"]);
}

/// Each of these replaces the master key file; the previous file with its secret still opens the root keys.
#[test]
fn master_key_file_from_before_a_change_is_refused() {
    type Change = fn(&mut TestNode);
    let changes: [(&str, Change); 4] = [
        ("a rotation", |node| node.catalog().keys().rotate_master().unwrap()),
        ("another secret", |node| {
            let other = Passphrase::new(Secret::from("new".to_owned()), Argon2Cost::dangerous_minimum());
            node.storage.as_ref().unwrap().change_provider(&other).unwrap();
        }),
        ("the same secret again", |node| {
            node.storage.as_ref().unwrap().change_provider(&secret()).unwrap();
        }),
        ("a recovery", |node| {
            let key = RecoveryKey::random();
            let escrow = node.catalog().keys().escrow(&[key.recipient()]).unwrap();
            let escrow = Escrow::open(escrow.as_bytes(), &key).unwrap();
            node.storage = None;
            drop(recover(node, &escrow, &secret()).unwrap());
        }),
    ];
    for (what, change) in changes {
        let mut node = TestNode::new();
        node.import_text(PEOPLE, ImportMode::Create);
        let path = node.dir.path().join("identity/master.key");
        let before = fs::read(&path).unwrap();
        change(&mut node);
        node.storage = None;
        let now = fs::read(&path).unwrap();
        fs::write(&path, before).unwrap();
        for _ in 0..2 {
            let refused = Storage::open(node.dir.path(), &secret()).unwrap_err();
            assert!(
                matches!(refused, StorageError::MasterKeyReplaced { .. }),
                "{what}: {refused}"
            );
            assert_eq!(refused.kind(), ErrorKind::Integrity);
        }
        fs::write(&path, now).unwrap();
        if what != "another secret" {
            node.reopen(|objects| objects);
            assert_eq!(node.ids(), ["1", "2", "3"], "{what}");
        }
    }
}

#[test]
fn recovery_that_cannot_be_recorded_changes_nothing() {
    let mut node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    let key = RecoveryKey::random();
    let escrow = node.catalog().keys().escrow(&[key.recipient()]).unwrap();
    let escrow = Escrow::open(escrow.as_bytes(), &key).unwrap();
    node.storage = None;
    let new = Passphrase::new(Secret::from("new".to_owned()), Argon2Cost::dangerous_minimum());
    let refuse = |storage: &Storage| {
        let dir = storage.dir().to_owned();
        Err(StorageError::Missing { dir })
    };
    let refused = Storage::recover(node.dir.path(), &escrow, &new, &ObjectLocation::Local, refuse);
    assert!(matches!(refused, Err(StorageError::Missing { .. })));
    assert_eq!(
        Storage::open(node.dir.path(), &new).unwrap_err().kind(),
        ErrorKind::Locked
    );
    node.reopen(|objects| objects);
    assert_eq!(node.ids(), ["1", "2", "3"]);
}
