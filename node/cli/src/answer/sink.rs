//! Output of rows to a terminal, standard output or a file.

use std::io::{IsTerminal, stdout};
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::writer::FileWriter;
use concordat_documents::problem::Problem;
use concordat_documents::query::{AnswerSummary, REMARKS_KEY};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;

use super::cells::{objects, texts};
use super::csv::{Cells, Csv};
use super::out::{DeferredWriter, Out, put, unwritable};
use super::remarks::{self, RemarksFile};
use crate::files::NewFile;
use crate::output::Format;
use crate::output::table;
use crate::text::escaped_json;

/// Most rows that a table on a terminal shows; more rows belong in a file.
const MAX_SHOWN: usize = 1000;
/// What the names of files end in.
const ENDINGS: &str = "use a file name that ends in .csv, .parquet, .arrow or .ndjson";
/// Endings of compressed files.
const COMPRESSED: [&str; 7] = ["gz", "bz2", "xz", "zst", "zip", "lz4", "7z"];

/// Writes rows and counts them. The target is checked, and a file begun, when this is created.
pub(crate) struct Sink {
    target: Target,
    /// For a file of text.
    remarks: Option<RemarksFile>,
    header: bool,
    rows: u64,
}

/// What was written.
#[derive(Debug)]
pub(crate) struct Written {
    /// Rows, without the header.
    pub(crate) rows: u64,
    /// What a reader of the rows has to know about their form.
    pub(crate) notes: Vec<String>,
}

enum Target {
    Table {
        titles: Vec<String>,
        rows: Vec<Vec<String>>,
    },
    Csv(Out, Csv),
    Json {
        out: Out,
        first: bool,
    },
    Lines(Out),
    Arrow(DeferredWriter<FileWriter<NewFile>>),
    Parquet(DeferredWriter<ArrowWriter<NewFile>>),
}

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileFormat {
    Csv,
    Lines,
    Arrow,
    Parquet,
}

impl FileFormat {
    /// The format that the ending of a file name selects.
    fn of(path: &Path) -> Result<Self, Problem> {
        let ending = path.extension().and_then(|ending| ending.to_str());
        let ending = ending.map(str::to_ascii_lowercase).unwrap_or_default();
        match ending.as_str() {
            "csv" => Ok(Self::Csv),
            "ndjson" => Ok(Self::Lines),
            "arrow" => Ok(Self::Arrow),
            "parquet" => Ok(Self::Parquet),
            compressed if COMPRESSED.contains(&compressed) => {
                let detail = format!("`{}` would be a compressed file, which is not written", path.display());
                Err(Problem::usage(detail).help(format!("{ENDINGS}, and compress the file afterward")))
            }
            _ => Err(Problem::usage(format!("the format of `{}` is unknown", path.display())).help(ENDINGS)),
        }
    }
}

impl Sink {
    /// Rows on standard output.
    ///
    /// # Errors
    /// If the format has no form that is safe for spreadsheets, and one is requested.
    pub(crate) fn standard_output(format: Format, spreadsheet_safe: bool) -> Result<Self, Problem> {
        let cells = match (spreadsheet_safe, stdout().is_terminal()) {
            (true, _) => Cells::ForSpreadsheet,
            (false, true) => Cells::ForTerminal,
            (false, false) => Cells::Raw,
        };
        let target = match format {
            Format::Csv => Target::Csv(Out::Stdout(stdout()), Csv::new(cells)),
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
        Ok(Self::to(target, None))
    }

    /// Rows in the file `path`, which appears once all of them are written.
    ///
    /// # Errors
    /// If the format is unknown, or the file cannot be created.
    pub(crate) fn file(path: &Path, spreadsheet_safe: bool) -> Result<Self, Problem> {
        let format = FileFormat::of(path)?;
        if spreadsheet_safe && format != FileFormat::Csv {
            return Err(only_csv());
        }
        let cells = match spreadsheet_safe {
            true => Cells::ForSpreadsheet,
            false => Cells::Raw,
        };
        let file = NewFile::create(path)?;
        let remarks = match format {
            FileFormat::Csv | FileFormat::Lines => Some(RemarksFile::beside(path)?),
            FileFormat::Arrow | FileFormat::Parquet => None,
        };
        let target = match format {
            FileFormat::Csv => Target::Csv(Out::File(file), Csv::new(cells)),
            FileFormat::Lines => Target::Lines(Out::File(file)),
            FileFormat::Arrow => Target::Arrow(DeferredWriter::Pending(file)),
            FileFormat::Parquet => Target::Parquet(DeferredWriter::Pending(file)),
        };
        Ok(Self::to(target, remarks))
    }

    fn to(target: Target, remarks: Option<RemarksFile>) -> Self {
        Self {
            target,
            remarks,
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

    /// Completes the output after the last row, in a file together with the remarks of `summary`.
    pub(crate) fn finish(mut self, schema: Option<SchemaRef>, summary: &AnswerSummary) -> Result<Written, Problem> {
        if let (false, Some(schema)) = (self.header, schema) {
            self.write(&RecordBatch::new_empty(schema))?;
        }
        let Self {
            target, remarks, rows, ..
        } = self;
        let mut notes: Vec<String> = target.note().into_iter().map(str::to_owned).collect();
        match remarks {
            Some(file) => notes.extend(file.complete(summary, || target.finish(rows, summary))?),
            None => target.finish(rows, summary)?,
        }
        Ok(Written { rows, notes })
    }

    /// The answer ended early: output that was already shown stays, a file does not appear.
    pub(crate) fn abandon(self) -> Result<(), Problem> {
        match self.target {
            Target::Json {
                out: out @ Out::Stdout(_),
                first,
            } => close_json(out, first),
            table @ Target::Table { .. } => table.finish(self.rows, &AnswerSummary::default()),
            Target::Json { .. } | Target::Csv(..) | Target::Lines(_) | Target::Arrow(_) | Target::Parquet(_) => Ok(()),
        }
    }
}

fn only_csv() -> Problem {
    Problem::usage("`--spreadsheet-safe` is for CSV").help("add `--format csv`, or use a file name that ends in .csv")
}

impl Target {
    fn write(&mut self, batch: &RecordBatch, header: bool) -> Result<(), Problem> {
        match self {
            Self::Table { titles, rows } => {
                if header {
                    *titles = names(batch);
                }
                let remaining = MAX_SHOWN.saturating_sub(rows.len());
                let shown = |row: Vec<Option<String>>| row.into_iter().map(Option::unwrap_or_default).collect();
                rows.extend(texts(batch)?.into_iter().take(remaining).map(shown));
            }
            Self::Csv(out, csv) => {
                if header {
                    out.put(&csv.header(&names(batch)))?;
                }
                for row in texts(batch)? {
                    out.put(&csv.row(&row))?;
                }
            }
            Self::Json { out, first } => {
                for object in objects(batch)? {
                    out.put(if std::mem::replace(first, false) { "[\n" } else { ",\n" })?;
                    out.put(&escaped_json(&object.to_string()))?;
                }
            }
            Self::Lines(out) => {
                for object in objects(batch)? {
                    out.put(&format!("{}\n", escaped_json(&object.to_string())))?;
                }
            }
            Self::Arrow(deferred) => {
                let writer = deferred.writer(|file| FileWriter::try_new(file, &columns(batch)))?;
                writer.write(batch).map_err(|error| unwritable(&error))?;
            }
            Self::Parquet(deferred) => {
                let writer = deferred.writer(|file| ArrowWriter::try_new(file, columns(batch), None))?;
                writer.write(batch).map_err(|error| unwritable(&error))?;
            }
        }
        Ok(())
    }

    /// What a reader has to know about the form of the rows.
    fn note(&self) -> Option<&'static str> {
        match self {
            Self::Csv(_, csv) => csv.note(),
            Self::Table { .. } | Self::Json { .. } | Self::Lines(_) | Self::Arrow(_) | Self::Parquet(_) => None,
        }
    }

    fn finish(self, rows: u64, summary: &AnswerSummary) -> Result<(), Problem> {
        match self {
            Self::Table { titles, rows: shown } => {
                let left = rows.saturating_sub(u64::try_from(shown.len()).unwrap_or(u64::MAX));
                table(titles.into_iter(), shown.into_iter())?;
                if left == 0 {
                    return Ok(());
                }
                let more = format!("… and {left} more rows; `--out FILE` writes all of them\n");
                put(&mut stdout(), &more)
            }
            Self::Csv(out, _) | Self::Lines(out) => out.finish(),
            Self::Json { out, first } => close_json(out, first),
            Self::Arrow(deferred) => {
                let remarks = remarks::metadata(summary)?;
                deferred.finish(|mut writer| {
                    writer.write_metadata(REMARKS_KEY, remarks);
                    writer.into_inner()
                })
            }
            Self::Parquet(deferred) => {
                let remarks = remarks::metadata(summary)?;
                deferred.finish(|mut writer| {
                    writer.append_key_value_metadata(KeyValue::new(REMARKS_KEY.to_owned(), remarks));
                    writer.into_inner()
                })
            }
        }
    }
}

fn names(batch: &RecordBatch) -> Vec<String> {
    let schema = batch.schema();
    schema.fields().iter().map(|field| field.name().clone()).collect()
}

/// The columns without the remarks that were known at the beginning: the file ends with all of them.
fn columns(batch: &RecordBatch) -> SchemaRef {
    let schema = batch.schema();
    let mut metadata = schema.metadata().clone();
    metadata.remove(REMARKS_KEY);
    Arc::new(Schema::new_with_metadata(schema.fields().clone(), metadata))
}

fn close_json(mut out: Out, first: bool) -> Result<(), Problem> {
    out.put(if first { "[]\n" } else { "\n]\n" })?;
    out.finish()
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink").field("rows", &self.rows).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
