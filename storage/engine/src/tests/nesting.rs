//! Texts of repeated tokens: whatever rule of the parser calls itself, its depth is bounded before it is parsed.

#[path = "../../../../tests/harness/repeated.rs"]
#[expect(unreachable_pub, reason = "the same file is public where the whole node is tested")]
mod repeated;

use std::process::Command;
use std::time::Duration;

use datafusion::sql::sqlparser::{
    dialect::GenericDialect,
    keywords::ALL_KEYWORDS,
    parser::ParserError,
    tokenizer::{Token, Tokenizer},
};

use crate::dialect::{bounded, on_large_stack, parse, parse_expression};

/// Set for the process in which the texts are parsed: a stack that is too small ends it.
const CHILD: &str = "CONCORDAT_TEST_PARSES";
/// Longest time for one text, on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);
/// Longest text that is tried to be admitted: of a long list the depth is small, but it is read to its end.
const ADMITTED: usize = 8 << 10;
/// Longest text of a query.
const LONGEST: usize = 64 << 10;

/// In statements, and where their types, tables and patterns are.
const FRAMES: [&str; 6] = [
    "SELECT {}",
    "SELECT 1 FROM heart {}",
    "{}",
    "SELECT 1 FROM {}",
    "SELECT CAST(1 AS {}",
    "SELECT 1 FROM heart MATCH_RECOGNIZE(PATTERN {}",
];

#[test]
fn text_of_repeated_tokens_never_ends_the_process() {
    if std::env::var_os(CHILD).is_some() {
        return parse_all();
    }
    let test = std::env::current_exe().unwrap();
    let name = "tests::nesting::text_of_repeated_tokens_never_ends_the_process";
    let run = Command::new(test)
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .output();
    let run = run.unwrap();
    let errors = String::from_utf8_lossy(&run.stderr);
    let last: String = errors
        .chars()
        .rev()
        .take(500)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect();
    assert!(run.status.success(), "{}: {last}", run.status);
    let output = String::from_utf8_lossy(&run.stdout);
    assert!(output.contains("1 passed"), "{output}");
}

fn parse_all() {
    for word in ALL_KEYWORDS {
        read(&format!(
            "SELECT {}",
            format!("{word} ").repeat(LONGEST / (word.len() + 1))
        ));
        for unit in repeated::of_one(word) {
            FRAMES.iter().take(2).for_each(|frame| parse_repeated(frame, &unit));
        }
        // A type whose first part is followed by another one.
        for unit in [format!("{word}<INT,"), format!("{word}<a INT,b ")] {
            FRAMES
                .iter()
                .skip(4)
                .take(1)
                .for_each(|frame| parse_repeated(frame, &unit));
        }
    }
    for word in repeated::LEADING.iter().chain(repeated::SIGNS) {
        for unit in repeated::of_one(word) {
            FRAMES.iter().skip(2).for_each(|frame| parse_repeated(frame, &unit));
        }
    }
    for unit in repeated::pairs() {
        parse_repeated("SELECT {}", &unit);
    }
    for unit in ["ARRAY<", "STRUCT<x ", "MAP(x, ", "INT[]", "TUPLE(", "NULLABLE("] {
        parse_repeated("SELECT CAST(1 AS {}", unit);
    }
    for unit in [
        "UNPIVOT(a FOR b IN (c)) ",
        "JOIN heart ON ",
        "LATERAL (",
        "(SELECT 1 FROM ",
    ] {
        parse_repeated("SELECT 1 FROM heart {}", unit);
    }
    for unit in [
        "+ 1 ",
        "AND x = 1 ",
        "IS NULL ",
        "IS DISTINCT FROM x ",
        "::INT ",
        "[1] ",
        ".x ",
        "BETWEEN 1 AND 2 ",
    ] {
        parse_repeated("x {}", unit);
        parse_repeated("SELECT x {}", unit);
    }
}

/// Parses the longest of ever longer texts that is admitted to the parser.
fn parse_repeated(frame: &str, unit: &str) {
    let text = |count: usize| frame.replace("{}", &unit.repeat(count));
    let mut count = 1;
    while count * 2 * unit.len() < ADMITTED && is_admitted(&text(count * 2)) {
        count *= 2;
    }
    read(&text(count));
}

fn is_admitted(text: &str) -> bool {
    let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize_with_location();
    tokens.is_ok_and(|mut tokens| {
        tokens.retain(|token| !matches!(token.token, Token::Whitespace(_)));
        bounded(&tokens).is_ok()
    })
}

fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

/// Parses as a statement or as a condition, and uses what is parsed on a thread with an ordinary stack.
fn read(text: &str) {
    eprintln!("{} bytes: {}", text.len(), shown(text));
    let began = tokio::time::Instant::now();
    if text.starts_with("SELECT") {
        let parsed = parse(text, 64);
        let copy = parsed.clone().unwrap_or_default();
        drop(copy.first().map(ToString::to_string));
    } else {
        on_large_stack(|| drop(parse_expression(text, 64))).unwrap();
    }
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
}

#[test]
fn text_that_is_nested_too_deeply_is_not_parsed() {
    let refused = |text: String| {
        let statement = matches!(parse(&text, 64), Err(ParserError::RecursionLimitExceeded));
        let condition = on_large_stack(|| parse_expression(&text, 64).map(drop));
        assert!(statement, "{}", shown(&text));
        let expected = Some(Err(ParserError::RecursionLimitExceeded));
        assert_eq!(condition, expected, "{}", shown(&text));
    };
    refused(format!("SELECT {}'1' day", "INTERVAL ".repeat(10)));
    refused(format!("SELECT {} x", "INTERVAL - ".repeat(9)));
    refused(format!(
        "SELECT * FROM heart MATCH_RECOGNIZE(PATTERN {}",
        "(".repeat(20_000)
    ));
    refused(format!("SELECT 1{} FROM heart", " + 1".repeat(2000)));
    refused(format!("SELECT {} x FROM heart WHERE x = 1", "NOT ".repeat(40)));
    refused(format!("SELECT {}", "END = SUBSTRING ( ".repeat(40)));
    refused(format!("SELECT CAST(x AS {}", "STRUCT<INT,".repeat(17)));
    // Few calls, around a list that would be read again for each of them.
    let nested = |count: usize| {
        let list = "1, ".repeat(9000);
        format!(
            "SELECT {} x IN ({list} 1 1){} FROM heart",
            "CAST(".repeat(count),
            " AS INT)".repeat(count)
        )
    };
    refused(nested(12));
    // What is wide or as deep as a query may be is parsed.
    for text in [
        format!("SELECT x FROM heart WHERE x IN ({}1)", "1, ".repeat(9000)),
        format!(
            "SELECT CASE {} END FROM heart",
            "WHEN x = 1 OR x = 2 THEN 3 ".repeat(500)
        ),
        format!("SELECT {}x{} FROM heart", "(".repeat(50), ")".repeat(50)),
        format!(
            "SELECT x FROM heart WHERE {} x = 1",
            "x > INTERVAL '1' DAY OR ".repeat(50)
        ),
    ] {
        assert!(parse(&text, 64).is_ok(), "{}", shown(&text));
    }
}
