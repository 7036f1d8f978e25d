//! How what a permit shows is read: the stored columns that are needed, of data that may contain a matching row.

use std::{collections::BTreeSet, sync::Arc};

use arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::{
    catalog::{Session, TableProvider},
    common::{DFSchema, ScalarValue},
    datasource::{
        listing::PartitionedFile,
        object_store::ObjectStoreUrl,
        physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource},
        source::DataSourceExec,
        table_schema::TableSchemaBuilder,
    },
    error::{DataFusionError, Result},
    logical_expr::{Expr, Operator, TableProviderFilterPushDown, TableType, utils::conjunction},
    physical_plan::{ExecutionPlan, PhysicalExpr, empty::EmptyExec},
};
use futures::future::BoxFuture;
use object_store::ObjectMeta;
use parquet::arrow::RowNumber;

use super::{
    View, bags,
    exec::{Guard, OwnerFilter, ScopeFilter, Shown},
    shuffle::Shuffle,
};
use crate::{order::Order, source::OBJECTS_URL};

/// Name of the column with the number of the stored row; columns of datasets cannot have it, because the prefix is
/// reserved.
const ROW_NUMBER: &str = "__concordat_row_number";

impl View {
    /// Whether `filter` compares a column that is shown as stored with a literal; only then may it skip rows and row groups.
    fn can_prune(&self, filter: &Expr) -> bool {
        let Expr::BinaryExpr(comparison) = filter else {
            return false;
        };
        let ordered = matches!(
            comparison.op,
            Operator::Eq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq
        );
        let (column, literal) = match (comparison.left.as_ref(), comparison.right.as_ref()) {
            (Expr::Column(column), Expr::Literal(literal, _)) | (Expr::Literal(literal, _), Expr::Column(column)) => {
                (column, literal)
            }
            _ => return false,
        };
        let shown = self
            .schema
            .index_of(&column.name)
            .ok()
            .and_then(|at| self.shown.get(at));
        let stored = shown.and_then(|shown| self.stored.fields().get(shown.index));
        // A stored zero may be negative, which is equal only after it has been read.
        let zero = matches!(literal, ScalarValue::Float64(Some(number)) if *number == 0.0);
        ordered
            && !zero
            && stored.is_some_and(|field| field.name() == &column.name)
            && shown.is_some_and(|shown| shown.change.is_clear())
    }

    /// The indices of the stored columns that a scan reads, in order.
    fn indices(&self, shown: &[Shown]) -> Result<Vec<usize>> {
        let mut indices: BTreeSet<usize> = shown.iter().map(|shown| shown.index).collect();
        for column in self.condition.iter().flat_map(Expr::column_refs) {
            indices.insert(self.stored.index_of(&column.name)?);
        }
        indices.extend(self.owners.iter().map(|(index, _)| *index));
        Ok(indices.into_iter().collect())
    }

    fn read(
        &self,
        session: &dyn Session,
        indices: &[usize],
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if self.objects.is_empty() {
            return Ok(Arc::new(EmptyExec::new(Arc::new(self.read.project(indices)?))));
        }
        let source = self.pruned(session, ParquetSource::new(Arc::clone(&self.read)), filters)?;
        let groups = self.file_groups(session.config().target_partitions());
        let whole = (filters.is_empty() && self.condition.is_none() && self.owners.is_none())
            .then_some(limit)
            .flatten();
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(OBJECTS_URL)?, Arc::new(source))
            .with_file_groups(groups)
            .with_limit(whole)
            .with_projection_indices(Some(indices.to_vec()))?
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    /// `source` with the predicate by which it may skip data.
    fn pruned(&self, session: &dyn Session, source: ParquetSource, filters: &[Expr]) -> Result<ParquetSource> {
        let pruning = self
            .condition
            .iter()
            .chain(filters.iter().filter(|filter| self.can_prune(filter)))
            .cloned();
        let Some(pruning) = conjunction(pruning) else {
            return Ok(source);
        };
        let read = DFSchema::try_from(Arc::clone(&self.read))?;
        Ok(source
            .with_predicate(session.create_physical_expr(pruning, &read)?)
            .with_pushdown_filters(filters.iter().any(is_equality)))
    }

    /// Reads the stored columns at `indices`, and after them the number of each row in its object, from the files that
    /// [`bags::plan`] returned.
    fn read_numbered(
        &self,
        session: &dyn Session,
        indices: &[usize],
        filters: &[Expr],
        files: Vec<FileGroup>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let number = Field::new(ROW_NUMBER, DataType::Int64, false).with_extension_type(RowNumber);
        let table = TableSchemaBuilder::new(Arc::clone(&self.read)).with_virtual_columns(vec![Arc::new(number)]);
        let source = self
            .pruned(session, ParquetSource::new(table.build()), filters)?
            .with_parquet_file_reader_factory(Arc::new(bags::reader(session)?));
        let numbered = indices.iter().copied().chain([self.read.fields().len()]);
        // A limit is never passed on: the first stored rows are not the first to be released.
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(OBJECTS_URL)?, Arc::new(source))
            .with_file_groups(files)
            .with_preserve_order(true)
            .with_projection_indices(Some(numbered.collect()))?
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    /// The names of all stored columns that the permit uses.
    fn columns(&self) -> Result<BTreeSet<&str>> {
        let indices = self.indices(&self.shown)?;
        let field = |index: &usize| Some(self.stored.fields().get(*index)?.name().as_str());
        Ok(indices.iter().filter_map(field).collect())
    }

    fn boxed_scan<'a>(
        &'a self,
        session: &'a dyn Session,
        projection: Option<&'a Vec<usize>>,
        filters: &'a [Expr],
        limit: Option<usize>,
    ) -> BoxFuture<'a, Result<Arc<dyn ExecutionPlan>>> {
        Box::pin(self.scan_rows(session, projection, filters, limit))
    }

    async fn scan_rows(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.shown.len()).collect();
        let wanted = projection.unwrap_or(&all);
        let shown: Option<Vec<Shown>> = wanted.iter().map(|at| self.shown.get(*at).cloned()).collect();
        let shown = shown.ok_or_else(|| DataFusionError::Internal("a column that the view lacks".to_owned()))?;
        let schema = Arc::new(self.schema.project(wanted)?);
        if let Some(order) = self.order.as_ref().filter(|_| !self.objects.is_empty()) {
            return self.scan_in_order(session, shown, filters, schema, order).await;
        }
        let indices = self.indices(&shown)?;
        let input = self.read(session, &indices, filters, limit)?;
        let condition = self.physical_condition(session, &input)?;
        let read: Vec<Shown> = shown.into_iter().filter_map(|shown| shown.within(&indices)).collect();
        let filter = ScopeFilter::new(condition, self.owner_filter(&indices)?, read, schema);
        Ok(Arc::new(Guard::new(input, filter)))
    }

    /// The filter on the owners of rows when only `indices` are read.
    fn owner_filter(&self, indices: &[usize]) -> Result<Option<OwnerFilter>> {
        let Some((index, cohort)) = &self.owners else {
            return Ok(None);
        };
        let index = indices
            .binary_search(index)
            .map_err(|_| DataFusionError::Internal("the owners of rows are not read".to_owned()))?;
        Ok(Some(OwnerFilter::new(index, cohort.clone())))
    }

    async fn scan_in_order(
        &self,
        session: &dyn Session,
        shown: Vec<Shown>,
        filters: &[Expr],
        schema: SchemaRef,
        order: &Order,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let indices = self.indices(&shown)?;
        let plan = bags::plan(session, &self.objects, &self.columns()?, order).await?;
        let input = self.read_numbered(session, &indices, filters, plan.files)?;
        let condition = self.physical_condition(session, &input)?;
        let read: Vec<Shown> = shown.into_iter().filter_map(|shown| shown.within(&indices)).collect();
        let filter = ScopeFilter::new(condition, self.owner_filter(&indices)?, read, Arc::clone(&schema));
        Ok(Arc::new(Shuffle::over(
            input,
            filter,
            schema,
            plan.bags,
            order.clone(),
        )?))
    }

    fn physical_condition(
        &self,
        session: &dyn Session,
        input: &Arc<dyn ExecutionPlan>,
    ) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        let Some(condition) = &self.condition else {
            return Ok(None);
        };
        let schema = DFSchema::try_from(input.schema())?;
        session.create_physical_expr(condition.clone(), &schema).map(Some)
    }

    fn file_groups(&self, most: usize) -> Vec<FileGroup> {
        let size = self.objects.len().div_ceil(most.max(1)).max(1);
        let files = |objects: &[ObjectMeta]| objects.iter().cloned().map(PartitionedFile::new_from_meta).collect();
        self.objects
            .chunks(size)
            .map(|objects| FileGroup::new(files(objects)))
            .collect()
    }
}

/// Whether few rows match: then it is worthwhile to read the other columns only for these rows.
fn is_equality(filter: &Expr) -> bool {
    matches!(filter, Expr::BinaryExpr(comparison) if comparison.op == Operator::Eq)
}

impl TableProvider for View {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let pushed = |filter: &&Expr| {
            if self.can_prune(filter) {
                TableProviderFilterPushDown::Inexact
            } else {
                TableProviderFilterPushDown::Unsupported
            }
        };
        Ok(filters.iter().map(pushed).collect())
    }

    // Not an `async fn`: in a method with conditions on lifetimes the compiler caches no proof that a future is `Send`, and
    // repeats it, for seconds, in each of its steps, because an `Expr` is made of some hundred types.
    fn scan<'life0, 'life1, 'life2, 'life3, 'async_trait>(
        &'life0 self,
        session: &'life1 dyn Session,
        projection: Option<&'life2 Vec<usize>>,
        filters: &'life3 [Expr],
        limit: Option<usize>,
    ) -> BoxFuture<'async_trait, Result<Arc<dyn ExecutionPlan>>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        'life3: 'async_trait,
        Self: 'async_trait,
    {
        self.boxed_scan(session, projection, filters, limit)
    }
}
