//! Reads what conditions and values look up, before the measured rows: what is reached by key or by subject, then lists of keys, then
//! events, each after those that it needs.

use std::sync::Arc;

use concordat_protocol::scope::{Rows as RowFilter, Scope, Subjects};
use concordat_storage::catalog::{Collection, StoredDataset};

use super::{
    budget::Budget,
    evaluate::At,
    plan::{EventsSource, EventsUses, KeyUse, ListSource, LookupSource, Sources},
    scan::{Reader, Wanted},
    tables::{Bits, Events, Index, KeyMap, Keys, Lookup, Tables},
    values::{Row, Rows},
};
use crate::{QueryError, rows};

/// Memory of a listed key, in bytes.
const KEY_BYTES: usize = 48;
/// Memory of the day of an event while it is sorted, in bytes.
const DAY_BYTES: usize = 24;

/// The dataset that decides which subjects a scope covers; `None` if it covers all of them.
///
/// # Errors
/// [`QueryError`] if the version does not have it, or not with the columns of the filter.
pub(super) fn cohort_dataset(collection: &dyn Collection, scope: &Scope) -> Result<Option<StoredDataset>, QueryError> {
    let Subjects::Only(filter) = &scope.subjects else {
        return Ok(None);
    };
    let dataset = collection.dataset(filter.dataset()).filter(|dataset| dataset.ordinals);
    let dataset = dataset.ok_or_else(|| QueryError::NotApplied {
        detail: format!(
            "this version of `{}` does not state whose its rows are",
            filter.dataset()
        ),
    })?;
    rows::condition(filter.rows(), &dataset.schema)?;
    Ok(Some(dataset))
}

/// The subjects that a scope covers; `None` for all of them.
///
/// # Errors
/// [`QueryError`] if their dataset cannot be read.
pub(super) async fn cohort(
    reader: &Reader,
    collection: &dyn Collection,
    scope: &Scope,
) -> Result<Option<Arc<Bits>>, QueryError> {
    let (Subjects::Only(filter), Some(dataset)) = (&scope.subjects, cohort_dataset(collection, scope)?) else {
        return Ok(None);
    };
    let wanted = Wanted {
        dataset: &dataset,
        columns: &[],
        filter: filter.rows(),
        numbers: false,
    };
    let mut covered = Bits::none(collection.subjects());
    let mut scan = reader.scan(&wanted)?;
    while let Some(rows) = scan.next().await? {
        rows.owners.iter().for_each(|owner| covered.add(*owner));
    }
    Ok(Some(Arc::new(covered)))
}

/// Everything that a plan looks up.
///
/// # Errors
/// [`QueryError`] if rows cannot be read, or need more memory than `budget`.
pub(super) async fn tables(
    reader: &Reader,
    scope: &Scope,
    sources: &mut Sources,
    (subjects, budget): (u32, &mut Budget),
) -> Result<Tables, QueryError> {
    let mut tables = Tables::default();
    for source in &sources.lookups {
        tables
            .lookups
            .push(lookup(reader, scope, source, (subjects, &mut *budget)).await?);
    }
    // Of a group by codes above others each has a list, and a hierarchy can be long.
    for sources in sources.lists.chunk_by_mut(ListSource::is_read_with) {
        let keys = lists(reader, scope, sources, (&tables, usize::MAX, &mut *budget)).await?;
        tables.lists.extend(keys);
    }
    for source in &mut sources.events {
        let found = events(reader, scope, source, (subjects, &tables, &mut *budget)).await?;
        tables.events.push(found);
    }
    Ok(tables)
}

/// The rows of a dataset that a scope admits; none of one that it does not cover.
pub(super) fn admitted<'a>(scope: &'a Scope, dataset: &StoredDataset) -> Result<&'a RowFilter, QueryError> {
    let covered = scope.datasets.get(&dataset.name);
    covered
        .map(|covered| &covered.rows)
        .ok_or(QueryError::Engine { step: "reading" })
}

async fn lookup(
    reader: &Reader,
    scope: &Scope,
    source: &LookupSource,
    (subjects, budget): (u32, &mut Budget),
) -> Result<Lookup, QueryError> {
    let wanted = Wanted {
        dataset: &source.dataset,
        columns: &source.columns,
        filter: admitted(scope, &source.dataset)?,
        numbers: false,
    };
    let needed = match &source.used_by {
        Some(uses) => Some(needed_keys(reader, scope, uses, &mut *budget).await?),
        None => None,
    };
    let mut scan = reader.scan(&wanted)?;
    let mut parts = Vec::new();
    while let Some(mut rows) = scan.next().await? {
        if let Some((needed, key)) = needed.as_ref().zip(source.key) {
            let is_needed = |at| needed.has(Row { rows: &rows, at }.datum(key));
            let kept: Vec<bool> = (0..rows.len()).map(is_needed).collect();
            rows = rows.only(&kept)?;
        }
        budget.charge(rows.size())?;
        parts.push(rows);
    }
    if let Some(needed) = needed {
        budget.release(needed.len().saturating_mul(KEY_BYTES));
    }
    let rows = joined(&parts, source.columns.len(), budget)?;
    let index = match source.key {
        Some(key) => {
            budget.charge(rows.len().saturating_mul(KEY_BYTES))?;
            Index::Key(key_map(&rows, key))
        }
        None => Index::of_subjects(&rows, subjects),
    };
    Ok(Lookup { rows, index })
}

/// The keys that rows of these columns have.
async fn needed_keys(reader: &Reader, scope: &Scope, uses: &[KeyUse], budget: &mut Budget) -> Result<Keys, QueryError> {
    let mut keys = Keys::default();
    for one in uses {
        let wanted = Wanted {
            dataset: &one.dataset,
            columns: std::slice::from_ref(&one.column),
            filter: admitted(scope, &one.dataset)?,
            numbers: false,
        };
        let mut scan = reader.scan(&wanted)?;
        while let Some(rows) = scan.next().await? {
            for at in 0..rows.len() {
                if keys.add(Row { rows: &rows, at }.datum(0)) {
                    budget.charge(KEY_BYTES)?;
                }
            }
        }
    }
    Ok(keys)
}

/// All rows in one part; for a moment they are in memory twice.
fn joined(parts: &[Rows], columns: usize, budget: &mut Budget) -> Result<Rows, QueryError> {
    let read: usize = parts.iter().map(Rows::size).sum();
    let rows = Rows::joined(parts, columns)?;
    budget.charge(rows.size())?;
    budget.release(read);
    Ok(rows)
}

fn key_map(rows: &Rows, key: usize) -> KeyMap {
    let mut keys = KeyMap::default();
    for (position, at) in (0_u32..).zip(0..rows.len()) {
        keys.add(Row { rows, at }.datum(key), position);
    }
    keys
}

/// The keys of lists that are found by reading the same columns once. Of a list with more than `most` keys not all are found.
pub(super) async fn lists(
    reader: &Reader,
    scope: &Scope,
    sources: &mut [ListSource],
    (tables, most, budget): (&Tables, usize, &mut Budget),
) -> Result<Vec<Keys>, QueryError> {
    let mut found: Vec<Keys> = sources.iter().map(|_| Keys::default()).collect();
    let Some(first) = sources.first() else {
        return Ok(found);
    };
    let wanted = Wanted {
        dataset: &first.dataset,
        columns: &first.columns,
        filter: admitted(scope, &first.dataset)?,
        numbers: false,
    };
    let mut scan = reader.scan(&wanted)?;
    while let Some(rows) = scan.next().await? {
        for at in 0..rows.len() {
            let row = Row { rows: &rows, at };
            for (source, keys) in sources.iter_mut().zip(&mut found) {
                let at = At {
                    row,
                    outer: None,
                    tables,
                };
                if keys.len() <= most && source.rows.is_true(at) && keys.add(row.datum(source.key)) {
                    budget.charge(KEY_BYTES)?;
                }
            }
        }
    }
    Ok(found)
}

async fn events(
    reader: &Reader,
    scope: &Scope,
    source: &mut EventsSource,
    (subjects, tables, budget): (u32, &Tables, &mut Budget),
) -> Result<Events, QueryError> {
    let wanted = Wanted {
        dataset: &source.dataset,
        columns: &source.columns,
        filter: admitted(scope, &source.dataset)?,
        numbers: false,
    };
    let mut scan = reader.scan(&wanted)?;
    let mut found = Events::none(subjects, &source.uses);
    let mut parts = Vec::new();
    let mut days: Vec<(u32, i64)> = Vec::new();
    while let Some(mut rows) = scan.next().await? {
        let before = days.len();
        let mut kept = Vec::with_capacity(rows.len());
        for at in 0..rows.len() {
            let row = Row { rows: &rows, at };
            let at = At {
                row,
                outer: None,
                tables,
            };
            let is_event = source.rows.is_true(at);
            kept.push(is_event);
            if is_event {
                add(&mut found, row, &source.uses);
                let day = source.uses.days.as_ref().and_then(|day| at.day(day));
                days.extend(row.owner().zip(day));
            }
        }
        budget.charge(days.len().saturating_sub(before).saturating_mul(DAY_BYTES))?;
        if source.uses.rows {
            rows = rows.only(&kept)?;
            budget.charge(rows.size())?;
            parts.push(rows);
        }
    }
    if source.uses.days.is_some() {
        found.keep_days(days, subjects);
    }
    if source.uses.rows {
        found.keep(joined(&parts, source.columns.len(), budget)?, subjects);
    }
    Ok(found)
}

/// Adds an event to what is known of its subject.
fn add(events: &mut Events, row: Row<'_>, uses: &EventsUses) {
    let Some(owner) = row.owner() else { return };
    events.subjects.add(owner);
    let count = usize::try_from(owner)
        .ok()
        .and_then(|owner| events.counts.get_mut(owner));
    if let Some(count) = count {
        *count = count.saturating_add(1);
    }
    for (dates, column) in events.firsts.iter_mut().zip(&uses.firsts) {
        dates.add(owner, row.datum(*column));
    }
    for (dates, column) in events.lasts.iter_mut().zip(&uses.lasts) {
        dates.add(owner, row.datum(*column));
    }
}
