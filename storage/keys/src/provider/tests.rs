use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::key_encrypting_key::SALT;
use super::*;
use crate::{KeyError, MasterKey, Secret, TokenLocation, Wrapped};

const CHEAP: Argon2Cost = Argon2Cost::dangerous_minimum();
const HIGHER: Argon2Cost = Argon2Cost {
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

/// The parameters in `master.key`.
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

/// Unlocks and stores the key again if it is protected too weakly.
fn unlock_as_at_a_start(path: &Path, provider: &dyn KeyProvider) -> MasterKey {
    let master = MasterKey::unlock(path, provider).unwrap();
    master.strengthen(provider);
    master
}

/// The files were written by a version of the program before this trait existed.
#[test]
fn files_of_earlier_versions_still_unlock() {
    let written: serde_json::Value = serde_json::from_str(include_str!("written_before.json")).unwrap();
    let hex = |provider: &str, field: &str| {
        let text = written[provider][field].as_str().unwrap();
        data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
    };
    let dir = tempfile::tempdir().unwrap();
    let key_file = dir.path().join("key");
    private(&key_file, &[0xA5; 32]);
    let providers: [(&str, Box<dyn KeyProvider>); 2] = [
        ("passphrase", Box::new(passphrase(CHEAP))),
        ("key_file", Box::new(KeyFile::new(key_file))),
    ];
    for (name, provider) in providers {
        let path = dir.path().join(name);
        private(&path, &hex(name, "master_key"));
        let master = unlock_as_at_a_start(&path, provider.as_ref());
        let sealed = Wrapped::from_bytes(hex(name, "sealed_secret"));
        let secret = master.identity().open_secret("node", &sealed).unwrap();
        assert_eq!(secret.expose(), b"one small secret");
        let segment = Wrapped::from_bytes(hex(name, "wrapped_segment_key"));
        master.open_segment("main", &segment).unwrap();
        assert_eq!(fs::read(&path).unwrap(), hex(name, "master_key"), "it is unchanged");
    }
}

#[test]
fn weaker_cost_is_raised_when_the_passphrase_unlocks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master.key");
    let master = MasterKey::create(&path, &passphrase(CHEAP)).unwrap();
    let (_, segment) = master.create_segment("main").unwrap();
    drop(master);
    let before = stored(&path);

    let wrong = Passphrase::new(Secret::from("wrong".to_owned()), HIGHER);
    MasterKey::unlock(&path, &wrong).unwrap_err();
    assert_eq!(stored(&path), before, "a wrong passphrase changes nothing");

    let unlocked = unlock_as_at_a_start(&path, &passphrase(HIGHER));
    unlocked.open_segment("main", &segment).unwrap();
    assert_eq!(cost(&path), HIGHER);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let strengthened = fs::read(&path).unwrap();
    let again = unlock_as_at_a_start(&path, &passphrase(HIGHER));
    again.open_segment("main", &segment).unwrap();
    assert_eq!(fs::read(&path).unwrap(), strengthened, "it is not written again");
}

/// As earlier versions derived the key: from the passphrase as it was typed.
#[derive(Debug)]
struct AsEntered(&'static str);

impl KeyProvider for AsEntered {
    fn fresh(&self) -> Result<(KeyEncryptingKey, Parameters), KeyError> {
        let salt = [7; SALT];
        let key = passphrase::derive(&Secret::from(self.0.to_owned()), CHEAP, &salt)?;
        Ok((key, Parameters::Argon2id { cost: CHEAP, salt }))
    }

    fn rederive(&self, _: &Parameters, _: &Path) -> Result<KeyEncryptingKey, KeyError> {
        Ok(self.fresh()?.0)
    }

    fn unlock_error(&self, file: &Path) -> KeyError {
        KeyError::WrongPassphrase { path: file.to_owned() }
    }
}

const COMPOSED: &str = "zürich größe café";
const DECOMPOSED: &str = "zu\u{308}rich gro\u{308}ße\u{a0}cafe\u{301}";

fn typed(text: &str) -> Passphrase {
    Passphrase::new(Secret::from(text.to_owned()), CHEAP)
}

#[test]
fn passphrase_unlocks_on_every_keyboard() {
    let dir = tempfile::tempdir().unwrap();
    for (number, chosen) in [COMPOSED, DECOMPOSED].into_iter().enumerate() {
        let path = dir.path().join(number.to_string());
        MasterKey::create(&path, &typed(chosen)).unwrap();
        let before = fs::read(&path).unwrap();
        for entered in [COMPOSED, DECOMPOSED] {
            unlock_as_at_a_start(&path, &typed(entered));
        }
        assert_eq!(fs::read(&path).unwrap(), before, "it is unchanged");
        for other in ["zurich große cafe", "zu\u{308}rich"] {
            let error = MasterKey::unlock(&path, &typed(other)).unwrap_err();
            assert!(matches!(error, KeyError::WrongPassphrase { .. }), "{error}");
        }
    }
}

#[test]
fn passphrase_of_earlier_versions_unlocks_and_gets_its_one_form() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master.key");
    let master = MasterKey::create(&path, &AsEntered(DECOMPOSED)).unwrap();
    let (_, segment) = master.create_segment("main").unwrap();
    let error = MasterKey::unlock(&path, &typed(COMPOSED)).unwrap_err();
    assert!(matches!(error, KeyError::WrongPassphrase { .. }), "{error}");
    unlock_as_at_a_start(&path, &typed(DECOMPOSED));
    for entered in [COMPOSED, DECOMPOSED] {
        let unlocked = MasterKey::unlock(&path, &typed(entered)).unwrap();
        unlocked.open_segment("main", &segment).unwrap();
    }
}

#[test]
fn weak_passphrases_are_not_chosen() {
    let choose = |text: &str| Passphrase::chosen(Secret::from(text.to_owned()), CHEAP);
    // Eight characters, each in two parts.
    for weak in [
        "abc",
        "aaaaaaaaaaaaaaaa",
        "passwordpassword",
        &"e\u{301}o\u{308}".repeat(4),
    ] {
        assert!(matches!(choose(weak), Err(KeyError::WeakPassphrase { .. })), "{weak}");
    }
    choose(COMPOSED).unwrap();
    choose(DECOMPOSED).unwrap();
    assert!(matches!(
        Passphrase::chosen(Secret::from(vec![0xff; 20]), CHEAP),
        Err(KeyError::WeakPassphrase { .. })
    ));
}

#[test]
fn stronger_cost_is_not_lowered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master.key");
    MasterKey::create(&path, &passphrase(HIGHER)).unwrap();
    unlock_as_at_a_start(&path, &passphrase(CHEAP));
    assert_eq!(cost(&path), HIGHER);
}

/// A rotation in progress continues under the new cost.
#[test]
fn weaker_cost_is_raised_during_a_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master.key");
    let master = MasterKey::create(&path, &passphrase(CHEAP)).unwrap();
    let (_, segment) = master.create_segment("main").unwrap();
    master.begin_rotation().unwrap();
    drop(master);
    unlock_as_at_a_start(&path, &passphrase(HIGHER));
    let again = unlock_as_at_a_start(&path, &passphrase(HIGHER));
    assert!(again.is_rotating());
    again.open_segment("main", &segment).unwrap();
}

/// The new file is staged next to the old one; a folder with its name prevents it from being written.
#[test]
fn weaker_cost_still_unlocks_if_the_file_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master.key");
    MasterKey::create(&path, &passphrase(CHEAP)).unwrap();
    fs::create_dir(dir.path().join("master.key.new")).unwrap();
    unlock_as_at_a_start(&path, &passphrase(HIGHER));
    assert_eq!(cost(&path), CHEAP);
}

#[test]
fn wrong_provider_error_names_the_needed_one() {
    let file = PathBuf::from("master.key");
    let key_file = KeyFile::new(PathBuf::from("/nonexistent/key"));
    let location = TokenLocation {
        module: "/nonexistent/module.so".into(),
        token: "t".into(),
        key: "k".into(),
    };
    let token = TokenKey::new(location, Secret::from("1234".to_owned()));
    let providers: [&dyn KeyProvider; 3] = [&passphrase(CHEAP), &key_file, &token];
    let salt = [0; SALT];
    let parameters = [
        Parameters::Argon2id { cost: CHEAP, salt },
        Parameters::KeyFile { salt },
        Parameters::Pkcs11 { salt },
    ];
    for (number, provider) in providers.iter().enumerate() {
        for (other, stored) in parameters.iter().enumerate().filter(|(other, _)| *other != number) {
            let error = provider.rederive(stored, &file).unwrap_err();
            let needs = format!("`master.key` is opened with a {}", parameters[other].label());
            assert_eq!(error.to_string(), needs);
        }
    }
}

/// Debug output ends up in logs.
#[test]
fn debug_output_of_providers_has_no_secrets() {
    let location = TokenLocation {
        module: "/m.so".into(),
        token: "t".into(),
        key: "k".into(),
    };
    let token = TokenKey::new(location, Secret::from("246810".to_owned()));
    let (key, parameters) = passphrase(CHEAP).fresh().unwrap();
    let shown = format!("{:?} {token:?} {key:?} {parameters:?}", passphrase(CHEAP));
    assert!(!shown.contains("horse") && !shown.contains("246810"), "{shown}");
    assert!(shown.contains("KeyEncryptingKey(RawKey(..))"), "{shown}");
}
