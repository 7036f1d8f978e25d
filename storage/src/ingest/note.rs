//! What a steward should know about an import.

use std::fmt;

use concordat_protocol::schema::ColumnKind;

/// Something the steward should know about an import; names lines and columns, never values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The first line was taken as data, and the columns were numbered.
    NoHeader,
    /// The header's name is not an identifier and was cleaned.
    Renamed {
        /// The name in the header.
        given: String,
        /// The name in the dataset.
        name: String,
    },
    /// A column is text because of what it holds from some line on.
    Turned {
        /// The column.
        column: String,
        /// What it looked like until then.
        from: ColumnKind,
        /// The first line that is different.
        line: u64,
    },
    /// A text column holds markers that may stand for missing values and were kept as text.
    MarkersKept {
        /// The column.
        column: String,
        /// How many.
        count: u64,
    },
    /// A column has no value on any row.
    NoValues {
        /// The column.
        column: String,
    },
    /// Each row counts as a person, but a column that looks like a person's number has a value on several rows.
    Repeats {
        /// The column.
        column: String,
    },
    /// Almost each row counts as a person of its own, while another column that looks like a person's number repeats.
    SubjectHardlyRepeats {
        /// The column of subjects.
        subject: String,
        /// The column that repeats.
        column: String,
    },
    /// An age and a date of birth are both there: together they tell more than either.
    AgeAndBirth {
        /// The age.
        age: String,
        /// The date of birth.
        birth: String,
    },
    /// Lines with nothing on them were skipped.
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
            Self::Renamed { given, name } => write!(f, "column `{given}` is called `{name}`"),
            Self::Turned { column, from, line } => {
                let from = from.label();
                write!(
                    f,
                    "column `{column}` looks like {from} until line {line} and is kept as text because of that line"
                )
            }
            Self::MarkersKept { column, count } => write!(
                f,
                "text column `{column}` has {count} fields such as `NA` or `?`, kept as text; import with `--missing \
                 everywhere` if they mean that the value is missing"
            ),
            Self::NoValues { column } => write!(f, "column `{column}` has no values and is kept as text"),
            Self::Repeats { column } => write!(
                f,
                "each row counts as a person, but `{column}` has values that stand on several rows; if it tells people apart, \
                 import again with `--replace --subject-column {column}`, or groups of fewer people than you allow leave"
            ),
            Self::SubjectHardlyRepeats { subject, column } => write!(
                f,
                "almost each row has its own `{subject}`, while `{column}` has values that stand on several rows; if `{column}` \
                 tells people apart, import again with `--replace --subject-column {column}`"
            ),
            Self::AgeAndBirth { age, birth } => write!(
                f,
                "`{age}` and `{birth}` tell the same, so an offer shows one of the two; name further columns that tell when a \
                 person was born with `concordat dataset limits --birth-date COLUMN`"
            ),
            Self::BlankLines { count } => write!(f, "{count} blank lines were skipped"),
        }
    }
}
