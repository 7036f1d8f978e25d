use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use concordat_protocol::identity::{InstitutionKey, PrivateKey};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::{Storage, StorageError};
use crate::{
    fault::Fault,
    keys::{Argon2Cost, KeyError, Passphrase, Secret},
};

const CHEAP: Argon2Cost = Argon2Cost::dangerous_minimum();

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(Secret::from(text.to_owned()), CHEAP)
}

/// A data directory that was made and closed again.
fn made() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    drop(Storage::init(dir.path(), &passphrase("p")).unwrap());
    dir
}

fn open(dir: &Path) -> Result<Storage, StorageError> {
    Storage::open(dir, &passphrase("p"))
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_directory_is_made_once_and_opened_with_its_secret() {
    let dir = made();
    let again = Storage::init(dir.path(), &passphrase("p")).unwrap_err();
    assert!(matches!(again, StorageError::Key(KeyError::Exists { .. })), "{again}");
    let wrong = Storage::open(dir.path(), &passphrase("q")).unwrap_err();
    assert_eq!(wrong.fault(), Fault::Locked, "{wrong}");
    open(dir.path()).unwrap();
    let nowhere = open(&dir.path().join("elsewhere")).unwrap_err();
    assert!(matches!(nowhere, StorageError::Missing { .. }), "{nowhere}");
}

#[test]
fn one_process_uses_a_directory() {
    let dir = made();
    let first = open(dir.path()).unwrap();
    let second = open(dir.path()).unwrap_err();
    assert!(matches!(second, StorageError::InUse { .. }), "{second}");
    assert!(second.to_string().starts_with("another process uses `"), "{second}");
    assert_eq!(second.fault(), Fault::Locked);
    drop(first);
    open(dir.path()).unwrap();
}

#[test]
fn what_others_can_use_is_refused_with_the_command_that_mends_it() {
    for (what, mode) in [
        ("identity/master.key", 0o640),
        ("identity", 0o750),
        ("objects", 0o701),
        ("meta/head", 0o604),
        ("meta/sled", 0o755),
        ("", 0o755),
    ] {
        let dir = made();
        drop(open(dir.path()).unwrap());
        set_mode(&dir.path().join(what), mode);
        let error = open(dir.path()).unwrap_err();
        assert!(
            matches!(&error, StorageError::Exposed { count: 1, .. }),
            "{what}: {error}"
        );
        assert_eq!(error.fault(), Fault::Usage);
        let text = error.to_string();
        let (_, command) = text.rsplit_once("run `").unwrap();
        let mut words = command.trim_end_matches('`').split(' ');
        let done = std::process::Command::new(words.next().unwrap())
            .args(words)
            .status()
            .unwrap();
        assert!(done.success());
        open(dir.path()).unwrap();
    }
}

#[test]
fn an_error_names_five_exposed_paths_and_counts_the_rest() {
    let dir = made();
    for number in 0..7 {
        let path = dir.path().join(format!("log/{number}"));
        fs::write(&path, "").unwrap();
        set_mode(&path, 0o644);
    }
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(&error, StorageError::Exposed { paths, count: 7, .. } if paths.len() == 5));
    assert!(
        error.to_string().contains(" and 2 more; run `chmod -R go-rwx "),
        "{error}"
    );
}

#[test]
fn everything_in_an_open_directory_is_private() {
    let dir = made();
    let storage = open(dir.path()).unwrap();
    storage.identities().put("session", &Secret::from(vec![1; 32])).unwrap();
    let mut folders = vec![dir.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let expected = if path.is_dir() { 0o700 } else { 0o600 };
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, expected, "{}", path.display());
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
}

#[test]
fn an_upload_that_was_killed_is_removed_at_the_next_start() {
    let dir = made();
    let folder = dir.path().join("objects/0123");
    fs::create_dir(&folder).unwrap();
    set_mode(&folder, 0o700);
    let unfinished = folder.join("a.parquet#1");
    fs::write(&unfinished, "half").unwrap();
    set_mode(&unfinished, 0o644);
    open(dir.path()).unwrap();
    assert!(!unfinished.exists());
}

#[test]
fn private_keys_are_sealed_under_their_names() {
    let dir = made();
    let storage = open(dir.path()).unwrap();
    let key = InstitutionKey::from_seed(&Zeroizing::new([7; 32]));
    let missing = storage.identities().institution().unwrap_err();
    assert_eq!(missing.fault(), Fault::NotFound, "{missing}");
    storage.identities().put_institution(&key).unwrap();
    let again = storage.identities().put_institution(&key).unwrap_err();
    assert!(matches!(again, StorageError::IdentityExists { .. }), "{again}");
    assert_eq!(storage.identities().institution_public().unwrap(), key.public());

    let folder = dir.path().join("identity");
    let bytes = fs::read(folder.join("institution.sealed")).unwrap();
    assert!(!bytes.windows(8).any(|window| window == [7; 8]));
    fs::copy(folder.join("institution.sealed"), folder.join("node.sealed")).unwrap();
    assert_eq!(storage.identities().node().unwrap_err().fault(), Fault::Integrity);
    let outside = storage.identities().get("../master").unwrap_err();
    assert!(matches!(outside, StorageError::IdentityName { .. }), "{outside}");
}
