//! Files as hospitals send them: what is wrong is said with its place and its remedy, and nothing half done stays.

use std::fmt::Write;

use concordat_tests::{House, Person, World};
use serde_json::Value;

/// A file that cannot be imported: its name, its bytes, and words that the message must hold.
type Bad = (&'static str, Vec<u8>, &'static [&'static str]);

#[test]
fn bad_files_are_refused_with_place_and_remedy() {
    let world = World::strangers(1);
    let house = &world.houses[0];
    house.hire();
    for (name, bytes, words) in bad_files() {
        let file = world.file(&format!("{name}.csv"), bytes);
        let problem = house.refused_as(
            Person::Steward,
            2,
            &[
                "dataset",
                "import",
                name,
                "--each-row-is-a-subject",
                "--from",
                file.to_str().unwrap(),
            ],
        );
        for word in words {
            assert!(
                problem["detail"].as_str().unwrap().contains(word),
                "`{word}` is missing in {problem}"
            );
        }
        nothing_stayed(house, name);
    }
    house.refused_as(
        Person::Steward,
        4,
        &[
            "dataset",
            "import",
            "gone",
            "--each-row-is-a-subject",
            "--from",
            "/nowhere/gone.csv",
        ],
    );
    refused_rows_are_left_out_when_told_and_listed(&world);
    a_type_that_changes_late_is_text_from_the_first_row(&world);
    an_older_version_stays_when_the_next_is_bad(&world);
    nothing_is_imported_by_those_who_may_not(&world);
    whose_records_the_rows_are_is_stated(&world);
}

/// Without it nothing is imported, and a rule that the file contradicts is noted.
fn whose_records_the_rows_are_is_stated(world: &World) {
    let house = &world.houses[0];
    let file = world.file("visits.csv", "patient_id,chol\n1,233\n1,204\n2,250\n");
    let import = ["dataset", "import", "visits", "--from", file.to_str().unwrap()];
    let problem = house.refused_as(Person::Steward, 2, &import);
    for word in ["--subject-column", "--each-row-is-a-subject"] {
        assert!(problem["detail"].as_str().unwrap().contains(word), "{problem}");
    }
    nothing_stayed(house, "visits");
    let imported = house.json_as(Person::Steward, &[&import[..], &["--each-row-is-a-subject"]].concat());
    assert!(imported["notes"].to_string().contains("`patient_id`"), "{imported}");
}

fn bad_files() -> Vec<Bad> {
    let rows = |bad: &[u8]| [b"record,name,chol\n1,Anna,233\n", bad, b"3,Cora,204\n"].concat();
    vec![
        ("ragged", rows(b"2,Bela\n"), &["line 3", "2 fields", "--skip-refused"]),
        ("toolong", rows(b"2,Bela,250,x\n"), &["line 3", "4 fields"]),
        ("unclosed", rows(b"2,\"Bela,250\n"), &["line 3", "quote"]),
        ("afterquote", rows(b"2,\"Bela\"x,250\n"), &["line 3", "quote"]),
        ("encoding", rows(b"2,B\xe9la,250\n"), &["line 3", "windows-1252"]),
        (
            "duplicate",
            b"record,Name,name\n1,a,b\n2,c,d\n".to_vec(),
            &["`name`", "rename"],
        ),
        (
            "reserved",
            b"record,__concordat_subject\n1,2\n".to_vec(),
            &["__concordat", "rename"],
        ),
        ("empty", Vec::new(), &["empty"]),
        ("blank", b"\n\r\n\n".to_vec(), &["empty"]),
        ("binary", b"PK\x03\x04\x00\x00\x00\x00\x00".to_vec(), &["CSV"]),
    ]
}

fn nothing_stayed(house: &House, dataset: &str) {
    house.refused_as(Person::Steward, 4, &["dataset", "show", dataset]);
}

fn refused_rows_are_left_out_when_told_and_listed(world: &World) {
    let house = &world.houses[0];
    let file = world.file("mixed.csv", "record,chol\n1,233\n2\n3,204\n4,1,1\n5,250\n");
    let import = [
        "dataset",
        "import",
        "mixed",
        "--from",
        file.to_str().unwrap(),
        "--each-row-is-a-subject",
        "--skip-refused",
    ];
    let imported = house.json_as(Person::Steward, &import);
    assert_eq!(
        (&imported["rows"], &imported["refused"]),
        (&Value::from(3), &Value::from(2))
    );
    let list = std::fs::read_to_string(house.desk().join("mixed.rejects.csv")).unwrap();
    let lines: Vec<&str> = list.lines().map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(lines, ["line", "3", "5"], "{list}");
}

fn a_type_that_changes_late_is_text_from_the_first_row(world: &World) {
    let mut text = "record,code\n".to_owned();
    for row in 1..60_000 {
        let code = if row == 50_000 { "n.d." } else { "250" };
        writeln!(text, "{row},{code}").unwrap();
    }
    let house = &world.houses[0];
    let file = world.file("late.csv", text);
    let imported = house.json_as(
        Person::Steward,
        &[
            "dataset",
            "import",
            "late",
            "--each-row-is-a-subject",
            "--from",
            file.to_str().unwrap(),
        ],
    );
    assert_eq!(imported["rows"], 59_999);
    let shown = house.json_as(Person::Steward, &["dataset", "show", "late"]);
    let columns = shown["columns"].as_array().unwrap();
    let kind = |name: &str| columns.iter().find(|column| column["name"] == name).unwrap()["kind"].clone();
    assert_eq!(
        (kind("record"), kind("code")),
        ("whole numbers".into(), "text".into()),
        "{columns:?}"
    );
    assert!(
        imported["notes"].to_string().contains("50001"),
        "the line is named: {imported}"
    );
}

fn an_older_version_stays_when_the_next_is_bad(world: &World) {
    let house = &world.houses[0];
    let before = house.json_as(Person::Steward, &["dataset", "show", "mixed"]);
    let file = world.file("next.csv", "record,chol\n1,233\n2\n");
    let path = file.to_str().unwrap();
    for mode in ["--replace", "--append"] {
        house.refused_as(
            Person::Steward,
            2,
            &["dataset", "import", "mixed", "--from", path, mode],
        );
    }
    house.refused_as(
        Person::Steward,
        2,
        &["dataset", "import", "mixed", "--from", path, "--skip-refused"],
    );
    assert_eq!(house.json_as(Person::Steward, &["dataset", "show", "mixed"]), before);
    let verified = house.json_as(Person::Steward, &["dataset", "verify", "mixed"]);
    assert_eq!(verified["ok"], true);
}

fn nothing_is_imported_by_those_who_may_not(world: &World) {
    let house = &world.houses[0];
    let file = world.file("fine.csv", "record,chol\n1,233\n");
    let import = [
        "dataset",
        "import",
        "fine",
        "--each-row-is-a-subject",
        "--from",
        file.to_str().unwrap(),
    ];
    house.refused_as(Person::Researcher, 3, &import);
    nothing_stayed(house, "fine");
    // What is not classified cannot be published.
    house.as_(Person::Steward, &import).ok();
    let problem = house.refused_as(Person::Steward, 2, &["dataset", "publish", "fine"]);
    assert!(problem["detail"].as_str().unwrap().contains("chol"), "{problem}");
}
