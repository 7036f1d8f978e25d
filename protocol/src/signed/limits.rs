//! The maximum size and nesting of signed documents and messages.

/// Largest signed document in bytes; a roster of 1,000 members takes about 300 KiB.
pub const MAX_DOCUMENT: usize = 1 << 20;

/// Deepest nesting of arrays and maps in a document or message; the deepest in use stays below half of it.
pub const MAX_DEPTH: usize = 48;

/// Most signatures of a document: two parties, and some witnesses.
pub(super) const MAX_SIGNATURES: usize = 8;
