//! The first records of a text, and how well a delimiter matches them.

use super::records::{Records, Step};
use super::syntax::Syntax;
use crate::ingest::{
    error::IngestError,
    rejects::{Reason, Reject},
    row::Row,
};

/// Maximum number of records in the sample.
const SAMPLE_ROWS: usize = 200;

/// The first records of a text, and the lines on which they start.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    pub(super) rows: Vec<Vec<String>>,
    pub(super) lines: Vec<u64>,
}

impl Sample {
    /// The first record that has `width` fields, and a value in more than one of them: spreadsheet programs fill up titles with empty fields.
    pub(super) fn first_of(&self, width: usize) -> usize {
        let is_wide = |row: &Vec<String>| row.len() == width;
        let is_filled = |row: &Vec<String>| row.iter().filter(|field| !field.trim().is_empty()).count() > 1;
        let filled = self.rows.iter().position(|row| is_wide(row) && is_filled(row));
        filled
            .or_else(|| self.rows.iter().position(is_wide))
            .unwrap_or_default()
    }

    /// The records from this one on.
    pub(super) fn rows_from(&self, start: usize) -> &[Vec<String>] {
        self.rows.get(start..).unwrap_or_default()
    }
}

/// The first records that can be read; a record that is truncated by the end of the sample is omitted.
pub(super) fn sample(text: &[u8], whole: bool, syntax: Syntax) -> Result<Sample, IngestError> {
    let mut records = Records::new(text, syntax);
    let mut row = Row::default();
    let mut sample = Sample::default();
    let mut last_is_row = false;
    while sample.rows.len() < SAMPLE_ROWS {
        let step = records.next(&mut row)?;
        match step {
            Step::Row => {
                sample.rows.push(row.fields().map(str::to_owned).collect());
                sample.lines.push(row.line);
            }
            // The quote may be closed below the sample.
            Step::Refused(Reject {
                reason: Reason::UnclosedQuote { .. },
                ..
            }) if !whole => break,
            Step::Blank | Step::Refused(_) => {}
            Step::End => {
                if !whole && last_is_row {
                    sample.rows.pop();
                    sample.lines.pop();
                }
                break;
            }
        }
        last_is_row = step == Step::Row;
    }
    Ok(sample)
}

/// How well a delimiter matches; compared from the first field to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Score {
    /// There is more than one field, and the first line has as many as most lines.
    pub(super) fits: bool,
    /// There is more than one field on most lines, regardless of the first line.
    pub(super) splits: bool,
    /// Lines in a thousand that have the usual number of fields.
    pub(super) agreeing: usize,
    pub(super) width: usize,
}

impl Score {
    pub(super) fn of(rows: &[Vec<String>]) -> Self {
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
