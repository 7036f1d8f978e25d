//! How a file is read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a file is read. What is not stated is recognized by the contents, or has the usual form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReadingOptions {
    /// The format of the file, `csv`, `parquet` or `ndjson`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The encoding of the text, such as `windows-1252`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Whether the first line of a CSV file contains the names of the columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<HeaderLine>,
    /// What separates the fields of a CSV file: one character, `tab`, or `blanks` for any number of spaces and tabs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<String>,
    /// What quotes fields of a CSV file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<QuoteSign>,
    /// The character with which lines of a CSV file begin that are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Lines before the table in a CSV file.
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
            encoding: self.encoding.or(other.encoding),
            header: self.header.or(other.header),
            delimiter: self.delimiter.or(other.delimiter),
            quote: self.quote.or(other.quote),
            comment: self.comment.or(other.comment),
            skip_lines: self.skip_lines.or(other.skip_lines),
            missing: self.missing.or(other.missing),
            missing_words: stated(self.missing_words, other.missing_words),
            decimal: self.decimal.or(other.decimal),
            thousands: self.thousands.or(other.thousands),
            date_formats: stated(self.date_formats, other.date_formats),
            zone: self.zone.or(other.zone),
            booleans: stated(self.booleans, other.booleans),
            text_columns: stated(self.text_columns, other.text_columns),
            subject_column,
            each_row_is_a_subject,
            types: by_column(self.types, other.types),
            rename: by_column(self.rename, other.rename),
        }
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
    fn only_stated_options_are_written() {
        assert_eq!(serde_json::to_string(&ReadingOptions::default()).unwrap(), "{}");
        let text = r##"{"header":"absent","quote":"none","skip_lines":2,"rename":{"#4":"x"}}"##;
        assert_eq!(serde_json::to_string(&options(text)).unwrap(), text);
        assert!(serde_json::from_str::<ReadingOptions>(r#"{"headers":"absent"}"#).is_err());
    }
}
