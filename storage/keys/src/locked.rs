//! Memory for a key: a separate page that is locked out of swap, and is wiped when it is freed.
//!
//! Locks do not nest: the page of one key contains nothing else, so dropping one key does not unlock another. (Where pages are
//! larger than 4 KiB, as on some aarch64 machines, neighbors share one.) The memory that a process may lock is limited
//! (`RLIMIT_MEMLOCK`, usually 8 MiB: 2,000 keys); beyond that a key works the same and may be swapped out.

use std::sync::Once;

use region::LockGuard;
use zeroize::Zeroize;

const PAGE: usize = 4096;

#[repr(C, align(4096))]
struct Page([u8; PAGE]);

/// 32 bytes on a separate page.
pub(super) struct LockedKey {
    /// Dropped before the page that it refers to.
    lock: Option<LockGuard>,
    page: Box<Page>,
}

impl LockedKey {
    /// A key of zeros, to be filled in place.
    pub(super) fn zeroed() -> Self {
        let page = Box::new(Page([0; PAGE]));
        let lock = region::lock(page.0.as_ptr(), PAGE).inspect_err(warn_once).ok();
        Self { lock, page }
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        #[expect(clippy::expect_used, reason = "by INVARIANT on PAGE: it is longer than a key")]
        self.page.0.first_chunk().expect("a page holds a key")
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8; 32] {
        #[expect(clippy::expect_used, reason = "by INVARIANT on PAGE: it is longer than a key")]
        self.page.0.first_chunk_mut().expect("a page holds a key")
    }

    /// Whether it is locked out of swap.
    #[cfg(test)]
    pub(super) fn is_locked(&self) -> bool {
        self.lock.is_some()
    }
}

impl Drop for LockedKey {
    fn drop(&mut self) {
        self.bytes_mut().zeroize();
        drop(self.lock.take());
    }
}

fn warn_once(error: &region::Error) {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| {
        tracing::warn!(%error, "keys cannot be locked into memory and may be swapped out; raise the limit, `LimitMEMLOCK=`");
    });
}
