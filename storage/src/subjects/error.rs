//! Why subjects could not be found, counted or read.

use arrow::{datatypes::DataType, error::ArrowError};
use concordat_protocol::error_kind::{ErrorKind, Explain};

/// Why the subjects of a collection could not be determined, or what is stored about them not read.
#[derive(Debug, thiserror::Error)]
pub enum SubjectError {
    /// A collection has more subjects than ordinals are given.
    #[error("the collection has more than {limit} subjects")]
    TooManySubjects {
        /// The most.
        limit: u32,
    },
    /// A dataset has more keys than others may be linked by.
    #[error(
        "a dataset has more than {limit} keys, which is too many for others to find their subjects by; give these a column with the \
         subject"
    )]
    TooManyKeys {
        /// The most.
        limit: usize,
    },
    /// A column that identifies subjects is not in the batch.
    #[error("a batch of rows has no column number {column}")]
    NoColumn {
        /// The index of the column.
        column: usize,
    },
    /// Rows and owners, or rows and keys, are not of the same number.
    #[error("{rows} rows have {others} owners")]
    Lengths {
        /// Rows.
        rows: usize,
        /// Owners.
        others: usize,
    },
    /// A column has a type that no import creates.
    #[error("column `{column}` has type `{found}`, which no import creates")]
    Type {
        /// The column.
        column: String,
        /// Its type.
        found: DataType,
    },
    /// A column cannot be converted.
    #[error("a column cannot be converted")]
    Arrow(#[source] ArrowError),
    /// What is stored about subjects cannot be read.
    #[error("what is stored about the subjects cannot be read")]
    Read(#[source] ArrowError),
    /// What is stored about subjects is not what was written.
    #[error("what is stored about the subjects is damaged: {what}")]
    Damaged {
        /// What is wrong with it.
        what: &'static str,
    },
}

impl Explain for SubjectError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::TooManySubjects { .. } | Self::TooManyKeys { .. } => ErrorKind::Usage,
            Self::NoColumn { .. } | Self::Lengths { .. } | Self::Type { .. } | Self::Arrow(_) => ErrorKind::Internal,
            Self::Read(_) | Self::Damaged { .. } => ErrorKind::Integrity,
        }
    }
}
