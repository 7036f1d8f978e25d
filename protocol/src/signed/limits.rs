//! The maximum size and nesting of signed documents and messages.

/// Largest signed document in bytes; a roster of 1,000 members takes about 300 KiB.
pub const MAX_DOCUMENT: usize = 1 << 20;

/// Deepest nesting of arrays and maps in a document or message; the deepest in use stays below half of it.
pub const MAX_DEPTH: usize = 48;
