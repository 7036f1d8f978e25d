//! Power cuts: every daemon is killed with SIGKILL, at rest and under load, and nothing that was acknowledged is lost.
//!
//! `CONCORDAT_CRASH_ROUNDS` sets how often each test under load is repeated; `.ci/crash` runs hundreds of rounds.

use std::fmt::Write;
use std::path::PathBuf;
use std::thread::{scope, sleep};
use std::time::Duration;

use concordat_tests::{Import, PASSWORD, Person, TestNode, World};

use super::{assert_ledger_valid, entries};

/// The default number of rounds.
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
    let before = world.node("budapest").query(sql).ok().stdout;
    let shown = world.await_grant("budapest", &grant, "ACTIVE");

    for node in &mut world.nodes {
        node.pin_ports();
    }
    for node in &mut world.nodes {
        node.kill();
    }
    for node in &mut world.nodes {
        node.start();
        node.forget_login();
    }
    for node in &world.nodes {
        node.await_peers(2);
        assert_ledger_valid(node);
    }
    assert_eq!(
        world
            .node("budapest")
            .json_as(Person::Researcher, &["grant", "show", &grant]),
        shown
    );
    assert_eq!(world.node("budapest").query(sql).ok().stdout, before);
}

#[test]
fn power_cut_during_an_import_leaves_one_whole_version() {
    let mut world = World::unconnected(1);
    found_consortium(&world.nodes[0]);
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
    let mut current = 500;
    for round in 0..rounds() {
        let rows = 3000 + round;
        let file = table(&world, rows);
        let node = &mut world.nodes[0];
        node.log_in(Person::Steward);
        let import = [
            "dataset",
            "import",
            "heart",
            "--replace",
            "--from",
            file.to_str().unwrap(),
        ];
        let import = node.spawn(&import);
        sleep(moment(round));
        node.kill();
        let acknowledged = import.wait_with_output().unwrap().status.success();
        restart(node);

        let shown = node.json_as(Person::Steward, &["dataset", "show", "heart"]);
        let found = shown["rows"].as_u64().unwrap();
        assert!(
            found == rows || found == current && !acknowledged,
            "round {round}: {found} rows, acknowledged: {acknowledged}"
        );
        current = found;
        assert_eq!(
            node.json_as(Person::Steward, &["dataset", "verify", "heart"])["ok"],
            true,
            "round {round}"
        );
        let counted = node.query("SELECT count(*) AS n FROM cleveland.heart").ok().table();
        assert_eq!(counted.rows, [[found.to_string()]], "round {round}");
        assert_ledger_valid(node);
    }
    print_rounds("import");
}

#[test]
fn power_cut_during_an_agreement_keeps_both_sides_consistent() {
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
    for node in &world.nodes {
        node.pin_ports();
    }
    for round in 0..rounds() {
        let id = world.request("budapest", "cleveland", "heart", &[]);
        world
            .node("cleveland")
            .run_as(Person::Steward, &["grant", "offer", &id])
            .ok();
        world.await_grant("budapest", &id, "OFFERED");
        let consumer = world.node("budapest");
        consumer.log_in(Person::Researcher);
        let accept = consumer.spawn(&["grant", "accept", &id]);
        sleep(moment(round) / 4);
        let victim = if round % 2 == 0 { "cleveland" } else { "budapest" };
        world.node_mut(victim).kill();
        let acknowledged = accept.wait_with_output().unwrap().status.success();
        restart(world.node_mut(victim));
        both_sides_agree(&world, &id, acknowledged, round);
    }
    print_rounds("agreement");
}

/// An accepted offer continues automatically after a reconnect; one that was not accepted can be accepted again.
fn both_sides_agree(world: &World, id: &str, acknowledged: bool, round: u64) {
    for node in &world.nodes {
        node.await_peers(1);
    }
    world.node("cleveland").log_in(Person::Steward);
    let consumer = world.node("budapest");
    let state = consumer.json_as(Person::Researcher, &["grant", "show", id])["state"].clone();
    if state == "OFFERED" {
        assert!(!acknowledged, "round {round}: an acknowledged acceptance is lost");
        consumer.run_as(Person::Researcher, &["grant", "accept", id]).ok();
    }
    let here = world.await_grant("budapest", id, "ACTIVE");
    let there = world.await_grant("cleveland", id, "ACTIVE");
    for field in ["transcript_head", "columns", "tier", "not_after", "signed_by"] {
        assert_eq!(here[field], there[field], "round {round}: `{field}`");
    }
    for node in &world.nodes {
        assert_ledger_valid(node);
    }
}

#[test]
fn a_power_cut_while_the_ledger_grows_loses_no_entry() {
    let mut world = World::unconnected(1);
    found_consortium(&world.nodes[0]);
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
    let node = &mut world.nodes[0];
    let mut logins = 0;
    let mut answers = 0;
    for round in 0..rounds() {
        node.log_in(Person::Researcher);
        let (l, a) = work_until_killed(node, moment(round) * 3);
        (logins, answers) = (logins + l, answers + a);
        restart(node);
        assert_ledger_valid(node);
        let written = |kind: &str| entries(node, kind).len();
        assert!(
            written("login_succeeded") >= logins,
            "round {round}: {logins} logins were acknowledged"
        );
        assert!(
            written("decision_made") >= answers,
            "round {round}: {answers} answers were acknowledged"
        );
        assert!(
            written("answer_released") >= answers,
            "round {round}: {answers} answers were acknowledged"
        );
    }
    assert!(answers > 0, "no answer arrived before a power cut");
    print_rounds("ledger");
}

/// One user logs in repeatedly and another runs queries repeatedly, until the power is cut after `time`. Returns how many
/// logins and answers were acknowledged.
fn work_until_killed(node: &TestNode, time: Duration) -> (usize, usize) {
    scope(|threads| {
        let logins = threads
            .spawn(|| until_it_fails(|| node.run_with_input(&["login", "stella"], Some(PASSWORD)).code == Some(0)));
        let sql = "SELECT count(*) AS n FROM cleveland.heart";
        let answers = threads.spawn(|| until_it_fails(|| node.run(&["query", sql]).code == Some(0)));
        sleep(time);
        node.kill_process();
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

/// When the power is cut in a round: spread over the duration of the work.
pub(super) fn moment(round: u64) -> Duration {
    Duration::from_millis(60 + round.wrapping_mul(137) % 900)
}

pub(super) fn found_consortium(node: &TestNode) {
    node.create_users();
    node.run_as(Person::Administrator, &["consortium", "found", "--name", "Alone"])
        .ok();
}

pub(super) fn restart(node: &mut TestNode) {
    node.kill();
    node.start();
    node.forget_login();
}

pub(super) fn table(world: &World, rows: u64) -> PathBuf {
    let mut text = "record,sex\n".to_owned();
    for record in 0..rows {
        writeln!(text, "{record},{}", record % 2).unwrap();
    }
    world.file(&format!("heart-{rows}.csv"), text)
}

pub(super) fn print_rounds(work: &str) {
    let rounds = rounds();
    println!("power cuts during {work}: {rounds} rounds, nothing acknowledged was lost");
}
