//! Rows that are made of the names and types of columns, and of nothing else.
//!
//! 1. A row of a dataset has a number, counted from 1. A key is this number in the type of its column, as text `sample-000001`.
//! 2. A column that leads to a key has the number of a row of the other dataset. The key of the subject has the number of a row of the dataset
//!    to which columns lead, or of the first one that has it: so each subject there has one row, and others have any number.
//! 3. What identifies a person directly has the number of its row too. Everything else is drawn from a range that its type and name suggest; about one
//!    value in twenty is missing.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use arrow::error::ArrowError;
use concordat_documents::query::{PublishedColumn, PublishedDataset, PublishedKey};
use concordat_protocol::ids::DatasetName;
use concordat_protocol::schema::{is_age, is_birth};

use super::draw::Draws;

/// The column that is true in each row.
const MARK: &str = "sample";
/// Days from 1970-01-01 to 2000-01-01, and to 1930-01-01.
const YEAR_2000: i32 = 10_957;
const YEAR_1930: i32 = -14_610;
/// Values of a text.
const TEXTS: [&str; 5] = ["sample a", "sample b", "sample c", "sample d", "sample e"];

/// The datasets of a collection, as its holder publishes them.
#[derive(Debug)]
pub(super) struct Shape<'a> {
    datasets: Vec<(DatasetName, &'a PublishedDataset)>,
    /// The dataset in which each subject has one row; `None` if no column has the key of a subject.
    subjects: Option<DatasetName>,
}

impl<'a> Shape<'a> {
    /// These datasets, each with its name.
    pub(super) fn new(datasets: Vec<(DatasetName, &'a PublishedDataset)>) -> Self {
        let subjects = subjects_of(&datasets);
        Self { datasets, subjects }
    }

    /// The datasets with their names.
    pub(super) fn datasets(&self) -> impl Iterator<Item = (&DatasetName, &'a PublishedDataset)> {
        self.datasets.iter().map(|(name, dataset)| (name, *dataset))
    }

    /// The rows with these numbers, of `count` in each dataset.
    ///
    /// # Errors
    /// If the columns cannot be put together.
    pub(super) fn rows(
        &self,
        (name, dataset): (&DatasetName, &PublishedDataset),
        rows: Range<u64>,
        (seed, count): (u64, u64),
    ) -> Result<RecordBatch, ArrowError> {
        let marks = rows.clone().map(|_| Some(true));
        let mark: ArrayRef = Arc::new(BooleanArray::from_iter(marks));
        let mut fields = vec![Field::new(mark_name(dataset), DataType::Boolean, false)];
        let mut arrays = vec![mark];
        for column in &dataset.columns {
            let draws = Draws::new(seed, name.as_str(), column.name.as_str());
            let array = match self.source(name, column) {
                Source::OwnRow => numbered(&column.kind, rows.clone(), |row| row),
                Source::AnyRow => numbered(&column.kind, rows.clone(), |row| {
                    draws.below(row, count).saturating_add(1)
                }),
                Source::Drawn => drawn(column, rows.clone(), draws),
            };
            fields.push(Field::new(column.name.as_str(), array.data_type().clone(), true));
            arrays.push(array);
        }
        let fields: Vec<FieldRef> = fields.into_iter().map(Arc::new).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
    }

    fn source(&self, dataset: &DatasetName, column: &PublishedColumn) -> Source {
        // No other type has a value for each number.
        if !matches!(column.kind.as_str(), "integer" | "number" | "text") {
            return Source::Drawn;
        }
        let is_identifier = column.class == "direct-identifier";
        match &column.key {
            Some(PublishedKey::Own) => Source::OwnRow,
            Some(PublishedKey::Of { .. }) => Source::AnyRow,
            Some(PublishedKey::Subject) if self.subjects.as_ref() == Some(dataset) => Source::OwnRow,
            Some(PublishedKey::Subject) => Source::AnyRow,
            None if is_identifier => Source::OwnRow,
            None => Source::Drawn,
        }
    }
}

/// The dataset in which each subject has one row: the first one to whose key of the subject columns lead, or the first one that has it.
fn subjects_of(datasets: &[(DatasetName, &PublishedDataset)]) -> Option<DatasetName> {
    let columns = datasets.iter().flat_map(|(_, dataset)| &dataset.columns);
    let linked: BTreeSet<(&str, &str)> = columns
        .filter_map(|column| match &column.key {
            Some(PublishedKey::Of { dataset, column }) => Some((dataset.as_str(), column.as_str())),
            Some(PublishedKey::Subject | PublishedKey::Own) | None => None,
        })
        .collect();
    let mut first = None;
    for (name, dataset) in datasets {
        let mut subjects = dataset
            .columns
            .iter()
            .filter(|column| column.key == Some(PublishedKey::Subject))
            .peekable();
        if subjects.peek().is_some() && first.is_none() {
            first = Some(name.clone());
        }
        if subjects.any(|column| linked.contains(&(name.as_str(), column.name.as_str()))) {
            return Some(name.clone());
        }
    }
    first
}

/// Where the values of a column come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// The number of the row.
    OwnRow,
    /// The number of any row of another dataset.
    AnyRow,
    /// A range.
    Drawn,
}

/// The name of the column that is true in each row, which no column of the dataset has.
fn mark_name(dataset: &PublishedDataset) -> String {
    let mut name = MARK.to_owned();
    let is_taken = |name: &str| {
        let mut columns = dataset.columns.iter();
        columns.any(|column| column.name.as_str().eq_ignore_ascii_case(name))
    };
    while is_taken(&name) {
        name.push('_');
    }
    name
}

/// Numbers of rows in the type of a column.
fn numbered(kind: &str, rows: Range<u64>, number: impl Fn(u64) -> u64) -> ArrayRef {
    let numbers = rows.map(number);
    match kind {
        "integer" => Arc::new(Int64Array::from_iter(numbers.map(|n| i64::try_from(n).ok()))),
        "number" => {
            let numbers = numbers.map(|n| u32::try_from(n).ok().map(f64::from));
            Arc::new(Float64Array::from_iter(numbers))
        }
        _ => Arc::new(StringArray::from_iter(numbers.map(|n| Some(format!("sample-{n:06}"))))),
    }
}

/// Values from the range that the type and the name of a column suggest.
fn drawn(column: &PublishedColumn, rows: Range<u64>, draws: Draws) -> ArrayRef {
    let name = column.name.as_str();
    let value = |bound: u64| {
        rows.clone().map(move |row| {
            let value = u32::try_from(draws.below(row, bound)).ok();
            value.filter(|_| !draws.is_missing(row))
        })
    };
    let (first_day, days) = dates(name);
    match column.kind.as_str() {
        "boolean" => Arc::new(BooleanArray::from_iter(value(2).map(|value| Some(value? == 1)))),
        "integer" => {
            let (least, values) = integers(name);
            let of = |value: Option<u32>| Some(least.saturating_add(i64::from(value?)));
            Arc::new(Int64Array::from_iter(value(values).map(of)))
        }
        "number" => {
            let of = |value: Option<u32>| Some(f64::from(value?) / 10.0);
            Arc::new(Float64Array::from_iter(value(1_000).map(of)))
        }
        "date" => {
            let of = |value: Option<u32>| Some(first_day.saturating_add(i32::try_from(value?).ok()?));
            Arc::new(Date32Array::from_iter(value(days).map(of)))
        }
        "time" => {
            let seconds = days.saturating_mul(86_400);
            let first = i64::from(first_day).saturating_mul(86_400);
            let of = |value: Option<u32>| Some(first.saturating_add(i64::from(value?)).saturating_mul(1_000));
            Arc::new(TimestampMillisecondArray::from_iter(value(seconds).map(of)))
        }
        _ => {
            let texts = u64::try_from(TEXTS.len()).unwrap_or(1);
            let of = |value: Option<u32>| TEXTS.get(usize::try_from(value?).ok()?).copied();
            Arc::new(StringArray::from_iter(value(texts).map(of)))
        }
    }
}

/// The first day of the dates of a column, counted from 1970-01-01, and how many days there are.
fn dates(name: &str) -> (i32, u64) {
    if is_birth(name) {
        (YEAR_1930, 28_000)
    } else {
        (YEAR_2000, 9_000)
    }
}

/// The least of the whole numbers of a column, and how many there are.
fn integers(name: &str) -> (i64, u64) {
    if is_age(name) {
        (18, 73)
    } else if name.to_ascii_lowercase().contains("year") {
        (1930, 80)
    } else {
        (0, 100)
    }
}

#[cfg(test)]
mod tests;
