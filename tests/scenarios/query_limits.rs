//! Queries below `records` of the institution's own people are limited like those of others, by settings and by each dataset.

use std::fmt::Write as _;
use std::fs;

use concordat_tests::{Import, Person, TestNode, World};

use super::entries;

const COUNT: &str = "SELECT count(*) AS n FROM cleveland.heart";
/// Without records, the own people have statistics.
const NO_RECORDS: &str = "@id(\"no-records\") @reason(\"records stay here\") @remedy(\"query counts\")\n\
     forbid(principal, action == Action::\"answer-records\", resource);\n";
const PATIENTS: usize = 40;

/// A node whose policy permits no records and three queries of a person below them.
fn node_with_statistics() -> World {
    let world = World::unconnected(1);
    let node = world.node("cleveland");
    node.create_users();
    let mut rows = "record,sex\n".to_owned();
    for n in 0..PATIENTS {
        writeln!(rows, "{n},{}", n % 2).unwrap();
    }
    let file = world.file("heart.csv", rows);
    world.share(
        "cleveland",
        Import {
            dataset: "heart",
            from: &file,
            args: &["--subject-column", "record"],
            classes: &["record=direct-identifier", "sex=ordinary"],
        },
    );
    let dir = world.dir().join("rules");
    let path = dir.to_str().unwrap();
    node.run_as(Person::Steward, &["policy", "show", "--out", path]).ok();
    let settings = fs::read_to_string(dir.join("settings.toml")).unwrap();
    let limited = settings.replace("person_queries_below_records = 100", "person_queries_below_records = 3");
    let limited = limited.replace("protection = \"perturbed\"", "protection = \"exact\"");
    assert_ne!(limited, settings);
    fs::write(dir.join("settings.toml"), limited).unwrap();
    fs::write(dir.join("more.cedar"), NO_RECORDS).unwrap();
    let digest = node.json_as(Person::Steward, &["policy", "check", path])["digest"].clone();
    let apply = ["policy", "apply", path, "--expect", digest.as_str().unwrap()];
    node.run_as(Person::Steward, &apply).ok();
    world
}

#[track_caller]
fn assert_answered(node: &TestNode) {
    let answer = node.query(COUNT).ok().table();
    assert_eq!(answer.rows, [[PATIENTS.to_string()]]);
}

/// The query is refused by the limit of a person, which is this one.
#[track_caller]
fn assert_limited(node: &TestNode, most: u32) {
    let refused = node.refused_as(Person::Researcher, 3, &["query", COUNT]).to_string();
    let limit = format!("the {most} queries below `records` that rufus@cleveland may send to `cleveland.heart`");
    assert!(
        refused.contains(&limit) && refused.contains(" used up until "),
        "{refused}"
    );
}

#[test]
fn own_statistics_are_limited_and_a_restart_keeps_counts() {
    let mut world = node_with_statistics();
    let node = world.node("cleveland");
    for _ in 0..2 {
        assert_answered(node);
    }
    let limits = ["dataset", "limits", "heart"];
    let shown = node.run_as(Person::Steward, &limits).ok();
    assert!(
        shown
            .stderr
            .contains("at most 3 of a person, 100 of an institution, 1000 in all"),
        "{}",
        shown.report()
    );
    // A steward makes the limit of the dataset narrower, which applies at once.
    let narrower = [&limits[..], &["--person-queries", "2"]].concat();
    node.run_as(Person::Steward, &narrower).ok();
    assert_limited(node, 2);
    let wider = [&limits[..], &["--person-queries", "3"]].concat();
    node.run_as(Person::Steward, &wider).ok();
    let node = world.node_mut("cleveland");
    node.kill();
    node.start();
    node.forget_login();
    assert_answered(node);
    node.kill();
    node.start();
    node.forget_login();
    assert_limited(node, 3);
    // Reaching it several times in a day is one time: no one is locked.
    let node = world.node("cleveland");
    let locks = node.json_as(Person::Steward, &["dataset", "locks", "heart"]);
    assert_eq!(locks.as_array().unwrap().len(), 0, "{locks}");
    let unlock = ["dataset", "unlock", "heart", "--institution", "cleveland"];
    let refused = node.refused_as(Person::Steward, 4, &unlock);
    assert!(refused.to_string().contains("dataset locks heart"), "{refused}");
    node.run_as(Person::Researcher, &unlock).exits(3);
    assert!(entries(node, "release_locked").is_empty());
    let decisions = entries(node, "decision_made");
    let denied = decisions.iter().filter(|decision| decision["permitted"] == false);
    assert_eq!(denied.count(), 2, "{decisions:?}");
}
