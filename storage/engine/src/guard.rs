//! The only table that a permit gives access to.
//!
//! [`View`] shows the permitted columns, already transformed, and the permitted rows. Its [`scan`] reads Parquet, drops the
//! rows that are not permitted and transforms the columns in one physical node that is opaque to the optimizer:
//! [`Guard`](exec::Guard), or [`Shuffle`](shuffle::Shuffle) if single rows are released and their order must not be the
//! stored one. A query's own conditions are evaluated above it, on its output: a division by zero or a failing cast can only
//! reveal something about permitted rows and transformed values. Below it, conditions only serve to skip data that cannot
//! contain a matching row: these are comparisons of a stored column with a literal, which cannot fail.

mod bags;
mod cohort;
mod dataset;
mod exec;
mod in_turn;
mod plan_node;
mod ranked_rows;
mod regroup;
mod scan;
mod shuffle;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use concordat_keys::PseudonymKey;
use concordat_protocol::ids::ColumnName;
use datafusion::{datasource::physical_plan::parquet::transform_schema_to_view, logical_expr::Expr};
use object_store::ObjectMeta;

use super::{
    QueryError, Table,
    one_dataset::OneDataset,
    order::Order,
    rows,
    shown::{as_read, bare_schema, pseudonym_origin, shown_of},
    transform::Change,
};
pub(super) use cohort::Cohort;
pub(super) use dataset::Common;
use exec::Shown;
pub(super) use in_turn::in_turn;
pub(super) use regroup::regrouped;

/// What a permit shows of one dataset version.
#[derive(Clone, Debug)]
pub(super) struct View {
    stored: SchemaRef,
    /// The stored columns as they are read: text as views into the pages that it was read from, which are cheaper to
    /// compare and to copy.
    read: SchemaRef,
    shown: Vec<Shown>,
    /// The columns with their forms, for planning.
    planned: SchemaRef,
    /// The columns as they are computed with.
    schema: SchemaRef,
    condition: Option<Expr>,
    objects: Arc<[ObjectMeta]>,
    /// The column of the owners' ordinals, and the subjects whose rows are permitted; `None` if all rows are.
    owners: Option<(usize, Cohort)>,
    /// The order in which rows are released; `None` if single rows never are.
    order: Option<Order>,
}

/// All of a view that the logical optimizer depends on: the columns, and which of them conditions may skip data by.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pruning {
    stored: SchemaRef,
    schema: SchemaRef,
    /// Of each visible column: the stored one, and whether it is shown as stored.
    clear: Vec<(usize, bool)>,
}

impl View {
    /// What `scope` shows of `source`. A column of the scope that the version lacks does not exist for a query.
    ///
    /// # Errors
    /// [`QueryError::MissingColumn`] if the version lacks a column by which rows are filtered, or the one of the subjects: without them it
    /// is not known what may be shown. [`QueryError::TransformMismatch`] or [`QueryError::RowsMismatch`] if a column has another type.
    pub(super) fn new(source: &dyn Table, scope: &OneDataset, key: &PseudonymKey) -> Result<Self, QueryError> {
        let stored = source.schema();
        let mut shown = Vec::new();
        for (index, field) in stored.fields().iter().enumerate() {
            let Some((_, transform)) = scope.columns.iter().find(|(name, _)| name.as_str() == field.name()) else {
                continue;
            };
            if let Some(change) = Change::of(
                transform,
                field.name(),
                field.data_type(),
                key,
                scope.window.oldest_year(),
            )? {
                shown.push(Shown { index, change });
            }
        }
        let subject = source.subject_column();
        stored.index_of(subject).map_err(|_| QueryError::MissingColumn {
            column: subject.to_owned(),
        })?;
        let condition = rows::condition(&scope.rows, &stored)?;
        let read = Arc::new(transform_schema_to_view(&stored));
        let origin = scope.dataset.to_string();
        let origin_of = |column: &ColumnName| pseudonym_origin(&origin, column.as_str());
        let planned = as_read(&shown_of(
            &stored,
            &scope.columns,
            &origin_of,
            scope.window.oldest_year(),
        )?);
        let schema = Arc::new(bare_schema(&planned));
        Ok(Self {
            stored,
            read,
            shown,
            planned,
            schema,
            condition,
            objects: source.objects().into(),
            owners: None,
            order: None,
        })
    }

    /// The same view with its rows in a keyed order.
    pub(super) fn in_order(mut self, order: Order) -> Self {
        self.order = Some(order);
        self
    }

    /// The same view with its rows in any order.
    pub(super) fn without_order(mut self) -> Self {
        self.order = None;
        self
    }

    /// The columns with their forms, to plan a query with.
    pub(super) fn planned(&self) -> SchemaRef {
        Arc::clone(&self.planned)
    }

    pub(super) const fn order(&self) -> Option<&Order> {
        self.order.as_ref()
    }

    /// What a plan over the view may be optimized by.
    pub(super) fn pruning(&self) -> Pruning {
        let shown = self.shown.iter();
        Pruning {
            stored: Arc::clone(&self.stored),
            schema: Arc::clone(&self.schema),
            clear: shown.map(|shown| (shown.index, shown.change.is_clear())).collect(),
        }
    }
}
