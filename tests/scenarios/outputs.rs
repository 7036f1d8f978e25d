//! Output for users: files that appear complete and at the intended path, and text that is safe to display and open.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use concordat_tests::{Import, Person, World};

const SQL: &str = "SELECT note, count(*) AS n, avg(change) AS change FROM cleveland.notes GROUP BY note ORDER BY note";

/// Cells that a terminal interprets, that reverse the text, or that a spreadsheet executes.
const HOSTILE: [&str; 6] = [
    "\u{1b}[2J\u{1b}]0;owned\u{7}",
    "Anna \u{202e}txt.exe",
    "zero\u{200b}width\u{2066}x",
    "=cmd|' /C calc'!A0",
    "@SUM(A1)",
    "\u{ff1d}1+1",
];

fn prepared() -> World {
    let world = World::unconnected(1);
    let node = &world.nodes[0];
    node.create_users();
    node.run_as(Person::Administrator, &["consortium", "found", "--name", "Alone"])
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
fn answers_cannot_act_on_a_terminal_or_spreadsheet() {
    let world = prepared();
    let node = &world.nodes[0];
    node.log_in(Person::Researcher);
    let is_hostile = |text: &str| {
        let chars = text.chars().filter(|c| !matches!(c, '\n' | '\r'));
        chars
            .into_iter()
            .any(|c| c.is_control() || matches!(c, '\u{200b}'..='\u{202e}' | '\u{2060}'..='\u{206f}'))
    };
    let table = node.run(&["query", SQL]).ok();
    assert!(
        !is_hostile(&table.stdout) && table.stdout.contains("txt.exe"),
        "{}",
        table.stdout
    );

    // JSON contains the same value, escaped.
    let json = node.run(&["--format", "json", "query", SQL]).ok();
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

    // A file contains the cells unchanged, unless `--spreadsheet-safe` is given.
    let plain = world.dir().join("plain.csv");
    node.run(&["query", SQL, "--out", plain.to_str().unwrap()]).ok();
    let plain = fs::read_to_string(plain).unwrap();
    assert!(HOSTILE.iter().all(|cell| plain.contains(cell)), "{plain}");
    let safe = world.dir().join("safe.csv");
    node.run(&["query", SQL, "--spreadsheet-safe", "--out", safe.to_str().unwrap()])
        .ok();
    let safe = fs::read_to_string(safe).unwrap();
    assert!(!is_hostile(&safe), "{safe}");
    for line in safe.lines().skip(1) {
        let first = line.trim_start_matches('"').chars().next().unwrap();
        assert!(!matches!(first, '=' | '+' | '-' | '@' | '\u{ff1d}'), "{line}");
        assert!(line.contains(",-"), "a number stays a number: {line}");
    }
    assert!(safe.contains("'=cmd|"), "{safe}");
    let parquet = world.dir().join("safe.parquet");
    node.run(&["query", SQL, "--spreadsheet-safe", "--out", parquet.to_str().unwrap()])
        .exits(2);
}

#[test]
fn answers_are_not_written_through_links() {
    let world = prepared();
    let node = &world.nodes[0];
    node.log_in(Person::Researcher);
    let folder = world.dir().join("folder");
    let victim = world.dir().join("victim");
    fs::create_dir(&folder).unwrap();
    fs::write(&victim, "untouched").unwrap();
    for ending in ["csv", "ndjson", "arrow", "parquet"] {
        let path = folder.join(format!("answer.{ending}"));
        let out = path.to_str().unwrap();
        // A link at the former temporary path, and one at the final path.
        symlink(&victim, folder.join(format!("answer.{ending}.part"))).unwrap();
        node.run(&["query", SQL, "--out", out]).ok();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600, "{ending}");
        assert!(fs::metadata(&path).unwrap().len() > 0);
        fs::remove_file(&path).unwrap();
        symlink(&victim, &path).unwrap();
        // The link is all that differs from the command that wrote the file.
        node.refused_as(Person::Researcher, 2, &["query", SQL, "--out", out]);
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched", "{ending}");
    }
    // The list of refused rows is written the same way, and so is an escrow of the keys.
    let bad = world.file("bad.csv", "record,chol\n1,233\n2\n");
    let list = node.work_dir().join("bad.rejects.csv");
    symlink(&victim, &list).unwrap();
    node.refused_as(
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

    let open = world.dir().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let out = open.join("answer.csv");
    let write = ["query", SQL, "--out", out.to_str().unwrap()];
    node.refused_as(Person::Researcher, 2, &write);
    // That any user can replace files there is all that was wrong with it.
    fs::set_permissions(&open, fs::Permissions::from_mode(0o700)).unwrap();
    node.run_as(Person::Researcher, &write).ok();
}
