//! Conditions that keep a node from starting, and its messages.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};

use concordat_tests::slots::Slots;
use concordat_tests::{PASSWORD, TestNode};
use serde_json::Value;

#[test]
fn a_node_starts_only_with_its_own_key_in_private_and_alone() {
    let _slots = Slots::take(2);
    let dir = tempfile::tempdir().unwrap();
    let mut node = TestNode::create("cleveland", "US", dir.path().join("cleveland"));

    a_second_process_is_refused(&node);
    node.stop();
    another_key_does_not_open_it(&mut node);
    a_key_that_others_can_read_is_refused(&mut node);
    a_folder_that_others_can_read_is_refused(&mut node);
    a_second_setup_is_refused(&node);

    node.start();
    assert_eq!(
        node.stop(),
        Some(0),
        "a requested stop is not a failure:\n{}",
        node.log()
    );
}

#[test]
fn a_node_on_the_port_of_another_does_not_start() {
    let _slots = Slots::take(2);
    let dir = tempfile::tempdir().unwrap();
    let first = TestNode::create("cleveland", "US", dir.path().join("cleveland"));
    let status = first.status();
    let mut listen = status["listen"].as_array().unwrap().iter().filter_map(Value::as_str);
    let port = listen.find_map(|address| address.split_once("/tcp/")).unwrap().1;
    let port = port.split('/').next().unwrap();

    let mut second = TestNode::at("zurich", dir.path().join("zurich"));
    let who = ["--institution", "zurich", "--name", "Zurich", "--jurisdiction", "CH"];
    let init = [&["init", "--unattended", "--port", port][..], &who[..]].concat();
    second.run_with_input(&init, Some(PASSWORD)).ok();
    let refused = second.try_start().unwrap_err().exits(2);
    let in_use = format!("/tcp/{port}`: another program uses the port");
    for expected in [in_use.as_str(), "`node.listen`"] {
        assert!(refused.stderr.contains(expected), "{expected}: {}", refused.report());
    }
    first.status();
}

#[test]
fn a_directory_whose_path_is_too_long_for_a_socket_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let long = dir.path().join("d".repeat(107));
    let refused = run_with_input(&long, &INIT, &format!("one two three four five six\n{PASSWORD}\n"));
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let shown = String::from_utf8_lossy(&refused.stderr);
    assert!(shown.contains("too long") && shown.contains("bytes at most"), "{shown}");
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert!(left.is_empty(), "a failed setup leaves nothing behind: {left:?}");

    // A directory that was moved there later.
    let _slots = Slots::take(1);
    let mut node = TestNode::init("cleveland", "US", dir.path().join("cleveland"));
    std::fs::rename(&node.dir, &long).unwrap();
    node.dir = long;
    let refused = node.try_start().unwrap_err().exits(2);
    assert!(refused.stderr.contains("bytes at most"), "{}", refused.report());
}

#[test]
fn a_credential_of_the_service_manager_unlocks_the_node() {
    let _slots = Slots::take(1);
    let dir = tempfile::tempdir().unwrap();
    let mut node = TestNode::init("cleveland", "US", dir.path().join("cleveland"));
    let credentials = dir.path().join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    std::fs::rename(node.dir.join("unlock.key"), credentials.join("concordat.key")).unwrap();
    let path = node.dir.join("concordat.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let by_file = "source = \"file\"\nfile = \"unlock.key\"";
    assert!(config.contains(by_file), "{config}");
    let by_credential = "source = \"credential\"\nname = \"concordat.key\"";
    std::fs::write(&path, config.replace(by_file, by_credential)).unwrap();

    let refused = node.try_start().unwrap_err().exits(7);
    assert!(
        refused.stderr.contains("LoadCredentialEncrypted=concordat.key"),
        "{}",
        refused.report()
    );
    node.set_env(&[("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap())]);
    node.start();

    let limits = std::fs::read_to_string(format!("/proc/{}/limits", node.pid()));
    if let Some(line) = limits
        .iter()
        .flat_map(|limits| limits.lines())
        .find(|line| line.starts_with("Max core"))
    {
        let limits: Vec<&str> = line.split_whitespace().filter(|field| *field == "0").collect();
        assert_eq!(
            limits.len(),
            2,
            "keys are in memory, and a core dump would write them to disk: {line}"
        );
    }
}

const INIT: [&str; 9] = [
    "init",
    "--institution",
    "cleveland",
    "--name",
    "Cleveland",
    "--jurisdiction",
    "US",
    "--listen",
    "/ip4/127.0.0.1/tcp/0",
];

#[test]
fn a_weak_passphrase_is_refused_and_a_good_one_opens_as_typed() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("cleveland");
    for weak in ["abc", "123456789012"] {
        let refused = run_with_input(&data_dir, &INIT, &format!("{weak}\n{PASSWORD}\n"));
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        let shown = String::from_utf8_lossy(&refused.stderr);
        assert!(shown.contains("12 characters") && !shown.contains(weak), "{shown}");
        assert!(!data_dir.exists(), "a failed setup leaves nothing behind");
    }
    let composed = "größe zürich café";
    let made = run_with_input(&data_dir, &INIT, &format!("{composed}\n{PASSWORD}\n"));
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    // As a keyboard of macOS writes it, with a space of another width.
    let decomposed = "gro\u{308}ße\u{a0}zu\u{308}rich cafe\u{301}";
    for entered in [composed, decomposed] {
        let opened = run_with_input(&data_dir, &["audit", "verify"], &format!("{entered}\n"));
        assert_eq!(opened.status.code(), Some(0), "{opened:?}");
    }
    let wrong = run_with_input(&data_dir, &["audit", "verify"], "grosse zurich cafe\n");
    assert_eq!(wrong.status.code(), Some(7), "{wrong:?}");
    let weak = run_with_input(&data_dir, &["key", "change-unlock"], &format!("{decomposed}\nabc\n"));
    assert_eq!(weak.status.code(), Some(2), "{weak:?}");
}

#[test]
fn a_wrong_passphrase_is_refused_and_the_right_one_opens() {
    let _slots = Slots::take(1);
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("cleveland");
    let made = run_with_input(&data_dir, &INIT, &format!("one two three four five six\n{PASSWORD}\n"));
    assert_eq!(made.status.code(), Some(0), "{made:?}");

    let refused = run_with_input(&data_dir, &["serve"], "six five four three two one\n");
    assert_eq!(refused.status.code(), Some(7), "{refused:?}");
    assert!(
        !String::from_utf8_lossy(&refused.stderr).contains("six five"),
        "{refused:?}"
    );
    let empty = run_with_input(&data_dir, &["serve"], "\n");
    assert_eq!(empty.status.code(), Some(2), "without a passphrase: {empty:?}");
    let verified = run_with_input(
        &data_dir,
        &["--format", "json", "audit", "verify"],
        "one two three four five six\n",
    );
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
}

fn run_with_input(dir: &Path, args: &[&str], input: &str) -> Output {
    let mut command = std::process::Command::new(concordat_tests::program::path());
    command.arg("--dir").arg(dir).args(args);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    child.wait_with_output().unwrap()
}

fn a_second_process_is_refused(node: &TestNode) {
    let refused = node.run(&["--format", "json", "serve"]).exits(7);
    let problem = refused.problem();
    assert_eq!(problem["code"], "in_use", "{problem}");
    assert_eq!(problem["title"], "it is in use", "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("another process uses"), "{problem}");
    assert!(problem["help"].as_str().unwrap().contains("stop it first"), "{problem}");
    node.status();
}

fn another_key_does_not_open_it(node: &mut TestNode) {
    let path = node.dir.join("unlock.key");
    let key = std::fs::read(&path).unwrap();
    let mut other = key.clone();
    // Another character of the same alphabet keeps the format of a key.
    let position = other.iter().rposition(u8::is_ascii_alphanumeric).unwrap();
    other[position] = if other[position] == b'a' { b'b' } else { b'a' };
    other[0] = if other[0] == b'a' { b'b' } else { b'a' };
    std::fs::write(&path, other).unwrap();
    node.try_start().unwrap_err().exits(7);
    std::fs::rename(&path, path.with_extension("away")).unwrap();
    let missing = node.try_start().unwrap_err().exits(7);
    assert!(missing.stderr.contains("unlock.key"), "{}", missing.report());
    std::fs::rename(path.with_extension("away"), &path).unwrap();
    std::fs::write(&path, key).unwrap();
}

fn a_key_that_others_can_read_is_refused(node: &mut TestNode) {
    let path = node.dir.join("unlock.key");
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let refused = node.try_start().unwrap_err().exits(2);
    assert!(refused.stderr.contains("chmod"), "how to fix it: {}", refused.report());
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
}

fn a_folder_that_others_can_read_is_refused(node: &mut TestNode) {
    for (name, open, closed) in [("", 0o755, 0o700), ("ledger", 0o750, 0o700)] {
        let path = node.dir.join(name);
        std::fs::set_permissions(&path, Permissions::from_mode(open)).unwrap();
        let refused = node.try_start().unwrap_err().exits(2);
        assert!(refused.stderr.contains("chmod"), "how to fix it: {}", refused.report());
        std::fs::set_permissions(&path, Permissions::from_mode(closed)).unwrap();
    }
}

fn a_second_setup_is_refused(node: &TestNode) {
    let again = [
        "init",
        "--institution",
        "cleveland",
        "--name",
        "Again",
        "--jurisdiction",
        "US",
        "--unattended",
    ];
    node.run_with_input(&again, Some(PASSWORD)).exits(2);
}
