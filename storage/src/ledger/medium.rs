//! Where the thread that appends writes.

use std::io;

/// Most appends that share one sync; limits how long the first of them waits.
pub(super) const MAX_GROUP: usize = 256;

/// Where appends are written.
pub(super) trait Medium: Send + 'static {
    /// Adds records at the end of the log; they are on disk when this returns.
    fn append(&mut self, records: &[u8]) -> io::Result<()>;
    /// Replaces the head. It need not be durable: the entries after an older one are recovered when the ledger is opened.
    fn put_head(&mut self, sealed: &[u8]) -> io::Result<()>;
    /// Adds the record of the end of a segment. It need not be durable: a missing record is computed again from the entries.
    fn put_segment(&mut self, record: &[u8]) -> io::Result<()>;
}
