//! The columns of a new version, and the conversion of a file's rows to them.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, AsArray, new_null_array},
    compute::cast,
    datatypes::{Int64Type, Schema, SchemaRef},
    record_batch::RecordBatch,
};
use concordat_protocol::{
    collection::DatasetKind,
    ids::{ColumnName, DatasetName, InvalidName},
    schema::ColumnKind,
};

use super::ImportError;
use crate::{
    catalog::{ColumnMeta, DatasetManifest, version::collection::subject_column},
    ingest::{IngestError, Inspection, Note, SUBJECT_COLUMN, Subject, data_type},
};

/// The columns and the schema of the new version.
pub(super) struct Shape {
    columns: Vec<ColumnMeta>,
    /// For each column, its index in the file.
    indices: Vec<usize>,
    subject: ColumnName,
    schema: SchemaRef,
    /// Added to each assigned subject: appended rows are new subjects.
    first_subject: i64,
    notes: Vec<Note>,
}

/// A column of the file.
struct Found {
    meta: ColumnMeta,
    /// Its index in the batches of the file.
    index: usize,
}

impl Shape {
    /// Merges the columns of the file with the dataset that it is appended to, if there is one. Only a dataset whose rows are subjects has
    /// the column of assigned ones.
    ///
    /// # Errors
    /// [`ImportError::Columns`] with every difference.
    pub(super) fn of(
        name: &DatasetName,
        inspection: &Inspection,
        before: Option<&DatasetManifest>,
        kind: &DatasetKind,
    ) -> Result<Self, ImportError> {
        let different = |differences: Vec<String>| ImportError::Columns {
            name: name.clone(),
            differences,
        };
        let mut found = found_columns(inspection).map_err(|error| different(vec![error.to_string()]))?;
        found.retain(|column| *kind == DatasetKind::EachRow || !column.meta.name.is_reserved());
        let subject = subject_of(kind);
        let columns: Vec<ColumnMeta> = match before {
            None => found.iter().map(|column| column.meta.clone()).collect(),
            Some(before) => joined(before, &found, &subject).map_err(different)?,
        };
        Ok(Self {
            schema: schema_of(&columns),
            indices: columns
                .iter()
                .filter_map(|column| found.iter().find(|other| other.meta.name == column.name))
                .map(|found| found.index)
                .collect(),
            notes: before.map_or_else(Vec::new, |before| notes(before, &columns)),
            columns,
            subject,
            first_subject: before.map_or(0, |before| before.rows.cast_signed()),
        })
    }

    /// The columns that a stored dataset has: [`Shape::conform`] is for its batches.
    pub(super) fn stored(dataset: &DatasetManifest) -> Self {
        Self {
            columns: dataset.columns.clone(),
            indices: Vec::new(),
            subject: subject_of(&dataset.kind),
            schema: dataset.schema(),
            first_subject: 0,
            notes: Vec::new(),
        }
    }

    /// What the steward should know about the columns.
    pub(super) fn notes(&self) -> &[Note] {
        &self.notes
    }

    pub(super) fn columns(&self) -> &[ColumnMeta] {
        &self.columns
    }

    /// The index of a column.
    pub(super) fn index_of(&self, name: &ColumnName) -> Option<usize> {
        self.columns.iter().position(|column| column.name == *name)
    }

    /// The index of the column that identifies the subject; `None` if each row is its own.
    pub(super) fn key_column(&self) -> Option<usize> {
        self.index_of(&self.subject).filter(|_| !self.subject.is_reserved())
    }

    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// The stored batch with the columns of the version. An older object may lack a column, or have text for one that got its type later: all
    /// of its values are missing.
    pub(super) fn conform(&self, batch: &RecordBatch) -> Result<RecordBatch, IngestError> {
        let arrays = self.columns.iter().map(|column| {
            let kind = data_type(column.kind);
            let stored = batch.column_by_name(column.name.as_str());
            let stored = stored.filter(|array| *array.data_type() == kind);
            stored.map_or_else(|| new_null_array(&kind, batch.num_rows()), Arc::clone)
        });
        RecordBatch::try_new(self.schema(), arrays.collect()).map_err(|source| IngestError::Arrow { source })
    }

    /// The batch of a file with the columns of the version.
    pub(super) fn cast(&self, batch: &RecordBatch) -> Result<RecordBatch, IngestError> {
        let columns = self.columns.iter().zip(&self.indices);
        let arrays = columns
            .filter_map(|(column, index)| Some(self.cast_column(column, batch.columns().get(*index)?)))
            .collect::<Result<_, _>>()?;
        RecordBatch::try_new(self.schema(), arrays).map_err(|source| IngestError::Arrow { source })
    }

    fn cast_column(&self, column: &ColumnMeta, array: &ArrayRef) -> Result<ArrayRef, IngestError> {
        let kind = data_type(column.kind);
        if *array.data_type() == data_type(ColumnKind::Date) && column.kind == ColumnKind::Timestamp {
            return cast(array, &kind).map_err(|source| IngestError::Arrow { source });
        }
        if *array.data_type() != kind {
            return Ok(new_null_array(&kind, array.len()));
        }
        let assigned = column.name == self.subject && self.subject.is_reserved() && self.first_subject > 0;
        Ok(match array.as_primitive_opt::<Int64Type>().filter(|_| assigned) {
            Some(numbers) => {
                Arc::new(numbers.unary::<_, Int64Type>(|number| number.saturating_add(self.first_subject)))
            }
            None => Arc::clone(array),
        })
    }
}

fn schema_of(columns: &[ColumnMeta]) -> SchemaRef {
    let fields = columns.iter().map(ColumnMeta::field);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The column that identifies the subject of a row; a reserved name if there is none, or each row is its own.
#[expect(
    clippy::expect_used,
    reason = "by INVARIANT on SUBJECT_COLUMN: it follows the rule of names of columns"
)]
fn subject_of(kind: &DatasetKind) -> ColumnName {
    subject_column(kind).unwrap_or_else(|| ColumnName::new(SUBJECT_COLUMN).expect("a valid name"))
}

fn found_columns(inspection: &Inspection) -> Result<Vec<Found>, InvalidName> {
    let mut found = Vec::new();
    if *inspection.subject() == Subject::Assigned {
        found.push(Found {
            index: 0,
            meta: ColumnMeta {
                name: ColumnName::new(SUBJECT_COLUMN)?,
                kind: ColumnKind::Int,
                nullable: false,
                empty: false,
            },
        });
    }
    for column in inspection.columns() {
        found.push(Found {
            index: found.len(),
            meta: ColumnMeta {
                name: ColumnName::new(&column.name)?,
                kind: column.kind,
                nullable: column.missing > 0,
                empty: column.missing == inspection.rows(),
            },
        });
    }
    Ok(found)
}

/// The columns of the previous version, nullable if either side is, then the new ones, which have no values in the
/// existing rows; or a description of every difference.
fn joined(before: &DatasetManifest, found: &[Found], subject: &ColumnName) -> Result<Vec<ColumnMeta>, Vec<String>> {
    let mut differences = Vec::new();
    let subject_before = subject_of(&before.kind);
    if subject_before != *subject {
        differences.push(format!(
            "its subjects are {}, not {}",
            subject_label(subject),
            subject_label(&subject_before)
        ));
    }
    for column in &before.columns {
        let same = found.iter().find(|other| other.meta.name == column.name);
        let name = &column.name;
        match same {
            None if name.is_reserved() => {}
            None => differences.push(format!("it lacks column `{name}`")),
            Some(other) if !fits(other, column) => {
                let is = other.meta.kind.label();
                let was = column.kind.label();
                differences.push(format!("column `{name}` contains {is}, not {was}"));
            }
            Some(_) => {}
        }
    }
    let (known, added): (Vec<&Found>, Vec<&Found>) = found
        .iter()
        .partition(|other| other.meta.name.is_reserved() || before.column(&other.meta.name).is_some());
    let same_order = before.columns.iter().zip(&known).all(|(a, b)| a.name == b.meta.name);
    if differences.is_empty() && !same_order {
        differences.push("its columns are in another order".to_owned());
    }
    if !differences.is_empty() {
        return Err(differences);
    }
    let joined = before.columns.iter().zip(known).map(|(column, other)| ColumnMeta {
        kind: if column.is_untyped() {
            other.meta.kind
        } else {
            column.kind
        },
        nullable: column.nullable || other.meta.nullable,
        empty: column.empty && other.meta.empty,
        ..column.clone()
    });
    let added = added.into_iter().map(|column| ColumnMeta {
        nullable: true,
        ..column.meta.clone()
    });
    Ok(joined.chain(added).collect())
}

/// Whether the values of the file can be added to a column. The inspection reads whole numbers as numbers and anything as text
/// where the column needs it, if nothing is lost; a day becomes the date-time at which it begins.
fn fits(found: &Found, column: &ColumnMeta) -> bool {
    let is_day = found.meta.kind == ColumnKind::Date && column.kind == ColumnKind::Timestamp;
    found.meta.empty || column.is_untyped() || found.meta.kind == column.kind || is_day
}

/// The columns that got their type from these rows.
fn notes(before: &DatasetManifest, columns: &[ColumnMeta]) -> Vec<Note> {
    let was_untyped = |column: &&ColumnMeta| before.column(&column.name).is_some_and(ColumnMeta::is_untyped);
    let typed = columns.iter().filter(was_untyped).filter(|column| !column.empty);
    typed
        .map(|column| Note::FirstValues {
            column: column.name.to_string(),
            kind: column.kind,
        })
        .collect()
}

fn subject_label(subject: &ColumnName) -> String {
    if subject.is_reserved() {
        "numbered by row".to_owned()
    } else {
        format!("in column `{subject}`")
    }
}
