//! Power cuts during all maintenance of a node's data: append, rotate, re-encrypt, trim, back up, erase.
//!
//! `CONCORDAT_CRASH_ROUNDS` sets the number of rounds; `.ci/crash` runs hundreds.

use std::ops::Range;
use std::path::Path;
use std::thread::{scope, sleep};

use concordat_tests::{Person, TestNode, World};

use super::assert_ledger_valid;
use super::crashes::{found_consortium, moment, print_rounds, restart, rounds, table};

/// Rows that one append adds.
const STEP: u64 = 40;
/// Rounds for one node: its data grows with each round, and so does the time to check all of it.
const ROUNDS_PER_NODE: u64 = 100;

/// What the node has acknowledged.
#[derive(Debug, Default)]
struct Acknowledged {
    /// Rows of the permanent dataset.
    rows: u64,
    /// Rows that it has instead if the interrupted import completed.
    rows_if_completed: Option<u64>,
    /// Whether the temporary dataset exists, if that is acknowledged.
    temporary: Option<bool>,
    /// Snapshots.
    snapshots: u64,
}

#[test]
fn power_cut_during_maintenance_loses_nothing() {
    let mut operations = 0;
    let mut done = 0;
    while done < rounds() {
        let next = rounds().min(done + ROUNDS_PER_NODE);
        operations += run_node(done..next);
        done = next;
    }
    assert!(operations > 0, "no operation completed before a power cut");
    println!("operations acknowledged between power cuts: {operations}");
    print_rounds("maintenance");
}

/// Runs one node through some rounds. Returns how many operations were acknowledged.
fn run_node(cuts: Range<u64>) -> u64 {
    let mut world = World::unconnected(1);
    found_consortium(&world.nodes[0]);
    let first = table(&world, 500);
    let more = table(&world, STEP);
    let backups = world.dir().join("backups");
    begin(&world.nodes[0], &first);
    let mut acknowledged = Acknowledged {
        rows: 500,
        temporary: Some(false),
        ..Acknowledged::default()
    };
    let mut operations = 0;
    for round in cuts {
        let node = &mut world.nodes[0];
        node.log_in(Person::Administrator);
        operations += operate_until_killed(node, round, &more, &backups, &mut acknowledged);
        restart(node);
        check(node, round, &backups, &mut acknowledged);
    }
    operations
}

/// Runs one operation after another, starting with a different one in each round, until the power is cut. Returns how many were
/// acknowledged.
fn operate_until_killed(
    node: &TestNode,
    round: u64,
    more: &Path,
    backups: &Path,
    acknowledged: &mut Acknowledged,
) -> u64 {
    scope(|threads| {
        let worker = threads.spawn(|| {
            let mut operations = 0;
            while operate(node, round + operations, more, backups, acknowledged) {
                operations += 1;
            }
            operations
        });
        sleep(moment(round) * 2);
        node.kill_process();
        worker.join().unwrap()
    })
}

/// Runs the next operation, and returns whether it was acknowledged.
fn operate(node: &TestNode, number: u64, more: &Path, backups: &Path, acknowledged: &mut Acknowledged) -> bool {
    let file = more.to_str().unwrap();
    let succeeds = |args: &[&str]| node.run(args).code == Some(0);
    match number % 8 {
        0 | 4 => {
            // A table that only grew would make each round longer than the one before.
            let (mode, rows) = if acknowledged.rows < 20 * STEP {
                ("--append", acknowledged.rows + STEP)
            } else {
                ("--replace", STEP)
            };
            acknowledged.rows_if_completed = Some(rows);
            let done = succeeds(&["dataset", "import", "heart", "--from", file, mode, "--again"]);
            if done {
                acknowledged.rows = rows;
                acknowledged.rows_if_completed = None;
            }
            done
        }
        1 => succeeds(&["key", "rotate", "--master"]),
        2 => succeeds(&["key", "rotate", "--segment", "main"]),
        3 => succeeds(&["key", "rotate", "--dataset", "heart", "--reencrypt"]),
        5 => succeeds(&["dataset", "retain", "heart", "--versions", "3"]),
        6 => {
            let done = succeeds(&["backup", "create", "--to", backups.to_str().unwrap()]);
            acknowledged.snapshots += u64::from(done);
            done
        }
        _ => toggle_temporary(file, acknowledged, &succeeds),
    }
}

/// Imports and erases a dataset alternately.
fn toggle_temporary(file: &str, acknowledged: &mut Acknowledged, succeeds: &dyn Fn(&[&str]) -> bool) -> bool {
    let is_there = acknowledged.temporary == Some(true);
    acknowledged.temporary = None;
    let done = if is_there {
        succeeds(&["dataset", "erase", "temporary", "--reason", "it is temporary", "--yes"])
    } else {
        succeeds(&[
            "dataset",
            "import",
            "temporary",
            "--each-row-is-a-subject",
            "--from",
            file,
        ])
    };
    if done {
        acknowledged.temporary = Some(!is_there);
    }
    done
}

/// Asserts that everything acknowledged exists, and nothing else.
fn check(node: &TestNode, round: u64, backups: &Path, acknowledged: &mut Acknowledged) {
    let json = |args: &[&str]| node.json_as(Person::Administrator, args);
    let rows = json(&["dataset", "show", "heart"])["rows"].as_u64().unwrap();
    assert!(
        rows == acknowledged.rows || Some(rows) == acknowledged.rows_if_completed,
        "round {round}: {rows} rows; {acknowledged:?}"
    );
    (acknowledged.rows, acknowledged.rows_if_completed) = (rows, None);
    assert_eq!(json(&["dataset", "verify", "heart"])["ok"], true, "round {round}");
    let counted = node.query("SELECT count(*) AS n FROM cleveland.heart").ok().table();
    assert_eq!(counted.rows, [[rows.to_string()]], "round {round}");

    let listed = json(&["dataset", "list"]);
    let is_there = listed
        .as_array()
        .unwrap()
        .iter()
        .any(|dataset| dataset["name"] == "temporary");
    assert!(
        acknowledged.temporary.is_none_or(|expected| expected == is_there),
        "round {round}: {listed}; {acknowledged:?}"
    );
    acknowledged.temporary = Some(is_there);
    if is_there {
        assert_eq!(json(&["dataset", "verify", "temporary"])["ok"], true, "round {round}");
    }
    if acknowledged.snapshots > 0 {
        let from = ["--from", backups.to_str().unwrap()];
        let listed = node.run(&[&["--format", "json", "backup", "list"], &from[..]].concat());
        let listed = listed.ok().json();
        let snapshots = listed.as_array().unwrap();
        assert!(
            snapshots.len() as u64 >= acknowledged.snapshots,
            "round {round}: {listed}; {acknowledged:?}"
        );
        assert!(
            snapshots.iter().all(|snapshot| snapshot["damage"].is_null()),
            "round {round}: {listed}"
        );
        acknowledged.snapshots = snapshots.len() as u64;
        let newest = snapshots
            .last()
            .and_then(|snapshot| snapshot["snapshot"].as_str())
            .unwrap();
        let verify = [&["backup", "verify", "--snapshot", newest], &from[..]].concat();
        node.run(&verify).ok();
    }
    assert_ledger_valid(node);
}

fn begin(node: &TestNode, file: &Path) {
    let file = file.to_str().unwrap();
    for args in [
        &["dataset", "import", "heart", "--each-row-is-a-subject", "--from", file][..],
        &["dataset", "classify", "heart", "record=ordinary", "sex=sensitive"],
    ] {
        node.run_as(Person::Administrator, args).ok();
    }
}
