use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::key_encrypting_key::SALT;
use super::*;
use crate::keys::{MasterKey, Secret, Wrapped};

const CHEAP: Argon2Cost = Argon2Cost::dangerous_minimum();
const DEARER: Argon2Cost = Argon2Cost {
    memory_kib: 16,
    passes: 2,
    lanes: 1,
};

fn passphrase(cost: Argon2Cost) -> Passphrase {
    Passphrase::new(Secret::from("correct horse".to_owned()), cost)
}

fn private(path: &Path, contents: &[u8]) {
    fs::write(path, contents).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// What `master.key` says of how it is unlocked: the CBOR between its name and the next.
fn stored(path: &Path) -> Parameters {
    #[derive(Deserialize)]
    struct File {
        kdf: Parameters,
    }
    let bytes = fs::read(path).unwrap();
    let file: File = ciborium::from_reader(bytes.as_slice()).unwrap();
    file.kdf
}

fn cost(path: &Path) -> Argon2Cost {
    match stored(path) {
        Parameters::Argon2id { cost, .. } => cost,
        other @ (Parameters::KeyFile { .. } | Parameters::Pkcs11 { .. }) => panic!("{other:?}"),
    }
}

/// The files were written by the program of before there was this trait.
#[test]
fn files_that_were_written_before_still_unlock() {
    let written: serde_json::Value = serde_json::from_str(include_str!("written_before.json")).unwrap();
    let hex = |who: &str, what: &str| {
        let text = written[who][what].as_str().unwrap();
        data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
    };
    let dir = tempfile::tempdir().unwrap();
    let key_file = dir.path().join("key");
    private(&key_file, &[0xA5; 32]);
    let providers: [(&str, Box<dyn KeyProvider>); 2] = [
        ("passphrase", Box::new(passphrase(CHEAP))),
        ("key_file", Box::new(KeyFile::new(key_file))),
    ];
    for (who, provider) in providers {
        let path = dir.path().join(who);
        private(&path, &hex(who, "master_key"));
        let master = MasterKey::unlock(&path, provider.as_ref()).unwrap();
        let sealed = Wrapped::from_bytes(hex(who, "sealed_secret"));
        let secret = master.identity().open_secret("node", &sealed).unwrap();
        assert_eq!(secret.expose(), b"one small secret");
        let segment = Wrapped::from_bytes(hex(who, "wrapped_segment_key"));
        master.open_segment("main", &segment).unwrap();
        assert_eq!(fs::read(&path).unwrap(), hex(who, "master_key"), "it is as it was");
    }
}

#[test]
fn a_weaker_cost_is_made_up_for_when_the_passphrase_unlocks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master.key");
    let master = MasterKey::create(&path, &passphrase(CHEAP)).unwrap();
    let (_, segment) = master.create_segment("main").unwrap();
    drop(master);
    let before = stored(&path);

    let wrong = Passphrase::new(Secret::from("wrong".to_owned()), DEARER);
    MasterKey::unlock(&path, &wrong).unwrap_err();
    assert_eq!(stored(&path), before, "a wrong passphrase changes nothing");

    let unlocked = MasterKey::unlock(&path, &passphrase(DEARER)).unwrap();
    unlocked.open_segment("main", &segment).unwrap();
    assert_eq!(cost(&path), DEARER);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let strengthened = fs::read(&path).unwrap();
    let again = MasterKey::unlock(&path, &passphrase(DEARER)).unwrap();
    again.open_segment("main", &segment).unwrap();
    assert_eq!(fs::read(&path).unwrap(), strengthened, "once is enough");
}

#[test]
fn a_stronger_cost_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master.key");
    MasterKey::create(&path, &passphrase(DEARER)).unwrap();
    MasterKey::unlock(&path, &passphrase(CHEAP)).unwrap();
    assert_eq!(cost(&path), DEARER);
}

/// The rotation that was under way goes on under the new cost.
#[test]
fn a_weaker_cost_is_made_up_for_in_the_middle_of_a_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master.key");
    let master = MasterKey::create(&path, &passphrase(CHEAP)).unwrap();
    let (_, segment) = master.create_segment("main").unwrap();
    master.begin_rotation().unwrap();
    drop(master);
    MasterKey::unlock(&path, &passphrase(DEARER)).unwrap();
    let again = MasterKey::unlock(&path, &passphrase(DEARER)).unwrap();
    assert!(again.is_rotating());
    again.open_segment("main", &segment).unwrap();
}

/// The new file is staged beside the old one; what is in the way there keeps it from being written.
#[test]
fn a_disk_that_takes_no_file_keeps_nobody_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master.key");
    MasterKey::create(&path, &passphrase(CHEAP)).unwrap();
    fs::create_dir(dir.path().join("master.key.new")).unwrap();
    MasterKey::unlock(&path, &passphrase(DEARER)).unwrap();
    assert_eq!(cost(&path), CHEAP);
}

#[test]
fn a_provider_says_what_is_needed_instead() {
    let file = PathBuf::from("master.key");
    let key_file = KeyFile::new(PathBuf::from("/nonexistent/key"));
    let place = TokenPlace {
        module: "/nonexistent/module.so".into(),
        token: "t".into(),
        key: "k".into(),
    };
    let token = TokenKey::new(place, Secret::from("1234".to_owned()));
    let providers: [&dyn KeyProvider; 3] = [&passphrase(CHEAP), &key_file, &token];
    let salt = [0; SALT];
    let parameters = [
        Parameters::Argon2id { cost: CHEAP, salt },
        Parameters::KeyFile { salt },
        Parameters::Pkcs11 { salt },
    ];
    for (number, provider) in providers.iter().enumerate() {
        for (other, stored) in parameters.iter().enumerate().filter(|(other, _)| *other != number) {
            let error = provider.again(stored, &file).unwrap_err();
            let needs = format!("`master.key` is opened with a {}", parameters[other].label());
            assert_eq!(error.to_string(), needs);
        }
    }
}

/// Debug output ends in logs.
#[test]
fn no_provider_shows_its_secret() {
    let place = TokenPlace {
        module: "/m.so".into(),
        token: "t".into(),
        key: "k".into(),
    };
    let token = TokenKey::new(place, Secret::from("246810".to_owned()));
    let (key, parameters) = passphrase(CHEAP).fresh().unwrap();
    let shown = format!("{:?} {token:?} {key:?} {parameters:?}", passphrase(CHEAP));
    assert!(!shown.contains("horse") && !shown.contains("246810"), "{shown}");
    assert!(shown.contains("KeyEncryptingKey(RawKey(..))"), "{shown}");
}
