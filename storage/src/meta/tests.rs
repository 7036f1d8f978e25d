use std::{fs, path::Path};

use concordat_keys::{Argon2Cost, MasterKey, Passphrase, Secret, StateKey};
use tempfile::TempDir;

use super::{Batch, MetaError, SealedDb, SealedTree, TreeId};
use concordat_protocol::error_kind::{ErrorKind, Explain};

const USERS: TreeId = TreeId::new("users");
const GRANTS: TreeId = TreeId::new("grants");

/// Some key of a state database.
pub(super) fn state_key() -> StateKey {
    Fixture::new().key()
}

struct Fixture {
    dir: TempDir,
    master: MasterKey,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let source = Passphrase::new(Secret::from("p".to_owned()), Argon2Cost::dangerous_minimum());
        let master = MasterKey::create(&dir.path().join("master.key"), &source).unwrap();
        Self { dir, master }
    }

    fn key(&self) -> StateKey {
        self.master.state()
    }

    fn open(&self) -> Result<SealedDb, MetaError> {
        SealedDb::open(&self.dir.path().join("meta"), self.key())
    }

    fn tree(&self) -> SealedTree<u64> {
        self.open().unwrap().tree(USERS).unwrap()
    }
}

#[test]
fn values_are_there_after_reopening_in_key_order() {
    let fixture = Fixture::new();
    let tree = fixture.tree();
    for (key, value) in [("zoe", 3), ("adam", 1), ("mia", 2)] {
        tree.put(key, &value).unwrap();
    }
    tree.remove("mia").unwrap();
    drop(tree);
    let tree = fixture.tree();
    assert_eq!(tree.get("adam").unwrap(), Some(1));
    assert_eq!(tree.get("mia").unwrap(), None);
    assert!(tree.contains("zoe").unwrap() && !tree.contains("mia").unwrap());
    let all: Vec<_> = tree.iter().unwrap().collect();
    assert_eq!(all, [("adam".to_owned(), 1), ("zoe".to_owned(), 3)]);
}

#[test]
fn state_keys_and_values_are_not_on_disk_in_clear() {
    let fixture = Fixture::new();
    let tree: SealedTree<String> = fixture.open().unwrap().tree(USERS).unwrap();
    tree.put("SENTINEL-NAME", &"SENTINEL-VALUE".to_owned()).unwrap();
    drop(tree);
    let mut files = 0;
    visit(fixture.dir.path(), &mut |path| {
        files += 1;
        let bytes = fs::read(path).unwrap();
        assert!(
            !bytes.windows(8).any(|window| window == b"SENTINEL"),
            "{}",
            path.display()
        );
    });
    assert!(files > 3);
}

#[test]
fn opening_a_database_twice_is_rejected_as_in_use() {
    let fixture = Fixture::new();
    let first = fixture.open().unwrap();
    let error = fixture.open().unwrap_err();
    assert!(matches!(error, MetaError::InUse { .. }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Locked);
    drop(first);
    fixture.open().unwrap();
}

#[test]
fn a_value_moved_to_another_key_or_tree_does_not_open() {
    let fixture = Fixture::new();
    let db = fixture.open().unwrap();
    let users: SealedTree<u64> = db.tree(USERS).unwrap();
    let grants: SealedTree<u64> = db.tree(GRANTS).unwrap();
    users.put("adam", &1).unwrap();
    let sealed = users.raw().get(users.hashed("adam")).unwrap().unwrap();
    users.raw().insert(users.hashed("eve"), sealed.clone()).unwrap();
    grants.raw().insert(users.hashed("adam"), sealed.clone()).unwrap();
    grants.raw().insert(grants.hashed("adam"), sealed).unwrap();
    let refused = |error: MetaError| matches!(error, MetaError::Value { .. }) && error.kind() == ErrorKind::Integrity;
    assert!(refused(users.get("eve").unwrap_err()));
    assert!(refused(grants.get("adam").unwrap_err()));
    assert!(refused(users.iter().unwrap_err()));
    assert!(refused(grants.iter().unwrap_err()));
    assert_eq!(users.get("adam").unwrap(), Some(1));
}

#[test]
fn every_flipped_byte_of_a_value_is_detected() {
    let fixture = Fixture::new();
    let tree = fixture.tree();
    tree.put("adam", &1).unwrap();
    let sealed = tree.raw().get(tree.hashed("adam")).unwrap().unwrap().to_vec();
    for at in 0..sealed.len() {
        let mut bad = sealed.clone();
        bad[at] ^= 1;
        tree.raw().insert(tree.hashed("adam"), bad).unwrap();
        assert!(matches!(tree.get("adam"), Err(MetaError::Value { .. })), "byte {at}");
    }
}

#[test]
fn another_key_opens_nothing() {
    let fixture = Fixture::new();
    fixture.tree().put("adam", &1).unwrap();
    let other = Fixture::new();
    let error = SealedDb::open(&fixture.dir.path().join("meta"), other.key()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
}

#[test]
fn batch_is_applied_completely_or_not_at_all() {
    let fixture = Fixture::new();
    let db = fixture.open().unwrap();
    let users: SealedTree<u64> = db.tree(USERS).unwrap();
    let grants: SealedTree<String> = db.tree(GRANTS).unwrap();
    let mut batch = Batch::new();
    batch
        .put(&users, "adam", &1)
        .unwrap()
        .put(&grants, "g1", &"active".to_owned())
        .unwrap();
    db.commit(batch).unwrap();

    let mut batch = Batch::new();
    batch
        .put(&users, "adam", &2)
        .unwrap()
        .expect(&grants, "g1", Some(&"revoked".to_owned()))
        .unwrap();
    assert!(matches!(db.commit(batch), Err(MetaError::Conflict { tree: "grants" })));
    assert_eq!(users.get("adam").unwrap(), Some(1));
}

#[test]
fn compare_and_swap_changes_only_what_is_there() {
    let fixture = Fixture::new();
    let tree = fixture.tree();
    assert!(tree.compare_and_swap("n", None, Some(&1)).unwrap());
    assert!(!tree.compare_and_swap("n", None, Some(&2)).unwrap());
    assert!(!tree.compare_and_swap("n", Some(&7), Some(&2)).unwrap());
    assert!(tree.compare_and_swap("n", Some(&1), Some(&2)).unwrap());
    assert!(tree.compare_and_swap("n", Some(&2), None).unwrap());
    assert!(!tree.contains("n").unwrap());
}

#[test]
fn restored_older_database_is_detected() {
    let fixture = Fixture::new();
    let meta = fixture.dir.path().join("meta");
    fixture.tree().put("adam", &1).unwrap();
    copy_dir(&meta.join("sled"), &fixture.dir.path().join("old"));
    fixture.tree().remove("adam").unwrap();
    fs::remove_dir_all(meta.join("sled")).unwrap();
    copy_dir(&fixture.dir.path().join("old"), &meta.join("sled"));
    let error = fixture.open().unwrap_err();
    assert!(
        matches!(error, MetaError::RolledBack { found: 1, expected: 2 }),
        "{error:?}"
    );
}

#[test]
fn a_database_without_its_commit_counter_is_refused() {
    let fixture = Fixture::new();
    fixture.tree().put("adam", &1).unwrap();
    fs::remove_file(fixture.dir.path().join("meta/head")).unwrap();
    assert_eq!(fixture.open().unwrap_err().kind(), ErrorKind::Integrity);
}

/// Damage in any file is an error or does no harm, and never a panic or a silently missing value.
#[test]
fn flipped_byte_in_any_file_never_loses_a_value_silently() {
    let fixture = Fixture::new();
    let tree = fixture.tree();
    (0..20).for_each(|n| tree.put(&format!("user {n}"), &n).unwrap());
    drop(tree);
    let meta = fixture.dir.path().join("meta");
    let good = fixture.dir.path().join("good");
    copy_dir(&meta, &good);
    let mut files = Vec::new();
    visit(&good, &mut |path| {
        files.push(path.strip_prefix(&good).unwrap().to_owned())
    });
    for file in files {
        let contents = fs::read(good.join(&file)).unwrap();
        let used = contents.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        for at in (0..used).step_by((used / 12).max(1)) {
            fs::remove_dir_all(&meta).unwrap();
            copy_dir(&good, &meta);
            let mut bad = contents.clone();
            bad[at] ^= 0x10;
            fs::write(meta.join(&file), bad).unwrap();
            match everything(&fixture) {
                Ok(values) => assert_eq!(values, (0..20).collect::<Vec<_>>(), "{} byte {at}", file.display()),
                Err(error) => {
                    assert!(
                        matches!(error.kind(), ErrorKind::Integrity | ErrorKind::Internal),
                        "{error:?}"
                    );
                }
            }
        }
    }
}

fn everything(fixture: &Fixture) -> Result<Vec<u64>, MetaError> {
    let tree: SealedTree<u64> = fixture.open()?.tree(USERS)?;
    let mut values: Vec<_> = tree.iter()?.map(|(_, value)| value).collect();
    values.sort_unstable();
    Ok(values)
}

fn visit(dir: &Path, each: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { visit(&path, each) } else { each(&path) }
    }
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_dir(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// `CONCORDAT_STATE_UPDATES` sets how many values are overwritten; a busy node takes years to write a million.
#[test]
fn state_size_does_not_grow_with_the_number_of_updates() {
    let fixture = Fixture::new();
    let updates: usize = std::env::var("CONCORDAT_STATE_UPDATES").map_or(20_000, |count| count.parse().unwrap());
    let db = fixture.open().unwrap();
    let tree = db.tree::<String>(TreeId::new("values")).unwrap();
    let value = "x".repeat(400);
    for round in 0..updates / 1000 {
        let mut batch = Batch::new();
        for number in 0..1000 {
            batch
                .put(&tree, &format!("key {number}"), &format!("{round} {value}"))
                .unwrap();
        }
        db.commit(batch).unwrap();
    }
    drop((tree, db));
    let size = |db: &SealedDb| db.size_on_disk().unwrap();
    let db = fixture.open().unwrap();
    println!(
        "after {updates} updates of 1000 values of 0.5 KB: {} KB",
        size(&db) / 1024
    );
    assert_eq!(
        db.tree::<String>(TreeId::new("values")).unwrap().iter().unwrap().len(),
        1000
    );
}

/// What a process that is killed now leaves: the files as they are, under another folder.
fn killed(fixture: &Fixture) -> (TempDir, SealedDb) {
    let copy = tempfile::tempdir().unwrap();
    copy_dir(&fixture.dir.path().join("meta"), &copy.path().join("meta"));
    let db = SealedDb::open(&copy.path().join("meta"), fixture.key()).unwrap();
    (copy, db)
}

#[test]
fn commit_is_in_the_files_when_it_returns_and_with_it_what_was_applied_before() {
    let fixture = Fixture::new();
    let db = fixture.open().unwrap();
    let tree: SealedTree<u64> = db.tree(USERS).unwrap();
    for round in 0..20 {
        let _ = tree.apply(&format!("applied {round}"), &round).unwrap();
        assert_eq!(tree.get(&format!("applied {round}")).unwrap(), Some(round));
        tree.put(&format!("put {round}"), &round).unwrap();
        let (_copy, left) = killed(&fixture);
        let left: SealedTree<u64> = left.tree(USERS).unwrap();
        for found in ["applied", "put"] {
            assert_eq!(left.get(&format!("{found} {round}")).unwrap(), Some(round));
        }
    }
}

#[test]
fn applied_change_is_in_the_files_once_it_is_waited_for() {
    let fixture = Fixture::new();
    let db = fixture.open().unwrap();
    let tree: SealedTree<u64> = db.tree(USERS).unwrap();
    let applied = tree.apply("a", &1).unwrap();
    let later = tree.apply("b", &2).unwrap();
    db.until_durable(later).unwrap();
    let (_copy, left) = killed(&fixture);
    let left: SealedTree<u64> = left.tree(USERS).unwrap();
    assert_eq!((left.get("a").unwrap(), left.get("b").unwrap()), (Some(1), Some(2)));
    db.until_durable(applied).unwrap();
}

#[test]
fn commits_of_many_threads_are_each_in_the_files_when_they_return() {
    let fixture = Fixture::new();
    let db = fixture.open().unwrap();
    let tree: SealedTree<u64> = db.tree(USERS).unwrap();
    let returned = std::sync::Mutex::new(Vec::new());
    let (_copy, left, acknowledged) = std::thread::scope(|scope| {
        for thread in 0..8 {
            let (tree, returned) = (&tree, &returned);
            scope.spawn(move || {
                for n in 0..50 {
                    let key = format!("{thread}/{n}");
                    tree.put(&key, &n).unwrap();
                    returned.lock().unwrap().push((key, n));
                }
            });
        }
        while returned.lock().unwrap().len() < 100 {
            std::thread::yield_now();
        }
        // What had returned is in the files. Nothing is applied while they are copied, and nothing is left to be written.
        let _still = db.database().gate.write().unwrap();
        db.database().sync_applied().unwrap();
        let acknowledged = returned.lock().unwrap().clone();
        let (copy, left) = killed(&fixture);
        (copy, left, acknowledged)
    });
    let left: SealedTree<u64> = left.tree(USERS).unwrap();
    assert!(acknowledged.len() >= 100);
    for (key, n) in acknowledged {
        assert_eq!(left.get(&key).unwrap(), Some(n), "{key}");
    }
}

/// What happens to the files of a closed database, below its seal.
fn change_raw(fixture: &Fixture, change: impl FnOnce(&sled::Tree)) -> Result<SealedDb, MetaError> {
    let database = super::database::open_sled(&fixture.dir.path().join("meta")).unwrap();
    change(&database.open_tree(USERS.as_str()).unwrap());
    database.flush().unwrap();
    drop(database);
    fixture.open()
}

#[test]
fn value_that_was_set_back_removed_or_added_alone_is_detected() {
    let fixture = Fixture::new();
    let tree = fixture.tree();
    let raw = |tree: &SealedTree<u64>, key: &str| tree.raw().get(tree.hashed(key)).unwrap().unwrap();
    let place = |key: &str| tree.hashed(key);
    tree.put("eva", &1).unwrap();
    let earlier = raw(&tree, "eva");
    tree.put("eva", &2).unwrap();
    tree.put("tom", &1).unwrap();
    let removed = raw(&tree, "tom");
    tree.remove("tom").unwrap();
    let (eva, tom, present) = (place("eva"), place("tom"), raw(&tree, "eva"));
    drop(tree);
    let detected = |change: &dyn Fn(&sled::Tree)| {
        let error = change_raw(&fixture, change).unwrap_err();
        assert!(matches!(error, MetaError::OtherValues), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Integrity);
        let undone = change_raw(&fixture, |tree| {
            tree.clear().unwrap();
            tree.insert(eva, &present).unwrap();
        });
        assert_eq!(undone.unwrap().tree::<u64>(USERS).unwrap().get("eva").unwrap(), Some(2));
    };
    detected(&|tree| drop(tree.insert(eva, &earlier).unwrap()));
    detected(&|tree| drop(tree.insert(tom, &removed).unwrap()));
    detected(&|tree| drop(tree.remove(eva).unwrap()));
    detected(&|tree| {
        tree.remove(eva).unwrap();
        tree.insert(tom, &removed).unwrap();
    });
}

#[test]
fn commits_of_many_threads_state_the_values_that_there_are() {
    let fixture = Fixture::new();
    let db = fixture.open().unwrap();
    let trees = [USERS, GRANTS].map(|id| db.tree::<u64>(id).unwrap());
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (db, trees) = (&db, &trees);
            scope.spawn(move || {
                for number in 0..25 {
                    let mut batch = Batch::new();
                    let key = (number % 5).to_string();
                    batch.put(&trees[0], &key, &(thread * 100 + number)).unwrap();
                    match number % 3 {
                        0 => batch.remove(&trees[1], &key),
                        _ => batch.put(&trees[1], &key, &number).unwrap(),
                    };
                    db.commit(batch).unwrap();
                }
            });
        }
    });
    let before: Vec<_> = trees
        .iter()
        .map(|tree| tree.iter().unwrap().collect::<Vec<_>>())
        .collect();
    drop((trees, db));
    let db = fixture.open().unwrap();
    let trees = [USERS, GRANTS].map(|id| db.tree::<u64>(id).unwrap());
    let after: Vec<_> = trees
        .iter()
        .map(|tree| tree.iter().unwrap().collect::<Vec<_>>())
        .collect();
    assert_eq!(before, after);
}

/// With a record that has the number alone, any values would be those of the last commit. It opens under the key of the state, so someone may have kept
/// one from a version of the program that wrote it.
#[test]
fn commit_that_states_no_values_is_not_opened() {
    let fixture = Fixture::new();
    let tree = fixture.tree();
    tree.put("eva", &1).unwrap();
    tree.put("eva", &2).unwrap();
    drop(tree);
    let key = fixture.key();
    let place = super::codec::hashed(&key, super::commits::TREE, super::commits::TREE);
    for count in [0_u64, 1, 2, 3, u64::MAX] {
        let plain = super::codec::encode(super::commits::TREE, super::commits::TREE, &count).unwrap();
        let number = super::codec::seal_value(&key, super::commits::TREE, &place, &plain).unwrap();
        let database = super::database::open_sled(&fixture.dir.path().join("meta")).unwrap();
        let commits = database.open_tree(super::commits::TREE).unwrap();
        commits.insert(place, number).unwrap();
        database.flush().unwrap();
        drop((commits, database));
        let error = fixture.open().unwrap_err();
        assert!(matches!(error, MetaError::ValuesNotStated), "{count}: {error:?}");
        assert_eq!(error.kind(), ErrorKind::Integrity);
    }
}

#[test]
fn backup_with_other_values_is_not_imported() {
    let fixture = Fixture::new();
    let db = fixture.open().unwrap();
    let tree: SealedTree<u64> = db.tree(USERS).unwrap();
    tree.put("eva", &1).unwrap();
    tree.put("tom", &1).unwrap();
    let exported = fixture.dir.path().join("exported");
    db.export(&fs::File::create(&exported).unwrap()).unwrap();
    let target = |name: &str| fixture.dir.path().join(name);
    SealedDb::import(&target("whole"), fixture.key(), fs::File::open(&exported).unwrap()).unwrap();
    // The same without one value.
    let bytes = fs::read(&exported).unwrap();
    let mut chunks = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (chunk, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        chunks.push(chunk);
        rest = after;
    }
    let left_out = chunks
        .chunks(3)
        .position(|value| value[0] == USERS.as_str().as_bytes())
        .unwrap();
    let mut fewer = Vec::new();
    for (at, value) in chunks.chunks(3).enumerate() {
        for chunk in value.iter().filter(|_| at != left_out) {
            fewer.extend(u32::try_from(chunk.len()).unwrap().to_be_bytes());
            fewer.extend_from_slice(chunk);
        }
    }
    let path = target("fewer-exported");
    fs::write(&path, fewer).unwrap();
    let error = SealedDb::import(&target("fewer"), fixture.key(), fs::File::open(&path).unwrap()).unwrap_err();
    assert!(matches!(error, MetaError::OtherValues), "{error:?}");
}

/// A name, and what is put in the place of a file.
type Replacement = (&'static str, fn(&Path));

/// What the operator of the disk puts in the place of a file, each by its name.
fn replacements() -> [Replacement; 3] {
    let pipe = |path: &Path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let endless = |path: &Path| std::os::unix::fs::symlink("/dev/zero", path).unwrap();
    let folder = |path: &Path| fs::create_dir(path).unwrap();
    [("pipe", pipe), ("endless", endless), ("folder", folder)]
}

#[test]
fn state_that_is_not_regular_files_is_refused_at_once() {
    let files = [
        "head",
        "lock",
        "sled/conf",
        "sled/db",
        "sled/snap.7FFFFFFFFFFFFFFF",
        "sled/blobs/1",
    ];
    for (what, replace) in replacements() {
        for file in files {
            let fixture = Fixture::new();
            fixture.tree().put("eva", &1).unwrap();
            let path = fixture.dir.path().join("meta").join(file);
            // Some are not there yet.
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let _absent = fs::remove_file(&path);
            replace(&path);
            let (opened, waiting) = std::sync::mpsc::channel();
            let meta = fixture.dir.path().join("meta");
            let key = fixture.key();
            std::thread::spawn(move || opened.send(SealedDb::open(&meta, key).map(drop)));
            let opened = waiting.recv_timeout(std::time::Duration::from_secs(20));
            let refused = opened.unwrap_or_else(|_| panic!("{file} as {what}: the start waits"));
            assert!(
                matches!(refused, Err(MetaError::Io { .. })),
                "{file} as {what}: {refused:?}"
            );
        }
    }
}

#[test]
fn state_with_an_endless_snapshot_is_refused_unread() {
    let fixture = Fixture::new();
    fixture.tree().put("eva", &1).unwrap();
    let sled = fixture.dir.path().join("meta/sled");
    for (file, bytes) in [("snap.7FFFFFFFFFFFFFFF", (1 << 30) + 1), ("conf", 4097)] {
        let saved = fs::read(sled.join(file)).ok();
        fs::File::create(sled.join(file)).unwrap().set_len(bytes).unwrap();
        let error = fixture.open().unwrap_err();
        assert!(matches!(error, MetaError::Io { .. }), "{file}: {error:?}");
        fs::remove_file(sled.join(file)).unwrap();
        if let Some(saved) = saved {
            fs::write(sled.join(file), saved).unwrap();
        }
    }
    assert_eq!(fixture.tree().get("eva").unwrap(), Some(1));
}
