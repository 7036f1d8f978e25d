//! Rows on the wire: the subset of the Arrow IPC stream format that nodes write, and a reader that accepts only this
//! subset.
//!
//! ```text
//! stream  = schema message, record batch messages of at least one row, end marker
//! message = ff ff ff ff | length (u32, little-endian) | metadata (FlatBuffers, `length` bytes) | body
//! end     = ff ff ff ff 00 00 00 00
//! ```
//!
//! Data from another process is checked before it is decoded, and before memory is allocated for it:
//!
//! 1. [`CheckedStream`] accepts bytes as they arrive, in chunks of any size. The length of the metadata is bounded,
//!    then its tables are verified with limits on depth, number and size.
//! 2. The schema comes first and exactly once. Its columns have the flat types that [`StreamEncoder`] writes;
//!    dictionaries, nesting and custom metadata are not allowed. A reader that expects certain columns accepts only
//!    those.
//! 3. Each batch states its rows, nodes and buffers. They must match the schema exactly; every buffer is inside the
//!    bounded body, after the previous one, and large enough for its column. Compression and dictionaries are refused.
//! 4. Only then are the body's bytes turned into arrays, with every offset and all text validated.
//!
//! So a stream needs memory only for one message and the arrays over it, and each byte is read a fixed number of times.
//! [`StreamEncoder`] enforces the same limits, so that no node sends a stream that another one refuses.

mod batch;
mod encoder;
mod error;
mod reader;
mod schema;
#[cfg(test)]
mod tests;

pub use encoder::{EncodeError, StreamEncoder};
pub use error::StreamViolation;
pub use reader::{CheckedStream, Item};

/// Maximum columns of a stream; the same limit as for an import.
pub const MAX_COLUMNS: usize = 4096;
/// Maximum bytes of the metadata of one message: the names and types of [`MAX_COLUMNS`] columns.
pub const MAX_METADATA: usize = 1 << 20;
/// Maximum bytes of the body of one message. The longest record of an import fits, with its offsets; the sender splits
/// batches of many rows into much smaller ones.
pub const MAX_BODY: usize = 20 << 20;
/// Maximum rows of one batch. It also bounds columns that have no bytes: they have as many values as their batch has
/// rows.
pub const MAX_ROWS: usize = 1 << 16;
/// Maximum values of one batch, over all columns; readers that display values allocate memory for each.
pub const MAX_CELLS: usize = 1 << 20;

/// Bytes before the metadata of a message: the continuation marker and the length.
const PREFIX: usize = 8;
/// The continuation marker at the start of every message.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// Every part of a message starts at a multiple of this.
const ALIGNMENT: usize = 8;
