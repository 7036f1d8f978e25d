//! What an import takes at the most; all of it bounds memory.

/// The most columns a table can have.
pub const MAX_COLUMNS: usize = 4096;
/// The longest field, in bytes.
pub const MAX_FIELD_BYTES: usize = 1024 * 1024;
/// The longest record, in bytes; bounds the memory of the reader.
pub const MAX_RECORD_BYTES: usize = 16 * 1024 * 1024;
/// The longest quoted field that spans lines, in bytes: room for a clinical note, not for half a file.
pub const MAX_QUOTED_BYTES: usize = 64 * 1024;
/// The most lines that a quoted field spans.
pub const MAX_QUOTED_LINES: u64 = 1000;
