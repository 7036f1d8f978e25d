//! What unlocks a node: a key in a PKCS#11 token, and a recovery key that several people hold together.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use concordat_tests::shared::skip;
use concordat_tests::slots::Slots;
use concordat_tests::{Outcome, PASSWORD, Person, TestNode};

use super::assert_ledger_valid;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PIN: &str = "24681357";
const PASSPHRASE: &str = "one two three four five six";

/// A folder with the settings of SoftHSM and its tokens.
struct Tokens(PathBuf);

impl Tokens {
    /// Creates a folder with one token, `vault`; `None` if SoftHSM is not installed.
    fn make(dir: &Path) -> Option<Self> {
        if !Path::new(MODULE).is_file() {
            skip(&format!(
                "there is no software PKCS#11 token at {MODULE}; install the package `softhsm2`"
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

    /// Removes the token, or reinserts it if it was removed.
    fn remove_or_reinsert(&self) {
        let inside = self.0.join("tokens");
        let outside = self.0.join("elsewhere");
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

/// Asserts that the daemon does not start, and reports why and what to do.
#[track_caller]
fn refused(node: &mut TestNode, code: i32, expected: &[&str]) {
    let outcome = node.try_start().unwrap_err().exits(code);
    for text in expected {
        assert!(outcome.stderr.contains(text), "{text}: {}", outcome.report());
    }
    assert!(!outcome.stderr.contains(PIN), "{}", outcome.report());
}

/// A command that works on the stopped node, with `lines` as its input.
fn audit(node: &TestNode, lines: &str) -> Outcome {
    node.run_with_env(&["--format", "json", "audit", "verify"], lines)
}

#[test]
fn a_node_is_unlocked_by_a_key_that_never_leaves_its_token() {
    let dir = tempfile::tempdir().unwrap();
    let Some(tokens) = Tokens::make(&dir.path().join("hsm")) else {
        return;
    };
    let _slots = Slots::take(1);
    let settings = tokens.settings();
    let mut node = TestNode::at("cleveland", dir.path().join("cleveland"));
    node.set_env(&[("SOFTHSM2_CONF", settings.to_str().unwrap())]);
    let pin = dir.path().join("pin");
    private(&pin, &format!("{PIN}\n"));
    set_up_with_a_token(&node, &pin);

    node.start();
    assert_eq!(node.stop(), Some(0));
    node.start();
    let status = node.json_as(Person::Administrator, &["key", "status"]);
    assert_eq!(status["unlocked_by"], "key in a PKCS#11 token");
    assert_ledger_valid(&node);
    assert_eq!(node.stop(), Some(0));

    token_problems_are_reported(&mut node, &tokens, &pin);
    from_token_to_passphrase_and_back(&mut node, &pin);
}

fn set_up_with_a_token(node: &TestNode, pin: &Path) {
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
    let absent = node.run_with_env(
        &[&who[..], &local, &token("/nonexistent/module.so")].concat(),
        &password,
    );
    absent.exits(2);
    assert!(!node.dir.exists(), "a failed setup leaves nothing behind");
    node.run_with_env(&[&who[..], &local, &token(MODULE)].concat(), &password)
        .ok();
    let config = fs::read_to_string(node.dir.join("concordat.toml")).unwrap();
    assert!(
        config.contains("source = \"pkcs11\"") && !config.contains(PIN),
        "{config}"
    );
    assert!(!node.dir.join("unlock.key").exists());
}

fn token_problems_are_reported(node: &mut TestNode, tokens: &Tokens, pin: &Path) {
    private(pin, "00000000\n");
    refused(node, 7, &["wrong PIN for the token `vault`", "locks itself"]);
    private(pin, "");
    refused(node, 2, &["empty"]);
    fs::remove_file(pin).unwrap();
    refused(node, 7, &["the file with the PIN", "restore it"]);
    private(pin, &format!("{PIN}\n"));
    fs::set_permissions(pin, fs::Permissions::from_mode(0o644)).unwrap();
    refused(node, 2, &["chmod 600"]);
    private(pin, &format!("{PIN}\n"));

    tokens.remove_or_reinsert();
    refused(node, 7, &["no token `vault`", "connect it"]);
    tokens.remove_or_reinsert();

    let path = node.dir.join("concordat.toml");
    let config = fs::read_to_string(&path).unwrap();
    private(&path, &config.replace(MODULE, "/nonexistent/module.so"));
    refused(node, 2, &["no PKCS#11 module", "keys.module"]);
    private(&path, &config.replace("key = \"concordat\"", "key = \"another\""));
    refused(node, 7, &["no secret key `another`", "key recover"]);
    private(&path, &config);
}

fn from_token_to_passphrase_and_back(node: &mut TestNode, pin: &Path) {
    let passphrase = format!("{PASSPHRASE}\n");
    node.run_with_env(&["key", "change-unlock"], &passphrase).ok();
    audit(node, &passphrase).ok();
    audit(node, &format!("{PIN}\n")).exits(7);

    // Without a file, the command prompts for the PIN, after the passphrase that still unlocks.
    let token = [
        "key",
        "change-unlock",
        "--new-token",
        "vault",
        "--new-token-module",
        MODULE,
    ];
    node.run_with_env(&token, &format!("{passphrase}{PIN}\n")).ok();
    audit(node, &format!("{PIN}\n")).ok();
    audit(node, "00000000\n").exits(7);
    audit(node, &passphrase).exits(7);

    // The same token again, with a file: from here on the start is unattended.
    let file = ["--new-pin-file", pin.to_str().unwrap()];
    node.run_with_env(&[&token[..], &file].concat(), &format!("{PIN}\n"))
        .ok();
    node.start();
    node.forget_login();
    assert_ledger_valid(node);
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn lost_key_file_is_recovered_with_enough_shares() {
    let _slots = Slots::take(1);
    let dir = tempfile::tempdir().unwrap();
    let mut node = TestNode::create("cleveland", "US", dir.path().join("cleveland"));
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
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
        node.run_as(Person::Administrator, &args)
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
        "the file is in the format of age"
    );

    assert_eq!(node.stop(), Some(0));
    fs::remove_file(node.dir.join("unlock.key")).unwrap();
    let new = at("new.key");
    private(Path::new(&new), &"a5".repeat(32));
    let recover = |from: &str, shares: &[String]| {
        let mut args = vec!["key", "recover", "--from", from, "--new-key-file", &new];
        args.extend(shares.iter().flat_map(|share| ["--share", share.as_str()]));
        node.run(&args)
    };
    let assert_reports = |outcome: Outcome, code, text: &str| {
        let outcome = outcome.exits(code);
        assert!(outcome.stderr.contains(text), "{text}: {}", outcome.report());
    };
    assert_reports(
        recover(&escrow, &[share(1), share(4)]),
        7,
        "3 shares are needed and 2 were given",
    );
    assert_reports(
        recover(&escrow, &[share(1), share(4), share(1)]),
        2,
        "share 1 was given twice",
    );
    assert_reports(
        recover(&escrow, &[share(1), share(4), at("other.age.share-1-of-2")]),
        2,
        "do not belong together",
    );
    assert_reports(
        recover(&at("other.age"), &[share(1), share(4), share(5)]),
        7,
        "not the escrow that they were generated with",
    );
    let damaged = at("damaged");
    let text = fs::read_to_string(share(2)).unwrap();
    fs::write(&damaged, text.trim_end().strip_suffix(char::is_alphanumeric).unwrap()).unwrap();
    assert_reports(
        recover(&escrow, &[share(1), share(4), damaged]),
        2,
        "damaged or mistyped",
    );
    assert_reports(
        recover(&escrow, &[share(1), share(4), escrow.clone()]),
        2,
        "concordat-share-1",
    );

    recover(&escrow, &[share(5), share(2), share(4)]).ok();
    node.start();
    node.forget_login();
    assert_ledger_valid(&node);
}

/// After the unlock secret was replaced, the previous one does not start the node, also if its master key file is restored with it.
#[test]
fn unlock_secret_that_was_replaced_starts_nothing() {
    let _slots = Slots::take(1);
    let dir = tempfile::tempdir().unwrap();
    let mut node = TestNode::create("cleveland", "US", dir.path().join("cleveland"));
    assert_eq!(node.stop(), Some(0));
    let files = ["identity/master.key", "concordat.toml"].map(|name| node.dir.join(name));
    let contents = || files.clone().map(|file| fs::read(file).unwrap());
    let put = |contents: &[Vec<u8>; 2]| {
        for (file, bytes) in files.iter().zip(contents) {
            fs::write(file, bytes).unwrap();
        }
    };
    let previous = contents();
    let key = dir.path().join("new.key");
    private(&key, &"a5".repeat(32));
    node.run(&["key", "change-unlock", "--new-key-file", key.to_str().unwrap()])
        .ok();
    let current = contents();
    put(&previous);
    for _ in 0..2 {
        let expected = ["master.key` was replaced", "restore the newest copy", "key recover"];
        refused(&mut node, 6, &expected);
    }
    put(&current);
    node.start();
    node.forget_login();
    assert_ledger_valid(&node);
}
