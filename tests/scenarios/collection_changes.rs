//! What is done with a collection after its import: classified, added to, retained, verified and erased.

use std::path::Path;

use concordat_tests::Person;
use serde_json::Value;

use super::collections::{CLINIC, command, folder, import, part, world};
use super::{assert_ledger_valid, entries};

#[test]
fn declarations_are_written_and_declared_again() {
    let world = world();
    let node = &world.nodes[0];
    let clinic = folder(&world, "clinic", &CLINIC);
    import(node, "clinic", &clinic, &["--template", "omop-5.3"]);
    let template = || {
        node.run_as(Person::Steward, &["collection", "template", "clinic"])
            .ok()
            .stdout
    };
    let before = template();
    assert!(before.contains("# has no class"), "{before}");
    let file = world.file("clinic.toml", &before);
    let classify = |file: &Path, more: &[&str]| {
        let command = ["collection", "classify", "clinic", "--from", file.to_str().unwrap()];
        node.run_as(Person::Steward, &[&command[..], more].concat())
    };
    classify(&file, &["--replace"]).ok();
    assert_eq!(template(), before);
    let kind = world.file(
        "kind.toml",
        "template = 1\nname = \"x\"\n[datasets.extra]\nkind = \"keyed\"\n[datasets.extra.columns]\nid = { role = \"subject\" }\n",
    );
    let outcome = classify(&kind, &[]).exits(2);
    assert!(outcome.stderr.contains("--replace"), "{}", outcome.stderr);
    let unknown = world.file(
        "unknown.toml",
        "template = 1\nname = \"x\"\n[datasets.extra.columns]\nno = { class = \"ordinary\" }\n",
    );
    let outcome = classify(&unknown, &[]).exits(2);
    assert!(outcome.stderr.contains("line 4: "), "{}", outcome.stderr);
    assert_eq!(template(), before);
    let shipped = node
        .run_as(Person::Steward, &["collection", "template", "--template", "synthea"])
        .ok();
    assert!(shipped.stdout.contains("name = \"synthea\""));
}

#[test]
fn dataset_alone_is_classified_by_a_template() {
    let world = world();
    let node = &world.nodes[0];
    let file = world.file("heart.csv", "id,age,chol\n1,40,233\n2,50,234\n");
    let import = [
        "dataset",
        "import",
        "heart",
        "--subject-column",
        "id",
        "--from",
        file.to_str().unwrap(),
    ];
    node.run_as(Person::Steward, &import).ok();
    let classes = world.file(
        "heart.toml",
        "template = 1\nname = \"heart\"\n[datasets.heart.columns]\nid = { class = \"direct-identifier\" }\n\"*\" = { class = \"sensitive\" }\n",
    );
    let classify = ["dataset", "classify", "heart", "--from", classes.to_str().unwrap()];
    node.run_as(Person::Steward, &classify).ok();
    node.run_as(Person::Steward, &["dataset", "publish", "heart"]).ok();
    let shown = node.json_as(Person::Steward, &["collection", "show", "heart"]);
    assert_eq!(
        (&shown["published"], &shown["unclassified"]),
        (&true.into(), &Value::Array(Vec::new()))
    );
    let levels = world.file(
        "levels.toml",
        "template = 1\nname = \"heart\"\n[datasets.heart.columns]\nage = { edges = [40, 50] }\n",
    );
    let classify = ["dataset", "classify", "heart", "--from", levels.to_str().unwrap()];
    let outcome = node.run_as(Person::Steward, &classify).exits(2);
    assert!(outcome.stderr.contains("dataset alone"), "{}", outcome.stderr);
}

#[test]
fn the_same_folder_is_added_only_on_request() {
    let world = world();
    let node = &world.nodes[0];
    let files = [
        ("person.csv", "person_id,year_of_birth\n1,1950\n2,1951\n"),
        ("visit_occurrence.csv", "visit_occurrence_id,person_id\n10,1\n"),
    ];
    let clinic = folder(&world, "twice", &files);
    import(node, "clinic", &clinic, &["--template", "omop-5.3"]);
    let problem = node.refused_as(Person::Steward, 2, &command("clinic", &clinic, &["--append"]));
    let reasons = problem["reasons"].to_string();
    for dataset in ["person", "visit_occurrence"] {
        assert!(reasons.contains(&format!("`{dataset}`: since version 1")), "{problem}");
    }
    let again = import(node, "clinic", &clinic, &["--append", "--again"]);
    assert_eq!(again["rows"], 3);
    let notes = part(&again, "person")["notes"].to_string();
    assert!(notes.contains("`unique = true`"), "{notes}");
    let visits = folder(&world, "visits", &files[1..]);
    let refused = node.refused_as(Person::Steward, 2, &command("clinic", &visits, &["--append"]));
    assert!(refused["detail"].to_string().contains("--again"), "{refused}");
}

#[test]
fn collection_is_retained_verified_and_erased_like_a_dataset() {
    let mut world = world();
    let clinic = folder(&world, "clinic", &CLINIC);
    let node = &mut world.nodes[0];
    import(node, "clinic", &clinic, &["--template", "omop-5.3"]);
    for version in 2..=3 {
        let replaced = import(node, "clinic", &clinic, &["--replace"]);
        assert_eq!(replaced["version"], version);
    }
    let retained = node.json_as(Person::Steward, &["collection", "retain", "clinic", "--versions", "2"]);
    assert_eq!(retained["removed"], 1);
    let checked = node.json_as(Person::Steward, &["collection", "verify", "clinic"]);
    assert_eq!((&checked["ok"], &checked["versions"]), (&true.into(), &2.into()));

    // The versions are those of the ledger after a start.
    node.kill();
    node.start();
    node.forget_login();
    let shown = node.json_as(Person::Steward, &["collection", "show", "clinic"]);
    assert_eq!((&shown["version"], &shown["oldest_version"]), (&3.into(), &2.into()));

    let erase = ["collection", "erase", "clinic", "--reason", "the study ended", "--yes"];
    node.run_as(Person::Steward, &erase).ok();
    node.run_as(Person::Steward, &["collection", "show", "clinic"]).exits(4);
    assert_eq!(entries(node, "collection_imported").len(), 3);
    assert_eq!(entries(node, "dataset_erased").len(), 1);
    node.kill();
    node.start();
    node.forget_login();
    node.run_as(Person::Steward, &["collection", "show", "clinic"]).exits(4);
    assert_ledger_valid(node);
}
