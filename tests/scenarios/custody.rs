//! What a house does with its own data over the years: keys are exchanged, versions go, datasets are erased, and an older state
//! that somebody puts back is noticed.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use concordat_tests::{House, Import, Person, World};

use super::assert_ledger_holds;

pub(super) const QUESTION: &str = "SELECT count(*) AS n, sum(chol) AS total FROM cleveland.heart";

/// One house with people in it and a dataset of which its own people may ask.
pub(super) fn settled() -> World {
    let world = World::strangers(1);
    let house = &world.houses[0];
    house.hire();
    house
        .as_(Person::Administrator, &["consortium", "found", "--name", "Alone"])
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
    let args = ["dataset", "import", "heart", "--from", path, "--append"];
    world.houses[0].as_(Person::Steward, &args).ok();
}

pub(super) fn answer(house: &House) -> String {
    house.ask(QUESTION).ok().stdout
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
fn keys_are_exchanged_while_questions_are_answered() {
    let mut world = settled();
    append(&world, 1000..2000);
    let right = answer(&world.houses[0]);
    let house = &world.houses[0];
    let officer = |args: &[&str]| house.json_as(Person::Administrator, args);
    let before = officer(&["key", "status"]);
    let key = before["items"][0]["key"].clone();

    officer(&["key", "rotate", "--master"]);
    assert_eq!(answer(house), right);
    assert_eq!(officer(&["key", "rotate", "--segment", "main"])["datasets"], 1);
    assert_eq!(answer(house), right);
    officer(&["key", "rotate", "--dataset", "heart", "--reencrypt"]);
    assert_eq!(answer(house), right);
    house.await_that("the end of encrypting again", |house| {
        let status = house.json_as(Person::Administrator, &["key", "status"]);
        status["items"][0]["reencrypting"] == false
    });
    let after = officer(&["key", "status"]);
    assert_ne!(after["items"][0]["key"], key);
    assert_eq!(after["items"][0]["older_keys"], serde_json::json!([]));
    assert_eq!(answer(house), right);
    house.refused_as(Person::Administrator, 4, &["key", "rotate", "--segment", "elsewhere"]);
    house.refused_as(Person::Researcher, 3, &["key", "rotate", "--master"]);

    let house = &mut world.houses[0];
    assert_eq!(house.stop(), Some(0));
    house.start();
    house.forget_login();
    assert_eq!(answer(house), right);
    house.as_(Person::Steward, &["dataset", "verify", "heart"]).ok();
    let told = house
        .as_(Person::Administrator, &["audit", "tail", "-n", "60"])
        .ok()
        .stdout;
    for what in [
        "master key was rotated",
        "key of segment main was rotated",
        "key of dataset heart was rotated",
    ] {
        assert!(told.contains(what), "{what}: {told}");
    }
    assert_ledger_holds(house);
}

#[test]
fn versions_go_by_rule_and_an_erased_dataset_does_not_come_back() {
    let mut world = settled();
    append(&world, 1000..1100);
    append(&world, 1100..1200);
    let house = &mut world.houses[0];
    let kept = house.json_as(Person::Steward, &["dataset", "retain", "heart", "--versions", "2"]);
    assert_eq!(kept["removed"], 1);
    let versions = house.json_as(Person::Steward, &["dataset", "versions", "heart"]);
    assert_eq!(versions.as_array().map(Vec::len), Some(2), "{versions}");
    let right = answer(house);

    let place = house.dir.parent().unwrap().to_owned();
    assert_eq!(house.stop(), Some(0));
    for part in ["meta", "identity", "objects"] {
        copy(&house.dir.join(part), &place.join("older").join(part));
    }
    house.start();
    house.forget_login();
    assert_eq!(answer(house), right);
    let unsure = house.refused_as(
        Person::Steward,
        2,
        &["dataset", "erase", "heart", "--reason", "the study ended"],
    );
    assert!(unsure["help"].to_string().contains("--yes"), "{unsure}");
    let order = ["dataset", "erase", "heart", "--reason", "the study ended", "--yes"];
    let done = house.json_as(Person::Steward, &order);
    assert_eq!(
        (done["versions"].clone(), done["reason"].clone()),
        (2.into(), "the study ended".into())
    );
    assert!(house.ask(QUESTION).code != Some(0));
    house.refused_as(Person::Steward, 4, &order);
    let erasures = house.json_as(Person::Administrator, &["dataset", "erasures"]);
    assert_eq!(erasures[0]["dataset"], "heart", "{erasures}");

    // The state of before, without the keys that belonged to it: it does not even start.
    assert_eq!(house.stop(), Some(0));
    copy(&house.dir, &place.join("newest"));
    fs::remove_dir_all(house.dir.join("meta")).unwrap();
    copy(&place.join("older/meta"), &house.dir.join("meta"));
    let refused = house.try_start().unwrap_err();
    assert_eq!(refused.code, Some(6), "{}", refused.story());

    // With everything of before but the ledger neither.
    for part in ["identity", "objects"] {
        fs::remove_dir_all(house.dir.join(part)).unwrap();
        copy(&place.join("older").join(part), &house.dir.join(part));
    }
    let refused = house.try_start().unwrap_err();
    assert_eq!(refused.code, Some(6), "{}", refused.story());
    fs::remove_dir_all(&house.dir).unwrap();
    copy(&place.join("newest"), &house.dir);
    house.start();
    house.forget_login();
    assert!(house.ask(QUESTION).code != Some(0));
    let objects = fs::read_dir(house.dir.join("objects")).unwrap();
    let left = objects
        .filter_map(Result::ok)
        .filter(|folder| fs::read_dir(folder.path()).unwrap().next().is_some());
    assert_eq!(left.count(), 0, "no object is left");
    assert_ledger_holds(house);
}

#[test]
fn an_older_catalogue_that_is_put_back_is_noticed_through_the_ledger() {
    let mut world = settled();
    let place = world.houses[0].dir.parent().unwrap().to_owned();
    let house = &mut world.houses[0];
    assert_eq!(house.stop(), Some(0));
    copy(&house.dir.join("meta"), &place.join("older"));
    house.start();
    house.forget_login();
    append(&world, 1000..2000);
    let house = &mut world.houses[0];
    let right = answer(house);
    assert_eq!(house.stop(), Some(0));
    copy(&house.dir.join("meta"), &place.join("newest"));

    fs::remove_dir_all(house.dir.join("meta")).unwrap();
    copy(&place.join("older"), &house.dir.join("meta"));
    let refused = house.try_start().unwrap_err();
    assert_eq!(refused.code, Some(6), "{}", refused.story());
    assert!(
        refused.stderr.contains("`meta` was replaced by an older copy"),
        "{}",
        refused.story()
    );

    fs::remove_dir_all(house.dir.join("meta")).unwrap();
    copy(&place.join("newest"), &house.dir.join("meta"));
    house.start();
    house.forget_login();
    assert_eq!(answer(house), right);
}

#[test]
fn a_column_that_comes_later_is_missing_in_the_rows_before() {
    let world = settled();
    let house = &world.houses[0];
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
    let imported = house.json_as(Person::Steward, &import);
    assert_eq!(
        imported["withdrawn"], true,
        "it has a column without a class: {imported}"
    );
    house
        .as_(Person::Steward, &["dataset", "classify", "heart", "weight=sensitive"])
        .ok();
    house.as_(Person::Steward, &["dataset", "publish", "heart"]).ok();
    let sql = "SELECT count(*) AS n, count(weight) AS weighed, min(weight) AS least FROM cleveland.heart";
    let answer = house.ask(sql).ok().table();
    assert_eq!(answer.rows, [["1100", "100", "60"]]);
    let sql = "SELECT sex, count(weight) AS weighed FROM cleveland.heart WHERE weight > 61 GROUP BY sex ORDER BY sex";
    let answer = house.ask(sql).ok().table();
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
    house.as_(Person::Steward, &["dataset", "verify", "heart"]).ok();
}

#[test]
fn a_lost_key_file_is_made_good_with_a_recovery_key() {
    let mut world = settled();
    let place = world.houses[0].dir.parent().unwrap().to_owned();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (recovery, escrow) = (place.join("recovery.txt"), place.join("keys.age"));
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

    let house = &mut world.houses[0];
    let right = answer(house);
    let (to, from) = (text(&escrow), text(&recovery));
    house.refused_as(
        Person::Administrator,
        2,
        &["key", "backup", "--to", &to, "--recipient", "age1nobody"],
    );
    let args = ["key", "backup", "--to", &to, "--recipient", public];
    house.as_(Person::Administrator, &args).ok();
    house.refused_as(Person::Administrator, 2, &args);
    let opened = Command::new("age")
        .args(["--decrypt", "-i", &from, &to])
        .output()
        .unwrap();
    assert!(
        opened.status.success() && opened.stdout.len() > 128,
        "another program opens it too"
    );

    assert_eq!(house.stop(), Some(0));
    fs::remove_file(house.dir.join("unlock.key")).unwrap();
    assert_eq!(house.try_start().unwrap_err().code, Some(7));
    let new = place.join("new.key");
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
    house.run(&recover).ok();
    house.start();
    house.forget_login();
    assert_eq!(answer(house), right);

    assert_eq!(house.stop(), Some(0));
    let newer = place.join("newer.key");
    fs::write(&newer, [0xB6; 32]).unwrap();
    fs::set_permissions(&newer, fs::Permissions::from_mode(0o600)).unwrap();
    house
        .run(&["key", "change-unlock", "--new-key-file", &text(&newer)])
        .ok();
    fs::remove_file(&new).unwrap();
    house.start();
    house.forget_login();
    assert_eq!(answer(house), right);
    assert_ledger_holds(house);
}
