//! Files and folders of the data directory are exchanged while the node is down: an older copy, another node's, an edited one,
//! one removed or added. The node starts as if nothing had happened, or it does not start and says what was exchanged.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use concordat_tests::{House, Person, World};
use serde_json::Value;

use super::{assert_ledger_holds, causes};

/// A node with two moments kept: before a member was removed and a person disabled, and after.
struct Kept {
    world: World,
    earlier: PathBuf,
    newest: PathBuf,
    /// The data directory of another node.
    other: PathBuf,
    /// What the node says of itself at the newest moment.
    facts: Value,
}

impl Kept {
    fn new() -> Self {
        let mut world = World::strangers(2);
        for house in &world.houses {
            house.hire();
        }
        world.unite();
        let place = world.place().to_owned();
        let [earlier, newest, other] = ["earlier", "newest", "other"].map(|name| place.join(name));
        world.house_mut("budapest").stop();
        copy(&world.house("budapest").dir, &other);
        let house = world.house_mut("cleveland");
        house.stop();
        copy(&house.dir, &earlier);
        house.start();
        house.forget_login();
        house
            .as_(Person::Administrator, &["consortium", "remove", "budapest"])
            .ok();
        house.run(&["user", "disable", "rufus"]).ok();
        let facts = facts(house);
        house.stop();
        copy(&house.dir, &newest);
        Self {
            world,
            earlier,
            newest,
            other,
            facts,
        }
    }

    /// Starts the node over the newest moment with a change, and tells what it said if it did not start. If it started, it has to
    /// be the node of the newest moment.
    #[track_caller]
    fn start_after(&mut self, what: &str, change: impl FnOnce(&Path)) -> Option<(i32, String)> {
        let house = self.world.house_mut("cleveland");
        fs::remove_dir_all(&house.dir).unwrap();
        copy(&self.newest, &house.dir);
        change(&house.dir);
        match house.try_start() {
            Ok(()) => {
                house.forget_login();
                assert_eq!(facts(house), self.facts, "{what}: the node is not what it was");
                house.kill();
                None
            }
            Err(refusal) => {
                let code = refusal.code.unwrap_or_else(|| panic!("{what}: {}", refusal.story()));
                assert_ne!(code, 0, "{what}: {}", refusal.story());
                assert!(!refusal.stderr.trim().is_empty(), "{what}: it does not say why");
                Some((code, refusal.stderr))
            }
        }
    }
}

/// What an attacker would change: who is a member, who may log in, what the node lets peers occupy.
#[track_caller]
fn facts(house: &House) -> Value {
    let roster = house.json_as(Person::Administrator, &["consortium", "roster", "show"]);
    let members = roster["members"].as_array().expect("members").iter();
    let members: Vec<Value> = members
        .map(|member| serde_json::json!([member["institution"], member["status"], member["fingerprint"]]))
        .collect();
    let mut people = house.json_as(Person::Administrator, &["user", "list"]);
    assert_ledger_holds(house);
    serde_json::json!([roster["number"], roster["digest"], members, people.take()])
}

/// Puts what lies at `from`, a file or a folder, in the place of `to`.
fn exchange(from: &Path, to: &Path) {
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

/// Copies a folder with its permissions; sockets are left out.
pub(super) fn copy(from: &Path, to: &Path) {
    let mode = fs::metadata(from).unwrap().permissions().mode();
    fs::DirBuilder::new().mode(mode).create(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
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
fn disk_each_part_exchanged_is_refused_or_harmless() {
    let mut kept = Kept::new();
    let (earlier, other) = (kept.earlier.clone(), kept.other.clone());
    for part in parts(&kept.newest.clone()) {
        let what = format!("an earlier {}", part.display());
        kept.start_after(&what, |dir| exchange(&earlier.join(&part), &dir.join(&part)));
        let what = format!("the other node's {}", part.display());
        kept.start_after(&what, |dir| exchange(&other.join(&part), &dir.join(&part)));
        let what = format!("no {}", part.display());
        kept.start_after(&what, |dir| remove(&dir.join(&part)));
    }
}

#[test]
fn disk_older_state_or_ledger_stops_the_start() {
    let mut kept = Kept::new();
    let (earlier, other) = (kept.earlier.clone(), kept.other.clone());
    for (parts, word) in [
        (["meta"].as_slice(), "`meta` was replaced"),
        (&["ledger"], "`ledger` was replaced"),
        (&["ledger", "concordat.toml"], "`ledger` was replaced"),
        (&["meta", "identity"], "`meta` was replaced"),
    ] {
        let what = format!("earlier {parts:?}");
        let refused = kept.start_after(&what, |dir| {
            parts
                .iter()
                .for_each(|part| exchange(&earlier.join(part), &dir.join(part)));
        });
        let (code, said) = refused.unwrap_or_else(|| panic!("{what} started the node"));
        assert_eq!(code, 6, "{what}: {said}");
        assert!(
            said.contains(word) && said.contains("restore a backup"),
            "{what}: {said}"
        );
    }
    let refused = kept.start_after("no ledger", |dir| remove(&dir.join("ledger")));
    assert_eq!(refused.map(|(code, _)| code), Some(6));
    for part in ["meta", "ledger", "identity", "concordat.toml"] {
        let refused = kept.start_after(&format!("the other node's {part}"), |dir| {
            exchange(&other.join(part), &dir.join(part));
        });
        assert!(refused.is_some(), "the other node's {part} started this node");
    }
}

#[test]
fn disk_older_roster_file_decides_nothing() {
    let mut kept = Kept::new();
    let house = kept.world.house_mut("budapest");
    house.start();
    house.forget_login();
    // A roster on which budapest still is: signed by the charter key, and in force.
    let older = house
        .as_(Person::Administrator, &["consortium", "roster", "show", "--armour"])
        .ok()
        .stdout;
    house.stop();
    for name in ["roster.cose", "roster.txt"] {
        let started = kept.start_after(name, |dir| {
            fs::write(dir.join(name), &older).unwrap();
            fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o600)).unwrap();
        });
        assert_eq!(started, None, "a file beside the state is not read");
    }
}

#[test]
fn disk_changed_configuration_needs_acceptance() {
    let mut kept = Kept::new();
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
    let (code, said) = kept.start_after("wider limits", edit).expect("it does not start");
    assert_eq!(code, 6, "{said}");
    for word in ["limits.streams", "7777", "concordat config accept"] {
        assert!(said.contains(word), "{word} is not in: {said}");
    }
    let house = kept.world.house_mut("cleveland");
    // Who may not accept it does not: a steward, a wrong password.
    house
        .typed(&["config", "accept", "--as", "stella"], Some(concordat_tests::PASSWORD))
        .exits(3);
    house
        .typed(
            &["config", "accept", "--as", "administrator"],
            Some("wrong wrong wrong"),
        )
        .exits(7);
    house.accept_configuration();
    house.stop();
    house.start();
    house.forget_login();
    let accepted = causes(house, "configuration_accepted");
    assert_eq!(accepted.len(), 2, "{accepted:?}");
    assert_eq!(
        accepted[1]["person"]["actor"], "administrator@cleveland",
        "{accepted:?}"
    );
    house.stop();
    let quieter = kept.start_after("another log level", |dir| {
        let path = dir.join("concordat.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text.replace("level = \"info\"", "level = \"warn\"")).unwrap();
    });
    assert_eq!(quieter, None, "what decides nothing needs no acceptance");
}

#[test]
fn disk_policy_file_decides_nothing() {
    let mut kept = Kept::new();
    const OPEN: &str = "@id(\"open\") @reason(\"r\") @remedy(\"m\") permit(principal, action, resource);";
    let started = kept.start_after("a file in policies/", |dir| {
        fs::DirBuilder::new().mode(0o700).create(dir.join("policies")).unwrap();
        let file = dir.join("policies/open.cedar");
        fs::write(&file, OPEN).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    });
    assert_eq!(started, None);
    let house = kept.world.house_mut("cleveland");
    house.start();
    house.forget_login();
    let shown = house.json_as(Person::Steward, &["policy", "show"]);
    assert_eq!(shown["number"], 1, "{shown}");
    assert!(!shown["files"].to_string().contains("open"), "{shown}");
    assert_eq!(house.status()["policy"]["digest"], shown["digest"]);
}

/// The entries about queries are in the ledger before the state's anchor follows; the record of each query is in the state before.
#[test]
fn disk_older_state_with_only_queries_in_between_stops_the_start() {
    let mut world = World::strangers(1);
    let file = world.file("patients.csv", "record,sex\n1,0\n2,1\n3,1\n");
    let earlier = world.place().join("earlier");
    let house = &mut world.houses[0];
    house.hire();
    house
        .as_(Person::Administrator, &["consortium", "found", "--name", "Heart Study"])
        .ok();
    let from = file.to_str().unwrap();
    house
        .as_(
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
    house
        .as_(
            Person::Steward,
            &["dataset", "classify", "heart", classes[0], classes[1]],
        )
        .ok();
    house.as_(Person::Steward, &["dataset", "publish", "heart"]).ok();
    let sql = format!("SELECT count(sex) FROM {}.heart", house.id);
    house.as_(Person::Researcher, &["query", &sql]).ok();
    // The copy is of a node that runs and does nothing.
    copy(&house.dir.join("meta"), &earlier);
    house.as_(Person::Researcher, &["query", &sql]).ok();
    house.kill();
    let newest = house.dir.with_file_name("newest-meta");
    fs::rename(house.dir.join("meta"), &newest).unwrap();
    copy(&earlier, &house.dir.join("meta"));
    for _ in 0..2 {
        let refused = house.try_start().expect_err("an older state started the node");
        assert_eq!(refused.code, Some(6), "{}", refused.story());
        for word in ["`meta` was replaced", "no record", "restore a backup"] {
            assert!(refused.stderr.contains(word), "{word}: {}", refused.story());
        }
    }
    remove(&house.dir.join("meta"));
    fs::rename(&newest, house.dir.join("meta")).unwrap();
    house.start();
    house.forget_login();
    assert_ledger_holds(house);
}
