//! Tokens of SQL that are repeated, alone and in pairs, to find a rule of a parser that calls itself without a bound.
//!
//! Used by the system tests here, and by the tests of the crates that parse SQL.

/// Brackets and signs, each of which begins something, joins two things, or follows one.
pub const SIGNS: &[&str] = &[
    "(", "[", "{", "<", ">", ">>", "+", "-", "*", "/", "%", "||", "|", "&", "^", "~", "!", "!!", "=", "==", "<>",
    "<=>", "->", "->>", "#>", "#", "@", "@>", "?", ":", "::", ":=", ".", ";", ",", "'x'", "\"x\"", "1", "x", "$1",
];

/// Words that begin an operand, or after which another expression, query, table or type is read.
pub const LEADING: &[&str] = &[
    "ALL", "AND", "ANY", "ARRAY", "AT", "BETWEEN", "BY", "CASE", "CAST", "COLLATE", "DATE", "DISTINCT", "ELSE", "END",
    "ESCAPE", "EXCEPT", "EXISTS", "EXPLAIN", "FROM", "IF", "IN", "INTERVAL", "IS", "JOIN", "LATERAL", "LIKE", "LIMIT",
    "MAP", "NOT", "NULL", "ON", "OR", "OVER", "PIVOT", "PRIOR", "SELECT", "SETOF", "STRUCT", "TABLE", "THEN", "TUPLE",
    "UNION", "UNPIVOT", "USING", "VALUES", "WHEN", "WHERE", "WITH",
];

/// What is repeated for one word: directly after itself, with an operand or a bracket between, and between operands.
pub fn of_one(word: &str) -> [String; 4] {
    [
        format!("{word} "),
        format!("{word} x "),
        format!("{word} ("),
        format!("x {word} 1 "),
    ]
}

/// Each sign and leading word with each other one.
pub fn pairs() -> impl Iterator<Item = String> {
    let all = || SIGNS.iter().chain(LEADING);
    all().flat_map(move |one| all().map(move |other| format!("{one} {other} ")))
}
