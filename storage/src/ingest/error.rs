//! Errors of reading an imported file, and what to do about them.

use std::{io, path::PathBuf};

use super::{
    compression::{Compression, Excess, MAX_DECODER_BYTES},
    format::{Format, Numbering},
    limits::{MAX_COLUMNS, MAX_RECORD_BYTES},
    rejects::{Reason, Reject},
};
use concordat_protocol::schema::ColumnKind;

mod kind;
mod lists;
mod remedies;

use lists::{lines, list, same_names, unsupported};
use remedies::{about_refused, beside_the_header, encoding_to_state, no_table};

/// Why a file cannot be imported; the message states where and what to do, never the contents of a cell.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IngestError {
    /// There is no such file.
    #[error("there is no file `{}`", path.display())]
    NotFound {
        /// The path as given.
        path: PathBuf,
    },
    /// The path is a folder, pipe or device, which cannot be read twice.
    #[error("`{}` is not a regular file; a file is read twice, so pipes and folders cannot be imported", path.display())]
    NotAFile {
        /// The path as given.
        path: PathBuf,
    },
    /// The file cannot be opened or read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The path as given.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The thread that reads the file could not be started, or panicked.
    #[error("reading `{}` was interrupted; try again, and if it happens again, restart the node", path.display())]
    Interrupted {
        /// The path as given.
        path: PathBuf,
        /// The error of the system, if there is one.
        #[source]
        source: Option<io::Error>,
    },
    /// The compressed file is damaged or truncated.
    #[error(
        "the {} file `{}` is damaged or truncated; get it again and check it with `{}`",
        compression.label(),
        path.display(),
        compression.check_command()
    )]
    Damaged {
        /// The path as given.
        path: PathBuf,
        /// How it is compressed.
        compression: Compression,
        /// The error of the decoder.
        #[source]
        source: io::Error,
    },
    /// The compressed file, or a spreadsheet, unpacks to far more than a table would.
    #[error("`{}` is not read to its end: {Excess}; if it is right, unpack it or save it as CSV, and import that", path.display())]
    UnpacksToTooMuch {
        /// The path as given.
        path: PathBuf,
    },
    /// The decoder would need too much memory.
    #[error(
        "the {} file `{}` needs more than {} MiB of memory to unpack; compress it with a lower level or a smaller window",
        compression.label(),
        path.display(),
        MAX_DECODER_BYTES >> 20
    )]
    NeedsMemory {
        /// The path as given.
        path: PathBuf,
        /// How it is compressed.
        compression: Compression,
    },
    /// A zip file with no file or several.
    #[error(
        "`{}` is a zip file with {count} files in it, and one with exactly one is imported; unpack it, and import each file that has a \
         table",
        path.display()
    )]
    NotOneFile {
        /// The path as given.
        path: PathBuf,
        /// How many files.
        count: usize,
    },
    /// A zip file, or a spreadsheet, that cannot be unpacked.
    #[error("the zip file `{}` cannot be read: {reason}", path.display())]
    Archive {
        /// The path as given.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: &'static str,
    },
    /// An archive that is not read as a folder of files.
    #[error("`{}` cannot be unpacked: {reason}", path.display())]
    Folder {
        /// The path as given.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: &'static str,
    },
    /// The files of an archive cannot be stored.
    #[error("the files of an archive cannot be stored")]
    Unpack {
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// A spreadsheet that is damaged, or exceeds a limit.
    #[error("the spreadsheet `{}` cannot be read: {reason}", path.display())]
    Spreadsheet {
        /// The path as given.
        path: PathBuf,
        /// What is wrong, and what to do if it can be avoided.
        reason: &'static str,
    },
    /// Several sheets of a spreadsheet have cells.
    #[error("`{}` has several sheets with cells; state with `--sheet NAME` which to import: {}", path.display(), list(sheets))]
    SheetNotStated {
        /// The path as given.
        path: PathBuf,
        /// The names of the sheets with cells.
        sheets: Vec<String>,
    },
    /// A sheet that the spreadsheet does not have.
    #[error("there is no sheet `{name}`; the file has {}", list(sheets))]
    NoSuchSheet {
        /// The name as given.
        name: String,
        /// The names of the sheets.
        sheets: Vec<String>,
    },
    /// The file changed between or during the two passes.
    #[error("`{}` changed while it was read; import a file that is not being written", path.display())]
    Changed {
        /// The path as given.
        path: PathBuf,
    },
    /// The file is of a kind that cannot be imported.
    #[error("`{}` is {what}, which cannot be imported; {remedy}", path.display())]
    NotText {
        /// The path as given.
        path: PathBuf,
        /// What it looks like.
        what: &'static str,
        /// How to bring in what it contains.
        remedy: &'static str,
    },
    /// The file has another format than the stated one.
    #[error("`{}` is {what}; import it with `--kind {}`", path.display(), format.label())]
    OtherFormat {
        /// The path as given.
        path: PathBuf,
        /// What it is.
        what: &'static str,
        /// The format to state.
        format: Format,
    },
    /// The file was stated to be of a format that it does not have.
    #[error("`{}` is not a file of the kind `{}`; leave out `--kind` to have its format recognized", path.display(), format.label())]
    NotOfFormat {
        /// The path as given.
        path: PathBuf,
        /// The format as stated.
        format: Format,
    },
    /// The Parquet file is damaged, or exceeds a limit.
    #[error("the Parquet file `{}` cannot be read: {reason}", path.display())]
    Parquet {
        /// The path as given.
        path: PathBuf,
        /// What is wrong, and what to do if it can be avoided.
        reason: &'static str,
    },
    /// Columns of types that cannot be imported.
    #[error(
        "{} cannot be imported; leave these columns out, or write the values of lists, maps and structures into columns of \
         their own, and the others as text or as floating point",
        unsupported(columns)
    )]
    Unsupported {
        /// The columns, with what each contains.
        columns: Vec<(String, &'static str)>,
    },
    /// An option that has no meaning for the format of the file.
    #[error("`{option}` has no meaning for a file of the kind `{}`; leave it out", format.label())]
    OptionOfAnotherFormat {
        /// The option.
        option: &'static str,
        /// The format of the file.
        format: Format,
    },
    /// No line of an NDJSON file is an object with a name in it.
    #[error("no line of `{}` is a JSON object with at least one name", path.display())]
    NoObjects {
        /// The path as given.
        path: PathBuf,
    },
    /// The names of the columns are too long together.
    #[error("the names of the columns are longer than {} KiB together", MAX_RECORD_BYTES / 1024)]
    NamesTooLong,
    /// A line was found to be valid JSON, and the decoder disagrees.
    #[error("the lines of `{}` cannot be decoded; this is a bug, please report it", path.display())]
    Undecodable {
        /// The path as given.
        path: PathBuf,
    },
    /// The file has no line that is not blank.
    #[error("`{}` is empty", path.display())]
    Empty {
        /// The path as given.
        path: PathBuf,
    },
    /// The first line has a single field, which may be a secret rather than a column name, and no row below it can be imported.
    #[error("`{}` {}", path.display(), no_table(*refused))]
    NotATable {
        /// The path as given.
        path: PathBuf,
        /// Rows below the first line, each of which has more than one field or cannot be read.
        refused: u64,
    },
    /// The lines look like a table, but not in the layout that is stated or found.
    #[error("{advice}")]
    Layout {
        /// What was found, and what to state.
        advice: String,
    },
    /// There is no encoding with this label.
    #[error("`{label}` is not an encoding that is read; {}", encoding_to_state(label))]
    UnknownEncoding {
        /// The label as given.
        label: String,
    },
    /// The text is not in the encoding it should be in.
    #[error("line {line} is not {encoding} text (byte {offset}); {remedy}")]
    Encoding {
        /// The line, counted from 1.
        line: u64,
        /// The byte, counted from 0 in the unpacked text.
        offset: u64,
        /// The encoding that was expected.
        encoding: &'static str,
        /// What to do, by the encoding that the file is likely to have.
        remedy: &'static str,
    },
    /// The delimiter cannot separate fields.
    #[error("a delimiter is `tab`, `blanks` or one ASCII character, and not a quote or a line end")]
    Delimiter,
    /// An option for the notation of values is not understood.
    #[error("`{option}` needs {expected}")]
    Notation {
        /// The option.
        option: &'static str,
        /// What it needs.
        expected: &'static str,
    },
    /// Values of a column are not of the kind that was stated for it.
    #[error(
        "{count} values of `{column}` are not {}, the first on {numbering} {}; leave out `--type {column}=…`, or state how they are \
         written (`--decimal`, `--date-format`, `--boolean`) or which mean that a value is missing (`--missing`)",
        kind.label(),
        lines(first)
    )]
    NotOfKind {
        /// The column.
        column: String,
        /// The kind that was stated.
        kind: ColumnKind,
        /// How many values.
        count: u64,
        /// Lines or rows of the first of them.
        first: Vec<u64>,
        /// What the numbers count.
        numbering: Numbering,
    },
    /// The first line or row may be names or data.
    #[error(
        "the first {numbering} may contain column names or data: choose with `--header present` or `--header absent`{}",
        beside_the_header(*numbering)
    )]
    HeaderUnclear {
        /// Whether it is a line of text or a row of a sheet.
        numbering: Numbering,
    },
    /// The header line cannot be read.
    #[error("the header on line {line} cannot be read: {reason}")]
    HeaderRefused {
        /// The line, counted from 1.
        line: u64,
        /// Why.
        reason: Reason,
    },
    /// The number of names given differs from the number of columns.
    #[error("{given} column names are given for a file with {found} columns")]
    NameCount {
        /// Names given.
        given: usize,
        /// Columns found.
        found: usize,
    },
    /// More columns than [`MAX_COLUMNS`].
    #[error("the file has {found} columns; a table can have at most {MAX_COLUMNS}")]
    TooManyColumns {
        /// Columns found.
        found: usize,
    },
    /// Several columns get the same name, ignoring case.
    #[error(
        "{}; give one of them another name with `--rename 'OLD=NEW'`, or with `--rename '#NUMBER=NEW'` by its number",
        same_names(names)
    )]
    DuplicateNames {
        /// The names of the file, of columns that get the same name.
        names: Vec<Vec<String>>,
    },
    /// A new name that is not the name of a column.
    #[error(
        "`{name}` cannot be the name of a column; use up to 63 letters, digits and `_`, not beginning with a digit"
    )]
    NewName {
        /// The name as given.
        name: String,
    },
    /// Column names with the prefix of the node's own columns.
    #[error(
        "names that start with `__concordat` are reserved, rename {} in the header",
        list(names)
    )]
    ReservedNames {
        /// The reserved names.
        names: Vec<String>,
    },
    /// A column named in the options is not in the file.
    #[error("there is no column `{name}`; the file has {}", if columns.is_empty() { "one column".to_owned() } else { list(columns) })]
    NoSuchColumn {
        /// The name as given.
        name: String,
        /// The columns of the file; empty if there is only one, which may not be a name at all.
        columns: Vec<String>,
    },
    /// Rows without a subject.
    #[error(
        "{count} rows have no value in the subject column `{column}`, the first on {numbering} {}",
        lines(first)
    )]
    SubjectMissing {
        /// The subject column.
        column: String,
        /// Rows without a value.
        count: u64,
        /// Lines or rows of the first of them.
        first: Vec<u64>,
        /// What the numbers count.
        numbering: Numbering,
    },
    /// The file contains rows that cannot be imported, and the options do not allow skipping them.
    #[error(
        "{count} of {} rows cannot be imported, the first on {numbering} {}: {}; {}",
        rows.saturating_add(*count),
        first.line,
        first.reason,
        about_refused(*count, *rows, first.reason)
    )]
    RowsRefused {
        /// Rows refused.
        count: u64,
        /// Rows that can be imported.
        rows: u64,
        /// The first of them.
        first: Reject,
        /// What its number counts.
        numbering: Numbering,
    },
    /// No row of the file can be imported.
    #[error(
        "none of the {count} rows can be imported, so nothing was imported; the first is on {numbering} {}: {}; {}",
        first.line,
        first.reason,
        about_refused(*count, 0, first.reason)
    )]
    AllRowsRefused {
        /// Rows refused.
        count: u64,
        /// The first of them.
        first: Reject,
        /// What its number counts.
        numbering: Numbering,
    },
    /// The list of refused rows cannot be written.
    #[error("cannot write the list of refused rows")]
    RejectSink {
        /// The error of the sink.
        #[source]
        source: io::Error,
    },
    /// Arrow rejects a batch.
    #[error("cannot build a record batch")]
    Arrow {
        /// The error of Arrow.
        #[source]
        source: arrow::error::ArrowError,
    },
}
