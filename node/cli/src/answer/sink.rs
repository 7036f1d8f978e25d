//! Output of rows to a terminal, standard output or a file.

use std::io::{IsTerminal, Stdout, Write};
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;

use super::cells::{csv_line, objects, texts};
use crate::files::NewFile;
use crate::output::Format;
use crate::output::table;
use crate::text::{escaped_json, for_spreadsheet, for_terminal};
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;

/// Most rows that a table on a terminal shows; more rows belong in a file.
const MAX_SHOWN: usize = 1000;

/// Writes rows and counts them.
pub(crate) struct Sink {
    target: Target,
    header: bool,
    rows: u64,
}

enum Target {
    Table {
        titles: Vec<String>,
        rows: Vec<Vec<String>>,
    },
    Csv(Out, Cells),
    Json {
        out: Out,
        first: bool,
    },
    Lines(Out),
    Arrow(DeferredWriter<FileWriter<NewFile>>),
    Parquet(DeferredWriter<ArrowWriter<NewFile>>),
}

/// Where text goes.
enum Out {
    Stdout(Stdout),
    File(NewFile),
}

/// A file whose writer is created with the first rows, because it needs their columns.
enum DeferredWriter<W> {
    Pending(NewFile),
    Writing(Box<W>),
    /// The first rows could not be written.
    Failed,
}

/// How the cells of a CSV file are escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cells {
    /// Not at all.
    Raw,
    /// Characters that control a terminal are replaced.
    ForTerminal,
    /// Formulas and deceptive characters are made harmless (`--spreadsheet-safe`).
    ForSpreadsheet,
}

impl Cells {
    fn line<'a>(self, cells: impl Iterator<Item = &'a str>) -> String {
        match self {
            Self::Raw => csv_line(cells),
            Self::ForTerminal => csv_line(cells.map(for_terminal)),
            Self::ForSpreadsheet => csv_line(cells.map(for_spreadsheet)),
        }
    }
}

impl Out {
    fn finish(self) -> Result<(), Problem> {
        match self {
            Self::Stdout(mut out) => out.flush().map_err(|error| unwritable(&error)),
            Self::File(file) => file.finish(),
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::File(file) => file.flush(),
        }
    }
}

impl<W> DeferredWriter<W> {
    /// The writer, created by `begin` if these are the first rows.
    fn writer<E: std::error::Error>(&mut self, begin: impl FnOnce(NewFile) -> Result<W, E>) -> Result<&mut W, Problem> {
        if let Self::Pending(_) = self
            && let Self::Pending(file) = std::mem::replace(self, Self::Failed)
        {
            *self = Self::Writing(Box::new(begin(file).map_err(|error| unwritable(&error))?));
        }
        match self {
            Self::Writing(writer) => Ok(writer),
            Self::Pending(_) | Self::Failed => Err(Problem::new(ErrorKind::Internal, "the file could not be created")),
        }
    }

    fn finish<E: std::error::Error>(self, end: impl FnOnce(W) -> Result<NewFile, E>) -> Result<(), Problem> {
        match self {
            Self::Pending(file) => file.finish(),
            Self::Writing(writer) => end(*writer).map_err(|error| unwritable(&error))?.finish(),
            Self::Failed => Err(Problem::new(ErrorKind::Internal, "the file could not be created")),
        }
    }
}

impl Sink {
    /// Rows on standard output.
    pub(crate) fn standard_output(format: Format, spreadsheet_safe: bool) -> Result<Self, Problem> {
        let stdout = std::io::stdout;
        let cells = match (spreadsheet_safe, stdout().is_terminal()) {
            (true, _) => Cells::ForSpreadsheet,
            (false, true) => Cells::ForTerminal,
            (false, false) => Cells::Raw,
        };
        let target = match format {
            Format::Csv => Target::Csv(Out::Stdout(stdout()), cells),
            Format::Table | Format::Json if spreadsheet_safe => return Err(only_csv()),
            Format::Table => Target::Table {
                titles: Vec::new(),
                rows: Vec::new(),
            },
            Format::Json => Target::Json {
                out: Out::Stdout(stdout()),
                first: true,
            },
        };
        Ok(Self::to(target))
    }

    /// Rows in the file `path`, which appears once all of them are written.
    pub(crate) fn file(path: &Path, spreadsheet_safe: bool) -> Result<Self, Problem> {
        let cells = if spreadsheet_safe {
            Cells::ForSpreadsheet
        } else {
            Cells::Raw
        };
        let target = match path.extension().and_then(|ending| ending.to_str()) {
            Some("csv") => Target::Csv(Out::File(NewFile::create(path)?), cells),
            Some("ndjson" | "arrow" | "parquet") if spreadsheet_safe => return Err(only_csv()),
            Some("ndjson") => Target::Lines(Out::File(NewFile::create(path)?)),
            Some("arrow") => Target::Arrow(DeferredWriter::Pending(NewFile::create(path)?)),
            Some("parquet") => Target::Parquet(DeferredWriter::Pending(NewFile::create(path)?)),
            Some(_) | None => {
                let help = "use a file name that ends in .csv, .parquet, .arrow or .ndjson";
                return Err(Problem::usage(format!("the format of `{}` is unknown", path.display())).help(help));
            }
        };
        Ok(Self::to(target))
    }

    fn to(target: Target) -> Self {
        Self {
            target,
            header: false,
            rows: 0,
        }
    }

    /// Writes the next rows.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), Problem> {
        let header = !std::mem::replace(&mut self.header, true);
        self.rows = self
            .rows
            .saturating_add(u64::try_from(batch.num_rows()).unwrap_or(u64::MAX));
        self.target.write(batch, header)
    }

    /// Completes the output after the last row.
    pub(crate) fn finish(mut self, schema: Option<SchemaRef>) -> Result<u64, Problem> {
        if let (false, Some(schema)) = (self.header, schema) {
            self.write(&RecordBatch::new_empty(schema))?;
        }
        self.target.finish(self.rows)?;
        Ok(self.rows)
    }

    /// The answer ended early: output that was already shown stays, a file does not appear.
    pub(crate) fn abandon(self) -> Result<(), Problem> {
        match self.target {
            Target::Json {
                out: out @ Out::Stdout(_),
                first,
            } => close_json(out, first),
            table @ Target::Table { .. } => table.finish(self.rows),
            Target::Json { .. } | Target::Csv(..) | Target::Lines(_) | Target::Arrow(_) | Target::Parquet(_) => Ok(()),
        }
    }
}

fn only_csv() -> Problem {
    Problem::usage("`--spreadsheet-safe` is for CSV").help("add `--format csv`, or use a file name that ends in .csv")
}

impl Target {
    fn write(&mut self, batch: &RecordBatch, header: bool) -> Result<(), Problem> {
        let names = || {
            batch
                .schema()
                .fields()
                .iter()
                .map(|field| field.name().clone())
                .collect::<Vec<_>>()
        };
        match self {
            Self::Table { titles, rows } => {
                if header {
                    *titles = names();
                }
                let remaining = MAX_SHOWN.saturating_sub(rows.len());
                rows.extend(texts(batch)?.into_iter().take(remaining));
            }
            Self::Csv(out, cells) => {
                if header {
                    put(out, &cells.line(names().iter().map(String::as_str)))?;
                }
                for row in texts(batch)? {
                    put(out, &cells.line(row.iter().map(String::as_str)))?;
                }
            }
            Self::Json { out, first } => {
                for object in objects(batch)? {
                    put(out, if std::mem::replace(first, false) { "[\n" } else { ",\n" })?;
                    put(out, &escaped_json(&object.to_string()))?;
                }
            }
            Self::Lines(out) => {
                for object in objects(batch)? {
                    put(out, &format!("{}\n", escaped_json(&object.to_string())))?;
                }
            }
            Self::Arrow(deferred) => {
                let writer = deferred.writer(|file| FileWriter::try_new(file, &batch.schema()))?;
                writer.write(batch).map_err(|error| unwritable(&error))?;
            }
            Self::Parquet(deferred) => {
                let writer = deferred.writer(|file| ArrowWriter::try_new(file, batch.schema(), None))?;
                writer.write(batch).map_err(|error| unwritable(&error))?;
            }
        }
        Ok(())
    }

    fn finish(self, rows: u64) -> Result<(), Problem> {
        match self {
            Self::Table { titles, rows: shown } => {
                let left = rows.saturating_sub(u64::try_from(shown.len()).unwrap_or(u64::MAX));
                table(titles.into_iter(), shown.into_iter())?;
                if left > 0 {
                    put(
                        &mut std::io::stdout(),
                        &format!("… and {left} more rows; `--out FILE` writes all of them\n"),
                    )
                } else {
                    Ok(())
                }
            }
            Self::Csv(out, _) | Self::Lines(out) => out.finish(),
            Self::Json { out, first } => close_json(out, first),
            Self::Arrow(deferred) => deferred.finish(FileWriter::into_inner),
            Self::Parquet(deferred) => deferred.finish(ArrowWriter::into_inner),
        }
    }
}

fn close_json(mut out: Out, first: bool) -> Result<(), Problem> {
    put(&mut out, if first { "[]\n" } else { "\n]\n" })?;
    out.finish()
}

fn put(out: &mut impl Write, text: &str) -> Result<(), Problem> {
    match out.write_all(text.as_bytes()) {
        // The reader has closed the pipe, as `head` does.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other.map_err(|error| unwritable(&error)),
    }
}

fn unwritable(error: &dyn std::error::Error) -> Problem {
    Problem::internal("the rows cannot be written", error)
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink").field("rows", &self.rows).finish_non_exhaustive()
    }
}
