//! Output for users: files that appear complete and at the intended path, and text that is safe to display and open.

mod partial;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use concordat_tests::{Import, Person, World};

use super::entries;

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

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn query_is_sent_only_if_its_answer_can_be_written() {
    let world = prepared();
    let node = &world.nodes[0];
    let folder = world.dir().join("folder");
    fs::create_dir(&folder).unwrap();
    fs::create_dir(folder.join("folder.csv")).unwrap();
    let refused = [
        "answer.csv.gz",
        "answer.xlsx",
        "answer",
        "none/answer.csv",
        "folder.csv",
        "/proc/answer.csv",
    ];
    for name in refused {
        let out = folder.join(name);
        let problem = node.refused_as(Person::Researcher, 2, &["query", SQL, "--out", out.to_str().unwrap()]);
        assert!(!problem["help"].is_null(), "{name}: {problem}");
    }
    for safe in [&["--format", "json"][..], &["--format", "table"]] {
        let query = [safe, &["query", SQL, "--spreadsheet-safe"]].concat();
        node.run_as(Person::Researcher, &query).exits(2);
    }
    assert_eq!(names(&folder), ["folder.csv"]);
    assert_eq!(entries(node, "query_opened").len(), 0);
    assert_eq!(entries(node, "decision_made").len(), 0);
    // The target is all that was wrong.
    let out = folder.join("answer.CSV");
    node.run_as(Person::Researcher, &["query", SQL, "--out", out.to_str().unwrap()])
        .ok();
    assert_eq!(entries(node, "decision_made").len(), 1);
}

#[test]
fn query_that_is_interrupted_leaves_nothing() {
    // 216 million rows.
    const LONG: &str = "SELECT a.note FROM cleveland.notes a, cleveland.notes b, cleveland.notes c";
    let mut world = prepared();
    let folder = world.dir().join("folder");
    fs::create_dir(&folder).unwrap();
    world.nodes[0].log_in(Person::Researcher);
    for ending in ["csv", "ndjson", "arrow", "parquet"] {
        for (signal, number) in [("-INT", 2), ("-KILL", 9)] {
            let out = folder.join(format!("answer.{ending}"));
            let mut query = world.nodes[0].spawn(&["query", LONG, "--out", out.to_str().unwrap()]);
            std::thread::sleep(Duration::from_millis(500));
            assert!(query.try_wait().unwrap().is_none(), "{ending}: it has ended");
            Command::new("kill")
                .args([signal, &query.id().to_string()])
                .status()
                .unwrap();
            let ended = query.wait().unwrap();
            let is_ended = ended.signal() == Some(number) || ended.code() == Some(128 + number);
            assert!(is_ended, "{ending} {signal}: {ended:?}");
            assert_eq!(names(&folder), Vec::<String>::new(), "{ending} {signal}");
        }
    }
    let out = folder.join("answer.csv");
    let query = world.nodes[0].spawn(&["query", LONG, "--out", out.to_str().unwrap()]);
    std::thread::sleep(Duration::from_millis(500));
    world.nodes[0].kill();
    let ended = query.wait_with_output().unwrap();
    assert!(matches!(ended.status.code(), Some(1 | 5)), "{ended:?}");
    assert_eq!(names(&folder), Vec::<String>::new());
}

#[test]
fn query_is_an_argument_a_file_or_standard_input() {
    const COUNT: &str = "-- how many?\nSELECT count(*) AS n FROM cleveland.notes";
    let world = prepared();
    let node = &world.nodes[0];
    node.log_in(Person::Researcher);
    let file = world.file("count.sql", format!("\u{feff}{COUNT};\n"));
    let csv = ["--format", "csv", "query"];
    for query in [
        &[COUNT][..],
        &["--purpose", "health-research", &COUNT.replace("-- how", "--how")],
        &["--file", file.to_str().unwrap()],
    ] {
        let answer = node.run(&[&csv, query].concat()).ok();
        assert_eq!(answer.stdout, "n\n600\n", "{query:?}");
    }
    let answer = node.run_with_input(&[&csv[..], &["-"]].concat(), Some(COUNT)).ok();
    assert_eq!(answer.stdout, "n\n600\n");
    let why = node.run(&["--format", "json", "why", COUNT]).ok();
    assert_eq!(why.json()["decision"], "permit", "{}", why.report());

    for wrong in [
        &[][..],
        &[COUNT, "--file", file.to_str().unwrap()],
        &["--functions", COUNT],
        &["--ouut", "a.csv", COUNT],
        &["-- only a comment"],
        &[" "],
    ] {
        node.run(&[&["query"], wrong].concat()).exits(2);
    }
    node.run(&["query", "--file", "none.sql"]).exits(4);
}

#[test]
fn csv_of_one_column_keeps_every_row() {
    let world = World::unconnected(1);
    let node = &world.nodes[0];
    node.create_users();
    node.run_as(Person::Administrator, &["consortium", "found", "--name", "Alone"])
        .ok();
    let args = &["--each-row-is-a-subject"];
    let classes = &["n=ordinary", "t=ordinary"];
    let file = world.file("t.csv", "n,t\n1,a\n,b\n3,\n,c\n");
    world.share(
        "cleveland",
        Import {
            dataset: "t",
            from: &file,
            args,
            classes,
        },
    );
    node.log_in(Person::Researcher);
    let out = world.dir().join("n.csv");
    node.run(&["query", "SELECT n FROM cleveland.t", "--out", out.to_str().unwrap()])
        .ok();
    let text = fs::read_to_string(&out).unwrap();
    let mut lines: Vec<&str> = text.lines().skip(1).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["\"\"", "\"\"", "1", "3"], "{text}");

    // The product reads the file as it was.
    world.share(
        "cleveland",
        Import {
            dataset: "again",
            from: &out,
            args,
            classes: &["n=ordinary"],
        },
    );
    let count = "SELECT count(*) AS rows, count(n) AS values FROM cleveland.again";
    assert_eq!(node.query(count).ok().stdout, "rows,values\n4,2\n");

    // Python reads the same rows, if it is there.
    let script = "import csv, sys; print(sorted(row['n'] for row in csv.DictReader(open(sys.argv[1]))))";
    let python = Command::new("python3").args(["-c", script]).arg(&out).output();
    match python {
        Ok(python) => assert_eq!(String::from_utf8_lossy(&python.stdout).trim(), "['', '', '1', '3']"),
        Err(_) => println!("skipped: there is no `python3`"),
    }

    // An empty text is not a missing value; one column cannot distinguish them, and a note states it.
    let both = "SELECT n, CASE WHEN t = 'a' THEN '' ELSE t END AS t FROM cleveland.t";
    let answer = node.query(&format!("SELECT * FROM ({both}) ORDER BY t")).ok();
    assert!(
        answer.stdout.contains("1,\"\"\n") && answer.stdout.contains("3,\n"),
        "{}",
        answer.report()
    );
    let one = node.query(&format!("SELECT t FROM ({both})")).ok();
    assert_eq!(
        one.stdout.lines().filter(|line| *line == "\"\"").count(),
        2,
        "{}",
        one.report()
    );
    assert!(one.stderr.contains("one column"), "{}", one.report());
}

#[test]
fn functions_are_listed_with_their_tiers() {
    let world = prepared();
    let node = &world.nodes[0];
    let listed = node.json_as(Person::Steward, &["query", "--functions"]);
    let field = |name: &str, kind: &str, field: &str| {
        let rules = listed.as_array().unwrap();
        let rule = rules.iter().find(|rule| rule["name"] == name && rule["kind"] == kind);
        rule.unwrap_or_else(|| panic!("{name} is not in {listed}"))[field].clone()
    };
    assert_eq!(field("count", "aggregate", "tier"), "exists");
    assert_eq!(field("avg", "aggregate", "tier"), "aggregate");
    assert_eq!(field("max", "aggregate", "parts")[0], "per-subject");
    assert_eq!(field("=", "operator", "parts")[0], "condition");
    assert_eq!(field("row_number", "window", "parts")[0], "figures");
    assert_eq!(field("row_number", "window", "records"), "holder-of-collection");
    assert!(field("array_agg", "aggregate", "tier").is_null());
    let table = node.run_as(Person::Researcher, &["query", "--functions"]).ok();
    assert!(table.stderr.contains("your own node"), "{}", table.report());
}
