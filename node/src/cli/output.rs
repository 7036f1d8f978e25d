//! How answers are written: data on standard output and nothing else there; problems on standard error.

use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Map, Value, json};

use super::text::{escaped_json, for_terminal, lines_for_terminal};
use crate::fault::Problem;

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

/// Where a command's answer goes, and in which form.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    format: Format,
}

impl Output {
    /// Writes in `format`; without `color` nothing is coloured.
    pub fn new(format: Format, color: bool) -> Self {
        if !color {
            anstream::ColorChoice::Never.write_global();
        }
        Self { format }
    }

    /// The chosen form.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether a person watches: then there may be progress bars and remarks.
    pub fn is_watched(&self) -> bool {
        self.format == Format::Table && std::io::stderr().is_terminal()
    }

    /// Writes a list; as JSON the whole items, else the given columns.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub fn list(&self, items: &Value, columns: &[Column]) -> Result<(), Problem> {
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

    /// Writes one thing: as JSON the object, else a line for each field.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub fn record(&self, value: &Value) -> Result<(), Problem> {
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

    /// Says that something was done: `sentence` for people, `value` for programs.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub fn done(&self, sentence: &str, value: &Value) -> Result<(), Problem> {
        match self.format {
            Format::Table => write(&format!("{}\n", clean(sentence))),
            Format::Json | Format::Csv => self.record(value),
        }
    }

    /// Writes text as it is, such as a file that goes elsewhere.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub fn text(&self, text: &str) -> Result<(), Problem> {
        write(text)
    }

    /// A remark for people, on standard error.
    pub fn remark(&self, text: &str) {
        if self.format == Format::Table {
            tell(&clean(text));
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
            tell(&escaped_json(&object.to_string()));
            return;
        }
        let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
        let bold = Style::new().bold();
        let (title, detail) = (clean(&problem.title), clean(&problem.detail));
        tell(&format!("{red}{title}:{red:#} {detail}"));
        for reason in &problem.reasons {
            tell(&format!("  - {}", clean(reason)));
        }
        if let Some(help) = &problem.help {
            tell(&format!("{bold}What to do:{bold:#} {}", clean(help)));
        }
    }
}

/// Writes a line to standard error. If that cannot be written, there is nobody left to tell.
fn tell(line: &str) {
    writeln!(anstream::stderr(), "{line}").ok();
}

fn write(text: &str) -> Result<(), Problem> {
    // Where a program reads, it gets the text as it is.
    let shown = std::io::stdout().is_terminal().then(|| lines_for_terminal(text));
    let text = shown.as_deref().unwrap_or(text);
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // The reader has seen enough, as `head` does.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Problem::fault("cannot write to standard output", &error)),
        Ok(()) => Ok(()),
    }
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

/// A field of RFC 4180: quoted if it holds a comma, a quote or a line end.
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

/// What others wrote, on one line.
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
    fn paths_reach_into_items_and_miss_softly() {
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
