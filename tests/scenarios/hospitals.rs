//! Two real hospitals share data of real patients, and a third queries both at once.

use std::collections::BTreeMap;
use std::path::Path;

use concordat_tests::table::Table;
use concordat_tests::{Import, World, shared};

use super::{answers_released, assert_close, assert_ledger_valid, number};

const SQL: &str = "SELECT sex, count(*) AS n, avg(chol) AS mean FROM consortium.heart GROUP BY sex ORDER BY sex";
/// The institutions with their files and numbers of patients.
const SITES: [(&str, &str, usize); 2] = [
    ("cleveland", "processed.cleveland.data", 303),
    ("budapest", "processed.hungarian.data", 294),
];

#[test]
fn query_over_two_real_hospitals_matches_their_files() {
    let Some(folder) = shared::find("uci-heart-4-hospitals") else {
        return;
    };
    let world = World::consortium(3);
    let tables: Vec<Table> = SITES.iter().map(|site| share_file(&world, &folder, site)).collect();
    for (holder, ..) in SITES {
        world.grant("zurich", holder, "heart", &["--tier", "records"]);
    }

    both_sexes_are_counted_and_their_means_agree(&world, &tables);
    every_row_arrives_with_its_gaps(&world, &tables);
    joined_cells_equal_the_files(&world, &tables);
    for node in &world.nodes {
        assert_ledger_valid(node);
    }
}

/// Shares one hospital's file and returns its contents, read independently.
fn share_file(world: &World, folder: &Path, (holder, file, patients): &(&str, &str, usize)) -> Table {
    let path = folder.join(file);
    let table = Table::read(&path);
    let classes: Vec<String> = table.header.iter().map(|column| class(column)).collect();
    let classes: Vec<&str> = classes.iter().map(String::as_str).collect();
    let imported = world.share(
        holder,
        Import {
            dataset: "heart",
            from: &path,
            args: &["--each-row-is-a-subject"],
            classes: &classes,
        },
    );
    assert_eq!(imported["rows"], *patients, "{holder}");
    assert_eq!(imported["refused"], 0, "{holder}");
    table
}

fn class(column: &str) -> String {
    let class = if column == "age" {
        "quasi-identifier"
    } else {
        "sensitive"
    };
    format!("{column}={class}")
}

fn both_sexes_are_counted_and_their_means_agree(world: &World, tables: &[Table]) {
    let mut expected: BTreeMap<&str, (u64, f64, u64)> = BTreeMap::new();
    for table in tables {
        for (sex, chol) in table.column("sex").into_iter().zip(table.column("chol")) {
            let (rows, sum, known) = expected.entry(sex).or_default();
            *rows += 1;
            if chol != "?" {
                *sum += number(chol);
                *known += 1;
            }
        }
    }
    let answer = world.node("zurich").query(SQL).ok().table();
    assert_eq!(answer.header, ["sex", "n", "mean"]);
    assert_eq!(answer.rows.len(), expected.len());
    for (row, (sex, (rows, sum, known))) in answer.rows.iter().zip(expected) {
        assert_eq!((row[0].as_str(), row[1].parse()), (sex, Ok(rows)));
        assert_close(number(&row[2]), sum / known as f64);
    }
}

fn every_row_arrives_with_its_gaps(world: &World, tables: &[Table]) {
    let zurich = world.node("zurich");
    for ((holder, _, patients), table) in SITES.iter().zip(tables) {
        let answer = zurich.query(&format!("SELECT * FROM {holder}.heart")).ok().table();
        assert_eq!(answer.rows.len(), *patients, "{holder}");
        for column in ["chol", "thalach", "ca", "thal", "slope", "fbs"] {
            let gaps = |cells: Vec<&str>| cells.into_iter().filter(|cell| ["", "?"].contains(cell)).count();
            let arrived = gaps(answer.column(column));
            let given = gaps(table.column(column));
            assert_eq!(arrived, given, "{holder}.{column}");
        }
        let released = answers_released(world.node(holder));
        let rows: Vec<u64> = released.iter().filter_map(|answer| answer["rows"].as_u64()).collect();
        assert_eq!(
            rows.last(),
            Some(&(*patients as u64)),
            "{holder} has recorded what it released"
        );
    }
}

/// The same cells the same number of times, in any order.
fn joined_cells_equal_the_files(world: &World, tables: &[Table]) {
    let columns = ["sex", "cp", "thalach", "exang"];
    let sql = format!("SELECT {} FROM consortium.heart", columns.join(", "));
    let mut arrived = world.node("zurich").query(&sql).ok().table().rows;
    let mut given: Vec<Vec<String>> = Vec::new();
    for table in tables {
        let at = columns.map(|column| table.position(column));
        given.extend(
            table
                .rows
                .iter()
                .map(|row| at.iter().map(|at| row[*at].replace('?', "")).collect()),
        );
    }
    arrived.sort_unstable();
    given.sort_unstable();
    assert_eq!(arrived, given);
}
