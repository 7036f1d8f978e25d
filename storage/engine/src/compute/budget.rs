//! How much memory a statistic may use: what it needs is estimated before anything is read, and what it has read is counted.

use arrow::datatypes::DataType;
use concordat_protocol::ids::ColumnName;
use concordat_storage::catalog::StoredDataset;

use super::{
    plan::{EventsSource, LookupSource, Plan, Selection, Sources},
    tables::words,
};
use crate::QueryError;

/// Memory of the sets of all cells as bits, in bytes, above which they are compressed.
const MOST_BITS: u64 = 64 << 20;
/// The estimated memory of a text, in bytes.
const TEXT_BYTES: u64 = 32;
/// The estimated memory of a key and the position of its row, in bytes: tables of keys are between half full and full.
const KEY_BYTES: u64 = 48;
/// Memory of an ordinal or a position, in bytes.
const ORDINAL_BYTES: u64 = 4;
/// Memory of the day of an event while it is sorted, in bytes.
const DAY_BYTES: u64 = 24;
/// Memory of the contributions of a subject to a cell, beside the sums, in bytes: a table that has just grown is less than half full, and the
/// old one still exists while it grows.
const PAIR_BYTES: u64 = 96;
/// Memory of a sum, in bytes: a list that has just grown is half full.
const SUM_BYTES: u64 = 32;
/// Memory of a cell, and of a set in it, without units, in bytes.
const SET_BYTES: u64 = 1_024;
/// Memory of a band of a quantile without units, in bytes.
const BAND_BYTES: u64 = 64;

/// How the memory of a statistic is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Division {
    /// Whether sets are bits, one for each unit that there is.
    pub(super) are_bits: bool,
    /// How many pairs of a cell and a subject have sums at the same time.
    pub(super) pairs: usize,
    /// For what is looked up, in bytes.
    pub(super) tables: usize,
}

impl Division {
    /// How the memory is divided.
    ///
    /// # Errors
    /// [`QueryError::Memory`] if it is not enough, as far as that follows from the numbers of rows, subjects and cells. Nothing was read
    /// then, so this reveals nothing about values.
    pub(super) fn of(plan: &Plan, sources: &Sources, subjects: u32, memory: usize) -> Result<Self, QueryError> {
        let all = u64::try_from(memory).unwrap_or(u64::MAX);
        let rows = plan
            .measured
            .as_ref()
            .map_or(u64::from(subjects), |dataset| dataset.rows);
        if rows >= u64::from(u32::MAX) {
            return Err(QueryError::Memory);
        }
        let kinds = Kinds::of(plan);
        let bits = kinds.bits(u64::from(subjects), rows);
        let are_bits = bits <= MOST_BITS.min(all / 4);
        let in_sets = if are_bits { bits } else { kinds.listed(rows) };
        let pair = SUM_BYTES.saturating_mul(kinds.sums).saturating_add(PAIR_BYTES);
        let adds_up = plan.counts_rows && kinds.sums > 0;
        let pairs = if adds_up { all / 4 / pair } else { 0 };
        let used = in_sets
            .saturating_add(kinds.beside(rows))
            .saturating_add(pairs.saturating_mul(pair));
        let used = used.saturating_add(arrays(sources, subjects));
        let rest = all.saturating_sub(used);
        // A slice of subjects has at least one, who can be in every cell.
        if rest == 0 || kept_rows(sources) > rest || adds_up && pairs < kinds.cells {
            return Err(QueryError::Memory);
        }
        let bounded = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Ok(Self {
            are_bits,
            pairs: bounded(pairs),
            tables: bounded(rest),
        })
    }
}

/// How many sets, bands and sums each cell has.
struct Kinds {
    cells: u64,
    subjects: u64,
    rows: u64,
    quantiles: u64,
    bands: u64,
    sums: u64,
}

impl Kinds {
    fn of(plan: &Plan) -> Self {
        let count = |wanted: &dyn Fn(&Selection) -> usize| -> u64 {
            let all: usize = plan.selections.iter().map(wanted).sum();
            u64::try_from(all).unwrap_or(u64::MAX)
        };
        let bands = count(&|selection| {
            selection
                .edges
                .as_ref()
                .map_or(0, |edges| edges.len().saturating_add(1))
        });
        let selections = count(&|_| 1);
        Self {
            cells: u64::try_from(plan.grid()).unwrap_or(u64::MAX),
            subjects: selections.saturating_add(1),
            rows: count(&|selection| usize::from(selection.has_rows && plan.counts_rows)),
            quantiles: count(&|selection| usize::from(selection.edges.is_some())),
            bands,
            sums: count(&|selection| selection.sums.len()),
        }
    }

    /// Memory of all sets as bits, in bytes.
    const fn bits(&self, subjects: u64, rows: u64) -> u64 {
        let of_subjects = self.subjects.saturating_mul(subjects / 8);
        let of_rows = self.rows.saturating_mul(rows / 8);
        self.cells.saturating_mul(of_subjects.saturating_add(of_rows))
    }

    /// Memory of all sets as lists, in bytes: each row is in one cell.
    const fn listed(&self, rows: u64) -> u64 {
        let sets = self.subjects.saturating_add(self.rows);
        rows.saturating_mul(ORDINAL_BYTES).saturating_mul(sets)
    }

    /// Memory of the bands of quantiles, which are lists, and of the cells themselves, in bytes.
    const fn beside(&self, rows: u64) -> u64 {
        let bands = rows.saturating_mul(ORDINAL_BYTES).saturating_mul(self.quantiles);
        let sets = self.subjects.saturating_mul(SET_BYTES);
        let empty = self.bands.saturating_mul(BAND_BYTES).saturating_add(sets);
        self.cells.saturating_mul(empty).saturating_add(bands)
    }
}

/// The memory of arrays with an entry for each subject, in bytes.
fn arrays(sources: &Sources, subjects: u32) -> u64 {
    let bits = u64::try_from(words(subjects)).unwrap_or(u64::MAX).saturating_mul(8);
    let ordinals = u64::from(subjects).saturating_mul(ORDINAL_BYTES);
    let lookups = sources.lookups.iter().filter(|source| source.key.is_none());
    let lookups = lookups.map(|_| ordinals);
    let events = sources.events.iter().map(|source| {
        let uses = &source.uses;
        let dates = u64::try_from(uses.firsts.len().saturating_add(uses.lasts.len())).unwrap_or(u64::MAX);
        let dated = dates.saturating_mul(u64::from(subjects).saturating_mul(8).saturating_add(bits));
        let counts = if uses.counts { ordinals } else { 0 };
        // While rows are sorted, there are two lists of offsets.
        let offsets = if uses.rows || uses.days.is_some() {
            ordinals.saturating_mul(2)
        } else {
            0
        };
        bits.saturating_add(dated)
            .saturating_add(counts)
            .saturating_add(offsets)
    });
    lookups.chain(events).fold(0, u64::saturating_add)
}

/// The memory of rows that are kept, in bytes. Lists of keys, which conditions select, and codes, of which rows have few, are not in it: they
/// are counted when they are read.
fn kept_rows(sources: &Sources) -> u64 {
    let lookups = sources.lookups.iter().map(looked_up);
    let events = sources.events.iter().map(events);
    lookups.chain(events).fold(0, u64::saturating_add)
}

fn looked_up(source: &LookupSource) -> u64 {
    if source.used_by.is_some() {
        return 0;
    }
    let keys = if source.key.is_some() { KEY_BYTES } else { 0 };
    columns(&source.dataset, &source.columns).saturating_add(source.dataset.rows.saturating_mul(keys))
}

fn events(source: &EventsSource) -> u64 {
    let rows = source.dataset.rows;
    let days = if source.uses.days.is_some() {
        rows.saturating_mul(DAY_BYTES)
    } else {
        0
    };
    if source.uses.rows {
        columns(&source.dataset, &source.columns)
            .saturating_add(rows.saturating_mul(ORDINAL_BYTES))
            .saturating_add(days)
    } else {
        days
    }
}

/// The memory of the columns of all rows of a dataset.
fn columns(dataset: &StoredDataset, names: &[ColumnName]) -> u64 {
    let width = |name: &ColumnName| {
        let field = dataset.schema.field_with_name(name.as_str()).ok();
        match field.and_then(|field| field.data_type().primitive_width()) {
            Some(width) => u64::try_from(width).unwrap_or(TEXT_BYTES),
            None if field.is_some_and(|field| *field.data_type() == DataType::Boolean) => 1,
            None => TEXT_BYTES,
        }
    };
    let row: u64 = names.iter().map(width).sum();
    dataset.rows.saturating_mul(row.saturating_add(ORDINAL_BYTES))
}

/// Memory for what is looked up, which is counted while it is read.
#[derive(Debug)]
pub(super) struct Budget {
    left: usize,
}

impl Budget {
    pub(super) const fn of(bytes: usize) -> Self {
        Self { left: bytes }
    }

    /// Counts memory that is used.
    ///
    /// # Errors
    /// [`QueryError::Memory`] if there is not enough left.
    pub(super) fn charge(&mut self, bytes: usize) -> Result<(), QueryError> {
        self.left = self.left.checked_sub(bytes).ok_or(QueryError::Memory)?;
        Ok(())
    }

    /// Memory that is no longer used.
    pub(super) const fn release(&mut self, bytes: usize) {
        self.left = self.left.saturating_add(bytes);
    }
}
