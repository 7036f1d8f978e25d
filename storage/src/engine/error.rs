//! Why a query was not answered, in words that reveal no value of the data.

use concordat_protocol::{ids::DatasetRef, scope::Tier};
use datafusion::error::DataFusionError;

use super::error_capture::CapturedError;
use crate::{
    arrow_stream::EncodeError,
    error_kind::ErrorKind,
    seal::{SealError, store_error_kind},
};

/// How much of a planner's message about the query itself is repeated, in characters.
const MAX_DETAIL: usize = 300;

/// Why a query was not answered, or why its answer ended early.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The query contains something that no query may contain.
    #[error("a query must be one plain `SELECT` over one dataset; {what} not allowed")]
    Refused {
        /// What it contains, with its verb: `joins are`.
        what: &'static str,
    },
    /// A function outside the list of allowed ones.
    #[error("the function `{name}` is not allowed here")]
    Function {
        /// Its name as written.
        name: String,
    },
    /// The tier of the permission does not allow this kind of query.
    #[error("the permission is for tier `{tier}`: {needs}")]
    Tier {
        /// The tier.
        tier: Tier,
        /// What a query at this tier must look like.
        needs: &'static str,
    },
    /// The text is no SQL.
    #[error("the query cannot be read: {detail}")]
    Syntax {
        /// Where and what, in terms of the query's own text.
        detail: String,
    },
    /// The text is too long or nested too deeply.
    #[error("the query is {what}; the most is {max}")]
    TooComplex {
        /// In which way.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// A column that is not there, whether it does not exist or is hidden.
    #[error("no column `{column}` in `{dataset}`")]
    UnknownColumn {
        /// The name as written.
        column: String,
        /// The dataset.
        dataset: DatasetRef,
    },
    /// A table other than the one dataset.
    #[error("no dataset `{table}` under this permission, which is for `{dataset}`")]
    UnknownTable {
        /// The name as written.
        table: String,
        /// The dataset of the permission.
        dataset: DatasetRef,
    },
    /// The query is well formed but does not fit the columns.
    #[error("the query does not fit the columns: {detail}")]
    Invalid {
        /// What does not fit, in terms of the query and the visible columns.
        detail: String,
    },
    /// The permission transforms a column in a way that its type does not have.
    #[error("column `{column}` holds `{found}`, which cannot be {transform}")]
    TransformMismatch {
        /// The column.
        column: String,
        /// The Arrow type of the column.
        found: String,
        /// The transform of the permission.
        transform: String,
    },
    /// The permission's row filter compares a column with a value of another kind.
    #[error("the row filter of the permission does not fit column `{column}`")]
    RowsMismatch {
        /// The column.
        column: String,
    },
    /// The permission names a column that this version of the dataset lacks.
    #[error("the permission names column `{column}`, which the dataset does not have")]
    MissingColumn {
        /// The column.
        column: String,
    },
    /// The answer has more rows than the permission allows; nothing beyond the limit left.
    #[error("the answer has more than {limit} rows, the most this permission allows; narrow it or add `LIMIT {limit}`")]
    TooManyRows {
        /// The limit.
        limit: u64,
    },
    /// More groups than one answer may have.
    #[error("the query makes more than {limit} groups; group more coarsely")]
    TooManyGroups {
        /// The limit.
        limit: usize,
    },
    /// The query needs more memory than one query may take.
    #[error("the query needs more memory than one query may take; narrow it")]
    Memory,
    /// The process of the engine ended before its answer did: it ran into the limits that the kernel holds it to.
    #[error("the query needs more memory, or is more complex, than one query may; narrow or split it")]
    Ended,
    /// What a process of the engine reported.
    #[error("{text}")]
    Reported {
        /// What kind of error it is.
        kind: ErrorKind,
        /// Its message.
        text: String,
    },
    /// The time for the query is over.
    #[error("the query took longer than it may; narrow it")]
    Deadline,
    /// The permission ended while the answer was on its way.
    #[error("the answer was cut: {reason}")]
    Cut {
        /// What ended it.
        reason: String,
    },
    /// Stored data cannot be read.
    #[error("the stored data cannot be read{}", away(*kind))]
    Stored {
        /// Whether the bytes are not those written, or the machine failed.
        kind: ErrorKind,
    },
    /// A value could not be computed; which one is not said.
    #[error("a value of the answer could not be computed")]
    Computation,
    /// Columns, or a row, that no answer can carry.
    #[error(transparent)]
    Encoding(#[from] EncodeError),
    /// The engine failed on our account.
    #[error("the query engine failed while it was {step}")]
    Engine {
        /// What it was doing.
        step: &'static str,
    },
}

impl QueryError {
    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused { .. } | Self::Function { .. } | Self::Tier { .. } => ErrorKind::Denied,
            Self::TooManyRows { .. } | Self::TooManyGroups { .. } | Self::Cut { .. } => ErrorKind::Denied,
            Self::Syntax { .. } | Self::TooComplex { .. } | Self::Invalid { .. } => ErrorKind::Usage,
            Self::UnknownColumn { .. } | Self::UnknownTable { .. } | Self::Memory | Self::Deadline => ErrorKind::Usage,
            Self::Ended => ErrorKind::Usage,
            Self::Reported { kind, .. } => *kind,
            Self::TransformMismatch { .. } | Self::RowsMismatch { .. } | Self::MissingColumn { .. } => {
                ErrorKind::Denied
            }
            Self::Computation => ErrorKind::Usage,
            Self::Encoding(EncodeError::Encoder(_)) => ErrorKind::Machine,
            Self::Encoding(EncodeError::Type { .. } | EncodeError::Columns | EncodeError::Row) => ErrorKind::Usage,
            Self::Stored { kind } => *kind,
            Self::Engine { .. } => ErrorKind::Machine,
        }
    }

    /// An error of the planner. It has seen the query and the visible columns but no data, so its own words may be repeated.
    pub(crate) fn planning(error: &DataFusionError, dataset: &DatasetRef) -> Self {
        let root = error.find_root();
        if let DataFusionError::SchemaError(schema, _) = root
            && let datafusion::common::SchemaError::FieldNotFound { field, .. } = schema.as_ref()
        {
            return Self::unknown_column(field.name(), dataset);
        }
        let text = root.strip_backtrace();
        Self::Invalid {
            detail: text
                .lines()
                .next()
                .unwrap_or_default()
                .chars()
                .take(MAX_DETAIL)
                .collect(),
        }
    }

    pub(crate) fn unknown_column(name: &str, dataset: &DatasetRef) -> Self {
        Self::UnknownColumn {
            column: name.chars().take(64).collect(),
            dataset: dataset.clone(),
        }
    }

    /// An error of the running engine. Its words may quote values (`cannot cast 'Smith'`), so only its kind is kept.
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other kind may quote a value")]
    pub(super) fn running(error: &DataFusionError, seen: &CapturedError) -> Self {
        if let Some(kind) = stored_error_kind(error, seen) {
            return Self::Stored { kind };
        }
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => Self::Memory,
            DataFusionError::IoError(_) => Self::Stored {
                kind: ErrorKind::Machine,
            },
            DataFusionError::Internal(_) | DataFusionError::ExecutionJoin(_) => Self::Engine { step: "answering" },
            _ => Self::Computation,
        }
    }
}

/// Says of a store elsewhere that it is the reason; that tells nothing about the data.
fn away(kind: ErrorKind) -> &'static str {
    if kind == ErrorKind::Unreachable {
        ": the object store of this institution does not answer; ask again later"
    } else {
        ""
    }
}

/// The kind of the error of a store, wherever in the chain it stands. An error of the reader that does not say what the store said may be
/// about that.
fn stored_error_kind(error: &(dyn std::error::Error + 'static), seen: &CapturedError) -> Option<ErrorKind> {
    let mut next = Some(error);
    let mut parquet = false;
    while let Some(current) = next {
        if let Some(seal) = current.downcast_ref::<SealError>() {
            return Some(seal.kind());
        }
        if let Some(store) = current.downcast_ref::<object_store::Error>() {
            return Some(store_error_kind(store));
        }
        if let Some(DataFusionError::ObjectStore(store)) = current.downcast_ref::<DataFusionError>() {
            return Some(store_error_kind(store));
        }
        parquet |= matches!(
            current.downcast_ref::<DataFusionError>(),
            Some(DataFusionError::ParquetError(_))
        );
        parquet |= current.is::<parquet::errors::ParquetError>();
        next = current.source();
    }
    parquet.then(|| seen.kind().unwrap_or(ErrorKind::Integrity))
}
