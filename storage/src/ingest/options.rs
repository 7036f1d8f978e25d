//! Options of a steward for reading a file.

use encoding_rs::Encoding;

use concordat_protocol::schema::ColumnKind;

use super::{
    csv::Delimiter,
    error::IngestError,
    format::Format,
    notation::{DateFormat, DecimalSign, Notation, ThousandsSign, check_signs},
    spellings::ColumnSpellings,
};

/// How to read a table; the default detects everything and imports all rows or none.
#[derive(Clone, Debug)]
pub struct TableOptions {
    /// The format of the file; `None` recognizes it by its contents.
    pub format: Option<Format>,
    /// The sheet of a spreadsheet; `None` takes the only one with cells.
    pub sheet: Option<String>,
    /// The subjects of the rows.
    pub subject: SubjectRule,
    /// What separates fields of delimited text; `None` chooses among comma, semicolon, tab, vertical bar, caret and tilde.
    pub delimiter: Option<Delimiter>,
    /// Whether `"` quotes fields of delimited text; otherwise it is an ordinary character.
    pub quotes: bool,
    /// Whether the steward states that `"` quotes fields, so that lines in quotes that look like rows are text.
    pub quotes_are_stated: bool,
    /// Lines of delimited text that begin with this ASCII character are left out.
    pub comment: Option<u8>,
    /// Lines before the table in delimited text, or rows before it in a spreadsheet.
    pub skip_lines: u64,
    /// Whether the first line of delimited text, or the first row of a spreadsheet, has the column names.
    pub header: Header,
    /// What happens to further lines or rows that repeat the names of the columns.
    pub repeated_header: RepeatedHeader,
    /// The encoding of the text; a byte order mark takes precedence over it, and without either the text must be UTF-8.
    pub encoding: Option<TextEncoding>,
    /// Which of the usual markers count as missing.
    pub missing: Missing,
    /// Further fields that count as missing in every column.
    pub missing_words: Vec<String>,
    /// How values are written.
    pub notation: Notation,
    /// How the values of single columns are written, by the name of the column.
    pub columns: Vec<(String, ColumnOptions)>,
    /// The last of the hundred years that years of two digits stand for; `None` is the rule of POSIX, by which it is 2068.
    pub last_year: Option<i32>,
    /// What happens to a file with rows that cannot be imported.
    pub refused: Refused,
    /// Columns that are always kept as text, such as codes in which `250.00` and `250.0` differ.
    pub text_columns: Vec<String>,
    /// The kinds of columns whose values are not to decide it.
    pub kinds: Vec<(String, ColumnKind)>,
    /// New names of columns: the name in the file, and the one in the dataset.
    pub rename: Vec<(String, String)>,
    /// Columns that the header may name in another spelling.
    pub spellings: ColumnSpellings,
    /// The columns of the dataset to which the rows are added, without those in which no row has a value: a column keeps its kind if all
    /// values have it, and one of text takes them as they are written.
    pub existing: Vec<(String, ColumnKind)>,
}

impl Default for TableOptions {
    fn default() -> Self {
        Self {
            format: None,
            sheet: None,
            subject: SubjectRule::default(),
            delimiter: None,
            quotes: true,
            quotes_are_stated: false,
            comment: None,
            skip_lines: 0,
            header: Header::default(),
            repeated_header: RepeatedHeader::default(),
            encoding: None,
            missing: Missing::default(),
            missing_words: Vec::new(),
            notation: Notation::default(),
            columns: Vec::new(),
            last_year: None,
            refused: Refused::default(),
            text_columns: Vec::new(),
            kinds: Vec::new(),
            rename: Vec::new(),
            spellings: ColumnSpellings::default(),
            existing: Vec::new(),
        }
    }
}

impl TableOptions {
    /// The same options, with a comma before the decimals where points are stated to be between groups of three digits.
    ///
    /// # Errors
    /// [`IngestError::Notation`] if the same sign is stated for both, or numbers of days for all columns.
    pub(super) fn with_signs(&self) -> Result<Self, IngestError> {
        let mut options = self.clone();
        if self.implies_comma() {
            options.notation.decimal = DecimalSign::Comma;
        }
        check_signs(Some(options.notation.decimal), options.notation.thousands)?;
        if options.notation.has_serial_days() {
            return Err(IngestError::Notation {
                option: "--date-format",
                expected: "the column whose numbers are days, as in `--date-format COLUMN=excel`; other columns have numbers too",
            });
        }
        for (_, column) in &self.columns {
            check_signs(column.decimal, column.thousands)?;
        }
        Ok(options)
    }

    /// Whether points between groups of three digits leave only the comma for the decimals.
    pub(super) fn implies_comma(&self) -> bool {
        self.notation.decimal == DecimalSign::Point && self.notation.thousands == Some(ThousandsSign::Point)
    }

    /// What is stated for the column with one of these names alone.
    pub(super) fn column_options(&self, is_called: impl Fn(&str) -> bool) -> Option<&ColumnOptions> {
        let mut columns = self.columns.iter();
        columns.find(|(name, _)| is_called(name)).map(|(_, options)| options)
    }

    /// The kind that is stated for the column with one of these names.
    pub(super) fn stated_kind(&self, is_called: impl Fn(&str) -> bool) -> Option<ColumnKind> {
        if self.text_columns.iter().any(|name| is_called(name)) {
            return Some(ColumnKind::Text);
        }
        self.kinds
            .iter()
            .find(|(name, _)| is_called(name))
            .map(|(_, kind)| *kind)
    }

    /// The kind of the existing column with this name in the dataset.
    pub(super) fn existing_kind(&self, name: &str) -> Option<ColumnKind> {
        let mut existing = self.existing.iter();
        existing.find(|(known, _)| known == name).map(|(_, kind)| *kind)
    }
}

/// How the values of one column are written, where that differs from the other columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnOptions {
    /// The sign before decimals. A column for which one of the two signs is stated has only those that are stated for it.
    pub decimal: Option<DecimalSign>,
    /// The sign between groups of three digits.
    pub thousands: Option<ThousandsSign>,
    /// The forms of dates and date-times; those of other columns are not tried if there are any.
    pub dates: Vec<DateFormat>,
    /// Fields that count as missing, besides those that do in every column.
    pub missing_words: Vec<String>,
}

impl ColumnOptions {
    /// Whether the signs of numbers are stated.
    pub(super) const fn states_signs(&self) -> bool {
        self.decimal.is_some() || self.thousands.is_some()
    }

    /// How the values of the column are written, where others are written as `others`.
    pub(super) fn notation(&self, others: &Notation) -> Notation {
        let mut notation = others.clone();
        if self.states_signs() {
            notation.thousands = self.thousands;
            notation.decimal = self.decimal.unwrap_or(match self.thousands {
                Some(ThousandsSign::Point) => DecimalSign::Comma,
                Some(ThousandsSign::Comma) => DecimalSign::Point,
                Some(ThousandsSign::Space | ThousandsSign::Apostrophe) | None => others.decimal,
            });
        }
        if !self.dates.is_empty() {
            notation.dates.clone_from(&self.dates);
        }
        notation
    }
}

/// The subjects of the rows, as stated by the steward. Everything that counts people uses this rule, so a new dataset
/// is not created unless it is stated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SubjectRule {
    /// Nothing was stated: an existing dataset keeps its rule, and reading a file without a dataset numbers the rows.
    #[default]
    Unstated,
    /// The subject is the value of this column.
    Column(String),
    /// Each row is its own subject.
    EachRow,
}

impl SubjectRule {
    /// The subject column, if one is named.
    #[must_use]
    pub fn column(&self) -> Option<&String> {
        match self {
            Self::Column(column) => Some(column),
            Self::Unstated | Self::EachRow => None,
        }
    }
}

/// Whether the first line has the column names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// Decided by comparing the first line with the ones below it.
    #[default]
    Auto,
    /// The first line has the names.
    Present,
    /// The first line is data.
    Absent {
        /// The names to use, one for each column; if empty, `column_1`, `column_2` and so on.
        names: Vec<String>,
    },
}

/// What happens to lines below the first one that repeat the names of the columns, as in files that were put together of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RepeatedHeader {
    /// They are rows, and a note states where they are.
    #[default]
    Row,
    /// They are left out, and a note states how many.
    LeftOut,
}

/// Which fields count as missing; a blank field always does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// Markers such as `?` and `NA` count in typed columns and stay text in text columns.
    #[default]
    Auto,
    /// Markers count in every column.
    Everywhere,
    /// Only blank fields count, so a marker makes its column text.
    BlankOnly,
}

/// What happens to a file with rows that cannot be imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refused {
    /// The file is not imported.
    #[default]
    Stop,
    /// The other rows are imported; the refused ones are counted and listed.
    Skip,
}

/// A text encoding of the WHATWG Encoding Standard, by its label.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TextEncoding(pub(super) &'static Encoding);

impl TextEncoding {
    /// Finds an encoding by a label such as `utf-8`, `windows-1252` or `utf-16le`.
    ///
    /// # Errors
    /// [`IngestError::UnknownEncoding`] if the standard lists no such label.
    pub fn from_label(label: &str) -> Result<Self, IngestError> {
        Encoding::for_label_no_replacement(label.as_bytes())
            .map(Self)
            .ok_or_else(|| IngestError::UnknownEncoding {
                label: label.to_owned(),
            })
    }

    /// The encoding's name in the standard.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }
}

impl std::fmt::Debug for TextEncoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signs(notation: &Notation) -> (DecimalSign, Option<ThousandsSign>) {
        (notation.decimal, notation.thousands)
    }

    #[test]
    fn points_between_groups_leave_the_comma_for_decimals() {
        let mut options = TableOptions::default();
        options.notation.thousands = Some(ThousandsSign::Point);
        let read = options.with_signs().unwrap();
        assert_eq!(signs(&read.notation), (DecimalSign::Comma, Some(ThousandsSign::Point)));
        options.notation.decimal = DecimalSign::Comma;
        assert!(!options.implies_comma());
        options.notation.thousands = Some(ThousandsSign::Comma);
        assert!(options.with_signs().is_err());
        let both = ColumnOptions {
            decimal: Some(DecimalSign::Point),
            thousands: Some(ThousandsSign::Point),
            ..ColumnOptions::default()
        };
        let options = TableOptions {
            columns: vec![("a".to_owned(), both)],
            ..TableOptions::default()
        };
        assert!(options.with_signs().is_err());
    }

    #[test]
    fn numbers_of_days_are_stated_for_single_columns() {
        let mut options = TableOptions::default();
        options.notation.dates = vec!["excel".parse().unwrap()];
        assert!(matches!(
            options.with_signs(),
            Err(IngestError::Notation {
                option: "--date-format",
                ..
            })
        ));
        let column = ColumnOptions {
            dates: std::mem::take(&mut options.notation.dates),
            ..ColumnOptions::default()
        };
        options.columns = vec![("visit".to_owned(), column)];
        assert!(options.with_signs().is_ok());
    }

    #[test]
    fn a_column_has_the_signs_that_are_stated_for_it() {
        let german = Notation {
            decimal: DecimalSign::Comma,
            thousands: Some(ThousandsSign::Point),
            ..Notation::default()
        };
        for (decimal, thousands, found) in [
            (None, None, signs(&german)),
            (Some(DecimalSign::Point), None, (DecimalSign::Point, None)),
            (Some(DecimalSign::Comma), None, (DecimalSign::Comma, None)),
            (
                None,
                Some(ThousandsSign::Comma),
                (DecimalSign::Point, Some(ThousandsSign::Comma)),
            ),
            (
                None,
                Some(ThousandsSign::Space),
                (DecimalSign::Comma, Some(ThousandsSign::Space)),
            ),
            (None, Some(ThousandsSign::Point), signs(&german)),
        ] {
            let column = ColumnOptions {
                decimal,
                thousands,
                ..ColumnOptions::default()
            };
            assert_eq!(signs(&column.notation(&german)), found, "{decimal:?} {thousands:?}");
        }
    }
}
