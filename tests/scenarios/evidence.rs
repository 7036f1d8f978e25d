//! The evidence of a query, from both sides, checked by somebody who has neither node.

use concordat_tests::{House, Import, PASSWORD, Person, World};
use concordat_verify::{VerifyError, conclude};
use serde_json::Value;

use super::entries;

const SQL: &str = "SELECT sex, count(*) AS n FROM cleveland.heart GROUP BY sex";

#[test]
fn both_sides_can_show_who_asked_what_and_what_was_released() {
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
    world.house("budapest").ask(SQL).ok();

    let query = entries(world.house("cleveland"), "decision_made")[0]["request"]
        .as_str()
        .unwrap()
        .to_owned();
    let keys = fingerprints(world.house("cleveland"));
    for id in ["cleveland", "budapest"] {
        let house = world.house(id);
        let shown = house.json_as(Person::Administrator, &["audit", "show", query.get(..8).unwrap()]);
        assert_eq!(shown["query"], query.as_str(), "{id}");
        assert_eq!(
            shown["receipt_signed_by"],
            serde_json::json!(["provider", "consumer"]),
            "{id}: {shown}"
        );
        assert!(shown["sql"].as_str().unwrap().contains("count(*)"), "{id}: {shown}");
        assert_eq!(shown["open"], false);

        let file = house
            .as_(Person::Administrator, &["audit", "receipt", &query])
            .ok()
            .stdout;
        let whole = conclude(&file, &keys).unwrap();
        assert!(whole.missing.is_empty(), "{id}: {whole:?}");
        assert!(
            whole.lines.iter().any(|line| line.contains("rufus@budapest")),
            "{id}: {whole:?}"
        );
        assert_eq!(conclude(&file, &keys[..1]).unwrap().missing.len(), 1, "{id}");
        assert!(conclude(&exchanged(&file), &keys).is_err(), "{id}");

        let ledger = house.as_(Person::Administrator, &["audit", "export"]).ok().stdout;
        let whole = conclude(&ledger, &keys).unwrap();
        assert!(whole.missing.is_empty(), "{id}: {whole:?}");
        let shorter: Vec<&str> = ledger.lines().collect();
        let shorter = shorter[..shorter.len() - 1].join("\n");
        assert!(matches!(conclude(&shorter, &keys), Err(VerifyError::Export(_))), "{id}");
    }
    only_auditors_read_the_text(world.house("cleveland"), &query);
    a_reader_that_stops_and_a_power_cut_leave_an_end(&mut world);
}

fn fingerprints(house: &House) -> Vec<String> {
    let roster = house.json_as(Person::Administrator, &["consortium", "roster", "show"]);
    let members = roster["members"].as_array().unwrap().iter();
    members
        .map(|member| member["fingerprint"].as_str().unwrap().to_owned())
        .collect()
}

/// The two certificates change places.
fn exchanged(file: &str) -> String {
    let mut bundle: Value = serde_json::from_str(file).unwrap();
    let consumer = bundle["consumer"].take();
    bundle["consumer"] = bundle["provider"].take();
    bundle["provider"] = consumer;
    bundle.to_string()
}

fn only_auditors_read_the_text(house: &House, query: &str) {
    house.enlist("sophie", "security-officer");
    house.typed(&["login", "sophie"], Some(PASSWORD)).ok();
    house.forget_login();
    let shown = house.run(&["--format", "json", "audit", "show", query]).ok().json();
    assert_eq!(shown["sql"], Value::Null, "{shown}");
    assert_eq!(shown["actor"], "rufus@budapest");
    house.run(&["audit", "receipt", query]).exits(3);
    house.run(&["audit", "export"]).exits(3);
    house.refused_as(Person::Steward, 3, &["audit", "show", query]);
}

/// Both kinds of end that nobody is there to enter.
fn a_reader_that_stops_and_a_power_cut_leave_an_end(world: &mut World) {
    let consumer = world.house("budapest");
    let before = entries(consumer, "query_closed").len();
    consumer.log_in(Person::Researcher);
    let mut child = consumer.spawn(&["--format", "csv", "query", SQL]);
    child.kill().unwrap();
    child.wait().unwrap();
    consumer.log_in(Person::Administrator);
    consumer.await_that("every query that was begun has ended", |house| {
        let count = |kind| entries(house, kind).len();
        count("query_closed") == count("query_opened") && count("query_closed") >= before
    });

    let consumer = world.house_mut("budapest");
    consumer.log_in(Person::Researcher);
    let mut asking = consumer.spawn(&["--format", "csv", "query", SQL]);
    consumer.kill();
    asking.wait().unwrap();
    consumer.start();
    consumer.forget_login();
    let consumer = world.house("budapest");
    let count = |kind| entries(consumer, kind).len();
    assert_eq!(count("query_closed"), count("query_opened"));
    world.house("budapest").await_peers(1);
    consumer.ask(SQL).ok();
}
