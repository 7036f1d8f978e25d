//! Two hospitals with a collection each of the same model, and a third one that counts patients of both, without a row of either.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use concordat_tests::table::Table;
use concordat_tests::{Import, Person, World};

use super::{answers_released, assert_ledger_valid};

/// Celecoxib, and gastrointestinal hemorrhage.
const DRUG: u64 = 1_118_084;
const BLEEDING: u64 = 192_671;
/// Another diagnosis.
const OTHER: u64 = 80_180;
/// The model in small.
const TEMPLATE: &str = r#"template = 1
name = "small"
[subject]
dataset = "person"
column = "person_id"
[levels.gender]
values = { 8507 = "male", 8532 = "female" }
[levels.date]
edges = { years = [2000, 2030] }
[datasets.person]
kind = "keyed"
unique = true
[datasets.person.columns]
person_id = { class = "direct-identifier" }
gender_concept_id = { class = "ordinary", levels = "gender" }
year_of_birth = { class = "ordinary", edges = { from = 1940, to = 1980, step = 20 } }
[datasets.condition_occurrence]
kind = "keyed"
date = "condition_start_date"
[datasets.condition_occurrence.columns]
person_id = { class = "direct-identifier" }
condition_concept_id = { class = "ordinary", codes = {} }
condition_start_date = { class = "ordinary", levels = "date" }
[datasets.drug_exposure]
kind = "keyed"
date = "drug_exposure_start_date"
[datasets.drug_exposure.columns]
person_id = { class = "direct-identifier" }
drug_concept_id = { class = "ordinary", codes = {} }
drug_exposure_start_date = { class = "ordinary", levels = "date" }
"#;
const DATASETS: &str = "person,condition_occurrence,drug_exposure";
/// Years of birth in the middle of the declared levels, with their labels.
const BORN: [(u64, &str); 3] = [(1950, "1940-1959"), (1970, "1960-1979"), (1990, "1980+")];
const SEXES: [(u64, &str); 2] = [(8507, "male"), (8532, "female")];

/// Patients with bleeding after the drug, by year of birth and sex. Cleveland has two of the oldest men.
const CLEVELAND: [[u64; 2]; 3] = [[2, 40], [30, 25], [50, 60]];
const BUDAPEST: [[u64; 2]; 3] = [[35, 20], [45, 22], [24, 33]];

const AFTER: &str = "SELECT p.gender_concept_id AS sex, p.year_of_birth AS born, count(DISTINCT c.person_id) AS patients \
                     FROM MEMBER.omop.condition_occurrence c JOIN MEMBER.omop.person p ON p.person_id = c.person_id \
                     WHERE c.condition_concept_id = 192671 AND EXISTS (SELECT 1 FROM MEMBER.omop.drug_exposure d \
                     WHERE d.person_id = c.person_id AND d.drug_concept_id = 1118084 \
                     AND d.drug_exposure_start_date < c.condition_start_date) \
                     GROUP BY p.gender_concept_id, p.year_of_birth ORDER BY born, sex";

/// The files of a hospital: for each cell its patients, 20 more who bled before they had the drug, 20 who had none, and 20 who had the drug
/// and another diagnosis. In a group of fewer than ten times the smallest cell, figures are withheld where a condition leaves out few.
fn files(cells: &[[u64; 2]; 3]) -> BTreeMap<&'static str, String> {
    let mut person = "person_id,gender_concept_id,year_of_birth\n".to_owned();
    let mut condition = "person_id,condition_concept_id,condition_start_date\n".to_owned();
    let mut drug = "person_id,drug_concept_id,drug_exposure_start_date\n".to_owned();
    let mut id: u64 = 0;
    for (row, (born, _)) in cells.iter().zip(BORN) {
        for (after, (sex, _)) in row.iter().zip(SEXES) {
            for patient in 0..after + 60 {
                id += 1;
                writeln!(person, "{id},{sex},{born}").unwrap();
                let diagnosis = if patient < after + 40 { BLEEDING } else { OTHER };
                writeln!(condition, "{id},{diagnosis},2015-06-01").unwrap();
                let is_before = patient < *after || diagnosis == OTHER;
                let begun = if is_before { "2015-03-01" } else { "2016-03-01" };
                if patient < after + 20 || diagnosis == OTHER {
                    writeln!(drug, "{id},{DRUG},{begun}").unwrap();
                }
            }
        }
    }
    BTreeMap::from([
        ("person.csv", person),
        ("condition_occurrence.csv", condition),
        ("drug_exposure.csv", drug),
    ])
}

fn publish(world: &World, holder: &str, cells: &[[u64; 2]; 3]) {
    let folder = world.dir().join(format!("{holder}-omop"));
    fs::create_dir(&folder).unwrap();
    for (file, text) in files(cells) {
        fs::write(folder.join(file), text).unwrap();
    }
    let template = world.file(&format!("{holder}-small.toml"), TEMPLATE);
    let import = ["collection", "import", "omop", "--from"];
    let from = [folder.to_str().unwrap(), "--template", template.to_str().unwrap()];
    let import = [&import[..], &from].concat();
    world.node(holder).run_as(Person::Steward, &import).ok();
    world
        .node(holder)
        .run_as(Person::Steward, &["collection", "publish", "omop"])
        .ok();
}

#[test]
fn patients_of_two_hospitals_are_counted_without_a_row() {
    let world = World::consortium(3);
    for (holder, cells) in [("cleveland", &CLEVELAND), ("budapest", &BUDAPEST)] {
        world.release_exact(holder);
        publish(&world, holder, cells);
        world.grant(
            "zurich",
            holder,
            "omop",
            &["--datasets", DATASETS, "--tier", "aggregate"],
        );
    }
    let answer = |member: &str| world.node("zurich").query(&AFTER.replace("MEMBER", member)).ok();
    let cleveland = counts(&answer("cleveland").table());
    let budapest = counts(&answer("budapest").table());
    assert_cells_are_those_of_the_files(&cleveland, &CLEVELAND);
    assert_cells_are_those_of_the_files(&budapest, &BUDAPEST);
    let hidden = ("male".to_owned(), "1940-1959".to_owned());
    assert!(!cleveland.contains_key(&hidden), "two patients: {cleveland:?}");

    let both = answer("consortium");
    let mut expected = cleveland.clone();
    for (cell, patients) in &budapest {
        *expected.entry(cell.clone()).or_default() += patients;
    }
    assert_eq!(counts(&both.table()), expected, "{}", both.report());
    assert_eq!(
        expected.get(&hidden),
        budapest.get(&hidden),
        "what a member withholds is no zero"
    );
    for note in [
        "no part of `cleveland.omop.condition_occurrence` is in `patients`",
        "a person who is at two members counts twice",
    ] {
        assert!(both.stderr.contains(note), "{note}: {}", both.stderr);
    }
    // All cells of the grid are rows: two sexes, all others and missing ones, by four levels and missing ones.
    assert_eq!(both.table().rows.len(), 20);

    assert_what_a_holder_would_refuse_is_not_sent(&world);
    assert_levels_that_differ_are_named(&world);
    for node in &world.nodes {
        assert_ledger_valid(node);
    }
}

/// The rows of the own institution and the figures of another one are counted in the same cells.
#[test]
fn own_records_and_figures_of_a_member_are_added() {
    let world = World::consortium(2);
    for holder in ["cleveland", "budapest"] {
        let mut text = "patient,ward\n".to_owned();
        // Levels without patients are withheld, and so is one beside them.
        for patient in 0..130 {
            let ward = match patient {
                0..60 => "a",
                60..110 => "b",
                _ => "c",
            };
            writeln!(text, "{patient},{ward}\n{patient},{ward}").unwrap();
        }
        world.release_exact(holder);
        let import = Import {
            dataset: "stays",
            from: &world.file(&format!("{holder}-stays.csv"), text),
            args: &["--subject-column", "patient"],
            classes: &["patient=direct-identifier", "ward=ordinary"],
        };
        world.share(holder, import);
    }
    world.grant("budapest", "cleveland", "stays", &["--tier", "aggregate"]);
    let sql = "SELECT ward, count(*) AS visits FROM consortium.stays GROUP BY ward ORDER BY ward";
    let rows = world.node("budapest").query(sql).ok().table().rows;
    let shown: Vec<&Vec<String>> = rows.iter().filter(|row| !row[1].is_empty()).collect();
    let both: Vec<_> = shown.iter().filter(|row| row[1] == "240" || row[1] == "200").collect();
    assert_eq!(both, [&&["a", "240"], &&["b", "200"]], "{rows:?}");
    let by_member =
        "SELECT institution, count(*) AS visits FROM consortium.stays GROUP BY institution ORDER BY institution";
    let rows = world.node("budapest").query(by_member).ok().table().rows;
    assert_eq!(rows, [["budapest", "260"], ["cleveland", "260"]]);
}

/// Each figure that is shown is right. A member may withhold another one beside a small cell.
fn assert_cells_are_those_of_the_files(found: &BTreeMap<(String, String), u64>, cells: &[[u64; 2]; 3]) {
    assert!(found.len() >= 4, "{found:?}");
    for ((sex, born), patients) in found {
        let row = BORN.iter().position(|(_, label)| label == born).unwrap();
        let column = SEXES.iter().position(|(_, label)| label == sex).unwrap();
        assert_eq!(*patients, cells[row][column], "{sex} {born}");
    }
}

/// The figures that are not missing.
fn counts(answer: &Table) -> BTreeMap<(String, String), u64> {
    let shown = answer.rows.iter().filter(|row| !row[2].is_empty());
    shown
        .map(|row| ((row[0].clone(), row[1].clone()), row[2].parse().unwrap()))
        .collect()
}

/// The consumer knows what the levels decide, so nothing reaches the ledger of a holder.
fn assert_what_a_holder_would_refuse_is_not_sent(world: &World) {
    let answered = || ["cleveland", "budapest"].map(|holder| answers_released(world.node(holder)).len());
    let before = answered();
    for (sql, nearest) in [
        (
            "SELECT count(*) FROM consortium.omop.person WHERE year_of_birth > 1951",
            "year_of_birth",
        ),
        (
            "SELECT min(year_of_birth) FROM consortium.omop.person",
            "approx_percentile_cont",
        ),
        (
            "SELECT median(year_of_birth) FROM consortium.omop.person",
            "no declared range",
        ),
        ("SELECT * FROM consortium.omop.person", "aggregate"),
    ] {
        let refused = world.node("zurich").query(sql);
        assert_ne!(refused.code, Some(0), "{sql}");
        assert!(refused.stderr.contains(nearest), "{sql}: {}", refused.stderr);
    }
    assert_eq!(answered(), before);
}

/// A steward declares other levels: what was planned on the old ones is not used, and groups are those between the edges of both. Without
/// an edge in common there are none.
fn assert_levels_that_differ_are_named(world: &World) {
    let holder = world.node("budapest");
    let declare = |name: &str, edges: &str| {
        let other = TEMPLATE.replace("from = 1940, to = 1980, step = 20", edges);
        let file = world.file(name, other);
        let from = file.to_str().unwrap();
        let classify = ["collection", "classify", "omop", "--from", from, "--replace"];
        holder.run_as(Person::Steward, &classify).ok();
    };
    let of_both = AFTER.replace("MEMBER", "consortium");
    declare("finer.toml", "from = 1950, to = 1980, step = 10");
    let answer = world.node("zurich").query(&of_both).ok();
    let born: BTreeSet<String> = answer.table().rows.iter().map(|row| row[1].clone()).collect();
    assert_eq!(born, ["<1960", "1960-1979", "1980+", ""].map(str::to_owned).into());
    let note = "members declare other levels of `person.year_of_birth`";
    assert!(answer.stderr.contains(note), "{}", answer.report());

    declare("other.toml", "from = 1950, to = 1990, step = 20");
    let refused = world.node("zurich").query(&of_both);
    assert_ne!(refused.code, Some(0), "{}", refused.report());
    for part in [
        "person.year_of_birth",
        "budapest",
        "cleveland",
        "concordat collection classify omop --from",
    ] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    let one = world
        .node("zurich")
        .query(&AFTER.replace("MEMBER", "budapest"))
        .ok()
        .table();
    assert!(one.rows.iter().any(|row| row[1] == "1950-1969"), "{one:?}");
}

/// What is proposed for the rows of each hospital differs: patients of one are 30 to 69 years old, those of the other 40 to 79.
#[test]
fn plain_datasets_are_grouped_by_the_edges_of_both() {
    let world = World::consortium(3);
    for (holder, youngest) in [("cleveland", 30), ("budapest", 40)] {
        let mut text = "patient,age\n".to_owned();
        for patient in 0..120 {
            writeln!(text, "{holder}{patient},{}", youngest + patient / 3).unwrap();
        }
        world.release_exact(holder);
        let import = Import {
            dataset: "cohort",
            from: &world.file(&format!("{holder}-cohort.csv"), text),
            args: &["--subject-column", "patient"],
            classes: &["patient=direct-identifier", "age=ordinary"],
        };
        world.share(holder, import);
        world.grant("zurich", holder, "cohort", &["--tier", "aggregate"]);
    }
    let sql = "SELECT age, count(*) AS n FROM consortium.cohort GROUP BY age";
    let answer = world.node("zurich").query(sql).ok();
    // Patients of cleveland and of budapest between the edges 50 and 60, which both have.
    let patients = BTreeMap::from([("<50", [60, 30]), ("50-59", [30, 30]), ("60+", [30, 60])]);
    let rows = answer.table().rows;
    let labels: BTreeSet<&str> = rows
        .iter()
        .map(|row| row[0].as_str())
        .filter(|label| !label.is_empty())
        .collect();
    assert_eq!(labels, patients.keys().copied().collect());
    let shown: Vec<&Vec<String>> = rows.iter().filter(|row| !row[1].is_empty()).collect();
    assert!(!shown.is_empty(), "{}", answer.report());
    for row in shown {
        let [one, other] = patients[row[0].as_str()];
        let found: u64 = row[1].parse().unwrap();
        assert!([one, other, one + other].contains(&found), "{row:?}");
    }
    assert!(
        answer.stderr.contains("members declare other levels of `cohort.age`"),
        "{}",
        answer.report()
    );
}
