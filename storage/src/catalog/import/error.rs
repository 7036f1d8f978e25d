//! Errors of an import.

use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::{
    ids::{DatasetName, SegmentName},
    schema::VersionNumber,
    signed::SignatureError,
};
use parquet::errors::ParquetError;

use crate::{
    catalog::{CatalogError, writer::WriteError},
    ingest::IngestError,
    ledger::AuthorityError,
};

/// Why an import failed; the dataset is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read as a table.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// The dataset cannot be found, read or written.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// There already is a dataset with this name.
    #[error("there already is a dataset `{name}`; import with `--append` or `--replace`, or choose another name")]
    Exists {
        /// The name as given.
        name: DatasetName,
    },
    /// The dataset is in another segment than the requested one.
    #[error("dataset `{name}` is in segment `{segment}` and cannot move to `{wanted}`; import it under another name")]
    OtherSegment {
        /// The dataset.
        name: DatasetName,
        /// The segment as given.
        wanted: SegmentName,
        /// The segment of the dataset.
        segment: SegmentName,
    },
    /// The file's columns are not those of the dataset.
    #[error("the file does not match dataset `{name}`: {}; fix it, or import it with `--replace`", differences.join(", "))]
    Columns {
        /// The dataset.
        name: DatasetName,
        /// A description of each difference.
        differences: Vec<String>,
    },
    /// The rows of the same file were added before.
    #[error(
        "dataset `{name}` has the rows of this file already, since version {version}; to add them once more, import with `--again`"
    )]
    Repeated {
        /// The dataset.
        name: DatasetName,
        /// The version that the same file created.
        version: VersionNumber,
    },
    /// It was not stated to whom the rows of a new dataset belong.
    #[error(
        "it was not stated to whom the rows belong; name the column that identifies a person with `--subject-column COLUMN`, or \
         use `--each-row-is-a-subject` if each person has at most one row"
    )]
    SubjectNotStated,
    /// The key given to sign with is not the institution's.
    #[error("the key to sign with is not the institution's")]
    WrongSigner,
    /// Another import created a version in the meantime.
    #[error("dataset `{name}` was changed during the import; import again")]
    ConcurrentChange {
        /// The dataset.
        name: DatasetName,
    },
    /// The importer may not import any more.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The manifest cannot be signed.
    #[error("the manifest cannot be signed")]
    Sign(#[source] SignatureError),
    /// The rows cannot be encoded.
    #[error("the rows cannot be encoded")]
    Encode(#[source] ParquetError),
}

impl Explain for ImportError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Ingest(source) => source.kind(),
            Self::Catalog(source) => source.kind(),
            Self::Authority(source) => source.kind(),
            Self::Exists { .. }
            | Self::OtherSegment { .. }
            | Self::Columns { .. }
            | Self::Repeated { .. }
            | Self::SubjectNotStated
            | Self::ConcurrentChange { .. } => ErrorKind::Usage,
            Self::WrongSigner | Self::Sign(_) | Self::Encode(_) => ErrorKind::Internal,
        }
    }
}

impl From<WriteError> for ImportError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Parquet(source) => Self::Encode(source),
            WriteError::Store(source) => Self::Catalog(source.into()),
            WriteError::Key(source) => Self::Catalog(source.into()),
        }
    }
}
