//! Files as people have them, with the commands that a steward types: what is guessed is noted, and what cannot be guessed can be stated.

mod queried;

use std::fs;
use std::path::Path;

use concordat_tests::packed::{workbook, zip};
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
fn a_list_of_refused_rows_goes_with_the_next_good_import() {
    let world = world();
    let list = world.nodes[0].work_dir().join("lab.rejects.csv");
    let detail = refused(&world, "lab", "id,x\n1,2\n3\n4,5\n6,7\n", &[]);
    assert!(detail.contains("--skip-refused") && list.exists(), "{detail}");
    import(&world, "lab", "id,x\n1,2\n3,4\n4,5\n", &[]);
    assert!(!list.exists());
    // A file of the same name that is something else stays.
    fs::write(&list, "mine\n").unwrap();
    import(&world, "lab", "id,x\n8,9\n", &["--append"]);
    assert_eq!(fs::read_to_string(&list).unwrap(), "mine\n");
}

#[test]
fn another_layout_is_refused_with_the_option_that_reads_it() {
    let world = world();
    let titled = "Laboratory\n\nid;age\n1;50\n2;51\n3;52\n";
    let detail = refused(&world, "titled", titled, &[]);
    assert!(
        detail.contains("--skip-lines 2") && !detail.contains("--skip-refused"),
        "{detail}"
    );
    let imported = import(&world, "titled", titled, &["--skip-lines", "2"]);
    assert_eq!(imported["rows"], 3);
    let quotes = "id;note;x\n1;\"a;1\n2;b;2\n3;c\";3\n4;d;4\n5;e;5\n";
    let detail = refused(&world, "quotes", quotes, &[]);
    assert!(
        detail.contains("line 2") && detail.contains("--quote double"),
        "{detail}"
    );
    let imported = import(&world, "quotes", quotes, &["--quote", "double"]);
    assert_eq!(imported["rows"], 3);
    assert_note(&imported, "look like rows");
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
            (&column["kind"], &column["missing"], &column["first"]),
            (&"whole numbers".into(), &1.into(), &"5".into())
        );
    }
}

#[test]
fn signs_forms_and_markers_can_be_stated_for_one_column() {
    let world = world();
    let text = "patnr;kosten;inr;born;apgar\n1;1.234,50;1.235;20.01.60;9\n2;12,00;1.346;03.12.99;99\n3;7,25;1.457;14.07.44;8\n";
    let found = inspect(&world, text, &["--decimal", "comma", "--thousands", "point"]);
    assert_note(&found, "--decimal inr=point");
    assert_note(&found, "--date-format '%d.%m.%y'");
    let options = [
        "--decimal",
        "comma",
        "--thousands",
        "point",
        "--decimal",
        "inr=point",
        "--date-format",
        "born=%d.%m.%y",
        "--last-year",
        "2026",
        "--missing",
        "apgar=99",
    ];
    let imported = import(&world, "signs", text, &options);
    assert_eq!(imported["reading"]["columns"]["inr"]["decimal"], "point");
    assert_note(&imported, "from 1927 to 2026");
    assert_eq!(
        columns(&world.nodes[0], "signs"),
        [
            "patnr: whole numbers",
            "kosten: numbers",
            "inr: numbers",
            "born: dates",
            "apgar: whole numbers"
        ]
    );
    let next = import(
        &world,
        "signs",
        "patnr;kosten;inr;born;apgar\n4;1,5;2.5;01.02.03;7\n",
        &["--append"],
    );
    assert_note(&next, "--decimal comma --thousands point");
    assert_note(&next, "--missing 'apgar=99'");
    let same = ["--decimal", "point", "--thousands", "point"];
    let detail = refused(&world, "same", text, &same);
    assert!(detail.contains("--thousands"), "{detail}");
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
    let cut = refused(
        &world,
        "cut",
        b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4F\0\0\0",
        &["--skip-refused"],
    );
    assert!(cut.contains("the xz file") && cut.contains("xz -t"), "{cut}");
    let ragged = b"record,chol\n1,2,3\n4,5,6\n";
    let options = ["--skip-refused", "--header", "present"];
    for (name, bytes) in [
        ("plain", ragged.to_vec()),
        ("zipped", zip(&[("table.csv", ragged)])),
        ("xz", hex(RAGGED_XZ)),
        ("gzip", gzip(ragged)),
    ] {
        let all = refused(&world, name, bytes, &options);
        assert!(
            all.contains("none of the 2 rows") && all.contains("line 2"),
            "{name}: {all}"
        );
    }
    let html = refused(&world, "html", "\n<HTML><table>", &[]);
    assert!(html.contains("an HTML document"), "{html}");
    for name in ["cut", "plain", "zipped", "xz", "gzip", "html"] {
        node.refused_as(Person::Steward, 4, &["dataset", "show", name]);
    }
}

/// A table as xz, and one whose every row is ragged.
const TABLE_XZ: &str = "fd377a585a000004e6d6b4460200210116000000742fe5a301001069642c6167650a312c35300a322c36300a000000003c802ec8cb53\
    6df600012911320a700e1fb6f37d010000000004595a";
const RAGGED_XZ: &str = "fd377a585a000004e6d6b4460200210116000000742fe5a30100177265636f72642c63686f6c0a312c322c330a342c352c360a00ac19\
    5790342b7ff0000130188e1bacec1fb6f37d010000000004595a";

fn hex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn compressed_files_are_unpacked_whatever_their_name() {
    let world = world();
    let node = &world.nodes[0];
    let text = b"id,age\n1,50\n2,60\n";
    for (name, bytes) in [
        ("gzip", gzip(text)),
        ("xz", hex(TABLE_XZ)),
        ("zip", zip(&[("folder/", b""), ("folder/table.txt", text)])),
    ] {
        assert_eq!(inspect(&world, &bytes, &[])["compression"], name);
        assert_eq!(import(&world, name, &bytes, &[])["rows"], 2);
        assert_eq!(columns(node, name), ["id: whole numbers", "age: whole numbers"]);
    }
    let two = refused(&world, "two", zip(&[("Anna.csv", text), ("b.csv", text)]), &[]);
    assert!(two.contains("2 files") && !two.contains("Anna"), "{two}");
    let twice = refused(&world, "twice", gzip(&zip(&[("a.csv", text)])), &[]);
    assert!(twice.contains("a compressed file in a compressed file"), "{twice}");
    for name in ["two", "twice"] {
        node.refused_as(Person::Steward, 4, &["dataset", "show", name]);
    }
}

#[test]
fn sheet_is_stated_once_for_all_deliveries() {
    let world = world();
    let node = &world.nodes[0];
    let names: &[&str] = &["id", "note", "x"];
    let lists: &[&[&str]] = &[&["Codes"], &["a"], &["b"]];
    let first = workbook(&[
        ("Lists", lists),
        ("Data", &[names, &["1", "first", "0.5"], &["2", "", "7"]]),
    ]);
    let detail = refused(&world, "book", &first, &[]);
    assert!(
        detail.contains("--sheet") && detail.contains("`Lists`, `Data`"),
        "{detail}"
    );
    let detail = refused(&world, "book", &first, &["--sheet", "Date"]);
    assert!(detail.contains("`Date`") && detail.contains("`Data`"), "{detail}");
    let found = inspect(&world, &first, &["--sheet", "Data"]);
    assert_eq!((&found["format"], &found["sheet"]), (&"xlsx".into(), &"Data".into()));

    let imported = import(&world, "book", &first, &["--sheet", "Data"]);
    assert_eq!((&imported["rows"], &imported["refused"]), (&2.into(), &0.into()));
    assert_eq!(columns(node, "book"), ["id: whole numbers", "note: text", "x: numbers"]);
    let next = workbook(&[("Data", &[names, &["3", "next", "1"]]), ("Lists", lists)]);
    let imported = import(&world, "book", &next, &["--append"]);
    assert_eq!(
        (&imported["total_rows"], &imported["reading"]["sheet"]),
        (&3.into(), &"Data".into())
    );
    let kept = node.json_as(Person::Steward, &["dataset", "notes", "book"]);
    assert_eq!(kept["reading"]["sheet"], "Data");
    // A sheet is a sheet, also if the file is called a CSV file.
    let detail = refused(&world, "text", "id,x\n1,2\n", &["--sheet", "Data"]);
    assert!(detail.contains("--sheet"), "{detail}");
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
