//! The limits of an import; all of them bound memory.

/// Maximum columns of a table.
pub const MAX_COLUMNS: usize = 4096;
/// Maximum length of a field, in bytes.
pub const MAX_FIELD_BYTES: usize = 1024 * 1024;
/// Maximum length of a record, in bytes; bounds the memory of the reader.
pub const MAX_RECORD_BYTES: usize = 16 * 1024 * 1024;
/// Maximum length of a field in quotes that spans lines, in bytes: enough for a clinical note, but not for half a file.
pub const MAX_QUOTED_BYTES: usize = 64 * 1024;
/// Maximum number of lines that a quoted field may span.
pub const MAX_QUOTED_LINES: u64 = 1000;
