//! Names and record numbers that occur nowhere else are put into a dataset, everything is done with it that can be done,
//! and then every byte that was written anywhere is searched for them.

use std::path::{Path, PathBuf};

use concordat_tests::{House, Import, Person, World};

/// What must never be found.
const NAMES: [&str; 3] = [
    "Zwentibold Quastenflosser",
    "Xanthippe Wolpertinger",
    "Ottokar Schnurrbart",
];
const RECORDS: [&str; 3] = ["QX7719340215", "QX7719340388", "QX7719340591"];
const BIRTHDAYS: [&str; 3] = ["1937-03-29", "1941-07-17", "1953-11-05"];
/// What is in the answers that are granted, and must be nowhere else.
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
fn no_name_is_found_on_disk_in_logs_in_errors_or_in_metrics() {
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
    answers_hold_findings_and_no_names(world.house("budapest"));
    questions_that_name_what_they_look_for(world.house("budapest"));
    world
        .house("cleveland")
        .as_(Person::Steward, &["grant", "revoke", &grant])
        .ok();
    questions_that_name_what_they_look_for(world.house("budapest"));
    world
        .house("cleveland")
        .as_(Person::Administrator, &["audit", "tail", "-n", "1000"])
        .ok();

    nothing_is_found(&world, &sources);
}

fn table(more: &str) -> String {
    let rows = (0..3).map(|n| format!("{},{},{},{}\n", RECORDS[n], NAMES[n], BIRTHDAYS[n], FINDINGS[n]));
    format!("record,name,born,finding\n{}{more}", rows.collect::<String>())
}

/// Each kind of bad row holds a name in the part that cannot be read.
fn imports_that_fail(world: &World) -> Vec<PathBuf> {
    let cleveland = world.house("cleveland");
    let (name, record) = (NAMES[0], RECORDS[0]);
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
            .as_(Person::Steward, &[&import[..], &SUBJECT].concat())
            .exits(2);
        assert_free_of_sentinels("an import's error", outcome.stderr.as_bytes());
        cleveland.as_(Person::Steward, &[&import[..], &SUBJECT, &["--skip-refused"]].concat());
        files.push(file);
    }
    files
}

fn answers_hold_findings_and_no_names(consumer: &House) {
    let answer = consumer.ask("SELECT * FROM cleveland.heart ORDER BY finding").ok();
    assert_eq!(answer.table().column("finding"), FINDINGS);
    for secret in NAMES.iter().chain(&RECORDS).chain(&BIRTHDAYS) {
        assert!(
            !answer.stdout.contains(secret),
            "`{secret}` was answered: {}",
            answer.stdout
        );
    }
    consumer
        .ask("SELECT finding, count(*) FROM cleveland.heart GROUP BY finding")
        .ok();
}

/// The person who asks knows the literals; nobody may keep them. They match no pseudonym, and what cannot be computed is
/// refused or missing.
fn questions_that_name_what_they_look_for(consumer: &House) {
    let questions = [
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
    for sql in questions {
        let outcome = consumer.ask(&sql);
        assert_free_of_sentinels("an answer", outcome.stdout.as_bytes());
    }
}

fn nothing_is_found(world: &World, sources: &[PathBuf]) {
    for house in &world.houses {
        assert_free_of_sentinels(
            &format!("metrics of {}", house.id),
            house.http_get("/metrics").as_bytes(),
        );
        assert_free_of_sentinels(&format!("log of {}", house.id), house.log().as_bytes());
        assert_free_of_sentinels(&format!("errors at {}", house.id), house.complaints().as_bytes());
    }
    let mut searched = 0;
    for path in files_below(world.place())
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
fn assert_free_of_sentinels(place: &str, bytes: &[u8]) {
    for secret in NAMES.iter().chain(&RECORDS).chain(&BIRTHDAYS).chain(&FINDINGS) {
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "`{secret}` is in {place}");
    }
    // Half a name is a name too.
    for part in NAMES.iter().flat_map(|name| name.split(' ')) {
        let found = bytes.windows(part.len()).any(|window| window == part.as_bytes());
        assert!(!found, "`{part}` is in {place}");
    }
}
