//! Notes as sentences. The column comes first, so that those who show many notes can put alike ones together.

use std::fmt;

use super::{Note, TextReason};

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader => f.write_str(
                "the first line looks like data, so the columns are named `column_1` onwards; if it has their names, state `--header present`",
            ),
            Self::HeaderAssumed => f.write_str(
                "the first line was read as the names of the columns, which the values below it do not prove; if it is a row, state \
                 `--header absent`",
            ),
            Self::HeaderOnly => f.write_str(
                "the first line was read as the names of the columns, and no row follows it; if it is a row, import the file again with \
                 `--header absent --replace`",
            ),
            Self::SecondHeader { line } => write!(
                f,
                "line {line} looks like a second line of names or units and was read as a row, which makes columns text; remove it from the \
                 file if it is one"
            ),
            Self::RepeatedHeader { count, line, numbering } => write!(
                f,
                "{count} rows repeat the names of the columns, the first on {numbering} {line}, and were read as values, which makes columns \
                 text and counts as people; state `--repeated-header left-out` to leave them out"
            ),
            Self::RepeatedHeaderLeftOut { count, line, numbering } => write!(
                f,
                "{count} rows that repeat the names of the columns were left out, the first on {numbering} {line}"
            ),
            Self::SeparatorLine => {
                f.write_str("the first line states the delimiter for a spreadsheet program and was left out")
            }
            Self::RulerLine { line } => write!(
                f,
                "line {line} has only dashes below the names of the columns and was left out"
            ),
            Self::TrailingDelimiters { count } => write!(
                f,
                "{count} rows end with a delimiter that the first line does not have; nothing is behind it, and it was left out"
            ),
            Self::LinesLikeRows { count, line } => write!(
                f,
                "{count} fields in quotes span lines that look like rows and were read as text, the first from line {line} on; if a quote is \
                 missing there, add it"
            ),
            Self::ImplausibleCharacters { count, line, encoding } => write!(
                f,
                "{count} characters are unlikely in a text in {encoding}, the first on line {line}; if words with accents look wrong, state \
                 the encoding of the file with `--encoding`"
            ),
            Self::ImpliedComma => {
                f.write_str("a comma is before the decimals of numbers, because `--thousands point` is stated")
            }
            Self::PointsUndecided { column } => write!(
                f,
                "column `{column}` has points before three digits only, which were read as decimals, whichever is meant: if they separate \
                 thousands, state `--decimal {column}=comma --thousands {column}=point`; `--decimal {column}=point` confirms the decimals"
            ),
            Self::PointsAsThousands { column } => write!(
                f,
                "column `{column}` has points before three digits only, which separate thousands, as is stated for all columns; if they are \
                 before decimals, state `--decimal {column}=point`"
            ),
            Self::DateForms { column, chosen, others } => write!(
                f,
                "column `{column}` has dates that fit `{chosen}`, in which they were read, and {} too; state the right one as in \
                 `--date-format '{column}={chosen}'`",
                quoted(others)
            ),
            Self::MixedDateForms { column, count } => write!(
                f,
                "column `{column}` has dates in several of the stated forms, of which {count} fit more than one; each was read in the first \
                 that fits it, which may be wrong"
            ),
            Self::ShortYears { column, first, last } => write!(
                f,
                "column `{column}` has years of two digits, which were read as those from {first} to {last}; `--last-year` states another \
                 last one"
            ),
            Self::MissingInRange { column, word, count } => write!(
                f,
                "column `{column}` has {count} values that are missing because of `--missing '{word}'`, and other values both below and above \
                 it; if it means that only in other columns, state it for these, as in `--missing 'COLUMN={word}'`"
            ),
            Self::MaybeMissing { column, words } => {
                write!(
                    f,
                    "column `{column}` has values that are repeated, are far from the others, and often mean that a value is missing; if \
                     they do, state `{}`",
                    missing_flags(column, words)
                )
            }
            Self::DatesInDigits { column, form } => write!(
                f,
                "column `{column}` has whole numbers that are all dates in digits; to have them read as dates, state \
                 `--date-format {column}={form}`"
            ),
            Self::SerialDates { column } => write!(
                f,
                "column `{column}` has whole numbers and the name of a date, so that they may be days as a spreadsheet program counts them; \
                 to have them read as dates, state `--date-format {column}=excel`, or `--date-format {column}=excel-1904` if the program \
                 counts from 1904"
            ),
            Self::ClockChange {
                column,
                zone,
                count,
                line,
                numbering,
            } => write!(
                f,
                "column `{column}` is text, because {count} of its times are skipped or shown twice when the clocks of {zone} change, the \
                 first on {numbering} {line}; write these times with an offset such as `+01:00`, or leave out `--zone`"
            ),
            Self::StaysText { column, reason } => write!(f, "column `{column}` is text: {reason}"),
            Self::LastRowTotal { line, numbering } => write!(
                f,
                "the last row, on {numbering} {line}, may be a total of the others; if it is, remove it from the file, because it counts as a \
                 row like the others"
            ),
            Self::ShownZeros { column } => write!(
                f,
                "column `{column}` has numbers that its cells show with zeros before them; the zeros are kept, so that it is text"
            ),
            Self::Proposal {
                column,
                proposal,
                numbering,
            } => {
                write!(f, "column `{column}` is text; {}", proposal.sentence(column, *numbering))
            }
            Self::KeptDigits { column } => write!(
                f,
                "column `{column}` is text because its numbers are written as codes are, such as `250.0` beside `250.00`, or `12E4`, or as a \
                 spreadsheet program shortens long ones, such as `1E+05` beside `100002`, whose other digits are then lost; \
                 `--type {column}=number` reads them as numbers"
            ),
            Self::InexactNumbers {
                column,
                line,
                numbering,
            } => write!(
                f,
                "column `{column}` is text because a number in it has more digits than floating point keeps, the first on {numbering} {line}; \
                 write whole numbers without a point and an exponent, and others with at most 15 digits"
            ),
            Self::RoundedSubjects {
                column,
                line,
                numbering,
            } => write!(
                f,
                "`{column}` identifies people, and has numbers of which digits may be lost, the first on {numbering} {line}: with an exponent \
                 (`1.23E+11`), or of 9007199254740992 or more in floating point; different people with the same number count as one: export \
                 the file again with `{column}` as text"
            ),
            Self::FixedDecimals { column, decimals } => write!(
                f,
                "column `{column}` has numbers with {decimals} decimals each, of which zeros at the end are not kept; `--type {column}=text` \
                 keeps them"
            ),
            Self::RowsWithoutValues { count } => write!(f, "{count} rows without any value were left out"),
            Self::Renamed { given, name } if given.is_empty() => {
                write!(f, "column `{name}` has no name in the file and is called by its number")
            }
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
                "column `{column}` is text in the file and was read as {}; `--type {column}=text` keeps it as it is written",
                kind.label()
            ),
            Self::MarkersAsText { column, count } => write!(
                f,
                "text column `{column}` has {count} fields such as `NA` or `?`, kept as text; import with `--missing \
                 everywhere` if they mean that the value is missing"
            ),
            Self::MissingWordsAsText { column, words, count } => write!(
                f,
                "text column `{column}` has {count} values that often mean that a value is missing, which count as values; if they do, \
                 state `{}`",
                missing_flags(column, words)
            ),
            Self::Spellings {
                column,
                count,
                line,
                numbering,
            } => write!(
                f,
                "text column `{column}` has {count} values in several spellings, which differ only in capital letters or in blanks around \
                 them, the first of these on {numbering} {line}; each spelling is a value of its own in conditions and groups, so write \
                 them alike in the file if they mean the same"
            ),
            Self::FewTexts {
                column,
                count,
                line,
                numbering,
            } => write!(
                f,
                "column `{column}` is text because {count} of its values are not written as numbers, the first on {numbering} {line}, and \
                 almost all others are; correct them in the file, or state with `--missing {column}=WORD` that such a word is no value"
            ),
            Self::NoValues { column, typed: true } => write!(f, "column `{column}` has no values in these rows"),
            Self::NoValues { column, typed: false } => write!(
                f,
                "column `{column}` has no values; it is text until rows with values are added, and then takes the type of these"
            ),
            Self::FirstValues { column, kind } => write!(
                f,
                "column `{column}` had no values before; by those of these rows it contains {}",
                kind.label()
            ),
            Self::Repeats { column } => write!(
                f,
                "each row counts as a person, but `{column}` has values that occur in several rows; if it identifies people, state \
                 `--subject-column {column}`, or groups with fewer people than you allow may be released"
            ),
            Self::SeveralRows { column } => write!(
                f,
                "column `{column}` is declared to have at most one row for each subject (`unique = true`), and subjects have several, which \
                 joins repeat; correct the rows, or declare `unique = false`"
            ),
            Self::RepeatedKey { column, count } => write!(
                f,
                "column `{column}` is declared as a key (`role = \"key\"`), and at least {count} rows of the file have the value of an \
                 earlier one, which joins repeat; correct the rows, or declare no key"
            ),
            Self::SubjectKinds {
                column,
                kind,
                other,
                other_kind,
            } => write!(
                f,
                "column `{column}` with the keys of the subjects contains {}, and `{other}` with those of the same subjects {}: keys are the \
                 same if they are written alike, so that text with leading zeros is another key than the whole number; export both with or \
                 without zeros, and have both read as text if zeros count (`types = {{ {column} = \"text\" }}` in the file of `--options`)",
                kind.label(),
                other_kind.label()
            ),
            Self::RemovedColumns { columns } => write!(
                f,
                "the new version lacks columns of the version before, which the file does not have: {}",
                quoted(columns)
            ),
            Self::FewerRows { before, now } => {
                write!(f, "the new version has {now} rows, and the version before has {before}")
            }
            Self::SubjectHardlyRepeats { subject, column } => write!(
                f,
                "almost every row has its own `{subject}`, while `{column}` has values that occur in several rows; if `{column}` \
                 identifies people, state `--subject-column {column}`"
            ),
            Self::AgeAndBirth { age, birth } => write!(
                f,
                "`{age}` and `{birth}` reveal the same fact, so an offer shows only one of the two; name further columns that contain a \
                 date of birth with `concordat dataset limits --birth-date COLUMN`"
            ),
            Self::BlankLines { count } => write!(f, "{count} blank lines were skipped"),
            Self::ErrorCells { column, count } => write!(
                f,
                "column `{column}` has {count} cells with an error such as `#N/A` or `#DIV/0!`, which count as missing"
            ),
            Self::HiddenRows { count } => {
                write!(f, "{count} rows are hidden in the spreadsheet; they are imported like the others")
            }
            Self::HiddenColumns { count } => {
                write!(f, "{count} columns are hidden in the spreadsheet; they are imported like the others")
            }
            Self::MergedCells { count } => write!(
                f,
                "{count} areas of merged cells have their value in the first cell only; the other cells of each are missing"
            ),
            Self::CoveredCells { count } => write!(
                f,
                "{count} cells have values although the spreadsheet states that other cells cover them; they are imported like the others"
            ),
            Self::FormulasWithoutResult { count } => write!(
                f,
                "{count} formulas have no stored result and count as missing; open the file in the spreadsheet program, and save it"
            ),
        }
    }
}

fn quoted(forms: &[String]) -> String {
    forms
        .iter()
        .map(|form| format!("`{form}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The options by which these words mean that a value of the column is missing.
fn missing_flags(column: &str, words: &[String]) -> String {
    let stated = words.iter().map(|word| shell_word(&format!("{column}={word}")));
    let flags: Vec<String> = stated.map(|stated| format!("--missing {stated}")).collect();
    flags.join(" ")
}

/// A value as a shell takes it: in quotes, unless it is a word.
fn shell_word(value: &str) -> String {
    let is_word = value.chars().all(|c| c.is_alphanumeric() || "_-./=,".contains(c));
    if is_word {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', "'\\''"))
    }
}

/// Why a column stays text, and what to do.
impl fmt::Display for TextReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit(unit) => write!(
                f,
                "its numbers have the unit `{unit}`, and no option reads a number with a unit; leave the unit out of the file, or give it a \
                 column of its own"
            ),
            Self::Sign => f.write_str(
                "its numbers have a plus before them, or a minus behind them; leave out the plus, and write the minus before the number",
            ),
            Self::Clock => f.write_str(
                "it has times of day without a date; to compute with them, write them with their date, or as a number such as minutes",
            ),
            Self::MonthNames => f.write_str(
                "its dates have names of months that are not English; write the months as numbers, for which `--date-format` has forms",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_without_a_name_are_not_quoted_empty() {
        let renamed = |given: &str, name: &str| Note::Renamed {
            given: given.to_owned(),
            name: name.to_owned(),
        };
        assert!(!renamed("", "column_4").to_string().contains("``"));
        assert_eq!(renamed("A b", "a_b").to_string(), "column `A b` was renamed to `a_b`");
    }

    #[test]
    fn words_that_a_shell_would_split_are_in_quotes() {
        let note = Note::MaybeMissing {
            column: "uhrzeit".to_owned(),
            words: vec!["9999-12-31 23:59:59".to_owned(), "-1".to_owned()],
        };
        let stated = "`--missing 'uhrzeit=9999-12-31 23:59:59' --missing uhrzeit=-1`";
        assert!(note.to_string().contains(stated), "{note}");
        assert_eq!(shell_word("a'b"), "'a'\\''b'");
    }

    #[test]
    fn options_for_one_column_name_it() {
        let column = || "leuko".to_owned();
        let words = vec!["9999".to_owned(), "31.12.9999".to_owned()];
        for (note, option) in [
            (
                Note::PointsUndecided { column: column() },
                "`--decimal leuko=comma --thousands leuko=point`",
            ),
            (Note::PointsAsThousands { column: column() }, "`--decimal leuko=point`"),
            (
                Note::MaybeMissing {
                    column: column(),
                    words,
                },
                "`--missing leuko=9999 --missing leuko=31.12.9999`",
            ),
            (
                Note::DatesInDigits {
                    column: column(),
                    form: "%Y%m%d",
                },
                "`--date-format leuko=%Y%m%d`",
            ),
            (
                Note::SerialDates { column: column() },
                "`--date-format leuko=excel`, or `--date-format leuko=excel-1904`",
            ),
        ] {
            assert!(note.needs_attention() && note.to_string().contains(option), "{note}");
        }
    }
}
