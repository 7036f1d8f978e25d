//! Folders that are not imported: a template that does not fit, files that are not tables, and bodies that change or end early.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use concordat_tests::{Person, TestNode};
use serde_json::Value;

use super::collections::{CLINIC, command, folder, import, part, refused, uploads, world};

#[test]
fn template_that_does_not_fit_the_folder_is_refused() {
    let world = world();
    let node = &world.nodes[0];
    let clinic = folder(&world, "clinic", &CLINIC);
    let keyed = "template = 1\nname = \"mine\"\n[subject]\ndataset = \"person\"\ncolumn = \"person_id\"\n";
    for (lines, expected) in [
        // A dataset and a column that are not there, and a pattern without a match.
        (
            "[datasets.persons]\nkind = \"keyed\"\n[datasets.person.columns]\nage = { class = \"ordinary\" }\n\
             \"*_zip\" = { class = \"ordinary\" }\n",
            &[
                "line 6: ",
                "no such dataset",
                "line 9: ",
                "no such column",
                "matches no name",
            ][..],
        ),
        // Contradictions.
        (
            "[datasets.\"p*\".columns]\nperson_id = { class = \"ordinary\" }\n[datasets.\"*n\".columns]\n\
             person_id = { class = \"sensitive\" }\n",
            &["different class"],
        ),
        (
            "[datasets.person]\nkind = \"keyed\"\n[datasets.person.columns]\nperson_id = { role = \"subject\" }\n\
             year_of_birth = { role = \"subject\" }\n",
            &["several columns"],
        ),
        // Keys that lead in a circle.
        (
            "[datasets.person]\nkind = \"keyed\"\n[datasets.note]\nkind = \"owned\"\n\
             through = [{ column = \"note_id\", to = \"note_nlp.note_id\" }]\n[datasets.note_nlp]\nkind = \"owned\"\n\
             through = [{ column = \"note_id\", to = \"note.note_id\" }]\n",
            &["leads back"],
        ),
        // No one is the subject.
        (
            "[datasets.concept]\nkind = \"reference\"\n",
            &["no dataset has subjects"],
        ),
        // It is not a template.
        ("[datasets.person]\nkinds = \"keyed\"\n", &["line 7", "is not known"]),
    ] {
        let file = world.file("mine.toml", format!("{keyed}{lines}"));
        let reasons = refused(node, &clinic, &["--template", file.to_str().unwrap()]);
        for part in expected {
            assert!(reasons.contains(part), "`{part}` is not in {reasons}");
        }
    }
    assert!(refused(node, &clinic, &[]).contains("--template"));
    node.refused_as(
        Person::Steward,
        4,
        &command("refused", &clinic, &["--template", "omop-6"]),
    );
}

#[test]
fn files_that_are_not_tables_are_refused_together() {
    let world = world();
    let node = &world.nodes[0];
    let broken = folder(
        &world,
        "broken",
        &[
            CLINIC[0],
            ("note.csv", "note_id,note_id\n1,2\n"),
            ("concept.csv", "concept_id,concept_name\n1,a\n2\n3,c\n4,d\n"),
        ],
    );
    let reasons = refused(node, &broken, &["--template", "omop-5.3"]);
    assert!(
        reasons.contains("`note`: ") && reasons.contains("`concept`: "),
        "{reasons}"
    );
    let imported = import(
        node,
        "clinic",
        &folder(
            &world,
            "part",
            &[
                CLINIC[0],
                ("concept.csv", "concept_id,concept_name\n1,a\n2\n3,c\n4,d\n"),
            ],
        ),
        &["--template", "omop-5.3", "--skip-refused"],
    );
    assert_eq!(part(&imported, "concept")["refused"], 1);
    let list = fs::read_to_string(node.work_dir().join("clinic.concept.rejects.csv")).unwrap();
    assert!(list.contains("\n3,"), "{list}");
    let twice = folder(&world, "twice", &[CLINIC[0], ("PERSON.tsv", "person_id\tx\n1\t2\n")]);
    assert!(refused(node, &twice, &["--template", "omop-5.3"]).contains("two files"));
}

/// The answer to the import of a folder whose body is this.
fn send(node: &TestNode, token: &str, body: &str) -> String {
    let mut socket = UnixStream::connect(node.dir.join("run/api.sock")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let request = format!(
        "POST /v1/collections/refused/import HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/vnd.concordat.folder\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn folder_that_changes_or_ends_early_is_not_imported() {
    let world = world();
    let node = &world.nodes[0];
    let token = node.session_token(Person::Steward);
    let person = CLINIC[0].1;
    let head = |len: usize| {
        format!(
            "{{\"mode\":\"create\",\"template\":{{\"shipped\":\"omop-5.3\"}},\"files\":[{{\"name\":\"person.csv\",\"len\":{len}}}]}}\n"
        )
    };
    let closing = "{\"unchanged\":true}\n";
    for (body, expected) in [
        (
            format!("{}{person}{{\"unchanged\":false}}\n", head(person.len())),
            "changed while",
        ),
        (format!("{}{person}", head(person.len())), "not received completely"),
        (
            format!("{}{person}{closing}", head(person.len() + 1)),
            "not received completely",
        ),
        (
            format!("{}{person}{closing}", head(person.len() - 1)),
            "not received completely",
        ),
        (
            format!("{}{person}{closing}more", head(person.len())),
            "not received completely",
        ),
        (
            "{\"mode\":\"create\",\"inbox\":\"/etc\"}\n".to_owned(),
            "not in an inbox",
        ),
    ] {
        let answer = send(node, &token, &body);
        assert!(answer.contains(expected), "{body}: {answer}");
        assert!(!answer.contains("\"imported\""), "{answer}");
        assert_eq!(uploads(node), 0);
    }
    let listed = node.json_as(Person::Steward, &["collection", "list"]);
    assert_eq!(listed, Value::Array(Vec::new()));
    let answer = send(node, &token, &format!("{}{person}{closing}", head(person.len())));
    assert!(answer.contains("\"imported\""), "{answer}");
}
