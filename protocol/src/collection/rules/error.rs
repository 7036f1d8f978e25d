//! What is wrong with the rules of a collection.

use std::fmt;

use super::super::levels::LevelsError;
use super::super::measure::InvalidRange;
use crate::error_kind::{ErrorKind, Explain};
use crate::ids::{ColumnName, DatasetName};
use crate::schema::ColumnKind;

/// Most datasets of a collection.
pub const MAX_DATASETS: usize = 256;
/// Most columns of all datasets of a collection together, as in a scope.
pub const MAX_COLUMNS: usize = 4_096;

/// One mistake in the rules of a collection, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", Location(.dataset.as_ref(), .column.as_ref()))]
pub struct RulesError {
    /// The dataset; `None` if it is about the collection.
    pub dataset: Option<DatasetName>,
    /// The column; `None` if it is about the dataset.
    pub column: Option<ColumnName>,
    /// What is wrong.
    pub problem: RuleProblem,
}

impl Explain for RulesError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }
}

struct Location<'a>(Option<&'a DatasetName>, Option<&'a ColumnName>);

impl fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (Some(dataset), Some(column)) => write!(f, "`{dataset}.{column}`"),
            (Some(dataset), None) => write!(f, "`{dataset}`"),
            (None, _) => f.write_str("the collection"),
        }
    }
}

/// What is wrong at one dataset or column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleProblem {
    /// Rules for a dataset that does not exist.
    #[error("there is no such dataset")]
    UnknownDataset,
    /// Rules for a column that does not exist.
    #[error("there is no such column")]
    UnknownColumn,
    /// More datasets than a collection may have.
    #[error("there are more than {MAX_DATASETS} datasets")]
    TooManyDatasets,
    /// More columns than a collection may have.
    #[error("there are more than {MAX_COLUMNS} columns in all datasets together")]
    TooManyColumns,
    /// The name begins as those of the system do.
    #[error("the name is reserved")]
    Reserved,
    /// Two names that people would confuse.
    #[error("the name differs from `{other}` in upper and lower case only")]
    CaseOnly {
        /// The other column.
        other: ColumnName,
    },
    /// The levels are invalid.
    #[error("{0}")]
    Levels(LevelsError),
    /// The measured range is invalid.
    #[error("{0}")]
    Range(InvalidRange),
    /// A range for a column without numbers.
    #[error("a range is for columns of numbers")]
    RangeOfOther,
    /// Levels or a range for a column that identifies a person.
    #[error("a direct identifier can have neither levels nor a range")]
    LevelsOnIdentifier,
    /// Levels or a range for a key, which would distinguish single subjects or rows.
    #[error("a key can have neither levels nor a range")]
    LevelsOnKey,
    /// A key that contains neither whole numbers nor texts.
    #[error("a key must contain whole numbers or texts")]
    KeyKind,
    /// A column that cannot be complete.
    #[error("a column that is `complete` must have listed values, edges of numbers or dates, or be true or false")]
    Complete,
    /// The key of the subject does not exist.
    #[error("the column `{subject}` with the key of the subject does not exist")]
    NoSubjectColumn {
        /// The column.
        subject: ColumnName,
    },
    /// A second subject column.
    #[error("the dataset has another column with the key of its subject, `{subject}`")]
    SecondSubject {
        /// The first one.
        subject: ColumnName,
    },
    /// A subject column in a dataset that has none.
    #[error("a key of the subject is for keyed datasets")]
    SubjectNotKeyed,
    /// A column that is declared as two things.
    #[error("the column leads to the subject and is declared as something else too")]
    TwoRoles,
    /// A link to a dataset that does not exist.
    #[error("the dataset `{to}` that it links to does not exist")]
    LinkDataset {
        /// The dataset.
        to: DatasetName,
    },
    /// A link to or from a column that does not exist.
    #[error("the column `{dataset}.{column}` of a link does not exist")]
    LinkColumn {
        /// The dataset.
        dataset: DatasetName,
        /// The column.
        column: ColumnName,
    },
    /// A link to a column that is not a key.
    #[error("`{to}.{key}`, which it links to, is not declared as a key, which has another value in each row")]
    LinkNotUnique {
        /// The dataset.
        to: DatasetName,
        /// The column.
        key: ColumnName,
    },
    /// A link between columns of different kinds.
    #[error(
        "the column contains {}, and `{to}.{key}`, which it links to, {}: export both with or without leading zeros, or have both read as \
         text (`types` in the file of `--options`)",
        .kind.label(),
        .key_kind.label()
    )]
    LinkKind {
        /// The dataset.
        to: DatasetName,
        /// The column.
        key: ColumnName,
        /// What the column with the link contains.
        kind: ColumnKind,
        /// What the column that it links to contains.
        key_kind: ColumnKind,
    },
    /// Links that lead back to where they begin.
    #[error("the link to `{to}` leads back to its own dataset")]
    LinkCycle {
        /// Where the link leads first.
        to: DatasetName,
    },
    /// Rows that lead to a dataset whose rows have no subject.
    #[error("the rows lead to `{to}`, whose rows lead to no subject")]
    NoOwner {
        /// The dataset.
        to: DatasetName,
    },
    /// No dataset has subjects.
    #[error("no dataset has subjects: one must be `keyed`, or the only one with subjects `each-row`")]
    NoSubjects,
    /// Datasets whose subjects are not the same.
    #[error("each row is a subject of its own, and another dataset of the collection has other subjects")]
    OtherSubjects,
    /// A hierarchy or list of names that is not a reference dataset.
    #[error("`{dataset}`, which it refers to, must be a dataset of the kind `reference`")]
    NotReference {
        /// The dataset.
        dataset: DatasetName,
    },
    /// A column of a hierarchy or list of names that does not exist or contains something else.
    #[error("the column `{dataset}.{column}`, which it refers to, does not exist or contains values of another kind")]
    ReferenceColumn {
        /// The dataset.
        dataset: DatasetName,
        /// The column.
        column: ColumnName,
    },
    /// The date of the events is not a date of the dataset.
    #[error("the date of the events must be a column of the dataset with dates")]
    EventDate,
}

/// The mistakes that were found.
#[derive(Debug, Default)]
pub(super) struct Errors(Vec<RulesError>);

impl Errors {
    pub(super) fn add(&mut self, dataset: &DatasetName, column: Option<&ColumnName>, problem: RuleProblem) {
        self.0.push(RulesError {
            dataset: Some(dataset.clone()),
            column: column.cloned(),
            problem,
        });
    }

    pub(super) fn add_whole(&mut self, problem: RuleProblem) {
        self.0.push(RulesError {
            dataset: None,
            column: None,
            problem,
        });
    }

    /// The mistakes in the order of datasets and columns.
    pub(super) fn into_sorted(mut self) -> Vec<RulesError> {
        self.0
            .sort_by(|a, b| (&a.dataset, &a.column).cmp(&(&b.dataset, &b.column)));
        self.0
    }
}
