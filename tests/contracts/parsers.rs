//! No text of a person is parsed by a library's SQL parser in the node's own process.

use super::{Source, Violation, assert_none, shipped_sources};

/// Where an engine process serves a computation: the only place that makes the parser.
const MAKER: &str = "storage/engine/src/worker/channel.rs";
/// The only file of the node that takes the parser from a computation, and the only one that plans.
const READER: &str = "node/src/federation/local_engine/child.rs";
/// A module of tests whose files do not show it: its parent declares it so.
const TESTING: &str = "node/src/federation/testing";
/// What parses a text without [`MAKER`]'s parser.
const OTHER_PARSERS: &[&str] = &[
    "Parser::new",
    "Parser::parse",
    "DFParser",
    "parse_sql",
    "sql_to_statement",
    "sql_to_expr",
    "create_logical_plan",
    "concordat_engine::parse",
];

/// The numbered lines that end up in the program. An item under `#[cfg(test)]`, which may be a function, does not: it ends in its
/// first line, or at the bracket below its first letter.
fn lines(source: &Source) -> Vec<(usize, &str)> {
    let is_test_file = source.path.ends_with("/tests.rs") || source.path.contains("/tests/");
    let text = if is_test_file { "" } else { source.text.as_str() };
    let mut lines = Vec::new();
    let mut is_next = false;
    let mut end: Option<String> = None;
    for (number, line) in text.lines().enumerate() {
        let item = line.trim_start();
        let indent = line.len() - item.len();
        if end.is_some() {
            end = end.filter(|end| line.strip_suffix(';').unwrap_or(line) != end);
        } else if item == "#[cfg(test)]" {
            is_next = true;
        } else if is_next && !item.starts_with('#') {
            is_next = false;
            end = (!item.ends_with([';', ','])).then(|| format!("{}}}", " ".repeat(indent)));
        } else if !is_next && !item.starts_with("//") {
            lines.push((number + 1, line));
        }
    }
    lines
}

/// Lines that make a parser, take it, or plan, elsewhere than where they may.
fn parsed_elsewhere(sources: &[Source]) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| !source.path.starts_with(TESTING)) {
        let path = source.path.as_str();
        let of_node = path.starts_with("node/");
        for (number, line) in lines(source) {
            let makes = line.contains("TextParser::of_process(") && path != MAKER;
            let takes = of_node && line.contains(".parser()") && path != READER;
            let plans = of_node && line.contains("= Planner {") && path != READER;
            let tests = line.contains("TextParser::in_tests(");
            let others = of_node && OTHER_PARSERS.iter().any(|parser| line.contains(parser));
            if makes || takes || plans || tests || others {
                found.push(Violation::new(format!("{path}:{number}"), line.trim()));
            }
        }
    }
    found
}

#[test]
fn texts_of_people_are_parsed_in_engine_processes_only() {
    let all = shipped_sources();
    assert_none(&parsed_elsewhere(&all));
    let of = |path: &str| all.iter().find(|source| source.path == path).unwrap();
    for (path, needle) in [
        (MAKER, "TextParser::of_process("),
        (READER, ".parser()"),
        (READER, "= Planner {"),
    ] {
        let count = lines(of(path)).iter().filter(|(_, line)| line.contains(needle)).count();
        assert_eq!(count, 1, "{path}: {needle}");
    }
    let federation = of("node/src/federation.rs");
    assert!(federation.text.contains("#[cfg(test)]\nmod testing;"));
    let parser = of("storage/engine/src/text_parser.rs");
    assert!(
        parser.text.contains("pub struct TextParser(());"),
        "it has another constructor"
    );
    assert!(!of("storage/engine/src/lib.rs").text.contains("pub use dialect::{"));
}

#[test]
fn parser_in_the_process_of_a_node_is_found() {
    let planted = |text: &str| {
        let source = Source {
            path: "node/src/services/grants.rs".to_owned(),
            text: text.to_owned(),
        };
        parsed_elsewhere(&[source]).len()
    };
    for line in [
        "let parser = TextParser::of_process();",
        "let parser = channel.parser();",
        "let read = TextParser::in_tests(|parser| parser.parse(sql, 64));",
        "let statements = Parser::parse_sql(&dialect, sql)?;",
        "let plan = state.create_logical_plan(sql).await?;",
        "let planner = Planner {",
    ] {
        assert_eq!(planted(line), 1, "{line}");
    }
    let test = "    #[cfg(test)]\n    fn parse() {\n        TextParser::in_tests(read);\n    }\n    fn next() {}\n";
    assert_eq!(planted(test), 0);
    assert_eq!(
        planted(&test.replace("fn next() {}", "fn next() { TextParser::in_tests(read) }")),
        1
    );
}
