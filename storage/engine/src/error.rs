//! Errors of queries, with messages that reveal no value of the data.

mod nearest;
mod planner_words;
mod tables;
mod unread;

use concordat_arrow_stream::EncodeError;
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::{ids::DatasetRef, scope::Tier};
use concordat_storage::seal::SealError;
use datafusion::{error::DataFusionError, sql::sqlparser::ast::ObjectName};

pub use nearest::{NearestNames, similar_names};
pub(crate) use unread::unread_texts;

use super::{error_capture::CapturedError, store_error::store_error_kind};

/// What the engine does while it reads and computes rows.
const ANSWERING: &str = "answering";

/// Why a query was not answered, or why its answer ended early.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The query contains something that is not allowed.
    #[error("a query must be one plain `SELECT` over one dataset; {what} not allowed")]
    Refused {
        /// What it contains, with its verb: `joins are`.
        what: &'static str,
    },
    /// A query over the datasets of a collection contains something that its holder does not compute.
    #[error("{what} not computed where the datasets are{}", nearest_form(*nearest))]
    NotComputed {
        /// What it contains, with its verb: `` `FULL JOIN` is ``.
        what: &'static str,
        /// How to write it instead.
        nearest: Option<&'static str>,
    },
    /// The query contains something that has no defined meaning, at holders and on the consumer's node.
    #[error("{what} not computed; {nearest}")]
    NotDefined {
        /// What it contains, with its verb: `` `EXCEPT ALL` is ``.
        what: &'static str,
        /// How to write it instead.
        nearest: &'static str,
    },
    /// A function outside the list of allowed ones.
    #[error(
        "the function `{name}` is not allowed here; `concordat query --functions` lists what is computed at each tier"
    )]
    Function {
        /// Its name as in the query.
        name: String,
    },
    /// A cast that may fail on a value, below tier `records`.
    #[error(
        "`CAST({operand} AS {target})` can fail on a value, which is not allowed below tier `records`; write `TRY_CAST({operand} AS {target})`, which gives a missing value, and `SELECT count(*) … WHERE {operand} IS NOT NULL AND TRY_CAST({operand} AS {target}) IS NULL` counts those"
    )]
    FallibleCast {
        /// What is cast, as in the query.
        operand: String,
        /// The SQL type.
        target: String,
    },
    /// A cast that the query wrote failed on a value.
    #[error(
        "a value of the answer cannot be cast to {target}; write `TRY_CAST` to get a missing value, and `IS NULL` after it to count those"
    )]
    CannotCast {
        /// The SQL type.
        target: String,
    },
    /// A whole number in one column with floating point numbers would become another number.
    #[error(
        "a value of `{operand}` is a whole number that has no `DOUBLE`, and is in one column with values that are `DOUBLE`; write `CAST({operand} AS DOUBLE)` for the nearest one, or a cast of both to `TEXT`"
    )]
    NoDouble {
        /// The whole number, as in the query.
        operand: String,
    },
    /// A sum of whole numbers does not fit in 64 bits.
    #[error("the sum of `{operand}` is beyond 64 bits; write `sum(CAST({operand} AS DOUBLE))`")]
    SumTooLarge {
        /// What is summed, as in the query.
        operand: String,
    },
    /// The tier of the permission does not allow this kind of query.
    #[error("the permission is for tier `{tier}`: {needs}")]
    Tier {
        /// The tier.
        tier: Tier,
        /// What a query at this tier must look like.
        needs: &'static str,
    },
    /// The text is not valid SQL.
    #[error("the query cannot be read: {detail}")]
    Syntax {
        /// Where and what, in terms of the query's text.
        detail: String,
    },
    /// The text is too long or nested too deeply.
    #[error("the query is {what}; the maximum is {max}")]
    TooComplex {
        /// What is too long or too deep.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// A column that is not visible, either because it does not exist or because it is hidden.
    #[error("no column `{column}` in `{}`{}", tables.join("` or `"), named(nearest, visible))]
    UnknownColumn {
        /// The name as in the query.
        column: String,
        /// The datasets or subqueries that it was looked for in; at least one.
        tables: Vec<String>,
        /// Visible columns with similar names.
        nearest: Vec<String>,
        /// Visible columns, the nearest first.
        visible: NearestNames,
    },
    /// A table other than the one dataset, or than those of the collection.
    #[error("no dataset `{table}` under this permission, which is for `{dataset}`{}", named(&[], visible))]
    UnknownTable {
        /// The name as in the query.
        table: String,
        /// The dataset of the permission.
        dataset: DatasetRef,
        /// The datasets of a collection that the permission covers, the nearest first; none of a dataset alone.
        visible: NearestNames,
    },
    /// The text names another version of the dataset than the query states, or only one of the two names a version.
    #[error("`VERSION AS OF` in the text differs from the version that the query states")]
    OtherVersion,
    /// The query is well formed but invalid for the columns.
    #[error("the query is not valid for the columns: {detail}")]
    Invalid {
        /// What is invalid, in terms of the query and the visible columns.
        detail: String,
    },
    /// The permission requires a transform that the type of a column does not support.
    #[error("column `{column}` has the type `{found}`, which cannot be {transform}")]
    TransformMismatch {
        /// The column.
        column: String,
        /// The Arrow type of the column.
        found: String,
        /// The transform of the permission.
        transform: String,
    },
    /// The permission has a part that the engine does not apply, so that it covers nothing here.
    #[error("the permission cannot be applied: {detail}")]
    NotApplied {
        /// The part.
        detail: String,
    },
    /// The permission's row filter compares a column with a value of another kind.
    #[error("the row filter of the permission does not match the type of column `{column}`")]
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
    /// The answer has more rows than the permission allows; nothing beyond the limit was released.
    #[error("the answer has more than {limit} rows, the most this permission allows; narrow it or add `LIMIT {limit}`")]
    TooManyRows {
        /// The limit.
        limit: u64,
    },
    /// The query has more groups than allowed.
    #[error("the query has more than {limit} groups; group more coarsely")]
    TooManyGroups {
        /// The limit.
        limit: usize,
    },
    /// The query needs more memory than one query may use.
    #[error("the query needs more memory than one query may use; narrow it")]
    Memory,
    /// The engine process ended before its answer was complete: it reached the limits that the kernel enforces.
    #[error("the query needs more memory, or is more complex, than one query may; narrow or split it")]
    Ended,
    /// An error reported by an engine process.
    #[error("{text}")]
    Reported {
        /// What kind of error it is.
        kind: ErrorKind,
        /// Its message.
        text: String,
    },
    /// The query reached its time limit.
    #[error("the query took longer than allowed; narrow it")]
    Deadline,
    /// The permission ended while the answer was being sent.
    #[error("the answer was stopped: {reason}")]
    Cut {
        /// What ended it.
        reason: String,
    },
    /// Stored data cannot be read.
    #[error("the stored data cannot be read{}", store_unreachable(*kind))]
    Stored {
        /// Whether the bytes were changed, or the machine or the store failed.
        kind: ErrorKind,
    },
    /// A value could not be computed; the message does not reveal which one.
    #[error("a value of the answer could not be computed")]
    Computation,
    /// Columns or a row that an answer cannot contain.
    #[error(transparent)]
    Encoding(#[from] EncodeError),
    /// The engine failed because of an internal error.
    #[error("the query engine failed while it was {step}")]
    Engine {
        /// What it was doing.
        step: &'static str,
    },
}

impl Explain for QueryError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused { .. } | Self::Function { .. } | Self::Tier { .. } => ErrorKind::Denied,
            Self::NotComputed { .. } => ErrorKind::Denied,
            Self::FallibleCast { .. } => ErrorKind::Denied,
            Self::TooManyRows { .. } | Self::TooManyGroups { .. } | Self::Cut { .. } => ErrorKind::Denied,
            Self::Syntax { .. } | Self::TooComplex { .. } | Self::Invalid { .. } => ErrorKind::Usage,
            Self::UnknownColumn { .. } | Self::UnknownTable { .. } | Self::Memory | Self::Deadline => ErrorKind::Usage,
            Self::OtherVersion | Self::Ended | Self::NotDefined { .. } => ErrorKind::Usage,
            Self::Reported { kind, .. } => *kind,
            Self::TransformMismatch { .. } | Self::RowsMismatch { .. } | Self::MissingColumn { .. } => {
                ErrorKind::Denied
            }
            Self::NotApplied { .. } => ErrorKind::Denied,
            Self::Computation | Self::CannotCast { .. } | Self::SumTooLarge { .. } => ErrorKind::Usage,
            Self::NoDouble { .. } => ErrorKind::Usage,
            Self::Encoding(EncodeError::Encoder(_)) => ErrorKind::Internal,
            Self::Encoding(
                EncodeError::Type { .. } | EncodeError::Columns | EncodeError::Row | EncodeError::Digits { .. },
            ) => ErrorKind::Usage,
            Self::Stored { kind } => *kind,
            Self::Engine { .. } => ErrorKind::Internal,
        }
    }
}

impl QueryError {
    /// A name that is not among the `visible` columns.
    pub(crate) fn unknown_column<'a>(
        name: &str,
        dataset: &DatasetRef,
        visible: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        Self::unknown_in(name, vec![dataset.to_string()], visible)
    }

    /// A name that is not among the `visible` columns of any of `tables`.
    fn unknown_in<'a>(name: &str, tables: Vec<String>, visible: impl IntoIterator<Item = &'a str>) -> Self {
        let visible: Vec<&str> = visible.into_iter().collect();
        Self::UnknownColumn {
            column: name.chars().take(64).collect(),
            tables,
            nearest: similar_names(name, visible.iter().copied()),
            visible: NearestNames::of(name, visible),
        }
    }

    /// A table that is not under the permission, or does not exist: which of the two, the error does not show.
    pub(crate) fn unknown_table<'a>(
        name: &ObjectName,
        dataset: &DatasetRef,
        visible: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let written = name.0.last().map_or_else(String::new, ToString::to_string);
        Self::UnknownTable {
            table: name.to_string().chars().take(128).collect(),
            dataset: dataset.clone(),
            visible: NearestNames::of(&written, visible),
        }
    }

    /// A function of this name, which is not on the list.
    pub(crate) fn unknown_function(name: &str) -> Self {
        Self::Function {
            name: name.chars().take(64).collect(),
        }
    }

    /// An error of a plan that the consumer's node computes. Its message may quote values, so only its kind is kept.
    #[must_use]
    pub fn computing(error: &DataFusionError) -> Self {
        if matches!(error.find_root(), DataFusionError::NotImplemented(_)) {
            return Self::Invalid {
                detail: "it cannot be planned; write it in a simpler form".to_owned(),
            };
        }
        Self::running(error, &CapturedError::default())
    }

    /// An error of the running engine. Its message may quote values (`cannot cast 'Smith'`), so only its kind is kept.
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other kind may quote a value")]
    pub(super) fn running(error: &DataFusionError, seen: &CapturedError) -> Self {
        if let Some(own) = own_error(error) {
            return own;
        }
        if let Some(kind) = stored_error_kind(error, seen) {
            return Self::Stored { kind };
        }
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => Self::Memory,
            DataFusionError::IoError(_) => Self::Stored {
                kind: ErrorKind::Internal,
            },
            DataFusionError::Internal(_) | DataFusionError::ExecutionJoin(_) => Self::Engine { step: ANSWERING },
            _ => Self::Computation,
        }
    }
}

/// An error of our own functions, wherever it is in the chain of sources: it names types and columns, and no value.
fn own_error(error: &(dyn std::error::Error + 'static)) -> Option<QueryError> {
    let mut next = Some(error);
    while let Some(current) = next {
        match current.downcast_ref::<QueryError>() {
            Some(QueryError::CannotCast { target }) => {
                return Some(QueryError::CannotCast { target: target.clone() });
            }
            Some(QueryError::NoDouble { operand }) => {
                return Some(QueryError::NoDouble {
                    operand: operand.clone(),
                });
            }
            Some(QueryError::SumTooLarge { operand }) => {
                return Some(QueryError::SumTooLarge {
                    operand: operand.clone(),
                });
            }
            Some(_) | None => next = current.source(),
        }
    }
    None
}

/// How to write what is not computed.
fn nearest_form(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; {nearest}"))
}

/// The names that are similar, as a suggestion, and those that there are.
fn named(nearest: &[String], visible: &NearestNames) -> String {
    let suggested = match nearest {
        [] => ";".to_owned(),
        names => format!("; did you mean `{}`?", names.join("` or `")),
    };
    match (visible.is_empty(), nearest) {
        (false, _) => format!("{suggested} there are {visible}"),
        (true, []) => String::new(),
        (true, _) => suggested,
    }
}

/// Adds that an unreachable object store is the reason; this reveals nothing about the data.
fn store_unreachable(kind: ErrorKind) -> &'static str {
    if kind == ErrorKind::Unreachable {
        ": the object store of this institution does not respond; try again later"
    } else {
        ""
    }
}

/// The kind of a store's error, wherever it is in the chain of sources. If an error of the Parquet reader has lost the
/// error of the store, the captured one is used.
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
