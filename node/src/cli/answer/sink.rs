//! Where rows go.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;

use super::cells::{csv_line, objects, texts};
use crate::cli::Format;
use crate::cli::output::table;
use crate::fault::Problem;

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
    Csv(Box<dyn Write>),
    Json {
        out: Box<dyn Write>,
        first: bool,
    },
    Lines(Box<dyn Write>),
    Arrow(Option<FileWriter<BufWriter<File>>>, PathBuf),
    Parquet(Option<ArrowWriter<BufWriter<File>>>, PathBuf),
    File {
        inner: Box<Self>,
        part: PathBuf,
        path: PathBuf,
    },
}

impl Sink {
    /// Rows on standard output.
    pub(in crate::cli) fn standard_output(format: Format) -> Self {
        let target = match format {
            Format::Table => Target::Table {
                titles: Vec::new(),
                rows: Vec::new(),
            },
            Format::Csv => Target::Csv(Box::new(std::io::stdout())),
            Format::Json => Target::Json {
                out: Box::new(std::io::stdout()),
                first: true,
            },
        };
        Self {
            target,
            header: false,
            rows: 0,
        }
    }

    /// Rows in the file `path`, which appears when all of them are there.
    pub(in crate::cli) fn file(path: PathBuf) -> Result<Self, Problem> {
        let mut part = path.clone().into_os_string();
        part.push(".part");
        let part = PathBuf::from(part);
        let inner = match path.extension().and_then(|ending| ending.to_str()) {
            Some("csv") => Target::Csv(Box::new(create(&part)?)),
            Some("ndjson") => Target::Lines(Box::new(create(&part)?)),
            Some("arrow") => Target::Arrow(None, part.clone()),
            Some("parquet") => Target::Parquet(None, part.clone()),
            Some(_) | None => {
                let help = "let the file's name end in .csv, .parquet, .arrow or .ndjson";
                return Err(Problem::usage(format!("cannot tell how to write `{}`", path.display())).help(help));
            }
        };
        Ok(Self {
            target: Target::File {
                inner: Box::new(inner),
                part,
                path,
            },
            header: false,
            rows: 0,
        })
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
            Target::File { part, .. } => match std::fs::remove_file(&part) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(unwritable(&error)),
                Ok(()) | Err(_) => Ok(()),
            },
            Target::Json { out, first } => close_json(out, first),
            table @ Target::Table { .. } => table.finish(self.rows),
            Target::Csv(_) | Target::Lines(_) | Target::Arrow(..) | Target::Parquet(..) => Ok(()),
        }
    }
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
            Self::Csv(out) => {
                if header {
                    put(out, &csv_line(names().iter().map(String::as_str)))?;
                }
                for row in texts(batch)? {
                    put(out, &csv_line(row.iter().map(String::as_str)))?;
                }
            }
            Self::Json { out, first } => {
                for object in objects(batch)? {
                    put(out, if std::mem::replace(first, false) { "[\n" } else { ",\n" })?;
                    put(out, &object.to_string())?;
                }
            }
            Self::Lines(out) => {
                for object in objects(batch)? {
                    put(out, &format!("{object}\n"))?;
                }
            }
            Self::Arrow(writer, path) => {
                if writer.is_none() {
                    *writer =
                        Some(FileWriter::try_new(create(path)?, &batch.schema()).map_err(|error| unwritable(&error))?);
                }
                if let Some(writer) = writer {
                    writer.write(batch).map_err(|error| unwritable(&error))?;
                }
            }
            Self::Parquet(writer, path) => {
                if writer.is_none() {
                    let made = ArrowWriter::try_new(create(path)?, batch.schema(), None);
                    *writer = Some(made.map_err(|error| unwritable(&error))?);
                }
                if let Some(writer) = writer {
                    writer.write(batch).map_err(|error| unwritable(&error))?;
                }
            }
            Self::File { inner, .. } => inner.take(batch, header)?,
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
            Self::Csv(mut out) | Self::Lines(mut out) => out.flush().map_err(|error| unwritable(&error)),
            Self::Json { out, first } => close_json(out, first),
            Self::Arrow(writer, _) => match writer {
                Some(mut writer) => writer.finish().map_err(|error| unwritable(&error)),
                None => Ok(()),
            },
            Self::Parquet(writer, _) => match writer {
                Some(writer) => writer.close().map(|_| ()).map_err(|error| unwritable(&error)),
                None => Ok(()),
            },
            Self::File { inner, part, path } => {
                inner.finish(rows)?;
                std::fs::rename(&part, &path).map_err(|error| unwritable(&error))
            }
        }
    }
}

fn close_json(mut out: Box<dyn Write>, first: bool) -> Result<(), Problem> {
    put(&mut out, if first { "[]\n" } else { "\n]\n" })?;
    out.flush().map_err(|error| unwritable(&error))
}

fn create(path: &Path) -> Result<BufWriter<File>, Problem> {
    let file =
        File::create(path).map_err(|error| Problem::usage(format!("cannot write `{}`: {error}", path.display())))?;
    Ok(BufWriter::new(file))
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
