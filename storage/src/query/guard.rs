//! The one table of a permit's world.
//!
//! [`View`] shows the permitted columns, already changed, and the permitted rows. Its scan reads Parquet, drops the rows that
//! are not permitted and changes the columns in one physical node, [`Guard`], which no optimiser looks into. A query's own
//! conditions are evaluated above it, on what it lets through: a division by zero or a cast that fails can only tell about
//! permitted rows and changed values. Beneath it they serve at most to skip what cannot hold a row that they ask for: comparisons of a
//! stored column with a literal, which cannot fail.

mod exec;

use std::{collections::BTreeSet, sync::Arc};

use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use concordat_protocol::scope::Scope;
use datafusion::{
    catalog::{Session, TableProvider},
    common::{Column, DFSchema},
    datasource::{
        listing::PartitionedFile,
        object_store::ObjectStoreUrl,
        physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource, parquet::transform_schema_to_view},
        source::DataSourceExec,
    },
    error::{DataFusionError, Result},
    logical_expr::{Expr, Operator, TableProviderFilterPushDown, TableType, utils::conjunction},
    physical_plan::{ExecutionPlan, empty::EmptyExec},
};
use object_store::ObjectMeta;

use super::{QueryError, Source, rows, transform::Change};
use crate::keys::PseudonymKey;
use exec::{Guard, Shown};

/// Under this name the subject is counted; no query can say it, because the prefix is reserved.
pub(super) const CELL_SUBJECT: &str = "__concordat_cell_subject";
/// Where a query's runtime finds the objects of its one dataset.
pub(super) const OBJECTS_URL: &str = "concordat://objects";

/// What a permit shows of one dataset version.
#[derive(Clone, Debug)]
pub(super) struct View {
    stored: SchemaRef,
    /// The stored columns as they are read: text as views into the pages that it was read from, which are cheaper to compare and
    /// to pass on than copies.
    read: SchemaRef,
    shown: Vec<Shown>,
    schema: SchemaRef,
    condition: Option<Expr>,
    objects: Arc<[ObjectMeta]>,
    subject: usize,
}

impl View {
    /// What `scope` shows of `source`.
    ///
    /// # Errors
    /// When a column or filter of the scope does not fit the version; nothing is left out in silence.
    pub(super) fn new(source: &dyn Source, scope: &Scope, key: &PseudonymKey) -> Result<Self, QueryError> {
        let stored = source.schema();
        let position = |name: &str| {
            stored.index_of(name).map_err(|_| QueryError::MissingColumn {
                column: name.to_owned(),
            })
        };
        for name in scope.columns.names() {
            position(name.as_str())?;
        }
        let mut shown = Vec::new();
        for (place, field) in stored.fields().iter().enumerate() {
            let Some((_, transform)) = scope.columns.iter().find(|(name, _)| name.as_str() == field.name()) else {
                continue;
            };
            if let Some(change) = Change::of(transform, field.name(), field.data_type(), key)? {
                shown.push(Shown { place, change });
            }
        }
        let subject = position(source.subject_column())?;
        let condition = rows::condition(&scope.rows, &stored)?;
        let read = Arc::new(transform_schema_to_view(&stored));
        let schema = shown_schema(&read, &shown)?;
        Ok(Self {
            stored,
            read,
            shown,
            schema,
            condition,
            objects: source.objects().into(),
            subject,
        })
    }

    /// The same view with the subject as last column, called [`CELL_SUBJECT`], for counting behind the query's back.
    pub(super) fn with_subject(mut self) -> Result<Self, QueryError> {
        let field = self
            .read
            .fields()
            .get(self.subject)
            .ok_or(QueryError::Engine { step: "planning" })?;
        let subject = Field::new(CELL_SUBJECT, field.data_type().clone(), true);
        let fields = self.schema.fields().iter().cloned().chain([Arc::new(subject)]);
        self.schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        self.shown.push(Shown {
            place: self.subject,
            change: Change::Keep,
        });
        Ok(self)
    }

    /// Whether `filter` compares a column that is shown as stored with a literal; only then may it skip rows and row groups.
    fn can_prune(&self, filter: &Expr) -> bool {
        let Expr::BinaryExpr(comparison) = filter else {
            return false;
        };
        let ordered = matches!(
            comparison.op,
            Operator::Eq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq
        );
        let column = match (comparison.left.as_ref(), comparison.right.as_ref()) {
            (Expr::Column(column), Expr::Literal(..)) | (Expr::Literal(..), Expr::Column(column)) => column,
            _ => return false,
        };
        let shown = self
            .schema
            .index_of(&column.name)
            .ok()
            .and_then(|at| self.shown.get(at));
        let stored = shown.and_then(|shown| self.stored.fields().get(shown.place));
        ordered
            && stored.is_some_and(|field| field.name() == &column.name)
            && shown.is_some_and(|shown| shown.change.is_clear())
    }

    /// The places of the stored columns that a scan reads, in order.
    fn places(&self, shown: &[Shown]) -> Result<Vec<usize>> {
        let mut places: BTreeSet<usize> = shown.iter().map(|shown| shown.place).collect();
        for column in self.condition.iter().flat_map(Expr::column_refs) {
            places.insert(self.stored.index_of(&column.name)?);
        }
        Ok(places.into_iter().collect())
    }

    fn read(
        &self,
        session: &dyn Session,
        places: &[usize],
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if self.objects.is_empty() {
            return Ok(Arc::new(EmptyExec::new(Arc::new(self.read.project(places)?))));
        }
        let mut source = ParquetSource::new(Arc::clone(&self.read));
        let pruning = self
            .condition
            .iter()
            .chain(filters.iter().filter(|filter| self.can_prune(filter)))
            .cloned();
        if let Some(pruning) = conjunction(pruning) {
            let read = DFSchema::try_from(Arc::clone(&self.read))?;
            source = source
                .with_predicate(session.create_physical_expr(pruning, &read)?)
                .with_pushdown_filters(filters.iter().any(is_equality));
        }
        let groups = self.file_groups(session.config().target_partitions());
        let whole = (filters.is_empty() && self.condition.is_none())
            .then_some(limit)
            .flatten();
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(OBJECTS_URL)?, Arc::new(source))
            .with_file_groups(groups)
            .with_limit(whole)
            .with_projection_indices(Some(places.to_vec()))?
            .build();
        Ok(DataSourceExec::from_data_source(config))
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

/// Whether few rows are asked for: then it pays to read the other columns only where they are.
fn is_equality(filter: &Expr) -> bool {
    matches!(filter, Expr::BinaryExpr(comparison) if comparison.op == Operator::Eq)
}

fn shown_schema(read: &Schema, shown: &[Shown]) -> Result<SchemaRef, QueryError> {
    let field = |shown: &Shown| {
        let field = read.fields().get(shown.place)?;
        Some(Field::new(
            field.name(),
            shown.change.data_type(field.data_type()),
            true,
        ))
    };
    let fields: Option<Vec<_>> = shown.iter().map(field).collect();
    Ok(Arc::new(Schema::new(
        fields.ok_or(QueryError::Engine { step: "planning" })?,
    )))
}

#[async_trait]
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

    async fn scan(
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
        let places = self.places(&shown)?;
        let input = self.read(session, &places, filters, limit)?;
        let condition = match &self.condition {
            Some(condition) => {
                Some(session.create_physical_expr(condition.clone(), &DFSchema::try_from(input.schema())?)?)
            }
            None => None,
        };
        let read: Vec<Shown> = shown.into_iter().filter_map(|shown| shown.within(&places)).collect();
        let schema = Arc::new(self.schema.project(wanted)?);
        Ok(Arc::new(Guard::new(input, condition, read, schema)))
    }
}

/// The column of [`CELL_SUBJECT`] in a plan's schema.
pub(super) fn subject_column(schema: &DFSchema) -> Option<Column> {
    schema
        .iter()
        .find(|(_, field)| field.name() == CELL_SUBJECT)
        .map(Column::from)
}
