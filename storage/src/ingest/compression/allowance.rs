//! How much a file may unpack to.
//!
//! A few bytes can stand for any number of them: a compressed file of zeros, a repeated row of a spreadsheet, a text that many cells
//! share. A real table, also one that consists of few different values, stays far below these limits.

use std::io;

/// Bytes that any file may unpack to.
const FREE: u64 = 64 * 1024 * 1024;
/// Further bytes that it may unpack to, for each of its own. Tables of clinical data unpack to ten or twenty times their size.
const RATIO: u64 = 200;
/// The most that any file may unpack to.
const MOST: u64 = 64 * 1024 * 1024 * 1024;

/// What a file has unpacked to so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowance {
    unpacked: u64,
}

impl Allowance {
    /// Adds `bytes` that were unpacked from a file of which `packed` bytes were read.
    ///
    /// # Errors
    /// [`Excess`] if it unpacks to too much.
    pub(crate) fn spend(&mut self, bytes: u64, packed: u64) -> Result<(), Excess> {
        self.unpacked = self.unpacked.saturating_add(bytes);
        let limit = packed.saturating_mul(RATIO).saturating_add(FREE).min(MOST);
        if self.unpacked > limit { Err(Excess) } else { Ok(()) }
    }
}

/// A file unpacks to more than a table would.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it unpacks to more than {} MiB and {RATIO} times its own size, or to more than {} GiB", FREE >> 20, MOST >> 30)]
pub(crate) struct Excess;

impl Excess {
    /// Whether this is why reading failed.
    pub(crate) fn is_reason(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|reason| reason.is::<Self>())
    }
}

impl From<Excess> for io::Error {
    fn from(excess: Excess) -> Self {
        Self::new(io::ErrorKind::InvalidData, excess)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_files_unpack_freely_and_large_ones_in_proportion() {
        let spend = |bytes, packed| Allowance::default().spend(bytes, packed);
        assert_eq!(spend(FREE, 0), Ok(()));
        assert_eq!(spend(FREE + 1, 0), Err(Excess));
        assert_eq!(spend(FREE + 1000 * RATIO, 1000), Ok(()));
        assert_eq!(spend(FREE + 1000 * RATIO + 1, 1000), Err(Excess));
        assert_eq!(spend(MOST, MOST), Ok(()));
        assert_eq!(spend(MOST + 1, u64::MAX), Err(Excess));
    }

    #[test]
    fn bytes_add_up() {
        let mut allowance = Allowance::default();
        allowance.spend(FREE, 0).unwrap();
        assert_eq!(allowance.spend(1, 0), Err(Excess));
        assert!(Excess::is_reason(&Excess.into()));
        assert!(!Excess::is_reason(&io::Error::from(io::ErrorKind::InvalidData)));
    }
}
