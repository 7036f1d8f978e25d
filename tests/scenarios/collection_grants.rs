//! A folder of tables that is published as a collection, granted over three of its datasets in one negotiation, and joined by SQL.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use concordat_tests::table::Table;
use concordat_tests::{Outcome, Person, World};
use serde_json::{Value, json};

use super::{answers_released, assert_ledger_valid};

/// Of each gender more than ten times the smallest cell: of smaller groups it is withheld that all have a visit.
const PERSONS: u64 = 320;
const BORN_FROM: u64 = 1960;
/// The model in small: persons, their visits, what was found in each, and measurements, which no one requests.
const TEMPLATE: &str = r#"template = 1
name = "small"
[subject]
dataset = "person"
column = "person_id"
[datasets.person]
kind = "keyed"
unique = true
[datasets.person.columns]
person_id = { class = "direct-identifier" }
gender_concept_id = { class = "ordinary", values = { 8507 = "male", 8532 = "female" } }
year_of_birth = { class = "ordinary" }
person_source_value = { class = "direct-identifier" }
[datasets.visit_occurrence]
kind = "keyed"
[datasets.visit_occurrence.columns]
visit_occurrence_id = { class = "direct-identifier", role = "key" }
person_id = { class = "direct-identifier" }
visit_start_date = { class = "quasi-identifier" }
[datasets.condition_occurrence]
kind = "keyed"
[datasets.condition_occurrence.columns]
condition_occurrence_id = { class = "direct-identifier" }
person_id = { class = "direct-identifier" }
visit_occurrence_id = { class = "direct-identifier", link = "visit_occurrence.visit_occurrence_id" }
condition_concept_id = { class = "ordinary", values = { 200 = "a", 201 = "b", 202 = "c", 203 = "d" } }
[datasets.measurement]
kind = "keyed"
[datasets.measurement.columns]
measurement_id = { class = "direct-identifier" }
person_id = { class = "direct-identifier" }
value_as_number = { class = "ordinary", unit = "mmol/L" }
"#;
const THREE: &str = "person,visit_occurrence,condition_occurrence";
const JOINED: &str = "SELECT p.gender_concept_id AS gender, c.condition_concept_id AS concept, count(*) AS n \
                      FROM cleveland.omop.person p \
                      JOIN cleveland.omop.visit_occurrence v ON p.person_id = v.person_id \
                      JOIN cleveland.omop.condition_occurrence c ON c.visit_occurrence_id = v.visit_occurrence_id \
                      GROUP BY p.gender_concept_id, c.condition_concept_id";

fn gender(person: u64) -> u64 {
    if person.is_multiple_of(3) { 8507 } else { 8532 }
}

const fn born(person: u64) -> u64 {
    1940 + person % 80
}

/// The visits of a person.
fn visits(person: u64) -> impl Iterator<Item = u64> {
    (0..=person % 3).map(move |number| person * 10 + number)
}

fn concept(visit: u64) -> u64 {
    200 + visit % 4
}

/// The files of the folder.
fn files() -> BTreeMap<&'static str, String> {
    let mut person = "person_id,gender_concept_id,year_of_birth,person_source_value\n".to_owned();
    let mut visit = "visit_occurrence_id,person_id,visit_start_date\n".to_owned();
    let mut condition = "condition_occurrence_id,person_id,visit_occurrence_id,condition_concept_id\n".to_owned();
    let mut measurement = "measurement_id,person_id,value_as_number\n".to_owned();
    for id in 1..=PERSONS {
        writeln!(person, "{id},{},{},Patient {id}", gender(id), born(id)).unwrap();
        writeln!(measurement, "{id},{id},{id}.5").unwrap();
        for number in visits(id) {
            writeln!(visit, "{number},{id},2020-01-0{}", number % 9 + 1).unwrap();
            writeln!(condition, "{},{id},{number},{}", 5000 + number, concept(number)).unwrap();
        }
    }
    BTreeMap::from([
        ("person.csv", person),
        ("visit_occurrence.csv", visit),
        ("condition_occurrence.csv", condition),
        ("measurement.csv", measurement),
    ])
}

/// Three members, of which Cleveland has published the collection.
fn consortium() -> World {
    let world = World::consortium(3);
    let folder = world.dir().join("omop");
    fs::create_dir(&folder).unwrap();
    for (file, text) in files() {
        fs::write(folder.join(file), text).unwrap();
    }
    let template = world.file("small.toml", TEMPLATE);
    let holder = world.node("cleveland");
    let import = [
        "collection",
        "import",
        "omop",
        "--from",
        folder.to_str().unwrap(),
        "--template",
    ];
    let imported = holder.json_as(Person::Steward, &[&import[..], &[template.to_str().unwrap()]].concat());
    assert_eq!(imported["subjects"], PERSONS, "{imported}");
    holder.run_as(Person::Steward, &["collection", "publish", "omop"]).ok();
    world
}

fn query(world: &World, consumer: &str, sql: &str) -> Outcome {
    world.node(consumer).query(sql)
}

#[test]
fn collection_is_requested_granted_joined_and_revoked_as_one() {
    let world = consortium();
    assert_catalog_lists_the_datasets(&world);
    let condition = format!("person.year_of_birth >= {BORN_FROM}");
    let first = world.grant(
        "budapest",
        "cleveland",
        "omop",
        &["--datasets", THREE, "--where", &condition],
    );
    assert_document_names_the_datasets(&world, &first);

    let answer = query(&world, "budapest", JOINED).ok().table();
    assert_eq!(counts(&answer), expected());
    let holder = world.node("cleveland");
    holder.await_condition("one answer with the join, made by its holder", |node| {
        answers_released(node).len() == 1
    });
    holder.log_in(Person::Steward);
    assert_keys_are_pseudonyms(&world, &first);
    assert_other_datasets_are_unknown(&world);

    let revoke = ["grant", "revoke", first.as_str(), "--reason", "the study ended"];
    holder.run_as(Person::Steward, &revoke).ok();
    world.await_grant("budapest", &first, "REVOKED");
    for sql in [JOINED, "SELECT gender_concept_id FROM cleveland.omop.person"] {
        let refused = query(&world, "budapest", sql);
        assert_ne!(refused.code, Some(0), "{}", refused.report());
        assert_eq!(refused.stdout, "", "{}", refused.report());
    }
    for node in &world.nodes {
        assert_ledger_valid(node);
    }
}

/// Below `records` the holder joins by the subject, and no key leaves.
#[test]
fn figures_over_a_collection_join_its_datasets() {
    let world = consortium();
    world.release_exact("cleveland");
    let request = ["--datasets", THREE, "--tier", "aggregate"];
    let grant = world.grant("budapest", "cleveland", "omop", &request);
    let columns = columns(&world.await_grant("budapest", &grant, "ACTIVE"));
    for key in ["person.person_id pseudonym", "visit_occurrence.person_id pseudonym"] {
        assert!(columns.iter().any(|column| column == key), "{columns:?}");
    }

    // The number of all is known, so that of the others would show that there is no third group.
    let women = "SELECT count(DISTINCT p.person_id) AS n FROM cleveland.omop.person p \
                 JOIN cleveland.omop.visit_occurrence v ON p.person_id = v.person_id WHERE p.gender_concept_id = 8532";
    let expected = (1..=PERSONS)
        .filter(|person| gender(*person) == 8532)
        .count()
        .to_string();
    let answer = query(&world, "budapest", women).ok().table();
    assert_eq!(answer.rows, [[expected]]);

    let found = "SELECT count(*) AS n FROM cleveland.omop.person p WHERE EXISTS (SELECT 1 FROM cleveland.omop.condition_occurrence c \
                 WHERE c.person_id = p.person_id AND c.condition_concept_id = 201)";
    let has_it = |person: &u64| visits(*person).any(|visit| concept(visit) == 201);
    let expected = (1..=PERSONS).filter(has_it).count().to_string();
    let answer = query(&world, "budapest", found).ok().table();
    assert_eq!(answer.rows, [[expected]]);

    for refused in [
        "SELECT person_id FROM cleveland.omop.person",
        "SELECT min(person_id) AS n FROM cleveland.omop.person",
        "SELECT person_id, count(*) AS n FROM cleveland.omop.visit_occurrence GROUP BY person_id",
        "SELECT count(*) AS n FROM cleveland.omop.measurement",
    ] {
        let refused = query(&world, "budapest", refused);
        assert_ne!(refused.code, Some(0), "{}", refused.report());
        assert_eq!(refused.stdout, "", "{}", refused.report());
    }
    for node in &world.nodes {
        assert_ledger_valid(node);
    }
}

#[test]
fn steward_narrows_each_dataset_of_an_offer() {
    let world = consortium();
    let id = world.request("budapest", "cleveland", "omop", &["--datasets", THREE]);
    let holder = world.node("cleveland");
    let offer = ["grant", "offer", id.as_str()];
    let wider = [&offer[..], &["--columns", "measurement.value_as_number"]].concat();
    let problem = holder.refused_as(Person::Steward, 3, &wider).to_string();
    assert!(problem.contains("measurement.value_as_number"), "{problem}");
    let terms = [
        "--datasets",
        "person,condition_occurrence",
        "--columns",
        "person_id,person.gender_concept_id,condition_concept_id",
        "--transform",
        "person.gender_concept_id=pseudonym",
        "--where",
        "condition_concept_id = 201",
    ];
    let offered = holder.json_as(Person::Steward, &[&offer[..], &terms].concat());
    let datasets = json!([
        { "name": "condition_occurrence", "rows": "condition_concept_id = 201" },
        { "name": "person", "rows": "all rows" },
    ]);
    assert_eq!(offered["datasets"], datasets, "{offered}");
    let columns: Vec<String> = columns(&offered);
    let expected = [
        "condition_occurrence.condition_concept_id clear",
        "condition_occurrence.person_id pseudonym",
        "person.gender_concept_id pseudonym",
        "person.person_id pseudonym",
    ];
    assert_eq!(columns, expected);
    let narrowed = offered["narrowings"].to_string();
    assert!(narrowed.contains("visit_occurrence left out"), "{narrowed}");
    let explained = holder.json_as(Person::Steward, &["why", &id]);
    assert!(explained.to_string().contains("person.person_id"), "{explained}");
}

fn columns(grant: &Value) -> Vec<String> {
    let text = |column: &Value| {
        let part = |key: &str| column[key].as_str().unwrap();
        format!("{}.{} {}", part("dataset"), part("name"), part("transform"))
    };
    grant["columns"].as_array().unwrap().iter().map(text).collect()
}

fn assert_catalog_lists_the_datasets(world: &World) {
    let consumer = world.node("budapest");
    let listed = consumer.json_as(Person::Researcher, &["catalog", "omop", "--peer", "cleveland"]);
    let names: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|dataset| dataset["dataset"].as_str().unwrap())
        .collect();
    let expected = ["condition_occurrence", "measurement", "person", "visit_occurrence"];
    assert_eq!(names, expected.map(|name| format!("cleveland.omop.{name}")));
    let person = &listed[2];
    assert_eq!(
        (&person["collection"], &person["about_rows"]),
        (&"omop".into(), &PERSONS.into())
    );
    assert_eq!(person["tier"], "records");
    assert_eq!(person["columns"].as_array().unwrap().len(), 4, "{person}");
    assert_dictionary_names_keys_and_units(world);
}

fn assert_dictionary_names_keys_and_units(world: &World) {
    let consumer = world.node("budapest");
    let shown = consumer.json_as(Person::Researcher, &["catalog", "show", "cleveland/omop"]);
    let column = |dataset: usize, name: &str| {
        let mut columns = shown[dataset]["columns"].as_array().unwrap().iter();
        columns.find(|column| column["name"] == name).cloned().unwrap()
    };
    assert_eq!(column(2, "person_id")["key"], "subject");
    assert_eq!(column(3, "visit_occurrence_id")["key"], "own");
    let link = json!({ "of": { "dataset": "visit_occurrence", "column": "visit_occurrence_id" } });
    assert_eq!(column(0, "visit_occurrence_id")["key"], link);
    assert_eq!(column(1, "value_as_number")["unit"], "mmol/L");
    assert!(column(0, "condition_concept_id").get("key").is_none());
    let table = consumer
        .run_as(Person::Researcher, &["catalog", "show", "cleveland/omop"])
        .ok();
    for part in ["mmol/L", "visit_occurrence.visit_occurrence_id", "direct-identifier"] {
        assert!(table.stdout.contains(part), "{part}: {}", table.report());
    }
    assert_sample_has_the_columns_and_links(world);
    let unknown = consumer.refused_as(Person::Researcher, 4, &["catalog", "show", "cleveland/nothing"]);
    assert!(unknown.to_string().contains("publishes no `nothing`"), "{unknown}");
}

/// Invented rows can be joined as the real ones, and have none of their values.
fn assert_sample_has_the_columns_and_links(world: &World) {
    let consumer = world.node("budapest");
    let folder = world.dir().join("sample");
    let out = folder.to_str().unwrap();
    let sample = ["catalog", "sample", "cleveland/omop", "--rows", "50", "--out", out];
    consumer.run_as(Person::Researcher, &sample).ok();
    let read = |name: &str| Table::parse(&fs::read_to_string(folder.join(name)).unwrap());
    let [conditions, visits] = ["condition_occurrence.csv", "visit_occurrence.csv"].map(read);
    assert_eq!(conditions.rows.len(), 50);
    assert_eq!(conditions.header[0], "sample");
    assert!(conditions.rows.iter().all(|row| row[0] == "true"));
    let values = |table: &Table, column: &str| -> BTreeSet<String> {
        let at = table.header.iter().position(|name| name == column).unwrap();
        table.rows.iter().map(|row| row[at].clone()).collect()
    };
    let known = values(&visits, "visit_occurrence_id");
    assert_eq!(known.len(), 50);
    assert!(values(&conditions, "visit_occurrence_id").is_subset(&known));
    let remarks = fs::read_to_string(folder.join("person.csv.remarks.json")).unwrap();
    assert!(remarks.contains("invented-rows"), "{remarks}");
    // A folder that exists is not written into.
    consumer.run_as(Person::Researcher, &sample).exits(2);
}

/// Both sides have one grant with the columns and the rows of each dataset.
fn assert_document_names_the_datasets(world: &World, grant: &str) {
    let here = world.await_grant("budapest", grant, "ACTIVE");
    let there = world.await_grant("cleveland", grant, "ACTIVE");
    for field in ["dataset", "datasets", "columns", "rows", "tier", "transcript_head"] {
        assert_eq!(here[field], there[field], "`{field}`");
    }
    assert_eq!((&here["dataset"], &here["tier"]), (&"omop".into(), &"records".into()));
    let datasets = json!([
        { "name": "condition_occurrence", "rows": "all rows" },
        { "name": "person", "rows": format!("year_of_birth >= {BORN_FROM}") },
        { "name": "visit_occurrence", "rows": "all rows" },
    ]);
    assert_eq!(here["datasets"], datasets);
    let columns = columns(&here);
    for column in [
        "person.person_id pseudonym",
        "visit_occurrence.person_id pseudonym",
        "visit_occurrence.visit_start_date generalized to year",
        "condition_occurrence.condition_concept_id clear",
    ] {
        assert!(columns.iter().any(|known| known == column), "`{column}`: {columns:?}");
    }
    let listed = world.node("budapest").json_as(Person::Researcher, &["grant", "list"]);
    assert_eq!(listed.as_array().unwrap().len(), 1, "one negotiation");
}

/// How many conditions there are for each gender and concept.
fn counts(answer: &Table) -> BTreeMap<(u64, u64), u64> {
    let number = |cell: &String| cell.parse().unwrap();
    let rows = answer.rows.iter();
    rows.map(|row| ((number(&row[0]), number(&row[1])), number(&row[2])))
        .collect()
}

fn expected() -> BTreeMap<(u64, u64), u64> {
    let mut counts = BTreeMap::new();
    for person in (1..=PERSONS).filter(|person| born(*person) >= BORN_FROM) {
        for visit in visits(person) {
            *counts.entry((gender(person), concept(visit))).or_default() += 1;
        }
    }
    counts
}

/// Keys agree in all datasets of a grant, and in no other grant.
fn assert_keys_are_pseudonyms(world: &World, first: &str) {
    let zurich = world.grant(
        "zurich",
        "cleveland",
        "omop",
        &["--datasets", "person,visit_occurrence"],
    );
    assert_ne!(first, zurich);
    let keys = |consumer: &str, dataset: &str| -> BTreeSet<String> {
        let sql = format!("SELECT person_id FROM cleveland.omop.{dataset}");
        let answer = query(world, consumer, &sql).ok().table();
        answer.column("person_id").into_iter().map(ToOwned::to_owned).collect()
    };
    let persons = keys("zurich", "person");
    assert_eq!(persons.len(), usize::try_from(PERSONS).unwrap());
    assert!(persons.iter().all(|key| key.len() == 32), "{persons:?}");
    assert_eq!(persons, keys("zurich", "visit_occurrence"), "each person has a visit");
    let here = keys("budapest", "visit_occurrence");
    assert_eq!(here.len(), persons.len());
    assert!(keys("budapest", "person").is_subset(&here));
    assert!(here.is_disjoint(&persons), "two grants have different pseudonyms");
    let differences = world
        .node("cleveland")
        .json_as(Person::Steward, &["grant", "diff", first, &zurich]);
    let parts: Vec<&str> = differences
        .as_array()
        .unwrap()
        .iter()
        .map(|difference| difference["part"].as_str().unwrap())
        .collect();
    assert!(parts.contains(&"columns") && parts.contains(&"rows"), "{parts:?}");
}

/// A dataset that is not in the grant gives the error of one that does not exist.
fn assert_other_datasets_are_unknown(world: &World) {
    for position in [
        "SELECT count(*) AS n FROM cleveland.omop.{}",
        "SELECT p.gender_concept_id FROM cleveland.omop.person p JOIN cleveland.omop.{} m ON m.person_id = p.person_id",
    ] {
        let [outside, absent] = ["measurement", "nothing"].map(|dataset| {
            let refused = query(world, "budapest", &position.replace("{}", dataset));
            assert_ne!(refused.code, Some(0), "{}", refused.report());
            assert_eq!(refused.stdout, "");
            refused.stderr.replace(dataset, "…")
        });
        assert_eq!(outside, absent);
    }
}
