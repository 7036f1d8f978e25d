//! The table of the cells of a grouping below tier `records`, from the answers of members.
//!
//! A holder below `records` answers with all cells of the grid, which follows from the declarations that the query was planned on. Any
//! other answer was computed on other declarations: then nothing of it is used, and the query is planned again. A member with a grant for
//! records has no row for a cell without rows.
//!
//! A row of the table is of the same members in all of its figures: what is computed of several figures of a row, by the query or by its
//! reader, would otherwise be that of different people, as a rate above 1. A member is in a row if it withholds none of the figures that
//! another member has.

use std::collections::BTreeMap;
use std::sync::Arc;

use concordat_engine::QueryError;
use concordat_protocol::scope::Tier;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::compute::{cast, concat};
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::{DataFusionError, Result as PlanResult};

use super::error::FederationError;
use super::merge::{Combined, Number};
use super::source::Target;

/// How the table of the cells is made.
#[derive(Clone, Debug)]
pub(super) struct CellTable {
    /// The labels of each group in each cell. Two cells may have the same ones.
    pub(super) labels: Vec<ArrayRef>,
    /// How many cells there are.
    pub(super) cells: usize,
    /// Whether each part is a number of rows or subjects.
    pub(super) counts: Vec<bool>,
    /// The columns of the table.
    pub(super) outputs: Vec<CellOutput>,
    /// How each member answers, in the order of the answers.
    pub(super) members: Vec<MemberGrid>,
}

/// The cells of a member's answer.
#[derive(Clone, Debug)]
pub(super) struct MemberGrid {
    /// The labels of each group in each cell of the member's grid, as its answer has them. Two cells may have the same ones.
    pub(super) labels: Vec<ArrayRef>,
    /// For each part that it computes, the number of its column in its answer.
    pub(super) columns: Vec<usize>,
    /// For each cell of its grid the cell of the table with the same rows, if there is one.
    pub(super) cells: Vec<Option<usize>>,
}

/// A column of the table.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum CellOutput {
    /// The labels of this group.
    Group(usize),
    /// The institution, of which each has cells of its own.
    Institution,
    /// An aggregate.
    Aggregate(Combined),
}

/// A cell, as its labels identify it.
type Key = Vec<Option<String>>;

/// The parts of one member: one row for each cell of the grid.
type Figures = Vec<Vec<Figure>>;
/// A figure; `None` if it is withheld or missing.
type Figure = Option<Number>;

impl CellTable {
    /// Whether each institution has cells of its own: then none has parts of several.
    pub(super) fn is_by_institution(&self) -> bool {
        self.outputs
            .iter()
            .any(|output| matches!(output, CellOutput::Institution))
    }

    /// What the query calls the groups of the answers, of `names` for the columns of the table.
    pub(super) fn names_of_groups(&self, names: &[String]) -> Vec<String> {
        let name = |group: usize| {
            let is_its = |output: &CellOutput| matches!(output, CellOutput::Group(of) if *of == group);
            let at = self.outputs.iter().position(is_its);
            let name = at.and_then(|at| names.get(at)).cloned();
            name.unwrap_or_else(|| format!("g{group}"))
        };
        (0..self.labels.len()).map(name).collect()
    }

    /// The table in the columns of `schema`, and the parts that each member has answered, for remarks: its rows are the cells, in the
    /// columns `g0`, `g1`, … and `a0`, `a1`, … in the order of the parts. `answers` are those of members, and `names` what the query calls
    /// the columns.
    ///
    /// # Errors
    /// [`FederationError::ColumnsChanged`] if an answer has other cells than the grid, and [`FederationError::Query`] for a sum beyond 64
    /// bits.
    pub(super) fn merged(
        &self,
        (schema, names): (&SchemaRef, &[String]),
        answers: &[(&Target, Vec<RecordBatch>)],
    ) -> Result<(RecordBatch, Vec<RecordBatch>), FederationError> {
        let mut members: Vec<(&Target, Figures)> = Vec::new();
        for ((target, batches), grid) in answers.iter().zip(&self.members) {
            members.push((*target, self.of_member(target, batches, grid)?));
        }
        let table = self.table((schema, names), &members)?;
        let answered = members.iter().map(|(_, figures)| self.answered(figures));
        Ok((table, answered.collect::<PlanResult<Vec<RecordBatch>>>()?))
    }

    /// The parts of an answer. Below `records` it has each cell of the member's grid once; one of records has no row for a cell without
    /// rows, and its numbers of zero are no parts: beside one that another member withholds, zero would be shown as the number of all.
    fn of_member(
        &self,
        target: &Target,
        batches: &[RecordBatch],
        member: &MemberGrid,
    ) -> Result<Figures, FederationError> {
        let is_of_records = target.tier == Tier::Records;
        let grid = Grid::of(&member.labels, member.cells.len())?;
        let mut found: Vec<Option<Vec<Figure>>> = vec![None; member.cells.len()];
        let mut seen: BTreeMap<Key, usize> = BTreeMap::new();
        for (key, parts) in self.rows(target, batches, member)? {
            let before = seen.entry(key.clone()).or_default();
            let cell = grid.cell(&key, *before).and_then(|at| found.get_mut(at));
            *before = before.saturating_add(usize::from(!is_of_records));
            let counted = parts.into_iter().zip(&self.counts);
            let is_part = |part: &Number, is_count: bool| !(is_of_records && is_count && *part == Number::Whole(0));
            let parts = counted.map(|(part, is_count)| part.filter(|part| is_part(part, *is_count)));
            *cell.ok_or_else(|| changed(target))? = Some(parts.collect());
        }
        let none = || vec![None; self.counts.len()];
        let mut figures: Figures = vec![none(); self.cells];
        for (parts, cell) in found.into_iter().zip(&member.cells) {
            let parts = match parts {
                Some(parts) => parts,
                None if is_of_records => none(),
                None => return Err(changed(target)),
            };
            if let Some(cell) = cell.and_then(|at| figures.get_mut(at)) {
                *cell = parts;
            }
        }
        Ok(figures)
    }

    /// The rows of an answer: their labels in the types of the grid, and the parts.
    fn rows(
        &self,
        target: &Target,
        batches: &[RecordBatch],
        member: &MemberGrid,
    ) -> Result<Vec<(Key, Vec<Figure>)>, FederationError> {
        let mut rows = Vec::new();
        for batch in batches {
            let column = |name: String| batch.column_by_name(&name).ok_or_else(|| changed(target));
            let groups = member.labels.iter().enumerate().map(|(at, label)| {
                let group = column(format!("g{at}"))?;
                cast(group, label.data_type()).map_err(|_| changed(target))
            });
            let groups = groups.collect::<Result<Vec<ArrayRef>, FederationError>>()?;
            let parts = member.columns.iter().map(|at| {
                let part = column(format!("a{at}"))?;
                numbers(part).ok_or_else(|| changed(target))
            });
            let parts = parts.collect::<Result<Vec<Vec<Option<Number>>>, FederationError>>()?;
            for (row, key) in keys(&groups, batch.num_rows())?.into_iter().enumerate() {
                let of_row = parts.iter().map(|part| part.get(row).copied().flatten());
                rows.push((key, of_row.collect()));
            }
        }
        Ok(rows)
    }

    /// The table in the columns of `schema`.
    fn table(
        &self,
        (schema, names): (&SchemaRef, &[String]),
        members: &[(&Target, Figures)],
    ) -> Result<RecordBatch, FederationError> {
        let by_institution = self.is_by_institution();
        let parts_of_table = if by_institution { members.len() } else { 1 };
        let mut columns: Vec<ArrayRef> = Vec::new();
        for ((output, field), name) in self.outputs.iter().zip(schema.fields()).zip(names) {
            let column: ArrayRef = match output {
                CellOutput::Group(group) => {
                    let labels = self.labels.get(*group).map(AsRef::as_ref);
                    let labels: Vec<&dyn Array> = labels.into_iter().cycle().take(parts_of_table).collect();
                    concat(&labels).map_err(|error| FederationError::from(DataFusionError::from(error)))?
                }
                CellOutput::Institution => {
                    let names = members.iter().flat_map(|(target, _)| {
                        let name = target.dataset.institution.as_str();
                        std::iter::repeat_n(name, self.cells)
                    });
                    Arc::new(StringArray::from(names.collect::<Vec<&str>>()))
                }
                CellOutput::Aggregate(combined) => {
                    let values = self.combined(combined, members, by_institution);
                    array(&values, field.data_type(), name)?
                }
            };
            columns.push(column);
        }
        let table = RecordBatch::try_new(Arc::clone(schema), columns);
        table.map_err(|error| FederationError::from(DataFusionError::from(error)))
    }

    /// An aggregate in each cell of the table.
    fn combined(
        &self,
        combined: &Combined,
        members: &[(&Target, Figures)],
        by_institution: bool,
    ) -> Vec<Option<Number>> {
        let cells = 0..self.cells;
        if by_institution {
            let of_member = |member: &(&Target, Figures), cell: usize| {
                let parts = member.1.get(cell).map(Vec::as_slice);
                combined.over(parts.as_slice())
            };
            let each = members.iter();
            return each
                .flat_map(|member| cells.clone().map(move |cell| of_member(member, cell)))
                .collect();
        }
        cells.map(|cell| combined.over(&self.in_row(members, cell))).collect()
    }

    /// The parts of those members that are in a row.
    fn in_row<'m>(&self, members: &'m [(&Target, Figures)], cell: usize) -> Vec<&'m [Figure]> {
        let aggregates = self.outputs.iter().filter_map(|output| match output {
            CellOutput::Aggregate(combined) => Some(combined),
            CellOutput::Group(_) | CellOutput::Institution => None,
        });
        let mut all: Vec<(bool, &[Figure])> = Vec::new();
        for (target, figures) in members {
            if let Some(parts) = figures.get(cell) {
                all.push((target.tier < Tier::Records, parts.as_slice()));
            }
        }
        // What no member has is missing anyway.
        let shown: Vec<&Combined> = aggregates
            .filter(|combined| all.iter().any(|(_, parts)| combined.is_in(parts)))
            .collect();
        let is_in = |withholds: bool, parts: &[Figure]| {
            let has = |combined: &&Combined| combined.is_in(parts) || combined.is_of_none(parts);
            !withholds || shown.iter().all(has)
        };
        let of_row = all.into_iter().filter(|(withholds, parts)| is_in(*withholds, parts));
        of_row.map(|(_, parts)| parts).collect()
    }

    /// The parts of a member.
    fn answered(&self, figures: &Figures) -> PlanResult<RecordBatch> {
        let mut fields: Vec<Field> = Vec::new();
        let mut columns: Vec<ArrayRef> = Vec::new();
        for (at, labels) in self.labels.iter().enumerate() {
            fields.push(Field::new(format!("g{at}"), labels.data_type().clone(), true));
            columns.push(Arc::clone(labels));
        }
        for (at, is_count) in self.counts.iter().enumerate() {
            let values = figures.iter().map(|parts| parts.get(at).copied().flatten());
            let column: ArrayRef = if *is_count {
                let whole = values.map(|value| value.and_then(whole));
                Arc::new(whole.collect::<Int64Array>())
            } else {
                let real = values.map(|value| value.map(Number::real));
                Arc::new(real.collect::<Float64Array>())
            };
            fields.push(Field::new(format!("a{at}"), column.data_type().clone(), true));
            columns.push(column);
        }
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        Ok(RecordBatch::try_new(schema, columns)?)
    }
}

/// The cells by their labels.
struct Grid(BTreeMap<Key, Vec<usize>>);

impl Grid {
    fn of(labels: &[ArrayRef], cells: usize) -> PlanResult<Self> {
        let mut grid: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
        for (cell, key) in keys(labels, cells)?.into_iter().enumerate() {
            grid.entry(key).or_default().push(cell);
        }
        Ok(Self(grid))
    }

    /// The cell with these labels after `before` others with the same ones, which come in the order of the grid.
    fn cell(&self, key: &Key, before: usize) -> Option<usize> {
        self.0.get(key)?.get(before).copied()
    }
}

/// The error for an answer with other cells than the query was planned on.
fn changed(target: &Target) -> FederationError {
    FederationError::ColumnsChanged {
        dataset: target.dataset.clone(),
    }
}

/// The labels of each row as text; a missing one is none.
fn keys(labels: &[ArrayRef], rows: usize) -> PlanResult<Vec<Key>> {
    let options = FormatOptions::default();
    let formatters = labels
        .iter()
        .map(|labels| ArrayFormatter::try_new(labels.as_ref(), &options));
    let formatters = formatters.collect::<std::result::Result<Vec<_>, _>>()?;
    let key = |row: usize| {
        let labels = labels.iter().zip(&formatters);
        labels
            .map(|(labels, formatter)| labels.is_valid(row).then(|| formatter.value(row).to_string()))
            .collect()
    };
    Ok((0..rows).map(key).collect())
}

/// The numbers of a column; `None` if it has others than numbers.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other types are converted, if they are numbers"
)]
fn numbers(column: &ArrayRef) -> Option<Vec<Option<Number>>> {
    match column.data_type() {
        DataType::Int64 => {
            let values = column.as_primitive::<Int64Type>().iter();
            Some(
                values
                    .map(|value| value.map(|value| Number::Whole(value.into())))
                    .collect(),
            )
        }
        kind if kind.is_numeric() => {
            let values = cast(column, &DataType::Float64).ok()?;
            let values = values.as_primitive::<Float64Type>().iter();
            Some(values.map(|value| value.map(Number::Real)).collect())
        }
        _ => None,
    }
}

/// A whole number that fits in 64 bits.
fn whole(value: Number) -> Option<i64> {
    match value {
        Number::Whole(number) => i64::try_from(number).ok(),
        Number::Real(_) => None,
    }
}

/// The values of an aggregate in the type of its column; whole numbers stay whole.
fn array(values: &[Option<Number>], to: &DataType, name: &str) -> Result<ArrayRef, FederationError> {
    let are_whole = values.iter().flatten().all(|value| matches!(value, Number::Whole(_)));
    let array: ArrayRef = if are_whole {
        let whole = values.iter().map(|value| match value {
            Some(value) => whole(*value).map(Some).ok_or_else(|| too_large(name)),
            None => Ok(None),
        });
        Arc::new(whole.collect::<Result<Int64Array, FederationError>>()?)
    } else {
        let real = values.iter().map(|value| value.map(Number::real));
        Arc::new(real.collect::<Float64Array>())
    };
    cast(&array, to).map_err(|error| FederationError::from(DataFusionError::from(error)))
}

fn too_large(name: &str) -> FederationError {
    FederationError::planning(QueryError::SumTooLarge {
        operand: name.to_owned(),
    })
}

#[cfg(test)]
mod tests;
