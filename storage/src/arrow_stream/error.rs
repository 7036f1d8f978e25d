//! What a stream may do wrong.

use super::{MAX_BODY, MAX_CELLS, MAX_COLUMNS, MAX_METADATA, MAX_ROWS};

/// Why bytes are not a stream of rows. Names columns and lengths, never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamViolation {
    /// A message does not begin as messages do.
    #[error("a message begins without its mark")]
    NoMark,
    /// The metadata is longer than any that is sent.
    #[error("the metadata of a message has {length} bytes; the most is {MAX_METADATA}")]
    LongMetadata {
        /// The stated length.
        length: u32,
    },
    /// The metadata, or something in the body, begins where nothing can.
    #[error("{what} is out of alignment")]
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
    /// A message that no answer consists of, such as a dictionary.
    #[error("the stream holds a message of kind {kind}, which is not taken")]
    Kind {
        /// The number of the kind in the format.
        kind: u8,
    },
    /// A property that is not used here.
    #[error("a message has {what}, which is not taken")]
    Extra {
        /// Which property.
        what: &'static str,
    },
    /// Rows before the schema, or a second schema.
    #[error("{what}")]
    Order {
        /// What came when.
        what: &'static str,
    },
    /// More columns than any answer has.
    #[error("the stream has {columns} columns; the most is {MAX_COLUMNS}")]
    Columns {
        /// How many.
        columns: usize,
    },
    /// A column of a type that is not sent.
    #[error("column {column} is of a type that is not taken")]
    Type {
        /// Its number, from 1.
        column: usize,
    },
    /// A column other than the expected one.
    #[error("column {column} is not the expected one")]
    Unexpected {
        /// Its number, from 1; one more than there are if some are missing.
        column: usize,
    },
    /// A number of rows that no batch has.
    #[error("a batch states {rows} rows; from 1 to {MAX_ROWS} are taken, and {MAX_CELLS} values")]
    Rows {
        /// The stated number.
        rows: i64,
    },
    /// A body that no message has.
    #[error("the body of a message states {length} bytes; the most is {MAX_BODY}")]
    Body {
        /// The stated length.
        length: i64,
    },
    /// Nodes or buffers are more or fewer than the schema asks for.
    #[error("a batch does not have the {what} that its columns need")]
    Count {
        /// Nodes or buffers.
        what: &'static str,
    },
    /// Lengths in a batch that do not fit its rows.
    #[error("column {column} of a batch has {what} that does not fit its rows")]
    Column {
        /// Its number, from 1.
        column: usize,
        /// Which part of it.
        what: &'static str,
    },
    /// A buffer outside of the body, or over another one.
    #[error("a buffer of column {column} lies outside of its place in the body")]
    Buffer {
        /// Its number, from 1.
        column: usize,
    },
    /// Text, offsets or counts inside the body are wrong.
    #[error("the values of a batch do not make up its columns")]
    Values,
    /// Bytes behind the end mark.
    #[error("bytes follow the end of the rows")]
    AfterEnd,
    /// The stream stops in the middle of a message.
    #[error("the rows end in the middle of a message")]
    CutOff,
}
