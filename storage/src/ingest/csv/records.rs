//! Splits text into records according to RFC 4180, strictly and with bounded memory.
//!
//! General CSV readers are lenient where an import must not be: a quote that is never closed turns the rest of the file
//! into one field, and text after a closing quote is silently appended to it. This reader keeps the bytes of the
//! current record in a window, so when a quote turns out not to be closed it goes back and continues at the next line:
//!
//! A line that is completely in the window and has no quote, as most do, is read in one step. For every other record:
//!
//! 1. Bytes are scanned from the start of the window; more are read when it is exhausted.
//! 2. A line end outside quotes completes the record.
//! 3. A quoted field that spans lines and then exceeds the limit of a field, reaches the end of the file, or closes before other
//!    text had a quote that was not closed. The lines up to the one with that quote are refused as one row. A field that is closed but
//!    spans too many lines is refused with its record: its lines are not rows.
//! 4. A quoted field whose lines look like rows of the file had a quote that was not closed too ([`super::swallowed`]), and is refused in the same
//!    way, unless the steward states that quotes are right.
//! 5. A field or record over its limit is refused, and the rest of its line is skipped without being stored.

mod scan;

use memchr::{memchr, memchr2};

use self::scan::{Found, Scan, State};
use super::{
    swallowed::{RowShape, Span, Verdict},
    syntax::{Blanks, Delimiter, Syntax},
};
use crate::ingest::{
    error::IngestError,
    limits::MAX_FIELD_BYTES,
    rejects::{Reason, Reject},
    row::Row,
    text::TextSource,
};

/// The result of [`Records::next`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A record, now in the row.
    Row,
    /// A blank line.
    Blank,
    /// A row that cannot be imported.
    Refused(Reject),
    /// The end of the text.
    End,
}

/// A reader of records.
pub(super) struct Records<S> {
    source: S,
    syntax: Syntax,
    blanks: Option<Blanks>,
    lines_to_skip: u64,
    window: Vec<u8>,
    start: usize,
    offset: u64,
    line: u64,
    ended: bool,
    /// How rows are written, once that is known.
    shape: Option<RowShape>,
    like_rows: LinesLikeRows,
}

/// Fields in quotes whose lines may be rows, and were read as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LinesLikeRows {
    /// How many.
    pub(super) count: u64,
    /// The line where the first begins.
    pub(super) first: Option<u64>,
}

impl<S: TextSource> Records<S> {
    pub(super) fn new(source: S, syntax: Syntax) -> Self {
        Self {
            source,
            syntax,
            blanks: (syntax.delimiter == Delimiter::Blanks).then(|| Blanks::new(syntax.quotes)),
            lines_to_skip: syntax.skip_lines,
            window: Vec::new(),
            start: 0,
            offset: 0,
            line: 1,
            ended: false,
            shape: None,
            like_rows: LinesLikeRows::default(),
        }
    }

    /// From here on, fields in quotes whose lines look like rows of this shape are noticed.
    pub(super) fn expect_rows(&mut self, shape: RowShape) {
        self.shape = Some(shape);
    }

    pub(super) fn like_rows(&self) -> LinesLikeRows {
        self.like_rows
    }

    /// The text that was read last, with what follows it.
    pub(super) fn window(&self) -> &[u8] {
        &self.window
    }

    pub(super) fn source(&self) -> &S {
        &self.source
    }

    pub(super) fn into_source(self) -> S {
        self.source
    }

    /// Reads one record into `row`.
    pub(super) fn next(&mut self, row: &mut Row) -> Result<Step, IngestError> {
        self.compact();
        self.skip_lines()?;
        row.clear(self.line);
        if let Some(used) = self.plain_line(row) {
            self.consume(used, self.line + 1);
            return Ok(Step::Row);
        }
        let mut text = std::mem::take(&mut row.text).into_bytes();
        let mut scan = Scan::new(self.line);
        loop {
            if scan.at >= self.pending().len() && !self.more()? {
                return self.at_end(scan, text, row);
            }
            if let Some(reason) = scan.over_limit(row.width) {
                return self.refuse_long(&scan, reason);
            }
            let pending = self.window.get(self.start..).unwrap_or_default();
            match scan.advance(pending, self.syntax, &mut text, row) {
                Found::More => {}
                Found::LineEnd => return self.complete(&scan, text, row),
                Found::Unclosed => return Ok(self.refuse_unclosed(&scan, row.width)),
            }
        }
    }

    /// Reads a line without quotes whose end is in the window, and returns its length including the line end.
    fn plain_line(&self, row: &mut Row) -> Option<usize> {
        let pending = self.pending();
        let end = memchr(b'\n', pending).filter(|end| *end <= MAX_FIELD_BYTES)?;
        let line = pending.get(..end)?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let is_quoted = self.syntax.quotes && memchr(b'"', line).is_some();
        if line.is_empty() || is_quoted || memchr2(b'\r', 0, line).is_some() {
            return None;
        }
        row.push_line(std::str::from_utf8(line).ok()?, self.syntax.separator());
        Some(end + 1)
    }

    /// Leaves out the lines before the table, and comments.
    fn skip_lines(&mut self) -> Result<(), IngestError> {
        loop {
            let is_comment = match self.syntax.comment {
                None => false,
                Some(comment) => self.first_byte()? == Some(comment),
            };
            if !is_comment && self.lines_to_skip == 0 {
                return Ok(());
            }
            self.lines_to_skip = self.lines_to_skip.saturating_sub(1);
            if !self.skip_line()? {
                return Ok(());
            }
        }
    }

    fn first_byte(&mut self) -> Result<Option<u8>, IngestError> {
        if self.pending().is_empty() {
            self.more()?;
        }
        Ok(self.pending().first().copied())
    }

    /// Leaves out the rest of a line, without storing it. `false` means that the text has ended.
    fn skip_line(&mut self) -> Result<bool, IngestError> {
        loop {
            if let Some(end) = memchr2(b'\n', b'\r', self.pending()) {
                if end + 1 == self.pending().len() {
                    self.more()?;
                }
                let is_pair = self.pending().get(end..end + 2) == Some(b"\r\n");
                self.consume(end + 1 + usize::from(is_pair), self.line + 1);
                return Ok(true);
            }
            self.consume(self.pending().len(), self.line);
            self.compact();
            if !self.more()? {
                return Ok(false);
            }
        }
    }

    fn pending(&self) -> &[u8] {
        self.window.get(self.start..).unwrap_or_default()
    }

    fn more(&mut self) -> Result<bool, IngestError> {
        while !self.ended {
            let before = self.window.len();
            self.ended = !self.source.fill(&mut self.window)?;
            if let Some(blanks) = &mut self.blanks {
                blanks.replace(&mut self.window, before);
            }
            if self.window.len() > before {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Frees the read part of the window once it is more than half.
    fn compact(&mut self) {
        if self.start > self.window.len() / 2 {
            self.window.drain(..self.start);
            self.start = 0;
        }
    }

    fn consume(&mut self, bytes: usize, line: u64) {
        self.start += bytes;
        self.offset += bytes as u64;
        self.line = line;
    }

    fn at_end(&mut self, mut scan: Scan, mut text: Vec<u8>, row: &mut Row) -> Result<Step, IngestError> {
        if scan.at == 0 {
            return Ok(Step::End);
        }
        if scan.state == State::Quoted {
            return Ok(self.refuse_unclosed(&scan, row.width));
        }
        scan.end_field(&mut text, row);
        self.complete(&scan, text, row)
    }

    /// The record ends at a line end, which may be the first half of CRLF, or at the end of the text.
    fn complete(&mut self, scan: &Scan, text: Vec<u8>, row: &mut Row) -> Result<Step, IngestError> {
        let mut used = scan.at;
        if used > 0 && self.pending().get(used - 1) == Some(&b'\r') {
            if used == self.pending().len() {
                self.more()?;
            }
            used += usize::from(self.pending().get(used) == Some(&b'\n'));
        }
        if let Some((span, lines)) = self.swallowing(scan, used) {
            return Ok(self.refuse_swallowing(&span, lines));
        }
        let record = self.pending().get(..used).unwrap_or_default();
        let step = if let Some(reason) = scan.refused {
            Step::Refused(Reject { line: row.line, reason })
        } else if row.width == 1 && text.len() == 1 && !scan.quoted {
            Step::Blank
        } else if memchr(0, record).is_some() {
            Step::Refused(Reject {
                line: row.line,
                reason: Reason::ZeroByte,
            })
        } else {
            self.keep(record, text, row)
        };
        self.consume(used, scan.line + 1);
        Ok(step)
    }

    /// The field of a record of `used` bytes that has rows in it, and how many lines; fields that may have some are counted.
    fn swallowing(&mut self, scan: &Scan, used: usize) -> Option<(Span, u64)> {
        let shape = self.shape?;
        for span in &scan.spans {
            let record = self.pending().get(..used).unwrap_or_default();
            match shape.judge(record, span, self.syntax.separator()) {
                Verdict::Text => {}
                Verdict::Rows(lines) if !self.syntax.trusts_quotes => return Some((*span, lines)),
                Verdict::Rows(_) | Verdict::Possible => {
                    self.like_rows.count += 1;
                    self.like_rows.first.get_or_insert(span.line);
                }
            }
        }
        None
    }

    /// Refuses up to the end of the line where the field begins and continues below it.
    fn refuse_swallowing(&mut self, span: &Span, lines: u64) -> Step {
        self.consume(span.next_line, span.line + 1);
        Step::Refused(Reject {
            line: span.line,
            reason: Reason::RowsInQuotes {
                field: span.field,
                lines,
            },
        })
    }

    fn keep(&self, record: &[u8], text: Vec<u8>, row: &mut Row) -> Step {
        if let Ok(text) = String::from_utf8(text) {
            row.text = text;
            return Step::Row;
        }
        let valid = std::str::from_utf8(record).map_or_else(|error| error.valid_up_to(), str::len);
        let above = record
            .get(..valid)
            .unwrap_or_default()
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        let reason = Reason::InvalidBytes {
            offset: self.offset + valid as u64,
        };
        Step::Refused(Reject {
            line: row.line + above as u64,
            reason,
        })
    }

    /// Refuses up to the end of the line where the quote opened and continues below it.
    fn refuse_unclosed(&mut self, scan: &Scan, fields_before: usize) -> Step {
        let (bytes, line) = scan.next_line.unwrap_or((scan.at, scan.line + 1));
        self.consume(bytes, line);
        Step::Refused(Reject {
            line: scan.field_line,
            reason: Reason::UnclosedQuote {
                field: fields_before + 1,
            },
        })
    }

    /// Refuses a field or record over its limit and skips the rest of the line that it has reached.
    fn refuse_long(&mut self, scan: &Scan, reason: Reason) -> Result<Step, IngestError> {
        let line = scan.field_line;
        self.consume(scan.at, scan.line);
        loop {
            let end = self.pending().iter().position(|byte| *byte == b'\n');
            if let Some(end) = end {
                self.consume(end + 1, scan.line + 1);
                break;
            }
            self.consume(self.pending().len(), scan.line);
            self.compact();
            if !self.more()? {
                break;
            }
        }
        Ok(Step::Refused(Reject { line, reason }))
    }
}

#[cfg(test)]
#[path = "records/tests.rs"]
mod tests;
