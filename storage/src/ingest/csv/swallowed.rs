//! Finds rows that are in quotes by mistake: a quote was not closed on its line, and the next quote is lines below.
//!
//! The lines of such a field, with the rest of the lines on which it begins and ends, are lines of the file: each has as many delimiters as a
//! row, and what is a number in the first is one in the others. Lines of a text are different: the first lacks the fields behind the text, the
//! last those before it, and a blank follows most of their commas.

use memchr::{memchr, memchr_iter, memrchr};

/// Lines in ten that have to be like rows; a row may be damaged itself.
const ALIKE_IN_TEN: usize = 9;
/// How many delimiters in the lines below the first are evidence enough if a column has numbers in all lines.
const WITH_NUMBERS: usize = 2;
/// The same without such a column.
const WITHOUT_NUMBERS: usize = 6;

/// A field in quotes that spans lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// The field, counted from 1.
    pub(super) field: usize,
    /// Where it begins in the record.
    pub(super) from: usize,
    /// The end of the field, behind the delimiter or line end.
    pub(super) to: usize,
    /// The line where it begins.
    pub(super) line: u64,
    /// The start of the line below, in the record.
    pub(super) next_line: usize,
}

/// How rows of the file are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowShape {
    /// Delimiters in a row.
    pub(super) delimiters: usize,
    /// Whether a blank follows the delimiters, as in a text.
    pub(super) is_spaced: bool,
}

/// Whether the lines of a field are rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// They are text.
    Text,
    /// They may be rows.
    Possible,
    /// They are rows: this many below the first.
    Rows(u64),
}

impl RowShape {
    /// Whether the lines of the field `span` of a record are rows.
    pub(super) fn judge(self, record: &[u8], span: &Span, delimiter: u8) -> Verdict {
        let lines: Vec<&[u8]> = lines(record, span)
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::trim_ascii_end)
            .filter(|line| !line.is_empty())
            .collect();
        let Some((first, below)) = lines.split_first() else {
            return Verdict::Text;
        };
        let alike = lines.iter().filter(|line| self.is_row(line, delimiter)).count();
        if self.delimiters == 0 || below.is_empty() || alike * 10 < lines.len() * ALIKE_IN_TEN {
            return Verdict::Text;
        }
        let evidence = self.delimiters.saturating_mul(below.len());
        let rows = Verdict::Rows(below.len() as u64);
        match numbers(first, below, delimiter) {
            Numbers::Contradict => Verdict::Text,
            Numbers::Agree if evidence >= WITH_NUMBERS => rows,
            Numbers::None if evidence >= WITHOUT_NUMBERS => rows,
            Numbers::Agree | Numbers::None => Verdict::Possible,
        }
    }

    fn is_row(self, line: &[u8], delimiter: u8) -> bool {
        let is_spaced = || memchr_iter(delimiter, line).any(|at| line.get(at + 1) == Some(&b' '));
        memchr_iter(delimiter, line).count() == self.delimiters && (self.is_spaced || !is_spaced())
    }
}

/// The lines on which the field is, whole.
fn lines<'a>(record: &'a [u8], span: &Span) -> &'a [u8] {
    let before = record.get(..span.from).unwrap_or_default();
    let start = memrchr(b'\n', before).map_or(0, |at| at + 1);
    let last = span.to.saturating_sub(1);
    let rest = record.get(last..).unwrap_or_default();
    let end = memchr(b'\n', rest).map_or(record.len(), |at| last + at);
    record.get(start..end).unwrap_or_default()
}

/// Whether the columns with a number in the first line have numbers in the lines below.
enum Numbers {
    /// The first line has no number.
    None,
    Agree,
    Contradict,
}

fn numbers(first: &[u8], below: &[&[u8]], delimiter: u8) -> Numbers {
    let mut found = Numbers::None;
    let is_delimiter = |byte: &u8| *byte == delimiter;
    for (column, _) in first
        .split(is_delimiter)
        .enumerate()
        .filter(|(_, field)| Content::of(field) == Content::Number)
    {
        let contents = below.iter().map(|line| {
            let field = line.split(is_delimiter).nth(column);
            field.map_or(Content::Unknown, Content::of)
        });
        let (mut agreeing, mut others) = (0_usize, 0_usize);
        for content in contents {
            agreeing += usize::from(content == Content::Number);
            others += usize::from(content == Content::Other);
        }
        if agreeing > 0 && others * 10 <= below.len() {
            return Numbers::Agree;
        }
        if others * 2 > below.len() {
            found = Numbers::Contradict;
        }
    }
    found
}

/// What a field of a line contains, quotes regarded as signs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    /// Digits, with the signs of numbers, dates and times.
    Number,
    /// Something else.
    Other,
    /// Nothing, or a quote.
    Unknown,
}

impl Content {
    fn of(field: &[u8]) -> Self {
        let field = field.trim_ascii();
        if field.is_empty() || memchr(b'"', field).is_some() {
            Self::Unknown
        } else if field.iter().any(u8::is_ascii_digit)
            && field
                .iter()
                .all(|byte| byte.is_ascii_digit() || b".,:-+/ T".contains(byte))
        {
            Self::Number
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict about the only field in quotes of a record.
    fn judged(record: &str, delimiter: u8) -> Verdict {
        let first_line = record.lines().next().unwrap();
        let record = record.as_bytes();
        let delimiters = |text: &[u8]| text.iter().filter(|byte| **byte == delimiter).count();
        let is_quote = |byte: &u8| *byte == b'"';
        let from = record.iter().position(is_quote).unwrap();
        let to = record.iter().rposition(is_quote).unwrap() + 2;
        let span = Span {
            field: delimiters(&record[..from]) + 1,
            from,
            to: to.min(record.len()),
            line: 1,
            next_line: first_line.len() + 1,
        };
        // The fields before, the field itself, and those behind.
        let width = delimiters(&record[..from]) + 1 + delimiters(&record[to - 1..]);
        let shape = RowShape {
            delimiters: width - 1,
            is_spaced: false,
        };
        shape.judge(record, &span, delimiter)
    }

    #[test]
    fn rows_between_two_quotes_are_found() {
        for (record, delimiter, rows) in [
            ("1008;\"after;8\n1009;ok;9\n1010;ok\";10", b';', 2),
            ("1008;\"after;8\n1009;ok\";9", b';', 1),
            ("\"after;1008;8\r\n\r\nok;1009;9\r\nok\";1010;10\r\n", b';', 2),
            ("7,2020-01-01,\"a\n8,2020-01-02,b\n9,2020-01-03,c\"", b',', 2),
            ("Anna|\"ok|x\nBen|ok|y\nCora|ok|z\nDana|ok\"|w", b'|', 3),
        ] {
            assert_eq!(judged(record, delimiter), Verdict::Rows(rows), "{record}");
        }
    }

    #[test]
    fn one_damaged_row_among_many_does_not_hide_the_others() {
        let rows: String = (9..30).map(|row| format!("{row};ok;{row}\n")).collect();
        let record = format!("8;\"open;8\n{rows}12;a;b;12\n30;ok\";30");
        assert_eq!(judged(&record, b';'), Verdict::Rows(23));
    }

    #[test]
    fn texts_of_several_lines_are_text() {
        for (record, delimiter) in [
            ("1,\"first\nsecond, third, no effusion\n\nDr. A\",0", b','),
            ("1,2,\"list:\none, two, three\nfour, five, six\"", b','),
            ("1,2,\"one\ntwo,three,four\nfive,six,seven\"", b','),
            ("7;\"seen;twice\nonce\";x", b';'),
            ("1,\"RR 120/80\nRR 130/90\",2", b','),
            ("1;\"a\n\n\nb\";2;3", b';'),
        ] {
            assert_eq!(judged(record, delimiter), Verdict::Text, "{record}");
        }
    }

    #[test]
    fn few_lines_of_two_columns_are_only_possibly_rows() {
        assert_eq!(judged("1;\"open\n2;closed\"", b';'), Verdict::Possible);
        assert_eq!(judged("Anna;\"open\nBen;closed\"", b';'), Verdict::Possible);
    }
}
