//! Nodes whose addresses change: they find each other through any member that both reach.

use concordat_tests::{Person, TestNode, World};
use serde_json::Value;

const ADMINISTRATOR: Person = Person::Administrator;

/// The node of `institution` on the roster of `node`.
fn shown(node: &TestNode, institution: &str) -> Value {
    let roster = node.json_as(ADMINISTRATOR, &["consortium", "roster", "show"]);
    let mut members = roster["members"].as_array().expect("members").iter();
    let member = members.find(|member| member["institution"] == institution);
    member.expect("a member")["nodes"][0].clone()
}

#[test]
fn nodes_restarted_together_find_each_other_through_a_third() {
    let mut world = World::consortium(3);
    let roster = shown(world.node("zurich"), "budapest");
    assert_eq!(roster["record"], Value::Null, "the roster is right");
    // Both listen on other ports from now on, and neither knows those of the other.
    for moved in ["budapest", "zurich"] {
        world.node_mut(moved).stop();
    }
    for moved in ["budapest", "zurich"] {
        let node = world.node_mut(moved);
        node.start();
        node.forget_login();
    }
    for node in &world.nodes {
        node.await_peers(2);
    }
    for (seen_by, moved) in [("zurich", "budapest"), ("budapest", "zurich"), ("cleveland", "zurich")] {
        let node = world.node(seen_by);
        node.await_condition("the record", |node| shown(node, moved)["record"]["number"] == 1);
        let known = shown(node, moved)["known"].clone();
        let stated = |by: &str| {
            let known = known.as_array().expect("addresses").iter();
            known.filter(|known| known["stated_by"] == by).count()
        };
        assert!(stated("roster") > 0 && stated("node") > 0, "{known}");
    }
    // One of the two has dialed the other, at an address of the record.
    let reached = |seen_by: &str, moved: &str| {
        let known = shown(world.node(seen_by), moved)["known"].clone();
        let known = known.as_array().expect("addresses").clone();
        known
            .iter()
            .any(|known| known["stated_by"] == "node" && !known["last_good"].is_null())
    };
    assert!(reached("zurich", "budapest") || reached("budapest", "zurich"));
    let listed = world
        .node("zurich")
        .run_as(ADMINISTRATOR, &["consortium", "roster", "show"])
        .ok();
    assert!(listed.stdout.contains("LAST GOOD"), "{}", listed.stdout);

    // What was learned is kept: a node that stays at its address needs no third one to find them again.
    world.node_mut("cleveland").stop();
    world.node("zurich").pin_ports();
    let node = world.node_mut("zurich");
    node.stop();
    node.start();
    node.forget_login();
    for node in ["budapest", "zurich"] {
        world.node(node).await_peers(1);
    }
}
