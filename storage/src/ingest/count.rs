//! The counts of the first pass: the types of the columns, what is missing, and what is worth a note.

use concordat_protocol::schema::{ColumnKind, is_age, is_birth};

use super::{
    block::Block,
    column_stats::ColumnStats,
    error::IngestError,
    format::Format,
    missing::MissingRule,
    names::Name,
    notation::Notation,
    note::Note,
    options::TableOptions,
    rejects::{RejectSink, Rejects},
    repeats::Repeats,
    row_source::Ending,
    values::{is_marker, trim},
};

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

/// The counts of the first pass.
pub(super) struct Count {
    format: Format,
    missing: MissingRule,
    notation: Notation,
    stats: Vec<ColumnStats>,
    rows: u64,
    rows_without_values: u64,
    rejects: Rejects,
    repeats: Repeats,
    subject: Option<usize>,
    without_subject: u64,
    lines_without_subject: Vec<u64>,
}

impl Count {
    pub(super) fn new(names: &[Name], options: &TableOptions, format: Format) -> Self {
        let stats = |column: &Name| {
            let stated = options.stated_kind(|name| is_called(column, name));
            ColumnStats::new(stated, options.existing_kind(&column.name))
        };
        let stats = names.iter().map(stats).collect();
        let subject = options.subject.column();
        let subject = subject.and_then(|name| names.iter().position(|column| is_called(column, name)));
        Self {
            format,
            missing: MissingRule::of(options),
            notation: options.notation.clone(),
            stats,
            rows: 0,
            rows_without_values: 0,
            rejects: Rejects::default(),
            repeats: Repeats::new(names, subject),
            subject,
            without_subject: 0,
            lines_without_subject: Vec::new(),
        }
    }

    pub(super) fn block(&mut self, block: &Block, sink: &mut dyn RejectSink) -> Result<(), IngestError> {
        self.rows += block.rows() as u64;
        self.rows_without_values += block.without_values;
        for (index, stats) in self.stats.iter_mut().enumerate() {
            for (field, line) in block.column(index).zip(block.lines()) {
                stats.observe(field, line, &self.missing, &self.notation);
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
            if self.missing.is_without_value(trim(field)) || is_marker(trim(field)) {
                self.without_subject += 1;
                if self.lines_without_subject.len() < SHOWN_LINES {
                    self.lines_without_subject.push(line);
                }
            }
        }
    }

    /// All rows were read.
    pub(super) fn finish(&mut self, ending: &Ending) {
        let may_state_types = self.format != Format::Csv;
        for (stats, is_text) in self.stats.iter_mut().zip(&ending.stored_as_text) {
            stats.finish(may_state_types && !is_text);
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

    fn age_and_birth(&self, names: &[Name]) -> Option<Note> {
        let called = |is_so: fn(&str) -> bool| names.iter().find(|column| is_so(&column.name));
        let age = called(is_age)?;
        let birth = called(is_birth)?;
        Some(Note::AgeAndBirth {
            age: age.name.clone(),
            birth: birth.name.clone(),
        })
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
            missing: stats.missing(&self.missing),
            markers_are_missing: stats.markers_are_missing(&self.missing),
        };
        names.iter().zip(&self.stats).map(column).collect()
    }

    /// Everything that the steward should know about a file that was read to its end.
    pub(super) fn notes(&self, names: &[Name], header: Option<Note>, ending: &Ending) -> Vec<Note> {
        let mut notes: Vec<Note> = header.into_iter().collect();
        let columns = names.iter().zip(&self.stats).zip(&ending.stored_as_text);
        for ((Name { name, given }, stats), stored_as_text) in columns {
            let column = name.clone();
            if name != given {
                notes.push(Note::Renamed {
                    given: given.clone(),
                    name: name.clone(),
                });
            }
            if !stats.has_values() && self.rows > 0 {
                notes.push(Note::NoValues { column });
            } else if let Some(proposal) = stats.proposal() {
                notes.push(Note::Proposal { column, proposal });
            } else if stats.keeps_digits() {
                notes.push(Note::KeptDigits { column });
            } else if let Some(decimals) = stats.fixed_decimals() {
                notes.push(Note::FixedDecimals { column, decimals });
            } else if let Some((from, line)) = stats.became_text() {
                notes.push(Note::BecameText {
                    column,
                    from,
                    line,
                    numbering: self.format.numbering(),
                });
            } else if *stored_as_text && is_number(stats.kind()) {
                notes.push(Note::ReadFromText {
                    column,
                    kind: stats.kind(),
                });
            }
            let markers = stats.markers_as_text(&self.missing);
            if markers > 0 {
                notes.push(Note::MarkersAsText {
                    column: name.clone(),
                    count: markers,
                });
            }
        }
        notes.extend(self.repeats.note(names, self.subject));
        notes.extend(self.age_and_birth(names));
        if ending.blank_lines > 0 {
            notes.push(Note::BlankLines {
                count: ending.blank_lines,
            });
        }
        if self.rows_without_values > 0 {
            notes.push(Note::RowsWithoutValues {
                count: self.rows_without_values,
            });
        }
        notes
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

/// Whether text that is read as this kind can lose what was written, such as zeros at the end of a fraction.
fn is_number(kind: ColumnKind) -> bool {
    match kind {
        ColumnKind::Int | ColumnKind::Float | ColumnKind::Boolean => true,
        ColumnKind::Date | ColumnKind::Timestamp | ColumnKind::TimestampUtc | ColumnKind::Text => false,
    }
}
