//! What each institution enforces below tier `records`, as the others see it.

use concordat_tests::{Import, Person, TestNode, World};
use serde_json::{Value, json};

use super::{assert_ledger_valid, entries};

const ADMINISTRATOR: Person = Person::Administrator;

/// What `node` shows of the rules of `institution`; `null` if it knows none.
fn shown(node: &TestNode, institution: &str) -> Value {
    let status = node.json_as(ADMINISTRATOR, &["status"]);
    let listed = status["peer_rules"].as_array().cloned().unwrap_or_default();
    let mut listed = listed.into_iter();
    listed
        .find(|known| known["institution"] == institution)
        .unwrap_or_default()
}

fn min_cells(known: &Value) -> Vec<Value> {
    let tiers = known["rules"]["tiers"].as_array().cloned().unwrap_or_default();
    tiers.into_iter().map(|tier| tier["min_cell"].clone()).collect()
}

#[test]
fn rules_of_each_institution_are_shown_at_the_other() {
    let mut world = World::consortium(2);
    for (node, other) in [("cleveland", "budapest"), ("budapest", "cleveland")] {
        let node = world.node(node);
        node.await_condition("the rules of the other", |node| !shown(node, other).is_null());
        let known = shown(node, other);
        assert_eq!(known["rules"]["tiers"][2]["tier"], "aggregate");
        assert_eq!(
            known["rules"]["tiers"][2]["protections"],
            json!(["perturbed", "private"])
        );
        assert_eq!(min_cells(&known), [10, 10, 10]);
        assert!(known.get("weaker").is_none(), "{known}");
        let own = node.json_as(ADMINISTRATOR, &["status"])["rules"].clone();
        assert_eq!(own, known["rules"], "both have the shipped policy set");
        assert_eq!(entries(node, "rules_announced").len(), 1);
    }
    // They are for people of the institution.
    let cleveland = world.node("cleveland");
    assert!(!cleveland.http_get("/v1/status").contains("peer_rules"));

    let file = world.file("stays.csv", "patient,ward\n1,a\n2,b\n");
    world.share(
        "cleveland",
        Import {
            dataset: "stays",
            from: &file,
            args: &["--subject-column", "patient"],
            classes: &["patient=direct-identifier", "ward=ordinary"],
        },
    );
    let limits = ["dataset", "limits", "stays", "--tier", "count", "--min-cell", "4"];
    cleveland.run_as(Person::Steward, &limits).ok();
    let budapest = world.node("budapest");
    budapest.await_condition("weaker rules", |node| {
        shown(node, "cleveland")["weaker"] == json!(["count: cells of 4 subjects or more, 10 before"])
    });
    assert_eq!(min_cells(&shown(budapest, "cleveland")), [10, 4, 10]);
    let text = budapest.run_as(ADMINISTRATOR, &["status"]).ok().stdout;
    assert!(
        text.contains("weaker=count: cells of 4 subjects or more, 10 before"),
        "{text}"
    );
    let found = budapest.run(&["doctor"]);
    assert!(
        found.stdout.contains("of cleveland announces weaker rules than before"),
        "{}",
        found.stdout
    );
    let announced = entries(budapest, "rules_announced");
    assert_eq!(announced.len(), 2, "{announced:?}");
    assert_eq!(announced[1]["weaker"], true);

    // What is known is kept while the other one is away; a start of the other announces nothing new.
    let budapest = world.node_mut("budapest");
    budapest.pin_ports();
    budapest.stop();
    world.node_mut("cleveland").stop();
    let budapest = world.node_mut("budapest");
    budapest.start();
    budapest.forget_login();
    assert_eq!(min_cells(&shown(budapest, "cleveland")), [10, 4, 10]);
    let cleveland = world.node_mut("cleveland");
    cleveland.start();
    cleveland.forget_login();
    world.node("cleveland").await_peers(1);

    // The dataset is closed again, and the rules are what they were.
    let withdraw = ["dataset", "withdraw", "stays"];
    world.node("cleveland").run_as(Person::Steward, &withdraw).ok();
    let budapest = world.node("budapest");
    budapest.await_condition("the former rules", |node| {
        shown(node, "cleveland").get("weaker").is_none()
    });
    assert_eq!(min_cells(&shown(budapest, "cleveland")), [10, 10, 10]);
    let announced = entries(budapest, "rules_announced");
    let weaker: Vec<&Value> = announced.iter().map(|entry| &entry["weaker"]).collect();
    assert_eq!(weaker, [false, true, false]);
    for node in &world.nodes {
        assert_ledger_valid(node);
    }
}

#[test]
fn rules_of_a_removed_institution_are_not_shown() {
    let world = World::consortium(2);
    let cleveland = world.node("cleveland");
    cleveland.await_condition("the rules of the other", |node| !shown(node, "budapest").is_null());
    cleveland
        .run_as(ADMINISTRATOR, &["consortium", "remove", "budapest"])
        .ok();
    cleveland.await_condition("no rules", |node| shown(node, "budapest").is_null());
}
