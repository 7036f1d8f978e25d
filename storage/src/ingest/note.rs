//! What a steward should know about an import.

use concordat_protocol::schema::ColumnKind;

use super::{
    format::Numbering,
    proposal::{Proposal, TextReason},
};

mod text;

/// Something the steward should know about an import; contains lines and columns, never values: only words and numbers that often stand for
/// missing ones are named, so that they can be stated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The first line was read as data, and the columns were numbered.
    NoHeader,
    /// The first line was read as names, and nothing proves that it is not a row.
    HeaderAssumed,
    /// The first line was read as names, and no row follows it.
    HeaderOnly,
    /// Points are stated to be between groups of three digits, so that a comma is before the decimals.
    ImpliedComma,
    /// The points of the numbers of a column could be before decimals, as they were read, or between groups of three digits.
    PointsUndecided {
        /// The column.
        column: String,
    },
    /// The points of the numbers of a column were read as thousands, as is stated for all columns, and could be before decimals.
    PointsAsThousands {
        /// The column.
        column: String,
    },
    /// All dates of a column have several of the stated forms, and are other days in each.
    DateForms {
        /// The column.
        column: String,
        /// The form in which they were read.
        chosen: String,
        /// The others.
        others: Vec<String>,
    },
    /// The dates of a column have several of the stated forms, and some could be in more than one of them.
    MixedDateForms {
        /// The column.
        column: String,
        /// How many.
        count: u64,
    },
    /// The years of the dates of a column have two digits.
    ShortYears {
        /// The column.
        column: String,
        /// The first of the hundred years that they stand for.
        first: i32,
        /// The last of them.
        last: i32,
    },
    /// A number that is stated to mean that a value is missing is within those of a column.
    MissingInRange {
        /// The column.
        column: String,
        /// The number as it is stated.
        word: String,
        /// How many values it made missing.
        count: u64,
    },
    /// Values that often stand for missing ones are repeated in a column, far from the others.
    MaybeMissing {
        /// The column.
        column: String,
        /// These values as they are written.
        words: Vec<String>,
    },
    /// The whole numbers of a column are all dates in digits.
    DatesInDigits {
        /// The column.
        column: String,
        /// The form of the dates.
        form: &'static str,
    },
    /// The whole numbers of a column that is named as a date could be those by which a spreadsheet program counts days.
    SerialDates {
        /// The column.
        column: String,
    },
    /// Local times of a column are skipped by the clocks of the stated zone, or shown twice.
    ClockChange {
        /// The column.
        column: String,
        /// The zone.
        zone: &'static str,
        /// How many.
        count: u64,
        /// The line or row of the first.
        line: u64,
        /// What `line` counts.
        numbering: Numbering,
    },
    /// A column stays text, whatever is stated.
    StaysText {
        /// The column.
        column: String,
        /// Why.
        reason: TextReason,
    },
    /// The last row may add up the others.
    LastRowTotal {
        /// Its line or row.
        line: u64,
        /// What `line` counts.
        numbering: Numbering,
    },
    /// Cells of a spreadsheet show their numbers with zeros before them, which are kept.
    ShownZeros {
        /// The column.
        column: String,
    },
    /// A column of text would be typed if something was stated.
    Proposal {
        /// The column.
        column: String,
        /// What to state.
        proposal: Proposal,
        /// What the lines in it count.
        numbering: Numbering,
    },
    /// A column is text because its numbers are written as codes are.
    KeptDigits {
        /// The column.
        column: String,
    },
    /// A column is text because floating point does not restore the digits of its numbers.
    InexactNumbers {
        /// The column.
        column: String,
        /// The line or row of the first such number.
        line: u64,
        /// What `line` counts.
        numbering: Numbering,
    },
    /// The column of the subjects has numbers that may have been rounded, so that different people have the same one.
    RoundedSubjects {
        /// The column.
        column: String,
        /// The line or row of the first such number.
        line: u64,
        /// What `line` counts.
        numbering: Numbering,
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
    /// A text column contains words that often mean that a value is missing, and were kept as text.
    MissingWordsAsText {
        /// The column.
        column: String,
        /// The words as they are written.
        words: Vec<String>,
        /// How many values are such a word.
        count: u64,
    },
    /// Values of a text column differ only in capital letters, or in blanks around them.
    Spellings {
        /// The column.
        column: String,
        /// How many values have several spellings.
        count: u64,
        /// The line or row of the first value in a second spelling.
        line: u64,
        /// What `line` counts.
        numbering: Numbering,
    },
    /// A column is text because of few values among numbers.
    FewTexts {
        /// The column.
        column: String,
        /// How many values are not numbers.
        count: u64,
        /// The line or row of the first.
        line: u64,
        /// What `line` counts.
        numbering: Numbering,
    },
    /// A column has no value in any row.
    NoValues {
        /// The column.
        column: String,
        /// Whether it has a type already: that of the column to which the rows are added.
        typed: bool,
    },
    /// The column to which the values are added had none so far, and takes their type.
    FirstValues {
        /// The column.
        column: String,
        /// The type.
        kind: ColumnKind,
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
    /// Each subject is declared to have one row at most, and some have several.
    SeveralRows {
        /// The column of subjects.
        column: String,
    },
    /// A column is declared to have another value in each row, and rows have that of an earlier one.
    RepeatedKey {
        /// The column.
        column: String,
        /// How many rows at least.
        count: u64,
    },
    /// The keys of the subjects are of another kind in another dataset of the collection.
    SubjectKinds {
        /// The column with the keys.
        column: String,
        /// Its kind.
        kind: ColumnKind,
        /// The column of the other dataset, with its name.
        other: String,
        /// The kind of the other.
        other_kind: ColumnKind,
    },
    /// Columns of the version before are not in the file that replaces it.
    RemovedColumns {
        /// Their names.
        columns: Vec<String>,
    },
    /// The file that replaces the rows has fewer.
    FewerRows {
        /// Rows of the version before.
        before: u64,
        /// Rows of the file.
        now: u64,
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
    /// Cells of a spreadsheet have an error instead of a value.
    ErrorCells {
        /// The column.
        column: String,
        /// How many.
        count: u64,
    },
    /// Rows are hidden in the spreadsheet.
    HiddenRows {
        /// How many.
        count: u64,
    },
    /// Columns are hidden in the spreadsheet.
    HiddenColumns {
        /// How many.
        count: u64,
    },
    /// Areas of several cells are shown as one in the spreadsheet.
    MergedCells {
        /// How many.
        count: u64,
    },
    /// Cells that the spreadsheet does not show, because others cover them, have values.
    CoveredCells {
        /// How many.
        count: u64,
    },
    /// Formulas in the spreadsheet have no stored result.
    FormulasWithoutResult {
        /// How many.
        count: u64,
    },
    /// Fields in quotes span lines that look like rows of the file.
    LinesLikeRows {
        /// How many fields.
        count: u64,
        /// The line where the first of them begins.
        line: u64,
    },
    /// Characters speak against the encoding in which the text was read.
    ImplausibleCharacters {
        /// How many.
        count: u64,
        /// The line of the first.
        line: u64,
        /// The encoding.
        encoding: &'static str,
    },
    /// The first line states the delimiter for a spreadsheet program.
    SeparatorLine,
    /// The line below the header has only dashes.
    RulerLine {
        /// The line.
        line: u64,
    },
    /// Rows end with a delimiter that the header does not have.
    TrailingDelimiters {
        /// How many.
        count: u64,
    },
    /// Lines below the first one repeat the names of the columns, and were read as rows.
    RepeatedHeader {
        /// How many.
        count: u64,
        /// The line or row of the first.
        line: u64,
        /// What `line` counts.
        numbering: Numbering,
    },
    /// Lines below the first one repeat the names of the columns, and were left out, as is stated.
    RepeatedHeaderLeftOut {
        /// How many.
        count: u64,
        /// The line or row of the first.
        line: u64,
        /// What `line` counts.
        numbering: Numbering,
    },
    /// The line below the header looks like a second one.
    SecondHeader {
        /// The line.
        line: u64,
    },
}

impl Note {
    /// Whether values could be others than those that were read, or people be counted in another way. Other notes state what was done.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        match self {
            Self::PointsUndecided { .. }
            | Self::PointsAsThousands { .. }
            | Self::DateForms { .. }
            | Self::MixedDateForms { .. }
            | Self::ShortYears { .. }
            | Self::MissingInRange { .. }
            | Self::MaybeMissing { .. }
            | Self::DatesInDigits { .. }
            | Self::SerialDates { .. }
            | Self::LastRowTotal { .. }
            | Self::NoHeader
            | Self::HeaderAssumed
            | Self::HeaderOnly
            | Self::SecondHeader { .. }
            | Self::RepeatedHeader { .. }
            | Self::MissingWordsAsText { .. }
            | Self::Spellings { .. }
            | Self::LinesLikeRows { .. }
            | Self::ImplausibleCharacters { .. }
            | Self::Repeats { .. }
            | Self::SeveralRows { .. }
            | Self::RepeatedKey { .. }
            | Self::SubjectKinds { .. }
            | Self::RemovedColumns { .. }
            | Self::FewerRows { .. }
            | Self::RoundedSubjects { .. }
            | Self::SubjectHardlyRepeats { .. } => true,
            Self::ImpliedComma
            | Self::ClockChange { .. }
            | Self::StaysText { .. }
            | Self::ShownZeros { .. }
            | Self::Proposal { .. }
            | Self::KeptDigits { .. }
            | Self::InexactNumbers { .. }
            | Self::FixedDecimals { .. }
            | Self::RowsWithoutValues { .. }
            | Self::Renamed { .. }
            | Self::BecameText { .. }
            | Self::ReadFromText { .. }
            | Self::MarkersAsText { .. }
            | Self::NoValues { .. }
            | Self::FirstValues { .. }
            | Self::AgeAndBirth { .. }
            | Self::BlankLines { .. }
            | Self::SeparatorLine
            | Self::RulerLine { .. }
            | Self::FewTexts { .. }
            | Self::RepeatedHeaderLeftOut { .. }
            | Self::TrailingDelimiters { .. }
            | Self::ErrorCells { .. }
            | Self::HiddenRows { .. }
            | Self::HiddenColumns { .. }
            | Self::MergedCells { .. }
            | Self::CoveredCells { .. }
            | Self::FormulasWithoutResult { .. } => false,
        }
    }

    /// The sentences of notes, those that need attention first.
    #[must_use]
    pub fn sentences<'a>(notes: impl IntoIterator<Item = &'a Self>) -> Vec<String> {
        let (urgent, others): (Vec<&Self>, Vec<&Self>) = notes.into_iter().partition(|note| note.needs_attention());
        urgent.into_iter().chain(others).map(Self::to_string).collect()
    }
}
