//! One word per thing: the words that are out ([`docs/style.md`](../../docs/style.md)) occur nowhere.
//!
//! Comments, string literals, identifiers and file names are read alike: a line is cut into words at every character that is not a
//! letter and at every change of case, so that `HouseKey`, `house_key` and "house key" all contain `house`.

use std::path::{Path, PathBuf};

use super::{Violation, assert_none, root};

/// Words that have no use here in any meaning.
const OUT: &[&str] = &[
    "anew",
    "armour",
    "asker",
    "askers",
    "bargaining",
    "carve",
    "carver",
    "catalogue",
    "catalogues",
    "custody",
    "deceives",
    "disunion",
    "enrolment",
    "everybody",
    "farewell",
    "favour",
    "generalisation",
    "generalised",
    "greet",
    "greets",
    "hire",
    "honest",
    "honour",
    "house",
    "houses",
    "hurry",
    "initialised",
    "journal",
    "licence",
    "mend",
    "mends",
    "mishap",
    "mishaps",
    "nobody",
    "obey",
    "obeys",
    "organisation",
    "patience",
    "prospect",
    "recognise",
    "reseal",
    "rogue",
    "settle",
    "settles",
    "stranger",
    "strangers",
    "stuck",
    "survey",
    "surveying",
    "tally",
    "teller",
    "tells",
    "told",
    "trouble",
    "unite",
    "unites",
    "upkeep",
    "weigh",
    "weighs",
    "whilst",
    "whoever",
    "wish",
    "wishes",
];

/// Phrases that are out.
const OUT_PHRASES: &[&str] = &[
    "at home",
    "brought forward",
    "does not hold",
    "hand over",
    "in force",
    "kept back",
    "less than asked",
    "meant for another",
    "nothing when",
    "put back",
    "seal again",
    "turned away",
    "write down",
];

/// Names of libraries and commands that contain such a word.
const FOREIGN: &[&str] = &["enrol", "NetworkBehaviour", "ConnectionBehaviour"];

/// Folders and files that are read, relative to the root.
const READ: &[&str] = &[
    ".ci",
    "Cargo.toml",
    "README.md",
    "docker-compose.yml",
    "docs",
    "node",
    "protocol",
    "storage",
    "tests",
];

/// The files that state the words.
const EXEMPT: &[&str] = &["docs/style.md", "tests/contracts/words.rs"];

/// Every text file that is read, with its path relative to the root.
fn texts() -> Vec<(PathBuf, String)> {
    let root = root();
    let mut open: Vec<PathBuf> = READ.iter().map(|part| root.join(part)).collect();
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            found.push((path.strip_prefix(&root).unwrap().to_path_buf(), text));
        }
    }
    found.sort();
    found
}

/// The words of a line in lower case, in order.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for character in line.chars() {
        if !character.is_alphabetic() || (after_lower && character.is_uppercase()) {
            words.push(String::new());
        }
        after_lower = character.is_lowercase();
        if let Some(word) = words.last_mut().filter(|_| character.is_alphabetic()) {
            word.extend(character.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn words_that_are_out(path: &Path, text: &str) -> Vec<Violation> {
    let name = path.display().to_string();
    let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line));
    let lines = std::iter::once((0, name.as_str())).chain(lines);
    lines
        .flat_map(|(number, line)| {
            let line = FOREIGN
                .iter()
                .fold(line.to_owned(), |line, name| line.replace(name, " "));
            let words = words(&line);
            let sentence = format!(" {} ", words.join(" "));
            let single = OUT.iter().filter(|out| words.iter().any(|word| word == *out));
            let phrases = OUT_PHRASES.iter().filter(|out| sentence.contains(&format!(" {out} ")));
            let found: Vec<_> = single.chain(phrases).map(|out| (number, *out)).collect();
            found
        })
        .map(|(number, out)| Violation::new(format!("{name}:{number}"), format!("`{out}` is out: see docs/style.md")))
        .collect()
}

#[test]
fn words_that_are_out_occur_nowhere() {
    let texts = texts();
    assert!(texts.len() > 400, "only {} files were read", texts.len());
    let read = texts
        .iter()
        .filter(|(path, _)| !EXEMPT.iter().any(|exempt| path == Path::new(exempt)));
    assert_none(
        &read
            .flat_map(|(path, text)| words_that_are_out(path, text))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn word_that_is_out_is_found_in_every_form() {
    let found = |path: &str, text: &str| words_that_are_out(Path::new(path), text).len();
    for line in [
        "// their own house",
        "struct HouseKey;",
        "let house_key = 1;",
        "const HOUSE: u8 = 1;",
        r#"json!({ "house": 1 })"#,
        "/// The roster in force.",
        "fn is_in_force() {}",
    ] {
        assert_eq!(found("node/src/x.rs", line), 1, "{line}");
    }
    assert_eq!(found("tests/harness/house.rs", ""), 1);
    assert_eq!(
        found("node/src/x.rs", "// a household, the warehouse, NetworkBehaviour"),
        0
    );
}
