//! The lifecycle of a node's own data: keys are rotated, versions are removed, datasets are erased, and a restored older state
//! is detected.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use concordat_tests::{Import, Person, TestNode, World};

use super::assert_ledger_valid;

pub(super) const SQL: &str = "SELECT count(*) AS n, sum(chol) AS total FROM cleveland.heart";

/// One node with users and a dataset that they may query.
pub(super) fn node_with_dataset() -> World {
    let world = World::unconnected(1);
    let node = &world.nodes[0];
    node.create_users();
    node.run_as(Person::Administrator, &["consortium", "found", "--name", "Alone"])
        .ok();
    let file = world.file("heart.csv", rows(0..1000));
    world.share(
        "cleveland",
        Import {
            dataset: "heart",
            from: &file,
            args: &["--each-row-is-a-subject"],
            classes: &["record=ordinary", "sex=sensitive", "chol=sensitive"],
        },
    );
    world
}

fn rows(numbers: std::ops::Range<u32>) -> String {
    let rows: String = numbers.map(|n| format!("{n},{},{}\n", n % 2, 200 + n % 61)).collect();
    format!("record,sex,chol\n{rows}")
}

pub(super) fn append(world: &World, numbers: std::ops::Range<u32>) {
    let file = world.file("more.csv", rows(numbers));
    let path = file.to_str().unwrap();
    let args = ["dataset", "import", "heart", "--from", path, "--append", "--again"];
    world.nodes[0].run_as(Person::Steward, &args).ok();
}

pub(super) fn answer(node: &TestNode) -> String {
    node.query(SQL).ok().stdout
}

/// Copies a folder with the modes of its files.
fn copy(from: &Path, to: &Path) {
    fs::DirBuilder::new().mode(0o700).recursive(true).create(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), &target).unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

#[test]
fn keys_are_rotated_while_queries_are_answered() {
    let mut world = node_with_dataset();
    append(&world, 1000..2000);
    let right = answer(&world.nodes[0]);
    let node = &world.nodes[0];
    let officer = |args: &[&str]| node.json_as(Person::Administrator, args);
    let before = officer(&["key", "status"]);
    let key = before["items"][0]["key"].clone();

    officer(&["key", "rotate", "--master"]);
    assert_eq!(answer(node), right);
    assert_eq!(officer(&["key", "rotate", "--segment", "main"])["datasets"], 1);
    assert_eq!(answer(node), right);
    officer(&["key", "rotate", "--dataset", "heart", "--reencrypt"]);
    assert_eq!(answer(node), right);
    node.await_condition("the end of the re-encryption", |node| {
        let status = node.json_as(Person::Administrator, &["key", "status"]);
        status["items"][0]["reencrypting"] == false
    });
    let after = officer(&["key", "status"]);
    assert_ne!(after["items"][0]["key"], key);
    assert_eq!(after["items"][0]["older_keys"], serde_json::json!([]));
    assert_eq!(answer(node), right);
    node.refused_as(Person::Administrator, 4, &["key", "rotate", "--segment", "elsewhere"]);
    node.refused_as(Person::Researcher, 3, &["key", "rotate", "--master"]);

    let node = &mut world.nodes[0];
    assert_eq!(node.stop(), Some(0));
    node.start();
    node.forget_login();
    assert_eq!(answer(node), right);
    node.run_as(Person::Steward, &["dataset", "verify", "heart"]).ok();
    let changes = super::entries(node, "key_changed");
    for key in ["master key", "key of segment main", "key of dataset heart"] {
        let rotated = serde_json::json!({ "key": key, "change": "rotated" });
        assert!(changes.contains(&rotated), "{key}: {changes:?}");
    }
    assert_ledger_valid(node);
}

#[test]
fn versions_follow_retention_and_erased_datasets_stay_erased() {
    let mut world = node_with_dataset();
    append(&world, 1000..1100);
    append(&world, 1100..1200);
    let node = &mut world.nodes[0];
    let retained = node.json_as(Person::Steward, &["dataset", "retain", "heart", "--versions", "2"]);
    assert_eq!(retained["removed"], 1);
    let versions = node.json_as(Person::Steward, &["dataset", "versions", "heart"]);
    assert_eq!(versions.as_array().map(Vec::len), Some(2), "{versions}");
    let right = answer(node);

    let folder = node.dir.parent().unwrap().to_owned();
    assert_eq!(node.stop(), Some(0));
    for part in ["meta", "identity", "objects"] {
        copy(&node.dir.join(part), &folder.join("older").join(part));
    }
    node.start();
    node.forget_login();
    assert_eq!(answer(node), right);
    node.refused_as(
        Person::Steward,
        2,
        &["dataset", "erase", "heart", "--reason", "the study ended"],
    );
    assert_eq!(answer(node), right, "nothing is erased without a confirmation");
    let order = ["dataset", "erase", "heart", "--reason", "the study ended", "--yes"];
    let done = node.json_as(Person::Steward, &order);
    assert_eq!(
        (done["versions"].clone(), done["reason"].clone()),
        (2.into(), "the study ended".into())
    );
    assert!(node.query(SQL).code != Some(0));
    node.refused_as(Person::Steward, 4, &order);
    let erasures = node.json_as(Person::Administrator, &["dataset", "erasures"]);
    assert_eq!(erasures[0]["dataset"], "heart", "{erasures}");

    // The earlier state without the keys that belong to it: the node does not start.
    assert_eq!(node.stop(), Some(0));
    copy(&node.dir, &folder.join("newest"));
    fs::remove_dir_all(node.dir.join("meta")).unwrap();
    copy(&folder.join("older/meta"), &node.dir.join("meta"));
    let refused = node.try_start().unwrap_err();
    assert_eq!(refused.code, Some(6), "{}", refused.report());

    // With everything from before except the ledger it does not start either.
    for part in ["identity", "objects"] {
        fs::remove_dir_all(node.dir.join(part)).unwrap();
        copy(&folder.join("older").join(part), &node.dir.join(part));
    }
    let refused = node.try_start().unwrap_err();
    assert_eq!(refused.code, Some(6), "{}", refused.report());
    fs::remove_dir_all(&node.dir).unwrap();
    copy(&folder.join("newest"), &node.dir);
    node.start();
    node.forget_login();
    assert!(node.query(SQL).code != Some(0));
    let objects = fs::read_dir(node.dir.join("objects")).unwrap();
    let left = objects
        .filter_map(Result::ok)
        .filter(|entry| fs::read_dir(entry.path()).unwrap().next().is_some());
    assert_eq!(left.count(), 0, "no object remains");
    assert_ledger_valid(node);
}

#[test]
fn import_that_removes_older_versions_is_entered() {
    let world = node_with_dataset();
    let node = &world.nodes[0];
    let retained = node.json_as(Person::Steward, &["dataset", "retain", "heart", "--versions", "1"]);
    assert_eq!(retained["removed"], 0);
    append(&world, 1000..1100);
    let versions = node.json_as(Person::Steward, &["dataset", "versions", "heart"]);
    assert_eq!(versions.as_array().map(Vec::len), Some(1), "{versions}");
    let entries = entries(node);
    for what in [
        "at most 1 versions of heart are retained",
        "versions of heart before 2 were removed",
    ] {
        assert!(entries.contains(what), "{what}: {entries}");
    }
    assert_ledger_valid(node);
}

/// The newest entries of the ledger, as text.
fn entries(node: &TestNode) -> String {
    node.run_as(Person::Administrator, &["audit", "tail", "-n", "60"])
        .ok()
        .stdout
}

#[test]
fn older_catalog_that_is_restored_is_detected_by_the_ledger() {
    let mut world = node_with_dataset();
    let folder = world.nodes[0].dir.parent().unwrap().to_owned();
    let node = &mut world.nodes[0];
    assert_eq!(node.stop(), Some(0));
    copy(&node.dir.join("meta"), &folder.join("older"));
    node.start();
    node.forget_login();
    append(&world, 1000..2000);
    let node = &mut world.nodes[0];
    let right = answer(node);
    assert_eq!(node.stop(), Some(0));
    copy(&node.dir.join("meta"), &folder.join("newest"));

    fs::remove_dir_all(node.dir.join("meta")).unwrap();
    copy(&folder.join("older"), &node.dir.join("meta"));
    let refused = node.try_start().unwrap_err();
    assert_eq!(refused.code, Some(6), "{}", refused.report());
    assert!(
        refused.stderr.contains("`meta` was replaced by an older copy"),
        "{}",
        refused.report()
    );

    fs::remove_dir_all(node.dir.join("meta")).unwrap();
    copy(&folder.join("newest"), &node.dir.join("meta"));
    node.start();
    node.forget_login();
    assert_eq!(answer(node), right);
}

#[test]
fn column_added_later_is_null_in_earlier_rows() {
    let world = node_with_dataset();
    let node = &world.nodes[0];
    let text: String = (1000..1100)
        .map(|n| format!("{n},{},{},{}\n", n % 2, 200, 60 + n % 9))
        .collect();
    let file = world.file("with-weight.csv", format!("record,sex,chol,weight\n{text}"));
    let import = [
        "dataset",
        "import",
        "heart",
        "--from",
        file.to_str().unwrap(),
        "--append",
    ];
    let imported = node.json_as(Person::Steward, &import);
    assert_eq!(
        imported["withdrawn"], true,
        "it has a column without a class: {imported}"
    );
    node.run_as(Person::Steward, &["dataset", "classify", "heart", "weight=sensitive"])
        .ok();
    node.run_as(Person::Steward, &["dataset", "publish", "heart"]).ok();
    let sql = "SELECT count(*) AS n, count(weight) AS known, min(weight) AS least FROM cleveland.heart";
    let answer = node.query(sql).ok().table();
    assert_eq!(answer.rows, [["1100", "100", "60"]]);
    let sql = "SELECT sex, count(weight) AS known FROM cleveland.heart WHERE weight > 61 GROUP BY sex ORDER BY sex";
    let answer = node.query(sql).ok().table();
    let heavier = |sex: u32| {
        (1000..1100)
            .filter(|n| n % 2 == sex && 60 + n % 9 > 61)
            .count()
            .to_string()
    };
    assert_eq!(
        answer.rows,
        [["0".to_owned(), heavier(0)], ["1".to_owned(), heavier(1)]]
    );
    node.run_as(Person::Steward, &["dataset", "verify", "heart"]).ok();
}

#[test]
fn lost_key_file_is_recovered_with_a_recovery_key() {
    let mut world = node_with_dataset();
    let folder = world.nodes[0].dir.parent().unwrap().to_owned();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let recovery = folder.join("recovery.txt");
    let escrow = folder.join("keys.age");
    let Ok(made) = Command::new("age-keygen").arg("-o").arg(&recovery).output() else {
        eprintln!("skipped: there is no `age-keygen`; install the package `age`");
        return;
    };
    assert!(made.status.success(), "{made:?}");
    let lines = fs::read_to_string(&recovery).unwrap();
    let public = lines
        .lines()
        .find_map(|line| line.strip_prefix("# public key: "))
        .unwrap();

    let node = &mut world.nodes[0];
    let right = answer(node);
    let to = text(&escrow);
    let from = text(&recovery);
    node.refused_as(
        Person::Administrator,
        2,
        &["key", "backup", "--to", &to, "--recipient", "age1invalid"],
    );
    let args = ["key", "backup", "--to", &to, "--recipient", public];
    node.run_as(Person::Administrator, &args).ok();
    node.refused_as(Person::Administrator, 2, &args);
    let opened = Command::new("age")
        .args(["--decrypt", "-i", &from, &to])
        .output()
        .unwrap();
    assert!(
        opened.status.success() && opened.stdout.len() > 128,
        "another program can open it too"
    );

    assert_eq!(node.stop(), Some(0));
    fs::remove_file(node.dir.join("unlock.key")).unwrap();
    assert_eq!(node.try_start().unwrap_err().code, Some(7));
    let new = folder.join("new.key");
    fs::write(&new, [0xA5; 32]).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
    let recover = [
        "key",
        "recover",
        "--from",
        &to,
        "--identity",
        &from,
        "--new-key-file",
        &text(&new),
    ];
    node.run(&recover).ok();
    node.start();
    node.forget_login();
    assert_eq!(answer(node), right);

    assert_eq!(node.stop(), Some(0));
    let newer = folder.join("newer.key");
    fs::write(&newer, [0xB6; 32]).unwrap();
    fs::set_permissions(&newer, fs::Permissions::from_mode(0o600)).unwrap();
    node.run(&["key", "change-unlock", "--new-key-file", &text(&newer)])
        .ok();
    fs::remove_file(&new).unwrap();
    node.start();
    node.forget_login();
    assert_eq!(answer(node), right);
    let entries = entries(node);
    for what in [
        "unlock secret was replaced by means of a backup",
        "unlock secret was rotated",
    ] {
        assert!(entries.contains(what), "{what}: {entries}");
    }
    assert_ledger_valid(node);
}
