//! The node of a provider is killed in the middle of an answer, and started again.

use std::io::Read as _;
use std::process::Child;
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use concordat_tests::{Outcome, Person, TestNode, World};
use serde_json::Value;

use super::revocation::share_many;
use super::{assert_ledger_valid, entries};

const QUERY: [&str; 4] = ["--format", "json", "query", "SELECT * FROM cleveland.scans"];
/// Bytes that are read before the provider is killed. Far more rows wait at the provider then.
const FIRST: usize = 50_000;
/// How long the provider stays away: longer than the consumer waits for a notice that explains a lost connection, so that its first
/// attempts find no node.
const AWAY: Duration = Duration::from_secs(5);

#[test]
fn answer_of_a_killed_provider_is_continued() {
    let mut world = World::consortium(2);
    share_many(&world);
    world.grant("budapest", "cleveland", "scans", &["--tier", "records"]);
    world.node("cleveland").pin_ports();
    let undisturbed = world.node("budapest").run_as(Person::Researcher, &QUERY).ok().stdout;
    continued_after_a_restart(&mut world, &undisturbed);
    ended_after_a_change(&mut world);
    for node in &world.nodes {
        assert_ledger_valid(node);
    }
}

fn continued_after_a_restart(world: &mut World, undisturbed: &str) {
    let consumer = world.node("budapest");
    let count = |node: &TestNode| ["query_opened", "query_closed"].map(|kind| entries(node, kind).len());
    let [opened, closed] = count(consumer);
    let (query, first) = begun(consumer);
    world.node_mut("cleveland").kill();
    let reading = read_on(query, first);
    sleep(AWAY);
    restart(world.node_mut("cleveland"));

    let answer = reading.join().unwrap();
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    let (found, expected) = (answer.stdout.len(), undisturbed.len());
    assert!(answer.stdout == undisturbed, "{found} bytes differ from {expected}");
    let remarks = answer
        .stderr
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let remarks: Vec<Value> = remarks.filter(|object| !object["remark"].is_null()).collect();
    assert_eq!(remarks.len(), 1, "{}", answer.stderr);
    let remark = &remarks[0]["remark"];
    for (field, value) in [
        ("kind", "continued-answer"),
        ("institution", "cleveland"),
        ("dataset", "scans"),
    ] {
        assert_eq!(remark[field], value, "{remark}");
    }
    // Both queries are in the ledger, with their ends.
    assert_eq!(count(world.node("budapest")), [opened + 2, closed + 2]);
}

/// The answer is not continued with the rows of another version.
fn ended_after_a_change(world: &mut World) {
    let (query, first) = begun(world.node("budapest"));
    world.node_mut("cleveland").kill();
    restart(world.node_mut("cleveland"));
    // The consumer notices nothing as long as nothing more is read.
    let rows: String = (0..100)
        .map(|record| format!("{record},none,{}\n", record % 97))
        .collect();
    let file = world.file("others.csv", format!("record,finding,score\n{rows}"));
    let import = [
        "dataset",
        "import",
        "scans",
        "--replace",
        "--from",
        file.to_str().unwrap(),
    ];
    world.node("cleveland").run_as(Person::Steward, &import).ok();

    let answer = read_on(query, first).join().unwrap();
    assert_eq!(answer.code, Some(5), "{}", answer.stderr);
    let problem: Value = serde_json::from_str(answer.stderr.lines().last().unwrap()).unwrap();
    assert_eq!(problem["code"], "unreachable", "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("cannot be continued: the same query has other rows now"),
        "{detail}"
    );
}

/// Starts the query and reads the beginning of its answer; the rest waits.
fn begun(consumer: &TestNode) -> (Child, Vec<u8>) {
    consumer.log_in(Person::Researcher);
    let mut query = consumer.spawn(&QUERY);
    let mut first = vec![0; FIRST];
    query.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    (query, first)
}

/// Reads the rest of the answer.
fn read_on(mut query: Child, mut answer: Vec<u8>) -> JoinHandle<Outcome> {
    spawn(move || {
        query.stdout.take().unwrap().read_to_end(&mut answer).unwrap();
        let mut stderr = String::new();
        query.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        Outcome {
            command: QUERY.join(" "),
            code: query.wait().unwrap().code(),
            stdout: String::from_utf8(answer).unwrap(),
            stderr,
        }
    })
}

fn restart(provider: &mut TestNode) {
    provider.start();
    provider.forget_login();
}
