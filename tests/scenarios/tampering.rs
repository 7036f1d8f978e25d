//! A flipped bit in any file of the data directory: the node refuses, or says which check failed, or answers correctly. It
//! never answers wrongly.
//!
//! `CONCORDAT_FLIPS` says how many places are tried in each file.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use concordat_tests::{House, Import, Person, World};

use super::assert_ledger_holds;

/// Places in each file where nothing is said.
const FLIPS: usize = 1;
const QUESTION: &str = "SELECT sex, count(*) AS n, sum(chol) AS total FROM cleveland.heart GROUP BY sex ORDER BY sex";

/// What a node said about its damaged data.
#[derive(Debug, Default)]
struct Verdicts {
    refused_to_start: usize,
    told_by_a_check: usize,
    answered_correctly: usize,
}

#[test]
fn a_flipped_bit_is_noticed_or_does_no_harm() {
    let mut world = World::strangers(1);
    let right = prepared(&world);
    let place = world.place().to_owned();
    let house = &mut world.houses[0];
    assert_eq!(house.stop(), Some(0));
    let intact = place.join("intact");
    copy(&house.dir, &intact);

    let mut verdicts = Verdicts::default();
    for file in data_files(house) {
        let length = fs::metadata(house.dir.join(&file)).unwrap().len();
        for flip in 0..flips().min(usize::try_from(length).unwrap()) {
            let at = usize::try_from(length).unwrap() * (2 * flip + 1) / (2 * flips());
            flip_bit(&house.dir.join(&file), at, flip);
            judge(
                house,
                &right,
                &format!("bit {} of byte {at} of {length} in {file}", flip % 8),
                &mut verdicts,
            );
            fs::remove_dir_all(&house.dir).unwrap();
            copy(&intact, &house.dir);
        }
    }
    house.start();
    house.forget_login();
    assert_ledger_holds(house);
    println!("flipped bits: {verdicts:?}");
    assert!(
        verdicts.refused_to_start + verdicts.told_by_a_check > verdicts.answered_correctly,
        "{verdicts:?}"
    );
}

/// A dataset and some history; returns the right answer.
fn prepared(world: &World) -> String {
    let house = &world.houses[0];
    house.hire();
    house
        .as_(Person::Administrator, &["consortium", "found", "--name", "Alone"])
        .ok();
    let rows: String = (0..3000).map(|n| format!("{n},{},{}\n", n % 2, 200 + n % 61)).collect();
    let file = world.file("heart.csv", format!("record,sex,chol\n{rows}"));
    let classes = ["record=ordinary", "sex=sensitive", "chol=sensitive"];
    world.share(
        "cleveland",
        Import {
            dataset: "heart",
            from: &file,
            args: &["--each-row-is-a-subject"],
            classes: &classes,
        },
    );
    house.ask(QUESTION).ok().stdout
}

/// The files that hold something when the node is at rest, relative to the data directory.
fn data_files(house: &House) -> Vec<String> {
    let files = house.files().into_iter();
    let names = files.map(|path| path.strip_prefix(&house.dir).unwrap().to_str().unwrap().to_owned());
    let names: Vec<String> = names
        .filter(|name| !name.starts_with("run/") && !name.starts_with("log/"))
        .collect();
    assert!(names.len() > 5, "{names:?}");
    names
}

fn judge(house: &mut House, right: &str, what: &str, verdicts: &mut Verdicts) {
    if let Err(refusal) = house.try_start() {
        assert_ne!(refusal.code, Some(0), "{what}: {}", refusal.story());
        assert!(
            !refusal.stderr.trim().is_empty(),
            "{what}: it does not say why it does not start"
        );
        verdicts.refused_to_start += 1;
        return;
    }
    house.forget_login();
    let told = checks_that_fail(house);
    let answer = house.typed(&["login", Person::Researcher.name()], Some(concordat_tests::PASSWORD));
    let answer = if answer.code == Some(0) {
        house.run(&["--format", "csv", "query", QUESTION])
    } else {
        answer
    };
    if answer.code == Some(0) {
        assert_eq!(answer.stdout, right, "{what}: a wrong answer");
    }
    match (told, answer.code) {
        (true, _) => verdicts.told_by_a_check += 1,
        (false, Some(0)) => verdicts.answered_correctly += 1,
        (false, _) => panic!("{what}: no check tells why there is no answer: {}", answer.story()),
    }
    house.kill();
}

/// Whether a login or a check of ledger or dataset says that something is wrong.
fn checks_that_fail(house: &House) -> bool {
    let login = house.typed(&["login", "administrator"], Some(concordat_tests::PASSWORD));
    if login.code != Some(0) {
        return true;
    }
    let checks = [["audit", "verify"].as_slice(), &["dataset", "verify", "heart"]];
    checks.iter().any(|check| house.run(check).code != Some(0))
}

fn flip_bit(path: &Path, at: usize, bit: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1 << (bit % 8);
    fs::write(path, bytes).unwrap();
}

/// Copies a folder with its permissions; sockets are left out.
fn copy(from: &Path, to: &Path) {
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

fn flips() -> usize {
    let given = std::env::var("CONCORDAT_FLIPS").ok();
    given.map_or(FLIPS, |flips| flips.parse().expect("a number of places"))
}
