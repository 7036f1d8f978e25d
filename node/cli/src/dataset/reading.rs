//! The options that say how a file is read, as flags and as a file that is used for the next delivery.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use concordat_documents::import::{
    ColumnReading, HeaderLine, MissingValues, QuoteSign, ReadingOptions, RepeatedHeaderLine,
};
use concordat_documents::problem::Problem;

use crate::files;

/// Most bytes of a file of options.
const MAX_FILE: u64 = 1024 * 1024;
/// The word of `--missing` for markers in every column.
const EVERYWHERE: &str = "everywhere";
/// The word of `--missing` for blank fields alone.
const BLANK_ONLY: &str = "blank-only";
/// The word of `--missing` for the usual rule.
const AUTO: &str = "auto";

#[derive(Debug, clap::Args)]
pub(super) struct ReadingArgs {
    /// Format of the file [default: recognized by its contents]
    #[arg(long, value_parser = ["csv", "parquet", "ndjson", "xlsx", "ods"])]
    kind: Option<String>,
    /// The sheet of a spreadsheet [default: the only one with cells]
    #[arg(long, value_name = "NAME")]
    sheet: Option<String>,
    /// Encoding of the text, such as `windows-1252`
    #[arg(long)]
    encoding: Option<String>,
    /// Whether the first line of a CSV file, or the first row of a sheet, contains the names of the columns
    #[arg(long, value_enum)]
    header: Option<Header>,
    /// What happens to further lines of a CSV file, or rows of a sheet, that repeat the names of the columns
    #[arg(long, value_enum)]
    repeated_header: Option<RepeatedHeader>,
    /// What separates the fields of a CSV file: a character, `tab` or `blanks`
    #[arg(long, value_name = "CHAR", allow_hyphen_values = true)]
    delimiter: Option<String>,
    /// What quotes fields of a CSV file
    #[arg(long, value_enum)]
    quote: Option<Quote>,
    /// Leave out lines of a CSV file that begin with this character
    #[arg(long, value_name = "CHAR", allow_hyphen_values = true)]
    comment: Option<String>,
    /// Leave out this many lines at the start of a CSV file, or rows at the top of a sheet
    #[arg(long, value_name = "COUNT")]
    skip_lines: Option<u64>,
    /// A word that means that a value is missing, in one column or in all; or where markers such as `?` and `NA` do: `everywhere` or, with
    /// `blank-only`, nowhere
    #[arg(long, value_name = "[COLUMN=]WORD", allow_hyphen_values = true)]
    missing: Vec<String>,
    /// The sign before the decimals of a number, in one column or in all: `point` or `comma`
    #[arg(long, value_name = "[COLUMN=]SIGN")]
    decimal: Vec<String>,
    /// The sign between groups of three digits, in one column or in all: `comma`, `point`, `space` or `apostrophe`
    #[arg(long, value_name = "[COLUMN=]SIGN")]
    thousands: Vec<String>,
    /// A form of dates or date-times, in one column or in all, such as `%d.%m.%Y` or `%d.%m.%Y %H:%M`; `%y` is a year of two digits. `COLUMN=excel` is for
    /// days that are numbered as Excel does, and `COLUMN=excel-1904` for those counted from 1904
    #[arg(long, value_name = "[COLUMN=]FORM")]
    date_format: Vec<String>,
    /// The last of the hundred years that years of two digits stand for [default: this year]
    #[arg(long, value_name = "YEAR", value_parser = clap::value_parser!(u16).range(1000..=9999))]
    last_year: Option<u16>,
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
enum RepeatedHeader {
    Row,
    LeftOut,
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
        let mut columns = BTreeMap::new();
        let (missing, missing_words) = self.missing(&mut columns)?;
        let decimal = sign("--decimal", &self.decimal, &mut columns, |column| &mut column.decimal)?;
        let thousands = sign("--thousands", &self.thousands, &mut columns, |column| {
            &mut column.thousands
        })?;
        let mut date_formats = Vec::new();
        for form in &self.date_format {
            match for_column(form, &mut columns) {
                Some((column, form)) => column.date_formats.push(form.to_owned()),
                None => date_formats.push(form.clone()),
            }
        }
        Ok(ReadingOptions {
            kind: self.kind.clone(),
            sheet: self.sheet.clone(),
            encoding: self.encoding.clone(),
            header: self.header.map(|header| match header {
                Header::Auto => HeaderLine::Auto,
                Header::Present => HeaderLine::Present,
                Header::Absent => HeaderLine::Absent,
            }),
            repeated_header: self.repeated_header.map(|repeated| match repeated {
                RepeatedHeader::Row => RepeatedHeaderLine::Row,
                RepeatedHeader::LeftOut => RepeatedHeaderLine::LeftOut,
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
            decimal,
            thousands,
            date_formats,
            last_year: self.last_year,
            zone: self.zone.clone(),
            booleans: self.boolean.clone(),
            text_columns: self.text_columns.clone(),
            subject_column: self.subject_column.clone(),
            each_row_is_a_subject: self.each_row_is_a_subject,
            types: self.types.iter().cloned().collect(),
            rename: self.rename.iter().cloned().collect(),
            columns,
        })
    }

    /// Where markers are missing values, and which further words are; words of single columns are added to these.
    fn missing(
        &self,
        columns: &mut BTreeMap<String, ColumnReading>,
    ) -> Result<(Option<MissingValues>, Vec<String>), Problem> {
        let mut rule = None;
        let mut words = Vec::new();
        for word in &self.missing {
            let stated = match word.as_str() {
                AUTO => MissingValues::Auto,
                EVERYWHERE => MissingValues::Everywhere,
                BLANK_ONLY => MissingValues::BlankOnly,
                _ => {
                    match for_column(word, columns) {
                        Some((column, word)) => column.missing_words.push(word.to_owned()),
                        None => words.push(word.clone()),
                    }
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

/// What `COLUMN=VALUE` states: the options of the column, and the value. `None` if the value is for all columns.
fn for_column<'a, 'b>(
    stated: &'b str,
    columns: &'a mut BTreeMap<String, ColumnReading>,
) -> Option<(&'a mut ColumnReading, &'b str)> {
    let (column, value) = stated.rsplit_once('=')?;
    if column.is_empty() || value.is_empty() {
        return None;
    }
    Some((columns.entry(column.to_owned()).or_default(), value))
}

/// The sign that is stated for all columns; those of single columns are added to these.
fn sign(
    option: &str,
    stated: &[String],
    columns: &mut BTreeMap<String, ColumnReading>,
    of_column: fn(&mut ColumnReading) -> &mut Option<String>,
) -> Result<Option<String>, Problem> {
    let mut all = None;
    for sign in stated {
        let (place, sign) = match for_column(sign, columns) {
            Some((column, sign)) => (of_column(column), sign),
            None => (&mut all, sign.as_str()),
        };
        if place.replace(sign.to_owned()).is_some_and(|before| before != sign) {
            return Err(Problem::usage(format!(
                "`{option}` states two signs for the same column, or for all columns"
            ))
            .help(format!(
                "state one, or one for each column, as in `{option} COLUMN={sign}`"
            )));
        }
    }
    Ok(all)
}

/// Reads a file of options.
fn read(path: &Path) -> Result<ReadingOptions, Problem> {
    let shown = path.display();
    let text = files::read_text(path, MAX_FILE)?;
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
    use concordat_protocol::error_kind::ErrorKind;

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
            "--repeated-header",
            "left-out",
            "--skip-lines",
            "2",
            "--sheet",
            "Data 1",
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
        assert_eq!(reading.sheet.as_deref(), Some("Data 1"));
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
    fn options_are_for_all_columns_or_for_one() {
        let reading = args(&[
            "--decimal",
            "comma",
            "--decimal",
            "inr=point",
            "--thousands",
            "a=b=space",
            "--date-format",
            "born=%d.%m.%y",
            "--missing",
            "apgar=99",
            "--missing",
            "-",
            "--missing",
            "=",
            "--last-year",
            "1999",
        ])
        .reading()
        .unwrap();
        assert_eq!((reading.decimal.as_deref(), reading.thousands), (Some("comma"), None));
        assert_eq!(reading.columns["inr"].decimal.as_deref(), Some("point"));
        assert_eq!(reading.columns["a=b"].thousands.as_deref(), Some("space"));
        assert_eq!(reading.columns["born"].date_formats, ["%d.%m.%y"]);
        assert_eq!(reading.columns["apgar"].missing_words, ["99"]);
        assert_eq!(
            (reading.missing_words, reading.last_year),
            (vec!["-".to_owned(), "=".to_owned()], Some(1999))
        );
        for twice in [["point", "comma"], ["a=point", "a=comma"]] {
            let two = args(&["--decimal", twice[0], "--decimal", twice[1]]);
            assert_eq!(two.reading().unwrap_err().code, ErrorKind::Usage, "{twice:?}");
        }
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
