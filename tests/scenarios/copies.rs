//! A data directory that is copied while the node is stopped: two nodes with one identity.

use concordat_tests::{Person, TestNode, World};
use serde_json::Value;

use super::disk_replaced::copy;
use super::{assert_ledger_valid, entries};

const ADMINISTRATOR: Person = Person::Administrator;

fn alarms(node: &TestNode) -> String {
    node.status()["alarms"].to_string()
}

fn listed(node: &TestNode) -> Value {
    node.json_as(ADMINISTRATOR, &["consortium", "ledger", "list"])
}

#[test]
fn copied_data_directory_stops_and_everyone_notices() {
    let mut world = World::consortium(3);
    let copied = world.dir().join("copy");
    world.node_mut("budapest").stop();
    copy(&world.node("budapest").dir, &copied);
    let node = world.node_mut("budapest");
    node.start();
    node.forget_login();
    for node in &world.nodes {
        node.await_peers(2);
    }
    let mut second = TestNode::at("budapest", copied);
    second.start();
    second.await_condition("its own alarm", |node| {
        alarms(node).contains("this data directory is a copy")
    });
    assert_eq!(second.status()["ready"], false);
    let found = second.run(&["doctor"]).exits(1);
    assert!(found.stdout.contains("acknowledge-own --start"), "{}", found.stdout);
    for peer in ["cleveland", "zurich"] {
        let peer = world.node(peer);
        peer.await_condition("an alarm about the copy", |node| {
            alarms(node).contains("two nodes run on copies of one data directory")
        });
        assert_eq!(entries(peer, "peer_start_refused").len(), 1);
        assert_eq!(entries(peer, "peer_ledger_conflict").len(), 0);
    }
    let first = world.node("budapest");
    first.await_condition("an alarm about its copy", |node| {
        alarms(node).contains("a copy of this node ran")
    });
    first.await_peers(2);
    assert_eq!(first.status()["ready"], true);
    assert_eq!(entries(first, "own_start_shown")[0]["stops"], false);
    assert_eq!(entries(&second, "own_start_shown")[0]["stops"], true);

    // However often it is started, it does not become the newest one.
    let before = listed(&second)["own_start"]["present"].clone();
    for _ in 0..2 {
        second.stop();
        second.start();
        second.forget_login();
    }
    assert_eq!(listed(&second)["own_start"]["present"], before);
    assert_eq!(second.status()["ready"], false);
    world.node("budapest").await_peers(2);
    for node in &world.nodes {
        assert_ledger_valid(node);
    }
}

#[test]
fn copy_that_is_to_go_on_is_acknowledged_and_the_other_refused() {
    let mut world = World::consortium(2);
    let copied = world.dir().join("copy");
    world.node_mut("budapest").stop();
    copy(&world.node("budapest").dir, &copied);
    let node = world.node_mut("budapest");
    node.start();
    node.forget_login();
    world.node("cleveland").await_peers(1);
    world.node_mut("budapest").stop();
    let mut second = TestNode::at("budapest", copied);
    second.start();
    second.await_condition("its own alarm", |node| !listed(node)["own_start"].is_null());
    let statement = listed(&second)["own_start"]["statement"]
        .as_str()
        .expect("a digest")
        .to_owned();
    second
        .run_as(
            ADMINISTRATOR,
            &["consortium", "ledger", "acknowledge-own", "--start", &statement],
        )
        .ok();
    assert_eq!(listed(&second)["own_start"], Value::Null);
    // Its ledger lacks the start of the other one: the peer decides about that itself.
    let peer = world.node("cleveland");
    peer.await_condition("the other ledger", |node| !listed(node)["items"][0].is_null());
    let shown = listed(peer)["items"][0]["head"].as_str().expect("a root").to_owned();
    peer.run_as(
        ADMINISTRATOR,
        &["consortium", "ledger", "acknowledge", "budapest", "--head", &shown],
    )
    .ok();
    second.await_peers(1);
    assert_eq!(second.status()["ready"], true);
    // The peer remembers the newest start across its own restarts, at the address that the other one knows.
    let peer = world.node_mut("cleveland");
    peer.pin_ports();
    peer.stop();
    peer.start();
    peer.forget_login();
    let first = world.node_mut("budapest");
    for _ in 0..2 {
        first.start();
        first.forget_login();
        first.await_condition("its own alarm", |node| !listed(node)["own_start"].is_null());
        first.stop();
    }
    second.await_peers(1);
    assert_eq!(listed(world.node("cleveland"))["items"], serde_json::json!([]));
}
