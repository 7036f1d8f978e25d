//! A house that loses its machine and is made anew from a snapshot.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use concordat_tests::{House, Person, World};

use super::assert_ledger_holds;
use super::custody::{QUESTION, answer, append, settled};

/// Moves the key file out of the data directory, to where an operator would keep it.
fn keep_key(house: &House, place: &Path) -> PathBuf {
    let kept = place.join("unlock.key");
    fs::copy(house.dir.join("unlock.key"), &kept).unwrap();
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o600)).unwrap();
    kept
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn prepared() -> (World, PathBuf, PathBuf) {
    let world = settled();
    let place = world.houses[0].dir.parent().unwrap().to_owned();
    let key = keep_key(&world.houses[0], &place);
    (world, place.join("backups"), key)
}

fn back_up(house: &House, to: &Path) {
    let made = house.json_as(Person::Administrator, &["backup", "create", "--to", text(to)]);
    assert!(made["objects"].as_u64() > Some(0), "{made}");
}

#[test]
fn a_lost_machine_is_made_anew_from_a_snapshot() {
    let (mut world, backups, key) = prepared();
    back_up(&world.houses[0], &backups);
    append(&world, 1000..2000);
    let right = answer(&world.houses[0]);
    back_up(&world.houses[0], &backups);
    append(&world, 2000..2100);
    let house = &mut world.houses[0];
    house.refused_as(Person::Researcher, 3, &["backup", "create", "--to", text(&backups)]);
    let inside = house.dir.join("backups");
    house.refused_as(Person::Administrator, 2, &["backup", "create", "--to", text(&inside)]);
    house.kill();
    let from = ["--from", text(&backups)];
    let checked = house
        .run(&[&["--format", "json", "backup", "verify"], &from[..]].concat())
        .ok()
        .json();
    assert_eq!(
        (checked["snapshots"].clone(), checked["ok"].clone()),
        (2.into(), true.into()),
        "{checked}"
    );
    let listed = house
        .run(&[&["--format", "json", "backup", "list"], &from[..]].concat())
        .ok()
        .json();
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");

    // Mistakes first: a folder that is not empty, no key file, another key file.
    let restore = [&["--format", "json", "restore"], &from[..]].concat();
    let full = house
        .run(&[&restore[..], &["--key-file", text(&key)]].concat())
        .exits(2)
        .problem();
    assert!(full["detail"].to_string().contains("not empty"), "{full}");
    let lost = house.dir.clone();
    house.dir = lost.with_file_name("anew");
    let unsaid = house.run(&restore).exits(7).problem();
    assert!(unsaid["help"].to_string().contains("--key-file"), "{unsaid}");
    let other = lost.with_file_name("other.key");
    fs::write(&other, [7; 32]).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).unwrap();
    house
        .run(&[&restore[..], &["--key-file", text(&other)]].concat())
        .exits(7);
    assert!(!house.dir.exists(), "nothing is left behind");

    house.run(&[&restore[..], &["--key-file", text(&key)]].concat()).ok();
    fs::remove_dir_all(&lost).unwrap();
    house.start();
    house.forget_login();
    assert_eq!(answer(house), right);
    house.as_(Person::Steward, &["dataset", "verify", "heart"]).ok();
    assert_ledger_holds(house);
    let told = house
        .as_(Person::Administrator, &["audit", "tail", "-n", "60"])
        .ok()
        .stdout;
    assert!(told.contains("the node was restored from snapshot"), "{told}");
    append(&world, 2000..2050);
    back_up(&world.houses[0], &backups);
}

#[test]
fn an_erased_dataset_does_not_come_back_with_an_older_backup() {
    let (mut world, backups, key) = prepared();
    back_up(&world.houses[0], &backups);
    let house = &mut world.houses[0];
    let away = backups.with_file_name("out of reach");
    fs::rename(&backups, &away).unwrap();
    let order = ["dataset", "erase", "heart", "--reason", "the study ended", "--yes"];
    let erased = house.json_as(Person::Steward, &order);
    assert_eq!(erased["repositories_out_of_reach"][0], text(&backups), "{erased}");
    fs::rename(&away, &backups).unwrap();
    assert_eq!(house.stop(), Some(0));
    house.start();
    house.forget_login();
    house.await_that("the erasure in the repository", |_| {
        fs::read_dir(backups.join("objects")).unwrap().next().is_none()
    });
    house.kill();

    house.dir = house.dir.with_file_name("anew");
    let args = [
        "--format",
        "json",
        "restore",
        "--from",
        text(&backups),
        "--key-file",
        text(&key),
    ];
    let restored = house.run(&args).ok();
    assert_eq!(restored.json()["erased"][0], "heart", "{}", restored.story());
    house.start();
    house.forget_login();
    assert_ne!(house.ask(QUESTION).code, Some(0));
    assert_ledger_holds(house);
}

#[test]
fn a_restore_that_is_killed_leaves_no_half_node_and_can_be_done_again() {
    let (mut world, backups, key) = prepared();
    let right = answer(&world.houses[0]);
    back_up(&world.houses[0], &backups);
    let house = &mut world.houses[0];
    house.kill();
    house.dir = house.dir.with_file_name("anew");
    let restore = ["restore", "--from", text(&backups), "--key-file", text(&key)];
    let mut killed = 0;
    for millis in [0, 5, 10, 20, 40, 80, 160, 320] {
        let mut restoring = house.spawn(&restore);
        sleep(Duration::from_millis(millis));
        restoring.kill().unwrap();
        restoring.wait().unwrap();
        if house.dir.exists() {
            break;
        }
        killed += 1;
    }
    assert!(killed > 0, "no restore was killed before its end");
    if !house.dir.exists() {
        house.run(&restore).ok();
    }
    house.start();
    house.forget_login();
    assert_eq!(answer(house), right);
    assert_ledger_holds(house);
}

#[test]
fn a_damaged_repository_is_refused() {
    let (mut world, backups, key) = prepared();
    back_up(&world.houses[0], &backups);
    let house = &mut world.houses[0];
    house.kill();
    house.dir = house.dir.with_file_name("anew");
    let folder = fs::read_dir(backups.join("objects"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let object = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&object).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&object, bytes).unwrap();
    let damaged = house
        .run(&["--format", "json", "backup", "verify", "--from", text(&backups)])
        .exits(6)
        .problem();
    assert!(
        damaged["detail"].to_string().contains("is not what was written"),
        "{damaged}"
    );
    house
        .run(&["restore", "--from", text(&backups), "--key-file", text(&key)])
        .exits(6);
    assert!(!house.dir.exists());
    house
        .run(&["backup", "verify", "--from", text(&backups.join("nowhere"))])
        .exits(2);
}
