//! What a query computes from its aggregates: a plan over tables of released cells, and nothing else.
//!
//! Each grouping has a table `cells_1`, `cells_2`, … with a row for each cell of the grid. Atoms of edges, and listed values with names,
//! are shown by their labels, which are text also where the column has numbers or dates. That of running sums has a row for each class of the
//! ordered group, in each cell.
//! What depends on several of these rows was refused when the query was lowered, unless the query restricts itself to cells that are shown.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, UInt64Array},
    compute::{cast_with_options, take},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use concordat_disclosure::{Released, ReleasedColumn, Value as Number};
use concordat_protocol::{collection::Levels, ids::DatasetRef};
use datafusion::{
    common::{
        TableReference,
        format::DEFAULT_CAST_OPTIONS,
        tree_node::{Transformed, TreeNodeRecursion},
    },
    datasource::{MemTable, provider_as_source},
    error::DataFusionError,
    execution::{SendableRecordBatchStream, context::SessionState},
    logical_expr::{LogicalPlan, LogicalPlanBuilder},
    physical_plan::execute_stream,
};

use super::grid::malformed;
use crate::{
    QueryError,
    cast_rule::Casts,
    error_capture::CapturedError,
    executable::executable,
    meaning::checked,
    statistic::{
        Block, CellColumn, Form, Group, KnownCollection, Lowered, NotCountable, RunningRows, Statistic,
        label_texts as texts,
    },
};

/// The tables of the groupings of a query, from what was released of each.
///
/// # Errors
/// [`QueryError::Engine`] if they do not have the form of the groupings, and [`QueryError::Invalid`] for labels that are not known here.
pub(crate) fn cells_tables(
    lowered: &Lowered,
    known: &KnownCollection,
    released: &[Released],
) -> Result<Vec<RecordBatch>, QueryError> {
    if lowered.blocks.len() != released.len() {
        return Err(malformed());
    }
    let planned = planned_tables(&lowered.above)?;
    let blocks = lowered.blocks.iter().zip(released).zip(1_usize..);
    blocks
        .map(|((block, released), number)| {
            let schema = planned.get(&format!("cells_{number}")).ok_or(malformed())?;
            table(block, known, released, schema)
        })
        .collect()
}

/// The answer: what the plan above the groupings computes of these tables.
///
/// # Errors
/// [`QueryError::Invalid`] where the query computes with labels, which are text also of a column with numbers, and the errors of planning.
pub(crate) async fn computed_above(
    state: &SessionState,
    lowered: &Lowered,
    tables: &[RecordBatch],
    dataset: &DatasetRef,
) -> Result<SendableRecordBatchStream, QueryError> {
    let plan = over_tables(lowered.above.clone(), tables);
    let plan = plan.map_err(|_| label_operand())?;
    let plan = checked(plan).map_err(|error| QueryError::planning(error, dataset))?;
    let plan = executable(state, plan, Casts::Refused, dataset)?;
    let optimized = state.optimize(&plan).map_err(planning)?;
    let physical = state.create_physical_plan(&optimized).await.map_err(planning)?;
    execute_stream(physical, state.task_ctx()).map_err(|error| QueryError::running(&error, &CapturedError::default()))
}

/// The columns of the tables of cells, as they were planned.
fn planned_tables(plan: &LogicalPlan) -> Result<BTreeMap<String, SchemaRef>, QueryError> {
    let mut tables = BTreeMap::new();
    let visited = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            tables.insert(scan.table_name.table().to_owned(), scan.source.schema());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    visited.map_err(planning)?;
    Ok(tables)
}

/// The plan over tables with contents, whose columns may have other types than planned.
fn over_tables(plan: LogicalPlan, tables: &[RecordBatch]) -> Result<LogicalPlan, DataFusionError> {
    let named: BTreeMap<String, &RecordBatch> = (1..)
        .map(|number: usize| format!("cells_{number}"))
        .zip(tables)
        .collect();
    let over = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::TableScan(scan) = node else {
            return node.recompute_schema().map(Transformed::yes);
        };
        let table = named.get(scan.table_name.table());
        let table = table.ok_or_else(|| DataFusionError::Plan("a table that is not one of cells".to_owned()))?;
        let table = MemTable::try_new(table.schema(), vec![vec![RecordBatch::clone(table)]])?;
        let name = TableReference::bare(scan.table_name.table());
        let read = LogicalPlanBuilder::scan(name, provider_as_source(Arc::new(table)), None)?;
        read.build().map(Transformed::yes)
    });
    Ok(over?.data)
}

/// The text of the label of a group in each cell, also where the column of the answer has values of another type.
///
/// # Errors
/// [`QueryError::Invalid`] for labels that are not known here.
pub(crate) fn label_texts(
    statistic: &Statistic,
    group: usize,
    known: &KnownCollection,
) -> Result<StringArray, QueryError> {
    let sizes: Vec<usize> = statistic.sizes(known).collect();
    let labels = labels(statistic.groups().get(group).ok_or(malformed())?, known);
    let classes = (0..statistic.grid(known)).map(|cell| class_of(cell, group, &sizes));
    let texts = classes.map(|class| labels.texts.get(class).cloned().flatten());
    Ok(StringArray::from_iter(texts))
}

fn table(
    block: &Block,
    known: &KnownCollection,
    released: &Released,
    planned: &SchemaRef,
) -> Result<RecordBatch, QueryError> {
    let cells = block.statistic.grid(known);
    let running = block.running.as_ref();
    // The label of the class, and the sums.
    let of_running = running.map_or(0, |running| running.cells.len().saturating_add(1));
    let columns = block.columns.len().saturating_add(of_running);
    if released.columns().len() != block.statistic.cells().len() || planned.fields().len() != columns {
        return Err(malformed());
    }
    let mut fields: Vec<Field> = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for (column, field) in block.columns.iter().zip(planned.fields()) {
        let array = match column {
            CellColumn::Group(at) => {
                let group = block.statistic.groups().get(*at).ok_or(malformed())?;
                let texts: ArrayRef = Arc::new(label_texts(&block.statistic, *at, known)?);
                if labels(group, known).are_atoms {
                    texts
                } else {
                    converted(&texts, field.data_type())?
                }
            }
            CellColumn::Cell(at) => {
                let column = released.columns().get(*at).ok_or(malformed())?;
                converted(&numbers(column.values()), field.data_type())?
            }
            CellColumn::Scaled { of, by, plus } => {
                let column = released.columns().get(*of).ok_or(malformed())?;
                converted(&scaled(column, (by.get(), plus.get())), field.data_type())?
            }
            CellColumn::Quotient { of, by } => {
                let columns = released.columns().get(*of).zip(released.columns().get(*by));
                let (of, by) = columns.ok_or(malformed())?;
                converted(&quotients(of, by), field.data_type())?
            }
        };
        if array.len() != cells {
            return Err(malformed());
        }
        fields.push(Field::new(field.name(), array.data_type().clone(), true));
        arrays.push(array);
    }
    if let Some(running) = running {
        let labels = labels(&running.group, known);
        arrays = repeated(&arrays, cells, labels.texts.len())?;
        let planned: Vec<&Field> = planned
            .fields()
            .iter()
            .skip(arrays.len())
            .map(|field| &**field)
            .collect();
        for (array, field) in of_classes(running, &labels, (released, cells), &planned)?
            .into_iter()
            .zip(planned)
        {
            fields.push(Field::new(field.name(), array.data_type().clone(), true));
            arrays.push(array);
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(|_| malformed())
}

/// The columns with the value of each cell once for each class.
fn repeated(columns: &[ArrayRef], cells: usize, classes: usize) -> Result<Vec<ArrayRef>, QueryError> {
    let positions = (0..cells).flat_map(|cell| std::iter::repeat_n(u64::try_from(cell).unwrap_or(u64::MAX), classes));
    let positions: UInt64Array = positions.collect();
    let taken = columns.iter().map(|column| take(column, &positions, None));
    taken.collect::<Result<_, _>>().map_err(|_| malformed())
}

/// The label of each class in each cell, and then the running sums.
fn of_classes(
    running: &RunningRows,
    labels: &Labels,
    (released, cells): (&Released, usize),
    planned: &[&Field],
) -> Result<Vec<ArrayRef>, QueryError> {
    let Some((label, sums)) = planned.split_first() else {
        return Err(malformed());
    };
    let texts = (0..cells).flat_map(|_| labels.texts.iter().cloned());
    let texts: ArrayRef = Arc::new(texts.collect::<StringArray>());
    let mut arrays = vec![if labels.are_atoms {
        texts
    } else {
        converted(&texts, label.data_type())?
    }];
    for (of_class, field) in running.cells.iter().zip(sums) {
        let known = of_class.iter().flatten().all(|at| *at < released.columns().len());
        if of_class.len() != labels.texts.len() || !known {
            return Err(malformed());
        }
        let value = |at: Option<usize>, cell: usize| *released.columns().get(at?)?.values().get(cell)?;
        let values = (0..cells).flat_map(|cell| of_class.iter().map(move |at| value(*at, cell)));
        let values: Vec<Option<Number>> = values.collect();
        arrays.push(converted(&numbers(&values), field.data_type())?);
    }
    Ok(arrays)
}

/// The class of a group in a cell: the last group varies fastest.
fn class_of(cell: usize, group: usize, sizes: &[usize]) -> usize {
    let after = sizes.iter().skip(group.saturating_add(1));
    let step = after.fold(1_usize, |step, size| step.saturating_mul(*size));
    let size = sizes.get(group).copied().unwrap_or(1);
    cell.checked_div(step)
        .and_then(|cell| cell.checked_rem(size))
        .unwrap_or(0)
}

/// The labels of the classes of a group, in order.
struct Labels {
    texts: Vec<Option<String>>,
    /// Whether they are those of atoms, which are text whatever the column has.
    are_atoms: bool,
}

fn labels(group: &Group, known: &KnownCollection) -> Labels {
    let are_atoms = match group {
        Group::Levels { of, level, .. } => {
            let levels = known.levels(of);
            let coarser = level.as_ref().and_then(|name| levels.level(name));
            has_text_labels(coarser.as_ref().unwrap_or(&levels))
        }
        Group::Buckets { .. } | Group::Codes { .. } | Group::Cases { .. } => false,
    };
    Labels {
        texts: texts(group, known),
        are_atoms,
    }
}

/// Whether labels are text whatever the column has. All other values of a column with listed values, or without levels, are one atom, whose
/// label is no value of the column: in the type of the column it would be missing, as the label of missing values is.
fn has_text_labels(levels: &Levels) -> bool {
    match levels {
        Levels::None | Levels::Edges(_) | Levels::Values(_) => true,
        Levels::Truth | Levels::Codes(_) => false,
    }
}

/// Released numbers: whole ones if all are.
fn numbers(values: &[Option<Number>]) -> ArrayRef {
    let is_whole = |value: &Option<Number>| matches!(value, None | Some(Number::Whole(_)));
    if values.iter().all(is_whole) {
        let whole = |value: &Option<Number>| match value {
            Some(Number::Whole(number)) => Some(*number),
            Some(Number::Real(_)) | None => None,
        };
        Arc::new(values.iter().map(whole).collect::<Int64Array>())
    } else {
        Arc::new(values.iter().map(real).collect::<Float64Array>())
    }
}

/// Multiples of released numbers, with a constant added.
fn scaled(column: &ReleasedColumn, (by, plus): (f64, f64)) -> ArrayRef {
    let values = column.values().iter();
    Arc::new(
        values
            .map(|value| Some(real(value)? * by + plus))
            .collect::<Float64Array>(),
    )
}

/// One number divided by the other one, missing where one is withheld or the divisor is zero.
fn quotients(of: &ReleasedColumn, by: &ReleasedColumn) -> ArrayRef {
    let quotient = |(of, by): (&Option<Number>, &Option<Number>)| {
        let by = real(by).filter(|by| *by != 0.0)?;
        Some(real(of)? / by)
    };
    let values = of.values().iter().zip(by.values());
    Arc::new(values.map(quotient).collect::<Float64Array>())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a quotient is as precise as a floating point number"
)]
fn real(value: &Option<Number>) -> Option<f64> {
    match value {
        Some(Number::Whole(number)) => Some(*number as f64),
        Some(Number::Real(number)) => Some(number.get()),
        None => None,
    }
}

/// The same values in another type; what is not a value of it is missing.
fn converted(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, QueryError> {
    let mut options = DEFAULT_CAST_OPTIONS.clone();
    options.safe = true;
    cast_with_options(array, to, &options).map_err(|_| malformed())
}

/// An expression that had a type before labels were text.
fn label_operand() -> QueryError {
    QueryError::Invalid {
        detail: NotCountable::Form(Form::LabelOperand).to_string(),
    }
}

fn planning(_: DataFusionError) -> QueryError {
    QueryError::Engine { step: "planning" }
}

#[cfg(test)]
mod tests {
    use concordat_protocol::{
        collection::{Contents, Listed, RawLevels, ValueLabel},
        schema::ColumnKind,
        scope::Value,
    };

    use super::*;

    #[test]
    fn cells_count_the_last_group_fastest() {
        let sizes = [2, 3, 2];
        let classes = |group: usize| (0..12).map(|cell| class_of(cell, group, &sizes)).collect::<Vec<_>>();
        assert_eq!(classes(0), [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
        assert_eq!(classes(1), [0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2]);
        assert_eq!(classes(2), [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn listed_values_with_names_are_shown_by_name() {
        let levels = |label: &str| {
            let listed = Listed {
                value: Value::Int(8507),
                label: ValueLabel::new(label).unwrap(),
            };
            Levels::check(RawLevels::Values(vec![listed]), Contents::Of(ColumnKind::Int)).unwrap()
        };
        assert!(has_text_labels(&levels("male")));
        assert!(has_text_labels(&levels("8507")), "others have no number");
        assert!(has_text_labels(&Levels::None));
        assert!(!has_text_labels(&Levels::Truth));
    }

    #[test]
    fn multiple_of_a_withheld_number_is_missing() {
        let column = ReleasedColumn::exact(vec![Some(Number::Whole(3)), None]);
        let expected: ArrayRef = Arc::new(Float64Array::from(vec![Some(-5.0), None]));
        assert_eq!(&scaled(&column, (-2.0, 1.0)), &expected);
    }

    #[test]
    fn quotient_of_a_withheld_number_is_missing() {
        let column = |values: &[Option<i64>]| {
            ReleasedColumn::exact(values.iter().map(|value| value.map(Number::Whole)).collect())
        };
        let quotients = quotients(
            &column(&[Some(3), None, Some(3), Some(1)]),
            &column(&[Some(4), Some(4), None, Some(0)]),
        );
        let expected: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.75), None, None, None]));
        assert_eq!(&quotients, &expected);
    }
}
