//! What is wrong with a spreadsheet.

use std::{io, path::Path};

use crate::ingest::{
    compression::{ArchiveError, Excess},
    error::IngestError,
    fingerprint::read_error,
};

/// Why a spreadsheet cannot be read any further.
#[derive(Debug)]
pub(super) enum Damage {
    /// What is wrong, and what to do if its author can avoid it.
    Reason(&'static str),
    /// It has far more cells than its size explains.
    Excess,
    /// The system fails.
    Read(io::Error),
}

impl Damage {
    /// Anything that a correct file does not contain.
    pub(super) const DAMAGED: Self =
        Self::Reason("it is damaged or incomplete; open it in the spreadsheet program, and save it again or as CSV");
    /// A part, or a value in it, exceeds a limit.
    pub(super) const TOO_LARGE: Self =
        Self::Reason("its texts or styles, or one of its values, are larger than is read; save the sheet as CSV");
    /// The cells of a table are in order.
    pub(super) const UNORDERED: Self =
        Self::Reason("its cells are not in order; open it in the spreadsheet program, and save it again or as CSV");

    /// The error for the file at `path`.
    pub(super) fn of(self, path: &Path) -> IngestError {
        let path = path.to_owned();
        match self {
            Self::Reason(reason) => IngestError::Spreadsheet { path, reason },
            Self::Excess => IngestError::UnpacksToTooMuch { path },
            Self::Read(source) => read_error(&path, source),
        }
    }
}

impl From<Excess> for Damage {
    fn from(_: Excess) -> Self {
        Self::Excess
    }
}

impl From<ArchiveError> for Damage {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Read(error) => Self::Read(error),
            ArchiveError::Refused(reason) => Self::Reason(reason),
        }
    }
}

/// The errors of the library are not passed on, because they may quote a value.
impl From<quick_xml::Error> for Damage {
    fn from(error: quick_xml::Error) -> Self {
        let quick_xml::Error::Io(error) = error else {
            return Self::DAMAGED;
        };
        if Excess::is_reason(&error) {
            Self::Excess
        } else if error.get_ref().is_some_and(|reason| reason.is::<TooLong>()) {
            Self::TOO_LARGE
        } else if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) {
            Self::DAMAGED
        } else {
            Self::Read(io::Error::from(error.kind()))
        }
    }
}

/// A piece, or a file, is longer than is read.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("it is too long")]
pub(super) struct TooLong;
