//! Where rows go.

use std::io::{IsTerminal, Stdout, Write};
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;

use super::cells::{csv_line, objects, texts};
use crate::cli::Format;
use crate::cli::files::NewFile;
use crate::cli::output::table;
use crate::cli::text::{escaped_json, for_spreadsheet, for_terminal};
use crate::fault::{Code, Problem};

/// Most rows that a table on a terminal shows; whoever wants more wants a file.
const MAX_SHOWN: usize = 1000;

/// Takes rows and counts them.
pub(in crate::cli) struct Sink {
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
    Arrow(Begun<FileWriter<NewFile>>),
    Parquet(Begun<ArrowWriter<NewFile>>),
}

/// Where text goes.
enum Out {
    Stdout(Stdout),
    File(NewFile),
}

/// A file whose writer begins with the first rows, because it has to know their columns.
enum Begun<W> {
    NotYet(NewFile),
    Writing(Box<W>),
    /// The first rows could not be written.
    Failed,
}

/// What becomes of the cells of a CSV file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Cells {
    /// They are written as they are.
    AsTheyAre,
    /// Nothing in them acts on a terminal.
    ForTerminal,
    /// Nothing in them is a formula or deceives (`--spreadsheet-safe`).
    ForSpreadsheet,
}

impl Cells {
    fn line<'a>(self, cells: impl Iterator<Item = &'a str>) -> String {
        match self {
            Self::AsTheyAre => csv_line(cells),
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

impl<W> Begun<W> {
    /// The writer, made by `begin` if these are the first rows.
    fn writer<E: std::error::Error>(&mut self, begin: impl FnOnce(NewFile) -> Result<W, E>) -> Result<&mut W, Problem> {
        if let Self::NotYet(_) = self
            && let Self::NotYet(file) = std::mem::replace(self, Self::Failed)
        {
            *self = Self::Writing(Box::new(begin(file).map_err(|error| unwritable(&error))?));
        }
        match self {
            Self::Writing(writer) => Ok(writer),
            Self::NotYet(_) | Self::Failed => Err(Problem::new(Code::Fault, "the file could not be begun")),
        }
    }

    fn finish<E: std::error::Error>(self, end: impl FnOnce(W) -> Result<NewFile, E>) -> Result<(), Problem> {
        match self {
            Self::NotYet(file) => file.finish(),
            Self::Writing(writer) => end(*writer).map_err(|error| unwritable(&error))?.finish(),
            Self::Failed => Err(Problem::new(Code::Fault, "the file could not be begun")),
        }
    }
}

impl Sink {
    /// Rows on standard output.
    pub(in crate::cli) fn standard_output(format: Format, spreadsheet_safe: bool) -> Result<Self, Problem> {
        let stdout = std::io::stdout;
        let cells = match (spreadsheet_safe, stdout().is_terminal()) {
            (true, _) => Cells::ForSpreadsheet,
            (false, true) => Cells::ForTerminal,
            (false, false) => Cells::AsTheyAre,
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

    /// Rows in the file `path`, which appears when all of them are there.
    pub(in crate::cli) fn file(path: &Path, spreadsheet_safe: bool) -> Result<Self, Problem> {
        let cells = if spreadsheet_safe {
            Cells::ForSpreadsheet
        } else {
            Cells::AsTheyAre
        };
        let target = match path.extension().and_then(|ending| ending.to_str()) {
            Some("csv") => Target::Csv(Out::File(NewFile::create(path)?), cells),
            Some("ndjson" | "arrow" | "parquet") if spreadsheet_safe => return Err(only_csv()),
            Some("ndjson") => Target::Lines(Out::File(NewFile::create(path)?)),
            Some("arrow") => Target::Arrow(Begun::NotYet(NewFile::create(path)?)),
            Some("parquet") => Target::Parquet(Begun::NotYet(NewFile::create(path)?)),
            Some(_) | None => {
                let help = "let the file's name end in .csv, .parquet, .arrow or .ndjson";
                return Err(Problem::usage(format!("cannot tell how to write `{}`", path.display())).help(help));
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

    /// Takes the next rows.
    pub(in crate::cli) fn take(&mut self, batch: &RecordBatch) -> Result<(), Problem> {
        let header = !std::mem::replace(&mut self.header, true);
        self.rows = self
            .rows
            .saturating_add(u64::try_from(batch.num_rows()).unwrap_or(u64::MAX));
        self.target.take(batch, header)
    }

    /// All rows are there.
    pub(in crate::cli) fn finish(mut self, schema: Option<SchemaRef>) -> Result<u64, Problem> {
        if let (false, Some(schema)) = (self.header, schema) {
            self.take(&RecordBatch::new_empty(schema))?;
        }
        self.target.finish(self.rows)?;
        Ok(self.rows)
    }

    /// The answer ended early: what standard output has shown stays, a file does not appear.
    pub(in crate::cli) fn abandon(self) -> Result<(), Problem> {
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
    Problem::usage("`--spreadsheet-safe` is for CSV").help("add `--format csv`, or let the file's name end in .csv")
}

impl Target {
    fn take(&mut self, batch: &RecordBatch, header: bool) -> Result<(), Problem> {
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
                let room = MAX_SHOWN.saturating_sub(rows.len());
                rows.extend(texts(batch)?.into_iter().take(room));
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
            Self::Arrow(begun) => {
                let writer = begun.writer(|file| FileWriter::try_new(file, &batch.schema()))?;
                writer.write(batch).map_err(|error| unwritable(&error))?;
            }
            Self::Parquet(begun) => {
                let writer = begun.writer(|file| ArrowWriter::try_new(file, batch.schema(), None))?;
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
                        &format!("… and {left} more rows; `--out FILE` takes them all\n"),
                    )
                } else {
                    Ok(())
                }
            }
            Self::Csv(out, _) | Self::Lines(out) => out.finish(),
            Self::Json { out, first } => close_json(out, first),
            Self::Arrow(begun) => begun.finish(FileWriter::into_inner),
            Self::Parquet(begun) => begun.finish(ArrowWriter::into_inner),
        }
    }
}

fn close_json(mut out: Out, first: bool) -> Result<(), Problem> {
    put(&mut out, if first { "[]\n" } else { "\n]\n" })?;
    out.finish()
}

fn put(out: &mut impl Write, text: &str) -> Result<(), Problem> {
    match out.write_all(text.as_bytes()) {
        // The reader has seen enough, as `head` does.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other.map_err(|error| unwritable(&error)),
    }
}

fn unwritable(error: &dyn std::error::Error) -> Problem {
    Problem::fault("the rows cannot be written", error)
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink").field("rows", &self.rows).finish_non_exhaustive()
    }
}
