//! Rows that cannot be taken: where they are and why, never what they hold.
//!
//! A refused row is a patient's record as much as any other, so what is kept of it is a line number and a reason. The
//! person who fixes the file looks the line up there.

use std::io::{self, Write};

use super::limits::{MAX_FIELD_BYTES, MAX_QUOTED_BYTES, MAX_QUOTED_LINES, MAX_RECORD_BYTES};

/// How many refused rows [`Rejects`] keeps one by one; the count goes on.
pub const MAX_KEPT_REJECTS: usize = 1000;

/// One refused row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The line to look at, counted from 1.
    pub line: u64,
    /// Why the row cannot be taken.
    pub reason: Reason,
}

/// Why a row cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The row has more or fewer fields than the table has columns.
    #[error("{found} fields where {expected} are expected")]
    Ragged {
        /// Fields on this row.
        found: usize,
        /// Columns of the table.
        expected: usize,
    },
    /// A quote opens a field and does not close it.
    #[error(
        "the quote that opens field {field} is not closed (within {MAX_QUOTED_LINES} lines or {} KiB)",
        MAX_QUOTED_BYTES / 1024
    )]
    UnclosedQuote {
        /// The field, counted from 1.
        field: usize,
    },
    /// Something other than a delimiter follows a closing quote.
    #[error("text follows the closing quote of field {field}; a quote inside quotes is written twice")]
    TextAfterQuote {
        /// The field, counted from 1.
        field: usize,
    },
    /// A byte that the encoding does not allow.
    #[error("byte {offset} of the text is not UTF-8")]
    InvalidBytes {
        /// The byte, counted from 0 in the unpacked text.
        offset: u64,
    },
    /// A zero byte, which text does not hold.
    #[error("the row holds a zero byte (is it UTF-16 without a byte order mark? then give the encoding `utf-16le`)")]
    ZeroByte,
    /// A field longer than [`MAX_FIELD_BYTES`].
    #[error("field {field} is longer than {} KiB", MAX_FIELD_BYTES / 1024)]
    FieldTooLong {
        /// The field, counted from 1.
        field: usize,
    },
    /// A row longer than [`MAX_RECORD_BYTES`].
    #[error("the row is longer than {} KiB", MAX_RECORD_BYTES / 1024)]
    RowTooLong,
}

/// The refused rows of one file: all counted, the first [`MAX_KEPT_REJECTS`] kept.
#[derive(Clone, Debug, Default)]
pub struct Rejects {
    count: u64,
    kept: Vec<Reject>,
}

impl Rejects {
    /// How many rows were refused.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first refused rows, in the order of the file.
    #[must_use]
    pub fn kept(&self) -> &[Reject] {
        &self.kept
    }

    pub(super) fn push(&mut self, reject: Reject) {
        self.count += 1;
        if self.kept.len() < MAX_KEPT_REJECTS {
            self.kept.push(reject);
        }
    }
}

/// Takes every refused row as it is found, however many there are.
pub trait RejectSink {
    /// Takes one refused row; an error ends the inspection.
    ///
    /// # Errors
    /// Whatever keeps the sink from taking it.
    fn reject(&mut self, reject: Reject) -> io::Result<()>;
}

/// A sink for callers that need no more than [`Rejects`].
#[derive(Clone, Copy, Debug)]
pub struct Discard;

impl RejectSink for Discard {
    fn reject(&mut self, _: Reject) -> io::Result<()> {
        Ok(())
    }
}

/// Writes refused rows as CSV with the columns `line` and `reason`; nothing of the rows themselves is written.
#[derive(Debug)]
pub struct RejectFile<W> {
    out: W,
    started: bool,
}

impl<W: Write> RejectFile<W> {
    /// Starts a list; the header is written with the first refused row.
    pub fn new(out: W) -> Self {
        Self { out, started: false }
    }
}

impl<W: Write> RejectSink for RejectFile<W> {
    fn reject(&mut self, reject: Reject) -> io::Result<()> {
        if !self.started {
            self.out.write_all(b"line,reason\n")?;
            self.started = true;
        }
        writeln!(self.out, "{},\"{}\"", reject.line, reject.reason)
    }
}
