//! The key of an institution is replaced: with its own endorsement, or by the holders of the charter.

use concordat_tests::{Import, Person, TestNode, World};
use concordat_verify::{KnownKeys, VerifyError, conclude};
use serde_json::Value;

use super::{assert_ledger_valid, entries};

const ADMINISTRATOR: Person = Person::Administrator;
const OF_BUDAPEST: &str = "SELECT sex FROM budapest.heart";
const OF_ZURICH: &str = "SELECT sex FROM zurich.heart";

/// Three members, of which `budapest` and `zurich` have granted each other a dataset. The grants: that of `zurich`, and that of `budapest`.
fn with_grants() -> (World, [String; 2]) {
    let world = World::consortium(3);
    let file = world.file("patients.csv", "record,sex\n1,0\n2,1\n3,1\n");
    for id in ["budapest", "zurich"] {
        let import = Import {
            dataset: "heart",
            from: &file,
            args: &["--subject-column", "record"],
            classes: &["record=direct-identifier", "sex=ordinary"],
        };
        world.share(id, import);
    }
    let grants = [("zurich", "budapest"), ("budapest", "zurich")]
        .map(|(consumer, provider)| world.grant(consumer, provider, "heart", &["--columns", "sex"]));
    assert_answered(&world, "zurich", OF_BUDAPEST);
    assert_answered(&world, "budapest", OF_ZURICH);
    (world, grants)
}

#[track_caller]
fn assert_answered(world: &World, id: &str, sql: &str) {
    assert_eq!(world.node(id).query(sql).ok().table().rows.len(), 3, "{id}");
}

fn fingerprint(node: &TestNode) -> String {
    node.status()["fingerprint"].as_str().unwrap().to_owned()
}

/// The entry of `budapest` in the roster of `node`.
fn listed(node: &TestNode) -> Value {
    let roster = node.json_as(ADMINISTRATOR, &["consortium", "roster", "show"]);
    let members = roster["members"].as_array().unwrap();
    let found = members.iter().find(|member| member["institution"] == "budapest");
    found.unwrap().clone()
}

/// `budapest` creates its next key; returns its fingerprint and the application for the coordinator.
fn next_key(world: &World) -> (String, std::path::PathBuf) {
    let node = world.node("budapest");
    let made = node.json_as(ADMINISTRATOR, &["key", "rotate", "--institution"]);
    let application = world.file("next-key.txt", made["armor"].as_str().unwrap());
    (made["fingerprint"].as_str().unwrap().to_owned(), application)
}

fn admit(world: &World, application: &std::path::Path, more: &[&str]) {
    let founder = world.node("cleveland");
    let args = [&["consortium", "admit", application.to_str().unwrap()], more].concat();
    founder.run_as(ADMINISTRATOR, &args).ok();
}

/// The daemon of `budapest` and those of the others know the key, and all are connected again.
fn await_key(world: &World, key: &str) {
    for node in &world.nodes {
        node.await_condition("the next key", |node| listed(node)["fingerprint"] == key);
    }
    let node = world.node("budapest");
    node.await_condition("its next key", |node| fingerprint(node) == key);
    for node in &world.nodes {
        node.await_peers(2);
    }
}

fn restart(world: &mut World) {
    let node = world.node_mut("budapest");
    node.start();
    node.forget_login();
}

#[test]
fn key_endorsed_by_the_old_one_keeps_grants_and_ledger() {
    let (mut world, _) = with_grants();
    world.node("budapest").pin_ports();
    let before = fingerprint(world.node("budapest"));
    let query = entries(world.node("budapest"), "decision_made")[0]["request"]
        .as_str()
        .unwrap()
        .to_owned();
    let backups = world.dir().join("backups");
    let backups = backups.to_str().unwrap();
    let backup = ["backup", "create", "--to", backups];
    world.node("budapest").run_as(ADMINISTRATOR, &backup).ok();

    // Creating a key changes nothing, even if it is requested repeatedly and the node stops in between.
    let (key, _) = next_key(&world);
    world.node_mut("budapest").kill();
    restart(&mut world);
    let (again, application) = next_key(&world);
    assert_eq!(key, again);
    assert_eq!(fingerprint(world.node("budapest")), before);
    world.node("budapest").await_peers(2);
    assert_answered(&world, "zurich", OF_BUDAPEST);

    admit(&world, &application, &[]);
    await_key(&world, &key);
    assert_eq!(
        listed(world.node("zurich"))["earlier_fingerprints"],
        serde_json::json!([before])
    );
    for node in &world.nodes {
        assert_eq!(node.status()["alarms"], Value::Null, "{}", node.id);
    }
    assert_answered(&world, "zurich", OF_BUDAPEST);
    assert_answered(&world, "budapest", OF_ZURICH);

    // Once more, with a stop of the node after each step.
    world.node_mut("budapest").kill();
    restart(&mut world);
    let (third, application) = next_key(&world);
    admit(&world, &application, &[]);
    await_key(&world, &third);
    world.node_mut("budapest").stop();
    restart(&mut world);
    await_key(&world, &third);
    assert_answered(&world, "zurich", OF_BUDAPEST);
    assert_answered(&world, "budapest", OF_ZURICH);

    let node = world.node("budapest");
    assert_ledger_valid(node);
    assert_eq!(entries(node, "institution_key_replaced").len(), 2);
    // Signatures of each key are accepted as the institution's: earlier evidence, ledger, data, snapshots.
    let of_zurich = format!("zurich={}", fingerprint(world.node("zurich")));
    let of_budapest = |keys: &[&String]| {
        let given = keys.iter().map(|key| format!("budapest={key}"));
        KnownKeys::parse(&given.chain([of_zurich.clone()]).collect::<Vec<_>>()).unwrap()
    };
    let known = of_budapest(&[&before, &key, &third]);
    for id in ["budapest", "zurich"] {
        let file = world
            .node(id)
            .run_as(ADMINISTRATOR, &["audit", "receipt", &query])
            .ok()
            .stdout;
        let whole = conclude(&file, &known).unwrap();
        assert!(whole.missing.is_empty(), "{id}: {whole:?}");
        let first = conclude(&file, &of_budapest(&[&before])).unwrap();
        assert!(first.missing.is_empty(), "{id}: {first:?}");
        // The present key does not show which key the institution had when the query was answered.
        let later = conclude(&file, &of_budapest(&[&third]));
        assert!(matches!(later, Err(VerifyError::OtherKey { .. })), "{id}: {later:?}");
    }
    let ledger = node.run_as(ADMINISTRATOR, &["audit", "export"]).ok().stdout;
    for one in [&before, &key, &third] {
        let whole = conclude(&ledger, &of_budapest(&[one])).unwrap();
        assert!(whole.missing.is_empty(), "{whole:?}");
    }
    node.run_as(ADMINISTRATOR, &backup).ok();
    let verify = ["backup", "verify", "--from", backups];
    node.run_as(ADMINISTRATOR, &verify).ok();
    node.run_as(ADMINISTRATOR, &[&verify[..], &["--institution-key", &third]].concat())
        .ok();
}

#[test]
fn key_replaced_by_the_holders_needs_confirmation_for_grants() {
    let (world, [of_budapest, of_zurich]) = with_grants();
    let (key, application) = next_key(&world);
    admit(&world, &application, &["--replace-key"]);
    await_key(&world, &key);

    let zurich = world.node("zurich");
    let alarms = zurich.status()["alarms"].clone();
    assert!(alarms[0].as_str().is_some_and(|alarm| alarm.contains(&key)), "{alarms}");
    zurich.run(&["doctor"]).exits(1);
    world.await_grant("zurich", &of_zurich, "SUSPENDED");
    // Neither side serves or queries the other.
    for (id, sql) in [("zurich", OF_BUDAPEST), ("budapest", OF_ZURICH)] {
        let refused = world.node(id).query(sql);
        assert!(
            [Some(3), Some(4), Some(5)].contains(&refused.code),
            "{}",
            refused.report()
        );
    }
    let resume = ["grant", "resume", &of_zurich];
    assert_ne!(zurich.run_as(Person::Steward, &resume).code, Some(0));

    let confirm = |fingerprint: &str| {
        let args = ["consortium", "confirm-key", "budapest", "--fingerprint", fingerprint];
        zurich.run_as(ADMINISTRATOR, &args)
    };
    let before = listed(zurich)["earlier_fingerprints"][0].as_str().unwrap().to_owned();
    for wrong in [before.as_str(), key.get(..9).unwrap(), ""] {
        assert_eq!(confirm(wrong).code, Some(2), "{wrong}");
    }
    assert_eq!(entries(zurich, "peer_key_confirmed").len(), 0);
    confirm(&key).ok();
    assert_eq!(entries(zurich, "peer_key_confirmed").len(), 1);
    assert_eq!(zurich.status()["alarms"], Value::Null);
    zurich.await_peers(2);
    zurich.run_as(Person::Steward, &resume).ok();
    world.await_grant("budapest", &of_zurich, "ACTIVE");
    assert_answered(&world, "budapest", OF_ZURICH);
    assert_answered(&world, "zurich", OF_BUDAPEST);
    assert_eq!(of_budapest.len(), of_zurich.len());
    for node in &world.nodes {
        assert_ledger_valid(node);
    }
}
