//! Files as people have them, with the commands that a steward types: what is guessed is noted, and what cannot be guessed can be stated.

use std::fs;
use std::path::Path;

use concordat_tests::{Person, TestNode, World};
use serde_json::Value;

fn world() -> World {
    let world = World::unconnected(1);
    world.nodes[0].create_users();
    world
}

/// `dataset import NAME --from FILE --each-row-is-a-subject …`
fn command<'a>(name: &'a str, file: &'a Path, options: &[&'a str]) -> Vec<&'a str> {
    let command = [
        "dataset",
        "import",
        name,
        "--each-row-is-a-subject",
        "--from",
        file.to_str().unwrap(),
    ];
    [&command[..], options].concat()
}

#[track_caller]
fn import(world: &World, name: &str, text: impl AsRef<[u8]>, options: &[&str]) -> Value {
    let file = world.file(&format!("{name}.csv"), text);
    world.nodes[0].json_as(Person::Steward, &command(name, &file, options))
}

#[track_caller]
fn refused(world: &World, name: &str, text: impl AsRef<[u8]>, options: &[&str]) -> String {
    let file = world.file(&format!("{name}.csv"), text);
    let problem = world.nodes[0].refused_as(Person::Steward, 2, &command(name, &file, options));
    problem["detail"].as_str().unwrap().to_owned()
}

#[track_caller]
fn inspect(world: &World, text: impl AsRef<[u8]>, options: &[&str]) -> Value {
    let file = world.file("inspected.csv", text);
    let command = ["dataset", "inspect", file.to_str().unwrap()];
    world.nodes[0].json_as(Person::Steward, &[&command[..], options].concat())
}

/// The columns of a dataset, as `name: kind`.
#[track_caller]
fn columns(node: &TestNode, name: &str) -> Vec<String> {
    let shown = node.json_as(Person::Steward, &["dataset", "show", name]);
    let columns = shown["columns"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    columns
        .map(|column| format!("{}: {}", text(&column["name"]), text(&column["kind"])))
        .collect()
}

#[track_caller]
fn assert_note(imported: &Value, part: &str) {
    assert!(
        imported["notes"].to_string().contains(part),
        "`{part}` is not in {imported}"
    );
}

#[test]
fn numbers_that_are_codes_stay_as_they_are_written() {
    let world = world();
    let node = &world.nodes[0];
    let codes = "pat,icd9\n1,250.00\n2,250.0\n3,410.10\n";
    let imported = import(&world, "codes", codes, &[]);
    assert_note(&imported, "--type icd9=number");
    assert_eq!(columns(node, "codes"), ["pat: whole numbers", "icd9: text"]);
    import(&world, "codes", codes, &["--replace", "--type", "icd9=number"]);
    assert_eq!(columns(node, "codes"), ["pat: whole numbers", "icd9: numbers"]);
    let detail = refused(&world, "codes", codes, &["--replace", "--type", "icd9=string"]);
    assert!(detail.contains("--type"), "{detail}");
}

#[test]
fn a_field_over_many_lines_is_one_refused_row() {
    let world = world();
    let node = &world.nodes[0];
    let text = format!("id,note\n0,first\n1,\"{}\"\n2,short\n", "line\n".repeat(1001));
    let imported = import(&world, "spans", text, &["--skip-refused"]);
    assert_eq!((&imported["rows"], &imported["refused"]), (&2.into(), &1.into()));
    assert_eq!(columns(node, "spans"), ["id: whole numbers", "note: text"]);
    let list = fs::read_to_string(node.work_dir().join("spans.rejects.csv")).unwrap();
    assert!(list.contains("\n3,") && list.contains("1000 lines"), "{list}");
}

#[test]
fn rows_without_any_value_are_left_out() {
    let world = world();
    let imported = import(&world, "blank", "id,age\n1,50\n2,51\n,\n,\n", &[]);
    assert_eq!(imported["rows"], 2, "{imported}");
    assert_note(&imported, "2 rows without any value");
}

#[test]
fn a_header_that_is_not_proved_is_noted_and_can_be_stated() {
    let world = world();
    let node = &world.nodes[0];
    let people = "Smith,Anna,Zurich\nJones,Bob,Bern\n";
    let imported = import(&world, "names", people, &[]);
    assert_note(&imported, "--header absent");
    let imported = import(&world, "names", people, &["--replace", "--header", "absent"]);
    assert_eq!(imported["rows"], 2);
    assert_eq!(
        columns(node, "names"),
        ["column_1: text", "column_2: text", "column_3: text"]
    );
}

#[test]
fn months_that_fit_into_the_columns_are_appended() {
    let world = world();
    let node = &world.nodes[0];
    import(&world, "months", "id,x,seen,note\n1,5.5,2020-01-01 10:00,a\n", &[]);
    let next = import(&world, "months", "id,x,seen,note\n3,7,2020-02-01,12\n", &["--append"]);
    assert_eq!((&next["rows"], &next["total_rows"]), (&1.into(), &2.into()));
    assert_eq!(
        columns(node, "months"),
        ["id: whole numbers", "x: numbers", "seen: date-times", "note: text"]
    );
    // The other way round, the values before would need another type.
    let detail = refused(&world, "months", "id,x,seen,note\n3.5,7,2020-02-01,b\n", &["--append"]);
    assert!(detail.contains("`id` contains numbers, not whole numbers"), "{detail}");
}

#[test]
fn the_same_file_is_appended_only_on_request() {
    let world = world();
    let node = &world.nodes[0];
    let (first, next) = ("id,x\n1,5\n2,6\n", "id,x\n3,7\n");
    import(&world, "twice", first, &[]);
    let detail = refused(&world, "twice", first, &["--append"]);
    assert!(detail.contains("version 1") && detail.contains("--again"), "{detail}");
    import(&world, "twice", next, &["--append"]);
    refused(&world, "twice", next, &["--append"]);
    let again = import(&world, "twice", next, &["--append", "--again"]);
    assert_eq!(again["total_rows"], 4);
    assert_note(&again, "since version 2");
    // What was replaced can be added.
    import(&world, "twice", next, &["--replace"]);
    import(&world, "twice", first, &["--append"]);
    assert_eq!(node.json_as(Person::Steward, &["dataset", "show", "twice"])["rows"], 3);
}

#[test]
fn columns_with_one_name_can_be_renamed() {
    let world = world();
    let node = &world.nodes[0];
    let form = "Record ID,Complete?,BP,Complete?\n1,2,120,2\n2,2,130,2\n";
    let detail = refused(&world, "form", form, &[]);
    assert!(
        detail.contains("`Complete?`") && detail.contains("--rename"),
        "{detail}"
    );
    import(&world, "form", form, &["--rename", "#4=bp_complete"]);
    let names: Vec<String> = columns(node, "form");
    assert_eq!(
        names,
        [
            "record_id: whole numbers",
            "complete: whole numbers",
            "BP: whole numbers",
            "bp_complete: whole numbers"
        ]
    );
    let dots = "BL.AA,BL..AA\n1,2\n3,4\n";
    let detail = refused(&world, "dots", dots, &[]);
    assert!(detail.contains("`BL.AA`") && detail.contains("`BL..AA`"), "{detail}");
    import(&world, "dots", dots, &["--rename", "BL..AA=second"]);
    assert_eq!(columns(node, "dots"), ["bl_aa: whole numbers", "second: whole numbers"]);
}

#[test]
fn decimal_commas_are_proposed_and_read() {
    let world = world();
    let text = "pat;crea\n1;0,91\n2;1,2\n";
    let found = inspect(&world, text, &[]);
    assert_eq!(found["proposals"][0]["options"][0], "--decimal comma", "{found}");
    assert_eq!((&found["delimiter"], &found["header"]), (&";".into(), &true.into()));
    assert_note(&import(&world, "lab", text, &[]), "--decimal comma");
    import(&world, "lab", text, &["--replace", "--decimal", "comma"]);
    assert_eq!(columns(&world.nodes[0], "lab"), ["pat: whole numbers", "crea: numbers"]);
}

#[test]
fn dates_in_other_forms_are_proposed_and_read() {
    let world = world();
    for (text, proposed, options, kind) in [
        (
            "id,t\n1,17-08-1984\n",
            "--date-format '%d-%m-%Y'",
            &["--date-format", "%d-%m-%Y"][..],
            "dates",
        ),
        (
            "id,t\n1,3/29/1982\n",
            "--date-format '%m/%d/%Y'",
            &["--date-format", "%m/%d/%Y"],
            "dates",
        ),
        ("id,t\n1,2020-01-01 10:00:00 UTC\n", "", &[], "date-times with a zone"),
        (
            "id,t\n1,2020-01-01 10:00\n",
            "",
            &["--zone", "Europe/Berlin"],
            "date-times with a zone",
        ),
        ("id,t\n1,0.5\n2,<0.1\n", "limits", &[], "text"),
        (
            "id,t\n1,ja\n2,nein\n",
            "--boolean ja,nein",
            &["--boolean", "ja,nein"],
            "true or false",
        ),
    ] {
        assert_note(&inspect(&world, text, &[]), proposed);
        let found = inspect(&world, text, options);
        assert_eq!(found["columns"][1]["kind"], kind, "{found}");
    }
}

#[test]
fn words_for_missing_values_are_proposed_and_read() {
    let world = world();
    for word in ["\\N", "nan", "None", "n/a", "-"] {
        let text = format!("id,x\n1,5\n2,{word}\n3,7\n");
        let found = inspect(&world, &text, &[]);
        assert_eq!(found["proposals"][0]["missing_words"][0], word, "{found}");
        let found = inspect(&world, &text, &["--missing", word]);
        let column = &found["columns"][1];
        assert_eq!(
            (&column["kind"], &column["missing"]),
            (&"whole numbers".into(), &1.into())
        );
    }
}

#[test]
fn other_delimiters_and_quotes_can_be_stated() {
    let world = world();
    let names = |found: &Value| -> Vec<String> {
        let columns = found["columns"].as_array().unwrap().iter();
        columns
            .map(|column| column["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let found = inspect(&world, "id^age^sex\n1^50^m\n2^60^f\n", &[]);
    assert_eq!(names(&found), ["id", "age", "sex"]);
    let blanks = "made by a machine\n id   age\n# units: years\n 1   50\n 2   60\n";
    let options = ["--delimiter", "blanks", "--comment", "#", "--skip-lines", "1"];
    let found = inspect(&world, blanks, &options);
    assert_eq!(
        (names(&found), &found["rows"]),
        (vec!["id".to_owned(), "age".to_owned()], &2.into())
    );
    let inches = "id\tsize\n1\t\"5\n2\t6\"\n";
    let found = inspect(&world, inches, &["--delimiter", "tab", "--quote", "none"]);
    assert_eq!((&found["rows"], &found["refused"]), (&2.into(), &0.into()));
}

#[test]
fn names_of_columns_are_kept_in_every_script() {
    let world = world();
    import(&world, "records", "病历号,年龄,größe\n1,50,180\n2,60,170\n", &[]);
    assert_eq!(
        columns(&world.nodes[0], "records"),
        ["病历号: whole numbers", "年龄: whole numbers", "größe: whole numbers"]
    );
}

#[test]
fn files_without_a_single_row_make_no_dataset() {
    let world = world();
    let node = &world.nodes[0];
    let xz = refused(
        &world,
        "xz",
        b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4F\0\0\0",
        &["--skip-refused"],
    );
    assert!(xz.contains("an xz file") && xz.contains("unxz"), "{xz}");
    let all = refused(&world, "ragged", "record,chol\n1,2,3\n4,5,6\n", &["--skip-refused"]);
    assert!(all.contains("none of the 2 rows") && all.contains("line 2"), "{all}");
    let html = refused(&world, "html", "\n<HTML><table>", &[]);
    assert!(html.contains("an HTML document"), "{html}");
    for name in ["xz", "ragged", "html"] {
        node.refused_as(Person::Steward, 4, &["dataset", "show", name]);
    }
}

#[test]
fn inspection_shows_the_table_and_stores_nothing() {
    let world = world();
    let node = &world.nodes[0];
    let text = "Patient Id,age\n1,50\n2\n3,51\n";
    let found = inspect(&world, text, &[]);
    assert_eq!(
        (&found["format"], &found["rows"], &found["refused"]),
        (&"csv".into(), &2.into(), &1.into())
    );
    assert_eq!(found["refused_rows"][0]["line"], 3);
    assert_eq!(found["columns"][0]["given"], "Patient Id");
    assert_eq!(found["columns"][0]["name"], "patient_id");
    let file = world.file("inspected.csv", text);
    let command = ["dataset", "inspect", file.to_str().unwrap()];
    let shown = node.run_as(Person::Steward, &command).ok().stdout;
    assert!(shown.contains("patient_id") && shown.contains("was renamed"), "{shown}");
    assert_eq!(
        node.json_as(Person::Steward, &["dataset", "list"]),
        Value::Array(Vec::new())
    );
    node.refused_as(Person::Researcher, 3, &command);
}

#[test]
fn options_are_used_for_the_next_delivery() {
    let world = world();
    let node = &world.nodes[0];
    let file = world.dir().join("lab.toml");
    let path = file.to_str().unwrap();
    let first = "pat;crea\n1;0,91\n2;-\n";
    inspect(
        &world,
        first,
        &["--decimal", "comma", "--missing", "-", "--write-options", path],
    );
    assert!(fs::read_to_string(&file).unwrap().contains("decimal = \"comma\""));
    let imported = import(&world, "lab", first, &["--options", path]);
    assert_eq!(imported["reading"]["missing_words"][0], "-");
    assert_eq!(columns(node, "lab"), ["pat: whole numbers", "crea: numbers"]);

    // The options are kept with the dataset, and those of the command take precedence.
    let next = import(&world, "lab", "pat;crea\n3;2,5\n4;-\n", &["--append"]);
    assert_eq!(next["total_rows"], 4);
    assert_note(&next, "--without-kept-options");
    let kept = node.json_as(Person::Steward, &["dataset", "notes", "lab"]);
    assert_eq!(
        (&kept["version"], &kept["reading"]["decimal"]),
        (&2.into(), &"comma".into())
    );
    let point = import(&world, "lab", "pat;crea\n5;2.5\n", &["--append", "--decimal", "point"]);
    assert_eq!(point["reading"]["missing_words"][0], "-");
    let detail = refused(
        &world,
        "lab",
        "pat;crea\n6;2,5\n",
        &["--append", "--without-kept-options"],
    );
    assert!(detail.contains("`crea` contains text, not numbers"), "{detail}");
    node.refused_as(Person::Steward, 4, &["dataset", "notes", "nothing"]);
}
