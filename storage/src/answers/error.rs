//! Errors of the logs of answers.

use std::path::PathBuf;

use concordat_keys::KeyError;
use concordat_protocol::{
    error_kind::{ErrorKind, Explain},
    time::Timestamp,
};

use super::record::{BadRecord, MAX_RECORD};
use crate::meta::MetaError;

/// Why answers could not be recorded or read.
#[derive(Debug, thiserror::Error)]
pub enum AnswersError {
    /// A file could not be read or written.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// A log is not what was released.
    #[error(
        "the log of answers `{}` is damaged at record {record}: {reason}; nothing is answered from it; restore the data directory from a \
         backup, and find out who could write to it",
        path.display()
    )]
    Damaged {
        /// The log.
        path: PathBuf,
        /// The first invalid record, from 0.
        record: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// The state is an older copy, and answers since then may be missing.
    #[error(
        "this node was restored from a copy in which answers are known until {} only; a steward must acknowledge that later ones do not \
         count",
        known_until.exact()
    )]
    OlderCopy {
        /// The time of the copy.
        known_until: Timestamp,
    },
    /// The log is open already.
    #[error("the log of answers is in use")]
    InUse,
    /// The head is not the one that the log was opened or appended with: the dataset was erased, or another caller wrote.
    #[error("the log of answers was changed or erased in the meantime; open it again")]
    Changed,
    /// A record is longer than a log may contain.
    #[error("a record of {bytes} bytes is too long for a log of answers; the limit is {MAX_RECORD}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The log has as many records as it may have.
    #[error("the log of answers has {limit} records, which is the limit")]
    Full {
        /// The most.
        limit: u64,
    },
    /// A record cannot be sealed.
    #[error("cannot seal a record of answers")]
    Key(#[source] KeyError),
    /// State cannot be read or written.
    #[error(transparent)]
    Meta(#[from] MetaError),
}

impl AnswersError {
    pub(super) fn io(action: &'static str, path: PathBuf) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, path, source }
    }

    /// The error of a record of the log at `path`.
    pub(super) fn record(path: PathBuf, record: u64, bad: BadRecord) -> Self {
        match bad {
            BadRecord::Broken(reason) => Self::Damaged { path, record, reason },
            BadRecord::Io(source) => Self::io("read", path)(source),
        }
    }
}

impl Explain for AnswersError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Damaged { .. } | Self::OlderCopy { .. } => ErrorKind::Integrity,
            Self::InUse => ErrorKind::Locked,
            Self::TooLong { .. } | Self::Full { .. } => ErrorKind::Usage,
            Self::Io { .. } | Self::Changed => ErrorKind::Internal,
            Self::Key(source) => source.kind(),
            Self::Meta(source) => source.kind(),
        }
    }
}
