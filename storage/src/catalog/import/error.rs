//! Errors of an import.

use concordat_protocol::error_kind::{ErrorKind, Explain, chain};
use concordat_protocol::{
    ids::{DatasetName, SegmentName},
    schema::VersionNumber,
    signed::SignatureError,
};
use parquet::errors::ParquetError;

use crate::{
    catalog::{CatalogError, InvalidManifest, writer::WriteError},
    ingest::IngestError,
    ledger::AuthorityError,
    subjects::SubjectError,
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
    /// A collection of several datasets has this name.
    #[error("`{name}` is a collection of several datasets, which get new versions together")]
    Several {
        /// The collection.
        name: DatasetName,
    },
    /// A collection that is a dataset alone.
    #[error(
        "`{name}` would be a collection of one dataset of its name; import the file with `concordat dataset import {name}`"
    )]
    Alone {
        /// The collection.
        name: DatasetName,
    },
    /// Files of a collection that cannot be read as tables.
    #[error("{} of the files cannot be imported", failed.len())]
    Files {
        /// Why, for each of them.
        failed: Vec<(DatasetName, IngestError)>,
    },
    /// What is declared does not fit the files.
    #[error("what is declared about the collection does not fit its files")]
    Declared {
        /// Everything that is wrong, one sentence each.
        reasons: Vec<String>,
    },
    /// The subjects of the dataset have ordinals.
    #[error("the subjects of dataset `{name}` are numbered already")]
    Indexed {
        /// The dataset.
        name: DatasetName,
    },
    /// The subjects of a dataset of a collection cannot be found.
    #[error("dataset `{name}` {problem}")]
    Kind {
        /// The dataset.
        name: DatasetName,
        /// Why.
        problem: &'static str,
    },
    /// The file's columns are not those of the dataset.
    #[error(
        "the file does not match dataset `{name}`: {}; correct the file: a column that it lacks can be there without values, and \
         `--rename OLD=NEW` states the name of one that is named otherwise; `--replace` would replace all rows of the dataset",
        differences.join(", ")
    )]
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
    /// The rows of some of the files were added before.
    #[error(
        "the collection has the rows of {} of the files already; leave these files out, or add their rows once more with `--again`",
        repeated.len()
    )]
    RepeatedFiles {
        /// Their datasets, with the versions that the same files created.
        repeated: Vec<(DatasetName, VersionNumber)>,
    },
    /// It was not stated to whom the rows of a new dataset belong.
    #[error(
        "it was not stated to whom the rows belong; name the column that identifies a person with `--subject-column COLUMN`, or \
         use `--each-row-is-a-subject` if each person has at most one row"
    )]
    SubjectNotStated,
    /// The subjects of the rows cannot be numbered, or what is stored about them cannot be read.
    #[error(transparent)]
    Subjects(#[from] SubjectError),
    /// The rows of the version before cannot be read.
    #[error("the stored rows cannot be read")]
    Stored(#[source] ParquetError),
    /// The new version contradicts itself.
    #[error(transparent)]
    Manifest(#[from] InvalidManifest),
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
            Self::Subjects(source) => source.kind(),
            Self::Exists { .. }
            | Self::OtherSegment { .. }
            | Self::Several { .. }
            | Self::Alone { .. }
            | Self::Files { .. }
            | Self::Declared { .. }
            | Self::Indexed { .. }
            | Self::Kind { .. }
            | Self::Columns { .. }
            | Self::Repeated { .. }
            | Self::RepeatedFiles { .. }
            | Self::SubjectNotStated
            | Self::ConcurrentChange { .. } => ErrorKind::Usage,
            Self::Stored(_) => ErrorKind::Integrity,
            Self::WrongSigner | Self::Manifest(_) | Self::Sign(_) | Self::Encode(_) => ErrorKind::Internal,
        }
    }

    fn reasons(&self) -> Vec<String> {
        if let Self::Files { failed } = self {
            let reason = |(dataset, error): &(DatasetName, IngestError)| format!("`{dataset}`: {}", chain(error));
            failed.iter().map(reason).collect()
        } else if let Self::Declared { reasons } = self {
            reasons.clone()
        } else if let Self::RepeatedFiles { repeated } = self {
            let reason =
                |(dataset, version): &(DatasetName, VersionNumber)| format!("`{dataset}`: since version {version}");
            repeated.iter().map(reason).collect()
        } else {
            Vec::new()
        }
    }

    fn help(&self) -> Option<String> {
        // A text such as a description of the export ends like a table does.
        matches!(self, Self::Files { .. }).then(|| {
            "fix these files, or move those that are not tables of the collection out of the folder, and import again"
                .to_owned()
        })
    }
}

impl ImportError {
    /// Of reading stored rows: as Parquet, or from the store.
    pub(super) fn stored(error: ParquetError) -> Self {
        if let ParquetError::External(source) = error {
            return match source.downcast::<object_store::Error>() {
                Ok(source) => Self::Catalog(CatalogError::from(*source)),
                Err(source) => Self::Stored(ParquetError::External(source)),
            };
        }
        Self::Stored(error)
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
