//! What a steward declares about a published collection by an import: the ledger states it, and what would reveal more is withdrawn.

use std::fs;
use std::path::{Path, PathBuf};

use concordat_tests::{Person, TestNode, World};
use serde_json::Value;

use super::{assert_ledger_valid, entries};

const PEOPLE: &str = "person_id,sex,hiv\n1,f,0\n2,m,1\n3,f,0\n";
const MORE: &str = "person_id,sex,hiv\n4,m,0\n5,f,1\n";
const WITHOUT_HIV: &str = "person_id,sex\n1,f\n2,m\n";

/// The template of the collection, with this class of the column that the attacker wants.
fn template(world: &World, class: &str) -> PathBuf {
    let text = format!(
        "template = 1\nname = \"clinic\"\n[datasets.person]\nkind = \"keyed\"\n[datasets.person.columns]\n\
         person_id = {{ role = \"subject\", class = \"direct-identifier\" }}\nsex = {{ class = \"ordinary\" }}\n\
         hiv = {{ class = \"{class}\" }}\n"
    );
    world.file(&format!("{class}.toml"), text)
}

fn folder(world: &World, name: &str, rows: &str) -> PathBuf {
    let folder = world.dir().join(name);
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("person.csv"), rows).unwrap();
    folder
}

#[track_caller]
fn import(node: &TestNode, folder: &Path, mode: &[&str], template: Option<&Path>) -> Value {
    let mut command = vec!["collection", "import", "clinic", "--from", folder.to_str().unwrap()];
    command.extend(mode);
    if let Some(template) = template {
        command.extend(["--template", template.to_str().unwrap()]);
    }
    node.json_as(Person::Steward, &command)
}

#[track_caller]
fn publish(node: &TestNode) {
    node.run_as(Person::Steward, &["collection", "publish", "clinic"]).ok();
}

fn is_published(node: &TestNode) -> Value {
    node.json_as(Person::Steward, &["collection", "show", "clinic"])["published"].clone()
}

#[test]
fn import_that_weakens_a_class_is_in_the_ledger() {
    let world = World::unconnected(1);
    let node = &world.nodes[0];
    node.create_users();
    let sensitive = template(&world, "sensitive");
    let ordinary = template(&world, "ordinary");
    import(node, &folder(&world, "first", PEOPLE), &[], Some(&sensitive));
    publish(node);

    let imported = import(node, &folder(&world, "more", MORE), &["--append"], Some(&ordinary));
    assert_eq!(imported["withdrawn"], true, "{imported}");
    assert_eq!(is_published(node), false);
    assert_eq!(entries(node, "dataset_withdrawn").len(), 1);
    let classify = [
        "collection",
        "classify",
        "clinic",
        "--from",
        sensitive.to_str().unwrap(),
    ];
    node.run_as(Person::Steward, &classify).ok();
    assert_eq!(is_published(node), false);

    // Declared back, it is as at the start, and the ledger shows both steps.
    let declared: Vec<Value> = entries(node, "collection_imported")
        .iter()
        .map(|imported| imported["declared"].clone())
        .collect();
    let back = entries(node, "dataset_classified");
    assert_eq!((declared.len(), back.len()), (2, 1));
    assert!(declared[0].is_string() && declared[0] != declared[1], "{declared:?}");
    assert_eq!(back[0]["classification"], declared[0]);
    publish(node);
    assert_eq!(entries(node, "dataset_published").len(), 2);
    assert_ledger_valid(node);
}

/// The class of a column that is left out of a version is not remembered, so the column is a new one afterwards.
#[test]
fn column_that_is_left_out_and_added_is_withdrawn() {
    let world = World::unconnected(1);
    let node = &world.nodes[0];
    node.create_users();
    let sensitive = template(&world, "sensitive");
    let ordinary = template(&world, "ordinary");
    let people = folder(&world, "first", PEOPLE);
    import(node, &people, &[], Some(&sensitive));
    publish(node);
    let without = import(node, &folder(&world, "without", WITHOUT_HIV), &["--replace"], None);
    assert_eq!(
        (&without["withdrawn"], is_published(node)),
        (&false.into(), true.into())
    );
    let again = import(node, &people, &["--replace"], Some(&ordinary));
    assert_eq!((&again["withdrawn"], is_published(node)), (&true.into(), false.into()));
}

#[test]
fn import_that_declares_the_same_stays_published() {
    let world = World::unconnected(1);
    let node = &world.nodes[0];
    node.create_users();
    let sensitive = template(&world, "sensitive");
    import(node, &folder(&world, "first", PEOPLE), &[], Some(&sensitive));
    publish(node);
    let more = folder(&world, "more", MORE);
    let imported = import(node, &more, &["--append"], Some(&sensitive));
    assert_eq!(
        (&imported["withdrawn"], is_published(node)),
        (&false.into(), true.into())
    );
    let declared = entries(node, "collection_imported");
    assert_eq!(declared[0]["declared"], declared[1]["declared"]);
    assert!(entries(node, "dataset_withdrawn").is_empty());
}
