//! What can keep a file from becoming a version.

use concordat_protocol::{
    ids::{DatasetName, SegmentName},
    signed::SignatureError,
};
use parquet::errors::ParquetError;

use crate::{
    catalog::{CatalogError, writer::WriteError},
    error_kind::ErrorKind,
    ingest::IngestError,
};

/// Why an import failed; the dataset is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read as a table.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// The dataset cannot be found, read or written.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// There is a dataset of this name.
    #[error("there is a dataset `{name}` already; import with `--append` or `--replace`, or choose another name")]
    Exists {
        /// The name as given.
        name: DatasetName,
    },
    /// The dataset lies in another segment than the one named.
    #[error("dataset `{name}` lies in segment `{segment}` and cannot move to `{wanted}`; import it under another name")]
    OtherSegment {
        /// The dataset.
        name: DatasetName,
        /// The segment as given.
        wanted: SegmentName,
        /// The segment it lies in.
        segment: SegmentName,
    },
    /// The file's columns are not those of the dataset.
    #[error("the file does not fit dataset `{name}`: {}; fix it, or import it with `--replace`", differences.join(", "))]
    Columns {
        /// The dataset.
        name: DatasetName,
        /// Each difference, in words.
        differences: Vec<String>,
    },
    /// Nobody said whose records the rows of a new dataset are.
    #[error(
        "whose records the rows are was not stated; name the column that tells people apart with `--subject-column COLUMN`, or \
         say `--each-row-is-a-subject` if nobody has more than one row"
    )]
    SubjectUnstated,
    /// The key given to sign with is not the institution's.
    #[error("the key to sign with is not the institution's")]
    ForeignSigner,
    /// Another import made a version meanwhile.
    #[error("dataset `{name}` was changed during the import; import again")]
    Overtaken {
        /// The dataset.
        name: DatasetName,
    },
    /// The manifest cannot be signed.
    #[error("the manifest cannot be signed")]
    Sign(#[source] SignatureError),
    /// The rows cannot be encoded.
    #[error("the rows cannot be encoded")]
    Encode(#[source] ParquetError),
}

impl ImportError {
    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Ingest(source) => source.kind(),
            Self::Catalog(source) => source.kind(),
            Self::Exists { .. }
            | Self::OtherSegment { .. }
            | Self::Columns { .. }
            | Self::SubjectUnstated
            | Self::Overtaken { .. } => ErrorKind::Usage,
            Self::ForeignSigner | Self::Sign(_) | Self::Encode(_) => ErrorKind::Machine,
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
