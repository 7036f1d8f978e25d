//! What is wrong with a template file.

use concordat_protocol::collection::TemplateProblem;
use concordat_protocol::error_kind::{ErrorKind, Explain};

/// Most bytes of a file: ten times a template that names every column a collection can have.
pub(super) const MAX_FILE: usize = 1024 * 1024;
/// Most mistakes that are listed: more than a person reads.
pub(super) const MAX_MISTAKES: usize = 100;

/// Why a template file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateFileError {
    /// The file is too large to be a template.
    #[error("the template has {len} bytes, and may have {MAX_FILE}")]
    TooLarge {
        /// Its bytes.
        len: usize,
    },
    /// The file contains mistakes.
    #[error("the template contains {} {}", mistakes.len() + more, if mistakes.len() + more == 1 { "mistake" } else { "mistakes" })]
    Mistakes {
        /// The first of them, in the order of lines.
        mistakes: Vec<Mistake>,
        /// How many others there are.
        more: usize,
    },
}

impl Explain for TemplateFileError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn reasons(&self) -> Vec<String> {
        match self {
            Self::TooLarge { .. } => Vec::new(),
            Self::Mistakes { mistakes, more } => {
                let rest = (*more > 0).then(|| format!("and {more} more"));
                mistakes.iter().map(ToString::to_string).chain(rest).collect()
            }
        }
    }

    fn help(&self) -> Option<String> {
        Some("fix the file and try again".to_owned())
    }
}

/// One mistake in a template file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {}{problem}", .key.as_ref().map(|key| format!("`{key}` ")).unwrap_or_default())]
pub struct Mistake {
    /// The line, counted from one.
    pub line: usize,
    /// The key that it is about, with those above it: `datasets.person.kind`. `None` for what the TOML reader finds.
    pub key: Option<String>,
    /// The mistake itself.
    pub problem: MistakeProblem,
}

/// What is wrong at one key of a template file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MistakeProblem {
    /// It is not TOML.
    #[error("{0}")]
    Syntax(String),
    /// A key without a meaning.
    #[error("is not known; possible are {possible}")]
    Unknown {
        /// The keys with one.
        possible: &'static str,
    },
    /// A key that is needed.
    #[error("is missing")]
    Missing,
    /// A value of another type.
    #[error("must be {expected}")]
    Type {
        /// What it must be.
        expected: &'static str,
    },
    /// A value that its type rejects.
    #[error("is invalid: {0}")]
    Invalid(String),
    /// A list or table that is too long.
    #[error("must have at most {most} entries")]
    TooMany {
        /// The most.
        most: usize,
    },
    /// A name or pattern that another one equals.
    #[error("is there twice: upper and lower case are one")]
    Twice,
    /// Declarations that exclude each other.
    #[error("must be declared by exactly one of {of}")]
    OneOf {
        /// The possible ones.
        of: &'static str,
    },
    /// A declaration that is for other kinds of datasets.
    #[error("is for datasets of the kind `{kind}`")]
    OtherKind {
        /// The kind.
        kind: &'static str,
    },
    /// Levels that `[levels]` does not have.
    #[error("names no levels: `none`, `truth`, or a name in `levels`")]
    UnknownLevels,
    /// A declaration that is invalid in any collection.
    #[error("is invalid: {0}")]
    Template(TemplateProblem),
}
