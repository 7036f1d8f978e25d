//! The key that speaks for an institution is replaced: by its own word, or by the holders of the charter.

use concordat_tests::{House, Import, Person, World};
use concordat_verify::conclude;
use serde_json::Value;

use super::{assert_ledger_holds, entries};

const ADMINISTRATOR: Person = Person::Administrator;
const OF_BUDAPEST: &str = "SELECT sex FROM budapest.heart";
const OF_ZURICH: &str = "SELECT sex FROM zurich.heart";

/// Three members, of whom `budapest` and `zurich` have granted each other a dataset. The grants: what `zurich` may ask, and `budapest`.
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
    asks(&world, "zurich", OF_BUDAPEST);
    asks(&world, "budapest", OF_ZURICH);
    (world, grants)
}

#[track_caller]
fn asks(world: &World, who: &str, sql: &str) {
    assert_eq!(world.house(who).ask(sql).ok().table().rows.len(), 3, "{who}");
}

fn fingerprint(house: &House) -> String {
    house.status()["fingerprint"].as_str().unwrap().to_owned()
}

/// What the roster of `house` says of `budapest`.
fn listed(house: &House) -> Value {
    let roster = house.json_as(ADMINISTRATOR, &["consortium", "roster", "show"]);
    let members = roster["members"].as_array().unwrap();
    let found = members.iter().find(|member| member["institution"] == "budapest");
    found.unwrap().clone()
}

/// `budapest` makes its next key; its application, as the coordinator gets it.
fn next_key(world: &World) -> (String, std::path::PathBuf) {
    let house = world.house("budapest");
    let made = house.json_as(ADMINISTRATOR, &["key", "rotate", "--institution"]);
    let application = world.file("next-key.txt", made["armour"].as_str().unwrap());
    (made["fingerprint"].as_str().unwrap().to_owned(), application)
}

fn admits(world: &World, application: &std::path::Path, more: &[&str]) {
    let founder = world.house("cleveland");
    let args = [&["consortium", "admit", application.to_str().unwrap()], more].concat();
    founder.as_(ADMINISTRATOR, &args).ok();
}

/// The daemon of `budapest` and those of the others know the key, and all are connected again.
fn await_key(world: &World, key: &str) {
    for house in &world.houses {
        house.await_that("the next key", |house| listed(house)["fingerprint"] == key);
    }
    let house = world.house("budapest");
    house.await_that("its next key", |house| fingerprint(house) == key);
    for house in &world.houses {
        house.await_peers(2);
    }
}

fn starts_again(world: &mut World) {
    let house = world.house_mut("budapest");
    house.start();
    house.forget_login();
}

#[test]
fn key_with_the_word_of_the_old_one_keeps_grants_evidence_and_ledger() {
    let (mut world, _) = with_grants();
    world.house("budapest").pin_ports();
    let before = fingerprint(world.house("budapest"));
    let query = entries(world.house("budapest"), "decision_made")[0]["request"]
        .as_str()
        .unwrap()
        .to_owned();
    let backups = world.place().join("backups");
    let backups = backups.to_str().unwrap();
    let backup = ["backup", "create", "--to", backups];
    world.house("budapest").as_(ADMINISTRATOR, &backup).ok();

    // A key that is made changes nothing, however often it is asked for and whatever stops in between.
    let (key, _) = next_key(&world);
    world.house_mut("budapest").kill();
    starts_again(&mut world);
    let (again, application) = next_key(&world);
    assert_eq!(key, again);
    assert_eq!(fingerprint(world.house("budapest")), before);
    world.house("budapest").await_peers(2);
    asks(&world, "zurich", OF_BUDAPEST);

    admits(&world, &application, &[]);
    await_key(&world, &key);
    assert_eq!(
        listed(world.house("zurich"))["earlier_fingerprints"],
        serde_json::json!([before])
    );
    for house in &world.houses {
        assert_eq!(house.status()["alarms"], Value::Null, "{}", house.id);
    }
    asks(&world, "zurich", OF_BUDAPEST);
    asks(&world, "budapest", OF_ZURICH);

    // And once more, with a stop of the node after each.
    world.house_mut("budapest").kill();
    starts_again(&mut world);
    let (third, application) = next_key(&world);
    admits(&world, &application, &[]);
    await_key(&world, &third);
    world.house_mut("budapest").stop();
    starts_again(&mut world);
    await_key(&world, &third);
    asks(&world, "zurich", OF_BUDAPEST);
    asks(&world, "budapest", OF_ZURICH);

    let house = world.house("budapest");
    assert_ledger_holds(house);
    assert_eq!(entries(house, "institution_key_replaced").len(), 2);
    // What was signed by each key is known as the institution's: evidence of then, ledger, data, snapshots.
    let known = [before, key, third.clone(), fingerprint(world.house("zurich"))];
    for id in ["budapest", "zurich"] {
        let file = world
            .house(id)
            .as_(ADMINISTRATOR, &["audit", "receipt", &query])
            .ok()
            .stdout;
        let whole = conclude(&file, &known).unwrap();
        assert!(whole.missing.is_empty(), "{id}: {whole:?}");
    }
    let ledger = house.as_(ADMINISTRATOR, &["audit", "export"]).ok().stdout;
    assert!(
        conclude(&ledger, std::slice::from_ref(&third))
            .unwrap()
            .missing
            .is_empty()
    );
    house.as_(ADMINISTRATOR, &backup).ok();
    let verify = ["backup", "verify", "--from", backups];
    house.as_(ADMINISTRATOR, &verify).ok();
    house
        .as_(ADMINISTRATOR, &[&verify[..], &["--institution-key", &third]].concat())
        .ok();
}

#[test]
fn key_replaced_by_the_holders_gets_no_grant_until_it_is_confirmed() {
    let (world, [of_budapest, of_zurich]) = with_grants();
    let (key, application) = next_key(&world);
    admits(&world, &application, &["--replace-key"]);
    await_key(&world, &key);

    let zurich = world.house("zurich");
    let alarms = zurich.status()["alarms"].clone();
    assert!(alarms[0].as_str().is_some_and(|alarm| alarm.contains(&key)), "{alarms}");
    zurich.run(&["doctor"]).exits(1);
    world.await_grant("zurich", &of_zurich, "SUSPENDED");
    // Neither side serves or asks the other.
    for (who, sql) in [("zurich", OF_BUDAPEST), ("budapest", OF_ZURICH)] {
        let refused = world.house(who).ask(sql);
        assert!(
            [Some(3), Some(4), Some(5)].contains(&refused.code),
            "{}",
            refused.story()
        );
    }
    let resume = ["grant", "resume", &of_zurich];
    assert_ne!(zurich.as_(Person::Steward, &resume).code, Some(0));

    let confirm = |fingerprint: &str| {
        let args = ["consortium", "confirm-key", "budapest", "--fingerprint", fingerprint];
        zurich.as_(ADMINISTRATOR, &args)
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
    zurich.as_(Person::Steward, &resume).ok();
    world.await_grant("budapest", &of_zurich, "ACTIVE");
    asks(&world, "budapest", OF_ZURICH);
    asks(&world, "zurich", OF_BUDAPEST);
    assert_eq!(of_budapest.len(), of_zurich.len());
    for house in &world.houses {
        assert_ledger_holds(house);
    }
}
