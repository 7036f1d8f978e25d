//! Against SoftHSM, a token in software. It takes its settings from an environment variable that is read when the module is opened,
//! so each test runs once more, as the only one, in a process that has it.

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
use crate::{
    error_kind::ErrorKind,
    keys::{MasterKey, Wrapped},
};

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

/// Runs `story` with a token `vault` whose PIN is [`PIN`]; `name` is that of the test.
fn with_token(name: &str, story: impl FnOnce(&Path, &Path)) {
    let Some(module) = MODULES.iter().map(Path::new).find(|module| module.is_file()) else {
        eprintln!("SKIPPED: {name}: there is no SoftHSM; install the package `softhsm2`");
        return;
    };
    if let Some(settings) = std::env::var_os(SETTINGS).filter(|_| std::env::args().any(|arg| arg == name)) {
        return story(module, Path::new(&settings).parent().unwrap());
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
    let told = format!(
        "{}{}",
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr)
    );
    assert!(run.status.success() && told.contains("1 passed"), "{told}");
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
    let place = TokenPlace {
        module: module.to_owned(),
        token: token.to_owned(),
        key: key.to_owned(),
    };
    TokenKey::new(place, Secret::from(pin.to_owned()))
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
fn a_key_in_a_token_unlocks_again_and_is_made_once() {
    with_token(
        &name("a_key_in_a_token_unlocks_again_and_is_made_once"),
        |module, dir| {
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
        },
    );
}

#[test]
fn each_thing_that_is_wrong_with_a_token_is_an_error_of_its_own() {
    with_token(
        &name("each_thing_that_is_wrong_with_a_token_is_an_error_of_its_own"),
        |module, dir| {
            let (path, _) = created(module, dir, "master.key");
            let cases = [
                (
                    key(module, "vault", "concordat", "000000"),
                    "wrong PIN for the token `vault`",
                    ErrorKind::Locked,
                ),
                (key(module, "vault", "concordat", "1"), "wrong PIN", ErrorKind::Locked),
                (key(module, "vault", "concordat", ""), "is empty", ErrorKind::Usage),
                (
                    key(module, "cellar", "concordat", PIN),
                    "no token `cellar`",
                    ErrorKind::Locked,
                ),
                (
                    key(module, "vault", "other", PIN),
                    "holds no secret key `other`",
                    ErrorKind::Locked,
                ),
                (
                    key(Path::new("/nonexistent.so"), "vault", "concordat", PIN),
                    "no PKCS#11 module",
                    ErrorKind::Usage,
                ),
                (
                    key(Path::new("/bin/sh"), "vault", "concordat", PIN),
                    "does not work as a PKCS#11 module",
                    ErrorKind::Usage,
                ),
            ];
            for (provider, words, fault) in cases {
                let error = refusal(&path, &provider);
                assert!(error.to_string().contains(words), "{words}: {error}");
                assert_eq!(error.kind(), fault, "{error}");
            }
            let absent = refusal(&path, &key(module, "cellar", "concordat", PIN)).to_string();
            assert!(absent.contains("which has `vault`"), "{absent}");
            MasterKey::unlock(&path, &key(module, "vault", "concordat", PIN)).unwrap();
        },
    );
}

#[test]
fn the_same_name_in_another_token_does_not_unlock() {
    with_token(
        &name("the_same_name_in_another_token_does_not_unlock"),
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

/// Somebody made the key with another program, and so that the token gives it away.
#[test]
fn a_key_that_can_leave_its_token_is_refused() {
    with_token(&name("a_key_that_can_leave_its_token_is_refused"), |module, dir| {
        let secret = [Attribute::Sensitive(false), Attribute::Extractable(true)];
        for (label, wrong) in [
            ("shown", &secret[..1]),
            ("wrapped", &secret[1..]),
            ("both", &secret[..]),
        ] {
            session::tests::put_key(module, label, wrong);
            let error = MasterKey::create(&dir.join(label), &key(module, "vault", label, PIN)).unwrap_err();
            assert!(
                matches!(error, KeyError::Token(TokenError::KeyCanLeave { .. })),
                "{label}: {error}"
            );
            assert!(!dir.join(label).exists());
        }
        session::tests::put_key(module, "twice", &[]);
        session::tests::put_key(module, "twice", &[]);
        let error = MasterKey::create(&dir.join("twice"), &key(module, "vault", "twice", PIN)).unwrap_err();
        assert!(
            matches!(error, KeyError::Token(TokenError::SeveralKeys { .. })),
            "{error}"
        );
    });
}

/// A key that the provider made is as the standard demands, and its value cannot be read.
#[test]
fn a_key_that_was_made_never_leaves_the_token() {
    with_token(&name("a_key_that_was_made_never_leaves_the_token"), |module, dir| {
        created(module, dir, "master.key");
        let told = session::tests::attributes(module, "concordat");
        for wanted in [
            Attribute::Sensitive(true),
            Attribute::AlwaysSensitive(true),
            Attribute::Extractable(false),
            Attribute::NeverExtractable(true),
            Attribute::Private(true),
        ] {
            assert!(told.contains(&wanted), "{wanted:?}: {told:?}");
        }
        assert!(
            !told.iter().any(|attribute| matches!(attribute, Attribute::Value(_))),
            "its value shows"
        );
    });
}

/// SoftHSM locks no PIN, so what other tokens say is told by hand.
#[test]
fn what_a_token_says_of_its_pin_is_told_apart() {
    let place = TokenPlace {
        module: "/m.so".into(),
        token: "vault".into(),
        key: "k".into(),
    };
    let told = |code, last| {
        let error = TokenError::of_login(&place, Error::Pkcs11(code, Function::Login), last);
        (error.to_string(), error.kind())
    };
    let (words, fault) = told(RvError::PinIncorrect, true);
    assert!(
        words.contains("one more wrong PIN locks it") && fault == ErrorKind::Locked,
        "{words}"
    );
    let (words, fault) = told(RvError::PinLocked, false);
    assert!(
        words.contains("is locked") && words.contains("set a new one") && fault == ErrorKind::Locked,
        "{words}"
    );
    let (words, fault) = told(RvError::PinExpired, false);
    assert!(words.contains("expired") && fault == ErrorKind::Locked, "{words}");
    let (words, fault) = told(RvError::DeviceError, false);
    assert!(
        words.contains("does not let us log in") && fault == ErrorKind::Machine,
        "{words}"
    );
}

/// The module is closed after each visit, and threads take turns.
#[test]
fn visits_from_many_threads_take_turns() {
    with_token(&name("visits_from_many_threads_take_turns"), |module, dir| {
        let (path, _) = created(module, dir, "master.key");
        std::thread::scope(|scope| {
            let visits: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| MasterKey::unlock(&path, &key(module, "vault", "concordat", PIN)).map(drop)))
                .collect();
            for visit in visits {
                visit.join().unwrap().unwrap();
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
