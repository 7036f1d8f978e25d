//! The output of commands: data, and only data, on standard output; problems on standard error.

use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::text::{escaped_json, for_terminal, lines_for_terminal};
use concordat_documents::problem::Problem;

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
        let value = &to_value(document)?;
        let empty = Map::new();
        let fields = value.as_object().unwrap_or(&empty);
        let rows = fields
            .iter()
            .map(|(key, value)| vec![key.replace('_', " "), cell(value)]);
        match self.format {
            Format::Json => write_json(value),
            Format::Csv => write_csv(
                fields.keys().cloned(),
                [fields.values().map(cell).collect()].into_iter(),
            ),
            Format::Table => table(std::iter::empty(), rows),
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
            Format::Json => write_error_line(&escaped_json(&json!({ "note": text }).to_string())),
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
            let object = json!({ "code": code, "title": title, "detail": detail, "reasons": reasons, "help": help });
            write_error_line(&escaped_json(&object.to_string()));
            return;
        }
        let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
        let bold = Style::new().bold();
        let (title, detail) = (clean(&problem.title), clean(&problem.detail));
        write_error_line(&format!("{red}{title}:{red:#} {detail}"));
        for reason in &problem.reasons {
            write_error_line(&format!("  - {}", clean(reason)));
        }
        if let Some(help) = &problem.help {
            write_error_line(&format!("{bold}What to do:{bold:#} {}", clean(help)));
        }
    }
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

/// Writes a table to standard output; without titles it has no header.
pub(super) fn table(
    titles: impl Iterator<Item = String>,
    rows: impl Iterator<Item = Vec<String>>,
) -> Result<(), Problem> {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    let header: Vec<String> = titles.map(|title| clean(&title)).collect();
    if !header.is_empty() {
        table.set_header(header);
    }
    table.add_rows(rows.map(|row| row.iter().map(|cell| clean(cell)).collect::<Vec<_>>()));
    let lines = table.lines().map(|line| format!("{}\n", line.trim_end()));
    write(&lines.collect::<String>())
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
pub(super) fn quoted(field: &str) -> String {
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
