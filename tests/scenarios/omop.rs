//! Two institutions hold one table each of the OMOP model, and a third joins them.

use std::collections::BTreeMap;
use std::path::Path;

use concordat_tests::table::Table;
use concordat_tests::{Person, World, shared};

#[test]
fn persons_of_one_member_join_with_drugs_of_another() {
    let Some(folder) = shared::find("omop-gibleed-5.3") else {
        return;
    };
    let world = World::consortium(3);
    let persons = share_table(&world, "cleveland", "person", &folder, "PERSON_ID");
    let drugs = share_table(&world, "budapest", "drug_exposure", &folder, "person_id");
    assert_eq!((persons.rows.len(), drugs.rows.len()), (2694, 67_707));
    world.grant("zurich", "cleveland", "person", &[]);
    world.grant("zurich", "budapest", "drug_exposure", &[]);

    let answer = world.node("zurich").query(
        "SELECT p.\"GENDER_CONCEPT_ID\" AS gender, count(*) AS n, sum(d.drug_concept_id) AS checksum \
         FROM cleveland.person p JOIN budapest.drug_exposure d ON p.\"PERSON_ID\" = d.person_id \
         GROUP BY p.\"GENDER_CONCEPT_ID\" ORDER BY gender",
    );
    let answer = answer.ok().table();
    let expected = joined(&persons, &drugs);
    assert_eq!(answer.rows.len(), expected.len());
    for (row, (gender, (exposures, checksum))) in answer.rows.iter().zip(expected) {
        assert_eq!(row[0], gender);
        assert_eq!((row[1].parse(), row[2].parse()), (Ok(exposures), Ok(checksum)));
    }
}

/// Shares a table with its person number as an ordinary column: a join across nodes needs the same number in both.
fn share_table(world: &World, holder: &str, dataset: &str, folder: &Path, subject: &str) -> Table {
    let path = folder.join(format!("{dataset}.csv.gz"));
    let table = Table::read(&path);
    let node = world.node(holder);
    let file = path.to_str().unwrap();
    let import = [
        "dataset",
        "import",
        dataset,
        "--from",
        file,
        "--subject-column",
        subject,
    ];
    let imported = node.json_as(Person::Steward, &import);
    assert_eq!(imported["rows"], table.rows.len());
    let shown = node.json_as(Person::Steward, &["dataset", "show", dataset]);
    let columns = shown["columns"].as_array().unwrap().iter();
    let classes: Vec<String> = columns
        .map(|column| format!("{}=ordinary", column["name"].as_str().unwrap()))
        .collect();
    let classes: Vec<&str> = classes.iter().map(String::as_str).collect();
    node.run_as(
        Person::Steward,
        &[&["dataset", "classify", dataset][..], &classes].concat(),
    )
    .ok();
    node.run_as(Person::Steward, &["dataset", "publish", dataset]).ok();
    table
}

/// Exposures and the sum of their concepts, for each gender.
fn joined<'a>(persons: &'a Table, drugs: &Table) -> BTreeMap<&'a str, (u64, i64)> {
    let genders: BTreeMap<&str, &str> = persons
        .column("PERSON_ID")
        .into_iter()
        .zip(persons.column("GENDER_CONCEPT_ID"))
        .collect();
    let mut joined: BTreeMap<&str, (u64, i64)> = BTreeMap::new();
    for (person, concept) in drugs
        .column("person_id")
        .into_iter()
        .zip(drugs.column("drug_concept_id"))
    {
        if let Some(gender) = genders.get(person) {
            let (exposures, checksum) = joined.entry(gender).or_default();
            *exposures += 1;
            *checksum += concept.parse::<i64>().unwrap();
        }
    }
    joined
}
