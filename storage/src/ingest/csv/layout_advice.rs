//! What to state about a file whose lines look like a table, but not in the layout that was found: lines above the table, comments, fields
//! of a fixed width, numbers with a decimal comma between commas. The advice contains numbers and signs, never what is on a line.

use memchr::memchr2;

use super::{
    header::HeaderFound,
    sample::{Sample, Score},
    syntax::Delimiter,
};
use crate::ingest::parse_field::trim;

/// Signs with which comments begin.
const COMMENT_SIGNS: [u8; 4] = [b'#', b'%', b'!', b'*'];
/// Lines in a thousand that have to agree on the fields between blanks.
const AGREEING_ON_BLANKS: usize = 900;
/// Lines whose blanks are looked at.
const LINES: usize = 200;

/// The lines at the start of a text that begin with the same sign, as comments do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leading<'a> {
    pub(super) sign: u8,
    pub(super) count: u64,
    /// These lines.
    pub(super) lines: &'a [u8],
    /// The text below them.
    pub(super) rest: &'a [u8],
}

/// The leading comments of a text, if there are some, and something else below them.
pub(super) fn leading_comments(text: &[u8]) -> Option<Leading<'_>> {
    let sign = text.first().copied().filter(|sign| COMMENT_SIGNS.contains(sign))?;
    let mut rest = text;
    let mut count = 0;
    while rest.first() == Some(&sign) {
        rest = below(rest);
        count += 1;
    }
    let lines = text.get(..text.len() - rest.len())?;
    (!rest.trim_ascii().is_empty()).then_some(Leading {
        sign,
        count,
        lines,
        rest,
    })
}

/// The text below its first line.
pub(super) fn below(text: &[u8]) -> &[u8] {
    let Some(end) = memchr2(b'\n', b'\r', text) else {
        return &[];
    };
    let end = end + 1 + usize::from(text.get(end..end + 2) == Some(b"\r\n"));
    text.get(end..).unwrap_or_default()
}

/// What to state about comments at the start; `names` is whether the last of them has the names of the columns.
pub(super) fn about_comments(leading: &Leading<'_>, has_names: bool) -> String {
    let sign = char::from(leading.sign);
    let count = leading.count;
    if has_names {
        return format!(
            "the first {count} lines begin with `{sign}`, and the last of them has the names of the columns: leave out those above it with \
             `--skip-lines {}`",
            count.saturating_sub(1)
        );
    }
    format!(
        "the first {count} lines begin with `{sign}` and are not rows of the table: leave out such lines with `--comment '{sign}'`"
    )
}

/// What to state if the fields of a text seem to be separated by blanks, or to have a fixed width.
pub(super) fn about_blanks(text: &[u8], rows: &Sample, score: Score, needs_runs: bool) -> Option<String> {
    let is_table = score.splits && score.agreeing >= AGREEING_ON_BLANKS && rows.rows.len() > 1;
    let (runs, lines) = runs_of_blanks(text);
    if !is_table || (needs_runs && runs * 2 <= lines) {
        return None;
    }
    Some(
        "the fields seem to have a fixed width, or blanks between them: state `--delimiter blanks` if no field is empty and none has a blank in \
         it; otherwise export the file with `;` or a tab between the fields. If each line is one field, state `--delimiter ';'`"
            .to_owned(),
    )
}

/// How many of the first lines with text have two blanks within them, and how many there are.
fn runs_of_blanks(text: &[u8]) -> (usize, usize) {
    let has_run = |line: &[u8]| line.windows(2).any(|pair| pair == b"  ");
    let lines = text.split(|byte| matches!(byte, b'\n' | b'\r'));
    let lines = lines
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .take(LINES);
    lines.fold((0, 0), |(runs, all), line| (runs + usize::from(has_run(line)), all + 1))
}

/// Whether each row has numbers whose decimals were separated from them, so that they are in two fields. If the first line has a single
/// field, all rows have to be one such number.
pub(super) fn are_decimals_split(rows: &[Vec<String>], names: usize, delimiter: Delimiter) -> bool {
    if delimiter != Delimiter::Byte(b',') || rows.is_empty() {
        return false;
    }
    let width = rows.iter().map(Vec::len).max().unwrap_or_default();
    let Some(more) = width.checked_sub(names).filter(|more| *more > 0) else {
        return false;
    };
    let is_split_at = |column: &usize| {
        let pairs = rows.iter().filter(|row| row.len() == width);
        let mut pairs = pairs.map(|row| (row.get(*column), row.get(column + 1))).peekable();
        pairs.peek().is_some()
            && pairs.all(|pair| match pair {
                (Some(whole), Some(decimals)) => is_whole(whole) && is_decimals(decimals),
                _ => false,
            })
    };
    (0..width.saturating_sub(1)).filter(is_split_at).count() >= more
}

fn is_whole(field: &str) -> bool {
    let digits = trim(field).trim_start_matches(['-', '+']);
    !digits.is_empty()
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b". '".contains(&byte))
}

fn is_decimals(field: &str) -> bool {
    let digits = field.trim_end();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// What to state if the first lines are titles that were filled up with empty fields; `start` is the record with the names of the columns.
pub(super) fn about_titles(sample: &Sample, start: usize) -> String {
    let above = lines_above(sample, start);
    format!(
        "the first line has one value at most and empty fields, as a title above a table has, and the names of the columns are on line {}: \
         leave out the lines above the table with `--skip-lines {above}`; if the first line has the names, state `--header present`",
        above + 1
    )
}

/// How many lines are above a record.
fn lines_above(sample: &Sample, record: usize) -> u64 {
    let line = sample.lines.get(record);
    line.map_or(record as u64, |line| line.saturating_sub(1))
}

/// What to state if the first line has another number of fields than most lines; `start` is the first of those with the usual number.
pub(super) fn about_first_lines(
    sample: &Sample,
    delimiter: Delimiter,
    start: usize,
    header: Option<HeaderFound>,
) -> String {
    let first = sample.rows.first().map_or(0, Vec::len);
    let width = sample.rows.get(start).map_or(0, Vec::len);
    let below = sample.rows.get(start..).unwrap_or_default();
    let above = lines_above(sample, start);
    let found =
        format!("the first line has {first} fields, and most lines have {width} with `{delimiter}` between them");
    match header {
        Some(HeaderFound::Proved | HeaderFound::Assumed | HeaderFound::Stated) => {
            format!(
                "{found}, from line {} on: leave out the lines above the table with `--skip-lines {above}`",
                above + 1
            )
        }
        Some(HeaderFound::Absent) | None if are_decimals_split(below, first, delimiter) => format!(
            "{found}: numbers with a decimal comma look so if they are not in quotes; export the file with `;` or a tab between the fields, \
             with numbers in quotes, or with a decimal point. If the first line does not belong to the table, leave it out with \
             `--skip-lines {above}`, and state `--header absent` if no line has names"
        ),
        Some(HeaderFound::Absent) | None if width == first + 1 => format!(
            "{found}: if the name of one column is missing, such as of row names that R writes, add it to the first line; if the first line \
             does not belong to the table, leave it out with `--skip-lines {above}`, and state `--header absent` if no line has names"
        ),
        Some(HeaderFound::Absent) | None => format!(
            "{found}: leave out the lines above the table with `--skip-lines {above}`, and state `--header absent` if no line has names; if the \
             fields are separated by something else, state it with `--delimiter`"
        ),
    }
}

/// Whether the fields of a record are the line of dashes that some programs write below the names.
pub(super) fn is_ruler<'a>(fields: impl Iterator<Item = &'a str>) -> bool {
    let mut longest = 0;
    for field in fields.map(trim) {
        if field.is_empty() || !field.bytes().all(|byte| b"-=+|:".contains(&byte)) {
            return false;
        }
        longest = longest.max(field.bytes().filter(|byte| b"-=".contains(byte)).count());
    }
    longest > 1
}

/// The delimiter that the first line states for a spreadsheet program (`sep=;`).
pub(super) fn stated_by_file(text: &[u8]) -> Option<Delimiter> {
    let end = memchr2(b'\n', b'\r', text)?;
    let line = std::str::from_utf8(text.get(..end)?).ok()?;
    let line = line
        .strip_prefix('"')
        .and_then(|line| line.strip_suffix('"'))
        .unwrap_or(line);
    let (word, sign) = line.split_once('=')?;
    let is_sign = |sign: &&str| !sign.bytes().any(|byte| byte.is_ascii_alphanumeric()) || *sign == "\\t";
    let sign = Some(sign).filter(is_sign)?;
    word.eq_ignore_ascii_case("sep").then(|| sign.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_the_first_lines_with_the_same_sign() {
        let leading = leading_comments(b"# a\r\n#b\nx;y\n# c\n").unwrap();
        assert_eq!(
            (leading.sign, leading.count, leading.rest),
            (b'#', 2, &b"x;y\n# c\n"[..])
        );
        for text in [&b"x\n#y\n"[..], b"#a\n#b\n", b"", b"-1\n2\n", b"# a\n\n"] {
            assert!(leading_comments(text).is_none(), "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn rulers_are_dashes_in_every_field() {
        for fields in [
            &["-----", "--"][..],
            &["---"],
            &["---+----"],
            &[" ==== ", "=="],
            &[":--", "--:"],
        ] {
            assert!(is_ruler(fields.iter().copied()), "{fields:?}");
        }
        for fields in [&["-", "-"][..], &["", "--"], &["--", "1"], &["1"], &["-5"], &[""]] {
            assert!(!is_ruler(fields.iter().copied()), "{fields:?}");
        }
    }

    #[test]
    fn delimiter_is_stated_by_the_line_for_spreadsheets() {
        for (text, delimiter) in [
            ("sep=;\na;b\n", Some(Delimiter::Byte(b';'))),
            ("SEP=,\r\na,b\r\n", Some(Delimiter::Byte(b','))),
            ("\"sep=|\"\na|b\n", Some(Delimiter::Byte(b'|'))),
            ("sep=\t\na\tb\n", Some(Delimiter::Byte(b'\t'))),
            ("sep=\\t\na\tb\n", Some(Delimiter::Byte(b'\t'))),
            ("sep=blanks\n", None),
            ("sep=a\n", None),
            ("sep=;;\n", None),
            ("sepsis=;\n", None),
            ("sep\n", None),
        ] {
            assert_eq!(stated_by_file(text.as_bytes()), delimiter, "{text}");
        }
    }

    #[test]
    fn decimals_in_fields_of_their_own_are_recognized() {
        let split = |rows: &[&[&str]], names| {
            let rows: Vec<Vec<String>> = rows
                .iter()
                .map(|row| row.iter().map(ToString::to_string).collect())
                .collect();
            are_decimals_split(&rows, names, Delimiter::Byte(b','))
        };
        assert!(split(&[&["10", "0"], &["-9", "25"]], 1));
        assert!(split(&[&["1000", "10", "0"], &["1001", "1.200", "5"]], 2));
        assert!(!split(&[&["1000", "10", "0"], &["x", "y", "z"]], 2));
        assert!(!split(&[&["10", "0"]], 2));
    }
}
