//! Repositories written by an attacker: nothing in them is trusted, followed or opened except what the institution signed.

use std::{
    os::unix::fs::{OpenOptionsExt, symlink},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use concordat_protocol::error_kind::Explain;
use concordat_protocol::{
    ids::{Digest32, Nonce},
    signed::Signed,
    text::Text,
};

use super::*;
use crate::backup::{contents::FILE_HASH, draft::Draft, repository::SIGNER};

/// Time limit of a test, which would wait forever if it opened a pipe.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Signs the contents of the one snapshot again, after `change`, with `key`.
fn sign_again(node: &TestNode, key: &InstitutionKey, change: impl FnOnce(&mut Snapshot, &mut Vec<FileEntry>)) {
    let repository = Repository::open(&node.repository()).unwrap();
    let id = repository.ids().unwrap().remove(0);
    let dir = node.repository().join(format!("snapshots/{id}"));
    let mut snapshot = repository.snapshot_unverified(id).unwrap().snapshot;
    let mut objects: Vec<FileEntry> = ciborium::from_reader(fs::File::open(dir.join("objects")).unwrap()).unwrap();
    change(&mut snapshot, &mut objects);
    let mut bytes = Vec::new();
    ciborium::into_writer(&objects, &mut bytes).unwrap();
    fs::write(dir.join("objects"), &bytes).unwrap();
    for file in &mut snapshot.files {
        if file.path.as_str() == "objects" {
            (file.len, file.hash) = (bytes.len() as u64, hash(&bytes));
        }
        if file.path.as_str() == SIGNER {
            let text = format!("{}\n", key.public());
            fs::write(dir.join(SIGNER), &text).unwrap();
            (file.len, file.hash) = (text.len() as u64, hash(text.as_bytes()));
        }
    }
    let contents = Signed::sign(&snapshot, key).unwrap();
    fs::write(dir.join("contents.cose"), contents.signed().as_bytes()).unwrap();
}

fn hash(bytes: &[u8]) -> Digest32 {
    Digest32::from_bytes(
        *blake3::Hasher::new_derive_key(FILE_HASH)
            .update(bytes)
            .finalize()
            .as_bytes(),
    )
}

/// The errors of verifying and restoring; the test fails if either blocks.
fn refusals(node: &TestNode) -> [ErrorKind; 2] {
    let repository = node.repository();
    let runtime = node.runtime.handle().clone();
    let (done, waiting) = mpsc::channel();
    thread::spawn(move || {
        let _within = runtime.enter();
        let verified = Repository::open(&repository).and_then(|found| verify(&found, None, &owner()));
        let dir = tempfile::tempdir().unwrap();
        let into = dir.path().join("node");
        concordat_keys::fs::create_dir_private(&into).unwrap();
        let restored = Repository::open(&repository).and_then(|found| {
            let snapshot = found.snapshot(None, &owner())?;
            restore(&found, snapshot, &into, &secret("p"), &ObjectLocation::Local).map(drop)
        });
        done.send([verified.unwrap_err().kind(), restored.unwrap_err().kind()])
    });
    waiting
        .recv_timeout(TEST_TIMEOUT)
        .expect("something in the repository was opened and blocks")
}

#[test]
fn snapshot_lists_what_was_written_whatever_is_there() {
    let node = TestNode::new();
    let repository = Repository::create(&node.repository()).unwrap();
    let mut draft = Draft::begin(&repository, Nonce::from_bytes([7; 16]));
    let _within = node.runtime.enter();
    drop(draft.capture(&node.storage, &node.ledger).unwrap());
    draft.write_objects(&[]).unwrap();
    draft.write_signer(&signer().public()).unwrap();
    let listed = draft.files();
    let dir = node.repository().join(format!("snapshots/{}.new", draft.id()));
    let found = files_below(&dir);
    assert_eq!(found.len(), listed.len());
    for file in &listed {
        let bytes = fs::read(dir.join(file.path.as_str())).unwrap();
        assert_eq!(
            (file.len, file.hash),
            (bytes.len() as u64, hash(&bytes)),
            "{}",
            file.path
        );
    }
    for path in found {
        fs::write(path, "forged").unwrap();
    }
    fs::write(dir.join("dir/concordat.toml"), "forged").unwrap();
    assert_eq!(draft.files(), listed);
}

/// The operator of the repository replaces files of every snapshot that is being taken, while objects are copied.
#[test]
fn repository_changed_during_a_backup_is_not_signed() {
    let node = TestNode::new();
    let snapshots = node.repository().join("snapshots");
    let done = Arc::new(AtomicBool::new(false));
    let forging = {
        let done = Arc::clone(&done);
        thread::spawn(move || {
            while !done.load(Ordering::SeqCst) {
                let drafts = fs::read_dir(&snapshots).into_iter().flatten().flatten();
                for draft in drafts.filter(|draft| draft.path().extension().is_some()) {
                    for part in ["dir/format", "dir/concordat.toml", "dir/ledger/head"] {
                        let path = draft.path().join(part);
                        fs::write(&path, "forged").ok();
                    }
                }
            }
        })
    };
    let mut signed = Vec::new();
    for _ in 0..20 {
        let taken = node.try_back_up(&node.repository());
        signed.extend(taken.ok().map(|taken| taken.contents.document().files.clone()));
    }
    done.store(true, Ordering::SeqCst);
    forging.join().unwrap();
    assert!(!signed.is_empty(), "no snapshot was taken");
    let forged = hash(b"forged");
    assert!(signed.iter().flatten().all(|file| file.hash != forged));
}

#[test]
fn file_of_another_length_in_a_repository_is_not_read() {
    let node = TestNode::new();
    node.back_up();
    let endless = 1 << 42;
    for path in files_below(&node.repository()) {
        let name = path.strip_prefix(node.repository()).unwrap().to_owned();
        if ["format", "contents.cose", SIGNER]
            .map(Path::new)
            .contains(&Path::new(name.file_name().unwrap()))
        {
            continue;
        }
        let file = fs::File::options().write(true).open(&path).unwrap();
        let len = file.metadata().unwrap().len();
        file.set_len(endless).unwrap();
        assert_eq!(
            node.verify().unwrap_err().kind(),
            ErrorKind::Integrity,
            "{}",
            name.display()
        );
        if name.ends_with("objects") {
            node.back_up();
        }
        file.set_len(len).unwrap();
    }
}

#[test]
fn objects_are_not_copied_through_a_link() {
    let node = TestNode::new();
    node.back_up();
    let outside = tempfile::tempdir().unwrap();
    let objects = node.repository().join("objects");
    let folder = fs::read_dir(&objects).unwrap().next().unwrap().unwrap().path();
    fs::remove_dir_all(&folder).unwrap();
    symlink(outside.path(), &folder).unwrap();
    node.try_back_up(&node.repository()).unwrap_err();
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    assert_eq!(Repository::open(&node.repository()).unwrap().ids().unwrap().len(), 1);
}

#[test]
fn snapshot_of_another_institution_is_reported_as_foreign() {
    let node = TestNode::new();
    node.back_up();
    let other = InstitutionKey::from_seed(&Zeroizing::new([2; 32]));
    sign_again(&node, &other, |_, _| {});
    let error = node.verify().unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, BackupError::Foreign { .. }), "{text}");
    for part in ["`budapest`", &other.public().fingerprint(), &owner().fingerprint()] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(refusals(&node), [ErrorKind::Integrity; 2]);
    let repository = Repository::open(&node.repository()).unwrap();
    verify(&repository, None, &other.public().into()).unwrap();

    // Its list of objects is not trusted when the next snapshot is taken.
    node.import("id,age\n3,33\n", ImportMode::Append);
    assert_eq!(node.back_up().copied, 2);
}

/// A copy of a key that was replaced signs the snapshot from before again, with a later time than that of any other.
#[test]
fn snapshot_signed_with_an_older_key_is_never_the_newest() {
    let node = TestNode::new();
    let first = node.back_up().contents.document().id;
    sign_again(&node, &signer(), |snapshot, _| snapshot.at = NOW.plus_seconds(86_400));
    let next = InstitutionKey::from_seed(&Zeroizing::new([2; 32]));
    let identities = node.storage.identities();
    identities.put_next_institution(&next).unwrap();
    let succession = identities.succession(&institution(), NOW).unwrap().unwrap();
    identities.replace_institution(&succession).unwrap();
    let _within = node.runtime.enter();
    let request = BackupRequest {
        to: &TargetRepository::prepare(&node.storage, &node.repository()).unwrap(),
        institution: institution(),
        signer: &next,
        now: NOW.plus_seconds(60),
        by: &Attribution::eva(),
    };
    let second = create(&node.storage, &node.ledger, &request).unwrap();
    assert_eq!(
        second.copied, 1,
        "what a snapshot under the older key lists is not trusted"
    );
    let second = second.contents.document().id;

    let repository = Repository::open(&node.repository()).unwrap();
    let owner = Owner::from(next.public());
    let newest = repository.snapshot(None, &owner).unwrap();
    assert_eq!((newest.contents.document().id, newest.older_key), (second, false));
    let older = repository.snapshot(Some(first), &owner).unwrap();
    assert_eq!((older.contents.document().id, older.older_key), (first, true));
    let listed = |id| repository.snapshot_unverified(id).unwrap().older_key;
    assert_eq!((listed(first), listed(second)), (true, false));
    assert_eq!(verify(&repository, None, &owner).unwrap().snapshots, 2);
}

/// Every path in a snapshot is replaced with the path of another file. The entry has the length and hash of that file, so only
/// its path is invalid.
#[test]
fn no_path_in_a_snapshot_opens_another_file() {
    let node = TestNode::new();
    node.back_up();
    let outside = node.workspace.path().join("outside");
    fs::write(&outside, b"outside").unwrap();
    let pipe = node.workspace.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let id = Repository::open(&node.repository()).unwrap().ids().unwrap().remove(0);
    let hostile = [
        outside.to_str().unwrap(),
        pipe.to_str().unwrap(),
        "../../../outside",
        "dir/../../../../outside",
        "dir/identity/../../../../../outside",
        "../../outside",
        "../../pipe",
        "dir/../../../../pipe",
        "/dev/stdin",
        "dir/elsewhere/file",
        "",
        ".",
        "dir",
        "dir/identity/",
        "dir//identity",
        "http://127.0.0.1:9/x",
    ];
    let contents = node.repository().join(format!("snapshots/{id}/contents.cose"));
    let list = node.repository().join(format!("snapshots/{id}/objects"));
    let whole = fs::read(&contents).unwrap();
    let whole_list = fs::read(&list).unwrap();
    let files = Repository::open(&node.repository())
        .unwrap()
        .snapshot_unverified(id)
        .unwrap()
        .snapshot
        .files
        .len();
    // A signed file in the snapshot is still restored only if it is a known part of a data directory.
    let elsewhere = node.repository().join(format!("snapshots/{id}/dir/elsewhere"));
    concordat_keys::fs::create_dir_private(&elsewhere).unwrap();
    fs::write(elsewhere.join("file"), "outside").unwrap();
    for text in hostile {
        let entry = FileEntry {
            path: Text::sanitized(text),
            len: 7,
            hash: hash(b"outside"),
        };
        for index in 0..=files + 1 {
            sign_again(&node, &signer(), |snapshot, objects| match index {
                index if index < files => snapshot.files[index] = entry.clone(),
                index if index == files => snapshot.files.push(entry.clone()),
                _ => objects.push(entry.clone()),
            });
            assert_eq!(refusals(&node), [ErrorKind::Integrity; 2], "`{text}` at {index}");
            fs::write(&contents, &whole).unwrap();
            fs::write(&list, &whole_list).unwrap();
        }
    }
    node.verify().unwrap();
    let reader = fs::File::options()
        .write(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(&pipe);
    assert_eq!(
        reader.unwrap_err().raw_os_error(),
        Some(nix::libc::ENXIO),
        "the pipe has a reader"
    );
}

#[test]
fn links_pipes_and_devices_in_a_repository_are_rejected() {
    let node = TestNode::new();
    node.back_up();
    let saved = node.workspace.path().join("saved");
    for file in files_below(&node.repository()) {
        fs::rename(&file, &saved).unwrap();
        let expected = if file == node.repository().join("format") {
            ErrorKind::Usage
        } else {
            ErrorKind::Integrity
        };
        symlink(&saved, &file).unwrap();
        assert_eq!(
            refusals(&node),
            [expected; 2],
            "a link to the same bytes: {}",
            file.display()
        );
        fs::remove_file(&file).unwrap();
        symlink("/dev/zero", &file).unwrap();
        assert_eq!(refusals(&node), [expected; 2], "a device: {}", file.display());
        fs::remove_file(&file).unwrap();
        nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(refusals(&node), [expected; 2], "a pipe: {}", file.display());
        fs::remove_file(&file).unwrap();
        fs::rename(&saved, &file).unwrap();
    }
    node.verify().unwrap();

    // Writing through a link is rejected too.
    for part in ["objects", "snapshots", "erasures"] {
        let folder = node.repository().join(part);
        fs::rename(&folder, &saved).unwrap();
        symlink(&saved, &folder).unwrap();
        let error = node.try_back_up(&node.repository()).unwrap_err();
        assert!(matches!(error, BackupError::NoRepository { .. }), "{part}: {error}");
        fs::remove_file(&folder).unwrap();
        fs::rename(&saved, &folder).unwrap();
    }
}

#[test]
fn configuration_of_a_snapshot_is_not_restored() {
    let node = TestNode::new();
    fs::write(
        node.storage.dir().join("concordat.toml"),
        "[keys]\nsource = \"pkcs11\"\n",
    )
    .unwrap();
    let created = node.back_up();
    let listed = |path: &str| {
        created
            .contents
            .document()
            .files
            .iter()
            .any(|file| file.path.as_str() == path)
    };
    assert!(listed("dir/concordat.toml"));
    let (restored, _dir) = node.restore(&secret("p")).unwrap();
    assert!(!restored.storage.dir().join("concordat.toml").exists());
    assert!(restored.storage.dir().join("identity/institution.sealed").exists());
}
