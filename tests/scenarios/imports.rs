//! Files as hospitals send them: errors are reported with their position and remedy, and nothing incomplete remains.

use std::fmt::Write;
use std::fs::{self, File};
use std::io::{Read, Write as _};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use concordat_tests::{Person, TestNode, World};
use serde_json::Value;

/// A file that cannot be imported: its name, its bytes, and texts that the message must contain.
type Bad = (&'static str, Vec<u8>, &'static [&'static str]);

#[test]
fn bad_files_are_refused_with_position_and_remedy() {
    let world = World::unconnected(1);
    let node = &world.nodes[0];
    node.create_users();
    for (name, bytes, expected) in bad_files() {
        let file = world.file(&format!("{name}.csv"), bytes);
        let problem = node.refused_as(
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
        for text in expected {
            assert!(
                problem["detail"].as_str().unwrap().contains(text),
                "`{text}` is missing in {problem}"
            );
        }
        assert_not_imported(node, name);
    }
    node.refused_as(
        Person::Steward,
        4,
        &[
            "dataset",
            "import",
            "missing",
            "--each-row-is-a-subject",
            "--from",
            "/nowhere/missing.csv",
        ],
    );
    refused_rows_are_skipped_and_listed(&world);
    a_type_that_changes_late_is_text_from_the_first_row(&world);
    older_version_stays_if_the_next_is_bad(&world);
    import_without_the_role_is_refused(&world);
    subject_of_the_rows_must_be_stated(&world);
}

/// Without a subject rule nothing is imported, and a rule that contradicts the file is noted.
fn subject_of_the_rows_must_be_stated(world: &World) {
    let node = &world.nodes[0];
    let file = world.file("visits.csv", "patient_id,chol\n1,233\n1,204\n2,250\n");
    let import = ["dataset", "import", "visits", "--from", file.to_str().unwrap()];
    let problem = node.refused_as(Person::Steward, 2, &import);
    for option in ["--subject-column", "--each-row-is-a-subject"] {
        assert!(problem["detail"].as_str().unwrap().contains(option), "{problem}");
    }
    assert_not_imported(node, "visits");
    let imported = node.json_as(Person::Steward, &[&import[..], &["--each-row-is-a-subject"]].concat());
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
        ("binary", b"PK\x03\x04\x00\x00\x00\x00\x00".to_vec(), &["zip"]),
    ]
}

fn assert_not_imported(node: &TestNode, dataset: &str) {
    node.refused_as(Person::Steward, 4, &["dataset", "show", dataset]);
}

fn refused_rows_are_skipped_and_listed(world: &World) {
    let node = &world.nodes[0];
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
    let imported = node.json_as(Person::Steward, &import);
    assert_eq!(
        (&imported["rows"], &imported["refused"]),
        (&Value::from(3), &Value::from(2))
    );
    let list = std::fs::read_to_string(node.work_dir().join("mixed.rejects.csv")).unwrap();
    let lines: Vec<&str> = list.lines().map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(lines, ["line", "3", "5"], "{list}");
}

fn a_type_that_changes_late_is_text_from_the_first_row(world: &World) {
    let mut text = "record,code\n".to_owned();
    for row in 1..60_000 {
        let code = if row == 50_000 { "elevated" } else { "250" };
        writeln!(text, "{row},{code}").unwrap();
    }
    let node = &world.nodes[0];
    let file = world.file("late.csv", text);
    let imported = node.json_as(
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
    let shown = node.json_as(Person::Steward, &["dataset", "show", "late"]);
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

fn older_version_stays_if_the_next_is_bad(world: &World) {
    let node = &world.nodes[0];
    let before = node.json_as(Person::Steward, &["dataset", "show", "mixed"]);
    let file = world.file("next.csv", "record,chol\n1,233\n2\n");
    let path = file.to_str().unwrap();
    for mode in ["--replace", "--append"] {
        node.refused_as(
            Person::Steward,
            2,
            &["dataset", "import", "mixed", "--from", path, mode],
        );
    }
    node.refused_as(
        Person::Steward,
        2,
        &["dataset", "import", "mixed", "--from", path, "--skip-refused"],
    );
    assert_eq!(node.json_as(Person::Steward, &["dataset", "show", "mixed"]), before);
    let verified = node.json_as(Person::Steward, &["dataset", "verify", "mixed"]);
    assert_eq!(verified["ok"], true);
}

fn import_without_the_role_is_refused(world: &World) {
    let node = &world.nodes[0];
    let file = world.file("fine.csv", "record,chol\n1,233\n");
    let import = [
        "dataset",
        "import",
        "fine",
        "--each-row-is-a-subject",
        "--from",
        file.to_str().unwrap(),
    ];
    node.refused_as(Person::Researcher, 3, &import);
    assert_not_imported(node, "fine");
    // A dataset with unclassified columns cannot be published.
    node.run_as(Person::Steward, &import).ok();
    let problem = node.refused_as(Person::Steward, 2, &["dataset", "publish", "fine"]);
    assert!(problem["detail"].as_str().unwrap().contains("chol"), "{problem}");
}

/// The format is recognized by the contents, so rows of another format can be added; a stated one must be right.
#[test]
fn import_recognizes_the_format_of_a_file() {
    let world = World::unconnected(1);
    let node = &world.nodes[0];
    node.create_users();
    let first = world.file("first.csv", "record,chol\n1,233\n2,204\n");
    let import = |file: &Path, options: &[&str]| {
        let command = ["dataset", "import", "lab", "--from", file.to_str().unwrap()];
        let words = [&command[..], options].concat().into_iter();
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    let refused = |command: &[String]| {
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let problem = node.refused_as(Person::Steward, 2, &command);
        problem["detail"].as_str().unwrap().to_owned()
    };
    let imported = |command: &[String]| {
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        node.json_as(Person::Steward, &command)
    };
    imported(&import(&first, &["--each-row-is-a-subject"]));
    let next = world.file("next.data", "{\"record\":3,\"chol\":250}\n{\"record\":4}\n[5]\n");
    let detail = refused(&import(&next, &["--append"]));
    assert!(detail.contains("line 3"), "{detail}");
    let added = imported(&import(&next, &["--append", "--skip-refused"]));
    assert_eq!(
        (&added["rows"], &added["total_rows"], &added["refused"]),
        (&Value::from(2), &Value::from(4), &Value::from(1))
    );
    let list = fs::read_to_string(node.work_dir().join("lab.rejects.csv")).unwrap();
    assert!(list.starts_with("line,reason\n3,"), "{list}");
    let detail = refused(&import(&next, &["--replace", "--kind", "csv"]));
    assert!(detail.contains("`--kind ndjson`"), "{detail}");
    refused(&import(&next, &["--replace", "--kind", "parquet"]));
    let nested = world.file("nested.ndjson", "{\"record\":1,\"codes\":[1,2]}\n");
    let detail = refused(&import(&nested, &["--replace"]));
    assert!(detail.contains("`codes`"), "{detail}");
    assert_eq!(node.json_as(Person::Steward, &["dataset", "show", "lab"])["rows"], 4);
}

/// A request on the socket of `node` by its steward, as bytes.
fn request(node: &TestNode, path: &str, media: &str, body: &[u8]) -> UnixStream {
    let token = node.session_token(Person::Steward);
    let mut socket = UnixStream::connect(node.dir.join("run/api.sock")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {}\r\nContent-Type: {media}\r\n",
        token.trim()
    );
    socket.write_all(head.as_bytes()).unwrap();
    socket.write_all(body).unwrap();
    socket
}

fn send(node: &TestNode, path: &str, media: &str, body: &str) -> String {
    let sized = format!("Content-Length: {}\r\n\r\n{body}", body.len());
    let mut answer = String::new();
    request(node, path, media, sized.as_bytes())
        .read_to_string(&mut answer)
        .unwrap();
    answer
}

const UPLOAD: &str = "application/vnd.concordat.import";

/// The command reads the file and the node receives bytes: a path is resolved by the process of the user.
#[test]
fn import_reads_what_the_person_may_read() {
    let world = World::unconnected(1);
    let node = &world.nodes[0];
    node.create_users();
    node.log_in(Person::Steward);
    // This path leads to another file in each process.
    let file = world.file("mine.csv", "record,chol\n1,233\n2,244\n");
    let mut command = node.command(&[
        "--format",
        "json",
        "dataset",
        "import",
        "mine",
        "--each-row-is-a-subject",
        "--from",
        "/proc/self/fd/0",
    ]);
    let ended = command.stdin(File::open(&file).unwrap()).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(node.json_as(Person::Steward, &["dataset", "show", "mine"])["rows"], 2);

    // No request can name a file of the node, in any form.
    let key = node.dir.join("unlock.key");
    let secret = fs::read_to_string(&key).unwrap();
    let path = key.to_str().unwrap();
    let route = "/v1/datasets/stolen/import";
    for (media, body) in [
        (
            "application/json",
            format!("{{\"path\":\"{path}\",\"mode\":\"create\"}}"),
        ),
        (UPLOAD, format!("{{\"path\":\"{path}\",\"mode\":\"create\"}}\n")),
        (UPLOAD, format!("{{\"name\":\"{path}\",\"mode\":\"create\"}}\n")),
        (UPLOAD, format!("{{\"inbox\":\"{path}\",\"mode\":\"create\"}}\n")),
    ] {
        let answer = send(node, route, media, &body);
        assert!(!answer.contains(secret.trim()), "{body}: {answer}");
        assert!(!answer.contains("\"imported\""), "{body}: {answer}");
    }
    // If a user sends a key file, its line does not become a column name.
    let problem = node.refused_as(Person::Steward, 2, &["dataset", "import", "stolen", "--from", path]);
    assert!(!problem.to_string().contains(secret.trim()), "{problem}");
    assert_not_imported(node, "stolen");
}

#[test]
fn inbox_leads_nowhere_else() {
    let mut world = World::unconnected(1);
    let inbox = world.dir().join("inbox");
    fs::create_dir_all(inbox.join("study")).unwrap();
    fs::write(inbox.join("study/a.csv"), "record,chol\n1,233\n").unwrap();
    let node = &mut world.nodes[0];
    node.create_users();
    let import = |node: &TestNode, path: &Path| {
        let path = path.to_str().unwrap().to_owned();
        node.run_as(
            Person::Steward,
            &[
                "--format",
                "json",
                "dataset",
                "import",
                "inboxed",
                "--each-row-is-a-subject",
                "--from-inbox",
                &path,
            ],
        )
    };
    import(node, &inbox.join("study/a.csv")).exits(3);
    let path = node.dir.join("concordat.toml");
    let config = fs::read_to_string(&path).unwrap();
    let named = format!("inboxes = [\"{}\"]", inbox.display());
    fs::write(&path, config.replace("inboxes = []", &named)).unwrap();
    node.stop();
    node.accept_configuration();
    node.start();
    node.forget_login();

    let key = node.dir.join("unlock.key");
    let secret = fs::read_to_string(&key).unwrap();
    symlink(&key, inbox.join("link.csv")).unwrap();
    symlink(&node.dir, inbox.join("folder")).unwrap();
    symlink("study", inbox.join("within")).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(inbox.join("pipe.csv"))
            .status()
            .unwrap()
            .success()
    );
    let up = format!("../{}/unlock.key", node.dir.file_name().unwrap().to_str().unwrap());
    for (below, code) in [
        ("link.csv", 2),
        ("folder/unlock.key", 2),
        ("within/a.csv", 2),
        ("pipe.csv", 2),
        ("study", 2),
        (&up, 2),
        ("study/../../x", 2),
        ("none.csv", 4),
        ("", 3),
    ] {
        let outcome = import(node, &inbox.join(below)).exits(code);
        assert!(!outcome.stderr.contains(secret.trim()), "{below}: {}", outcome.report());
        assert_not_imported(node, "inboxed");
    }
    import(node, &key).exits(3);
    node.refused_as(
        Person::Researcher,
        3,
        &[
            "dataset",
            "import",
            "inboxed",
            "--from-inbox",
            inbox.join("study/a.csv").to_str().unwrap(),
        ],
    );
    import(node, &inbox.join("study/a.csv")).ok();
}

/// An upload is stored sealed and without a name until it is read, and is removed when the process ends.
#[test]
fn half_an_upload_leaves_nothing_readable() {
    const SENTINEL: &str = "Annamaria Kovacs-Testperson";
    let mut world = World::unconnected(1);
    let node = &mut world.nodes[0];
    node.create_users();
    node.log_in(Person::Steward);
    let rows = format!("{SENTINEL},41\n").repeat(40_000);
    let chunk = format!("{{\"name\":\"a.csv\",\"mode\":\"create\"}}\nname,age\n{rows}");
    let body = format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{chunk}\r\n", chunk.len());
    let half = request(node, "/v1/datasets/half/import", UPLOAD, body.as_bytes());
    let open_files = |node: &TestNode| -> Vec<Vec<u8>> {
        let folder = node.dir.join("uploads");
        let entries = fs::read_dir(format!("/proc/{}/fd", node.pid()))
            .unwrap()
            .filter_map(Result::ok);
        let uploads =
            entries.filter(|entry| fs::read_link(entry.path()).is_ok_and(|target| target.starts_with(&folder)));
        uploads.map(|entry| fs::read(entry.path()).unwrap()).collect()
    };
    node.await_condition("the bytes on the disk", |node| {
        open_files(node).iter().any(|bytes| bytes.len() > rows.len() / 2)
    });
    let contains_sentinel = |bytes: &[u8]| {
        bytes
            .windows(SENTINEL.len())
            .any(|window| window == SENTINEL.as_bytes())
    };
    assert!(
        !open_files(node).iter().any(|bytes| contains_sentinel(bytes)),
        "it is stored in clear"
    );
    assert_eq!(
        fs::read_dir(node.dir.join("uploads")).unwrap().count(),
        0,
        "it has a file name"
    );

    // A client that disconnects: nothing is imported, and no file stays open.
    drop(half);
    node.await_condition("the end of the upload", |node| open_files(node).is_empty());
    assert_not_imported(node, "half");
    // A process that is killed in the middle.
    let half = request(node, "/v1/datasets/half/import", UPLOAD, body.as_bytes());
    node.await_condition("the bytes on the disk", |node| !open_files(node).is_empty());
    node.kill();
    drop(half);
    for file in node.files() {
        assert!(!contains_sentinel(&fs::read(&file).unwrap()), "{}", file.display());
    }
    node.start();
    node.forget_login();
    assert_not_imported(node, "half");
}
