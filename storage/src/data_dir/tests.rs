use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use concordat_keys::{Argon2Cost, FileRegister, IdentityError, KeyError, Passphrase, Secret, fs::write_private};
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::{
    identity::{InstitutionKey, PrivateKey},
    ids::InstitutionId,
    membership::KeySuccession,
    signed::Signed,
    time::Timestamp,
};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::master_file::MasterKeyFile;
use super::{Storage, StorageError};

const CHEAP: Argon2Cost = Argon2Cost::dangerous_minimum();

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(Secret::from(text.to_owned()), CHEAP)
}

/// A data directory that was created and closed again.
fn created() -> TempDir {
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
fn a_directory_is_created_once_and_opened_with_its_secret() {
    let dir = created();
    let again = Storage::init(dir.path(), &passphrase("p")).unwrap_err();
    assert!(matches!(again, StorageError::Key(KeyError::Exists { .. })), "{again}");
    let wrong = Storage::open(dir.path(), &passphrase("q")).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Locked, "{wrong}");
    open(dir.path()).unwrap();
    let nowhere = open(&dir.path().join("elsewhere")).unwrap_err();
    assert!(matches!(nowhere, StorageError::Missing { .. }), "{nowhere}");
}

/// Without the file, the format is 1.
#[test]
fn directory_of_format_1_is_refused_with_what_to_do() {
    let dir = created();
    let format = dir.path().join("format");
    let written = fs::read(&format).unwrap();
    for text in [None, Some("0\n"), Some("1\n")] {
        match text {
            None => fs::remove_file(&format).unwrap(),
            Some(text) => fs::write(&format, text).unwrap(),
        }
        let refused = open(dir.path()).unwrap_err();
        assert!(matches!(refused, StorageError::OutdatedFormat { .. }), "{refused}");
        assert!(refused.to_string().contains("the program that wrote it"), "{refused}");
        assert_eq!(format.exists(), text.is_some(), "it is as it was");
        write_private(&format, &written).unwrap();
    }
    open(dir.path()).unwrap();
}

#[test]
fn directory_of_an_unknown_format_is_refused() {
    let dir = created();
    for text in ["4\n", "4294967296\n", "-1\n", "two\n", ""] {
        fs::write(dir.path().join("format"), text).unwrap();
        let refused = open(dir.path()).unwrap_err();
        assert!(
            matches!(&refused, StorageError::Format { found, .. } if found == text.trim()),
            "{refused}"
        );
    }
}

/// The process stops after the state knows the next master key file, and before or after the file is written: the directory opens with
/// the file that is there, and from then on with no other.
#[test]
fn master_key_file_after_a_stop_is_one_of_two() {
    for is_written in [false, true] {
        let dir = created();
        let path = dir.path().join("identity/master.key");
        let storage = open(dir.path()).unwrap();
        let old = (fs::read(&path).unwrap(), storage.0.master.file().unwrap(), "p");
        storage.change_provider(&passphrase("q")).unwrap();
        let new = (fs::read(&path).unwrap(), storage.0.master.file().unwrap(), "q");
        let register = MasterKeyFile::open(storage.meta()).unwrap();
        register.confirm(old.1).unwrap();
        register.prepare(new.1).unwrap();
        drop((storage, register));

        let (there, other) = if is_written { (new, old) } else { (old, new) };
        fs::write(&path, &there.0).unwrap();
        drop(Storage::open(dir.path(), &passphrase(there.2)).unwrap());
        fs::write(&path, &other.0).unwrap();
        let refused = Storage::open(dir.path(), &passphrase(other.2)).unwrap_err();
        assert!(matches!(refused, StorageError::MasterKeyReplaced { .. }), "{refused}");
        assert_eq!(refused.kind(), ErrorKind::Integrity);
        fs::write(&path, &there.0).unwrap();
        drop(Storage::open(dir.path(), &passphrase(there.2)).unwrap());
    }
}

/// A folder with the name of the staged file prevents the file from being written.
#[test]
fn master_key_file_that_cannot_be_written_stays_the_current_one() {
    let dir = created();
    let storage = open(dir.path()).unwrap();
    let staged = dir.path().join("identity/master.key.new");
    fs::create_dir(&staged).unwrap();
    storage.change_provider(&passphrase("q")).unwrap_err();
    drop(storage);
    fs::remove_dir(&staged).unwrap();
    let storage = open(dir.path()).unwrap();
    storage.change_provider(&passphrase("q")).unwrap();
    drop(storage);
    Storage::open(dir.path(), &passphrase("q")).unwrap();
}

/// The cost of a guess is raised at a start, which replaces the file.
#[test]
fn master_key_file_of_a_higher_cost_is_known_at_the_next_start() {
    let dir = created();
    let path = dir.path().join("identity/master.key");
    let before = fs::read(&path).unwrap();
    let higher = Argon2Cost {
        passes: CHEAP.passes + 1,
        ..CHEAP
    };
    let costly = || Passphrase::new(Secret::from("p".to_owned()), higher);
    drop(Storage::open(dir.path(), &costly()).unwrap());
    assert_ne!(fs::read(&path).unwrap(), before);
    drop(Storage::open(dir.path(), &costly()).unwrap());
    fs::write(&path, before).unwrap();
    let refused = open(dir.path()).unwrap_err();
    assert!(matches!(refused, StorageError::MasterKeyReplaced { .. }), "{refused}");
}

#[test]
fn one_process_uses_a_directory() {
    let dir = created();
    let first = open(dir.path()).unwrap();
    let second = open(dir.path()).unwrap_err();
    assert!(matches!(second, StorageError::InUse { .. }), "{second}");
    assert!(second.to_string().starts_with("another process uses `"), "{second}");
    assert_eq!(second.kind(), ErrorKind::InUse);
    assert!(
        second.help().is_some_and(|help| help.contains("stop it first")),
        "{second}"
    );
    drop(first);
    open(dir.path()).unwrap();
}

#[test]
fn exposed_directory_is_rejected_with_the_command_that_fixes_it() {
    for (what, mode) in [
        ("identity/master.key", 0o640),
        ("identity", 0o750),
        ("objects", 0o701),
        ("meta/head", 0o604),
        ("meta/sled", 0o755),
        ("", 0o755),
    ] {
        let dir = created();
        drop(open(dir.path()).unwrap());
        set_mode(&dir.path().join(what), mode);
        let error = open(dir.path()).unwrap_err();
        assert!(
            matches!(&error, StorageError::Exposed { count: 1, .. }),
            "{what}: {error}"
        );
        assert_eq!(error.kind(), ErrorKind::Usage);
        let text = error.to_string();
        let (_, command) = text.rsplit_once("run `").unwrap();
        let mut parts = command.trim_end_matches('`').split(' ');
        let done = std::process::Command::new(parts.next().unwrap())
            .args(parts)
            .status()
            .unwrap();
        assert!(done.success());
        open(dir.path()).unwrap();
    }
}

#[test]
fn an_error_names_five_exposed_paths_and_counts_the_rest() {
    let dir = created();
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
    let dir = created();
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
    let dir = created();
    let folder = dir.path().join("objects/0123");
    fs::create_dir(&folder).unwrap();
    set_mode(&folder, 0o700);
    let unfinished = folder.join("a.parquet#1");
    fs::write(&unfinished, "half").unwrap();
    set_mode(&unfinished, 0o644);
    open(dir.path()).unwrap();
    assert!(!unfinished.exists());
}

/// Only the object store names its unfinished files like this.
#[test]
fn exposed_file_that_is_no_upload_is_rejected() {
    for name in ["log/a#1", "objects/a#1b", "objects/a#"] {
        let dir = created();
        let path = dir.path().join(name);
        fs::write(&path, "").unwrap();
        set_mode(&path, 0o644);
        let error = open(dir.path()).unwrap_err();
        assert!(
            matches!(error, StorageError::Exposed { count: 1, .. }),
            "{name}: {error}"
        );
        assert!(path.exists());
    }
}

#[test]
fn private_keys_are_sealed_under_their_names() {
    let dir = created();
    let storage = open(dir.path()).unwrap();
    let key = InstitutionKey::from_seed(&Zeroizing::new([7; 32]));
    let missing = storage.identities().institution().unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing}");
    storage.identities().put_institution(&key).unwrap();
    let again = storage.identities().put_institution(&key).unwrap_err();
    assert!(matches!(again, IdentityError::Exists { .. }), "{again}");
    assert_eq!(storage.identities().institution_public().unwrap(), key.public());

    let folder = dir.path().join("identity");
    let bytes = fs::read(folder.join("institution.sealed")).unwrap();
    assert!(!bytes.windows(8).any(|window| window == [7; 8]));
    fs::copy(folder.join("institution.sealed"), folder.join("node.sealed")).unwrap();
    assert_eq!(storage.identities().node().unwrap_err().kind(), ErrorKind::Integrity);
    let outside = storage.identities().get("../master").unwrap_err();
    assert!(matches!(outside, IdentityError::Name { .. }), "{outside}");
}

/// The files of the folder `identity`, by name.
fn identity_files(dir: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let entries = fs::read_dir(dir.join("identity")).unwrap();
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name(), fs::read(entry.path()).unwrap())
        })
        .collect()
}

/// The process stops after any of the files was written, in any order that the disk may have kept: the next start completes the
/// replacement, and signatures of either key are recognized.
#[test]
fn institution_key_replacement_completes_after_any_interruption() {
    let dir = created();
    let keys = [1, 2].map(|seed| InstitutionKey::from_seed(&Zeroizing::new([seed; 32])));
    let institution = "zurich".parse().unwrap();
    let storage = open(dir.path()).unwrap();
    storage.identities().put_institution(&keys[0]).unwrap();
    storage.identities().put_next_institution(&keys[1]).unwrap();
    let now = Timestamp::from_millis(1_800_000_000_000);
    let succession = storage.identities().succession(&institution, now).unwrap().unwrap();
    let before = identity_files(dir.path());
    storage.identities().replace_institution(&succession).unwrap();
    let after = identity_files(dir.path());
    drop(storage);

    let steps = [
        "institution-successions.sealed",
        "institution.sealed",
        "institution.pub",
        "institution-next.sealed",
    ];
    for done in 0..=steps.len() {
        for (index, name) in steps.iter().enumerate() {
            let path = dir.path().join("identity").join(name);
            let files = if index < done { &after } else { &before };
            match files.get(&OsString::from(name)) {
                Some(bytes) => write_private(&path, bytes).unwrap(),
                None => drop(fs::remove_file(&path)),
            }
        }
        let storage = open(dir.path()).unwrap();
        let identities = storage.identities();
        assert!(
            identities.institution_keys().unwrap().contains(&keys[0].public()),
            "{done}"
        );
        if let Some(succession) = identities.succession(&institution, now).unwrap() {
            identities.replace_institution(&succession).unwrap();
        }
        assert!(identities.next_institution().unwrap().is_none(), "{done}");
        let known = identities.institution_keys().unwrap();
        assert_eq!(*known, [keys[1].public(), keys[0].public()], "{done}");
        assert_eq!(identities.successions().unwrap().len(), 1, "{done}");
    }
}

/// A key cannot be replaced by the statement of another key, and a key that was not created here is not used.
#[test]
fn institution_key_is_replaced_only_by_its_own_statement() {
    let dir = created();
    let [present, next, other] = [1, 2, 3].map(|seed| InstitutionKey::from_seed(&Zeroizing::new([seed; 32])));
    let institution: InstitutionId = "zurich".parse().unwrap();
    let storage = open(dir.path()).unwrap();
    let identities = storage.identities();
    identities.put_institution(&present).unwrap();
    let signed = |from: &InstitutionKey, to: &InstitutionKey| {
        let succession = KeySuccession {
            institution: institution.clone(),
            from: from.public(),
            to: to.public(),
            at: Timestamp::from_millis(1_800_000_000_000),
        };
        Signed::sign(&succession, from).unwrap().signed().clone()
    };
    assert!(identities.replace_institution(&signed(&present, &next)).is_err());
    identities.put_next_institution(&next).unwrap();
    for wrong in [signed(&other, &next), signed(&present, &other), signed(&next, &present)] {
        assert!(identities.replace_institution(&wrong).is_err());
        assert_eq!(identities.institution_public().unwrap(), present.public());
    }
    identities.replace_institution(&signed(&present, &next)).unwrap();
    assert_eq!(identities.institution_public().unwrap(), next.public());
}
