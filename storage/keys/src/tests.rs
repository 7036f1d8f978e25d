use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use tempfile::TempDir;

use super::{
    AnswersKey, Argon2Cost, FileRegister, KeyError, KeyFile, KeyProvider, MasterKey, Passphrase, PasswordHash,
    PseudonymSecret, Secret, Wrapped, verify_absent,
};
use concordat_protocol::collection::KeyDomain;
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::ids::Digest32;

const CHEAP: Argon2Cost = Argon2Cost::dangerous_minimum();

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(Secret::from(text.to_owned()), CHEAP)
}

fn key_file(dir: &Path, contents: &[u8], mode: u32) -> PathBuf {
    let path = dir.join("key");
    fs::write(&path, contents).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

fn created(provider: &dyn KeyProvider) -> (TempDir, PathBuf, MasterKey) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("identity/master.key");
    let master = MasterKey::create(&path, provider).unwrap();
    (dir, path, master)
}

#[test]
fn same_passphrase_opens_the_same_keys() {
    let (_dir, path, master) = created(&passphrase("correct horse"));
    let sealed = master
        .identity()
        .seal_secret("node key", &Secret::from(vec![7; 32]))
        .unwrap();
    drop(master);
    let again = MasterKey::unlock(&path, &passphrase("correct horse")).unwrap();
    assert_eq!(
        again.identity().open_secret("node key", &sealed).unwrap().expose(),
        [7; 32]
    );
}

#[test]
fn the_master_key_file_is_private_and_not_overwritten() {
    let (_dir, path, _) = created(&passphrase("p"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let error = MasterKey::create(&path, &passphrase("p")).unwrap_err();
    assert!(matches!(error, KeyError::Exists { .. }));
}

#[test]
fn a_wrong_passphrase_is_not_damage() {
    let (_dir, path, _) = created(&passphrase("right"));
    let error = MasterKey::unlock(&path, &passphrase("wrong")).unwrap_err();
    assert!(matches!(error, KeyError::WrongPassphrase { .. }));
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(matches!(
        MasterKey::unlock(&path, &passphrase("")).unwrap_err(),
        KeyError::Empty
    ));
}

#[test]
fn master_key_file_of_another_version_is_refused() {
    let (_dir, path, _) = created(&passphrase("p"));
    let written = fs::read(&path).unwrap();
    let (body, _) = written.split_last_chunk::<32>().unwrap();
    let ciborium::Value::Map(fields) = ciborium::from_reader(body).unwrap() else {
        panic!("`master.key` is a map");
    };
    for version in [1_u8, 3] {
        let mut fields = fields.clone();
        for (name, value) in &mut fields {
            if name.as_text() == Some("version") {
                *value = ciborium::Value::from(version);
            }
        }
        // Version 1 had no root keys.
        fields.retain(|(name, _)| version != 1 || name.as_text() != Some("roots"));
        let mut bytes = Vec::new();
        ciborium::into_writer(&ciborium::Value::Map(fields), &mut bytes).unwrap();
        let check = blake3::derive_key("concordat/1 master key checksum", &bytes);
        bytes.extend_from_slice(&check);
        fs::write(&path, &bytes).unwrap();
        let error = MasterKey::unlock(&path, &passphrase("p")).unwrap_err();
        assert!(
            matches!(error, KeyError::Version { version: found, .. } if found == version),
            "{error}"
        );
    }
}

#[test]
fn every_flipped_bit_is_damage_and_not_a_wrong_passphrase() {
    let (_dir, path, _) = created(&passphrase("right"));
    let good = fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        fs::write(&path, &bad).unwrap();
        let error = MasterKey::unlock(&path, &passphrase("right")).unwrap_err();
        assert!(matches!(error, KeyError::Damaged { .. }), "byte {at}: {error:?}");
        assert_eq!(error.kind(), ErrorKind::Integrity);
    }
    for len in [0, 1, 31, 32, good.len() - 1] {
        fs::write(&path, &good[..len]).unwrap();
        let error = MasterKey::unlock(&path, &passphrase("right")).unwrap_err();
        assert!(matches!(error, KeyError::Damaged { .. }), "length {len}: {error:?}");
    }
}

#[test]
fn exposed_key_file_is_rejected_with_the_command_that_fixes_it() {
    let (dir, path, _) = created(&passphrase("p"));
    for mode in [0o640, 0o604, 0o620] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(
            MasterKey::unlock(&path, &passphrase("p")).unwrap_err(),
            KeyError::Exposed { .. }
        ));
        let exposed = key_file(dir.path(), &[9; 32], mode);
        let source = KeyFile::new(exposed.clone());
        let error = MasterKey::create(&dir.path().join("other"), &source).unwrap_err();
        assert!(
            matches!(&error, KeyError::Exposed { path } if *path == exposed),
            "{error}"
        );
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(!dir.path().join("other").exists());
    }
}

#[test]
fn a_missing_file_is_not_found() {
    let error = MasterKey::unlock(Path::new("/nonexistent/master.key"), &passphrase("p")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn a_key_file_may_be_hex_base64_or_raw_but_not_short() {
    let raw = [0xA5; 32];
    let hex = data_encoding::HEXLOWER.encode(&raw) + "\n";
    let base64 = data_encoding::BASE64.encode(&raw);
    let dir = tempfile::tempdir().unwrap();
    let source = KeyFile::new(key_file(dir.path(), &raw, 0o600));
    let master = dir.path().join("master.key");
    drop(MasterKey::create(&master, &source).unwrap());
    for contents in [hex.as_bytes(), base64.as_bytes(), &raw] {
        key_file(dir.path(), contents, 0o600);
        MasterKey::unlock(&master, &source).unwrap();
    }
    key_file(dir.path(), &[0xC3; 32], 0o600);
    assert!(matches!(
        MasterKey::unlock(&master, &source).unwrap_err(),
        KeyError::WrongKeyFile { .. }
    ));
    for short in [&raw[..31], &hex.as_bytes()[..32], b""] {
        key_file(dir.path(), short, 0o600);
        assert!(matches!(
            MasterKey::unlock(&master, &source).unwrap_err(),
            KeyError::KeyFileTooShort { .. }
        ));
    }
}

#[test]
fn wrong_provider_error_names_the_right_one() {
    let (dir, path, _) = created(&passphrase("p"));
    let source = KeyFile::new(key_file(dir.path(), &[1; 32], 0o600));
    let error = MasterKey::unlock(&path, &source).unwrap_err();
    assert!(error.to_string().ends_with("is opened with a passphrase"), "{error}");
}

/// The calls of a register, and whether the file on the disk had that digest at the time.
#[derive(Debug)]
struct Observed {
    path: PathBuf,
    steps: Mutex<Vec<(&'static str, bool)>>,
}

impl Observed {
    fn note(&self, step: &'static str, digest: Digest32, secret: &str) -> std::io::Result<()> {
        let there = MasterKey::unlock(&self.path, &passphrase(secret)).ok();
        let is_there = there.and_then(|there| there.file()) == Some(digest);
        self.steps.lock().unwrap().push((step, is_there));
        Ok(())
    }
}

impl FileRegister for Observed {
    fn prepare(&self, next: Digest32) -> std::io::Result<()> {
        self.note("prepare", next, "new")
    }

    fn confirm(&self, current: Digest32) -> std::io::Result<()> {
        self.note("confirm", current, "new")
    }
}

#[test]
fn master_key_file_is_registered_before_and_after_it_is_written() {
    let (_dir, path, master) = created(&passphrase("old"));
    let steps = Mutex::default();
    let observed = Arc::new(Observed { path, steps });
    let register: Arc<dyn FileRegister> = observed.clone();
    master.bind(register);
    master.change_provider(&passphrase("new")).unwrap();
    master.begin_rotation().unwrap();
    master.finish_rotation().unwrap();
    let steps = observed.steps.lock().unwrap();
    assert_eq!(*steps, [("prepare", false), ("confirm", true)].repeat(3));
}

#[test]
fn a_new_passphrase_keeps_the_master_key() {
    let (_dir, path, master) = created(&passphrase("old"));
    let (_, wrapped) = master.create_segment("main").unwrap();
    master.change_provider(&passphrase("new")).unwrap();
    assert!(matches!(
        MasterKey::unlock(&path, &passphrase("old")).unwrap_err(),
        KeyError::WrongPassphrase { .. }
    ));
    MasterKey::unlock(&path, &passphrase("new"))
        .unwrap()
        .open_segment("main", &wrapped)
        .unwrap();
}

#[test]
fn wrapped_keys_open_only_in_their_context() {
    let (_dir, _, master) = created(&passphrase("p"));
    let (segment, wrapped_segment) = master.create_segment("main").unwrap();
    let (dataset, wrapped_dataset) = segment.create_dataset("heart").unwrap();
    let (other, _) = master.create_segment("other").unwrap();

    let again = master.open_segment("main", &wrapped_segment).unwrap();
    assert_eq!(
        again.open_dataset("heart", &wrapped_dataset).unwrap().id(),
        dataset.id()
    );

    let refused =
        |error: KeyError| matches!(error, KeyError::Unopenable { .. }) && error.kind() == ErrorKind::Integrity;
    assert!(refused(master.open_segment("other", &wrapped_segment).unwrap_err()));
    assert!(refused(master.open_segment("main", &wrapped_dataset).unwrap_err()));
    assert!(refused(segment.open_dataset("lung", &wrapped_dataset).unwrap_err()));
    assert!(refused(other.open_dataset("heart", &wrapped_dataset).unwrap_err()));
    let (_dir, _, foreign) = created(&passphrase("p"));
    assert!(refused(foreign.open_segment("main", &wrapped_segment).unwrap_err()));
}

#[test]
fn record_of_answers_opens_for_its_log_and_number_only() {
    let key = |byte| PseudonymSecret::dangerous_of_vector([byte; 32]).answers_key();
    let sealed = key(1).seal(&[2; 16], 3, b"set").unwrap();
    assert_eq!(sealed.as_bytes().len(), 3 + AnswersKey::OVERHEAD);
    assert_eq!(*key(1).open(&[2; 16], 3, &sealed).unwrap(), b"set");
    for (secret, log, number) in [(9, 2, 3), (1, 9, 3), (1, 2, 9)] {
        let opened = key(secret).open(&[log; 16], number, &sealed);
        assert!(matches!(opened, Err(KeyError::Unopenable { .. })));
    }
}

#[test]
fn cell_secret_is_that_of_its_collection() {
    let secret = |byte, references: &[u8]| PseudonymSecret::dangerous_of_vector([byte; 32]).cell_secret(references);
    assert_eq!(*secret(1, b""), *secret(1, b""));
    assert_ne!(*secret(1, b""), *secret(2, b""));
    assert_ne!(*secret(1, b""), *secret(1, b"concepts"));
    assert_ne!(*secret(1, b""), [1; 32], "pseudonyms do not follow from it");
}

/// One key seals several values: only the associated data distinguishes them.
#[test]
fn sealed_value_does_not_open_under_another_name() {
    let (_dir, _, master) = created(&passphrase("p"));
    let identity = master.identity();
    let sealed = identity.seal_secret("node key", &Secret::from(vec![1])).unwrap();
    assert!(identity.open_secret("institution key", &sealed).is_err());
    let record = master.ledger().seal("entry 1", b"x").unwrap();
    assert!(master.ledger().open("entry 2", &record).is_err());
    assert_eq!(master.ledger().open("entry 1", &record).unwrap().expose(), b"x");
}

#[test]
fn every_flipped_byte_of_a_wrapped_key_is_detected() {
    let (_dir, _, master) = created(&passphrase("p"));
    let (_, wrapped) = master.create_segment("main").unwrap();
    for at in 0..wrapped.as_bytes().len() {
        let mut bytes = wrapped.as_bytes().to_vec();
        bytes[at] ^= 0x40;
        assert!(
            master.open_segment("main", &Wrapped::from_bytes(bytes)).is_err(),
            "byte {at}"
        );
    }
    for len in 0..wrapped.as_bytes().len() {
        let cut = Wrapped::from_bytes(wrapped.as_bytes()[..len].to_vec());
        assert!(master.open_segment("main", &cut).is_err(), "length {len}");
    }
}

#[test]
fn a_wrapped_key_survives_cbor() {
    let wrapped = Wrapped::from_bytes((0..90).collect());
    let mut bytes = Vec::new();
    ciborium::into_writer(&wrapped, &mut bytes).unwrap();
    assert_eq!(ciborium::from_reader::<Wrapped, _>(bytes.as_slice()).unwrap(), wrapped);
}

#[test]
fn passwords_verify_on_every_keyboard() {
    let secret = |text: &str| Secret::from(text.to_owned());
    let (composed, decomposed) = ("café zürich", "cafe\u{301}\u{a0}zu\u{308}rich");
    for chosen in [composed, decomposed] {
        let hash = PasswordHash::create(&secret(chosen), CHEAP).unwrap();
        for entered in [composed, decomposed] {
            assert!(hash.verify(&secret(entered)).unwrap(), "{chosen} as {entered}");
        }
        assert!(!hash.verify(&secret("cafe zurich")).unwrap());
    }
    verify_absent(&secret(decomposed), CHEAP).unwrap();
}

/// Made of the bytes of a password with a character in two parts, as earlier versions did.
#[test]
fn passwords_of_earlier_versions_verify_as_they_were_typed() {
    let decomposed = "cafe\u{301} zu\u{308}rich";
    let hasher = CHEAP.hasher().unwrap();
    let hash = argon2::password_hash::PasswordHasher::hash_password(&hasher, decomposed.as_bytes()).unwrap();
    let hash: PasswordHash = serde_json::from_value(hash.to_string().into()).unwrap();
    assert!(hash.verify(&Secret::from(decomposed.to_owned())).unwrap());
    assert!(!hash.verify(&Secret::from("café zürich".to_owned())).unwrap());
}

#[test]
fn passwords_verify_and_never_show() {
    let password = Secret::from("sesame open".to_owned());
    let hash = PasswordHash::create(&password, CHEAP).unwrap();
    assert!(hash.verify(&password).unwrap());
    assert!(!hash.verify(&Secret::from("sesame".to_owned())).unwrap());
    verify_absent(&password, CHEAP).unwrap();
    verify_absent(&Secret::from(String::new()), CHEAP).unwrap();
    assert_eq!(format!("{hash:?} {password:?}"), "PasswordHash(..) Secret(..)");
    assert!(matches!(
        PasswordHash::create(&Secret::from(String::new()), CHEAP),
        Err(KeyError::Empty)
    ));
    let broken: PasswordHash = serde_json::from_str("\"nonsense\"").unwrap();
    assert_eq!(broken.verify(&password).unwrap_err().kind(), ErrorKind::Integrity);
}

/// Columns that join have the same pseudonyms, and no others: neither those of another domain, whatever it is called, nor those of
/// another grant.
#[test]
fn pseudonyms_agree_within_a_domain_of_one_grant_only() {
    let secret = PseudonymSecret::dangerous_of_vector([5; 32]);
    let of = |grant: Option<&[u8; 16]>, domain: &KeyDomain| secret.key(grant).of_domain(domain).pseudonym("17");
    let key = |dataset: &str, column: &str| KeyDomain::Key {
        dataset: dataset.parse().unwrap(),
        column: column.parse().unwrap(),
    };
    let column = |name: &str| KeyDomain::Column(name.parse().unwrap());
    let domains = [
        KeyDomain::Subject,
        column("subject"),
        column("visit"),
        column("id"),
        key("visit", "id"),
        key("note", "id"),
    ];
    let mut seen = std::collections::BTreeSet::new();
    for grant in [None, Some(&[0; 16]), Some(&[1; 16])] {
        for domain in &domains {
            assert!(seen.insert(of(grant, domain)), "{domain} under {grant:?}");
            assert_eq!(of(grant, domain), of(grant, domain));
        }
    }
    let as_before = secret.key(None).of_column("visit").pseudonym("17");
    assert_eq!(as_before, of(None, &column("visit")));
}
