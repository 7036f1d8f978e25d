//! What a query would do, before it is sent: who would be queried, at which cost, who would refuse, and that nothing is used up.

use std::fmt::Write as _;

use concordat_tests::{Import, Person, World};
use serde_json::Value;

use super::{assert_ledger_valid, entries};

const PATIENTS: u32 = 60;
const BY_WARD: &str = "SELECT ward, count(*) AS n FROM budapest.stays GROUP BY ward";
const OF_ALL: &str = "SELECT ward, count(*) AS n FROM consortium.stays GROUP BY ward";

/// Two holders of the same dataset, and a consumer with a grant for statistics from each.
fn consortium() -> (World, [String; 2]) {
    let world = World::consortium(3);
    let mut rows = "patient,ward,score\n".to_owned();
    for patient in 0..PATIENTS {
        writeln!(rows, "p{patient},{},{}", ["a", "b"][patient as usize % 2], patient % 7).unwrap();
    }
    let file = world.file("stays.csv", rows);
    let grants = ["budapest", "zurich"].map(|holder| {
        world.share(
            holder,
            Import {
                dataset: "stays",
                from: &file,
                args: &["--subject-column", "patient"],
                classes: &["patient=direct-identifier", "ward=ordinary", "score=ordinary"],
            },
        );
        world.grant("cleveland", holder, "stays", &["--tier", "aggregate"])
    });
    (world, grants)
}

fn estimate(world: &World, sql: &str) -> Value {
    let arguments = ["query", "--estimate", sql];
    world.node("cleveland").json_as(Person::Researcher, &arguments)
}

#[track_caller]
fn assert_part(part: &Value, holder: &str, decision: &str, left: Option<u64>) {
    assert_eq!(part["institution"], holder, "{part}");
    assert_eq!(part["decision"], decision, "{part}");
    assert_eq!(part["queries_left"].as_u64(), left, "{part}");
}

#[test]
fn estimate_names_holders_costs_and_refusals() {
    let (world, grants) = consortium();
    let consumer = world.node("cleveland");
    let sent = entries(consumer, "query_opened").len();
    let decided = entries(world.node("budapest"), "decision_made").len();

    let one = estimate(&world, BY_WARD);
    assert_eq!(one["decision"], "permit", "{one}");
    let [part] = one["parts"].as_array().unwrap().as_slice() else {
        panic!("{one}");
    };
    assert_part(part, "budapest", "permit", Some(100));
    assert_eq!(part["datasets"][0], "budapest.stays");
    assert_eq!(part["about_rows_read"], PATIENTS);
    assert!(part["about_rows"].as_u64().unwrap() <= u64::from(PATIENTS), "{part}");
    assert!(part["about_bytes"].as_u64().unwrap() > 0 && part["about_ms"].as_u64().unwrap() >= 32);
    assert!(
        part["suppressed"].to_string().contains("fewer than 10 subjects"),
        "{part}"
    );

    let all = estimate(&world, OF_ALL);
    let parts = all["parts"].as_array().unwrap();
    assert_eq!(parts.len(), 2, "{all}");
    assert_part(&parts[0], "budapest", "permit", Some(100));
    assert_part(&parts[1], "zurich", "permit", Some(100));
    // Nothing was sent, decided or counted.
    assert_eq!(entries(consumer, "query_opened").len(), sent);
    assert_eq!(entries(world.node("budapest"), "decision_made").len(), decided);
    consumer.query(BY_WARD).ok();
    assert_part(&estimate(&world, BY_WARD)["parts"][0], "budapest", "permit", Some(99));

    let table = consumer
        .run_as(Person::Researcher, &["query", "--estimate", OF_ALL])
        .ok();
    for part in ["HOLDER", "budapest.stays", "zurich.stays", "yes"] {
        assert!(table.stdout.contains(part), "{part}: {}", table.report());
    }
    assert!(
        table.stderr.contains("nothing was sent or counted"),
        "{}",
        table.report()
    );

    // A steward permits one query a day, which was sent; the other holder still answers.
    let limit = ["dataset", "limits", "stays", "--person-queries", "1"];
    world.node("budapest").run_as(Person::Steward, &limit).ok();
    let all = estimate(&world, OF_ALL);
    assert_eq!(all["decision"], "deny", "{all}");
    assert_part(&all["parts"][0], "budapest", "deny", None);
    let reasons = all["parts"][0]["reasons"].to_string();
    assert!(
        reasons.contains("may send to `budapest.stays` in 24 hours"),
        "{reasons}"
    );
    assert_part(&all["parts"][1], "zurich", "permit", Some(100));

    // What ends before anything is sent ends in the same way.
    let [_, of_zurich] = &grants;
    let suspend = ["grant", "suspend", of_zurich, "--reason", "a test"];
    world.node("zurich").run_as(Person::Steward, &suspend).ok();
    world.await_grant("cleveland", of_zurich, "SUSPENDED");
    let sql = "SELECT count(*) AS n FROM zurich.stays";
    let estimated = consumer.refused_as(Person::Researcher, 3, &["query", "--estimate", sql]);
    let queried = consumer.refused_as(Person::Researcher, 3, &["query", sql]);
    assert_eq!(estimated, queried);
    let partial = estimate(&world, OF_ALL);
    assert_eq!(partial["decision"], "deny", "a part is missing: {partial}");
    assert!(partial["remarks"].to_string().contains("zurich.stays"), "{partial}");
    for node in &world.nodes {
        assert_ledger_valid(node);
    }
}
