//! The output of commands: data, and only data, on standard output; problems on standard error.

use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::text::{escaped_json, for_terminal, lines_for_terminal};
use concordat_documents::problem::Problem;
use concordat_documents::query::AnswerRemark;
use concordat_protocol::error_kind::ErrorKind;

/// How data is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// Aligned columns, for people.
    #[default]
    Table,
    /// One JSON value.
    Json,
    /// Comma-separated values (RFC 4180), the first line with the names.
    Csv,
}

/// A column of a table: its heading, and the path of its value in each item, parts joined by dots.
pub type Column = (&'static str, &'static str);

/// Writes the output of a command in the chosen format.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    format: Format,
}

impl Output {
    /// Writes in `format`; without `color` nothing is colored.
    pub fn new(format: Format, color: bool) -> Self {
        if !color {
            anstream::ColorChoice::Never.write_global();
        }
        Self { format }
    }

    /// The chosen format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether a person is watching: progress bars and notes are shown.
    pub fn is_interactive(&self) -> bool {
        self.format == Format::Table && std::io::stderr().is_terminal()
    }

    /// Writes a list: as JSON the complete items, otherwise the given columns.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub fn list(&self, items: &impl Serialize, columns: &[Column]) -> Result<(), Problem> {
        let items = &to_value(items)?;
        let rows = items.as_array().map(Vec::as_slice).unwrap_or_default();
        let cells = rows
            .iter()
            .map(|item| columns.iter().map(|(_, path)| cell(at(item, path))).collect::<Vec<_>>());
        match self.format {
            Format::Json => write_json(items),
            Format::Csv => write_csv(columns.iter().map(|(_, path)| (*path).to_owned()), cells),
            Format::Table => table(columns.iter().map(|(title, _)| title.to_uppercase()), cells),
        }
    }

    /// Writes one object: as JSON the object itself, otherwise a line for each field.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub fn record(&self, document: &impl Serialize) -> Result<(), Problem> {
        self.record_with_lists(document, &[])
    }

    /// As [`Self::record`]; in a table, each element of the lists in the fields `lists` has a line of its own.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub fn record_with_lists(&self, document: &impl Serialize, lists: &[&str]) -> Result<(), Problem> {
        let value = &to_value(document)?;
        let empty = Map::new();
        let fields = value.as_object().unwrap_or(&empty);
        match self.format {
            Format::Json => write_json(value),
            Format::Csv => write_csv(
                fields.keys().cloned(),
                [fields.values().map(cell).collect()].into_iter(),
            ),
            Format::Table => write(&layout(Vec::new(), field_rows(fields, lists))),
        }
    }

    /// Reports that something was done: `sentence` for people, `value` for programs.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub fn done(&self, sentence: &str, document: &impl Serialize) -> Result<(), Problem> {
        match self.format {
            Format::Table => write(&format!("{}\n", clean(sentence))),
            Format::Json | Format::Csv => self.record(document),
        }
    }

    /// Writes text unchanged, such as a file to be passed on.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub fn text(&self, text: &str) -> Result<(), Problem> {
        write(text)
    }

    /// Writes a document as a file to be passed on: JSON in every format.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub fn file(&self, document: &impl Serialize) -> Result<(), Problem> {
        write(&format!("{:#}\n", to_value(document)?))
    }

    /// What a reader has to know beside the data, on standard error: a line of text, or with JSON an object.
    pub fn note(&self, text: &str) {
        match self.format {
            Format::Table | Format::Csv => write_error_line(&clean(text)),
            Format::Json => write_error_object(&Note { note: text }),
        }
    }

    /// What is missing from an answer, on standard error: a line of text, or with JSON an object that also has the member, the column and
    /// the cells.
    pub fn remark(&self, remark: &AnswerRemark) {
        match self.format {
            Format::Table | Format::Csv => self.note(&remark.text),
            Format::Json => write_error_object(&NotedRemark {
                note: &remark.text,
                remark,
            }),
        }
    }

    /// What went wrong, on standard error: what happened, why, what to do.
    pub fn problem(&self, problem: &Problem) {
        if self.format == Format::Json {
            let Problem {
                code,
                title,
                detail,
                reasons,
                help,
                ..
            } = problem;
            write_error_object(&Failure {
                code: *code,
                title,
                detail,
                reasons,
                help: help.as_deref(),
            });
            return;
        }
        let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
        let bold = Style::new().bold();
        let title = clean(&problem.title);
        let detail = clean(&problem.detail);
        write_error_line(&format!("{red}{title}:{red:#} {detail}"));
        for reason in &problem.reasons {
            write_error_line(&format!("  - {}", clean(reason)));
        }
        if let Some(help) = &problem.help {
            write_error_line(&format!("{bold}What to do:{bold:#} {}", clean(help)));
        }
    }
}

/// A note for programs.
#[derive(Serialize)]
struct Note<'a> {
    note: &'a str,
}

/// A remark for programs: a note, and the document that it is from.
#[derive(Serialize)]
struct NotedRemark<'a> {
    note: &'a str,
    remark: &'a AnswerRemark,
}

/// A problem for programs, without what concerns HTTP.
#[derive(Serialize)]
struct Failure<'a> {
    code: ErrorKind,
    title: &'a str,
    detail: &'a str,
    reasons: &'a [String],
    help: Option<&'a str>,
}

/// Writes an object on one line of standard error.
fn write_error_object(object: &impl Serialize) {
    let object = serde_json::to_value(object).unwrap_or_default();
    write_error_line(&escaped_json(&object.to_string()));
}

/// Writes a line to standard error. A failure is ignored, because there is no other place to report it.
fn write_error_line(line: &str) {
    writeln!(anstream::stderr(), "{line}").ok();
}

fn write(text: &str) -> Result<(), Problem> {
    // A program that reads the output gets the text unchanged.
    let shown = std::io::stdout().is_terminal().then(|| lines_for_terminal(text));
    let text = shown.as_deref().unwrap_or(text);
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // The reader has closed the pipe, as `head` does.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Problem::internal("cannot write to standard output", &error)),
        Ok(()) => Ok(()),
    }
}

fn to_value(document: &impl Serialize) -> Result<Value, Problem> {
    serde_json::to_value(document).map_err(|error| Problem::internal("cannot show the response", &error))
}

fn write_json(value: &Value) -> Result<(), Problem> {
    write(&format!("{}\n", escaped_json(&format!("{value:#}"))))
}

/// Writes a table to standard output; without titles it has no header. Each cell is one line.
pub(crate) fn table(
    titles: impl Iterator<Item = String>,
    rows: impl Iterator<Item = Vec<String>>,
) -> Result<(), Problem> {
    let rows = rows.map(|row| row.iter().map(|text| Shown::line(text)).collect());
    write(&layout(titles.map(|title| Shown::line(&title)).collect(), rows))
}

/// What a cell of a table shows: safe for a terminal, and on several lines only where [`Shown::lines`] put them.
struct Shown(String);

impl Shown {
    fn line(text: &str) -> Self {
        Self(clean(text))
    }

    fn lines<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let lines: Vec<String> = texts.into_iter().map(clean).collect();
        Self(lines.join("\n"))
    }
}

/// A row for each field; each element of the lists in the fields `lists` has a line of its own.
fn field_rows(fields: &Map<String, Value>, lists: &[&str]) -> impl Iterator<Item = Vec<Shown>> {
    fields.iter().map(|(key, value)| {
        let shown = match value.as_array() {
            Some(items) if lists.contains(&key.as_str()) && !items.is_empty() => {
                let cells: Vec<String> = items.iter().map(cell).collect();
                Shown::lines(cells.iter().map(String::as_str))
            }
            Some(_) | None => Shown::line(&cell(value)),
        };
        vec![Shown::line(&key.replace('_', " ")), shown]
    })
}

/// The text of a table; without titles it has no header.
fn layout(titles: Vec<Shown>, rows: impl Iterator<Item = Vec<Shown>>) -> String {
    let texts = |row: Vec<Shown>| row.into_iter().map(|Shown(text)| text).collect::<Vec<_>>();
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    if !titles.is_empty() {
        table.set_header(texts(titles));
    }
    table.add_rows(rows.map(texts));
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn write_csv(header: impl Iterator<Item = String>, rows: impl Iterator<Item = Vec<String>>) -> Result<(), Problem> {
    let mut text = String::new();
    for row in std::iter::once(header.collect()).chain(rows) {
        let fields: Vec<String> = row.iter().map(|field| quoted(field)).collect();
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
    write(&text)
}

/// A field of RFC 4180: quoted if it contains a comma, a quote or a line end.
pub(crate) fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

/// The value at a path of field names joined by dots.
fn at<'a>(item: &'a Value, path: &str) -> &'a Value {
    path.split('.')
        .fold(item, |value, key| value.get(key).unwrap_or(&Value::Null))
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => clean(text),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| format!("{key}={}", cell(value)));
            fields.collect::<Vec<_>>().join(" ")
        }
    }
}

/// Untrusted text, made safe for one line of a terminal.
fn clean(text: &str) -> String {
    for_terminal(text).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_are_readable_and_harmless() {
        let cases = [
            (json!(null), "-"),
            (json!(true), "yes"),
            (json!([]), "-"),
            (json!(["a", 1]), "a, 1"),
            (json!({ "ok": false }), "ok=no"),
            (json!("\u{1b}[2Jx"), " [2Jx"),
        ];
        for (value, expected) in cases {
            assert_eq!(cell(&value), expected);
        }
    }

    #[test]
    fn list_of_a_record_is_shown_by_line_and_harmless() {
        let record = json!({
            "steps": ["first", "second\u{1b}[2J\nsigned by  everyone", ["a", "b"]],
            "signed_by": ["provider", "consumer"],
            "reasons": [],
            "policy": "one\ntwo",
        });
        let rows = field_rows(record.as_object().unwrap(), &["steps", "reasons", "policy", "absent"]);
        let expected = " steps      first\n            second [2J signed by  everyone\n            a, b\n \
                        signed by  provider, consumer\n reasons    -\n policy     one two\n";
        assert_eq!(layout(Vec::new(), rows), expected);
    }

    #[test]
    fn column_path_missing_field_is_null() {
        let item = json!({ "checkpoint": { "size": 7 } });
        assert_eq!(at(&item, "checkpoint.size"), &json!(7));
        assert_eq!(at(&item, "checkpoint.root"), &Value::Null);
        assert_eq!(at(&item, "a.b.c"), &Value::Null);
    }

    #[test]
    fn csv_fields_follow_rfc_4180() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a \"b\", c"), "\"a \"\"b\"\", c\"");
    }
}
