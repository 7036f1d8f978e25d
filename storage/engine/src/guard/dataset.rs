//! What a permit shows of a dataset of a collection.

use std::sync::Arc;

use concordat_keys::PseudonymKey;
use concordat_protocol::{
    collection::{DatasetKind, KeyDomain},
    ids::ColumnName,
    scope::DatasetScope,
};
use concordat_storage::catalog::{ORDINAL_COLUMN, StoredDataset};
use datafusion::datasource::physical_plan::parquet::transform_schema_to_view;
use object_store::ObjectMeta;

use super::{View, cohort::Cohort, exec::Shown};
use crate::{
    QueryError, rows,
    shown::{as_read, bare_schema, pseudonym_origin, shown_of},
    transform::Change,
};

/// What all datasets of one answer have in common.
#[derive(Clone, Copy)]
pub(crate) struct Common<'a> {
    /// The collection, for the origin of pseudonyms.
    pub(crate) origin: &'a str,
    pub(crate) key: &'a PseudonymKey,
    /// With what a column joins.
    pub(crate) domain_of: &'a dyn Fn(&ColumnName) -> KeyDomain,
    /// [`Window::oldest_year`](concordat_protocol::scope::Window::oldest_year) of the permission.
    pub(crate) oldest_year: i32,
    /// The subjects that the permission is about; `None` if it is about all of them.
    pub(crate) cohort: Option<&'a Cohort>,
}

impl View {
    /// What `scope` shows of a dataset of a collection. A column of the scope that the version lacks does not exist for a query.
    ///
    /// # Errors
    /// As [`View::new`], and [`QueryError::NotApplied`] if the permission is about some subjects and the version does not state whose the
    /// rows of the dataset are.
    pub(crate) fn of_dataset(
        dataset: &StoredDataset,
        scope: &DatasetScope,
        common: &Common<'_>,
    ) -> Result<Self, QueryError> {
        let domain = |column: &ColumnName| (common.domain_of)(column);
        let mut shown = Vec::new();
        // Only the columns of the dataset: that of the ordinals is stored beside them, and no scope shows it.
        for (index, field) in dataset.schema.fields().iter().enumerate() {
            let found = scope.columns.iter().find(|(name, _)| name.as_str() == field.name());
            let Some((name, transform)) = found else { continue };
            let column = (field.name().as_str(), field.data_type());
            let pseudonyms = || common.key.of_domain(&domain(name));
            if let Some(change) = Change::with(transform, column, common.oldest_year, pseudonyms)? {
                shown.push(Shown { index, change });
            }
        }
        let origin_of = |column: &ColumnName| pseudonym_origin(common.origin, &domain(column).to_string());
        let planned = as_read(&shown_of(
            &dataset.schema,
            &scope.columns,
            &origin_of,
            common.oldest_year,
        )?);
        Ok(Self {
            read: Arc::new(transform_schema_to_view(&dataset.stored_schema)),
            shown,
            schema: Arc::new(bare_schema(&planned)),
            planned,
            condition: rows::condition(&scope.rows, &dataset.schema)?,
            objects: objects(dataset, common.cohort),
            owners: owners(dataset, common.cohort)?,
            order: None,
            stored: Arc::clone(&dataset.stored_schema),
        })
    }
}

/// The objects of a dataset of which a permission about `cohort` can show rows. Rows of which it is not known whose they are are not shown
/// then; rows that are about no subject are.
fn objects(dataset: &StoredDataset, cohort: Option<&Cohort>) -> Arc<[ObjectMeta]> {
    let is_hidden = cohort.is_some() && matches!(dataset.kind, DatasetKind::Unowned);
    let shown = dataset.objects.iter().filter(|_| !is_hidden);
    shown.map(|object| object.meta.clone()).collect()
}

/// Where the owners of the rows of a dataset are, and whose rows are permitted; `None` if the owner makes no difference.
fn owners(dataset: &StoredDataset, cohort: Option<&Cohort>) -> Result<Option<(usize, Cohort)>, QueryError> {
    let Some(cohort) = cohort else { return Ok(None) };
    match dataset.kind {
        DatasetKind::Reference | DatasetKind::Unowned => return Ok(None),
        DatasetKind::Keyed { .. } | DatasetKind::Owned { .. } | DatasetKind::EachRow => {}
    }
    let index = dataset.stored_schema.index_of(ORDINAL_COLUMN);
    let index = index.map_err(|_| QueryError::NotApplied {
        detail: format!("this version of `{}` does not state whose its rows are", dataset.name),
    })?;
    Ok(Some((index, cohort.clone())))
}
