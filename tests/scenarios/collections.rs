//! Folders of tables that belong together, with the commands that a steward types: from the folder to the published collection.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use concordat_tests::packed::zip;
use concordat_tests::{Person, TestNode, World, shared};
use serde_json::Value;

use super::{assert_ledger_valid, entries};

/// What `collection show` writes about [`CLINIC`], with single spaces.
const SCREEN: &str = include_str!("../golden/collection_show.txt");

/// A small folder of the OMOP model: a visit of no one and one of an unknown person, a part of an unknown note, a column that the model does
/// not have, and a file that it does not have.
pub(super) const CLINIC: [(&str, &str); 6] = [
    (
        "person.csv",
        "person_id,gender_concept_id,year_of_birth,person_source_value\n1,8507,1950,a\n2,8532,1961,b\n3,8507,1972,c\n",
    ),
    (
        "visit_occurrence.csv",
        "visit_occurrence_id,person_id,visit_start_date\n10,1,2020-01-01\n11,2,2020-02-01\n12,9,2020-03-01\n13,,2020-04-01\n\
         14,1,2020-05-01\n",
    ),
    ("note.csv", "note_id,person_id,note_date,ward\n100,1,2020-01-01,a\n"),
    (
        "note_nlp.csv",
        "note_nlp_id,note_id,lexical_variant\n1000,100,x\n1001,77,y\n",
    ),
    ("concept.csv", "concept_id,concept_name\n8507,male\n8532,female\n"),
    ("extra.csv", "id,remark\n1,x\n"),
];

/// Classes for what the model does not have.
const EXTRA: &str = "template = 1\nname = \"extra\"\n[datasets.note.columns]\nward = { class = \"ordinary\" }\n[datasets.extra]\n\
                     kind = \"reference\"\n[datasets.extra.columns]\n\"*\" = { class = \"ordinary\" }\n";

pub(super) fn world() -> World {
    let world = World::unconnected(1);
    world.nodes[0].create_users();
    world
}

pub(super) fn folder(world: &World, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = world.dir().join(name);
    fs::create_dir(&folder).unwrap();
    for (file, text) in files {
        fs::write(folder.join(file), text).unwrap();
    }
    folder
}

/// `collection import NAME --from FOLDER …`
pub(super) fn command<'a>(name: &'a str, folder: &'a Path, options: &[&'a str]) -> Vec<&'a str> {
    let command = ["collection", "import", name, "--from", folder.to_str().unwrap()];
    [&command[..], options].concat()
}

#[track_caller]
pub(super) fn import(node: &TestNode, name: &str, folder: &Path, options: &[&str]) -> Value {
    node.json_as(Person::Steward, &command(name, folder, options))
}

/// The reasons why an import is refused, which leaves nothing behind.
#[track_caller]
pub(super) fn refused(node: &TestNode, folder: &Path, options: &[&str]) -> String {
    let problem = node.refused_as(Person::Steward, 2, &command("refused", folder, options));
    let listed = node.json_as(Person::Steward, &["collection", "list"]);
    let names = listed.as_array().unwrap().iter().map(|collection| &collection["name"]);
    assert!(names.into_iter().all(|name| name != "refused"), "{listed}");
    assert_eq!(uploads(node), 0);
    problem.to_string()
}

/// Files of uploads that are open or have names.
pub(super) fn uploads(node: &TestNode) -> usize {
    let folder = node.dir.join("uploads");
    let named = fs::read_dir(&folder).map_or(0, Iterator::count);
    let open = fs::read_dir(format!("/proc/{}/fd", node.pid())).unwrap();
    let open = open.filter_map(Result::ok);
    let open = open.filter(|entry| fs::read_link(entry.path()).is_ok_and(|target| target.starts_with(&folder)));
    named + open.count()
}

pub(super) fn part<'a>(imported: &'a Value, dataset: &str) -> &'a Value {
    let parts = imported["datasets"].as_array().unwrap();
    parts
        .iter()
        .find(|part| part["dataset"] == dataset)
        .expect("the dataset")
}

fn squeezed(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.map(|line| line + "\n").collect()
}

#[test]
fn omop_folder_is_published_in_three_commands() {
    let world = world();
    let node = &world.nodes[0];
    let clinic = folder(&world, "clinic", &CLINIC);
    fs::write(clinic.join("LICENSE"), "free").unwrap();
    let imported = node
        .run_as(
            Person::Steward,
            &command("clinic", &clinic, &["--template", "omop-5.3"]),
        )
        .ok();
    assert!(
        imported.stderr.contains("`LICENSE` is not imported"),
        "{}",
        imported.stderr
    );
    assert!(
        imported.stdout.contains("3 columns have no class"),
        "{}",
        imported.stdout
    );

    assert!(
        imported.stderr.contains("shown to no one") && imported.stderr.contains("`person.year_of_birth`"),
        "{}",
        imported.stderr
    );

    let screen = node.run_as(Person::Steward, &["collection", "show", "clinic"]).ok();
    assert_eq!(squeezed(&screen.stdout), SCREEN);
    let unpublished = node
        .run_as(Person::Steward, &["collection", "publish", "clinic"])
        .exits(2);
    assert_eq!(squeezed(&unpublished.stdout), SCREEN);
    assert!(unpublished.stderr.contains("`extra`: *"), "{}", unpublished.stderr);

    let extra = world.file("extra.toml", EXTRA);
    let classify = ["collection", "classify", "clinic", "--from", extra.to_str().unwrap()];
    node.run_as(Person::Steward, &classify).ok();
    let published = node.json_as(Person::Steward, &["collection", "publish", "clinic"]);
    assert_eq!(
        (&published["published"], &published["subjects"]),
        (&true.into(), &3.into())
    );
    assert_eq!(published["unclassified"], Value::Array(Vec::new()));
    let withheld = published["withheld"].as_array().unwrap();
    let births = serde_json::json!({ "dataset": "person", "columns": ["year_of_birth"] });
    assert!(withheld.contains(&births), "{withheld:?}");

    let imports = entries(node, "collection_imported");
    assert_eq!(imports.len(), 1);
    assert_eq!((&imports[0]["datasets"], &imports[0]["rows"]), (&6.into(), &14.into()));
    assert_eq!(entries(node, "dataset_classified").len(), 1);
    assert_eq!(entries(node, "dataset_published").len(), 1);
    assert_ledger_valid(node);
}

/// The demonstration data of OHDSI, whose model is mostly 5.3.
#[test]
fn omop_demonstration_is_published_in_three_commands() {
    let Some(gibleed) = shared::find("omop-gibleed-5.3") else {
        return;
    };
    let world = world();
    let node = &world.nodes[0];
    let imported = import(node, "omop", &gibleed, &["--template", "omop-5.3"]);
    assert_eq!(
        (&imported["subjects"], &imported["unclassified"]),
        (&2694.into(), &42.into())
    );
    assert_eq!(part(&imported, "drug_exposure")["rows"], 67_707);
    let added = world.file("extra.toml", GIBLEED_ADDS);
    let classify = ["collection", "classify", "omop", "--from", added.to_str().unwrap()];
    node.run_as(Person::Steward, &classify).ok();
    let published = node.json_as(Person::Steward, &["collection", "publish", "omop"]);
    assert_eq!(published["datasets"].as_array().unwrap().len(), 37);

    // The headers that are SQL are known in the next import too, which needs no template.
    let again = import(node, "omop", &gibleed, &["--replace"]);
    assert_eq!(
        (&again["version"], &again["unclassified"], &again["withdrawn"]),
        (&2.into(), &0.into(), &false.into())
    );
}

/// Classes for the columns that the data have beside those of the model.
const GIBLEED_ADDS: &str = r#"
template = 1
name = "gibleed"
[datasets.cdm_source.columns]
cdm_version_concept_id = { class = "ordinary" }
[datasets."cohort*".columns]
"*" = { class = "direct-identifier" }
[datasets.cost.columns]
reveue_code_source_value = { class = "direct-identifier" }
[datasets.device_exposure.columns]
production_id = { class = "direct-identifier" }
"unit_*" = { class = "ordinary" }
[datasets.location.columns]
"country_*" = { class = "direct-identifier" }
latitude = { class = "direct-identifier" }
longitude = { class = "direct-identifier" }
[datasets.metadata.columns]
metadata_id = { class = "ordinary" }
value_as_number = { class = "ordinary" }
[datasets."*".columns]
"*_event_id" = { class = "direct-identifier" }
"*_event_field_concept_id" = { class = "ordinary" }
"admitted_from_*" = { class = "sensitive" }
"discharged_to_*" = { class = "sensitive" }
"procedure_end_*" = { class = "quasi-identifier" }
[datasets.measurement.columns]
unit_source_concept_id = { class = "ordinary" }
[datasets.observation.columns]
value_source_value = { class = "direct-identifier" }
[datasets.visit_detail.columns]
parent_visit_detail_id = { class = "direct-identifier" }
"#;

#[test]
fn archive_of_a_folder_is_imported_whole_or_not() {
    let world = world();
    let node = &world.nodes[0];
    let files: Vec<(String, &[u8])> = CLINIC
        .iter()
        .map(|(name, text)| (format!("clinic/{name}"), text.as_bytes()))
        .chain([("clinic/README.md".to_owned(), &b"read me"[..])])
        .collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    let packed = zip(&files);
    let whole = world.file("clinic.zip", &packed);
    let half = world.file("half.zip", &packed[..packed.len() / 2]);
    let template = ["--template", "omop-5.3"];
    assert!(refused(node, &half, &template).contains("cannot be"), "half an archive");
    let text = world.file("person", CLINIC[0].1);
    assert!(refused(node, &text, &template).contains("neither a zip file nor a tar file"));
    let imported = import(node, "clinic", &whole, &template);
    assert_eq!((&imported["rows"], &imported["subjects"]), (&14.into(), &3.into()));
    assert_eq!(imported["left_out"][0], "clinic/README.md");
    assert_eq!(uploads(node), 0);
}

#[test]
fn folder_below_an_inbox_is_read_by_the_node() {
    let mut world = world();
    let inbox = world.dir().join("inbox");
    fs::create_dir(&inbox).unwrap();
    let clinic = folder(&world, "inbox/clinic", &CLINIC);
    let packed = zip(&CLINIC.map(|(name, text)| (name, text.as_bytes())));
    fs::write(inbox.join("clinic.zip"), packed).unwrap();
    symlink("clinic", inbox.join("link")).unwrap();
    let node = &mut world.nodes[0];
    // What a link in the folder leads to is not read.
    symlink(node.dir.join("unlock.key"), clinic.join("secret.csv")).unwrap();
    let import = |node: &TestNode, name: &str, path: &Path| {
        let path = path.to_str().unwrap();
        let command = [
            "collection",
            "import",
            name,
            "--from-inbox",
            path,
            "--template",
            "omop-5.3",
        ];
        node.run_as(Person::Steward, &[&["--format", "json"], &command[..]].concat())
    };
    import(node, "clinic", &clinic).exits(3);
    let path = node.dir.join("concordat.toml");
    let config = fs::read_to_string(&path).unwrap();
    let named = format!("inboxes = [\"{}\"]", inbox.display());
    fs::write(&path, config.replace("inboxes = []", &named)).unwrap();
    node.stop();
    node.accept_configuration();
    node.start();
    node.forget_login();
    for (below, code) in [
        ("link", 2),
        ("../inbox/clinic", 2),
        ("clinic/person.csv", 2),
        ("none", 4),
        ("", 3),
    ] {
        import(node, "clinic", &inbox.join(below)).exits(code);
    }
    for (name, path) in [("clinic", &clinic), ("packed", &inbox.join("clinic.zip"))] {
        let imported = import(node, name, path).ok().json();
        assert_eq!(
            (&imported["rows"], &imported["subjects"]),
            (&14.into(), &3.into()),
            "{name}"
        );
        assert_eq!(imported["datasets"].as_array().unwrap().len(), CLINIC.len(), "{name}");
    }
    assert_eq!(uploads(node), 0);
}

#[test]
fn rows_whose_subject_is_not_found_are_kept_and_counted() {
    let world = world();
    let node = &world.nodes[0];
    let spelled = folder(
        &world,
        "spelled",
        &[
            ("person.csv", "person_id,year_of_birth\nP01,1950\nP2,1951\n"),
            ("specimen.csv", "specimen_id,person_id\n1,p01\n2,P2\n"),
            ("visit_occurrence.csv", "visit_occurrence_id,person_id\n10,\n11,\n"),
        ],
    );
    let imported = import(node, "spelled", &spelled, &["--template", "omop-5.3"]);
    assert_eq!(imported["subjects"], 2);
    let specimen = part(&imported, "specimen");
    assert_eq!((&specimen["rows"], &specimen["unowned"]), (&2.into(), &1.into()));
    let notes = specimen["notes"].to_string();
    assert!(notes.contains("another spelling") && !notes.contains("p01"), "{notes}");
    // What the files have is listed again later, for each dataset.
    let kept = node.json_as(Person::Steward, &["collection", "notes", "spelled"]);
    let datasets: Vec<&Value> = kept["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["dataset"])
        .collect();
    assert_eq!(datasets, ["person", "specimen", "visit_occurrence"]);
    let of_visits = kept["items"][2]["notes"].to_string();
    assert!(
        of_visits.contains("`person_id`") && of_visits.contains("no values"),
        "{kept}"
    );
    node.refused_as(Person::Steward, 4, &["collection", "notes", "nothing"]);
    let visits = part(&imported, "visit_occurrence")["notes"].to_string();
    assert!(visits.contains("no row has an owner: 2 have no key"), "{visits}");
}
