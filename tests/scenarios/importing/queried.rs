//! What was imported is queried: from one institution and from all, under the names and with the types that the import chose.

use concordat_tests::table::Table;
use concordat_tests::{Import, Person, World};

use crate::scenarios::{assert_close, number};

/// Two holders, budapest and zurich, with a table each under the name `dataset`, and a consumer with a grant for the records of both.
fn published(dataset: &str, texts: [&str; 2], subject: &str, classes: &[&str], terms: &[&str]) -> World {
    let world = World::consortium(3);
    for (holder, text) in ["budapest", "zurich"].into_iter().zip(texts) {
        let from = world.file(&format!("{holder}.csv"), text);
        world.share(
            holder,
            Import {
                dataset,
                from: &from,
                args: &["--subject-column", subject],
                classes,
            },
        );
        world.grant("cleveland", holder, dataset, terms);
    }
    world
}

#[track_caller]
fn answer(world: &World, sql: &str) -> Table {
    world.node("cleveland").query(sql).ok().table()
}

#[test]
fn names_of_every_script_are_queried_as_they_are() {
    let budapest = "病历号,größe,order,रोगी_आयु\n1,180.5,1,50\n2,170.5,2,60\n";
    let zurich = "病历号,größe,order,रोगी_आयु\n3,160.5,1,70\n4,150.5,2,80\n";
    let classes = [
        "病历号=direct-identifier",
        "größe=ordinary",
        "order=ordinary",
        "रोगी_आयु=ordinary",
    ];
    let terms = ["--columns", "病历号,größe,order,रोगी_आयु", "--where", "größe >= 100"];
    let world = published("visits", [budapest, zurich], "病历号", &classes, &terms);

    let one = vec![vec!["170.5", "2", "60"], vec!["180.5", "1", "50"]];
    let all = [vec![vec!["150.5", "2", "80"], vec!["160.5", "1", "70"]], one.clone()].concat();
    for (table, rows) in [("budapest.visits", one), ("consortium.visits", all)] {
        // Bare, in quotes, and in the other case: the answer has the names of the table.
        for columns in [
            "größe, \"order\", रोगी_आयु",
            "\"größe\", \"order\", \"रोगी_आयु\"",
            "GRÖẞE, \"order\", v.रोगी_आयु",
        ] {
            let found = answer(&world, &format!("SELECT {columns} FROM {table} AS v ORDER BY Größe"));
            assert_eq!(found.header, ["größe", "order", "रोगी_आयु"], "{columns}");
            assert_eq!(found.rows, rows, "{columns}");
        }
        let counts = "count(DISTINCT 病历号) AS n, count(\"病历号\") AS k";
        let persons = format!("SELECT {counts} FROM {table} WHERE \"größe\" > 155 AND रोगी_आयु < 80");
        let expected = rows.iter().filter(|row| row[2] != "80").count().to_string();
        assert_eq!(answer(&world, &persons).rows, [[expected.as_str(); 2]]);
        let quoted = answer(&world, &format!("SELECT \"Größe\", \"ORDER\" FROM {table} ORDER BY 1"));
        assert_eq!(quoted.header, ["größe", "order"]);
        let unknown = format!("SELECT 年龄 FROM {table}");
        world.node("cleveland").query(&unknown).exits(2);
    }
    let means =
        "SELECT \"order\" AS kind, avg(größe) AS mean FROM consortium.visits GROUP BY \"order\" ORDER BY \"order\"";
    assert_eq!(answer(&world, means).rows, [["1", "170.5"], ["2", "160.5"]]);
}

/// The kind of the column `ldl`.
#[track_caller]
fn kind_at(world: &World, holder: &str) -> String {
    let shown = world
        .node(holder)
        .json_as(Person::Steward, &["dataset", "show", "labs"]);
    shown["columns"][1]["kind"].as_str().unwrap().to_owned()
}

/// Appends rows to the table of `holder`.
#[track_caller]
fn append(world: &World, holder: &str, text: &str) -> String {
    let file = world.file("next.csv", text);
    let command = [
        "dataset",
        "import",
        "labs",
        "--append",
        "--from",
        file.to_str().unwrap(),
    ];
    let imported = world.node(holder).json_as(Person::Steward, &command);
    imported["notes"].to_string()
}

#[test]
fn column_without_values_at_one_member_is_queried() {
    let texts = ["pid,ldl\nA1,130\nA2,110\n", "pid,ldl\nB1,NA\nB2,\n"];
    let classes = ["pid=direct-identifier", "ldl=ordinary"];
    let world = published("labs", texts, "pid", &classes, &[]);
    assert_eq!(
        (kind_at(&world, "budapest").as_str(), kind_at(&world, "zurich").as_str()),
        ("whole numbers", "text")
    );
    let found = answer(
        &world,
        "SELECT count(*) AS n, count(ldl) AS known, avg(ldl) AS mean FROM consortium.labs",
    );
    assert_eq!(found.rows[0][..2], ["4", "2"]);
    assert_close(number(&found.rows[0][2]), 120.0);
    let records = answer(&world, "SELECT ldl, institution FROM consortium.labs ORDER BY ldl");
    assert_eq!(records.column("ldl"), ["110", "130", "", ""]);
}

#[test]
fn column_is_queried_with_the_type_of_its_first_values() {
    let texts = ["pid,ldl\nA1,130\nA2,110\n", "pid,ldl\nB1,NA\nB2,\n"];
    let classes = ["pid=direct-identifier", "ldl=ordinary"];
    let world = published("labs", texts, "pid", &classes, &[]);
    let mean = "SELECT count(ldl) AS known, avg(ldl) AS mean FROM consortium.labs";
    assert_eq!(answer(&world, mean).rows[0][0], "2");

    let notes = append(&world, "zurich", "pid,ldl\nB3,5.5\nB4,\n");
    assert!(notes.contains("had no values before"), "{notes}");
    assert_eq!(kind_at(&world, "zurich"), "numbers");
    // The mean would be 82 if the new value was read as the type that the consumer knew before.
    let found = answer(&world, mean);
    assert_eq!(found.rows[0][0], "3");
    assert_close(number(&found.rows[0][1]), (130.0 + 110.0 + 5.5) / 3.0);
    let sums = "SELECT count(*) AS n, sum(ldl) AS total FROM zurich.labs WHERE ldl IS NULL OR ldl = 5.5";
    assert_eq!(answer(&world, sums).rows, [["4", "5.5"]]);
    for condition in ["ldl > 4", "ldl = 5.5"] {
        let found = answer(&world, &format!("SELECT ldl FROM zurich.labs WHERE {condition}"));
        assert_eq!(found.rows, [["5.5"]], "{condition}");
    }
    let records = answer(&world, "SELECT ldl, 1 AS k FROM zurich.labs ORDER BY ldl");
    assert_eq!(records.column("ldl"), ["5.5", "", "", ""]);

    // From here on they are numbers: others are refused.
    let file = world.file("next.csv", "pid,ldl\nB5,low\n");
    let command = [
        "dataset",
        "import",
        "labs",
        "--append",
        "--from",
        file.to_str().unwrap(),
    ];
    world.node("zurich").refused_as(Person::Steward, 2, &command);
}
