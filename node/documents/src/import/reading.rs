//! How a file is read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a file is read. What is not stated is recognized by the contents, or has the usual form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReadingOptions {
    /// The format of the file: `csv`, `parquet`, `ndjson`, `xlsx` or `ods`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The sheet of a spreadsheet; the only one with cells if it is not stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    /// The encoding of the text, such as `windows-1252`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Whether the first line of a CSV file, or the first row of a sheet, contains the names of the columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<HeaderLine>,
    /// What happens to further lines of a CSV file, or rows of a sheet, that repeat the names of the columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeated_header: Option<RepeatedHeaderLine>,
    /// What separates the fields of a CSV file: one character, `tab`, or `blanks` for any number of spaces and tabs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<String>,
    /// What quotes fields of a CSV file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<QuoteSign>,
    /// The character with which lines of a CSV file begin that are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Lines before the table in a CSV file, or rows before it in a sheet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_lines: Option<u64>,
    /// Where markers such as `?` and `NA` mean that a value is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<MissingValues>,
    /// Further words that mean that a value is missing, in every column.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_words: Vec<String>,
    /// The sign before the decimals of a number, `point` or `comma`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimal: Option<String>,
    /// The sign between groups of three digits, `comma`, `point`, `space` or `apostrophe`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thousands: Option<String>,
    /// Forms of dates and date-times as `strftime` writes them, such as `%d.%m.%Y`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub date_formats: Vec<String>,
    /// The last of the hundred years that years of two digits (`%y`) stand for; 2068 if it is not stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_year: Option<u16>,
    /// The zone of date-times that state none, such as `Europe/Berlin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Words for true and false, such as `yes,no`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub booleans: Vec<String>,
    /// Columns that are imported as text regardless of their contents.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub text_columns: Vec<String>,
    /// The column that identifies the subject of a row; an existing dataset keeps its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_column: Option<String>,
    /// Whether each row is a subject of its own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub each_row_is_a_subject: bool,
    /// The kinds of columns: `number`, `integer`, `text`, `date`, `time`, `time-utc` or `boolean`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, String>,
    /// New names of columns, by the name in the file or by `#` and the number of the column.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rename: BTreeMap<String, String>,
    /// How the values of single columns are written, where that differs from the others.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, ColumnReading>,
}

/// How the values of one column are written, where that differs from the other columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ColumnReading {
    /// The sign before the decimals of a number, `point` or `comma`. A column for which one of the two signs is stated has only those that
    /// are stated for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimal: Option<String>,
    /// The sign between groups of three digits, `comma`, `point`, `space` or `apostrophe`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thousands: Option<String>,
    /// Forms of dates and date-times; those of the other columns are not tried if there are any. `excel` and `excel-1904` are for days that are
    /// numbered as Excel does, from 1900 or 1904.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub date_formats: Vec<String>,
    /// Words that mean that a value is missing, besides those of every column.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_words: Vec<String>,
}

impl ColumnReading {
    /// These options, and those of `other` where these state nothing. The signs are taken together.
    fn or(self, other: Self) -> Self {
        let (decimal, thousands) = match (&self.decimal, &self.thousands) {
            (None, None) => (other.decimal, other.thousands),
            (Some(_), _) | (_, Some(_)) => (self.decimal, self.thousands),
        };
        Self {
            decimal,
            thousands,
            date_formats: stated(self.date_formats, other.date_formats),
            missing_words: stated(self.missing_words, other.missing_words),
        }
    }

    fn flags(&self, name: &str) -> Vec<String> {
        let flag = move |option: &'static str| move |value: &String| format!("{option} '{name}={value}'");
        let decimal = self.decimal.iter().map(flag("--decimal"));
        let thousands = self.thousands.iter().map(flag("--thousands"));
        let forms = self.date_formats.iter().map(flag("--date-format"));
        let words = self.missing_words.iter().map(flag("--missing"));
        decimal.chain(thousands).chain(forms).chain(words).collect()
    }
}

impl ReadingOptions {
    /// These options, and those of `other` where these state nothing. Kinds and names are taken column by column, and the subject as a
    /// whole.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let is_subject_stated = self.subject_column.is_some() || self.each_row_is_a_subject;
        let (subject_column, each_row_is_a_subject) = match is_subject_stated {
            true => (self.subject_column, self.each_row_is_a_subject),
            false => (other.subject_column, other.each_row_is_a_subject),
        };
        Self {
            kind: self.kind.or(other.kind),
            sheet: self.sheet.or(other.sheet),
            encoding: self.encoding.or(other.encoding),
            header: self.header.or(other.header),
            repeated_header: self.repeated_header.or(other.repeated_header),
            delimiter: self.delimiter.or(other.delimiter),
            quote: self.quote.or(other.quote),
            comment: self.comment.or(other.comment),
            skip_lines: self.skip_lines.or(other.skip_lines),
            missing: self.missing.or(other.missing),
            missing_words: stated(self.missing_words, other.missing_words),
            decimal: self.decimal.or(other.decimal),
            thousands: self.thousands.or(other.thousands),
            date_formats: stated(self.date_formats, other.date_formats),
            last_year: self.last_year.or(other.last_year),
            zone: self.zone.or(other.zone),
            booleans: stated(self.booleans, other.booleans),
            text_columns: stated(self.text_columns, other.text_columns),
            subject_column,
            each_row_is_a_subject,
            types: by_column(self.types, other.types),
            rename: by_column(self.rename, other.rename),
            columns: each_column(self.columns, other.columns),
        }
    }

    /// The options as flags of the command line, one option each.
    #[must_use]
    pub fn flags(&self) -> Vec<String> {
        let one =
            |option: &str, value: &Option<String>| value.as_ref().map(|value| format!("{option} {}", quoted(value)));
        let each = |option: &str, values: &[String]| {
            let flags = values.iter().map(|value| format!("{option} {}", quoted(value)));
            flags.collect::<Vec<_>>()
        };
        let pairs = |option: &str, pairs: &BTreeMap<String, String>| {
            let flags = pairs
                .iter()
                .map(|(first, second)| format!("{option} {}", quoted(&format!("{first}={second}"))));
            flags.collect::<Vec<_>>()
        };
        let header = self.header.map(|header| match header {
            HeaderLine::Auto => "--header auto",
            HeaderLine::Present => "--header present",
            HeaderLine::Absent => "--header absent",
        });
        let repeated = self.repeated_header.map(|repeated| match repeated {
            RepeatedHeaderLine::Row => "--repeated-header row",
            RepeatedHeaderLine::LeftOut => "--repeated-header left-out",
        });
        let quote = self.quote.map(|quote| match quote {
            QuoteSign::Double => "--quote double",
            QuoteSign::None => "--quote none",
        });
        let missing = self.missing.map(|missing| match missing {
            MissingValues::Auto => "--missing auto",
            MissingValues::Everywhere => "--missing everywhere",
            MissingValues::BlankOnly => "--missing blank-only",
        });
        let mut flags: Vec<String> = [
            one("--kind", &self.kind),
            one("--sheet", &self.sheet),
            one("--encoding", &self.encoding),
            header.map(str::to_owned),
            repeated.map(str::to_owned),
            one("--delimiter", &self.delimiter),
            quote.map(str::to_owned),
            one("--comment", &self.comment),
            self.skip_lines.map(|count| format!("--skip-lines {count}")),
            missing.map(str::to_owned),
            one("--decimal", &self.decimal),
            one("--thousands", &self.thousands),
            self.last_year.map(|year| format!("--last-year {year}")),
            one("--zone", &self.zone),
            one("--subject-column", &self.subject_column),
            self.each_row_is_a_subject.then(|| "--each-row-is-a-subject".to_owned()),
        ]
        .into_iter()
        .flatten()
        .collect();
        flags.extend(each("--missing", &self.missing_words));
        flags.extend(each("--date-format", &self.date_formats));
        flags.extend(each("--boolean", &self.booleans));
        flags.extend(each("--text-columns", &self.text_columns));
        flags.extend(pairs("--type", &self.types));
        flags.extend(pairs("--rename", &self.rename));
        flags.extend(self.columns.iter().flat_map(|(name, column)| column.flags(name)));
        flags
    }

    /// The same without the subject, which an existing dataset keeps by itself.
    #[must_use]
    pub fn without_subject(self) -> Self {
        Self {
            subject_column: None,
            each_row_is_a_subject: false,
            ..self
        }
    }
}

/// The first list, or the second if the first is empty.
fn stated(first: Vec<String>, second: Vec<String>) -> Vec<String> {
    if first.is_empty() { second } else { first }
}

fn by_column(first: BTreeMap<String, String>, second: BTreeMap<String, String>) -> BTreeMap<String, String> {
    second.into_iter().chain(first).collect()
}

fn each_column(
    first: BTreeMap<String, ColumnReading>,
    second: BTreeMap<String, ColumnReading>,
) -> BTreeMap<String, ColumnReading> {
    let mut columns = second;
    for (name, column) in first {
        let other = columns.remove(&name).unwrap_or_default();
        columns.insert(name, column.or(other));
    }
    columns
}

/// A value as the shell takes it, in quotes unless it is a word.
fn quoted(value: &str) -> String {
    let is_word = !value.is_empty() && value.chars().all(|c| c.is_alphanumeric() || "_-./=,".contains(c));
    match is_word {
        true => value.to_owned(),
        false => format!("'{}'", value.replace('\'', "'\\''")),
    }
}

/// Whether the first line contains the names of the columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeaderLine {
    /// It is recognized by the contents.
    #[default]
    Auto,
    /// It does.
    Present,
    /// It is a row.
    Absent,
}

/// What happens to lines below the first one that repeat the names of the columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RepeatedHeaderLine {
    /// They are rows, and a note states where they are.
    #[default]
    Row,
    /// They are left out, and a note states how many.
    LeftOut,
}

/// Where markers mean that a value is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissingValues {
    /// In columns whose other values are not text.
    #[default]
    Auto,
    /// In every column.
    Everywhere,
    /// Nowhere: only a blank field is a missing value.
    BlankOnly,
}

/// What quotes fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuoteSign {
    /// The double quote.
    #[default]
    Double,
    /// Nothing: quotes are ordinary characters.
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> ReadingOptions {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn stated_options_take_precedence_over_the_others() {
        let first =
            options(r#"{"decimal":"comma","missing_words":["-"],"types":{"a":"text"},"each_row_is_a_subject":true}"#);
        let second = options(
            r#"{"decimal":"point","zone":"UTC","missing_words":["x","y"],"types":{"a":"number","b":"date"},"subject_column":"id"}"#,
        );
        let both = options(
            r#"{"decimal":"comma","zone":"UTC","missing_words":["-"],"types":{"a":"text","b":"date"},"each_row_is_a_subject":true}"#,
        );
        assert_eq!(first.clone().or(second), both);
        assert_eq!(first.clone().or(ReadingOptions::default()), first);
        assert_eq!(ReadingOptions::default().or(first.clone()), first);
    }

    #[test]
    fn options_of_columns_are_taken_one_by_one() {
        let first = options(r#"{"columns":{"a":{"decimal":"point"},"b":{"missing_words":["9"]}}}"#);
        let second =
            options(r#"{"columns":{"a":{"thousands":"point","date_formats":["%m/%d/%Y"]},"c":{"decimal":"comma"}}}"#);
        let both = options(
            r#"{"columns":{"a":{"decimal":"point","date_formats":["%m/%d/%Y"]},"b":{"missing_words":["9"]},"c":{"decimal":"comma"}}}"#,
        );
        assert_eq!(first.clone().or(second), both);
        assert_eq!(ReadingOptions::default().or(first.clone()), first);
    }

    #[test]
    fn every_option_is_a_flag() {
        let all = options(
            r##"{"kind":"csv","sheet":"Data 1","encoding":"utf-8","header":"absent","repeated_header":"left_out","delimiter":"tab","quote":"none","comment":"#",
            "skip_lines":2,"missing":"everywhere","missing_words":["\\N"],"decimal":"comma","thousands":"point","last_year":2026,
            "date_formats":["%d.%m.%Y"],"zone":"UTC","booleans":["ja,nein"],"text_columns":["t"],"subject_column":"id",
            "types":{"a":"number"},"rename":{"b":"c"},"columns":{"d":{"decimal":"point","missing_words":["9"]}}}"##,
        );
        let flags = all.flags().join(" ");
        for flag in [
            "--kind csv",
            "--sheet 'Data 1'",
            "--repeated-header left-out",
            "--comment '#'",
            "--skip-lines 2",
            "--missing everywhere",
            "--missing '\\N'",
            "--decimal comma",
            "--last-year 2026",
            "--date-format '%d.%m.%Y'",
            "--boolean ja,nein",
            "--type a=number",
            "--decimal 'd=point'",
            "--missing 'd=9'",
        ] {
            assert!(flags.contains(flag), "{flag}: {flags}");
        }
        // Each key of the document is one: a new option needs a flag too.
        assert_eq!(
            all.flags().len(),
            serde_json::to_value(&all).unwrap().as_object().unwrap().len() + 1
        );
        assert_eq!(ReadingOptions::default().flags(), Vec::<String>::new());
    }

    #[test]
    fn only_stated_options_are_written() {
        assert_eq!(serde_json::to_string(&ReadingOptions::default()).unwrap(), "{}");
        let text = r##"{"header":"absent","quote":"none","skip_lines":2,"rename":{"#4":"x"}}"##;
        assert_eq!(serde_json::to_string(&options(text)).unwrap(), text);
        assert!(serde_json::from_str::<ReadingOptions>(r#"{"headers":"absent"}"#).is_err());
    }
}
