//! Detects a file's delimiter and whether its first line has column names, from a sample of its start.
//!
//! The delimiter is the candidate under which the first line has as many fields as most lines have, most lines agree,
//! and there are most fields. The first line has names if, in the columns that are typed below it, most of its fields
//! have another type; if no column is typed, if its fields are distinct words that start with a letter.

use std::collections::BTreeSet;

use super::records::{Records, Step};
use super::syntax::{Delimiter, Syntax};
use crate::ingest::{
    error::IngestError,
    missing::MissingRule,
    notation::Notation,
    options::{Header, TableOptions},
    rejects::{Reason, Reject},
    row::Row,
    source::Source,
    text::{FileText, TextSource},
    values::{Kinds, is_marker, trim},
};

/// Maximum length of the sample, in bytes.
const SAMPLE_BYTES: usize = 256 * 1024;
/// Maximum number of records in the sample.
const SAMPLE_ROWS: usize = 200;
/// Delimiters that are tried, the most common first.
const CANDIDATES: [u8; 6] = [b',', b';', b'\t', b'|', b'^', b'~'];

/// The layout of a file's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) syntax: Syntax,
    pub(crate) header: HeaderFound,
    /// Fields on most of the lines.
    pub(crate) width: usize,
}

/// Whether the first line has the column names, and how that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFound {
    /// The steward states it.
    Stated,
    /// The values below it are of other types.
    Proved,
    /// The first line could be one of names, and nothing proves that it is not a row.
    Assumed,
    /// The first line is a row.
    Absent,
}

type Sample = Vec<Vec<String>>;

/// Detects what the options do not specify.
pub(crate) fn sniff(source: &Source, options: &TableOptions) -> Result<Layout, IngestError> {
    let mut source = FileText::open(source, options.encoding)?;
    let mut text = Vec::new();
    let mut whole = false;
    while !whole && text.len() < SAMPLE_BYTES {
        whole = !source.fill(&mut text)?;
    }
    let candidates = match options.delimiter {
        Some(Delimiter::Byte(byte)) if !byte.is_ascii() || matches!(byte, b'"' | b'\n' | b'\r' | 0) => {
            return Err(IngestError::Delimiter);
        }
        Some(stated) => vec![stated],
        None => CANDIDATES.map(Delimiter::Byte).to_vec(),
    };
    let mut best: Option<(Score, Syntax, Sample)> = None;
    for delimiter in candidates {
        let syntax = Syntax {
            delimiter,
            quotes: options.quotes,
            comment: options.comment,
            skip_lines: options.skip_lines,
        };
        let rows = sample(&text, whole, syntax)?;
        let score = Score::of(&rows);
        if best.as_ref().is_none_or(|(so_far, ..)| score > *so_far) {
            best = Some((score, syntax, rows));
        }
    }
    let (score, syntax, rows) = best.ok_or(IngestError::Delimiter)?;
    let header = match &options.header {
        Header::Auto => guess_header(&rows, options)?,
        Header::Present => HeaderFound::Stated,
        Header::Absent { .. } => HeaderFound::Absent,
    };
    Ok(Layout {
        syntax,
        header,
        width: score.width,
    })
}

/// The first records that can be read; a record that is truncated by the end of the sample is omitted.
fn sample(text: &[u8], whole: bool, syntax: Syntax) -> Result<Sample, IngestError> {
    let mut records = Records::new(text, syntax);
    let mut row = Row::default();
    let mut rows = Vec::new();
    let mut last_is_row = false;
    while rows.len() < SAMPLE_ROWS {
        let step = records.next(&mut row)?;
        match step {
            Step::Row => rows.push(row.fields().map(str::to_owned).collect()),
            // The quote may be closed below the sample.
            Step::Refused(Reject {
                reason: Reason::UnclosedQuote { .. },
                ..
            }) if !whole => break,
            Step::Blank | Step::Refused(_) => {}
            Step::End => {
                if !whole && last_is_row {
                    rows.pop();
                }
                break;
            }
        }
        last_is_row = step == Step::Row;
    }
    Ok(rows)
}

/// How well a delimiter matches; compared from the first field to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    /// There is more than one field, and the first line has as many as most lines.
    fits: bool,
    /// There is more than one field on most lines, regardless of the first line.
    splits: bool,
    /// Lines in a thousand that have the usual number of fields.
    agreeing: usize,
    width: usize,
}

impl Score {
    fn of(rows: &Sample) -> Self {
        let mut widths: Vec<usize> = rows.iter().map(Vec::len).collect();
        widths.sort_unstable();
        let (count, width) = widths
            .chunk_by(|a, b| a == b)
            .map(|run| (run.len(), run.first().copied().unwrap_or_default()))
            .max()
            .unwrap_or_default();
        let fits = width > 1 && rows.first().is_some_and(|first| first.len() == width);
        let agreeing = count * 1000 / rows.len().max(1);
        Self {
            fits,
            splits: width > 1 && agreeing > 500,
            agreeing,
            width,
        }
    }
}

fn guess_header(rows: &Sample, options: &TableOptions) -> Result<HeaderFound, IngestError> {
    let missing = &MissingRule::of(options);
    let notation = &options.notation;
    let is_missing = |cell: &str| is_missing(cell, missing);
    let Some((first, below)) = rows.split_first() else {
        return Ok(HeaderFound::Assumed);
    };
    let mut names = 0;
    let mut values = 0;
    for (index, cell) in first.iter().enumerate() {
        let kinds = kinds_below(below, index, missing, notation);
        if kinds.is_none() || is_missing(cell) {
            continue;
        }
        if notation.classify(trim(cell)).kinds.and(kinds).is_none() {
            names += 1;
        } else {
            values += 1;
        }
    }
    if names != values {
        return Ok(if names > values {
            HeaderFound::Proved
        } else {
            HeaderFound::Absent
        });
    }
    let distinct: BTreeSet<String> = first.iter().map(|cell| trim(cell).to_ascii_lowercase()).collect();
    // A line of values must not become names, which more people can see than the data; a field that starts with a digit
    // is unclear.
    let is_name = |cell: &String| trim(cell).starts_with(|first: char| first.is_alphabetic() || first == '_');
    let words = first.iter().all(|cell| is_name(cell) && !is_missing(cell));
    if values == 0 && words && distinct.len() == first.len() {
        Ok(HeaderFound::Assumed)
    } else {
        Err(IngestError::HeaderUnclear)
    }
}

/// The kinds that all values of a column can be parsed as; `NONE` if it is text or has no values.
fn kinds_below(rows: &[Vec<String>], index: usize, missing: &MissingRule, notation: &Notation) -> Kinds {
    let mut values = rows
        .iter()
        .filter_map(|row| row.get(index))
        .filter(|cell| !is_missing(cell, missing))
        .peekable();
    if values.peek().is_none() {
        return Kinds::NONE;
    }
    values.fold(Kinds::ALL, |kinds, cell| kinds.and(notation.classify(trim(cell)).kinds))
}

fn is_missing(cell: &str, missing: &MissingRule) -> bool {
    missing.is_without_value(trim(cell)) || is_marker(trim(cell))
}
