//! What is declared about a collection is stored with its ledger entry. The types of the catalog enforce it; what gets around them is counted here.

use super::{Source, Violation, assert_none, shipped_sources};

/// What makes a change of declarations possible, and the only files with it.
const ALLOWED: &[(&str, &[&str])] = &[
    ("Self(())", &["storage/src/catalog/entered.rs"]),
    ("Entered::before(", &["storage/src/catalog/planned.rs"]),
    ("Entered::with_version(", &["storage/src/catalog/import/commit.rs"]),
    (
        ".put_declared(",
        &["storage/src/catalog/planned.rs", "storage/src/catalog/import/commit.rs"],
    ),
    ("tree(DATASETS)", &["storage/src/catalog/datasets.rs"]),
    (".put(&self.records", &["storage/src/catalog/datasets.rs"]),
];

/// Lines of the catalog, and of whatever else opens its tree, that change declarations outside of these files.
fn changed_elsewhere(sources: &[Source]) -> Vec<Violation> {
    let is_in_catalog = |path: &str| path.starts_with("storage/src/catalog");
    let lines = sources.iter().flat_map(|source| {
        let lines = source.production_lines();
        lines.map(move |(number, line)| (source.path.as_str(), number, line.trim()))
    });
    let is_elsewhere = |path: &str, line: &str| {
        let mut found = ALLOWED.iter().filter(|(needle, _)| line.contains(needle));
        found.any(|(needle, files)| {
            let is_searched = is_in_catalog(path) || *needle == "tree(DATASETS)";
            is_searched && !files.contains(&path)
        })
    };
    let found = lines.filter(|(path, _, line)| is_elsewhere(path, line));
    found
        .map(|(path, number, line)| Violation::new(format!("{path}:{number}"), line))
        .collect()
}

#[test]
fn declarations_are_stored_with_their_entry_only() {
    let all = shipped_sources();
    assert_none(&changed_elsewhere(&all));
    let of = |path: &str| all.iter().find(|source| source.path == path).unwrap();
    let calls = |path: &str, needle: &str| {
        let lines = of(path).production_lines();
        lines.filter(|(_, line)| line.contains(needle)).count()
    };
    assert_eq!(calls("storage/src/catalog/entered.rs", "Self(())"), 2);
    assert_eq!(calls("storage/src/catalog/datasets.rs", ".put(&self.records"), 1);
    for (path, text) in [
        (
            "storage/src/catalog/retention.rs",
            "self.datasets.put_declared(&mut batch, Some(&old), &new, &Entered::with_version(&entries))?;\n",
        ),
        (
            "node/src/services/collections.rs",
            "let records = node.storage().meta().tree(DATASETS)?;\n",
        ),
    ] {
        let planted = Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        assert_eq!(changed_elsewhere(&[planted]).len(), 1, "{path}");
    }
}
