//! A node whose whole disk is restored from an older copy, and nodes that only crash.

use std::fs;

use concordat_tests::{Person, TestNode, World};

use super::disk_replaced::copy;
use super::{assert_ledger_valid, entries};

fn alarms(node: &TestNode) -> usize {
    node.status()["alarms"].as_array().map_or(0, Vec::len)
}

/// What `node` has to acknowledge, of itself or of another node: the start or head of its own that it was shown, or the head of the other.
/// Waits until there is one.
pub(super) fn shown(node: &TestNode, own: bool) -> String {
    let mut found = None;
    node.await_condition("something to acknowledge", |node| {
        let listed = node.json_as(Person::Administrator, &["consortium", "ledger", "list"]);
        let of_own = [&listed["own_start"]["statement"], &listed["own"]["head"]];
        let of_others = [&listed["items"][0]["head"]];
        let shown = if own { &of_own[..] } else { &of_others[..] };
        found = shown.iter().find_map(|digest| digest.as_str()).map(str::to_owned);
        found.is_some()
    });
    found.expect("a digest")
}

#[test]
fn ledger_of_a_restored_disk_is_detected_by_all() {
    let mut world = World::consortium(3);
    let earlier = world.dir().join("earlier");
    for node in &world.nodes {
        node.pin_ports();
    }
    for node in &mut world.nodes {
        node.stop();
    }
    copy(&world.node("budapest").dir, &earlier);
    for node in &mut world.nodes {
        node.start();
        node.forget_login();
    }
    for node in &world.nodes {
        node.await_peers(2);
        // Each has seen a head of the grown ledger, because the start is recorded.
        node.await_condition("no alarm", |node| alarms(node) == 0);
    }
    let node = world.node_mut("budapest");
    node.stop();
    fs::remove_dir_all(&node.dir).unwrap();
    copy(&earlier, &node.dir);
    node.start();
    node.forget_login();

    let administrator = Person::Administrator;
    let node = world.node("budapest");
    node.await_condition("its own alarm", |node| alarms(node) == 1);
    let status = node.status();
    assert_eq!(status["ready"], false, "{status}");
    node.run(&["doctor"]).exits(1);
    for peer in ["cleveland", "zurich"] {
        let peer = world.node(peer);
        peer.await_condition("an alarm about budapest", |peer| alarms(peer) == 1);
        assert_eq!(entries(peer, "peer_start_refused").len(), 1);
        peer.refused_as(
            administrator,
            4,
            &["consortium", "ledger", "acknowledge", "budapest", "--head", "00000000"],
        );
    }
    assert_eq!(entries(node, "own_start_shown").len(), 1);

    let own = shown(node, true);
    node.run_as(
        administrator,
        &["consortium", "ledger", "acknowledge-own", "--head", &own],
    )
    .ok();
    for peer in ["cleveland", "zurich"] {
        let peer = world.node(peer);
        let shown = shown(peer, false);
        peer.run_as(
            administrator,
            &["consortium", "ledger", "acknowledge", "budapest", "--head", &shown],
        )
        .ok();
    }
    for node in &world.nodes {
        node.await_peers(2);
        node.await_condition("readiness without alarms", |node| {
            node.status()["ready"] == true && alarms(node) == 0
        });
        assert_ledger_valid(node);
    }
    let node = world.node_mut("budapest");
    node.stop();
    node.start();
    for node in &world.nodes {
        node.await_peers(2);
        assert_eq!(alarms(node), 0);
    }
}

#[test]
fn ledger_heads_after_kills_raise_no_alarm() {
    let mut world = World::consortium(2);
    for node in &world.nodes {
        node.pin_ports();
    }
    for round in 0..6 {
        let node = &mut world.nodes[round % 2];
        let login = node.spawn(&["login", "unknown"]);
        node.kill();
        drop(login.wait_with_output());
        node.start();
        node.forget_login();
        for node in &world.nodes {
            node.await_peers(1);
            assert_eq!(alarms(node), 0, "round {round}");
        }
    }
    for node in &world.nodes {
        assert_eq!(entries(node, "peer_ledger_conflict").len(), 0);
        assert_eq!(entries(node, "own_ledger_conflict").len(), 0);
    }
}
