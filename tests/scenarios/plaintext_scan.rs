//! Unique names and record numbers are imported into a dataset, every operation is run on it, and then every byte that was
//! written anywhere is searched for them.

use std::path::{Path, PathBuf};

use concordat_tests::{Import, Person, TestNode, World};

/// Texts that must never be found.
const NAMES: [&str; 3] = [
    "Zwentibold Quastenflosser",
    "Xanthippe Wolpertinger",
    "Ottokar Schnurrbart",
];
const RECORDS: [&str; 3] = ["QX7719340215", "QX7719340388", "QX7719340591"];
const BIRTHDAYS: [&str; 3] = ["1937-03-29", "1941-07-17", "1953-11-05"];
/// Texts that are in the granted answers, and must not be found anywhere else.
const FINDINGS: [&str; 3] = [
    "cardiomyopathia-zzyzx-1",
    "cardiomyopathia-zzyzx-2",
    "cardiomyopathia-zzyzx-3",
];
const CLASSES: [&str; 4] = [
    "record=direct-identifier",
    "name=direct-identifier",
    "born=quasi-identifier",
    "finding=sensitive",
];
const SUBJECT: [&str; 2] = ["--subject-column", "record"];

#[test]
fn no_patient_name_is_found_on_disk_in_logs_or_in_metrics() {
    let world = World::consortium(2);
    let mut sources = vec![world.file("patients.csv", table(""))];
    world.share(
        "cleveland",
        Import {
            dataset: "heart",
            from: &sources[0],
            args: &SUBJECT,
            classes: &CLASSES,
        },
    );
    sources.extend(imports_that_fail(&world));

    let grant = world.grant("budapest", "cleveland", "heart", &[]);
    assert_answers_contain_no_names(world.node("budapest"));
    run_queries_that_name_patients(world.node("budapest"));
    world
        .node("cleveland")
        .run_as(Person::Steward, &["grant", "revoke", &grant])
        .ok();
    run_queries_that_name_patients(world.node("budapest"));
    world
        .node("cleveland")
        .run_as(Person::Administrator, &["audit", "tail", "-n", "1000"])
        .ok();

    assert_nothing_is_found(&world, &sources);
}

/// At the lowest level, at which libraries write the text of a query with its values.
#[test]
fn trace_log_of_a_query_has_no_literal() {
    let mut world = World::consortium(2);
    let cleveland = world.node_mut("cleveland");
    cleveland.set_env(&[("CONCORDAT_LOG", "trace")]);
    cleveland.stop();
    cleveland.start();
    cleveland.forget_login();
    let from = &world.file("patients.csv", table(""));
    world.share(
        "cleveland",
        Import {
            dataset: "heart",
            from,
            args: &SUBJECT,
            classes: &CLASSES,
        },
    );
    let cleveland = world.node("cleveland");
    for condition in [
        format!("name = '{}'", NAMES[1]),
        format!("finding <> '{}'", FINDINGS[1]),
    ] {
        // It may be refused; it was parsed then, too.
        drop(cleveland.query(&format!("SELECT count(*) FROM cleveland.heart WHERE {condition}")));
    }
    let log = cleveland.log();
    assert_free_of_sentinels("the log", log.as_bytes());
    assert!(!log.contains("SELECT"), "the text of a query is in the log");
}

fn table(more: &str) -> String {
    let rows = (0..3).map(|n| format!("{},{},{},{}\n", RECORDS[n], NAMES[n], BIRTHDAYS[n], FINDINGS[n]));
    format!("record,name,born,finding\n{}{more}", rows.collect::<String>())
}

/// Each kind of bad row contains a name in the part that cannot be read.
fn imports_that_fail(world: &World) -> Vec<PathBuf> {
    let cleveland = world.node("cleveland");
    let name = NAMES[0];
    let record = RECORDS[0];
    let bad = [
        ("ragged", table(&format!("{record},{name}\n")).into_bytes()),
        (
            "quotes",
            table(&format!("{record},\"{name},1950-01-01,x\n")).into_bytes(),
        ),
        (
            "encoding",
            [
                table("").as_bytes(),
                record.as_bytes(),
                b",\xff\xfe ",
                name.as_bytes(),
                b",1950-01-01,x\n",
            ]
            .concat(),
        ),
        ("subject", table(&format!(",{name},1950-01-01,x\n")).into_bytes()),
        ("headless", table("").split_once('\n').unwrap().1.as_bytes().to_vec()),
    ];
    let mut files = Vec::new();
    for (dataset, text) in bad {
        let file = world.file(&format!("{dataset}.csv"), text);
        let import = ["dataset", "import", dataset, "--from", file.to_str().unwrap()];
        let outcome = cleveland
            .run_as(Person::Steward, &[&import[..], &SUBJECT].concat())
            .exits(2);
        assert_free_of_sentinels("an import's error", outcome.stderr.as_bytes());
        cleveland.run_as(Person::Steward, &[&import[..], &SUBJECT, &["--skip-refused"]].concat());
        files.push(file);
    }
    files
}

fn assert_answers_contain_no_names(consumer: &TestNode) {
    let answer = consumer.query("SELECT * FROM cleveland.heart ORDER BY finding").ok();
    assert_eq!(answer.table().column("finding"), FINDINGS);
    for secret in NAMES.iter().chain(&RECORDS).chain(&BIRTHDAYS) {
        assert!(
            !answer.stdout.contains(secret),
            "`{secret}` was answered: {}",
            answer.stdout
        );
    }
    consumer
        .query("SELECT finding, count(*) FROM cleveland.heart GROUP BY finding")
        .ok();
}

/// The requester knows the literals; no node may store them. They match no pseudonym, and an expression that cannot be computed
/// is refused or null.
fn run_queries_that_name_patients(consumer: &TestNode) {
    let queries = [
        format!(
            "SELECT finding FROM cleveland.heart WHERE name = '{}' OR 1 / 0 = 1",
            NAMES[1]
        ),
        format!("SELECT nosuch FROM cleveland.heart WHERE finding = '{}'", FINDINGS[1]),
        format!(
            "SELECT cast(finding AS bigint) FROM cleveland.heart WHERE finding <> '{}'",
            NAMES[2]
        ),
        "SELECT cast(finding AS bigint) FROM cleveland.heart".to_owned(),
        "SELECT finding FROM cleveland.heart; SELECT name FROM cleveland.heart".to_owned(),
    ];
    for sql in queries {
        let outcome = consumer.query(&sql);
        assert_free_of_sentinels("an answer", outcome.stdout.as_bytes());
    }
}

fn assert_nothing_is_found(world: &World, sources: &[PathBuf]) {
    for node in &world.nodes {
        assert_free_of_sentinels(&format!("metrics of {}", node.id), node.http_get("/metrics").as_bytes());
        assert_free_of_sentinels(&format!("log of {}", node.id), node.log().as_bytes());
        assert_free_of_sentinels(&format!("errors at {}", node.id), node.stderr_log().as_bytes());
    }
    let mut searched = 0;
    for path in files_below(world.dir())
        .into_iter()
        .filter(|path| !sources.contains(path))
    {
        if let Ok(bytes) = std::fs::read(&path) {
            assert_free_of_sentinels(&path.display().to_string(), &bytes);
            searched += 1;
        }
    }
    assert!(searched > 20, "only {searched} files were searched");
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files_below(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}

#[track_caller]
fn assert_free_of_sentinels(source: &str, bytes: &[u8]) {
    for secret in NAMES.iter().chain(&RECORDS).chain(&BIRTHDAYS).chain(&FINDINGS) {
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "`{secret}` is in {source}");
    }
    // A part of a name identifies a patient too.
    for part in NAMES.iter().flat_map(|name| name.split(' ')) {
        let found = bytes.windows(part.len()).any(|window| window == part.as_bytes());
        assert!(!found, "`{part}` is in {source}");
    }
}
