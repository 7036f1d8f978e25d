//! What people read: the output and the refusals of every command, word for word, in one file per noun below `tests/golden`.
//!
//! Other tests assert codes, rules and fields. What varies between runs (identifiers, times, addresses, digests, sizes) is masked.
//! `CONCORDAT_GOLDEN=write cargo test --test world wording` writes the files again; a reviewer then reads their difference.

mod masks;

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use concordat_tests::{Import, Person, World};
use masks::Masks;

use Person::{Administrator, Researcher, Steward};

/// A command as a person types it, without the name of the program. `GRANT` stands for the grant of this world.
type Step = (Person, &'static str);

/// The file of a noun, and what is typed.
const NOUNS: [(&str, &[Step]); 9] = [
    (
        "user",
        &[
            (Administrator, "user list"),
            (
                Administrator,
                "user training rufus --course good-clinical-practice --until 2031-05-01",
            ),
            (
                Administrator,
                "user training rufus --course good-clinical-practice --until 2001-05-01",
            ),
            (Administrator, "user role rufus director"),
            (Administrator, "user disable unknown"),
            (Administrator, "user disable administrator"),
            (Researcher, "user list"),
            (Administrator, "whoami"),
        ],
    ),
    (
        "dataset",
        &[
            (Steward, "dataset list"),
            (Steward, "dataset show stays"),
            (Steward, "dataset show nothing"),
            (Steward, "dataset classify stays ward=secret"),
            (Steward, "dataset classify stays street=ordinary"),
            (Steward, "dataset limits stays --min-cell 1"),
            (Steward, "dataset limits stays --sensitive everything"),
            (Steward, "dataset versions stays"),
            (Steward, "dataset verify stays"),
            (Steward, "dataset index stays"),
            (Steward, "dataset retain stays --versions 3"),
            (Steward, "dataset erase stays --reason test"),
            (Researcher, "dataset publish stays"),
            (Steward, "dataset withdraw stays"),
            (Steward, "dataset publish stays"),
        ],
    ),
    (
        "grant",
        &[
            (Researcher, "grant list"),
            (Researcher, "grant show GRANT"),
            (Researcher, "grant transcript GRANT"),
            (Researcher, "grant show 0000"),
            (
                Researcher,
                "grant request budapest/nothing --purpose health-research --until 2031-01-01",
            ),
            (
                Researcher,
                "grant request budapest/stays --purpose war --until 2031-01-01",
            ),
            (
                Researcher,
                "grant request budapest/stays --purpose health-research --until yesterday",
            ),
            (
                Researcher,
                "grant request unknown/stays --purpose health-research --until 2031-01-01",
            ),
            (Researcher, "grant accept GRANT"),
            (Steward, "grant suspend GRANT --reason audit"),
        ],
    ),
    (
        "query",
        &[
            (
                Researcher,
                "query \"SELECT ward, count(*) AS n FROM budapest.stays GROUP BY ward HAVING count(*) > 0 ORDER BY ward\"",
            ),
            (Researcher, "query \"SELECT * FROM budapest.stays\""),
            (Researcher, "query \"SELECT count(*) AS n FROM budapest.unknown\""),
            (Researcher, "query \"SELECT street FROM cleveland.stays\""),
            (Researcher, "query \"SELECT count(*) AS n FROM cleveland.stay\""),
            (Researcher, "query \"DELETE FROM cleveland.stays\""),
            (Researcher, "query \"SELECT 1; SELECT 2\""),
            (Researcher, "query \"SELECT 1\" --out answer.csv.gz"),
            (Researcher, "query \"SELECT 1\" --out answer.xlsx"),
            (Researcher, "query \"SELECT 1\" --out nowhere/answer.csv"),
            (Researcher, "query --file nowhere.sql"),
            (Researcher, "query --ouut answer.csv"),
            (Researcher, "query \"SELECT * FROM stays\""),
            (Researcher, "query \"SELECT * FROM a.b.c.d\""),
            (Researcher, "query \"SELECT * FROM consortium.stays VERSION AS OF 3\""),
            (
                Researcher,
                "query \"SELECT count(*) AS n FROM budapest.stays\" --purpose ancestry",
            ),
            (Steward, "query \"SELECT count(*) AS n FROM budapest.stays\""),
            (Researcher, "catalog"),
            (Researcher, "catalog --peer unknown"),
            (Researcher, "why GRANT"),
            (Researcher, "why \"SELECT count(*) AS n FROM budapest.stays\""),
        ],
    ),
    (
        "audit",
        &[
            (Administrator, "audit verify"),
            (Researcher, "audit tail -n 1"),
            (Administrator, "audit prove 99999999"),
            (Administrator, "audit show abcdef"),
            (Administrator, "audit show ab"),
        ],
    ),
    (
        "policy",
        &[
            (Steward, "policy history"),
            (Steward, "policy show 99"),
            (Steward, "policy rollback 99"),
            (Researcher, "policy history"),
        ],
    ),
    (
        "consortium",
        &[
            (Administrator, "consortium members"),
            (Administrator, "consortium found --name Again"),
            (Administrator, "consortium remove unknown"),
            (Researcher, "consortium roster show"),
        ],
    ),
    (
        "key",
        &[
            (Administrator, "key status"),
            (Administrator, "key rotate --dataset nothing"),
            (Researcher, "key rotate --master"),
        ],
    ),
    (
        "node",
        &[
            (Administrator, "status"),
            (Administrator, "doctor"),
            (Administrator, "logout"),
            (Administrator, "backup create --to relative"),
        ],
    ),
];

#[test]
fn wording_is_what_the_golden_files_say() {
    let world = World::consortium(2);
    let mut stays = "patient,ward,score\n".to_owned();
    for patient in 0..60 {
        let ward = if patient < 4 { "c" } else { "a" };
        writeln!(stays, "{patient},{ward},{}", patient % 7).unwrap();
    }
    let file = world.file("stays.csv", &stays);
    for holder in ["cleveland", "budapest"] {
        world.share(
            holder,
            Import {
                dataset: "stays",
                from: &file,
                args: &["--subject-column", "patient"],
                classes: &["patient=direct-identifier", "ward=ordinary", "score=ordinary"],
            },
        );
    }
    let grant = world.grant("cleveland", "budapest", "stays", &["--tier", "aggregate"]);
    let masks = Masks::new(world.dir());
    let mut differing = Vec::new();
    for (noun, steps) in NOUNS {
        let mut text = String::new();
        for (person, line) in steps {
            let arguments = words(&line.replace("GRANT", &grant));
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let node = world.node("cleveland");
            let outcome = node.run_as(*person, &[&["--no-color"], &arguments[..]].concat());
            if line.starts_with("logout") {
                node.forget_login();
            }
            let code = outcome
                .code
                .map_or_else(|| "a signal".to_owned(), |code| code.to_string());
            writeln!(text, "{}$ concordat {line}\nexit {code}", person.name()).unwrap();
            for (mark, output) in [("", &outcome.stdout), ("! ", &outcome.stderr)] {
                for line in masks.apply(output).lines() {
                    writeln!(text, "{}", format!("{mark}{line}").trim_end()).unwrap();
                }
            }
            text.push('\n');
        }
        differing.extend(compare(noun, &text));
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// The difference from the golden file, if there is one; writes the file instead if the environment asks for it.
fn compare(noun: &str, text: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("golden/{noun}.txt"));
    if std::env::var_os("CONCORDAT_GOLDEN").is_some_and(|mode| mode == "write") {
        fs::write(&path, text).unwrap();
        return None;
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    let lines = golden.lines().chain([""]).zip(text.lines().chain([""]));
    let first = lines.enumerate().find(|(_, (old, new))| old != new);
    (golden != text).then(|| match first {
        Some((number, (old, new))) => format!(
            "{}, line {}:\n  golden: {old}\n  now:    {new}\n-- all of it now:\n{text}",
            path.display(),
            number + 1
        ),
        None => format!(
            "{}: one is longer than the other\n-- all of it now:\n{text}",
            path.display()
        ),
    })
}

/// The words of a command line, those in double quotes as one.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate();
    let words = parts.flat_map(|(number, part)| match number % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}
