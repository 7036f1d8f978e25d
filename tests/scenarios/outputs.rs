//! What comes out for people: files that appear whole and where they were meant to, and text that acts on nothing.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use concordat_tests::{Import, Person, World};

const QUESTION: &str =
    "SELECT note, count(*) AS n, avg(change) AS change FROM cleveland.notes GROUP BY note ORDER BY note";

/// Cells that a terminal obeys, that turn the text around, or that a spreadsheet runs.
const HOSTILE: [&str; 6] = [
    "\u{1b}[2J\u{1b}]0;owned\u{7}",
    "Anna \u{202e}txt.exe",
    "zero\u{200b}width\u{2066}x",
    "=cmd|' /C calc'!A0",
    "@SUM(A1)",
    "\u{ff1d}1+1",
];

fn prepared() -> World {
    let world = World::strangers(1);
    let house = &world.houses[0];
    house.hire();
    house
        .as_(Person::Administrator, &["consortium", "found", "--name", "Alone"])
        .ok();
    let rows: String = (0..600)
        .map(|row| format!("{row},\"{}\",{}\n", HOSTILE[row % HOSTILE.len()], -2 - (row as i64 % 3)))
        .collect();
    let file = world.file("notes.csv", format!("record,note,change\n{rows}"));
    world.share(
        "cleveland",
        Import {
            dataset: "notes",
            from: &file,
            args: &["--each-row-is-a-subject"],
            classes: &["record=ordinary", "note=ordinary", "change=ordinary"],
        },
    );
    world
}

#[test]
fn answers_act_on_no_terminal_and_no_spreadsheet() {
    let world = prepared();
    let house = &world.houses[0];
    house.log_in(Person::Researcher);
    let is_hostile = |text: &str| {
        let signs = text.chars().filter(|sign| !matches!(sign, '\n' | '\r'));
        signs
            .into_iter()
            .any(|sign| sign.is_control() || matches!(sign, '\u{200b}'..='\u{202e}' | '\u{2060}'..='\u{206f}'))
    };
    let table = house.run(&["query", QUESTION]).ok();
    assert!(
        !is_hostile(&table.stdout) && table.stdout.contains("txt.exe"),
        "{}",
        table.stdout
    );

    // JSON says the same value, escaped.
    let json = house.run(&["--format", "json", "query", QUESTION]).ok();
    assert!(!is_hostile(&json.stdout), "{}", json.stdout);
    let notes: Vec<String> = json
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["note"].as_str().unwrap().to_owned())
        .collect();
    for cell in HOSTILE {
        assert!(notes.iter().any(|note| note == cell), "{cell:?}: {notes:?}");
    }

    // A file holds what the cells hold, unless one for spreadsheets is asked for.
    let plain = world.place().join("plain.csv");
    house.run(&["query", QUESTION, "--out", plain.to_str().unwrap()]).ok();
    let plain = fs::read_to_string(plain).unwrap();
    assert!(HOSTILE.iter().all(|cell| plain.contains(cell)), "{plain}");
    let safe = world.place().join("safe.csv");
    house
        .run(&["query", QUESTION, "--spreadsheet-safe", "--out", safe.to_str().unwrap()])
        .ok();
    let safe = fs::read_to_string(safe).unwrap();
    assert!(!is_hostile(&safe), "{safe}");
    for line in safe.lines().skip(1) {
        let first = line.trim_start_matches('"').chars().next().unwrap();
        assert!(!matches!(first, '=' | '+' | '-' | '@' | '\u{ff1d}'), "{line}");
        assert!(line.contains(",-"), "a number stays one: {line}");
    }
    assert!(safe.contains("'=cmd|"), "{safe}");
    let parquet = world.place().join("safe.parquet");
    house
        .run(&[
            "query",
            QUESTION,
            "--spreadsheet-safe",
            "--out",
            parquet.to_str().unwrap(),
        ])
        .exits(2);
}

#[test]
fn answers_are_written_through_no_link() {
    let world = prepared();
    let house = &world.houses[0];
    house.log_in(Person::Researcher);
    let (desk, victim) = (world.place().join("desk"), world.place().join("victim"));
    fs::create_dir(&desk).unwrap();
    fs::write(&victim, "untouched").unwrap();
    for ending in ["csv", "ndjson", "arrow", "parquet"] {
        let path = desk.join(format!("answer.{ending}"));
        let out = path.to_str().unwrap();
        // Where it was written before it was complete, and where it goes.
        symlink(&victim, desk.join(format!("answer.{ending}.part"))).unwrap();
        house.run(&["query", QUESTION, "--out", out]).ok();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600, "{ending}");
        assert!(fs::metadata(&path).unwrap().len() > 0);
        fs::remove_file(&path).unwrap();
        symlink(&victim, &path).unwrap();
        let problem = house.refused_as(Person::Researcher, 2, &["query", QUESTION, "--out", out]);
        assert!(problem["detail"].to_string().contains("is a link"), "{problem}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched", "{ending}");
    }
    // The list of refused rows goes the same way, and so does an escrow of the keys.
    let bad = world.file("bad.csv", "record,chol\n1,233\n2\n");
    let list = house.desk().join("bad.rejects.csv");
    symlink(&victim, &list).unwrap();
    house.refused_as(
        Person::Steward,
        2,
        &[
            "dataset",
            "import",
            "bad",
            "--each-row-is-a-subject",
            "--from",
            bad.to_str().unwrap(),
        ],
    );
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");

    let open = world.place().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let out = open.join("answer.csv");
    let problem = house.refused_as(
        Person::Researcher,
        2,
        &["query", QUESTION, "--out", out.to_str().unwrap()],
    );
    assert!(problem["detail"].to_string().contains("everybody"), "{problem}");
}
