//! What unlocks a node: a key in a PKCS#11 token, and a recovery key that several people hold together.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use concordat_tests::shared::skip;
use concordat_tests::slots::Slots;
use concordat_tests::{House, Outcome, PASSWORD, Person};

use super::assert_ledger_holds;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PIN: &str = "24681357";
const PASSPHRASE: &str = "one two three four five six";

/// A folder with the settings of SoftHSM and its tokens.
struct Tokens(PathBuf);

impl Tokens {
    /// Makes a folder with one token, `vault`; nothing where SoftHSM is not installed.
    fn make(dir: &Path) -> Option<Self> {
        if !Path::new(MODULE).is_file() {
            skip(&format!(
                "there is no PKCS#11 token in software at {MODULE}; install the package `softhsm2`"
            ));
            return None;
        }
        fs::create_dir_all(dir.join("tokens")).unwrap();
        let text = format!(
            "directories.tokendir = {}\nlog.level = ERROR\n",
            dir.join("tokens").display()
        );
        fs::write(dir.join("softhsm2.conf"), text).unwrap();
        let tokens = Self(dir.to_owned());
        let made = Command::new("softhsm2-util")
            .args([
                "--init-token",
                "--free",
                "--label",
                "vault",
                "--so-pin",
                "11223344",
                "--pin",
                PIN,
            ])
            .env("SOFTHSM2_CONF", tokens.settings())
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        Some(tokens)
    }

    fn settings(&self) -> PathBuf {
        self.0.join("softhsm2.conf")
    }

    /// Pulls the token out, and puts it back with the same call.
    fn pull_or_push(&self) {
        let (inside, outside) = (self.0.join("tokens"), self.0.join("elsewhere"));
        if outside.exists() {
            fs::remove_dir_all(&inside).unwrap();
            fs::rename(outside, inside).unwrap();
        } else {
            fs::rename(&inside, outside).unwrap();
            fs::create_dir(inside).unwrap();
        }
    }
}

fn private(path: &Path, contents: &str) {
    fs::write(path, contents).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Expects that the daemon does not start, and says why and what to do.
#[track_caller]
fn refused(house: &mut House, code: i32, words: &[&str]) {
    let outcome = house.try_start().unwrap_err().exits(code);
    for word in words {
        assert!(outcome.stderr.contains(word), "{word}: {}", outcome.story());
    }
    assert!(!outcome.stderr.contains(PIN), "{}", outcome.story());
}

/// A command that works on the stopped node, with `lines` for what it asks.
fn audit(house: &House, lines: &str) -> Outcome {
    house.surrounded(&["--format", "json", "audit", "verify"], lines)
}

#[test]
fn a_node_is_unlocked_by_a_key_that_never_leaves_its_token() {
    let place = tempfile::tempdir().unwrap();
    let Some(tokens) = Tokens::make(&place.path().join("hsm")) else {
        return;
    };
    let _slots = Slots::take(1);
    let settings = tokens.settings();
    let mut house = House::over("cleveland", place.path().join("cleveland"));
    house.surround(&[("SOFTHSM2_CONF", settings.to_str().unwrap())]);
    let pin = place.path().join("pin");
    private(&pin, &format!("{PIN}\n"));
    set_up_with_a_token(&house, &pin);

    house.start();
    assert_eq!(house.stop(), Some(0));
    house.start();
    let status = house.json_as(Person::Administrator, &["key", "status"]);
    assert_eq!(status["unlocked_by"], "key in a PKCS#11 token");
    assert_ledger_holds(&house);
    assert_eq!(house.stop(), Some(0));

    what_is_wrong_with_a_token_is_said(&mut house, &tokens, &pin);
    from_token_to_passphrase_and_back(&mut house, &pin);
}

fn set_up_with_a_token(house: &House, pin: &Path) {
    let who = [
        "init",
        "--institution",
        "cleveland",
        "--name",
        "Cleveland",
        "--jurisdiction",
        "US",
    ];
    let local = ["--listen", "/ip4/127.0.0.1/tcp/0", "--unattended"];
    let token = |module| {
        [
            "--token",
            "vault",
            "--token-module",
            module,
            "--pin-file",
            pin.to_str().unwrap(),
        ]
    };
    let password = format!("{PASSWORD}\n");
    let absent = house.surrounded(
        &[&who[..], &local, &token("/nonexistent/module.so")].concat(),
        &password,
    );
    absent.exits(2);
    assert!(!house.dir.exists(), "nothing is left of a set-up that failed");
    house
        .surrounded(&[&who[..], &local, &token(MODULE)].concat(), &password)
        .ok();
    let config = fs::read_to_string(house.dir.join("concordat.toml")).unwrap();
    assert!(
        config.contains("source = \"pkcs11\"") && !config.contains(PIN),
        "{config}"
    );
    assert!(!house.dir.join("unlock.key").exists());
}

fn what_is_wrong_with_a_token_is_said(house: &mut House, tokens: &Tokens, pin: &Path) {
    private(pin, "00000000\n");
    refused(house, 7, &["wrong PIN for the token `vault`", "locks itself"]);
    private(pin, "");
    refused(house, 2, &["empty"]);
    fs::remove_file(pin).unwrap();
    refused(house, 7, &["the file with the PIN", "put it back"]);
    private(pin, &format!("{PIN}\n"));
    fs::set_permissions(pin, fs::Permissions::from_mode(0o644)).unwrap();
    refused(house, 2, &["chmod 600"]);
    private(pin, &format!("{PIN}\n"));

    tokens.pull_or_push();
    refused(house, 7, &["no token `vault`", "connect it"]);
    tokens.pull_or_push();

    let path = house.dir.join("concordat.toml");
    let config = fs::read_to_string(&path).unwrap();
    private(&path, &config.replace(MODULE, "/nonexistent/module.so"));
    refused(house, 2, &["no PKCS#11 module", "keys.module"]);
    private(&path, &config.replace("key = \"concordat\"", "key = \"another\""));
    refused(house, 7, &["no secret key `another`", "key recover"]);
    private(&path, &config);
}

fn from_token_to_passphrase_and_back(house: &mut House, pin: &Path) {
    let typed = format!("{PASSPHRASE}\n");
    house.surrounded(&["key", "change-unlock"], &typed).ok();
    audit(house, &typed).ok();
    audit(house, &format!("{PIN}\n")).exits(7);

    // Without a file, the PIN is asked for: after the passphrase that still unlocks.
    let token = [
        "key",
        "change-unlock",
        "--new-token",
        "vault",
        "--new-token-module",
        MODULE,
    ];
    house.surrounded(&token, &format!("{typed}{PIN}\n")).ok();
    audit(house, &format!("{PIN}\n")).ok();
    audit(house, "00000000\n").exits(7);
    audit(house, &typed).exits(7);

    // The same token again, with a file: from here on nobody has to be there.
    let file = ["--new-pin-file", pin.to_str().unwrap()];
    house
        .surrounded(&[&token[..], &file].concat(), &format!("{PIN}\n"))
        .ok();
    house.start();
    house.forget_login();
    assert_ledger_holds(house);
    assert_eq!(house.stop(), Some(0));
}

#[test]
fn a_lost_key_file_is_made_good_by_enough_of_those_who_hold_shares() {
    let _slots = Slots::take(1);
    let place = tempfile::tempdir().unwrap();
    let mut house = House::found("cleveland", "US", place.path().join("cleveland"));
    let at = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let escrow = at("keys.age");
    let backup = |to: &str, shares: &str, threshold: &str| {
        let args = [
            "key",
            "backup",
            "--to",
            to,
            "--shares",
            shares,
            "--threshold",
            threshold,
        ];
        house.as_(Person::Administrator, &args)
    };
    for (shares, threshold) in [("3", "1"), ("2", "3")] {
        backup(&escrow, shares, threshold).exits(2);
    }
    backup(&escrow, "5", "3").ok();
    backup(&escrow, "5", "3").exits(2);
    backup(&at("other.age"), "2", "2").ok();
    let share = |number: u8| at(&format!("keys.age.share-{number}-of-5"));
    for number in 1..=5 {
        let mode = fs::metadata(share(number)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let sealed = fs::read_to_string(&escrow).unwrap();
    assert!(
        sealed.starts_with("-----BEGIN AGE ENCRYPTED FILE-----"),
        "it is a file as age writes it"
    );

    assert_eq!(house.stop(), Some(0));
    fs::remove_file(house.dir.join("unlock.key")).unwrap();
    let new = at("new.key");
    private(Path::new(&new), &"a5".repeat(32));
    let recover = |from: &str, shares: &[String]| {
        let mut args = vec!["key", "recover", "--from", from, "--new-key-file", &new];
        args.extend(shares.iter().flat_map(|share| ["--share", share.as_str()]));
        house.run(&args)
    };
    let says = |outcome: Outcome, code, words: &str| {
        let outcome = outcome.exits(code);
        assert!(outcome.stderr.contains(words), "{words}: {}", outcome.story());
    };
    says(
        recover(&escrow, &[share(1), share(4)]),
        7,
        "3 shares are needed and 2 were given",
    );
    says(
        recover(&escrow, &[share(1), share(4), share(1)]),
        2,
        "share 1 was given twice",
    );
    says(
        recover(&escrow, &[share(1), share(4), at("other.age.share-1-of-2")]),
        2,
        "do not belong together",
    );
    says(
        recover(&at("other.age"), &[share(1), share(4), share(5)]),
        7,
        "not the escrow that they were made with",
    );
    let damaged = at("damaged");
    let text = fs::read_to_string(share(2)).unwrap();
    fs::write(&damaged, text.trim_end().strip_suffix(char::is_alphanumeric).unwrap()).unwrap();
    says(
        recover(&escrow, &[share(1), share(4), damaged]),
        6,
        "damaged or mistyped",
    );
    says(
        recover(&escrow, &[share(1), share(4), escrow.clone()]),
        2,
        "concordat-share-1",
    );

    recover(&escrow, &[share(5), share(2), share(4)]).ok();
    house.start();
    house.forget_login();
    assert_ledger_holds(&house);
}
