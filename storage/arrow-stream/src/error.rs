//! Violations of the stream format.

use super::{MAX_BODY, MAX_CELLS, MAX_COLUMNS, MAX_METADATA, MAX_ROWS};

/// Why bytes are not a stream of rows. Names columns and lengths, never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamViolation {
    /// A message does not begin with the continuation marker.
    #[error("a message begins without the continuation marker")]
    MissingContinuation,
    /// The metadata is longer than allowed.
    #[error("the metadata of a message has {length} bytes; the maximum is {MAX_METADATA}")]
    LongMetadata {
        /// The stated length.
        length: u32,
    },
    /// The metadata, or a part of the body, begins at an unaligned offset.
    #[error("{what} is not aligned")]
    Unaligned {
        /// Which part.
        what: &'static str,
    },
    /// The metadata is not a message within the limits of depth, number and size.
    #[error("the metadata of a message is malformed or too large")]
    BadMetadata,
    /// A version of the format other than the fifth.
    #[error("a message is not of version 5 of the format")]
    Version,
    /// A message of a kind that answers do not use, such as a dictionary.
    #[error("the stream contains a message of kind {kind}, which is not accepted")]
    Kind {
        /// The number of the kind in the format.
        kind: u8,
    },
    /// A property that these streams do not use.
    #[error("a message has {what}, which is not accepted")]
    Extra {
        /// Which property.
        what: &'static str,
    },
    /// Rows before the schema, or a second schema.
    #[error("{what}")]
    Order {
        /// What is out of order.
        what: &'static str,
    },
    /// More columns than an answer may have.
    #[error("the stream has {columns} columns; the maximum is {MAX_COLUMNS}")]
    Columns {
        /// How many.
        columns: usize,
    },
    /// A column of an unsupported type.
    #[error("column {column} has a type that is not accepted")]
    Type {
        /// Its number, from 1.
        column: usize,
    },
    /// A column other than the expected one.
    #[error("column {column} is not the expected one")]
    Unexpected {
        /// Its number, from 1; one more than the number of columns if some are missing.
        column: usize,
    },
    /// A number of rows that no batch may have.
    #[error("a batch states {rows} rows; between 1 and {MAX_ROWS} rows and up to {MAX_CELLS} values are accepted")]
    Rows {
        /// The stated number.
        rows: i64,
    },
    /// A body length that no message may have.
    #[error("the body of a message states {length} bytes; the maximum is {MAX_BODY}")]
    Body {
        /// The stated length.
        length: i64,
    },
    /// There are more or fewer nodes or buffers than the schema requires.
    #[error("a batch does not have the {what} that its columns need")]
    Count {
        /// Nodes or buffers.
        what: &'static str,
    },
    /// Lengths in a batch that do not match its rows.
    #[error("column {column} of a batch has {what} that does not match its rows")]
    Column {
        /// Its number, from 1.
        column: usize,
        /// Which part of it.
        what: &'static str,
    },
    /// A buffer outside the body, or overlapping another one.
    #[error("a buffer of column {column} is outside the body or overlaps another one")]
    Buffer {
        /// Its number, from 1.
        column: usize,
    },
    /// Text, offsets or counts in the body are invalid.
    #[error("the values of a batch are not valid for its columns")]
    Values,
    /// Bytes after the end marker.
    #[error("bytes follow the end of the rows")]
    AfterEnd,
    /// The stream ends in the middle of a message.
    #[error("the rows end in the middle of a message")]
    CutOff,
}
