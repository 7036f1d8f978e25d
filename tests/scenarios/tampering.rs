//! A flipped bit in any file of the data directory: the node refuses to start, or reports the failed check, or answers correctly.
//! It never answers wrongly.
//!
//! `CONCORDAT_FLIPS` sets how many positions are tried in each file.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use concordat_tests::{Import, Person, TestNode, World};

use super::assert_ledger_valid;

/// The default number of positions in each file.
const FLIPS: usize = 1;
const SQL: &str = "SELECT sex, count(*) AS n, sum(chol) AS total FROM cleveland.heart GROUP BY sex ORDER BY sex";

/// How nodes reacted to damaged data.
#[derive(Debug, Default)]
struct Outcomes {
    refused_to_start: usize,
    reported_by_a_check: usize,
    answered_correctly: usize,
}

#[test]
fn flipped_bit_is_detected_or_harmless() {
    let mut world = World::unconnected(1);
    let right = prepared(&world);
    let dir = world.dir().to_owned();
    let node = &mut world.nodes[0];
    assert_eq!(node.stop(), Some(0));
    let intact = dir.join("intact");
    copy(&node.dir, &intact);

    let mut outcomes = Outcomes::default();
    for file in data_files(node) {
        let length = fs::metadata(node.dir.join(&file)).unwrap().len();
        for flip in 0..flips().min(usize::try_from(length).unwrap()) {
            let at = usize::try_from(length).unwrap() * (2 * flip + 1) / (2 * flips());
            flip_bit(&node.dir.join(&file), at, flip);
            check(
                node,
                &right,
                &format!("bit {} of byte {at} of {length} in {file}", flip % 8),
                &mut outcomes,
            );
            fs::remove_dir_all(&node.dir).unwrap();
            copy(&intact, &node.dir);
        }
    }
    node.start();
    node.forget_login();
    assert_ledger_valid(node);
    println!("flipped bits: {outcomes:?}");
    assert!(
        outcomes.refused_to_start + outcomes.reported_by_a_check > outcomes.answered_correctly,
        "{outcomes:?}"
    );
}

/// Creates a dataset and some history; returns the correct answer.
fn prepared(world: &World) -> String {
    let node = &world.nodes[0];
    node.create_users();
    node.run_as(Person::Administrator, &["consortium", "found", "--name", "Alone"])
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
    node.query(SQL).ok().stdout
}

/// The files with data of a stopped node, relative to the data directory.
fn data_files(node: &TestNode) -> Vec<String> {
    let files = node.files().into_iter();
    let names = files.map(|path| path.strip_prefix(&node.dir).unwrap().to_str().unwrap().to_owned());
    let names: Vec<String> = names
        .filter(|name| !name.starts_with("run/") && !name.starts_with("log/"))
        .collect();
    assert!(names.len() > 5, "{names:?}");
    names
}

fn check(node: &mut TestNode, right: &str, what: &str, outcomes: &mut Outcomes) {
    if let Err(refusal) = node.try_start() {
        assert_ne!(refusal.code, Some(0), "{what}: {}", refusal.report());
        assert!(!refusal.stderr.trim().is_empty(), "{what}: there is no message");
        outcomes.refused_to_start += 1;
        return;
    }
    node.forget_login();
    let reported = a_check_fails(node);
    let answer = node.run_with_input(&["login", Person::Researcher.name()], Some(concordat_tests::PASSWORD));
    let answer = if answer.code == Some(0) {
        node.run(&["--format", "csv", "query", SQL])
    } else {
        answer
    };
    if answer.code == Some(0) {
        assert_eq!(answer.stdout, right, "{what}: a wrong answer");
    }
    match (reported, answer.code) {
        (true, _) => outcomes.reported_by_a_check += 1,
        (false, Some(0)) => outcomes.answered_correctly += 1,
        (false, _) => panic!("{what}: no check reports why there is no answer: {}", answer.report()),
    }
    node.kill();
}

/// Whether a login or a check of the ledger or dataset fails.
fn a_check_fails(node: &TestNode) -> bool {
    let login = node.run_with_input(&["login", "administrator"], Some(concordat_tests::PASSWORD));
    if login.code != Some(0) {
        return true;
    }
    let checks = [["audit", "verify"].as_slice(), &["dataset", "verify", "heart"]];
    checks.iter().any(|check| node.run(check).code != Some(0))
}

fn flip_bit(path: &Path, at: usize, bit: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1 << (bit % 8);
    fs::write(path, bytes).unwrap();
}

/// Copies a folder with its permissions; sockets are skipped.
fn copy(from: &Path, to: &Path) {
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

fn flips() -> usize {
    let given = std::env::var("CONCORDAT_FLIPS").ok();
    given.map_or(FLIPS, |flips| flips.parse().expect("a number of positions"))
}
