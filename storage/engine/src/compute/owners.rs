//! The subjects that single rows are about: the audit needs them of a few rows of each set.

use std::collections::HashMap;

use concordat_protocol::{ids::DatasetName, scope::Scope};
use concordat_storage::catalog::Collection;

use super::{
    compile::invalid,
    prepare,
    scan::{Reader, Wanted},
    values::Row,
};
use crate::{Bounds, QueryError};

/// The subject of each of these rows of a dataset, in their order; `None` for a row that the scope does not cover or that is about none.
///
/// # Errors
/// [`QueryError`] if the rows cannot be read.
pub(crate) async fn owners(
    collection: &dyn Collection,
    scope: &Scope,
    (dataset, rows): (&DatasetName, &[u32]),
    bounds: &Bounds,
) -> Result<Vec<Option<u32>>, QueryError> {
    let stored = collection.dataset(dataset).filter(|dataset| dataset.ordinals);
    let mut stored = stored.ok_or_else(|| invalid(format!("the rows of `{dataset}` are about no subject")))?;
    let filter = prepare::admitted(scope, &stored)?;
    let mut reader = Reader::new(collection, bounds.memory)?;
    reader.cohort = prepare::cohort(&reader, collection, scope).await?;
    stored.objects.retain(|object| {
        let end = object.first_row.saturating_add(object.rows);
        let span = object.first_row..end;
        rows.iter().any(|row| span.contains(&u64::from(*row)))
    });
    let mut found: HashMap<u32, Option<u32>> = rows.iter().map(|row| (*row, None)).collect();
    let wanted = Wanted {
        dataset: &stored,
        columns: &[],
        filter,
        numbers: true,
    };
    let mut scan = reader.scan(&wanted)?;
    while let Some(read) = scan.next().await? {
        for at in 0..read.len() {
            let row = Row { rows: &read, at };
            if let Some(owner) = row.number().and_then(|number| found.get_mut(&number)) {
                *owner = row.owner();
            }
        }
    }
    Ok(rows.iter().map(|row| found.get(row).copied().flatten()).collect())
}
