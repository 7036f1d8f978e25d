//! Snapshots of a node with data: restoring, damage, erasure, concurrent imports.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use concordat_keys::{Argon2Cost, KeyProvider, Passphrase, Secret};
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::{
    audit::EntryBody,
    identity::{InstitutionKey, PrivateKey},
    ids::{DatasetName, InstitutionId},
    text::{Label, Reason},
    time::Timestamp,
};
use object_store::ObjectStore;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

use super::*;
use crate::{
    catalog::{CatalogError, ErasureOrder, ErasureStatement, ImportMode, ImportRequest},
    data_dir::Storage,
    ingest::{Source, SubjectRule},
    ledger::{Attribution, Ending, Ledger},
    objects::{
        DurableStore, ObjectLocation,
        tests::other_kinds::{KINDS, ends},
    },
    seal::HEADER_LEN,
};

mod answers;
mod hostile;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

struct TestNode {
    storage: Storage,
    ledger: Ledger,
    runtime: Runtime,
    _dir: TempDir,
    workspace: TempDir,
}

fn secret(text: &str) -> Passphrase {
    Passphrase::new(Secret::from(text.to_owned()), Argon2Cost::dangerous_minimum())
}

fn signer() -> InstitutionKey {
    InstitutionKey::from_seed(&Zeroizing::new([1; 32]))
}

fn owner() -> Owner {
    signer().public().into()
}

fn institution() -> InstitutionId {
    InstitutionId::new("budapest").unwrap()
}

fn ledger_of(storage: &Storage) -> Ledger {
    Ledger::open(&storage.ledger_dir(), storage.ledger_key(), institution()).unwrap()
}

fn people() -> DatasetName {
    DatasetName::new("people").unwrap()
}

impl TestNode {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::init(dir.path(), &secret("p")).unwrap();
        storage.identities().put_institution(&signer()).unwrap();
        let node = Self {
            ledger: ledger_of(&storage),
            storage,
            runtime: Runtime::new().unwrap(),
            _dir: dir,
            workspace: tempfile::tempdir().unwrap(),
        };
        node.import("id,age\n1,41\n2,52\n", ImportMode::Create);
        node
    }

    fn import(&self, rows: &str, mode: ImportMode) {
        self.import_by(rows, mode, SubjectRule::EachRow);
    }

    fn import_by(&self, rows: &str, mode: ImportMode, subject: SubjectRule) {
        let path = self.workspace.path().join("people.csv");
        fs::write(&path, rows).unwrap();
        let mut request = ImportRequest {
            mode,
            again: true,
            ..ImportRequest::new(people(), Source::at_path(path))
        };
        request.options.subject = subject;
        let _within = self.runtime.enter();
        let catalog = self.storage.catalog();
        catalog.import(&request, &signer(), NOW, &mut |_| {}).unwrap();
        let entry = EntryBody::NodeStarted {
            version: Label::sanitized("1"),
            start: None,
        };
        drop(self.ledger.append(entry, &Attribution::eva(), NOW).unwrap());
    }

    fn repository(&self) -> PathBuf {
        self.workspace.path().join("backups")
    }

    fn back_up(&self) -> CreatedSnapshot {
        self.try_back_up(&self.repository()).unwrap()
    }

    fn try_back_up(&self, to: &Path) -> Result<CreatedSnapshot, BackupError> {
        self.try_back_up_by(to, &Attribution::eva())
    }

    fn try_back_up_by(&self, to: &Path, by: &Attribution) -> Result<CreatedSnapshot, BackupError> {
        let _within = self.runtime.enter();
        let to = TargetRepository::prepare(&self.storage, to)?;
        let request = BackupRequest {
            to: &to,
            institution: institution(),
            signer: &signer(),
            now: Timestamp::from_millis(NOW.as_millis() + i64::try_from(self.ledger.size()).unwrap()),
            by,
        };
        create(&self.storage, &self.ledger, &request)
    }

    fn verify(&self) -> Result<Checked, BackupError> {
        verify(&Repository::open(&self.repository()).unwrap(), None, &owner())
    }

    /// Restores into a new folder.
    fn restore(&self, provider: &dyn KeyProvider) -> Result<(Restored, TempDir), BackupError> {
        let _within = self.runtime.enter();
        let dir = tempfile::tempdir().unwrap();
        let into = dir.path().join("node");
        concordat_keys::fs::create_dir_private(&into).unwrap();
        let repository = Repository::open(&self.repository())?;
        let snapshot = repository.snapshot(None, &owner())?;
        Ok((
            restore(&repository, snapshot, &into, provider, &ObjectLocation::Local)?,
            dir,
        ))
    }

    fn erase(&self) -> ErasureStatement {
        let order = ErasureOrder {
            institution: institution(),
            by: None,
            reason: Reason::sanitized("the study ended"),
            at: NOW,
        };
        let _within = self.runtime.enter();
        let catalog = self.storage.catalog();
        let statement = catalog.erasures().sign_statement(&people(), order, &signer()).unwrap();
        assert!(catalog.erasures().erase(&statement).unwrap());
        statement
    }

    fn rows(&self, storage: &Storage) -> Result<u64, CatalogError> {
        let _within = self.runtime.enter();
        storage.catalog().maintenance().verify(&people())?;
        Ok(storage.catalog().open_version(&people(), None)?.manifest().rows)
    }
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path)
            } else {
                files.push(path)
            }
        }
    }
    files.sort();
    files
}

#[test]
fn restored_dataset_numbers_its_subjects_on() {
    let node = TestNode::new();
    let keyed = SubjectRule::Column("who".to_owned());
    node.import_by("who,age\na,41\nb,52\n", ImportMode::Replace, keyed);
    node.back_up();
    assert_eq!(
        node.verify().unwrap().objects,
        4,
        "also what is stored about the subjects"
    );
    let (restored, _dir) = node.restore(&secret("p")).unwrap();
    let path = node.workspace.path().join("more.csv");
    fs::write(&path, "who,age\nc,3\nb,4\n").unwrap();
    let request = ImportRequest {
        mode: ImportMode::Append,
        ..ImportRequest::new(people(), Source::at_path(path))
    };
    let _within = node.runtime.enter();
    let catalog = restored.storage.catalog();
    catalog.import(&request, &signer(), NOW, &mut |_| {}).unwrap();
    let version = catalog.open_version(&people(), None).unwrap();
    assert_eq!(version.collection().manifest().subjects().count, 3);
    catalog.maintenance().verify(&people()).unwrap();
}

#[test]
fn restored_data_is_the_data_at_the_time_of_the_snapshot() {
    let node = TestNode::new();
    let first = node.back_up();
    assert_eq!((first.copied, first.contents.document().objects), (1, 1));
    node.import("id,age\n3,33\n", ImportMode::Append);
    let second = node.back_up();
    assert_eq!(
        (second.copied, second.contents.document().objects),
        (1, 2),
        "an object is copied once"
    );
    node.import("id,age\n9,90\n", ImportMode::Replace);
    node.storage.catalog().keys().rotate_master().unwrap();
    let checked = node.verify().unwrap();
    assert_eq!((checked.snapshots, checked.objects, checked.erased), (2, 3, 0));

    let (restored, _dir) = node.restore(&secret("p")).unwrap();
    assert_eq!(node.rows(&restored.storage).unwrap(), 3);
    let ledger = ledger_of(&restored.storage);
    assert_eq!(ledger.size(), second.contents.document().ledger);
    let (twin, _dir) = node.restore(&secret("p")).unwrap();
    assert_eq!(
        node.rows(&twin.storage).unwrap(),
        3,
        "it can be restored more than once"
    );

    let _within = node.runtime.enter();
    let dir = tempfile::tempdir().unwrap();
    let into = dir.path().join("node");
    concordat_keys::fs::create_dir_private(&into).unwrap();
    let repository = Repository::open(&node.repository()).unwrap();
    let id = first.contents.document().id;
    let snapshot = repository.snapshot(Some(id), &owner()).unwrap();
    let oldest = restore(&repository, snapshot, &into, &secret("p"), &ObjectLocation::Local).unwrap();
    assert_eq!(
        oldest
            .storage
            .catalog()
            .open_version(&people(), None)
            .unwrap()
            .manifest()
            .rows,
        2
    );
}

#[test]
fn snapshot_needs_its_secret_and_has_nothing_readable() {
    let node = TestNode::new();
    node.back_up();
    let wrong = node.restore(&secret("q")).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Locked, "{wrong}");
    for file in files_below(&node.repository()) {
        let bytes = fs::read(&file).unwrap();
        let plain = bytes.windows(6).any(|window| window == b"people");
        assert!(!plain, "{} contains the name of a dataset", file.display());
    }
    let inside = node.try_back_up(&node.storage.dir().join("backups")).unwrap_err();
    assert_eq!(inside.kind(), ErrorKind::Usage, "{inside}");
    let other = node.try_back_up(node.workspace.path()).unwrap_err();
    assert!(matches!(other, BackupError::NoRepository { .. }), "{other}");
}

#[test]
fn snapshot_into_the_node_itself_is_refused_through_links() {
    let node = TestNode::new();
    let dir = node.storage.dir();
    let at = |name: &str| node.workspace.path().join(name);
    let link = |target: &Path, name: &str| std::os::unix::fs::symlink(target, at(name)).unwrap();
    link(dir, "link");
    link(&dir.join("new"), "to nothing");
    link(dir.parent().unwrap(), "around");
    for target in ["link", "link/new", "link/new/deep", "link/objects", "around"] {
        let refused = node.try_back_up(&at(target)).unwrap_err();
        assert!(matches!(refused, BackupError::Inside { .. }), "{target}: {refused}");
        assert_eq!(refused.kind(), ErrorKind::Usage);
    }
    for target in ["to nothing", "to nothing/new", "absent/../link/new"] {
        let refused = node.try_back_up(&at(target)).unwrap_err();
        assert!(matches!(refused, BackupError::Path { .. }), "{target}: {refused}");
        assert_eq!(refused.kind(), ErrorKind::Usage);
    }
    assert!(!dir.join("new").exists());
    // A link to another disk is followed; the repository is known by its real path.
    fs::create_dir(at("disk")).unwrap();
    link(&at("disk"), "mounted");
    node.try_back_up(&at("mounted/new")).unwrap();
    let target = TargetRepository::prepare(&node.storage, &at("mounted/new")).unwrap();
    assert_eq!(
        target.repository().root(),
        at("disk/new").canonicalize().unwrap().as_path()
    );
}

#[test]
fn restore_into_its_repository_or_around_it_is_refused() {
    let node = TestNode::new();
    node.back_up();
    let repository = Repository::open(&node.repository()).unwrap();
    let at = |name: &str| node.workspace.path().join(name);
    std::os::unix::fs::symlink(at("backups"), at("link")).unwrap();
    for dir in ["backups", "backups/new", "backups/objects/new", "link/new", "."] {
        let refused = repository.require_apart_from(&at(dir)).unwrap_err();
        assert!(matches!(refused, BackupError::Inside { .. }), "{dir}: {refused}");
    }
    repository.require_apart_from(&at("backups of another")).unwrap();
}

#[test]
fn every_flipped_bit_in_a_repository_is_noticed() {
    let node = TestNode::new();
    node.back_up();
    let format = node.repository().join("format");
    for file in files_below(&node.repository())
        .into_iter()
        .filter(|file| *file != format)
    {
        let whole = fs::read(&file).unwrap();
        for at in [0, whole.len() / 2, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&file, &bytes).unwrap();
            let name = file.display();
            let error = node.verify().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Integrity, "byte {at} of {name}: {error}");
            let error = node.restore(&secret("p")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Integrity, "byte {at} of {name}: {error}");
        }
        fs::remove_file(&file).unwrap();
        node.verify().unwrap_err();
        node.restore(&secret("p")).unwrap_err();
        fs::write(&file, &whole).unwrap();
    }
    node.verify().unwrap();
}

#[test]
fn snapshot_of_an_account_that_may_no_longer_is_not_made() {
    let node = TestNode::new();
    let person = Arc::new(Ending::default());
    let by = person.person();
    node.try_back_up_by(&node.repository(), &by).unwrap();
    person.end();
    let error = node.try_back_up_by(&node.repository(), &by).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    assert_eq!(node.verify().unwrap().snapshots, 1);
}

#[test]
fn interrupted_snapshot_does_not_count() {
    let node = TestNode::new();
    node.back_up();
    let snapshots = node.repository().join("snapshots");
    fs::create_dir(snapshots.join("00112233445566778899aabbccddeeff.new")).unwrap();
    assert_eq!(node.verify().unwrap().snapshots, 1);
    fs::remove_dir_all(&snapshots).unwrap();
    fs::create_dir(&snapshots).unwrap();
    assert_eq!(node.verify().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(node.restore(&secret("p")).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn restore_never_brings_back_an_erased_dataset() {
    let node = TestNode::new();
    node.back_up();
    let objects = node.repository().join("objects");
    let saved: Vec<(PathBuf, Vec<u8>)> = files_below(&objects)
        .into_iter()
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .collect();
    let statement = node.erase();
    let repository = Repository::open(&node.repository()).unwrap();
    repository.note_erasure(&statement).unwrap();
    assert!(
        files_below(&objects).is_empty(),
        "its objects are removed from the repository"
    );
    assert_eq!(node.verify().unwrap().erased, 1);
    let (restored, _dir) = node.restore(&secret("p")).unwrap();
    assert_eq!(restored.erased.len(), 1);
    assert_eq!(node.rows(&restored.storage).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(restored.storage.catalog().erasures().all().unwrap().len(), 1);

    // The objects are copied back from another copy.
    for (path, bytes) in saved {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let (restored, _dir) = node.restore(&secret("p")).unwrap();
    assert_eq!(restored.erased.len(), 1);
    assert_eq!(node.rows(&restored.storage).unwrap_err().kind(), ErrorKind::NotFound);

    let path = files_below(&node.repository().join("erasures")).remove(0);
    fs::write(&path, b"nonsense").unwrap();
    assert_eq!(node.restore(&secret("p")).unwrap_err().kind(), ErrorKind::Integrity);
}

#[test]
fn erasure_covers_snapshots_from_before_a_key_rotation() {
    let node = TestNode::new();
    node.back_up();
    {
        let _within = node.runtime.enter();
        let catalog = node.storage.catalog();
        catalog.keys().rotate_dataset(&people(), true).unwrap();
        catalog.reencryption().run(&people(), None, &mut |_| true).unwrap();
        assert!(catalog.keys().status().unwrap().datasets[0].older.is_empty());
    }
    let statement = node.erase();
    assert_eq!(
        statement.document().keys.len(),
        2,
        "the statement names the discarded key too"
    );
    let repository = Repository::open(&node.repository()).unwrap();
    repository.note_erasure(&statement).unwrap();
    let (restored, _dir) = node.restore(&secret("p")).unwrap();
    assert_eq!(node.rows(&restored.storage).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn damaged_snapshot_does_not_prevent_a_new_one() {
    let node = TestNode::new();
    let first = node.back_up().contents.document().id;
    let contents = node.repository().join(format!("snapshots/{first}/contents.cose"));
    fs::write(contents, b"nonsense").unwrap();
    node.import("id,age\n3,33\n", ImportMode::Append);
    let second = node.back_up();
    assert_eq!(second.copied, 2);
    assert_eq!(
        node.restore(&secret("p")).unwrap_err().kind(),
        ErrorKind::Integrity,
        "it is not silently skipped"
    );
    let _within = node.runtime.enter();
    let repository = Repository::open(&node.repository()).unwrap();
    let checked = verify(&repository, Some(second.contents.document().id), &owner()).unwrap();
    assert_eq!((checked.snapshots, checked.objects), (1, 2));
}

#[test]
fn damaged_object_is_not_backed_up() {
    let node = TestNode::new();
    let object = files_below(&node.storage.dir().join("objects")).remove(0);
    let whole = fs::read(&object).unwrap();
    let mut damaged: Vec<Vec<u8>> = [0, HEADER_LEN / 2, HEADER_LEN, whole.len() - 1]
        .map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            bytes
        })
        .to_vec();
    damaged.push(whole[..whole.len() - 1].to_vec());
    for bytes in damaged {
        fs::write(&object, bytes).unwrap();
        let error = node.try_back_up(&node.repository()).unwrap_err();
        assert!(
            matches!(&error, BackupError::Catalog(CatalogError::Changed { name, .. }) if *name == people()),
            "{error}"
        );
        assert_eq!(error.kind(), ErrorKind::Integrity);
        assert_eq!(files_below(&node.repository().join("objects")), Vec::<PathBuf>::new());
        assert_eq!(
            node.verify().unwrap_err().kind(),
            ErrorKind::NotFound,
            "there is no snapshot"
        );
    }

    // An intact object of the same dataset replaces another one.
    fs::write(&object, &whole).unwrap();
    node.import("id,age\n3,33\n", ImportMode::Append);
    let other = files_below(&node.storage.dir().join("objects"))
        .into_iter()
        .find(|path| *path != object)
        .unwrap();
    let others = fs::read(&other).unwrap();
    fs::copy(&object, &other).unwrap();
    node.try_back_up(&node.repository()).unwrap_err();
    fs::write(&other, others).unwrap();
    assert_eq!(node.back_up().contents.document().objects, 2);
    node.verify().unwrap();
}

#[test]
fn object_that_is_not_a_file_is_not_backed_up() {
    for (kind, replace) in KINDS {
        let node = TestNode::new();
        let object = files_below(&node.storage.dir().join("objects")).remove(0);
        let saved = node.workspace.path().join("saved");
        fs::rename(&object, &saved).unwrap();
        replace(&object, &saved);
        let (error, copied) = ends(kind, move || {
            let error = node.try_back_up(&node.repository()).unwrap_err();
            (error.kind(), files_below(&node.repository().join("objects")))
        });
        assert_eq!(error, ErrorKind::Integrity, "{kind}");
        assert_eq!(copied, Vec::<PathBuf>::new(), "{kind}");
    }
}

#[test]
fn object_reencrypted_while_it_is_held_is_still_backed_up() {
    let node = TestNode::new();
    let _within = node.runtime.enter();
    let catalog = node.storage.catalog();
    let (holding, ()) = catalog.pin_objects(|| ()).unwrap();
    let held = holding.paths().next().unwrap().clone();
    let folder = node.workspace.path().join("copies");
    let copy = folder.join(held.as_ref());
    fs::create_dir_all(copy.parent().unwrap()).unwrap();
    fs::copy(node.storage.dir().join("objects").join(held.as_ref()), &copy).unwrap();
    let copies: Arc<dyn ObjectStore> = Arc::new(DurableStore::open(&folder).unwrap());
    let check = || node.runtime.block_on(holding.check(&held, &copies, &held));
    catalog.keys().rotate_dataset(&people(), true).unwrap();
    check().unwrap();
    catalog.reencryption().run(&people(), None, &mut |_| true).unwrap();
    check().unwrap();
    drop(node.erase());
    check().unwrap();
    fs::write(&copy, [0; HEADER_LEN]).unwrap();
    assert_eq!(
        check().unwrap_err().kind(),
        ErrorKind::Integrity,
        "its header is still known"
    );
}

#[test]
fn snapshot_can_be_taken_during_imports() {
    let node = TestNode::new();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..20 {
                node.import(&format!("id,age\n{number},1\n"), ImportMode::Append);
            }
        });
        while !writer.is_finished() {
            node.back_up();
            let (restored, _dir) = node.restore(&secret("p")).unwrap();
            assert!(node.rows(&restored.storage).unwrap() >= 2);
            drop(ledger_of(&restored.storage));
        }
    });
    node.verify().unwrap();
}
