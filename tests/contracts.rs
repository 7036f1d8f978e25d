//! Rules about the code itself, checked by reading it.
//!
//! Each rule is a function from text (or from the list of dependencies) to [`Violation`]s. It runs over the workspace, where
//! it must find nothing, and over a small planted violation, where it must find exactly that one: a rule that cannot fail proves
//! nothing.

mod attribution;
mod declarations;
mod dependencies;
mod documents;
mod files;
mod layers;
mod parsers;
mod rules;
mod sources;
mod words;

use std::fmt;
use std::path::{Path, PathBuf};

/// The crates, lowest layer first.
const MEMBERS: [&str; 16] = [
    "protocol",
    "protocol/verify",
    "storage/arrow-stream",
    "storage/disclosure",
    "storage/keys",
    "storage",
    "storage/engine",
    "node/documents",
    "node/client",
    "node/cli",
    "node/network",
    "node/policy",
    "node/demo",
    "node",
    "node/program",
    "tests",
];

/// One violation of a rule.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    location: String,
    what: String,
}

impl Violation {
    fn new(location: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            location: location.into(),
            what: what.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.what)
    }
}

/// A Rust file of the workspace, its path relative to the root.
#[derive(Debug)]
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The numbered lines that end up in the program: no comments, no test modules, no test files.
    fn production_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_test_file = self.path.ends_with("/tests.rs") || self.path.contains("/tests/");
        let lines = if is_test_file {
            ""
        } else {
            before_test_module(&self.text)
        };
        lines
            .lines()
            .enumerate()
            .map(|(n, line)| (n + 1, line))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

/// Test modules stand last in a file, so everything from their attribute on is test code.
fn before_test_module(text: &str) -> &str {
    let start = text
        .match_indices("#[cfg(test)]")
        .map(|(at, _)| text.split_at(at))
        .find(|(_, rest)| {
            let item = rest.trim_start_matches("#[cfg(test)]").trim_start();
            item.starts_with("mod ") || item.starts_with("pub(crate) mod ")
        });
    start.map_or(text, |(program, _)| program)
}

/// The folder that holds the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// All Rust files below `folder` (relative to the root), in a stable order.
fn sources(folder: &str) -> Vec<Source> {
    let root = root();
    let mut folders = vec![root.join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push(Source {
                    path: path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(),
                    text,
                });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The program's own sources: everything below `src` of the crates that are shipped.
fn shipped_sources() -> Vec<Source> {
    [
        "protocol/src",
        "protocol/verify/src",
        "storage/arrow-stream/src",
        "storage/disclosure/src",
        "storage/keys/src",
        "storage/src",
        "storage/engine/src",
        "node/documents/src",
        "node/client/src",
        "node/cli/src",
        "node/network/src",
        "node/policy/src",
        "node/demo/src",
        "node/src",
        "node/program/src",
    ]
    .into_iter()
    .flat_map(sources)
    .collect()
}

/// Fails with every violation on a line of its own.
#[track_caller]
fn assert_none(violations: &[Violation]) {
    let list: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(list.is_empty(), "{} violations:\n{}", list.len(), list.join("\n"));
}

#[test]
fn lines_of_tests_and_comments_are_not_checked() {
    let text = "let a = 1;\n// let b = 2;\n#[cfg(test)]\nmod tests {\n    let c = 3;\n}\n".to_owned();
    let source = Source {
        path: "node/src/x.rs".to_owned(),
        text,
    };
    assert_eq!(source.production_lines().collect::<Vec<_>>(), [(1, "let a = 1;")]);
}
