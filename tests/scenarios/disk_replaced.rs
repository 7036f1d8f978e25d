//! Files and folders of the data directory are replaced while the node is down: an older copy, another node's, an edited one,
//! one removed or added. The node starts unchanged, or it does not start and reports what was replaced.

mod sled_log;

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use concordat_tests::{Person, TestNode, World};
use serde_json::Value;

use self::sled_log::SledLog;
use super::{assert_ledger_valid, causes};

/// A node with two saved states: before a member was removed and a user disabled, and after.
struct SavedStates {
    world: World,
    earlier: PathBuf,
    newest: PathBuf,
    /// The data directory of another node.
    other: PathBuf,
    /// What the node reports in its newest state.
    facts: Value,
}

impl SavedStates {
    fn new() -> Self {
        let mut world = World::unconnected(2);
        for node in &world.nodes {
            node.create_users();
        }
        world.form_consortium();
        let dir = world.dir().to_owned();
        let [earlier, newest, other] = ["earlier", "newest", "other"].map(|name| dir.join(name));
        world.node_mut("budapest").stop();
        copy(&world.node("budapest").dir, &other);
        let node = world.node_mut("cleveland");
        node.stop();
        copy(&node.dir, &earlier);
        node.start();
        node.forget_login();
        node.run_as(Person::Administrator, &["consortium", "remove", "budapest"])
            .ok();
        node.run(&["user", "disable", "rufus"]).ok();
        let facts = facts(node);
        node.stop();
        copy(&node.dir, &newest);
        Self {
            world,
            earlier,
            newest,
            other,
            facts,
        }
    }

    /// Starts the node from its newest state with a change, and returns the exit code and the message if it did not start. If it
    /// started, it must be in its newest state.
    #[track_caller]
    fn start_after(&mut self, what: &str, change: impl FnOnce(&Path)) -> Option<(i32, String)> {
        let node = self.world.node_mut("cleveland");
        fs::remove_dir_all(&node.dir).unwrap();
        copy(&self.newest, &node.dir);
        change(&node.dir);
        match node.try_start() {
            Ok(()) => {
                node.forget_login();
                assert_eq!(facts(node), self.facts, "{what}: the node is not in its newest state");
                node.kill();
                None
            }
            Err(refusal) => {
                let code = refusal.code.unwrap_or_else(|| panic!("{what}: {}", refusal.report()));
                assert_ne!(code, 0, "{what}: {}", refusal.report());
                assert!(!refusal.stderr.trim().is_empty(), "{what}: there is no message");
                Some((code, refusal.stderr))
            }
        }
    }
}

/// What an attacker would change: the members, the users, the limits for peers.
#[track_caller]
fn facts(node: &TestNode) -> Value {
    let roster = node.json_as(Person::Administrator, &["consortium", "roster", "show"]);
    let members = roster["members"].as_array().expect("members").iter();
    let members: Vec<Value> = members
        .map(|member| serde_json::json!([member["institution"], member["status"], member["fingerprint"]]))
        .collect();
    let mut people = node.json_as(Person::Administrator, &["user", "list"]);
    assert_ledger_valid(node);
    serde_json::json!([roster["number"], roster["digest"], members, people.take()])
}

/// Replaces `to` with the file or folder `from`.
fn replace(from: &Path, to: &Path) {
    remove(to);
    if from.is_dir() {
        copy(from, to);
    } else if from.exists() {
        fs::copy(from, to).unwrap();
    }
}

fn remove(path: &Path) {
    if path.is_dir() {
        fs::remove_dir_all(path).unwrap();
    } else {
        fs::remove_file(path).ok();
    }
}

/// Copies a folder with its permissions; sockets are skipped.
pub(super) fn copy(from: &Path, to: &Path) {
    let mode = fs::metadata(from).unwrap().permissions().mode();
    fs::DirBuilder::new().mode(mode).create(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            copy(&entry.path(), &target);
        } else if kind.is_file() {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The entries of a data directory, and those of `identity/` and `meta/` one by one.
fn parts(dir: &Path) -> Vec<PathBuf> {
    let mut parts = Vec::new();
    for folder in ["", "identity", "meta", "ledger"] {
        for entry in fs::read_dir(dir.join(folder)).unwrap().map(Result::unwrap) {
            parts.push(Path::new(folder).join(entry.file_name()));
        }
    }
    parts.sort();
    parts
}

#[test]
fn disk_each_part_swapped_is_refused_or_harmless() {
    let mut saved = SavedStates::new();
    let earlier = saved.earlier.clone();
    let other = saved.other.clone();
    for part in parts(&saved.newest.clone()) {
        let what = format!("an earlier {}", part.display());
        saved.start_after(&what, |dir| replace(&earlier.join(&part), &dir.join(&part)));
        let what = format!("the other node's {}", part.display());
        saved.start_after(&what, |dir| replace(&other.join(&part), &dir.join(&part)));
        let what = format!("no {}", part.display());
        saved.start_after(&what, |dir| remove(&dir.join(&part)));
    }
}

#[test]
fn disk_older_state_or_ledger_stops_the_start() {
    let mut saved = SavedStates::new();
    let earlier = saved.earlier.clone();
    let other = saved.other.clone();
    for (parts, expected) in [
        (["meta"].as_slice(), "`meta` was replaced"),
        (&["ledger"], "`ledger` was replaced"),
        (&["ledger", "concordat.toml"], "`ledger` was replaced"),
        (&["meta", "identity"], "`meta` was replaced"),
    ] {
        let what = format!("earlier {parts:?}");
        let refused = saved.start_after(&what, |dir| {
            parts
                .iter()
                .for_each(|part| replace(&earlier.join(part), &dir.join(part)));
        });
        let (code, message) = refused.unwrap_or_else(|| panic!("{what} started the node"));
        assert_eq!(code, 6, "{what}: {message}");
        assert!(
            message.contains(expected) && message.contains("restore a backup"),
            "{what}: {message}"
        );
    }
    let refused = saved.start_after("no ledger", |dir| remove(&dir.join("ledger")));
    assert_eq!(refused.map(|(code, _)| code), Some(6));
    for part in ["meta", "ledger", "identity", "concordat.toml"] {
        let refused = saved.start_after(&format!("the other node's {part}"), |dir| {
            replace(&other.join(part), &dir.join(part));
        });
        assert!(refused.is_some(), "the other node's {part} started this node");
    }
}

/// The newest changes of the state are undone one by one, below its seal and without any key: a user is enabled again, a member is back.
#[test]
fn disk_single_value_set_back_stops_the_start() {
    const CHANGES: usize = 60;
    let mut saved = SavedStates::new();
    let changes = SledLog::read(&saved.newest).changes();
    assert!(changes.len() > CHANGES, "{} changes were found", changes.len());
    let mut refused = 0;
    for at in changes.into_iter().take(CHANGES) {
        let what = format!("a change at {at} is undone");
        if let Some((code, message)) = saved.start_after(&what, |dir| SledLog::read(dir).cancel(at)) {
            assert_eq!(code, 6, "{what}: {message}");
            refused += 1;
        }
    }
    // The others were followed by a change of the same value.
    assert!(refused > CHANGES / 8, "{refused} of {CHANGES} were detected");
}

#[test]
fn disk_older_roster_file_decides_nothing() {
    let mut saved = SavedStates::new();
    let node = saved.world.node_mut("budapest");
    node.start();
    node.forget_login();
    // A roster that still lists budapest: signed with the charter key, and not expired.
    let older = node
        .run_as(Person::Administrator, &["consortium", "roster", "show", "--armor"])
        .ok()
        .stdout;
    node.stop();
    for name in ["roster.cose", "roster.txt"] {
        let started = saved.start_after(name, |dir| {
            fs::write(dir.join(name), &older).unwrap();
            fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o600)).unwrap();
        });
        assert_eq!(started, None, "a file next to the state is not read");
    }
}

#[test]
fn disk_changed_configuration_needs_acceptance() {
    let mut saved = SavedStates::new();
    let edit = |dir: &Path| {
        let path = dir.join("concordat.toml");
        let text = fs::read_to_string(&path).unwrap();
        let wider: String = text
            .lines()
            .map(|line| {
                let line = if line.starts_with("streams = ") {
                    "streams = 7777"
                } else {
                    line
                };
                format!("{line}\n")
            })
            .collect();
        assert_ne!(text, wider);
        fs::write(path, wider).unwrap();
    };
    let (code, message) = saved.start_after("wider limits", edit).expect("it does not start");
    assert_eq!(code, 6, "{message}");
    for expected in ["limits.streams", "7777", "concordat config accept"] {
        assert!(message.contains(expected), "{expected} is not in: {message}");
    }
    let node = saved.world.node_mut("cleveland");
    // It is not accepted without authority: a steward, a wrong password.
    node.run_with_input(&["config", "accept", "--as", "stella"], Some(concordat_tests::PASSWORD))
        .exits(3);
    node.run_with_input(
        &["config", "accept", "--as", "administrator"],
        Some("wrong wrong wrong"),
    )
    .exits(7);
    node.accept_configuration();
    node.stop();
    node.start();
    node.forget_login();
    let accepted = causes(node, "configuration_accepted");
    assert_eq!(accepted.len(), 2, "{accepted:?}");
    assert_eq!(
        accepted[1]["person"]["actor"], "administrator@cleveland",
        "{accepted:?}"
    );
    node.stop();
    let quieter = saved.start_after("another log level", |dir| {
        let path = dir.join("concordat.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text.replace("level = \"info\"", "level = \"warn\"")).unwrap();
    });
    assert_eq!(
        quieter, None,
        "a setting without effect on decisions needs no acceptance"
    );
}

#[test]
fn disk_policy_file_decides_nothing() {
    let mut saved = SavedStates::new();
    const OPEN: &str = "@id(\"open\") @reason(\"r\") @remedy(\"m\") permit(principal, action, resource);";
    let started = saved.start_after("a file in policies/", |dir| {
        fs::DirBuilder::new().mode(0o700).create(dir.join("policies")).unwrap();
        let file = dir.join("policies/open.cedar");
        fs::write(&file, OPEN).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    });
    assert_eq!(started, None);
    let node = saved.world.node_mut("cleveland");
    node.start();
    node.forget_login();
    let shown = node.json_as(Person::Steward, &["policy", "show"]);
    assert_eq!(shown["number"], 1, "{shown}");
    assert!(!shown["files"].to_string().contains("open"), "{shown}");
    assert_eq!(node.status()["policy"]["digest"], shown["digest"]);
}

/// A node with a dataset, on which a researcher has run the query that is returned, and is still logged in.
fn node_that_was_queried() -> (World, String) {
    let world = World::unconnected(1);
    let file = world.file("patients.csv", "record,sex\n1,0\n2,1\n3,1\n");
    let node = &world.nodes[0];
    node.create_users();
    node.run_as(Person::Administrator, &["consortium", "found", "--name", "Heart Study"])
        .ok();
    let from = file.to_str().unwrap();
    node.run_as(
        Person::Steward,
        &[
            "dataset",
            "import",
            "heart",
            "--from",
            from,
            "--subject-column",
            "record",
        ],
    )
    .ok();
    let classes = ["record=direct-identifier", "sex=ordinary"];
    node.run_as(
        Person::Steward,
        &["dataset", "classify", "heart", classes[0], classes[1]],
    )
    .ok();
    node.run_as(Person::Steward, &["dataset", "publish", "heart"]).ok();
    let sql = format!("SELECT count(sex) FROM {}.heart", node.id);
    node.run_as(Person::Researcher, &["query", &sql]).ok();
    (world, sql)
}

/// The entries about queries are in the ledger before the anchor of the state is updated; the record of each query is in the state before that.
#[test]
fn disk_older_state_with_only_queries_since_stops_the_start() {
    let (mut world, sql) = node_that_was_queried();
    let earlier = world.dir().join("earlier");
    let node = &mut world.nodes[0];
    // The copy is made of a running, idle node.
    copy(&node.dir.join("meta"), &earlier);
    node.run_as(Person::Researcher, &["query", &sql]).ok();
    node.kill();
    let newest = node.dir.with_file_name("newest-meta");
    fs::rename(node.dir.join("meta"), &newest).unwrap();
    copy(&earlier, &node.dir.join("meta"));
    for _ in 0..2 {
        let refused = node.try_start().expect_err("an older state started the node");
        assert_eq!(refused.code, Some(6), "{}", refused.report());
        for expected in ["`meta` was replaced", "no record", "restore a backup"] {
            assert!(refused.stderr.contains(expected), "{expected}: {}", refused.report());
        }
    }
    remove(&node.dir.join("meta"));
    fs::rename(&newest, node.dir.join("meta")).unwrap();
    node.start();
    node.forget_login();
    assert_ledger_valid(node);
}

/// The state covers the entries about a query as soon as its record names them, so that the ledger alone cannot be set back to before it.
/// Otherwise what was exported in between would be signed, and so would another history with the same numbers.
#[test]
fn disk_older_ledger_with_only_queries_since_stops_the_start() {
    let (mut world, sql) = node_that_was_queried();
    let earlier = world.dir().join("earlier");
    let newest = world.dir().join("newest");
    let node = &mut world.nodes[0];
    // Logged in before the copy is made: no entry but those about the query is in the newer ledger.
    copy(&node.dir.join("ledger"), &earlier);
    node.run_as(Person::Researcher, &["query", &sql]).ok();
    node.kill();
    copy(&node.dir.join("ledger"), &newest);
    replace(&earlier, &node.dir.join("ledger"));
    for _ in 0..2 {
        let refused = node.try_start().expect_err("an older ledger started the node");
        assert_eq!(refused.code, Some(6), "{}", refused.report());
        for expected in ["`ledger` was replaced", "restore the newest copy", "restore a backup"] {
            assert!(refused.stderr.contains(expected), "{expected}: {}", refused.report());
        }
    }
    replace(&newest, &node.dir.join("ledger"));
    node.start();
    node.forget_login();
    assert_ledger_valid(node);
}
