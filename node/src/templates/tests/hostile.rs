//! Files that are no templates: errors with lines, bounded, and no panic.

use concordat_protocol::error_kind::Explain;
use proptest::prelude::{Strategy, any, prop, proptest};

use super::error::{MAX_FILE, MAX_MISTAKES};
use super::*;

#[test]
fn template_file_that_is_too_large_is_not_parsed() {
    let text = "#".repeat(10 * 1024 * 1024);
    let error = TemplateFile::parse(&text).unwrap_err();
    assert_eq!(error, TemplateFileError::TooLarge { len: text.len() });
    assert_eq!(
        error.to_string(),
        "the template has 10485760 bytes, and may have 1048576"
    );
    // Of the largest size it is parsed.
    let comment = "#".repeat(MAX_FILE - with_lines("").len());
    assert!(TemplateFile::parse(&with_lines(&comment)).is_ok());
    assert!(TemplateFile::parse(&with_lines(&format!("{comment}#"))).is_err());
}

#[test]
fn template_file_with_deep_nesting_is_refused() {
    let half = MAX_FILE / 4;
    for text in [
        format!("a = {}", "[".repeat(half)),
        format!("a = {}{}", "[".repeat(half), "]".repeat(half)),
        format!("a = {}", "{a=".repeat(half)),
        format!("{}a = 1", "a.".repeat(half)),
        format!("[{}a]", "a.".repeat(half)),
        format!("[[{}a]]", "a.".repeat(half)),
        format!("a = {{{}a = 1}}", "a.".repeat(half)),
        format!("{}{}", "[".repeat(half), "]".repeat(half)),
    ] {
        let found = mistakes_of(&text);
        assert!(!found.is_empty() && found.len() <= MAX_MISTAKES + 1, "{}", found.len());
    }
}

#[test]
fn template_file_of_nonsense_has_few_mistakes() {
    for line in [
        "=\n", "a\n", "a=1\n", "[a]\n", "[[a]]\n", "'\n", "\"\"\"\n", "]", "a=[", "a={b=1,", "\0", "é=é\n", "a.b=1\n",
        "\r",
    ] {
        let found = mistakes_of(&line.repeat(MAX_FILE / 8 / line.len()));
        assert!(
            !found.is_empty() && found.len() <= MAX_MISTAKES + 1,
            "{line:?}: {}",
            found.len()
        );
    }
}

#[test]
fn doubled_key_of_a_template_file_is_found() {
    let text = with_lines("[datasets.a]\nkind = \"reference\"\nkind = \"unowned\"\n[datasets.a]\ndate = \"b\"");
    let found = mistakes_of(&text);
    assert_eq!(found, ["line 6: duplicate key", "line 7: duplicate key"]);
}

#[test]
fn mistakes_of_a_template_file_are_counted_not_listed() {
    let unknown: Vec<String> = (0..1_000).map(|number| format!("key{number} = 1")).collect();
    let error = TemplateFile::parse(&with_lines(&unknown.join("\n"))).unwrap_err();
    assert_eq!(error.to_string(), "the template contains 1000 mistakes");
    let reasons = error.reasons();
    assert_eq!(reasons.len(), MAX_MISTAKES + 1);
    assert!(
        reasons[99].starts_with("line 103: `key99` is not known"),
        "{}",
        reasons[99]
    );
    assert_eq!(reasons[100], "and 900 more");
}

#[test]
fn lists_of_a_template_file_are_bounded() {
    let numbers = |count: usize| {
        (0..count)
            .map(|number| number.to_string())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let levels = (0..17).map(|number| format!("l{number} = 1")).collect::<Vec<_>>();
    let datasets = (0..257).map(|number| format!("d{number} = {{}}")).collect::<Vec<_>>();
    let columns = (0..4_097).map(|number| format!("c{number} = {{}}")).collect::<Vec<_>>();
    for (lines, expected) in [
        (
            format!("[levels.x]\nedges = [{}]", numbers(1_001)),
            "`levels.x.edges` must have at most 1000 entries",
        ),
        (
            format!("[levels.x]\nedges = [{}]", numbers(201)),
            "`levels.x.edges` is invalid: there are more than 200 edges",
        ),
        (
            format!("[levels.x]\nvalues = [{}]", numbers(1_001)),
            "`levels.x.values` must have at most 1000 entries",
        ),
        (
            format!(
                "[levels.x]\nedges = {{ from = 0, to = 9, step = 1, levels = {{ {} }} }}",
                levels.join(", ")
            ),
            "`levels.x.edges.levels` must have at most 16 entries",
        ),
        (
            format!("[days]\nlevels = [{}]", numbers(65)),
            "`days.levels` must have at most 64 entries",
        ),
        (
            format!("[datasets]\n{}", datasets.join("\n")),
            "`datasets` must have at most 256 entries",
        ),
        (
            format!("[datasets.d.columns]\n{}", columns.join("\n")),
            "`datasets.d.columns` must have at most 4096 entries",
        ),
    ] {
        let found = mistakes_of(&with_lines(&lines));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].ends_with(expected), "{found:?}");
    }
}

#[test]
fn keys_of_a_template_file_are_shown_escaped_and_cut() {
    let text = with_lines(&format!("\"\\u001b[2J{}\" = 1", "x".repeat(1_000)));
    let found = mistakes_of(&text);
    assert!(found[0].starts_with(r"line 4: `\u{1b}[2Jxxx"), "{found:?}");
    assert!(found[0].len() < 250, "{found:?}");
}

proptest! {
    #[test]
    fn template_file_is_parsed_without_panic(text in ".{0,120}") {
        drop(TemplateFile::parse(&text));
    }

    /// A template with some bytes replaced is parsed, or has mistakes on lines that exist.
    #[test]
    fn changed_template_file_has_mistakes_on_its_lines(text in changed()) {
        if let Err(TemplateFileError::Mistakes { mistakes, .. }) = TemplateFile::parse(&text) {
            let last = text.lines().count() + 1;
            assert!(!mistakes.is_empty());
            assert!(mistakes.iter().all(|mistake| (1..=last).contains(&mistake.line)));
        }
    }
}

/// The template of Synthea with up to eight characters replaced by some that have a meaning in TOML.
fn changed() -> impl Strategy<Value = String> {
    let characters = prop::sample::select("[]{}=,.\"'#\n\\ a1-".chars().collect::<Vec<_>>());
    prop::collection::vec((any::<prop::sample::Index>(), characters), 0..8).prop_map(|changes| {
        let mut text: Vec<char> = shipped("synthea").unwrap().chars().collect();
        for (at, character) in changes {
            let at = at.index(text.len());
            text[at] = character;
        }
        text.into_iter().collect()
    })
}
