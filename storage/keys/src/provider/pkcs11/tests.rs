//! Tests with SoftHSM, a token in software. It reads its settings from an environment variable when the module is opened, so each
//! test runs once more, alone, in a process that has the variable set.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use cryptoki::{
    context::{Function, Pkcs11},
    error::{Error, RvError},
    object::Attribute,
};

use super::*;
use crate::{MasterKey, Wrapped, token::TokenError};
use concordat_protocol::error_kind::{ErrorKind, Explain};

/// The variable that names the settings of SoftHSM.
const SETTINGS: &str = "SOFTHSM2_CONF";
/// Where Debian and others install the module.
const MODULES: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
];
const PIN: &str = "135790";

/// Runs `test` with a token `vault` whose PIN is [`PIN`]; `name` is the name of the test.
fn with_token(name: &str, test: impl FnOnce(&Path, &Path)) {
    let Some(module) = MODULES.iter().map(Path::new).find(|module| module.is_file()) else {
        eprintln!("SKIPPED: {name}: there is no SoftHSM; install the package `softhsm2`");
        return;
    };
    if let Some(settings) = std::env::var_os(SETTINGS).filter(|_| std::env::args().any(|arg| arg == name)) {
        return test(module, Path::new(&settings).parent().unwrap());
    }
    let dir = tempfile::tempdir().unwrap();
    let settings = dir.path().join("softhsm2.conf");
    fs::create_dir(dir.path().join("tokens")).unwrap();
    let text = format!(
        "directories.tokendir = {}\nlog.level = ERROR\n",
        dir.path().join("tokens").display()
    );
    fs::write(&settings, text).unwrap();
    add_token(&settings, "vault");
    let run = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(SETTINGS, &settings)
        .output()
        .unwrap();
    let output = format!(
        "{}{}",
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr)
    );
    assert!(run.status.success() && output.contains("1 passed"), "{output}");
}

fn add_token(settings: &Path, label: &str) {
    let made = Command::new("softhsm2-util")
        .args([
            "--init-token",
            "--free",
            "--label",
            label,
            "--so-pin",
            "87654321",
            "--pin",
            PIN,
        ])
        .env(SETTINGS, settings)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
}

fn name(test: &str) -> String {
    let path = format!("{}::{test}", module_path!());
    path.split_once("::").unwrap().1.to_owned()
}

fn key(module: &Path, token: &str, key: &str, pin: &str) -> TokenKey {
    let location = TokenLocation {
        module: module.to_owned(),
        token: token.to_owned(),
        key: key.to_owned(),
    };
    TokenKey::new(location, Secret::from(pin.to_owned()))
}

/// A master key at `dir/NAME` that the key `concordat` in the token unlocks.
fn created(module: &Path, dir: &Path, name: &str) -> (PathBuf, Wrapped) {
    let path = dir.join(name);
    let master = MasterKey::create(&path, &key(module, "vault", "concordat", PIN)).unwrap();
    let (_, segment) = master.create_segment("main").unwrap();
    (path, segment)
}

fn refusal(path: &Path, provider: &TokenKey) -> KeyError {
    MasterKey::unlock(path, provider).unwrap_err()
}

#[test]
fn token_key_unlocks_again_and_is_created_once() {
    with_token(&name("token_key_unlocks_again_and_is_created_once"), |module, dir| {
        let (first, segment) = created(module, dir, "first");
        let (second, _) = created(module, dir, "second");
        let provider = key(module, "vault", "concordat", PIN);
        let master = MasterKey::unlock(&first, &provider).unwrap();
        master.open_segment("main", &segment).unwrap();
        assert_eq!(master.unlocked_by(), "key in a PKCS#11 token");
        master.change_provider(&provider).unwrap();
        let again = MasterKey::unlock(&first, &provider).unwrap();
        again.open_segment("main", &segment).unwrap();
        MasterKey::unlock(&second, &provider).unwrap();
    });
}

#[test]
fn token_problems_are_distinct_errors() {
    with_token(&name("token_problems_are_distinct_errors"), |module, dir| {
        let (path, _) = created(module, dir, "master.key");
        type IsExpected = fn(&KeyError) -> bool;
        let wrong_pin: IsExpected =
            |error| matches!(error, KeyError::Token(TokenError::WrongPin { token, .. }) if token == "vault");
        let cases: [(TokenKey, IsExpected, ErrorKind); 7] = [
            (
                key(module, "vault", "concordat", "000000"),
                wrong_pin,
                ErrorKind::Locked,
            ),
            (key(module, "vault", "concordat", "1"), wrong_pin, ErrorKind::Locked),
            (
                key(module, "vault", "concordat", ""),
                |error| matches!(error, KeyError::Empty),
                ErrorKind::Usage,
            ),
            (
                key(module, "cellar", "concordat", PIN),
                |error| {
                    matches!(error, KeyError::Token(TokenError::NoToken { token, others, .. })
                        if token == "cellar" && others.first().is_some_and(|other| other == "vault"))
                },
                ErrorKind::Locked,
            ),
            (
                key(module, "vault", "other", PIN),
                |error| matches!(error, KeyError::Token(TokenError::NoKey { key, .. }) if key == "other"),
                ErrorKind::Locked,
            ),
            (
                key(Path::new("/nonexistent.so"), "vault", "concordat", PIN),
                |error| matches!(error, KeyError::Token(TokenError::NoModule { .. })),
                ErrorKind::Usage,
            ),
            (
                key(Path::new("/bin/sh"), "vault", "concordat", PIN),
                |error| matches!(error, KeyError::Token(TokenError::UnusableModule { .. })),
                ErrorKind::Usage,
            ),
        ];
        for (provider, is_expected, kind) in cases {
            let error = refusal(&path, &provider);
            assert!(is_expected(&error), "{error:?}");
            assert_eq!(error.kind(), kind, "{error}");
        }
        MasterKey::unlock(&path, &key(module, "vault", "concordat", PIN)).unwrap();
    });
}

#[test]
fn key_of_the_same_name_in_another_token_does_not_unlock() {
    with_token(
        &name("key_of_the_same_name_in_another_token_does_not_unlock"),
        |module, dir| {
            let (path, _) = created(module, dir, "master.key");
            add_token(&dir.join("softhsm2.conf"), "spare");
            let spare = key(module, "spare", "concordat", PIN);
            assert!(matches!(
                refusal(&path, &spare),
                KeyError::Token(TokenError::NoKey { .. })
            ));
            MasterKey::create(&dir.join("other"), &spare).unwrap();
            let error = refusal(&path, &spare);
            assert!(matches!(error, KeyError::WrongTokenKey { .. }), "{error}");
            assert_eq!(error.kind(), ErrorKind::Locked);
            add_token(&dir.join("softhsm2.conf"), "vault");
            let error = refusal(&path, &key(module, "vault", "concordat", PIN));
            assert!(
                matches!(error, KeyError::Token(TokenError::SeveralTokens { .. })),
                "{error}"
            );
        },
    );
}

/// The key was created with another program, and is exportable.
#[test]
fn token_key_that_can_be_exported_is_rejected() {
    with_token(&name("token_key_that_can_be_exported_is_rejected"), |module, dir| {
        let secret = [Attribute::Sensitive(false), Attribute::Extractable(true)];
        for (label, wrong) in [
            ("shown", &secret[..1]),
            ("wrapped", &secret[1..]),
            ("both", &secret[..]),
        ] {
            session::tests::create_key(module, label, wrong);
            let error = MasterKey::create(&dir.join(label), &key(module, "vault", label, PIN)).unwrap_err();
            assert!(
                matches!(error, KeyError::Token(TokenError::ExportableKey { .. })),
                "{label}: {error}"
            );
            assert!(!dir.join(label).exists());
        }
        session::tests::create_key(module, "twice", &[]);
        session::tests::create_key(module, "twice", &[]);
        let error = MasterKey::create(&dir.join("twice"), &key(module, "vault", "twice", PIN)).unwrap_err();
        assert!(
            matches!(error, KeyError::Token(TokenError::SeveralKeys { .. })),
            "{error}"
        );
    });
}

/// A key that the provider creates has the required attributes, and its value cannot be read.
#[test]
fn created_token_key_cannot_be_exported() {
    with_token(&name("created_token_key_cannot_be_exported"), |module, dir| {
        created(module, dir, "master.key");
        let attributes = session::tests::attributes(module, "concordat");
        for wanted in [
            Attribute::Sensitive(true),
            Attribute::AlwaysSensitive(true),
            Attribute::Extractable(false),
            Attribute::NeverExtractable(true),
            Attribute::Private(true),
        ] {
            assert!(attributes.contains(&wanted), "{wanted:?}: {attributes:?}");
        }
        assert!(
            !attributes
                .iter()
                .any(|attribute| matches!(attribute, Attribute::Value(_))),
            "its value can be read"
        );
    });
}

/// SoftHSM does not lock PINs, so the errors of other tokens are simulated.
#[test]
fn pin_errors_of_a_token_are_distinguished() {
    let location = TokenLocation {
        module: "/m.so".into(),
        token: "vault".into(),
        key: "k".into(),
    };
    let login_error = |code, last| TokenError::of_login(&location, Error::Pkcs11(code, Function::Login), last);
    let error = login_error(RvError::PinIncorrect, true);
    assert!(matches!(&error, TokenError::WrongPin { last: true, .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Locked);
    let error = login_error(RvError::PinLocked, false);
    assert!(matches!(&error, TokenError::PinLocked { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Locked);
    let error = login_error(RvError::PinExpired, false);
    assert!(matches!(&error, TokenError::PinUnset { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Locked);
    let error = login_error(RvError::DeviceError, false);
    assert!(
        matches!(&error, TokenError::Failed { action: "log in", .. }),
        "{error:?}"
    );
    assert_eq!(error.kind(), ErrorKind::Internal);
}

/// The module is closed after each use, and uses by several threads are serialized.
#[test]
fn token_uses_by_many_threads_are_serialized() {
    with_token(&name("token_uses_by_many_threads_are_serialized"), |module, dir| {
        let (path, _) = created(module, dir, "master.key");
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| MasterKey::unlock(&path, &key(module, "vault", "concordat", PIN)).map(drop)))
                .collect();
            for thread in threads {
                thread.join().unwrap().unwrap();
            }
        });
        let library = Pkcs11::new(module).unwrap();
        let closed = library.get_slots_with_token().unwrap_err();
        assert!(
            matches!(closed, Error::Pkcs11(RvError::CryptokiNotInitialized, _)),
            "{closed}"
        );
    });
}
