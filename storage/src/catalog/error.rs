//! Errors of datasets.

use concordat_keys::{IdentityError, KeyError};
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::{
    ids::{CollectionName, ColumnName, DatasetName, SegmentName},
    release::InvalidLimits,
    schema::VersionNumber,
    signed::SignatureError,
};

use crate::{
    answers::AnswersError, meta::MetaError, objects::LocationError, seal::store_error_kind, subjects::SubjectError,
};

/// Why a dataset cannot be found, changed or read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// A limit that is not allowed.
    #[error(transparent)]
    Limits(#[from] InvalidLimits),
    /// There is no such dataset.
    #[error("there is no dataset `{name}`")]
    NotFound {
        /// The name as given.
        name: DatasetName,
    },
    /// The dataset has no such version.
    #[error("dataset `{name}` has no version {version}; it has {}", range(*oldest, *current))]
    NoSuchVersion {
        /// The dataset.
        name: DatasetName,
        /// The requested version.
        version: VersionNumber,
        /// The oldest version that is kept.
        oldest: VersionNumber,
        /// Its newest version.
        current: VersionNumber,
    },
    /// Columns without a class.
    #[error(
        "dataset `{name}` cannot be published while columns are unclassified: {}; run `concordat dataset classify {name} {}`",
        list(columns),
        classes(columns)
    )]
    Unclassified {
        /// The dataset.
        name: DatasetName,
        /// The columns without a class.
        columns: Vec<ColumnName>,
    },
    /// Columns of a collection of several datasets without a class.
    #[error("collection `{name}` cannot be published while {columns} columns have no class")]
    CollectionUnclassified {
        /// The collection.
        name: CollectionName,
        /// How many.
        columns: usize,
    },
    /// Rules for what is a dataset alone.
    #[error("`{name}` is a dataset alone: only the classes of its columns can be declared")]
    NotSeveral {
        /// The dataset.
        name: DatasetName,
    },
    /// A column that becomes complete, or gets other levels as a complete one, without the rows being read.
    #[error(
        "whether `{dataset}.{column}` is complete is checked by an import: declare it with the files of the next version"
    )]
    CompleteUnchecked {
        /// The dataset.
        dataset: DatasetName,
        /// The column.
        column: ColumnName,
    },
    /// What is declared does not fit the columns.
    #[error("what is declared about `{name}` does not fit the columns of its current version")]
    InvalidRules {
        /// The collection.
        name: DatasetName,
    },
    /// A change of what is declared without its ledger entry.
    #[error("a change of what is declared about `{name}` is not in the ledger")]
    NotEntered {
        /// The collection.
        name: DatasetName,
    },
    /// A version was created while something was declared about the one before.
    #[error("`{name}` has got a new version in the meantime; try again")]
    NewVersion {
        /// The collection.
        name: DatasetName,
    },
    /// The dataset does not have these columns.
    #[error("dataset `{name}` has no column {}", list(columns))]
    UnknownColumns {
        /// The dataset.
        name: DatasetName,
        /// The names as given.
        columns: Vec<ColumnName>,
    },
    /// There is no such segment.
    #[error("there is no segment `{segment}`")]
    NoSegment {
        /// The name as given.
        segment: SegmentName,
    },
    /// An object that was to be reencrypted or backed up does not match its manifest.
    #[error(
        "object `{path}` of dataset `{name}` does not match its manifest; restore it from a backup, or import its data again \
         and keep only the new version"
    )]
    Changed {
        /// The dataset.
        name: DatasetName,
        /// The object.
        path: String,
    },
    /// A statement cannot be signed.
    #[error("the erasure statement cannot be signed")]
    Sign(#[source] SignatureError),
    /// An erasure statement is not signed by this institution.
    #[error("an erasure statement is not signed by this institution")]
    Statement(#[source] SignatureError),
    /// A dataset has had as many keys as its erasure statement can name.
    #[error("dataset `{name}` has had too many keys; export it and import it under another name")]
    TooManyKeys {
        /// The dataset.
        name: DatasetName,
    },
    /// The key of a segment is missing.
    #[error("the key of segment `{segment}` is missing; restore the data directory from a backup")]
    SegmentMissing {
        /// The segment.
        segment: SegmentName,
    },
    /// The manifest of a version is missing.
    #[error("the manifest of dataset `{name}` version {version} is missing; restore the data directory from a backup")]
    ManifestMissing {
        /// The dataset.
        name: DatasetName,
        /// The version.
        version: VersionNumber,
    },
    /// The manifest is not signed by this institution.
    #[error("the manifest of dataset `{name}` version {version} is not signed by this institution")]
    Signature {
        /// The dataset.
        name: DatasetName,
        /// The version.
        version: VersionNumber,
        /// What is invalid.
        #[source]
        source: SignatureError,
    },
    /// A signed manifest that belongs to another dataset or version.
    #[error("the manifest found for dataset `{name}` version {version} belongs to another dataset or version")]
    OtherManifest {
        /// The dataset.
        name: DatasetName,
        /// The version.
        version: VersionNumber,
    },
    /// The bytes of an object do not match the manifest.
    #[error("object `{path}` of dataset `{name}` version {version} does not match its manifest")]
    Content {
        /// The dataset.
        name: DatasetName,
        /// The version.
        version: VersionNumber,
        /// The object.
        path: String,
    },
    /// There is no tokio runtime for file I/O.
    #[error("this call needs a thread of a tokio runtime")]
    NoRuntime,
    /// A key cannot be opened.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// State could not be read or written.
    #[error(transparent)]
    Meta(#[from] MetaError),
    /// What was answered could not be read or recorded.
    #[error(transparent)]
    Answers(#[from] AnswersError),
    /// What is stored about subjects could not be read.
    #[error(transparent)]
    Subjects(#[from] SubjectError),
    /// An object could not be read or written.
    #[error(transparent)]
    Store(object_store::Error),
    /// The object location cannot be used.
    #[error(transparent)]
    Location(LocationError),
    /// The institution's key cannot be read.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl Explain for CatalogError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } | Self::NoSuchVersion { .. } | Self::NoSegment { .. } => ErrorKind::NotFound,
            Self::Unclassified { .. }
            | Self::CollectionUnclassified { .. }
            | Self::NotSeveral { .. }
            | Self::NewVersion { .. }
            | Self::InvalidRules { .. }
            | Self::CompleteUnchecked { .. }
            | Self::UnknownColumns { .. }
            | Self::TooManyKeys { .. }
            | Self::Limits(_) => ErrorKind::Usage,
            Self::SegmentMissing { .. }
            | Self::ManifestMissing { .. }
            | Self::Signature { .. }
            | Self::OtherManifest { .. }
            | Self::Content { .. }
            | Self::Changed { .. }
            | Self::Statement(_) => ErrorKind::Integrity,
            Self::NoRuntime | Self::Sign(_) | Self::NotEntered { .. } => ErrorKind::Internal,
            Self::Key(source) => source.kind(),
            Self::Meta(source) => source.kind(),
            Self::Answers(source) => source.kind(),
            Self::Subjects(source) => source.kind(),
            Self::Store(source) => store_error_kind(source),
            Self::Location(source) => source.kind(),
            Self::Identity(source) => source.kind(),
        }
    }
}

impl From<object_store::Error> for CatalogError {
    fn from(error: object_store::Error) -> Self {
        LocationError::within(error).map_or_else(Self::Store, Self::Location)
    }
}

fn range(oldest: VersionNumber, current: VersionNumber) -> String {
    if oldest == current {
        format!("only {current}")
    } else {
        format!("{oldest} to {current}")
    }
}

fn list(columns: &[ColumnName]) -> String {
    let names: Vec<String> = columns.iter().map(|column| format!("`{column}`")).collect();
    names.join(", ")
}

fn classes(columns: &[ColumnName]) -> String {
    let pairs: Vec<String> = columns.iter().map(|column| format!("{column}=CLASS")).collect();
    pairs.join(" ")
}
