//! What is wrong with a document, in plain words: the messages of `serde` name types of the program, and quote what they found.

use serde_path_to_error::{Path, Segment};

use crate::problem::Problem;

const DOCUMENT: &str = "the document";

/// The message of a parser about the part of a document at `path`, as a sentence. What was found is described, not quoted: it may be a
/// secret in the wrong place.
#[must_use]
pub fn sentence(path: &Path, message: &str) -> String {
    about(DOCUMENT, &name(path), message)
}

/// A problem document about the message of a parser; `whole` is what was parsed, such as `the query string`.
#[must_use]
pub fn problem(whole: &str, path: &Path, message: &str) -> Problem {
    let path = name(path);
    Problem::usage(about(whole, &path, message)).at(field(&path, message))
}

/// The part that is wrong: the one at `path`, or the one that is missing there.
fn field(path: &str, message: &str) -> Option<String> {
    let named = |before| {
        let rest: &str = message.strip_prefix(before)?;
        rest.split_once('`').map(|(field, _)| field)
    };
    match (path, named("missing field `"), named("unknown field `")) {
        ("", Some(field), _) | ("", None, Some(field)) => Some(field.to_owned()),
        ("", None, None) => None,
        (path, Some(missing), _) => Some(format!("{path}.{missing}")),
        (path, None, _) => Some(path.to_owned()),
    }
}

/// The name of a part, such as `request.purposes[0]`; empty for the document itself.
fn name(path: &Path) -> String {
    let mut name = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => name.push_str(&format!("[{index}]")),
            Segment::Map { key: part } | Segment::Enum { variant: part } => {
                if !name.is_empty() {
                    name.push('.');
                }
                name.push_str(part);
            }
            Segment::Unknown => {}
        }
    }
    name
}

fn about(whole: &str, path: &str, message: &str) -> String {
    let place = match path {
        "" => whole.to_owned(),
        path => format!("`{path}`"),
    };
    missing(&place, message)
        .or_else(|| unknown_field(path, message))
        .or_else(|| unknown_value(&place, message))
        .or_else(|| wrong_kind(&place, message))
        .or_else(|| not_a_number(&place, message))
        .unwrap_or_else(|| other(&place, message))
}

fn missing(place: &str, message: &str) -> Option<String> {
    let field = message.strip_prefix("missing field ")?;
    Some(format!("the field {field} is missing in {place}"))
}

fn unknown_field(path: &str, message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field `")?;
    let (field, known) = rest.split_once('`')?;
    let path = if path.is_empty() { field } else { path };
    Some(match known.strip_prefix(", expected ") {
        Some(known) => format!("`{path}` does not exist; write {known}"),
        None => format!("`{path}` does not exist; there are no fields"),
    })
}

fn unknown_value(place: &str, message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown variant `")?;
    let (_, known) = rest.split_once("`, expected ")?;
    Some(format!("{place} has a value that is not known; write {known}"))
}

fn wrong_kind(place: &str, message: &str) -> Option<String> {
    let of_type = message.strip_prefix("invalid type: ");
    let rest = of_type.or_else(|| message.strip_prefix("invalid value: "))?;
    let (found, expected) = rest.rsplit_once(", expected ")?;
    Some(match (expected_kind(expected), of_type) {
        (Some(expected), Some(_)) => format!("{place} must be {expected}, not {}", found_kind(found)),
        (Some(expected), None) => format!("{place} must be {expected}"),
        (None, Some(_)) => format!("{place} cannot be {}", found_kind(found)),
        (None, None) => format!("{place} has a value that is not accepted here"),
    })
}

/// The messages of the standard library about a number that is written as text, as in a query string.
fn not_a_number(place: &str, message: &str) -> Option<String> {
    const MESSAGES: [&str; 4] = [
        "cannot parse integer from empty string",
        "invalid digit found in string",
        "number too large to fit in target type",
        "number too small to fit in target type",
    ];
    MESSAGES
        .contains(&message)
        .then(|| format!("{place} must be a whole number, neither negative nor too large"))
}

/// Messages of our own types are sentences already; the rest is rare.
fn other(place: &str, message: &str) -> String {
    if let Some(field) = message.strip_prefix("duplicate field ") {
        format!("{place}: the field {field} is given twice")
    } else if message.starts_with("invalid length ") {
        format!("{place} has too few or too many elements")
    } else if message.starts_with("data did not match any variant") {
        format!("{place} is none of the documents that are accepted here")
    } else {
        format!("{place}: {message}")
    }
}

/// What was found, of which the parser's message also quotes the value.
fn found_kind(found: &str) -> &'static str {
    match found.split([' ', '`', '"']).next().unwrap_or_default() {
        "boolean" => "`true` or `false`",
        "integer" => "a number",
        "floating" => "a number with a fraction",
        "string" | "character" => "text",
        "null" | "unit" => "`null`",
        "sequence" => "a list",
        "map" => "an object",
        _ => "something else",
    }
}

/// What a parser expected, as it names the type.
#[must_use]
pub fn expected_kind(expected: &str) -> Option<&'static str> {
    let kinds = [
        (&["a string", "a borrowed string", "a character"][..], "text"),
        (&["a boolean"], "`true` or `false`"),
        (&["a sequence", "a tuple", "an array", "tuple"], "a list"),
        (&["a map", "map", "struct", "internally tagged enum"], "an object"),
        (&["a nonzero"], "a whole number above 0 that is not too large"),
        (
            &["u8", "u16", "u32", "u64", "usize"],
            "a whole number that is neither negative nor too large",
        ),
        (
            &["i8", "i16", "i32", "i64", "isize"],
            "a whole number that is not too large",
        ),
        (&["f32", "f64"], "a number"),
        (&["unit", "null"], "`null`"),
    ];
    let is =
        |begin: &&str| expected == *begin || expected.strip_prefix(*begin).is_some_and(|rest| rest.starts_with(' '));
    let known = kinds.iter().find(|(begins, _)| begins.iter().any(&is));
    known.map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use crate::grant::{GrantRequest, OfferTerms};
    use crate::policy::PolicyComparison;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;

    fn message<T: DeserializeOwned>(document: Value) -> String {
        serde_json::from_value::<T>(document).err().unwrap().to_string()
    }

    /// Each is a message of the parser about one of our documents.
    #[test]
    fn parser_messages_become_sentences_without_its_words() {
        let request = |part: Value| {
            let mut terms = json!({ "purposes": ["ancestry"], "until": "2031-01-01" });
            terms.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
            message::<GrantRequest>(
                json!({ "dataset": { "institution": "budapest", "dataset": "heart" }, "request": terms }),
            )
        };
        let cases = [
            (
                ("", message::<GrantRequest>(json!({}))),
                "the field `dataset` is missing in the document",
            ),
            (
                ("request.purposes[0]", request(json!({ "purposes": ["war"] }))),
                "`request.purposes[0]`: invalid purposes: `war` is not a known purpose; write general-research, health-research, \
                 disease:MONDO:nnnnnnn, methods-development, ancestry or clinical-care",
            ),
            (
                ("request.tier", request(json!({ "tier": "all" }))),
                "`request.tier` has a value that is not known; write one of `exists`, `count`, `aggregate`, `records`",
            ),
            (
                ("request.color", request(json!({ "color": 1 }))),
                "`request.color` does not exist; write one of `tier`, `protection`, `datasets`, `columns`, `where`, `purposes`, `until`, `people`",
            ),
            (
                ("request.until", request(json!({ "until": 2031 }))),
                "`request.until` must be text, not a number",
            ),
            (
                ("request.purposes", request(json!({ "purposes": "ancestry, expected" }))),
                "`request.purposes` must be a list, not text",
            ),
            (
                (
                    "limits.min_cell",
                    message::<OfferTerms>(json!({ "limits": { "min_cell": -1 } })),
                ),
                "`limits.min_cell` must be a whole number that is neither negative nor too large",
            ),
            (
                (
                    "from",
                    message::<PolicyComparison>(json!({ "from": 1, "to": "current" })),
                ),
                "`from` cannot be a number",
            ),
        ];
        for ((path, message), expected) in cases {
            assert_eq!(about(DOCUMENT, path, &message), expected, "{message}");
        }
    }

    #[test]
    fn parser_messages_name_the_field_that_is_wrong() {
        for (path, message, expected) in [
            ("", "missing field `dataset`", Some("dataset")),
            ("request", "missing field `purposes`", Some("request.purposes")),
            ("", "unknown field `color`, expected `tier`", Some("color")),
            (
                "request.color",
                "unknown field `color`, expected `tier`",
                Some("request.color"),
            ),
            ("tier", "unknown variant `all`, expected `count`", Some("tier")),
            ("", "invalid type: null, expected struct GrantRequest", None),
        ] {
            assert_eq!(field(path, message).as_deref(), expected, "{path}: {message}");
        }
    }

    #[test]
    fn parser_messages_are_not_quoted_where_a_secret_may_be() {
        for message in [
            "invalid type: string \"correct horse\", expected u32",
            "invalid value: string \"correct horse\", expected something new",
            "invalid type: integer `4711`, expected a string",
            "unknown variant `correct horse`, expected one of `count`, `records`",
        ] {
            let sentence = about(DOCUMENT, "password", message);
            assert!(!sentence.contains("horse") && !sentence.contains("4711"), "{sentence}");
        }
    }
}
