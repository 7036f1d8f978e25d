//! Reads imported data, without staging plaintext.
//!
//! An import reads a [`Source`]: an open file, or uploaded bytes, which are stored in an unnamed file, sealed under a
//! key that exists only in memory ([`Upload`]). It is read twice, each time as a stream in bounded memory, and no byte
//! of it is written anywhere in plaintext:
//!
//! 1. [`infer_schema()`] reads the whole file and determines its format, compression, encoding, delimiter, header, rows, the
//!    exact type of each column, the rows that cannot be imported, and the length and BLAKE3 hash of its bytes.
//! 2. [`batches()`] reads it again as Arrow record batches of those types, and fails at the end unless the bytes were
//!    the same. The caller must not make anything visible before the iterator has ended without an error.
//!
//! Two passes make the types exact: a column with whole numbers for 50,000 lines and text after that is text from its
//! first line on, and [`Note::BecameText`] states at which line.
//!
//! Every [`Format`] is read as rows of text by its own [`row_source::RowSource`]; what is below applies to all of them:
//!
//! ```text
//! CSV        file -> fingerprint -> unpack (by magic bytes) -> text (UTF-8; UTF-16 with a mark; others by name) -> records -> rows
//! NDJSON     the same text -> lines -> objects -> rows
//! Parquet    file -> fingerprint, then footer -> pages -> values as text -> rows
//! XLSX, ODS  file -> fingerprint, then directory -> unpack -> XML -> cells as text -> rows
//! ```
//!
//! Rows are read on one thread and typed on another, in blocks of thousands of rows, which are prefetched for the
//! consumer of the batches.
//!
//! # Rules
//!
//! - **Records** of CSV follow RFC 4180, with LF, CRLF or CR line ends. A quote inside an unquoted field is an ordinary character.
//!   Lines with nothing on them are skipped and counted, and so are rows without any value. Options change delimiter and quotes, and
//!   leave out comments and first lines. A quote that is not closed on its line is refused if the lines up to the next one look like rows.
//! - **Layouts** that can only be meant in one way are read so, with a note; for others an error names what to state
//!   ([`IngestError::Layout`]).
//! - **Types.** Whole numbers (64 bit), numbers (64-bit floating point), `true`/`false`, `yyyy-mm-dd`, ISO 8601
//!   date-times (to the millisecond; with `Z` or an offset they become UTC), else text. A value that could not be
//!   restored as it was written is text: leading zeros, a leading `+`, whole numbers that do not fit, times with more
//!   precision than a millisecond. A column whose numbers have zeros at their ends that differ (`250.0`, `250.00`) is text too.
//!   Blanks around a typed value are removed; text is not changed. [`Notation`] states other ways of writing for all columns, and
//!   [`ColumnOptions`] for one. [`Note::Proposal`] names those that would make a column typed. A value that its file states to be a number or
//!   a time (a cell of a spreadsheet, a number of JSON, a typed column of Parquet) is never read through the stated signs. Dates of one
//!   column are read in one of the stated forms if one fits all of them. A kind that is stated is checked against every value. Values for
//!   [`TableOptions::existing`] columns get the kind of the column if they have it. What could be read in another way, and still is a value
//!   of the same kind, is a [`Note`] that needs attention.
//! - **Missing values.** An empty or blank field is missing in every column, as are a null and a name that an object lacks. The markers `?`, `NA`, `NaN`, `NULL`,
//!   `null`, `N/A` and `.` are missing in a typed column, where they cannot be values, and in a column without any
//!   value. In a text column they may be a person's initials or a country, so they stay text and
//!   [`Note::MarkersAsText`] states how many. [`Missing`] changes the rule, and further words can be stated. In the subject column a marker is always
//!   missing.
//! - **Subjects.** A named subject column stays an ordinary column and must have a value in every row. Otherwise each
//!   row is its own subject, numbered from 1 in the `Int64` column [`SUBJECT_COLUMN`], which comes first. A note
//!   reports a column that looks like a person's number and has repeated values that do not match the rule.
//! - **Refused rows** are never dropped silently. Each becomes a [`Reject`], and [`batches()`] refuses to start while
//!   there are any, unless the caller chose [`Refused::Skip`] and some rows are left.
//! - **Compressed files** are recognized by their first bytes. What is in one is unpacked once, and up to a limit that a table stays below.
//! - **Other formats** are named by their first bytes, before and after decompression, with the way to bring in what they contain.
//! - **Privacy.** Errors, notes and rejects contain the numbers of lines or rows, column names and reasons, never the contents of a
//!   cell.

mod archived;
mod block;
mod column_reading;
mod column_stats;
mod compression;
mod count;
mod csv;
mod error;
mod fingerprint;
mod foreign;
mod format;
mod hints;
mod inspection;
mod labels;
mod limits;
mod missing;
mod names;
mod ndjson;
mod notation;
mod note;
mod open;
mod options;
mod parquet;
mod parse_field;
mod prefetch;
mod proposal;
mod rejects;
mod repeats;
mod row;
mod row_filter;
mod row_source;
mod serial_day;
mod source;
mod spellings;
mod spreadsheet;
#[cfg(test)]
mod tests;
mod text;
mod text_values;
mod typed_batches;
mod upload;

pub use archived::{Archived, LeftOut, unpack};
pub use compression::Compression;
pub use count::{Column, Subject};
pub use csv::Delimiter;
pub use error::IngestError;
pub use fingerprint::Fingerprint;
pub use format::{Format, Numbering};
pub use inspection::{Inspection, infer_schema, infer_schema_into};
pub use labels::{column_kind, comment_sign};
pub use limits::{MAX_COLUMNS, MAX_FIELD_BYTES, MAX_QUOTED_BYTES, MAX_QUOTED_LINES, MAX_RECORD_BYTES};
pub use names::SUBJECT_COLUMN;
pub use notation::{BooleanWords, DateFormat, DecimalSign, Notation, ThousandsSign, TimeZoneName, check_signs};
pub use note::Note;
pub use options::{ColumnOptions, Header, Missing, Refused, RepeatedHeader, SubjectRule, TableOptions, TextEncoding};
pub(crate) use parse_field::data_type;
pub use proposal::{Proposal, Statement, TextReason};
pub use rejects::{Discard, MAX_LISTED_REJECTS, Reason, Reject, RejectFile, RejectSink, Rejects};
pub use source::Source;
pub use spellings::ColumnSpellings;
pub use typed_batches::{Batches, batches};
pub use upload::{Upload, UploadWriter};
