//! Power cuts during everything that a house does with its data over the years: append, rotate, encrypt again, trim, back up, erase.
//!
//! `CONCORDAT_CRASH_ROUNDS` says how often; `.ci/crash` runs hundreds.

use std::ops::Range;
use std::path::Path;
use std::thread::{scope, sleep};

use concordat_tests::{House, Person, World};

use super::assert_ledger_holds;
use super::crashes::{alone, moment, restart, rounds, say_rounds, table};

/// Rows that one append adds.
const STEP: u64 = 40;
/// Rounds in the life of a house: what it keeps grows with each, and so does the time to look through all of it.
const LIFE: u64 = 100;

/// What the house has acknowledged.
#[derive(Debug, Default)]
struct Acknowledged {
    /// Rows of the dataset that lives.
    rows: u64,
    /// Rows that it has instead if the import that was cut off came through.
    perhaps: Option<u64>,
    /// The dataset that comes and goes: whether it is there, if that is known.
    passing: Option<bool>,
    /// Snapshots.
    snapshots: u64,
}

#[test]
fn a_power_cut_during_the_care_of_data_loses_nothing() {
    let mut works = 0;
    let mut done = 0;
    while done < rounds() {
        let next = rounds().min(done + LIFE);
        works += worn(done..next);
        done = next;
    }
    assert!(works > 0, "nothing was done before a power cut");
    println!("works that were acknowledged between power cuts: {works}");
    say_rounds("the care of data");
}

/// One house through some rounds. Returns how many works were acknowledged.
fn worn(cuts: Range<u64>) -> u64 {
    let mut world = World::strangers(1);
    alone(&world.houses[0]);
    let (first, more) = (table(&world, 500), table(&world, STEP));
    let backups = world.place().join("backups");
    begin(&world.houses[0], &first);
    let mut known = Acknowledged {
        rows: 500,
        passing: Some(false),
        ..Acknowledged::default()
    };
    let mut works = 0;
    for round in cuts {
        let house = &mut world.houses[0];
        house.log_in(Person::Administrator);
        works += worked_until_killed(house, round, &more, &backups, &mut known);
        restart(house);
        check(house, round, &backups, &mut known);
    }
    works
}

/// One work after the other, another one first in each round, until the power is cut. Returns how many were acknowledged.
fn worked_until_killed(house: &House, round: u64, more: &Path, backups: &Path, known: &mut Acknowledged) -> u64 {
    scope(|threads| {
        let worker = threads.spawn(|| {
            let mut works = 0;
            while work(house, round + works, more, backups, known) {
                works += 1;
            }
            works
        });
        sleep(moment(round) * 2);
        house.cut_power();
        worker.join().unwrap()
    })
}

/// Does the next work, and says whether it was acknowledged.
fn work(house: &House, number: u64, more: &Path, backups: &Path, known: &mut Acknowledged) -> bool {
    let file = more.to_str().unwrap();
    let does = |args: &[&str]| house.run(args).code == Some(0);
    match number % 8 {
        0 | 4 => {
            // A table that only grew would make each round longer than the one before.
            let (mode, rows) = if known.rows < 20 * STEP {
                ("--append", known.rows + STEP)
            } else {
                ("--replace", STEP)
            };
            known.perhaps = Some(rows);
            let done = does(&["dataset", "import", "heart", "--from", file, mode]);
            if done {
                known.rows = rows;
                known.perhaps = None;
            }
            done
        }
        1 => does(&["key", "rotate", "--master"]),
        2 => does(&["key", "rotate", "--segment", "main"]),
        3 => does(&["key", "rotate", "--dataset", "heart", "--reencrypt"]),
        5 => does(&["dataset", "retain", "heart", "--versions", "3"]),
        6 => {
            let done = does(&["backup", "create", "--to", backups.to_str().unwrap()]);
            known.snapshots += u64::from(done);
            done
        }
        _ => come_and_go(file, known, &does),
    }
}

/// A dataset that is imported and erased in turn.
fn come_and_go(file: &str, known: &mut Acknowledged, does: &dyn Fn(&[&str]) -> bool) -> bool {
    let is_there = known.passing == Some(true);
    known.passing = None;
    let done = if is_there {
        does(&["dataset", "erase", "passing", "--reason", "it passes", "--yes"])
    } else {
        does(&[
            "dataset",
            "import",
            "passing",
            "--each-row-is-a-subject",
            "--from",
            file,
        ])
    };
    if done {
        known.passing = Some(!is_there);
    }
    done
}

/// Everything that was acknowledged is there, and nothing that cannot be.
fn check(house: &House, round: u64, backups: &Path, known: &mut Acknowledged) {
    let json = |args: &[&str]| house.json_as(Person::Administrator, args);
    let rows = json(&["dataset", "show", "heart"])["rows"].as_u64().unwrap();
    assert!(
        rows == known.rows || Some(rows) == known.perhaps,
        "round {round}: {rows} rows; {known:?}"
    );
    (known.rows, known.perhaps) = (rows, None);
    assert_eq!(json(&["dataset", "verify", "heart"])["ok"], true, "round {round}");
    let counted = house.ask("SELECT count(*) AS n FROM cleveland.heart").ok().table();
    assert_eq!(counted.rows, [[rows.to_string()]], "round {round}");

    let listed = json(&["dataset", "list"]);
    let is_there = listed
        .as_array()
        .unwrap()
        .iter()
        .any(|dataset| dataset["name"] == "passing");
    assert!(
        known.passing.is_none_or(|expected| expected == is_there),
        "round {round}: {listed}; {known:?}"
    );
    known.passing = Some(is_there);
    if is_there {
        assert_eq!(json(&["dataset", "verify", "passing"])["ok"], true, "round {round}");
    }
    if known.snapshots > 0 {
        let from = ["--from", backups.to_str().unwrap()];
        let listed = house.run(&[&["--format", "json", "backup", "list"], &from[..]].concat());
        let listed = listed.ok().json();
        let snapshots = listed.as_array().unwrap();
        assert!(
            snapshots.len() as u64 >= known.snapshots,
            "round {round}: {listed}; {known:?}"
        );
        assert!(
            snapshots.iter().all(|snapshot| snapshot["damage"].is_null()),
            "round {round}: {listed}"
        );
        known.snapshots = snapshots.len() as u64;
        let newest = snapshots
            .last()
            .and_then(|snapshot| snapshot["snapshot"].as_str())
            .unwrap();
        let verify = [&["backup", "verify", "--snapshot", newest], &from[..]].concat();
        house.run(&verify).ok();
    }
    assert_ledger_holds(house);
}

fn begin(house: &House, file: &Path) {
    let file = file.to_str().unwrap();
    for args in [
        &["dataset", "import", "heart", "--each-row-is-a-subject", "--from", file][..],
        &["dataset", "classify", "heart", "record=ordinary", "sex=sensitive"],
    ] {
        house.as_(Person::Administrator, args).ok();
    }
}
