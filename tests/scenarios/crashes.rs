//! Power cuts: every daemon is killed with SIGKILL, at rest and at work, and nothing that was acknowledged is lost.
//!
//! `CONCORDAT_CRASH_ROUNDS` says how often each of the stories at work is repeated; `.ci/crash` runs hundreds.

use std::fmt::Write;
use std::path::PathBuf;
use std::thread::{scope, sleep};
use std::time::Duration;

use concordat_tests::{House, Import, PASSWORD, Person, World};

use super::{assert_ledger_holds, entries};

/// Rounds where nothing is said.
const ROUNDS: u64 = 4;
const CLASSES: [&str; 2] = ["record=ordinary", "sex=sensitive"];

#[test]
fn a_power_cut_at_rest_loses_nothing() {
    let mut world = World::consortium(3);
    let file = table(&world, 200);
    world.share(
        "cleveland",
        Import {
            dataset: "heart",
            from: &file,
            args: &["--each-row-is-a-subject"],
            classes: &CLASSES,
        },
    );
    let grant = world.grant("budapest", "cleveland", "heart", &[]);
    let sql = "SELECT sex, count(*) AS n FROM cleveland.heart GROUP BY sex ORDER BY sex";
    let before = world.house("budapest").ask(sql).ok().stdout;
    let shown = world.await_grant("budapest", &grant, "ACTIVE");

    for house in &mut world.houses {
        house.pin_ports();
    }
    for house in &mut world.houses {
        house.kill();
    }
    for house in &mut world.houses {
        house.start();
        house.forget_login();
    }
    for house in &world.houses {
        house.await_peers(2);
        assert_ledger_holds(house);
    }
    assert_eq!(
        world
            .house("budapest")
            .json_as(Person::Researcher, &["grant", "show", &grant]),
        shown
    );
    assert_eq!(world.house("budapest").ask(sql).ok().stdout, before);
}

#[test]
fn a_power_cut_during_an_import_leaves_the_old_version_or_the_new() {
    let mut world = World::strangers(1);
    alone(&world.houses[0]);
    let first = table(&world, 500);
    world.share(
        "cleveland",
        Import {
            dataset: "heart",
            from: &first,
            args: &["--each-row-is-a-subject"],
            classes: &CLASSES,
        },
    );
    let mut kept = 500;
    for round in 0..rounds() {
        let rows = 3000 + round;
        let file = table(&world, rows);
        let house = &mut world.houses[0];
        house.log_in(Person::Steward);
        let import = [
            "dataset",
            "import",
            "heart",
            "--replace",
            "--from",
            file.to_str().unwrap(),
        ];
        let import = house.spawn(&import);
        sleep(moment(round));
        house.kill();
        let acknowledged = import.wait_with_output().unwrap().status.success();
        restart(house);

        let shown = house.json_as(Person::Steward, &["dataset", "show", "heart"]);
        let found = shown["rows"].as_u64().unwrap();
        assert!(
            found == rows || found == kept && !acknowledged,
            "round {round}: {found} rows, acknowledged: {acknowledged}"
        );
        kept = found;
        assert_eq!(
            house.json_as(Person::Steward, &["dataset", "verify", "heart"])["ok"],
            true,
            "round {round}"
        );
        let counted = house.ask("SELECT count(*) AS n FROM cleveland.heart").ok().table();
        assert_eq!(counted.rows, [[found.to_string()]], "round {round}");
        assert_ledger_holds(house);
    }
    say_rounds("import");
}

#[test]
fn a_power_cut_during_an_agreement_does_not_part_the_two_sides() {
    let mut world = World::consortium(2);
    let file = table(&world, 50);
    world.share(
        "cleveland",
        Import {
            dataset: "heart",
            from: &file,
            args: &["--each-row-is-a-subject"],
            classes: &CLASSES,
        },
    );
    for house in &world.houses {
        house.pin_ports();
    }
    for round in 0..rounds() {
        let id = world.request("budapest", "cleveland", "heart", &[]);
        world
            .house("cleveland")
            .as_(Person::Steward, &["grant", "offer", &id])
            .ok();
        world.await_grant("budapest", &id, "OFFERED");
        let consumer = world.house("budapest");
        consumer.log_in(Person::Researcher);
        let accept = consumer.spawn(&["grant", "accept", &id]);
        sleep(moment(round) / 4);
        let victim = if round % 2 == 0 { "cleveland" } else { "budapest" };
        world.house_mut(victim).kill();
        let acknowledged = accept.wait_with_output().unwrap().status.success();
        restart(world.house_mut(victim));
        both_sides_agree(&world, &id, acknowledged, round);
    }
    say_rounds("agreement");
}

/// What was accepted goes on by itself when the two meet again; what was not can be accepted again.
fn both_sides_agree(world: &World, id: &str, acknowledged: bool, round: u64) {
    for house in &world.houses {
        house.await_peers(1);
    }
    world.house("cleveland").log_in(Person::Steward);
    let consumer = world.house("budapest");
    let state = consumer.json_as(Person::Researcher, &["grant", "show", id])["state"].clone();
    if state == "OFFERED" {
        assert!(!acknowledged, "round {round}: an acknowledged acceptance is lost");
        consumer.as_(Person::Researcher, &["grant", "accept", id]).ok();
    }
    let here = world.await_grant("budapest", id, "ACTIVE");
    let there = world.await_grant("cleveland", id, "ACTIVE");
    for field in ["transcript_head", "columns", "tier", "not_after", "signed_by"] {
        assert_eq!(here[field], there[field], "round {round}: `{field}`");
    }
    for house in &world.houses {
        assert_ledger_holds(house);
    }
}

#[test]
fn a_power_cut_while_the_ledger_grows_loses_no_entry() {
    let mut world = World::strangers(1);
    alone(&world.houses[0]);
    let file = table(&world, 50);
    world.share(
        "cleveland",
        Import {
            dataset: "heart",
            from: &file,
            args: &["--each-row-is-a-subject"],
            classes: &CLASSES,
        },
    );
    let house = &mut world.houses[0];
    let (mut logins, mut answers) = (0, 0);
    for round in 0..rounds() {
        house.log_in(Person::Researcher);
        let (l, a) = worked_until_killed(house, moment(round) * 3);
        (logins, answers) = (logins + l, answers + a);
        restart(house);
        assert_ledger_holds(house);
        let written = |kind: &str| entries(house, kind).len();
        assert!(
            written("login_succeeded") >= logins,
            "round {round}: {logins} logins were acknowledged"
        );
        assert!(
            written("decision_made") >= answers,
            "round {round}: {answers} answers were given"
        );
        assert!(
            written("answer_released") >= answers,
            "round {round}: {answers} answers were given"
        );
    }
    assert!(answers > 0, "no answer came before a power cut");
    say_rounds("ledger");
}

/// One person logs in again and again, another asks again and again, until the power is cut after `time`. Returns how many
/// logins and answers were acknowledged.
fn worked_until_killed(house: &House, time: Duration) -> (usize, usize) {
    scope(|threads| {
        let logins =
            threads.spawn(|| until_it_fails(|| house.typed(&["login", "stella"], Some(PASSWORD)).code == Some(0)));
        let sql = "SELECT count(*) AS n FROM cleveland.heart";
        let answers = threads.spawn(|| until_it_fails(|| house.run(&["query", sql]).code == Some(0)));
        sleep(time);
        house.cut_power();
        (logins.join().unwrap(), answers.join().unwrap())
    })
}

fn until_it_fails(mut work: impl FnMut() -> bool) -> usize {
    let mut done = 0;
    while work() {
        done += 1;
    }
    done
}

pub(super) fn rounds() -> u64 {
    let given = std::env::var("CONCORDAT_CRASH_ROUNDS").ok();
    given.map_or(ROUNDS, |rounds| rounds.parse().expect("a number of rounds"))
}

/// When in a round the power is cut: spread over the time that the work takes.
pub(super) fn moment(round: u64) -> Duration {
    Duration::from_millis(60 + round.wrapping_mul(137) % 900)
}

pub(super) fn alone(house: &House) {
    house.hire();
    house
        .as_(Person::Administrator, &["consortium", "found", "--name", "Alone"])
        .ok();
}

pub(super) fn restart(house: &mut House) {
    house.kill();
    house.start();
    house.forget_login();
}

pub(super) fn table(world: &World, rows: u64) -> PathBuf {
    let mut text = "record,sex\n".to_owned();
    for record in 0..rows {
        writeln!(text, "{record},{}", record % 2).unwrap();
    }
    world.file(&format!("heart-{rows}.csv"), text)
}

pub(super) fn say_rounds(story: &str) {
    let rounds = rounds();
    println!("power cuts during {story}: {rounds} rounds, nothing acknowledged was lost");
}
