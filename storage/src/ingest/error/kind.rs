//! On whose side an error is.

use concordat_protocol::error_kind::{ErrorKind, Explain};

use super::IngestError;

impl Explain for IngestError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Read { .. }
            | Self::Interrupted { .. }
            | Self::RejectSink { .. }
            | Self::Unpack { .. }
            | Self::Arrow { .. }
            | Self::Undecodable { .. } => ErrorKind::Internal,
            Self::NotAFile { .. }
            | Self::Damaged { .. }
            | Self::Changed { .. }
            | Self::NotText { .. }
            | Self::OtherFormat { .. }
            | Self::NotOfFormat { .. }
            | Self::UnpacksToTooMuch { .. }
            | Self::NeedsMemory { .. }
            | Self::NotOneFile { .. }
            | Self::Archive { .. }
            | Self::Folder { .. }
            | Self::Spreadsheet { .. }
            | Self::SheetNotStated { .. }
            | Self::NoSuchSheet { .. }
            | Self::Parquet { .. }
            | Self::Unsupported { .. }
            | Self::OptionOfAnotherFormat { .. }
            | Self::NoObjects { .. }
            | Self::NamesTooLong
            | Self::Empty { .. }
            | Self::NotATable { .. }
            | Self::Layout { .. }
            | Self::UnknownEncoding { .. }
            | Self::Encoding { .. }
            | Self::Delimiter
            | Self::Notation { .. }
            | Self::NotOfKind { .. }
            | Self::HeaderUnclear { .. }
            | Self::HeaderRefused { .. }
            | Self::NameCount { .. }
            | Self::TooManyColumns { .. }
            | Self::DuplicateNames { .. }
            | Self::ReservedNames { .. }
            | Self::NewName { .. }
            | Self::NoSuchColumn { .. }
            | Self::SubjectMissing { .. }
            | Self::RowsRefused { .. }
            | Self::AllRowsRefused { .. } => ErrorKind::Usage,
        }
    }
}
