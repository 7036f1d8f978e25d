//! The counts of the first pass: the types of the columns, what is missing, and what is worth a note.

use concordat_protocol::schema::ColumnKind;

use super::{
    block::{Block, Field},
    column_reading::ColumnReading,
    column_stats::ColumnStats,
    error::IngestError,
    format::Format,
    names::Name,
    options::{RepeatedHeader, TableOptions},
    parse_field::{is_marker, trim},
    rejects::{RejectSink, Rejects},
    repeats::Repeats,
};

mod notes;

/// Maximum number of lines without a subject that an error lists.
const SHOWN_LINES: usize = 10;

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
    /// Each row is its own subject, numbered from 1 in [`SUBJECT_COLUMN`](super::SUBJECT_COLUMN).
    Assigned,
}

/// The first value of a column. It is for the person who inspects the file, and not for logs.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct FirstValue(pub(super) String);

impl std::fmt::Debug for FirstValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FirstValue")
    }
}

/// The counts of the first pass.
pub(super) struct Count {
    format: Format,
    stats: Vec<ColumnStats>,
    rows: u64,
    rows_without_values: u64,
    repeated_headers: RepeatedHeaders,
    rejects: Rejects,
    repeats: Repeats,
    subject: Option<usize>,
    without_subject: u64,
    lines_without_subject: Vec<u64>,
    last_row: Option<LastRow>,
}

/// The rows so far that repeat the names of the columns.
struct RepeatedHeaders {
    rule: RepeatedHeader,
    count: u64,
    first: Option<u64>,
}

impl RepeatedHeaders {
    const fn new(rule: RepeatedHeader) -> Self {
        Self {
            rule,
            count: 0,
            first: None,
        }
    }

    fn observe(&mut self, lines: &[u64]) {
        self.count += lines.len() as u64;
        self.first = self.first.or(lines.first().copied());
    }
}

/// The last row so far.
struct LastRow {
    line: u64,
    /// Whether its first value is a word for a total.
    is_total: bool,
    /// For each column, whether it has a value.
    has_value: Vec<bool>,
}

impl Count {
    pub(super) fn new(names: &[Name], options: &TableOptions, format: Format) -> Self {
        let stats = |column: &Name| {
            let stated = options.stated_kind(|name| is_called(column, name));
            let reading = ColumnReading::of(options, |name| is_called(column, name));
            ColumnStats::new(reading, stated, options.existing_kind(&column.name))
        };
        let stats = names.iter().map(stats).collect();
        let subject = options.subject.column();
        let subject = subject.and_then(|name| names.iter().position(|column| is_called(column, name)));
        Self {
            format,
            stats,
            rows: 0,
            rows_without_values: 0,
            repeated_headers: RepeatedHeaders::new(options.repeated_header),
            rejects: Rejects::default(),
            repeats: Repeats::new(names, subject),
            subject,
            without_subject: 0,
            lines_without_subject: Vec::new(),
            last_row: None,
        }
    }

    pub(super) fn block(&mut self, block: &Block, sink: &mut dyn RejectSink) -> Result<(), IngestError> {
        self.rows += block.rows() as u64;
        self.rows_without_values += block.without_values;
        self.repeated_headers.observe(&block.repeated_headers);
        for (index, stats) in self.stats.iter_mut().enumerate() {
            for (field, line) in block.column(index).zip(block.lines()) {
                stats.observe(field, line);
            }
        }
        self.repeats.observe(block);
        self.subjects(block);
        if let Some((line, fields)) = block.last_row() {
            self.last_row = Some(LastRow::of(line, fields));
        }
        for reject in &block.rejects {
            self.rejects.push(*reject);
            sink.reject(*reject)
                .map_err(|source| IngestError::RejectSink { source })?;
        }
        Ok(())
    }

    fn subjects(&mut self, block: &Block) {
        let Some(index) = self.subject else { return };
        let Some(stats) = self.stats.get(index) else { return };
        let missing = &stats.stated_reading().missing;
        for (field, line) in block.column(index).zip(block.lines()) {
            let value = trim(field.text);
            if missing.is_without_value(value) || is_marker(value) {
                self.without_subject += 1;
                if self.lines_without_subject.len() < SHOWN_LINES {
                    self.lines_without_subject.push(line);
                }
            }
        }
    }

    pub(super) fn check_subjects(&self, names: &[Name]) -> Result<(), IngestError> {
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
            numbering: self.format.numbering(),
        })
    }

    /// Checks that the values of each column are of the kind that was stated for it.
    pub(super) fn check_kinds(&self, names: &[Name]) -> Result<(), IngestError> {
        let unfit = names.iter().zip(&self.stats).find(|(_, stats)| stats.unfit().count > 0);
        match unfit {
            None => Ok(()),
            Some((name, stats)) => Err(IngestError::NotOfKind {
                column: name.name.clone(),
                kind: stats.kind(),
                count: stats.unfit().count,
                first: stats.unfit().lines.clone(),
                numbering: self.format.numbering(),
            }),
        }
    }

    /// Rows that can be imported.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// The refused rows.
    pub(super) fn into_rejects(self) -> Rejects {
        self.rejects
    }

    pub(super) fn subject(&self, names: &[Name]) -> Subject {
        let column = self.subject.and_then(|index| names.get(index));
        column.map_or(Subject::Assigned, |column| Subject::Column(column.name.clone()))
    }

    pub(super) fn columns(&self, names: &[Name]) -> Vec<Column> {
        let column = |(name, stats): (&Name, &ColumnStats)| Column {
            name: name.name.clone(),
            given: name.given.clone(),
            kind: stats.kind(),
            missing: stats.missing(),
            markers_are_missing: stats.markers_are_missing(),
        };
        names.iter().zip(&self.stats).map(column).collect()
    }

    /// How the fields of each column are read in the second pass.
    pub(super) fn readings(&self) -> Vec<ColumnReading> {
        self.stats.iter().map(ColumnStats::reading).collect()
    }

    /// The first value of each column, as it is stored.
    pub(super) fn first_values(&self) -> Vec<Option<FirstValue>> {
        let first = |stats: &ColumnStats| stats.first_value().map(FirstValue);
        self.stats.iter().map(first).collect()
    }
}

/// Words for a row that adds up those above it.
const TOTALS: [&str; 9] = [
    "total",
    "totals",
    "grand total",
    "sum",
    "summe",
    "gesamt",
    "gesamtsumme",
    "insgesamt",
    "összesen",
];

impl LastRow {
    fn of<'a>(line: u64, fields: impl Iterator<Item = Field<'a>>) -> Self {
        let mut first = None;
        let mut has_value = Vec::new();
        for field in fields {
            let value = trim(field.text);
            has_value.push(!value.is_empty());
            if first.is_none() && !value.is_empty() {
                first = Some(value);
            }
        }
        let word = first.map(|value| value.trim_end_matches([':', ' ']).to_lowercase());
        Self {
            line,
            is_total: word.is_some_and(|word| TOTALS.contains(&word.as_str())),
            has_value,
        }
    }
}

/// Checks that the columns which the options name are there.
pub(super) fn check_known<'a>(names: &[Name], wanted: impl Iterator<Item = &'a String>) -> Result<(), IngestError> {
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
