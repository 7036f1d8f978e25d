//! Rows that cannot be imported: where they are and why, never their contents.
//!
//! A refused row is a patient's record like any other, so only a line number and a reason are stored. The person who
//! fixes the file can look the line up there.

use std::io::{self, Write};

use super::limits::{MAX_COLUMNS, MAX_FIELD_BYTES, MAX_QUOTED_BYTES, MAX_QUOTED_LINES, MAX_RECORD_BYTES};

/// How many refused rows [`Rejects`] lists; further ones are only counted.
pub const MAX_LISTED_REJECTS: usize = 1000;

/// One refused row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The line to look at, counted from 1; the row in a file without lines.
    pub line: u64,
    /// Why the row cannot be imported.
    pub reason: Reason,
}

/// Why a row cannot be imported.
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
    #[error("the quote that opens field {field} is not closed (within {} KiB)", MAX_FIELD_BYTES / 1024)]
    UnclosedQuote {
        /// The field, counted from 1.
        field: usize,
    },
    /// A quote opens a field, and the lines up to the next quote look like rows of the file.
    #[error(
        "the quote that opens field {field} is not closed on its line, and the {lines} lines below it up to the next quote look like rows; \
         add the quote, or state `--quote double` if they are text of that field"
    )]
    RowsInQuotes {
        /// The field, counted from 1.
        field: usize,
        /// The lines below the one where the quote opens.
        lines: u64,
    },
    /// A field in quotes spans too much text.
    #[error("field {field} spans more than {MAX_QUOTED_LINES} lines or {} KiB", MAX_QUOTED_BYTES / 1024)]
    QuotedTooLong {
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
    /// A zero byte, which text must not contain.
    #[error("the row contains a zero byte (is it UTF-16 without a byte order mark? then give the encoding `utf-16le`)")]
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
    /// A text of a binary format that is not UTF-8.
    #[error("field {field} is not UTF-8")]
    InvalidText {
        /// The field, counted from 1.
        field: usize,
    },
    /// A line that is not JSON.
    #[error("the line is not JSON at byte {byte}")]
    NotJson {
        /// The byte of the line, counted from 1; one more than there are if the line ends too early.
        byte: usize,
    },
    /// A line of JSON with another value than an object.
    #[error("the line is not a JSON object")]
    NotAnObject,
    /// A name that occurs more than once in an object.
    #[error("the name of field {field} occurs more than once in the line")]
    RepeatedName {
        /// The field, counted from 1.
        field: usize,
    },
    /// More fields in an object than a table can have columns.
    #[error("the row has more than {MAX_COLUMNS} fields")]
    TooManyFields,
}

/// The refused rows of one file: all are counted, the first [`MAX_LISTED_REJECTS`] are listed.
#[derive(Clone, Debug, Default)]
pub struct Rejects {
    count: u64,
    listed: Vec<Reject>,
}

impl Rejects {
    /// How many rows were refused.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first refused rows, in the order of the file.
    #[must_use]
    pub fn listed(&self) -> &[Reject] {
        &self.listed
    }

    pub(super) fn push(&mut self, reject: Reject) {
        self.count += 1;
        if self.listed.len() < MAX_LISTED_REJECTS {
            self.listed.push(reject);
        }
    }
}

/// Receives every refused row as it is found, however many there are.
pub trait RejectSink {
    /// Receives one refused row; an error ends the inspection.
    ///
    /// # Errors
    /// The error of the sink.
    fn reject(&mut self, reject: Reject) -> io::Result<()>;
}

/// A sink for callers that only need [`Rejects`].
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
