//! Inner joins with rows of a reference dataset that list codes, such as the codes above or below others.
//!
//! Several of these rows may list one code, so that a row of events occurs several times. Its subject is the same, and so only subjects
//! are counted, unless a condition names one code of a declared hierarchy, which is a set of pairs. For what is counted the join is what
//! `code IN (SELECT …)` is. A group by a column of these rows has one set of codes for each value that a condition names, or for each name of
//! a declared code above those of the column (`ancestors`), and a code may be in several: each value is a filter of the aggregates, and the
//! rows of the values are put together above the cells.

use std::{cmp::Ordering, collections::BTreeSet, sync::Arc};

use concordat_protocol::{collection::Levels, ids::ColumnName, scope::Value};
use datafusion::{
    arrow::datatypes::{Field, Schema},
    common::{Column, TableReference},
    datasource::{empty::EmptyTable, provider_as_source},
    error::DataFusionError,
    logical_expr::{Aggregate, Expr, LogicalPlan, LogicalPlanBuilder, lit},
};

use super::{
    columns::{instance_of, unaliased},
    grouping_sets::united,
    state::{Component, End, Frame, Lowering, Result, refused},
};
use crate::statistic::{
    forms::Form,
    labels::require_own_values,
    paths::{ColumnPath, Row},
    terms::{Condition, KeyList, Quantity, ReferenceTest},
};

/// Rows of a reference dataset that list codes of a column, and what they reach.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) rows: Component,
    /// The column whose codes they list.
    pub(super) of: End,
    /// Their column with the codes.
    pub(super) key: ColumnName,
}

impl Listing {
    /// Whether the codes are those of a column of these rows.
    pub(super) fn is_of(&self, component: &Component) -> bool {
        component.places.contains_key(&self.of.0)
    }

    /// Whether one of these instances is among its rows, or reached from them.
    pub(super) fn has_one(&self, instances: &BTreeSet<usize>) -> bool {
        instances.iter().any(|id| self.rows.places.contains_key(id))
    }
}

/// The values of a group by a column of rows that list codes.
#[derive(Debug)]
pub(super) struct ListedValues {
    /// The position of the group among all groups.
    pub(super) at: usize,
    /// Each value, and when the code of a row is listed with it.
    pub(super) values: Vec<(Value, Condition)>,
    /// Whether each code is listed at most once with a value.
    pub(super) is_once: bool,
}

impl Lowering<'_> {
    /// The listings among the datasets that are left, from which they are removed.
    pub(super) fn listings(
        &self,
        left: &mut BTreeSet<usize>,
        placed: &[&Component],
        edges: &[(End, End)],
    ) -> Vec<Listing> {
        let mut found = Vec::new();
        for (of, key) in edges.iter().flat_map(|(a, b)| [(a, b), (b, a)]) {
            let is_placed = placed.iter().any(|component| component.places.contains_key(&of.0));
            if is_placed && left.contains(&key.0) && self.lists_codes(of, key) {
                found.push(Listing {
                    rows: self.component(key.0, left, edges),
                    of: of.clone(),
                    key: key.1.clone(),
                });
            }
        }
        found
    }

    fn lists_codes(&self, of: &End, key: &End) -> bool {
        let (Some(from), Some(dataset)) = (self.rows(of.0), self.rows(key.0)) else {
            return false;
        };
        self.known.is_reference(dataset) && self.lists((from, &of.1), dataset, &key.1)
    }

    /// Whether the code of a row is listed, with these conditions on the rows that list it.
    pub(super) fn listed_by(
        &mut self,
        listing: &Listing,
        conditions: &[&Expr],
        frame: &Frame<'_>,
    ) -> Result<Condition> {
        let rows = self.rows_that_list(listing, conditions)?;
        self.is_listed(listing, rows, frame)
    }

    fn rows_that_list(&mut self, listing: &Listing, conditions: &[&Expr]) -> Result<Condition> {
        let frame = Frame {
            this: &listing.rows,
            outer: None,
        };
        let mut parts = self.reached(&listing.rows, &BTreeSet::new())?;
        for part in conditions {
            parts.push(self.condition(part, &frame)?);
        }
        Ok(self.known.where_true(Condition::all(parts)))
    }

    /// Whether the code of a row is listed by these rows.
    pub(super) fn is_listed(&self, listing: &Listing, rows: Condition, frame: &Frame<'_>) -> Result<Condition> {
        let dataset = listing.rows.root.and_then(|root| self.rows(root)).cloned();
        let (id, name) = &listing.of;
        let column = Column::new(Some(TableReference::bare(format!("#{id}"))), name.to_string());
        let Quantity::Column(of) = self.quantity_of(&column, frame)? else {
            return Err(refused(Form::Join));
        };
        let list = Box::new(KeyList {
            dataset: dataset.ok_or_else(|| refused(Form::Join))?,
            key: listing.key.clone(),
            rows,
        });
        Ok(Condition::Listed { of, list, is_in: true })
    }

    /// The values of a group by a column of one of these listings of measured rows, with the number of the listing; `None` without such a
    /// group. `conditions` are those on the rows of each listing.
    pub(super) fn listed_values(
        &mut self,
        (listings, conditions): (&[Listing], &[Vec<&Expr>]),
        groups: &[Expr],
        frame: &Frame<'_>,
    ) -> Result<Option<(usize, ListedValues)>> {
        let mut found = None;
        for (at, group) in groups.iter().enumerate() {
            let Expr::Column(column) = unaliased(group) else {
                continue;
            };
            let instances: BTreeSet<usize> = instance_of(column).into_iter().collect();
            let number = listings.iter().position(|listing| listing.has_one(&instances));
            let Some((number, listing)) = number.and_then(|number| Some((number, listings.get(number)?))) else {
                continue;
            };
            if found.is_some() || !listing.is_of(frame.this) {
                return Err(refused(Form::ListedGroup));
            }
            let of_rows = conditions.get(number).map_or(&[][..], Vec::as_slice);
            let (values, is_declared_once) = self.values_of(listing, of_rows, column, frame)?;
            require_own_values(values.iter().map(|(value, _)| value))?;
            let is_side = |side: ColumnName| {
                let of_rows = instance_of(column) == listing.rows.root;
                of_rows && side.as_str() == column.name
            };
            let is_once = is_declared_once || self.other_side(listing).is_some_and(is_side);
            found = Some((number, ListedValues { at, values, is_once }));
        }
        Ok(found)
    }

    /// Whether each code is listed at most once: by rows of a declared hierarchy, which is a set of pairs, with one code on the other side.
    pub(super) fn lists_once(&mut self, listing: &Listing, conditions: &[&Expr]) -> Result<bool> {
        let rows = self.rows_that_list(listing, conditions)?;
        let dataset = listing.rows.root.and_then(|root| self.rows(root));
        let side = dataset.zip(self.other_side(listing));
        let side = side.and_then(|(dataset, side)| ColumnPath::new(Row::This, dataset, Vec::new(), side));
        let is_one = |part: &Condition| {
            let values = side.as_ref().and_then(|side| named_values(part, side));
            values.is_some_and(|values| values.len() == 1)
        };
        Ok(rows.conjuncts().iter().any(is_one))
    }

    /// The column of a declared hierarchy beside that of the codes which its rows list; `None` for rows of another dataset.
    fn other_side(&self, listing: &Listing) -> Option<ColumnName> {
        let (id, name) = &listing.of;
        let levels = &self.known.column(self.rows(*id)?, name)?.levels;
        let Levels::Codes(codes) = levels else { return None };
        let dataset = self.rows(listing.rows.root?)?;
        let hierarchy = codes.hierarchy().filter(|known| known.dataset == *dataset)?;
        if hierarchy.descendant == listing.key {
            Some(hierarchy.ancestor.clone())
        } else {
            (hierarchy.ancestor == listing.key).then(|| hierarchy.descendant.clone())
        }
    }

    /// Each value that a condition on the rows names, and when a code is listed with it; without such a condition, those that are declared, and
    /// whether each of these lists a code at most once.
    fn values_of(
        &mut self,
        listing: &Listing,
        conditions: &[&Expr],
        column: &Column,
        frame: &Frame<'_>,
    ) -> Result<(Vec<(Value, Condition)>, bool)> {
        let rows = self.rows_that_list(listing, conditions)?;
        let of_rows = Frame {
            this: &listing.rows,
            outer: None,
        };
        let Quantity::Column(path) = self.quantity_of(column, &of_rows)? else {
            return Err(refused(Form::ListedGroup));
        };
        let mut names = rows.conjuncts().iter().filter_map(|part| named_values(part, &path));
        let Some(values) = names.next().map(<[Value]>::to_vec) else {
            return self.groups_above(listing, (&rows, &path), frame);
        };
        let others: Vec<Condition> = rows
            .conjuncts()
            .iter()
            .filter(|part| named_values(part, &path) != Some(values.as_slice()))
            .cloned()
            .collect();
        let of_value = |value: Value| -> Result<(Value, Condition)> {
            let is_value = Condition::Reference {
                of: path.clone(),
                test: ReferenceTest::OneOf(vec![value.clone()]),
                negated: false,
            };
            let with_value = Condition::all(others.iter().cloned().chain([is_value]).collect());
            let listed = self.is_listed(listing, self.known.where_true(with_value), frame)?;
            Ok((value, listed))
        };
        let found = values.into_iter().map(of_value).collect::<Result<Vec<_>>>()?;
        Ok((found, false))
    }
}

/// The values that a condition requires a column to have.
pub(super) fn named_values<'c>(condition: &'c Condition, path: &ColumnPath) -> Option<&'c [Value]> {
    match condition {
        Condition::Reference {
            of,
            test: ReferenceTest::OneOf(values),
            negated: false,
        } if of == path => Some(values),
        Condition::Reference { .. }
        | Condition::All
        | Condition::Never
        | Condition::Test(..)
        | Condition::Events { .. }
        | Condition::Listed { .. }
        | Condition::OtherRow { .. }
        | Condition::And(_)
        | Condition::Or(_) => None,
    }
}

/// The rows of each value one after the other, over a table of cells with the other groups, and the aggregates of each value.
pub(super) fn listed_table(
    aggregate: &Aggregate,
    name: &str,
    listed: &ListedValues,
) -> std::result::Result<LogicalPlan, DataFusionError> {
    let types: Vec<_> = aggregate
        .schema
        .fields()
        .iter()
        .map(|field| field.data_type())
        .collect();
    let groups = types.len().saturating_sub(aggregate.aggr_expr.len());
    let others = types.iter().take(groups).enumerate().filter(|(at, _)| *at != listed.at);
    let of_values = types.iter().skip(groups).cycle();
    let figures = aggregate.aggr_expr.len().saturating_mul(listed.values.len());
    let all = others.map(|(_, of)| of).chain(of_values.take(figures));
    let fields = all
        .enumerate()
        .map(|(at, of)| Field::new(format!("c{at}"), (*of).clone(), true));
    let table = EmptyTable::new(Arc::new(Schema::new(fields.collect::<Vec<_>>())));
    let source = provider_as_source(Arc::new(table));
    let mut tables = Vec::new();
    for (number, (value, _)) in listed.values.iter().enumerate() {
        let first = groups
            .saturating_sub(1)
            .saturating_add(aggregate.aggr_expr.len().saturating_mul(number));
        let mut shown = Vec::new();
        for at in 0..groups {
            let group = match at.cmp(&listed.at) {
                Ordering::Less => cell(name, at),
                Ordering::Equal => literal(value)?,
                Ordering::Greater => cell(name, at.saturating_sub(1)),
            };
            shown.push(group.alias(format!("g{at}")));
        }
        for at in 0..aggregate.aggr_expr.len() {
            shown.push(cell(name, first.saturating_add(at)).alias(format!("a{at}")));
        }
        let scan = LogicalPlanBuilder::scan(TableReference::bare(name), Arc::clone(&source), None)?;
        tables.push(scan.project(shown)?.build()?);
    }
    united(aggregate, tables)
}

/// A column of a table of cells.
fn cell(table: &str, at: usize) -> Expr {
    Expr::Column(Column::new(Some(TableReference::bare(table)), format!("c{at}")))
}

/// A value that a condition on a reference dataset can name.
fn literal(value: &Value) -> std::result::Result<Expr, DataFusionError> {
    match value {
        Value::Int(number) => Ok(lit(*number)),
        Value::Text(text) => Ok(lit(text.clone())),
        Value::Bool(_) | Value::Float(_) | Value::Date(_) => {
            Err(DataFusionError::Plan("a value that no condition names".to_owned()))
        }
    }
}
