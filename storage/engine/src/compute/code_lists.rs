//! Which codes are in lists of a reference dataset: those with a name, or those below another one. No row that is about a subject is read.

use std::collections::BTreeMap;

use concordat_protocol::{
    ids::{ColumnName, DatasetName},
    scope::{Scope, Value},
};
use concordat_storage::catalog::{Collection, StoredDataset};

use super::{
    budget::Budget,
    compile::{Compiler, invalid},
    plan::{ListSource, Sources},
    prepare,
    scan::{Reader, Wanted},
    tables::{Keys, Tables},
    values::Row,
};
use crate::{
    QueryError,
    statistic::{KeyList, KnownCollection},
};

/// Most codes of a list. Descriptions of cells consist of them, and are made for each cell.
pub(crate) const MAX_LISTED: usize = 4_096;

/// The codes of each list, in ascending order. `None` for a list with more than [`MAX_LISTED`]; for one by a key that several rows have, so that
/// a link leads to none of them; and for all lists if they need more memory than there is. All of this follows from the lists and the
/// reference datasets. `memory` is in bytes.
///
/// # Errors
/// [`QueryError`] if a list names what the scope or the version does not have, or rows cannot be read.
pub(crate) async fn listed_codes(
    collection: &dyn Collection,
    (known, scope): (&KnownCollection, &Scope),
    lists: &[KeyList],
    memory: usize,
) -> Result<Vec<Option<Vec<Value>>>, QueryError> {
    let mut compiler = Compiler::new(known, scope, collection);
    let positions = lists.iter().map(|list| compiler.list(list));
    let positions = positions.collect::<Result<Vec<usize>, QueryError>>()?;
    let mut sources = std::mem::take(&mut compiler.sources);
    if !sources.events.is_empty() {
        return Err(invalid("a list of codes by rows that are about subjects"));
    }
    let reader = Reader::new(collection, memory)?;
    let mut budget = Budget::of(memory / 2);
    let read = (collection.subjects(), &mut budget);
    let found = match keys(&reader, scope, &mut sources, read).await {
        Err(QueryError::Memory) => return Ok(vec![None; lists.len()]),
        found => found?,
    };
    let codes = |at: &usize| found.get(*at).filter(|keys| keys.len() <= MAX_LISTED).map(Keys::values);
    let mut listed: Vec<Option<Vec<Value>>> = positions.iter().map(codes).collect();
    for ((dataset, key), keys) in keys_of_rows(lists, &listed, known) {
        let stored = compiler.dataset(dataset)?;
        let repeated = repeated(&reader, scope, (&stored, key), &keys).await?;
        let of_key = lists.iter().zip(&mut listed);
        for (_, codes) in of_key.filter(|(list, _)| (&list.dataset, &list.key) == (dataset, key)) {
            if codes.iter().flatten().any(|code| repeated.has(code.into())) {
                *codes = None;
            }
        }
    }
    Ok(listed)
}

/// The keys of all lists. Lists that others need are found whole.
async fn keys(
    reader: &Reader,
    scope: &Scope,
    sources: &mut Sources,
    (subjects, budget): (u32, &mut Budget),
) -> Result<Vec<Keys>, QueryError> {
    if !sources.lists.iter().all(|list| list.is_alone) {
        let Tables { lists, .. } = prepare::tables(reader, scope, sources, (subjects, budget)).await?;
        return Ok(lists);
    }
    let mut lists = std::mem::take(&mut sources.lists);
    let tables = prepare::tables(reader, scope, sources, (subjects, &mut *budget)).await?;
    let mut found = Vec::new();
    for read in lists.chunk_by_mut(ListSource::is_read_with) {
        let keys = prepare::lists(reader, scope, read, (&tables, MAX_LISTED, &mut *budget)).await?;
        found.extend(keys);
    }
    Ok(found)
}

/// The listed codes that are keys of rows, by their column.
fn keys_of_rows<'l>(
    lists: &'l [KeyList],
    listed: &[Option<Vec<Value>>],
    known: &KnownCollection,
) -> BTreeMap<(&'l DatasetName, &'l ColumnName), Keys> {
    let mut found: BTreeMap<(&DatasetName, &ColumnName), Keys> = BTreeMap::new();
    for (list, codes) in lists.iter().zip(listed) {
        if known.distinguishes_rows(&list.dataset, &list.key) {
            let keys = found.entry((&list.dataset, &list.key)).or_default();
            for code in codes.iter().flatten() {
                keys.add(code.into());
            }
        }
    }
    found
}

/// Those of some keys that several rows have.
async fn repeated(
    reader: &Reader,
    scope: &Scope,
    (dataset, key): (&StoredDataset, &ColumnName),
    keys: &Keys,
) -> Result<Keys, QueryError> {
    let wanted = Wanted {
        dataset,
        columns: std::slice::from_ref(key),
        filter: prepare::admitted(scope, dataset)?,
        numbers: false,
    };
    let mut seen = Keys::default();
    let mut repeated = Keys::default();
    let mut scan = reader.scan(&wanted)?;
    while let Some(rows) = scan.next().await? {
        for at in 0..rows.len() {
            let key = Row { rows: &rows, at }.datum(0);
            if keys.has(key) && !seen.add(key) {
                repeated.add(key);
            }
        }
    }
    Ok(repeated)
}
