//! Everything that the documents refer to must exist.

use super::{MEMBERS, Source, Violation, assert_none, root, sources};
use std::path::{Path, PathBuf};

/// The README and everything below `docs/`, relative to the root.
fn documents() -> Vec<PathBuf> {
    let root = root();
    let mut folders = vec![root.join("docs")];
    let mut found = vec![PathBuf::from("README.md")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path.strip_prefix(&root).unwrap().to_path_buf());
            }
        }
    }
    found.sort();
    found
}

/// The targets of `[text](target)` that lie in the repository, without their anchors.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files = targets
        .filter(|target| !target.contains("://"))
        .filter_map(|target| target.split('#').next());
    files.filter(|file| !file.is_empty())
}

fn broken_links(document: &Path, text: &str) -> Vec<Violation> {
    let folder = root().join(document).parent().unwrap().to_path_buf();
    let broken = links(text).filter(|link| !folder.join(link).exists());
    broken
        .map(|link| Violation::new(document.display().to_string(), format!("`{link}` does not exist")))
        .collect()
}

/// The names in backticks in the last column of the tables.
fn named_tests(threat_model: &str) -> impl Iterator<Item = &str> {
    let rows = threat_model.lines().filter(|line| line.starts_with("| "));
    let cells = rows.filter_map(|row| row.trim_end().trim_end_matches('|').rsplit('|').next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2))
}

fn missing_tests<'a>(names: impl Iterator<Item = &'a str>, sources: &[Source]) -> Vec<Violation> {
    let is_missing = |name: &&str| {
        let definition = format!("fn {name}(");
        !sources.iter().any(|source| source.text.contains(&definition))
    };
    names
        .filter(is_missing)
        .map(|name| Violation::new("docs/threat-model.md", format!("no test `{name}`")))
        .collect()
}

#[test]
fn links_between_documents_and_code_resolve() {
    let read = |document: &PathBuf| std::fs::read_to_string(root().join(document)).unwrap();
    let broken: Vec<Violation> = documents()
        .iter()
        .flat_map(|path| broken_links(path, &read(path)))
        .collect();
    assert_none(&broken);

    let text = "[a](architecture.md#code-map) [b](missing.md) [c](https://example.org/missing.md)";
    let expected = Violation::new("docs/planted.md", "`missing.md` does not exist");
    assert_eq!(broken_links(Path::new("docs/planted.md"), text), [expected]);
}

#[test]
fn tests_that_the_threat_model_names_exist() {
    let all: Vec<Source> = MEMBERS.into_iter().flat_map(sources).collect();
    let threat_model = std::fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    let names: Vec<&str> = named_tests(&threat_model).collect();
    assert!(!names.is_empty(), "the table was not read");
    assert_none(&missing_tests(names.into_iter(), &all));

    let planted = named_tests("| flood | limit | on | `no_such_test` |\n");
    assert_eq!(missing_tests(planted, &all).len(), 1);
}
