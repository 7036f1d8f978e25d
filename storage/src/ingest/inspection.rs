//! The first pass: determines the contents of a file by reading all of it.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::{
    column_reading::ColumnReading,
    compression::Compression,
    count::{Column, Count, FirstValue, Subject, check_known},
    csv::{Delimiter, HeaderFound},
    error::IngestError,
    fingerprint::Fingerprint,
    format::Format,
    names::{SUBJECT_COLUMN, name_columns},
    note::Note,
    open::Layout,
    options::{Header, Refused, TableOptions, TextEncoding},
    parse_field::data_type,
    rejects::{Discard, RejectSink, Rejects},
    row_filter::RowFilter,
    row_source::{Chunk, chunks},
    source::Source,
};

/// The result of the first pass; [`super::batches()`] uses it to read the file.
#[derive(Clone, Debug)]
pub struct Inspection {
    pub(super) options: TableOptions,
    pub(super) layout: Layout,
    encoding: Option<TextEncoding>,
    compression: Option<Compression>,
    columns: Vec<Column>,
    pub(super) readings: Vec<ColumnReading>,
    first_values: Vec<Option<FirstValue>>,
    rows: u64,
    subject: Subject,
    fingerprint: Fingerprint,
    rejects: Rejects,
    notes: Vec<Note>,
}

/// Reads a whole file and determines its contents, listing the first refused rows.
///
/// # Errors
/// [`IngestError`] for a file that cannot be read, has none of the known formats, has unusable column names or lacks subjects.
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
    let mut first_notes = Vec::new();
    if options.implies_comma() {
        first_notes.push(Note::ImpliedComma);
    }
    let options = &options.with_signs()?;
    let layout = Layout::of(source, options)?;
    let rows = layout.open(source, options, None)?;
    let names = name_columns(rows.header(), &options.rename, &options.spellings)?;
    let kinds = options.kinds.iter().map(|(name, _)| name);
    let columns = options.columns.iter().map(|(name, _)| name);
    let stated = options.text_columns.iter().chain(kinds).chain(columns);
    check_known(&names, stated.chain(options.subject.column()))?;
    let mut count = Count::new(&names, options, layout.format());
    let mut ending = None;
    let filter = RowFilter::new(options, layout.names_of_first_line(rows.header()));
    for chunk in chunks(rows, filter, path)? {
        match chunk? {
            Chunk::Rows(block) => count.block(&block, sink)?,
            Chunk::End(end) => ending = Some(end),
        }
    }
    let ending = ending.ok_or_else(|| IngestError::Changed { path: path.to_owned() })?;
    if names.len() == 1 && count.rows() == 0 {
        // A key file may also have one line: it must not become the name of a column, which more people can see.
        let refused = count.into_rejects().count();
        return Err(IngestError::NotATable {
            path: path.to_owned(),
            refused,
        });
    }
    count.check_kinds(&names)?;
    count.check_subjects(&names)?;
    first_notes.extend(header_note(&layout, options, count.rows()));
    Ok(Inspection {
        options: options.clone(),
        encoding: ending.encoding,
        compression: ending.compression,
        columns: count.columns(&names),
        readings: count.readings(),
        first_values: count.first_values(),
        rows: count.rows(),
        subject: count.subject(&names),
        fingerprint: ending.fingerprint,
        notes: count.notes(&names, first_notes, &ending),
        rejects: count.into_rejects(),
        layout,
    })
}

impl Inspection {
    /// The columns of the file, without the assigned subject.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// For each column, the first value as it would be stored, or its beginning; `None` if there is none. It is for the person who
    /// inspects the file, and not for errors and logs.
    pub fn first_values(&self) -> impl Iterator<Item = Option<&str>> {
        let values = self.first_values.iter();
        values.map(|value| value.as_ref().map(|FirstValue(text)| text.as_str()))
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

    /// The format of the file.
    #[must_use]
    pub fn format(&self) -> Format {
        self.layout.format()
    }

    /// The encoding of the text, if the format is text.
    #[must_use]
    pub fn encoding(&self) -> Option<TextEncoding> {
        self.encoding
    }

    /// How the file is compressed, if it is.
    #[must_use]
    pub fn compression(&self) -> Option<Compression> {
        self.compression
    }

    /// The sheet that is read, in a spreadsheet.
    #[must_use]
    pub fn sheet(&self) -> Option<&str> {
        self.layout.sheet()
    }

    /// What separates fields, in delimited text.
    #[must_use]
    pub fn delimiter(&self) -> Option<Delimiter> {
        self.layout.csv().map(|layout| layout.syntax.delimiter)
    }

    /// Whether the first line has the column names, in delimited text and spreadsheets.
    #[must_use]
    pub fn has_header(&self) -> Option<bool> {
        self.layout.header().map(|header| header != HeaderFound::Absent)
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

    /// Returns an error if there are refused rows and the options do not allow skipping them, or if every row is refused.
    pub(super) fn check_rejects(&self) -> Result<(), IngestError> {
        let Some(first) = self.rejects.listed().first().copied() else {
            return Ok(());
        };
        let count = self.rejects.count();
        let numbering = self.format().numbering();
        match self.options.refused {
            Refused::Stop => Err(IngestError::RowsRefused {
                count,
                rows: self.rows,
                first,
                numbering,
            }),
            Refused::Skip if self.rows == 0 => Err(IngestError::AllRowsRefused {
                count,
                first,
                numbering,
            }),
            Refused::Skip => Ok(()),
        }
    }
}

/// What the steward should know about the first line of delimited text, unless it was stated or the values below it prove it.
fn header_note(layout: &Layout, options: &TableOptions, rows: u64) -> Option<Note> {
    if options.header != Header::Auto {
        return None;
    }
    match layout.header()? {
        HeaderFound::Absent => Some(Note::NoHeader),
        HeaderFound::Assumed if rows == 0 => Some(Note::HeaderOnly),
        HeaderFound::Assumed => Some(Note::HeaderAssumed),
        HeaderFound::Stated | HeaderFound::Proved => None,
    }
}
