//! What is wrong with a template for the columns that it is applied to.

use super::super::levels::{LevelsError, MAX_DATE_EDGES, MAX_EDGES};
use crate::error_kind::{ErrorKind, Explain};

/// One mistake in a template, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{dataset}{}`: {problem}", .column.as_ref().map(|column| format!(".{column}")).unwrap_or_default())]
pub struct TemplateError {
    /// The dataset or pattern, as the template names it.
    pub dataset: String,
    /// The column or pattern; `None` if it is about the dataset.
    pub column: Option<String>,
    /// What is wrong.
    pub problem: TemplateProblem,
}

impl Explain for TemplateError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }
}

/// What is wrong with one entry of a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateProblem {
    /// A name of a dataset that the collection does not have.
    #[error("the collection has no such dataset")]
    UnknownDataset,
    /// A name of a column that the dataset does not have.
    #[error("there is no such column")]
    UnknownColumn,
    /// A pattern that matches no name.
    #[error("the pattern matches no name")]
    Unmatched,
    /// Two entries with one name or pattern.
    #[error("there are two entries of this name")]
    Twice,
    /// Two entries for one dataset or column that declare different things.
    #[error("two entries that match it declare a different {part}")]
    Contradiction {
        /// What they declare.
        part: &'static str,
    },
    /// A keyed dataset without a column with the key of its subject.
    #[error("no column is declared as the key of the subject")]
    NoSubjectColumn,
    /// A keyed dataset with several columns with the key of its subject.
    #[error("several columns are declared as the key of the subject")]
    SeveralSubjectColumns,
    /// Links to the owner that are none or too many.
    #[error("an owned dataset leads to its subject through one to four links, no column twice")]
    OwnerLinks,
    /// Edges at steps that are none.
    #[error(
        "edges at equal steps need a step above zero, an end that is not below the start, numbers or years that exist, and at most \
         {MAX_EDGES} numbers or {MAX_DATE_EDGES} dates"
    )]
    Steps,
    /// Levels that are invalid in any column.
    #[error("{0}")]
    Levels(LevelsError),
    /// Two levels of one name.
    #[error("two levels of edges have one name")]
    LevelTwice,
}
