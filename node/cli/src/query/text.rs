//! The text of a query: an argument, a file, or standard input.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use concordat_documents::problem::Problem;
use concordat_protocol::query::MAX_SQL;

use crate::files;

/// Instead of a text: read standard input.
const STANDARD_INPUT: &str = "-";
/// The commands whose argument is a query.
const COMMANDS: [&str; 2] = ["query", "why"];
/// The global options that are followed by a value.
const WITH_VALUE: [&str; 2] = ["--dir", "--format"];
/// What editors of some systems put before a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The text of a query, as its command line states it.
///
/// # Errors
/// If it cannot be read, is longer than a query may be, or is empty.
pub(super) fn read(sql: Option<String>, file: Option<&Path>) -> Result<String, Problem> {
    let most = u64::try_from(MAX_SQL).unwrap_or(u64::MAX);
    let text = match (sql, file) {
        (_, Some(file)) => files::read_text(file, most)?,
        (Some(sql), None) if sql == STANDARD_INPUT => files::read_standard_input(most)?,
        (Some(sql), None) => sql,
        (None, None) => String::new(),
    };
    let text = without_margin(&text);
    if text.is_empty() {
        return Err(Problem::usage("the query is empty").help("write one SELECT"));
    }
    Ok(text.to_owned())
}

/// A text without blanks around it, and without a byte order mark.
pub(crate) fn without_margin(text: &str) -> &str {
    text.trim_start_matches(BYTE_ORDER_MARK).trim()
}

/// The arguments of a process, in which a query that begins with a comment (`-- …`) is not taken for an option: a blank is before it.
pub fn with_comments(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let Some(command) = command(&arguments) else {
        return arguments;
    };
    for argument in arguments.iter_mut().skip(command) {
        if begins_with_comment(argument) {
            let mut shielded = OsString::from(" ");
            shielded.push(&argument);
            *argument = shielded;
        }
    }
    arguments
}

/// The position after the name of a command whose argument is a query; `None` for other commands. The first argument is the program.
fn command(arguments: &[OsString]) -> Option<usize> {
    let mut position = 1;
    loop {
        let argument = arguments.get(position)?.to_str()?;
        position = position.saturating_add(1);
        if WITH_VALUE.contains(&argument) {
            position = position.saturating_add(1);
        } else if !argument.starts_with('-') {
            return COMMANDS.contains(&argument).then_some(position);
        }
    }
}

/// No option of these commands has a blank after its hyphens, or a line end in it.
fn begins_with_comment(argument: &OsStr) -> bool {
    let text = argument.to_str().and_then(|text| text.strip_prefix("--"));
    text.is_some_and(|comment| comment.starts_with(char::is_whitespace) || comment.contains('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shielded(arguments: &[&str]) -> Vec<String> {
        let arguments = arguments.iter().map(OsString::from);
        let arguments = with_comments(arguments).into_iter();
        arguments.map(|argument| argument.into_string().unwrap()).collect()
    }

    #[test]
    fn comment_at_the_begin_of_a_query_is_not_an_option() {
        for comment in ["-- note\nSELECT 1", "--note\nSELECT 1", "--\nSELECT 1", "-- note"] {
            for before in [&["c", "query"][..], &["c", "--dir", "d", "--no-color", "why"]] {
                let found = shielded(&[before, &[comment]].concat());
                assert_eq!(found.last().unwrap(), &format!(" {comment}"));
            }
        }
    }

    #[test]
    fn options_and_other_commands_stay_as_they_are() {
        for arguments in [
            &["c", "query", "--out", "a.csv", "SELECT 1"][..],
            &["c", "query", "--ouut=a.csv", "SELECT 1 -- note\n"],
            &["c", "query", "--", "-"],
            &["c", "grant", "revoke", "query", "--reason=a\nb"],
            &["c", "--dir", "query", "grant", "revoke", "--reason=a\nb"],
            &["c", "--format"],
            &["c"],
            &[],
        ] {
            assert_eq!(shielded(arguments), arguments);
        }
    }

    #[test]
    fn query_is_read_from_a_file_and_is_not_empty() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sql");
        std::fs::write(&path, "\u{feff}-- note\nSELECT 1;\n").unwrap();
        assert_eq!(read(None, Some(&path)).unwrap(), "-- note\nSELECT 1;");
        std::fs::write(&path, " ".repeat(MAX_SQL + 1)).unwrap();
        assert!(read(None, Some(&path)).unwrap_err().detail.contains("more than"));
        for empty in ["", " \n", "\u{feff}"] {
            assert_eq!(
                read(Some(empty.to_owned()), None).unwrap_err().detail,
                "the query is empty"
            );
        }
        assert_eq!(
            read(Some(" -- note\nSELECT 1".to_owned()), None).unwrap(),
            "-- note\nSELECT 1"
        );
    }
}
