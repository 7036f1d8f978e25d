//! How a steward changes the policy set: it is checked, tested, compared, applied, rolled back.

use std::fs;

use concordat_tests::{Import, Person, World};
use serde_json::Value;

use super::crash_recovery::faketime;
use super::{causes, entries};

const NO_RECORDS: &str = "@id(\"no-records\") @reason(\"records stay here\") @remedy(\"ask for counts\")\n\
     forbid(principal, action == Action::\"answer-records\", resource);\n";
const NAMES: &str =
    "@id(\"names\") @reason(\"r\") @remedy(\"m\")\npermit(principal is Institution, action, resource);\n";
const CASES: &str = "[[case]]\nclass = \"direct-identifier\"\ntier = \"records\"\npurpose = \"health-research\"\n\
     reveal = \"clear\"\nexpect = \"deny\"\n";

#[test]
fn policy_set_is_applied_by_a_steward_at_once() {
    let world = World::consortium(2);
    let file = world.file("patients.csv", "record,sex\n1,0\n2,1\n3,1\n");
    let classes = ["record=direct-identifier", "sex=sensitive"];
    world.share(
        "cleveland",
        Import {
            dataset: "heart",
            from: &file,
            args: &["--subject-column", "record"],
            classes: &classes,
        },
    );
    world.grant("budapest", "cleveland", "heart", &["--columns", "sex"]);
    let cleveland = world.node("cleveland");
    let budapest = world.node("budapest");
    let sql = "SELECT sex FROM cleveland.heart";
    assert_eq!(budapest.query(sql).ok().table().rows.len(), 3);

    // A steward starts from an export of the current set.
    let dir = world.dir().join("rules");
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    cleveland
        .run_as(Person::Steward, &["policy", "show", "--out", &text(&dir)])
        .ok();
    fs::write(dir.join("more.cedar"), NO_RECORDS).unwrap();
    fs::write(dir.join("cases.toml"), CASES).unwrap();
    let checked = cleveland.json_as(Person::Steward, &["policy", "check", &text(&dir)]);
    let digest = checked["digest"].as_str().expect("a digest").to_owned();
    let rules = ["--rules", &text(&dir)].map(str::to_owned);
    let cases = text(&dir.join("cases.toml"));
    cleveland
        .run_as(Person::Steward, &["policy", "test", &rules[0], &rules[1], &cases])
        .ok();
    let diff = cleveland.json_as(Person::Steward, &["policy", "diff", &text(&dir)]);
    assert_eq!(
        (&diff["to"], &diff["opens_in_all"]),
        (&checked["digest"], &0.into()),
        "{diff}"
    );
    let closes = diff["closes"].as_array().unwrap().iter().filter_map(Value::as_str);
    assert!(
        closes.clone().any(|line| line.starts_with("answer-records of heart")),
        "{diff}"
    );
    assert!(diff["text"].to_string().contains("+@id"), "{diff}");

    // Only a steward can apply a set, and only the reviewed one.
    let apply = |digest: &str| {
        vec![
            "policy".to_owned(),
            "apply".into(),
            text(&dir),
            "--expect".into(),
            digest.into(),
        ]
    };
    let apply_as = |person, digest: &str| {
        let args = apply(digest);
        cleveland.run_as(person, &args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    apply_as(Person::Researcher, &digest).exits(3);
    let other = cleveland.json_as(Person::Steward, &["policy", "show"])["digest"].clone();
    apply_as(Person::Steward, other.as_str().unwrap()).exits(2);
    assert_eq!(budapest.query(sql).ok().table().rows.len(), 3);

    apply_as(Person::Steward, &digest).ok();
    budapest.query(sql).exits(3);
    assert_eq!(cleveland.status()["policy"]["number"], 2);
    let decided = entries(cleveland, "decision_made");
    // It names the set and the steward's settings of the dataset.
    let first = &decided[0]["policy"];
    let last = &decided.last().unwrap()["policy"];
    assert_ne!(first, last, "{decided:?}");
    let applied = entries(cleveland, "policy_applied");
    let by = causes(cleveland, "policy_applied");
    assert_eq!(by[1]["person"]["actor"], "stella@cleveland", "{by:?}");
    assert_eq!(applied[1]["digest"], digest.as_str(), "{applied:?}");
    assert_eq!(applied[1]["previous"], applied[0]["digest"], "{applied:?}");

    // A set that violates the fixed limits is refused for any user.
    let wide = world.file("names.cedar", NAMES);
    let refused = cleveland
        .run_as(Person::Steward, &["policy", "check", &text(&wide)])
        .exits(3);
    assert!(refused.stderr.contains("reveal-clear"), "{}", refused.report());

    cleveland.run_as(Person::Steward, &["policy", "rollback", "1"]).ok();
    assert_eq!(budapest.query(sql).ok().table().rows.len(), 3);
    let history = cleveland.json_as(Person::Steward, &["policy", "history"]);
    let numbers: Vec<u64> = history
        .as_array()
        .expect("sets")
        .iter()
        .filter_map(|set| set["number"].as_u64())
        .collect();
    assert_eq!(numbers, [3, 2, 1], "{history}");
}

#[test]
fn policy_set_of_two_people_needs_two_and_survives_a_restart() {
    let mut world = World::unconnected(1);
    let node = &world.nodes[0];
    node.create_users();
    let dir = world.dir().join("rules");
    let path = dir.to_str().unwrap().to_owned();
    node.run_as(Person::Steward, &["policy", "show", "--out", &path]).ok();
    let settings = fs::read_to_string(dir.join("settings.toml")).unwrap();
    fs::write(
        dir.join("settings.toml"),
        settings.replace("two_people = false", "two_people = true"),
    )
    .unwrap();
    let digest = node.json_as(Person::Steward, &["policy", "check", &path])["digest"].clone();
    let digest = digest.as_str().unwrap();
    let apply = ["policy", "apply", path.as_str(), "--expect", digest];
    let approve = ["policy", "approve", "--expect", digest];
    let applied = node.json_as(Person::Steward, &apply);
    assert_eq!(applied["state"], "proposed", "{applied}");
    node.run_as(Person::Steward, &approve).exits(3);
    // The first account has every role; it belongs to another person, who has made the steward's account just now.
    let refused = node.refused_as(Person::Administrator, 3, &approve);
    assert!(refused.to_string().contains("less than a day before"), "{refused}");
    assert_eq!(node.status()["policy"]["number"], 1);

    let Some(library) = faketime() else {
        return;
    };
    let node = &mut world.nodes[0];
    node.stop();
    node.set_env(&[
        ("LD_PRELOAD", &library),
        ("FAKETIME", "+2d"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ]);
    node.start();
    node.forget_login();
    let applied = node.json_as(Person::Steward, &apply);
    assert_eq!(applied["state"], "proposed", "{applied}");
    let approved = node.json_as(Person::Administrator, &approve);
    assert_eq!(approved["number"], 2, "{approved}");
    let by = causes(node, "policy_applied").pop().unwrap();
    assert_eq!(by["two_people"]["first"], "stella@cleveland", "{by}");
    assert_eq!(by["two_people"]["second"], "administrator@cleveland", "{by}");
    let node = &mut world.nodes[0];
    node.kill();
    node.start();
    node.forget_login();
    assert_eq!(node.status()["policy"]["digest"], digest);
}
