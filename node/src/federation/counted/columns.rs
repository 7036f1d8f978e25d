//! The columns of a grouping, and the table of cells in its place.

use std::sync::Arc;

use concordat_engine::Grouping;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::Column;
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::provider_as_source;
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, LogicalPlanBuilder};

use crate::federation::counted::at_member::is_institution;

/// A column of a grouping.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// The institution.
    Institution,
    /// A column of the grouping without it.
    Column(usize),
}

/// Where each column of a grouping is without the institution.
pub(super) fn positions(grouping: &Aggregate) -> Vec<Position> {
    let mut next = 0_usize;
    let groups = grouping.schema.fields().len().saturating_sub(grouping.aggr_expr.len());
    let mut seen: Vec<&Expr> = Vec::new();
    for group in &grouping.group_expr {
        if !seen.contains(&group) {
            seen.push(group);
        }
    }
    let of_groups = seen.into_iter().take(groups).map(|group| {
        if is_institution(group) {
            return Position::Institution;
        }
        let at = next;
        next = next.saturating_add(1);
        Position::Column(at)
    });
    let mut positions: Vec<Position> = of_groups.collect();
    let aggregates = 0..grouping.aggr_expr.len();
    positions.extend(aggregates.map(|at| Position::Column(next.saturating_add(at))));
    positions
}

/// The columns `c0`, `c1`, … of the table of cells.
pub(super) fn table_schema(grouping: &Grouping, positions: &[Position]) -> SchemaRef {
    let cells = grouping.cells().schema();
    let fields = positions.iter().enumerate().map(|(at, position)| {
        let data_type = match position {
            Position::Institution => DataType::Utf8,
            Position::Column(of) => cells
                .fields()
                .get(*of)
                .map_or(DataType::Null, |field| field.data_type().clone()),
        };
        Field::new(format!("c{at}"), data_type, true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The table `name`, with the names of the columns of the grouping.
pub(super) fn in_place(grouping: &Aggregate, name: &str, schema: &SchemaRef) -> PlanResult<LogicalPlan> {
    let table = provider_as_source(Arc::new(EmptyTable::new(Arc::clone(schema))));
    let scan = LogicalPlanBuilder::scan(name, table, None)?;
    let columns = grouping.schema.iter().enumerate().map(|(at, (qualifier, field))| {
        let column = Expr::Column(Column::new_unqualified(format!("c{at}")));
        column.alias_qualified(qualifier.cloned(), field.name())
    });
    scan.project(columns.collect::<Vec<_>>())?.build()
}
