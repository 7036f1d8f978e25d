//! Rows on the wire: the one form of the Arrow IPC stream that nodes write, and the one reader that takes nothing else.
//!
//! ```text
//! stream  = schema message, record batch messages of at least one row, end mark
//! message = ff ff ff ff | length (u32, little-endian) | metadata (FlatBuffers, `length` bytes) | body
//! end     = ff ff ff ff 00 00 00 00
//! ```
//!
//! Whatever comes from another process is looked at before it is decoded, and before memory is taken for it:
//!
//! 1. [`CheckedStream`] takes bytes as they arrive, in pieces of any size. The length of the metadata is bounded, then its
//!    tables are verified under limits of depth, number and size.
//! 2. The schema comes first and once. It has columns of the flat types that [`StreamEncoder`] writes; no dictionaries, no
//!    nesting, no metadata of its own. A reader that knows its columns takes only those.
//! 3. Each batch states its rows, nodes and buffers. They have to be exactly those of the schema; every buffer lies inside the
//!    bounded body, behind the one before, and holds what its column needs. Compression and dictionaries are refused.
//! 4. Only then do the body's bytes become arrays, with every offset and all text validated.
//!
//! So one message and the arrays over it are all the memory that a stream takes, and each byte is looked at a fixed number of
//! times. [`StreamEncoder`] keeps the same limits, so that no node sends what another one refuses.

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

/// Most columns of a stream; as many as an import takes.
pub const MAX_COLUMNS: usize = 4096;
/// Most bytes of the metadata of one message: the names and types of [`MAX_COLUMNS`] columns.
pub const MAX_METADATA: usize = 1 << 20;
/// Most bytes of the body of one message. A longest record of an import fits, with its offsets; batches of many rows are cut
/// much smaller by whoever sends them.
pub const MAX_BODY: usize = 20 << 20;
/// Most rows of one batch. Columns without bytes have as many values as their batch has rows.
pub const MAX_ROWS: usize = 1 << 16;
/// Most values of one batch, over all columns; readers that show values take memory for each.
pub const MAX_CELLS: usize = 1 << 20;

/// Bytes before the metadata of a message: the continuation mark and the length.
const PREFIX: usize = 8;
/// What every message begins with.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// Every part of a message begins at a multiple of this.
const ALIGNMENT: usize = 8;
