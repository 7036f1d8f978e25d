//! The first pass: determines the contents of a file by reading all of it.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use concordat_protocol::schema::ColumnKind;

use super::{
    block::Block,
    column_stats::ColumnStats,
    csv::{Chunk, Layout, Table, sniff},
    error::IngestError,
    names::{Name, SUBJECT_COLUMN, is_age, is_birth, name_columns},
    note::Note,
    options::{Refused, TableOptions, TextEncoding},
    rejects::{Discard, RejectSink, Rejects},
    repeats::Repeats,
    source::Fingerprint,
    upload::Source,
    values::{data_type, is_marker, trim},
};

/// Maximum number of lines without a subject that an error lists.
const SHOWN_LINES: usize = 10;

/// The result of the first pass; [`super::batches()`] uses it to read the file.
#[derive(Clone, Debug)]
pub struct Inspection {
    pub(super) options: TableOptions,
    pub(super) layout: Layout,
    encoding: TextEncoding,
    gzip: bool,
    columns: Vec<Column>,
    rows: u64,
    subject: Subject,
    fingerprint: Fingerprint,
    rejects: Rejects,
    notes: Vec<Note>,
}

/// One column of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name in the dataset.
    pub name: String,
    /// The name in the file's header.
    pub given: String,
    /// The type.
    pub kind: ColumnKind,
    /// How many rows have no value; 0 means that the column is not nullable.
    pub missing: u64,
    pub(super) markers_are_missing: bool,
}

/// The subject of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The value of this column.
    Column(String),
    /// Each row is its own subject, numbered from 1 in [`SUBJECT_COLUMN`].
    Assigned,
}

/// Reads a whole file and determines its contents, listing the first refused rows.
///
/// # Errors
/// [`IngestError`] for a file that cannot be read, is not delimited text, has unusable column names or lacks subjects.
/// Rows that cannot be imported are not an error here: see [`Inspection::rejects`].
pub fn infer_schema(source: &Source, options: &TableOptions) -> Result<Inspection, IngestError> {
    infer_schema_into(source, options, &mut Discard)
}

/// Like [`infer_schema`], but also sends every refused row to `sink`.
///
/// # Errors
/// As [`infer_schema`], and [`IngestError::RejectSink`] if the sink fails.
pub fn infer_schema_into(
    source: &Source,
    options: &TableOptions,
    sink: &mut dyn RejectSink,
) -> Result<Inspection, IngestError> {
    let path = source.name();
    let layout = sniff(source, options)?;
    let (table, header) = Table::open(source, options, layout)?;
    let names = name_columns(&header)?;
    check_known(&names, options.text_columns.iter().chain(options.subject.column()))?;
    let mut count = Count::new(&names, options);
    let mut ending = None;
    for chunk in table.chunks(path)? {
        match chunk? {
            Chunk::Rows(block) => count.block(&block, sink)?,
            Chunk::End(end) => ending = Some(end),
        }
    }
    let ending = ending.ok_or_else(|| IngestError::Changed { path: path.to_owned() })?;
    if names.len() == 1 && count.rows == 0 {
        // A key file may also have one line: it must not become the name of a column, which more people can see.
        return Err(IngestError::NotATable { path: path.to_owned() });
    }
    count.check_subjects(&names)?;
    Ok(Inspection {
        options: options.clone(),
        layout,
        encoding: ending.encoding,
        gzip: ending.gzip,
        columns: count.columns(&names),
        rows: count.rows,
        subject: count.subject(&names),
        fingerprint: ending.fingerprint,
        notes: count.notes(&names, layout, options, ending.blank_lines),
        rejects: count.rejects,
    })
}

impl Inspection {
    /// The columns of the file, without the assigned subject.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Rows that can be imported.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The subjects of the rows.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Length and hash of the file.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Rows that cannot be imported.
    #[must_use]
    pub fn rejects(&self) -> &Rejects {
        &self.rejects
    }

    /// What the steward should know.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The encoding of the text.
    #[must_use]
    pub fn encoding(&self) -> TextEncoding {
        self.encoding
    }

    /// Whether the file is compressed with gzip.
    #[must_use]
    pub fn is_gzip(&self) -> bool {
        self.gzip
    }

    /// The byte between fields.
    #[must_use]
    pub fn delimiter(&self) -> u8 {
        self.layout.delimiter
    }

    /// Whether the first line has the column names.
    #[must_use]
    pub fn has_header(&self) -> bool {
        self.layout.header
    }

    /// The schema of the record batches: the assigned subject, if there is one, and the columns in the file's order.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        let assigned = (self.subject == Subject::Assigned).then(|| Field::new(SUBJECT_COLUMN, DataType::Int64, false));
        let columns = self
            .columns
            .iter()
            .map(|column| Field::new(&column.name, data_type(column.kind), column.missing > 0));
        Arc::new(Schema::new(assigned.into_iter().chain(columns).collect::<Vec<_>>()))
    }

    /// Returns an error if there are refused rows and the options do not allow skipping them.
    pub(super) fn check_rejects(&self) -> Result<(), IngestError> {
        match self.rejects.listed().first() {
            Some(first) if self.options.refused == Refused::Stop => Err(IngestError::RowsRefused {
                count: self.rejects.count(),
                first: *first,
            }),
            _ => Ok(()),
        }
    }
}

fn check_known<'a>(names: &[Name], wanted: impl Iterator<Item = &'a String>) -> Result<(), IngestError> {
    for name in wanted {
        if !names.iter().any(|column| is_called(column, name)) {
            // The only line of a file that is not a table may be a secret.
            let columns = match names {
                [] | [_] => Vec::new(),
                [_, _, ..] => names.iter().map(|column| column.name.clone()).collect(),
            };
            return Err(IngestError::NoSuchColumn {
                name: name.clone(),
                columns,
            });
        }
    }
    Ok(())
}

fn is_called(column: &Name, name: &str) -> bool {
    column.name == name || column.given == name.trim()
}

/// The counts of the first pass.
struct Count {
    stats: Vec<ColumnStats>,
    rows: u64,
    rejects: Rejects,
    repeats: Repeats,
    subject: Option<usize>,
    without_subject: u64,
    lines_without_subject: Vec<u64>,
}

impl Count {
    fn new(names: &[Name], options: &TableOptions) -> Self {
        let forced_text = |column: &Name| options.text_columns.iter().any(|name| is_called(column, name));
        let stats = names
            .iter()
            .map(|column| ColumnStats::new(options.missing, forced_text(column)))
            .collect();
        let subject = options.subject.column();
        let subject = subject.and_then(|name| names.iter().position(|column| is_called(column, name)));
        Self {
            stats,
            rows: 0,
            rejects: Rejects::default(),
            repeats: Repeats::new(names, subject),
            subject,
            without_subject: 0,
            lines_without_subject: Vec::new(),
        }
    }

    fn block(&mut self, block: &Block, sink: &mut dyn RejectSink) -> Result<(), IngestError> {
        self.rows += block.rows() as u64;
        for (index, stats) in self.stats.iter_mut().enumerate() {
            for (field, line) in block.column(index).zip(block.lines()) {
                stats.observe(field, line);
            }
        }
        self.repeats.observe(block);
        self.subjects(block);
        for reject in &block.rejects {
            self.rejects.push(*reject);
            sink.reject(*reject)
                .map_err(|source| IngestError::RejectSink { source })?;
        }
        Ok(())
    }

    fn subjects(&mut self, block: &Block) {
        let Some(index) = self.subject else { return };
        for (field, line) in block.column(index).zip(block.lines()) {
            if trim(field).is_empty() || is_marker(trim(field)) {
                self.without_subject += 1;
                if self.lines_without_subject.len() < SHOWN_LINES {
                    self.lines_without_subject.push(line);
                }
            }
        }
    }

    fn check_subjects(&self, names: &[Name]) -> Result<(), IngestError> {
        let Subject::Column(column) = self.subject(names) else {
            return Ok(());
        };
        if self.without_subject == 0 {
            return Ok(());
        }
        let first = self.lines_without_subject.clone();
        Err(IngestError::SubjectMissing {
            column,
            count: self.without_subject,
            first,
        })
    }

    fn age_and_birth(&self, names: &[Name]) -> Option<Note> {
        let called = |is_so: fn(&str) -> bool| names.iter().find(|column| is_so(&column.name));
        let (age, birth) = (called(is_age)?, called(is_birth)?);
        Some(Note::AgeAndBirth {
            age: age.name.clone(),
            birth: birth.name.clone(),
        })
    }

    fn subject(&self, names: &[Name]) -> Subject {
        let column = self.subject.and_then(|index| names.get(index));
        column.map_or(Subject::Assigned, |column| Subject::Column(column.name.clone()))
    }

    fn columns(&self, names: &[Name]) -> Vec<Column> {
        let column = |(name, stats): (&Name, &ColumnStats)| Column {
            name: name.name.clone(),
            given: name.given.clone(),
            kind: stats.kind(),
            missing: stats.missing(),
            markers_are_missing: stats.markers_are_missing(),
        };
        names.iter().zip(&self.stats).map(column).collect()
    }

    fn notes(&self, names: &[Name], layout: Layout, options: &TableOptions, blank_lines: u64) -> Vec<Note> {
        let mut notes = Vec::new();
        if !layout.header && options.header == super::options::Header::Auto {
            notes.push(Note::NoHeader);
        }
        for (Name { name, given }, stats) in names.iter().zip(&self.stats) {
            let column = name.clone();
            if name != given {
                notes.push(Note::Renamed {
                    given: given.clone(),
                    name: name.clone(),
                });
            }
            if !stats.has_values() && self.rows > 0 {
                notes.push(Note::NoValues { column });
            } else if let Some((from, line)) = stats.became_text() {
                notes.push(Note::BecameText { column, from, line });
            }
            if stats.markers_as_text() > 0 {
                notes.push(Note::MarkersAsText {
                    column: name.clone(),
                    count: stats.markers_as_text(),
                });
            }
        }
        notes.extend(self.repeats.note(names, self.subject));
        notes.extend(self.age_and_birth(names));
        if blank_lines > 0 {
            notes.push(Note::BlankLines { count: blank_lines });
        }
        notes
    }
}
