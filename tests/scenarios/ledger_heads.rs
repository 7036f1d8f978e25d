//! A node whose whole disk is put back to an older copy, and nodes that only crash.

use std::fs;

use concordat_tests::{House, Person, World};

use super::disk_replaced::copy;
use super::{assert_ledger_holds, entries};

fn alarms(house: &House) -> usize {
    house.status()["alarms"].as_array().map_or(0, Vec::len)
}

/// The name of the head that `house` has to acknowledge of others, or of itself.
fn head(house: &House, own: bool) -> String {
    let listed = house.json_as(Person::Administrator, &["consortium", "ledger", "list"]);
    let head = if own {
        &listed["own"]["head"]
    } else {
        &listed["items"][0]["head"]
    };
    head.as_str().expect("a head").to_owned()
}

#[test]
fn ledger_of_a_whole_disk_put_back_is_noticed_by_all() {
    let mut world = World::consortium(3);
    let earlier = world.place().join("earlier");
    for house in &world.houses {
        house.pin_ports();
    }
    for house in &mut world.houses {
        house.stop();
    }
    copy(&world.house("budapest").dir, &earlier);
    for house in &mut world.houses {
        house.start();
        house.forget_login();
    }
    for house in &world.houses {
        house.await_peers(2);
        // Each has seen a head by which the ledger had grown, because its start is entered.
        house.await_that("no alarm", |house| alarms(house) == 0);
    }
    let house = world.house_mut("budapest");
    house.stop();
    fs::remove_dir_all(&house.dir).unwrap();
    copy(&earlier, &house.dir);
    house.start();
    house.forget_login();

    let administrator = Person::Administrator;
    let house = world.house("budapest");
    house.await_that("its own alarm", |house| alarms(house) == 1);
    let status = house.status();
    assert_eq!(status["ready"], false, "{status}");
    house.run(&["doctor"]).exits(1);
    for peer in ["cleveland", "zurich"] {
        let peer = world.house(peer);
        peer.await_that("an alarm about budapest", |peer| alarms(peer) == 1);
        assert_eq!(entries(peer, "peer_ledger_conflict").len(), 1);
        peer.refused_as(
            administrator,
            4,
            &["consortium", "ledger", "acknowledge", "budapest", "--head", "00000000"],
        );
    }
    assert_eq!(entries(house, "own_ledger_conflict").len(), 1);

    let own = head(house, true);
    house
        .as_(
            administrator,
            &["consortium", "ledger", "acknowledge-own", "--head", &own],
        )
        .ok();
    for peer in ["cleveland", "zurich"] {
        let peer = world.house(peer);
        let shown = head(peer, false);
        peer.as_(
            administrator,
            &["consortium", "ledger", "acknowledge", "budapest", "--head", &shown],
        )
        .ok();
    }
    for house in &world.houses {
        house.await_peers(2);
        house.await_that("all is well", |house| {
            house.status()["ready"] == true && alarms(house) == 0
        });
        assert_ledger_holds(house);
    }
    let house = world.house_mut("budapest");
    house.stop();
    house.start();
    for house in &world.houses {
        house.await_peers(2);
        assert_eq!(alarms(house), 0);
    }
}

#[test]
fn ledger_heads_after_kills_raise_no_alarm() {
    let mut world = World::consortium(2);
    for house in &world.houses {
        house.pin_ports();
    }
    for round in 0..6 {
        let house = &mut world.houses[round % 2];
        let work = house.spawn(&["login", "nobody"]);
        house.kill();
        drop(work.wait_with_output());
        house.start();
        house.forget_login();
        for house in &world.houses {
            house.await_peers(1);
            assert_eq!(alarms(house), 0, "round {round}");
        }
    }
    for house in &world.houses {
        assert_eq!(entries(house, "peer_ledger_conflict").len(), 0);
        assert_eq!(entries(house, "own_ledger_conflict").len(), 0);
    }
}
