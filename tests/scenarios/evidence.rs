//! The evidence of a query, from both sides, checked by a verifier without access to either node.

use concordat_tests::{Import, PASSWORD, Person, TestNode, World};
use concordat_verify::{KnownKeys, VerifyError, conclude};
use serde_json::Value;

use super::entries;

const SQL: &str = "SELECT sex, count(*) AS n FROM cleveland.heart GROUP BY sex";

#[test]
fn evidence_shows_each_query_and_release_on_both_sides() {
    let mut world = World::consortium(2);
    let rows: String = (0..200).map(|n| format!("{n},{},{}\n", n % 2, 200 + n)).collect();
    let file = world.file("heart.csv", format!("record,sex,chol\n{rows}"));
    let classes = ["record=direct-identifier", "sex=ordinary", "chol=sensitive"];
    let import = Import {
        dataset: "heart",
        from: &file,
        args: &["--subject-column", "record"],
        classes: &classes,
    };
    world.share("cleveland", import);
    world.grant("budapest", "cleveland", "heart", &["--tier", "aggregate"]);
    world.node("budapest").query(SQL).ok();

    let query = entries(world.node("cleveland"), "decision_made")[0]["request"]
        .as_str()
        .unwrap()
        .to_owned();
    let given = keys_in_roster(world.node("cleveland"));
    let keys = KnownKeys::parse(&given).unwrap();
    for id in ["cleveland", "budapest"] {
        let node = world.node(id);
        let shown = node.json_as(Person::Administrator, &["audit", "show", query.get(..8).unwrap()]);
        assert_eq!(shown["query"], query.as_str(), "{id}");
        assert_eq!(
            shown["receipt_signed_by"],
            serde_json::json!(["provider", "consumer"]),
            "{id}: {shown}"
        );
        assert!(shown["sql"].as_str().unwrap().contains("count(*)"), "{id}: {shown}");
        assert_eq!(shown["open"], false);

        let file = node
            .run_as(Person::Administrator, &["audit", "receipt", &query])
            .ok()
            .stdout;
        let whole = conclude(&file, &keys).unwrap();
        assert!(whole.missing.is_empty(), "{id}: {whole:?}");
        assert!(
            whole.lines.iter().any(|line| line.as_str().contains("rufus@budapest")),
            "{id}: {whole:?}"
        );
        let one = KnownKeys::parse(&given[..1]).unwrap();
        assert_eq!(conclude(&file, &one).unwrap().missing.len(), 1, "{id}");
        let exchanged = KnownKeys::parse(&with_exchanged_names(&given)).unwrap();
        let refused = conclude(&file, &exchanged);
        assert!(
            matches!(refused, Err(VerifyError::OtherKey { .. })),
            "{id}: {refused:?}"
        );
        assert!(conclude(&with_swapped_certificates(&file), &keys).is_err(), "{id}");

        let ledger = node.run_as(Person::Administrator, &["audit", "export"]).ok().stdout;
        let whole = conclude(&ledger, &keys).unwrap();
        assert!(whole.missing.is_empty(), "{id}: {whole:?}");
        let shorter: Vec<&str> = ledger.lines().collect();
        let shorter = shorter[..shorter.len() - 1].join("\n");
        assert!(matches!(conclude(&shorter, &keys), Err(VerifyError::Export(_))), "{id}");
    }
    only_auditors_read_the_text(world.node("cleveland"), &query);
    stopped_readers_and_power_cuts_are_recorded(&mut world);
}

/// The keys that the roster of `node` lists, as they are given to the verifier.
fn keys_in_roster(node: &TestNode) -> Vec<String> {
    let roster = node.json_as(Person::Administrator, &["consortium", "roster", "show"]);
    let members = roster["members"].as_array().unwrap().iter();
    members
        .map(|member| {
            let field = |name: &str| member[name].as_str().unwrap().to_owned();
            format!("{}={}", field("institution"), field("fingerprint"))
        })
        .collect()
}

/// The keys of two institutions, each with the name of the other.
fn with_exchanged_names(given: &[String]) -> [String; 2] {
    let [first, second] = [&given[0], &given[1]].map(|key| key.split_once('=').unwrap());
    [format!("{}={}", first.0, second.1), format!("{}={}", second.0, first.1)]
}

/// The bundle with its two certificates swapped.
fn with_swapped_certificates(file: &str) -> String {
    let mut bundle: Value = serde_json::from_str(file).unwrap();
    let consumer = bundle["consumer"].take();
    bundle["consumer"] = bundle["provider"].take();
    bundle["provider"] = consumer;
    bundle.to_string()
}

fn only_auditors_read_the_text(node: &TestNode, query: &str) {
    node.add_user("sophie", "security-officer");
    node.run_with_input(&["login", "sophie"], Some(PASSWORD)).ok();
    node.forget_login();
    let shown = node.run(&["--format", "json", "audit", "show", query]).ok().json();
    assert_eq!(shown["sql"], Value::Null, "{shown}");
    assert_eq!(shown["actor"], "rufus@budapest");
    node.run(&["audit", "receipt", query]).exits(3);
    node.run(&["audit", "export"]).exits(3);
    node.refused_as(Person::Steward, 3, &["audit", "show", query]);
}

/// Both kinds of end after which no client reports an outcome.
fn stopped_readers_and_power_cuts_are_recorded(world: &mut World) {
    let consumer = world.node("budapest");
    let before = entries(consumer, "query_closed").len();
    consumer.log_in(Person::Researcher);
    let mut child = consumer.spawn(&["--format", "csv", "query", SQL]);
    child.kill().unwrap();
    child.wait().unwrap();
    consumer.log_in(Person::Administrator);
    consumer.await_condition("every query that was opened is closed", |node| {
        let count = |kind| entries(node, kind).len();
        count("query_closed") == count("query_opened") && count("query_closed") >= before
    });

    let consumer = world.node_mut("budapest");
    consumer.log_in(Person::Researcher);
    let mut running = consumer.spawn(&["--format", "csv", "query", SQL]);
    consumer.kill();
    running.wait().unwrap();
    consumer.start();
    consumer.forget_login();
    let consumer = world.node("budapest");
    let count = |kind| entries(consumer, kind).len();
    assert_eq!(count("query_closed"), count("query_opened"));
    world.node("budapest").await_peers(1);
    consumer.query(SQL).ok();
}
