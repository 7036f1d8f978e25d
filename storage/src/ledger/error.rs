//! Errors of the ledger.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use concordat_keys::KeyError;
use concordat_protocol::audit::EntryError;
use concordat_protocol::audit::merkle::OutOfRange;
use concordat_protocol::signed::SignatureError;

use super::attribution::AuthorityError;
use crate::meta::MetaError;
use concordat_protocol::error_kind::{ErrorKind, Explain};

/// Why an operation of the ledger failed.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A file could not be read or written.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// An append could not be made durable; from now on the ledger rejects appends.
    #[error(
        "the ledger could not be written; the node does not serve requests until the disk is fixed and it is restarted"
    )]
    Write(#[source] Arc<io::Error>),
    /// An earlier append could not be made durable.
    #[error("the ledger accepts no entries since a write failed; fix the disk and restart the node")]
    Refusing,
    /// An acknowledged entry is missing or changed.
    #[error("the ledger is damaged at entry {first_bad_entry}: {reason}; restore the folder `ledger` from a backup")]
    Damaged {
        /// Number of the first invalid entry.
        first_bad_entry: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// An older part of the ledger is still being verified.
    #[error(
        "the ledger is being verified after the start: {verified} of {of} entries so far; later entries are shown and \
         signed when it is complete"
    )]
    Verifying {
        /// Entries that were verified.
        verified: u64,
        /// Entries to verify.
        of: u64,
    },
    /// The verification of an older part of the ledger failed.
    #[error("the verification of the ledger failed, and it accepts no more entries: {reason}")]
    Unverified {
        /// What was found.
        reason: String,
    },
    /// There is no such entry.
    #[error("there is no entry {sequence}, the ledger has {size}")]
    NoSuchEntry {
        /// The requested number.
        sequence: u64,
        /// How many entries there are.
        size: u64,
    },
    /// No checkpoint covers the entry yet.
    #[error("the latest checkpoint covers {size} entries, not entry {sequence}; sign a new checkpoint first")]
    NotCheckpointed {
        /// The requested entry.
        sequence: u64,
        /// Entries that the checkpoint covers.
        size: u64,
    },
    /// The entry exceeds a limit.
    #[error("this is not a valid entry of the ledger")]
    Entry(#[source] EntryError),
    /// Sealing failed.
    #[error("the entry cannot be sealed")]
    Key(#[source] KeyError),
    /// The checkpoint cannot be signed or read.
    #[error("the checkpoint cannot be signed or read")]
    Signature(#[source] SignatureError),
    /// The stored checkpoint is not signed by this institution.
    #[error(
        "the checkpoint in the folder `ledger` is not signed by this institution; restore the newest copy of `ledger`"
    )]
    ForeignCheckpoint(#[source] SignatureError),
    /// The ledger never had this size.
    #[error("the ledger has no such size")]
    OutOfRange(#[source] OutOfRange),
    /// Ledger and sealed state do not match.
    #[error(transparent)]
    Anchor(#[from] AnchorError),
    /// The cause of the entry may act no longer.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The writer has ended.
    #[error("the ledger is closed")]
    Stopped,
}

impl Explain for LedgerError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Damaged { .. } | Self::Unverified { .. } | Self::Signature(_) | Self::ForeignCheckpoint(_) => {
                ErrorKind::Integrity
            }
            Self::NoSuchEntry { .. } | Self::NotCheckpointed { .. } | Self::OutOfRange(_) => ErrorKind::NotFound,
            Self::Entry(_) => ErrorKind::Usage,
            Self::Io { .. } | Self::Write(_) | Self::Refusing | Self::Stopped => ErrorKind::Internal,
            // Waiting resolves it.
            Self::Verifying { .. } => ErrorKind::Unreachable,
            Self::Key(source) => source.kind(),
            Self::Anchor(source) => source.kind(),
            Self::Authority(source) => source.kind(),
        }
    }
}

impl LedgerError {
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

/// Why ledger and sealed state do not match.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// The ledger has fewer entries than the state.
    #[error(
        "the folder `ledger` was replaced by an older copy: it has {found} entries, and the sealed state has \
         {anchored}; restore the newest copy of `ledger`, or restore a backup into an empty directory"
    )]
    LedgerOlder {
        /// Entries in the ledger.
        found: u64,
        /// Entries that the state covers.
        anchored: u64,
    },
    /// The ledger is another one.
    #[error(
        "the folder `ledger` was replaced: its first {anchored} entries are not those that the sealed state covers; restore \
         the newest copy of `ledger`, or restore a backup into an empty directory"
    )]
    OtherLedger {
        /// Entries that the state covers.
        anchored: u64,
    },
    /// The state is older than the ledger.
    #[error(
        "the folder `meta` was replaced by an older copy: the ledger has {found} entries, and the state has \
         {anchored}, which a crash cannot explain; restore the newest copy of `meta`, or restore a backup into an \
         empty directory"
    )]
    StateOlder {
        /// Entries in the ledger.
        found: u64,
        /// Entries that the state covers.
        anchored: u64,
    },
    /// The state cannot be read or written.
    #[error("the ledger cannot be compared with the sealed state")]
    State(#[from] MetaError),
}

impl AnchorError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::LedgerOlder { .. } | Self::OtherLedger { .. } | Self::StateOlder { .. } => ErrorKind::Integrity,
            Self::State(source) => source.kind(),
        }
    }
}
