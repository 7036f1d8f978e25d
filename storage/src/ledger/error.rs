//! What can go wrong with the ledger.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use concordat_protocol::audit::EntryError;
use concordat_protocol::audit::merkle::OutOfRange;
use concordat_protocol::signed::SignatureError;

use super::AnchorError;
use crate::error_kind::ErrorKind;
use crate::keys::KeyError;

/// Why the ledger cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A file could not be read or written.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// An append could not be made durable; from now on the ledger refuses.
    #[error(
        "the ledger could not be written; the node refuses to serve until the disk is fixed and it is started again"
    )]
    Write(#[source] Arc<io::Error>),
    /// An earlier append could not be made durable.
    #[error("the ledger takes no entries since a write failed; fix the disk and start the node again")]
    Refusing,
    /// What was acknowledged is not there any more as it was written.
    #[error("the ledger is damaged at entry {first_bad_entry}: {reason}; restore the folder `ledger` from a backup")]
    Damaged {
        /// Number of the first entry that does not hold.
        first_bad_entry: u64,
        /// What does not hold.
        reason: &'static str,
    },
    /// An older part of the ledger is still being read again.
    #[error(
        "the ledger is being verified since the start: {verified} of {of} entries so far; what lies behind them is shown \
         and signed when it is through"
    )]
    Verifying {
        /// Entries that were read again.
        verified: u64,
        /// Entries that have to be.
        of: u64,
    },
    /// What was found in an older part of the ledger while it was read again.
    #[error("the ledger did not stand its verification, and takes no more entries: {reason}")]
    Unverified {
        /// What was found.
        reason: String,
    },
    /// There is no such entry.
    #[error("there is no entry {sequence}, the ledger has {size}")]
    NoSuchEntry {
        /// The number that was asked for.
        sequence: u64,
        /// How many entries there are.
        size: u64,
    },
    /// No checkpoint covers the entry yet.
    #[error("the latest checkpoint covers {size} entries, not entry {sequence}; sign a new checkpoint first")]
    NotCheckpointed {
        /// The entry that was asked for.
        sequence: u64,
        /// Entries that the checkpoint covers.
        size: u64,
    },
    /// The entry breaks a bound.
    #[error("this cannot be an entry of the ledger")]
    Entry(#[source] EntryError),
    /// Sealing failed.
    #[error("the entry cannot be sealed")]
    Key(#[source] KeyError),
    /// The checkpoint cannot be signed or read.
    #[error("the checkpoint cannot be signed or read")]
    Signature(#[source] SignatureError),
    /// The checkpoint that lies here is not one of this institution.
    #[error(
        "the checkpoint in the folder `ledger` is not signed by this institution; put the newest copy of `ledger` back"
    )]
    ForeignCheckpoint(#[source] SignatureError),
    /// No tree of such a size.
    #[error("the ledger has no such size")]
    OutOfRange(#[source] OutOfRange),
    /// Ledger and sealed state do not belong together.
    #[error(transparent)]
    Anchor(#[from] AnchorError),
    /// The writer has ended.
    #[error("the ledger is closed")]
    Stopped,
}

impl LedgerError {
    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Damaged { .. } | Self::Unverified { .. } | Self::Signature(_) | Self::ForeignCheckpoint(_) => {
                ErrorKind::Integrity
            }
            Self::NoSuchEntry { .. } | Self::NotCheckpointed { .. } | Self::OutOfRange(_) => ErrorKind::NotFound,
            Self::Entry(_) => ErrorKind::Usage,
            Self::Io { .. } | Self::Write(_) | Self::Refusing | Self::Stopped => ErrorKind::Machine,
            // It comes by waiting.
            Self::Verifying { .. } => ErrorKind::Unreachable,
            Self::Key(source) => source.kind(),
            Self::Anchor(source) => source.kind(),
        }
    }

    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn damaged(first_bad_entry: u64, reason: &'static str) -> Self {
        Self::Damaged {
            first_bad_entry,
            reason,
        }
    }
}
