//! What a steward should know about an import.

use std::fmt;

use concordat_protocol::schema::ColumnKind;

use super::{format::Numbering, proposal::Proposal};

/// Something the steward should know about an import; contains lines and columns, never values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The first line was read as data, and the columns were numbered.
    NoHeader,
    /// The first line was read as names, and nothing proves that it is not a row.
    HeaderAssumed,
    /// A column of text would be typed if something was stated.
    Proposal {
        /// The column.
        column: String,
        /// What to state.
        proposal: Proposal,
    },
    /// A column is text because its numbers are written as codes are.
    KeptDigits {
        /// The column.
        column: String,
    },
    /// The numbers of a column are filled up with zeros, which are not kept.
    FixedDecimals {
        /// The column.
        column: String,
        /// The decimals that every number has.
        decimals: usize,
    },
    /// Rows without any value were left out.
    RowsWithoutValues {
        /// How many.
        count: u64,
    },
    /// The header's name is not an identifier and was cleaned.
    Renamed {
        /// The name in the header.
        given: String,
        /// The name in the dataset.
        name: String,
    },
    /// A column is text because of a value on some line.
    BecameText {
        /// The column.
        column: String,
        /// Its kind before that line.
        from: ColumnKind,
        /// The line or row with the first value that does not match.
        line: u64,
        /// What `line` counts.
        numbering: Numbering,
    },
    /// The values of a column are text in the file, and were read as another kind.
    ReadFromText {
        /// The column.
        column: String,
        /// The kind as which they were read.
        kind: ColumnKind,
    },
    /// A text column contains markers that may mean missing values and were kept as text.
    MarkersAsText {
        /// The column.
        column: String,
        /// How many.
        count: u64,
    },
    /// A column has no value in any row.
    NoValues {
        /// The column.
        column: String,
    },
    /// Each row counts as a person, but a column that looks like a person's number has the same value in several rows.
    Repeats {
        /// The column.
        column: String,
    },
    /// Almost every row counts as a separate person, while another column that looks like a person's number has
    /// repeated values.
    SubjectHardlyRepeats {
        /// The column of subjects.
        subject: String,
        /// The column that repeats.
        column: String,
    },
    /// There are both an age and a date of birth: together they reveal more than either.
    AgeAndBirth {
        /// The age.
        age: String,
        /// The date of birth.
        birth: String,
    },
    /// Blank lines were skipped.
    BlankLines {
        /// How many.
        count: u64,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader => {
                f.write_str("the first line looks like data, so the columns are named `column_1` onwards")
            }
            Self::HeaderAssumed => f.write_str(
                "the first line was read as the names of the columns, which the values below it do not prove; if it is a row, import \
                 again with `--replace --header absent`",
            ),
            Self::Proposal { column, proposal } => write!(f, "column `{column}` is text; to have it typed, {proposal}"),
            Self::KeptDigits { column } => write!(
                f,
                "column `{column}` is text because its numbers are written as codes are, such as `250.0` beside `250.00`, or `12E4`; \
                 `--type {column}=number` reads them as numbers"
            ),
            Self::FixedDecimals { column, decimals } => write!(
                f,
                "column `{column}` has numbers with {decimals} decimals each, of which zeros at the end are not kept; `--type {column}=text` \
                 keeps them"
            ),
            Self::RowsWithoutValues { count } => write!(f, "{count} rows without any value were left out"),
            Self::Renamed { given, name } => write!(f, "column `{given}` was renamed to `{name}`"),
            Self::BecameText {
                column,
                from,
                line,
                numbering,
            } => {
                let from = from.label();
                write!(
                    f,
                    "column `{column}` looks like {from} until {numbering} {line} and is kept as text because of that {numbering}"
                )
            }
            Self::ReadFromText { column, kind } => write!(
                f,
                "column `{column}` is text in the file and was read as {}; to keep it as it is written, import again with \
                 `--replace --text-columns {column}`",
                kind.label()
            ),
            Self::MarkersAsText { column, count } => write!(
                f,
                "text column `{column}` has {count} fields such as `NA` or `?`, kept as text; import with `--missing \
                 everywhere` if they mean that the value is missing"
            ),
            Self::NoValues { column } => write!(f, "column `{column}` has no values and is kept as text"),
            Self::Repeats { column } => write!(
                f,
                "each row counts as a person, but `{column}` has values that occur in several rows; if it identifies people, \
                 import again with `--replace --subject-column {column}`, or groups with fewer people than you allow may be released"
            ),
            Self::SubjectHardlyRepeats { subject, column } => write!(
                f,
                "almost every row has its own `{subject}`, while `{column}` has values that occur in several rows; if `{column}` \
                 identifies people, import again with `--replace --subject-column {column}`"
            ),
            Self::AgeAndBirth { age, birth } => write!(
                f,
                "`{age}` and `{birth}` reveal the same fact, so an offer shows only one of the two; name further columns that contain a \
                 date of birth with `concordat dataset limits --birth-date COLUMN`"
            ),
            Self::BlankLines { count } => write!(f, "{count} blank lines were skipped"),
        }
    }
}
