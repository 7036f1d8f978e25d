//! The options that say how a file is read, as flags and as a file that is used for the next delivery.

use std::path::{Path, PathBuf};

use concordat_documents::import::{HeaderLine, MissingValues, QuoteSign, ReadingOptions};
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;

use crate::files;

/// The word of `--missing` for markers in every column.
const EVERYWHERE: &str = "everywhere";
/// The word of `--missing` for blank fields alone.
const BLANK_ONLY: &str = "blank-only";
/// The word of `--missing` for the usual rule.
const AUTO: &str = "auto";

#[derive(Debug, clap::Args)]
pub(super) struct ReadingArgs {
    /// Format of the file [default: recognized by its contents]
    #[arg(long, value_parser = ["csv", "parquet", "ndjson"])]
    kind: Option<String>,
    /// Encoding of the text, such as `windows-1252`
    #[arg(long)]
    encoding: Option<String>,
    /// Whether the first line of a CSV file contains the names of the columns
    #[arg(long, value_enum)]
    header: Option<Header>,
    /// What separates the fields of a CSV file: a character, `tab` or `blanks`
    #[arg(long, value_name = "CHAR", allow_hyphen_values = true)]
    delimiter: Option<String>,
    /// What quotes fields of a CSV file
    #[arg(long, value_enum)]
    quote: Option<Quote>,
    /// Leave out lines of a CSV file that begin with this character
    #[arg(long, value_name = "CHAR", allow_hyphen_values = true)]
    comment: Option<String>,
    /// Leave out this many lines at the start of a CSV file
    #[arg(long, value_name = "COUNT")]
    skip_lines: Option<u64>,
    /// A word that means that a value is missing; or where markers such as `?` and `NA` do: `everywhere` or, with `blank-only`, nowhere
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    missing: Vec<String>,
    /// The sign before the decimals of a number: `point` or `comma`
    #[arg(long, value_name = "SIGN")]
    decimal: Option<String>,
    /// The sign between groups of three digits: `comma`, `point`, `space` or `apostrophe`
    #[arg(long, value_name = "SIGN")]
    thousands: Option<String>,
    /// A form of dates or date-times, such as `%d.%m.%Y` or `%d.%m.%Y %H:%M`
    #[arg(long, value_name = "FORM")]
    date_format: Vec<String>,
    /// The zone of date-times that state none, such as `Europe/Berlin`
    #[arg(long)]
    zone: Option<String>,
    /// Words for true and false, such as `yes,no`
    #[arg(long, value_name = "YES,NO")]
    boolean: Vec<String>,
    /// The kind of a column: number, integer, text, date, time, time-utc or boolean
    #[arg(long = "type", value_name = "COLUMN=KIND", value_parser = pair)]
    types: Vec<(String, String)>,
    /// Import these columns as text regardless of their contents
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    text_columns: Vec<String>,
    /// A new name of a column, by its name in the file or by `#` and its number
    #[arg(long, value_name = "OLD=NEW", value_parser = pair)]
    rename: Vec<(String, String)>,
    /// The column that identifies the subject of a row; an existing dataset keeps its own
    #[arg(long, value_name = "COLUMN", conflicts_with = "each_row_is_a_subject")]
    subject_column: Option<String>,
    /// No subject has more than one row
    #[arg(long)]
    each_row_is_a_subject: bool,
    /// Read options from this file, which `--write-options` has written; those of the command take precedence
    #[arg(long, value_name = "FILE")]
    options: Option<PathBuf>,
    /// Write the options in use to this file
    #[arg(long, value_name = "FILE")]
    write_options: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Header {
    Auto,
    Present,
    Absent,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Quote {
    Double,
    None,
}

impl ReadingArgs {
    /// The options of the command, and those of its file where the command states none.
    ///
    /// # Errors
    /// If the file cannot be read, or contains something else.
    pub(super) fn reading(&self) -> Result<ReadingOptions, Problem> {
        let stated = self.stated()?;
        match &self.options {
            Some(path) => Ok(stated.or(read(path)?)),
            None => Ok(stated),
        }
    }

    /// Writes the options in use, if that was requested.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn write(&self, reading: &ReadingOptions) -> Result<(), Problem> {
        let Some(path) = &self.write_options else {
            return Ok(());
        };
        let text =
            toml::to_string(reading).map_err(|error| Problem::internal("the options cannot be written", &error))?;
        files::write(path, text.as_bytes())
    }

    fn stated(&self) -> Result<ReadingOptions, Problem> {
        let (missing, missing_words) = self.missing()?;
        Ok(ReadingOptions {
            kind: self.kind.clone(),
            encoding: self.encoding.clone(),
            header: self.header.map(|header| match header {
                Header::Auto => HeaderLine::Auto,
                Header::Present => HeaderLine::Present,
                Header::Absent => HeaderLine::Absent,
            }),
            delimiter: self.delimiter.clone(),
            quote: self.quote.map(|quote| match quote {
                Quote::Double => QuoteSign::Double,
                Quote::None => QuoteSign::None,
            }),
            comment: self.comment.clone(),
            skip_lines: self.skip_lines,
            missing,
            missing_words,
            decimal: self.decimal.clone(),
            thousands: self.thousands.clone(),
            date_formats: self.date_format.clone(),
            zone: self.zone.clone(),
            booleans: self.boolean.clone(),
            text_columns: self.text_columns.clone(),
            subject_column: self.subject_column.clone(),
            each_row_is_a_subject: self.each_row_is_a_subject,
            types: self.types.iter().cloned().collect(),
            rename: self.rename.iter().cloned().collect(),
        })
    }

    /// Where markers are missing values, and which further words are.
    fn missing(&self) -> Result<(Option<MissingValues>, Vec<String>), Problem> {
        let mut rule = None;
        let mut words = Vec::new();
        for word in &self.missing {
            let stated = match word.as_str() {
                AUTO => MissingValues::Auto,
                EVERYWHERE => MissingValues::Everywhere,
                BLANK_ONLY => MissingValues::BlankOnly,
                _ => {
                    words.push(word.clone());
                    continue;
                }
            };
            if rule.replace(stated).is_some_and(|before| before != stated) {
                return Err(Problem::usage(format!(
                    "`--missing` has two of `{AUTO}`, `{EVERYWHERE}` and `{BLANK_ONLY}`, which contradict each other"
                ))
                .help("state one of them; other words can be stated as well"));
            }
        }
        Ok((rule, words))
    }
}

/// Reads a file of options.
fn read(path: &Path) -> Result<ReadingOptions, Problem> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            Problem::new(ErrorKind::NotFound, format!("there is no file `{shown}`"))
        } else {
            Problem::usage(format!("cannot read `{shown}`: {error}"))
        }
    })?;
    toml::from_str(&text).map_err(|error| {
        Problem::usage(format!("`{shown}` is not a file of options: {}", error.message()))
            .help("write one with `concordat dataset inspect FILE --write-options OPTIONS.toml`")
    })
}

/// Splits at the last `=`: the name of a column in a file may contain one.
fn pair(text: &str) -> Result<(String, String), String> {
    let parts = text
        .rsplit_once('=')
        .filter(|(first, second)| !first.is_empty() && !second.is_empty());
    let (first, second) = parts.ok_or("write two parts with `=` between them, such as `age=text`")?;
    Ok((first.to_owned(), second.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        reading: ReadingArgs,
    }

    fn args(words: &[&str]) -> ReadingArgs {
        Command::try_parse_from([&["x"], words].concat()).unwrap().reading
    }

    #[test]
    fn options_survive_the_file_that_they_are_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("options.toml");
        let path = path.to_str().unwrap();
        let first = args(&[
            "--delimiter",
            ";",
            "--quote",
            "none",
            "--skip-lines",
            "2",
            "--missing",
            "\\N",
            "--missing",
            "-",
            "--missing",
            "everywhere",
            "--decimal",
            "comma",
            "--date-format",
            "%d.%m.%Y",
            "--type",
            "a=b=text",
            "--rename",
            "#4=x",
            "--subject-column",
            "id",
            "--write-options",
            path,
        ]);
        let reading = first.reading().unwrap();
        assert_eq!(reading.missing_words, ["\\N", "-"]);
        assert_eq!(reading.missing, Some(MissingValues::Everywhere));
        assert_eq!(reading.types["a=b"], "text");
        first.write(&reading).unwrap();
        assert_eq!(args(&["--options", path]).reading().unwrap(), reading);
        let changed = args(&["--options", path, "--decimal", "point", "--type", "c=date"])
            .reading()
            .unwrap();
        assert_eq!(changed.decimal.as_deref(), Some("point"));
        assert_eq!((changed.types.len(), changed.skip_lines), (2, Some(2)));
    }

    #[test]
    fn files_of_options_with_unknown_keys_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("options.toml");
        std::fs::write(&path, "delimeter = \";\"\n").unwrap();
        let problem = args(&["--options", path.to_str().unwrap()]).reading().unwrap_err();
        assert!(problem.detail.contains("delimeter"), "{problem:?}");
        let missing = args(&["--options", "/nowhere/options.toml"]).reading().unwrap_err();
        assert_eq!(missing.code, ErrorKind::NotFound);
    }

    #[test]
    fn contradicting_rules_for_missing_values_are_refused() {
        let both = args(&["--missing", "everywhere", "--missing", "blank-only"]);
        assert_eq!(both.reading().unwrap_err().code, ErrorKind::Usage);
        assert!(
            args(&["--missing", "everywhere", "--missing", "everywhere"])
                .reading()
                .is_ok()
        );
    }
}
