//! The nodes of a plan: their expressions, and what they compare without one.

use std::{collections::BTreeMap, sync::Arc};

use arrow::datatypes::{DataType, FieldRef, TimeUnit};
use datafusion::{
    common::{
        DFSchema, JoinConstraint, JoinType,
        metadata::FieldMetadata,
        tree_node::{Transformed, TreeNode},
    },
    error::Result,
    logical_expr::{
        Expr, ExprSchemable, Join, LogicalPlan, LogicalPlanBuilder, Operator, Union, expr::Alias, utils::merge_schema,
    },
};

use super::{
    align, arguments, checks,
    class::{Class, can_be_one_column, class_of, describe, same_form, shape, shown},
    compare_pseudonyms, compare_years,
    expressions::refused,
};
use crate::same_names::with_same_names;
use crate::shown::{CLEAR, FORM, Shape, in_common, metadata, shape_of};

/// The same node, with its expressions checked; its inputs are checked already.
pub(super) fn checked(node: LogicalPlan) -> Result<LogicalPlan> {
    let schema = merge_schema(&node.inputs());
    let checked = |expression: Expr| {
        let checked = expression.transform_up(|inner| checks::expression(inner, &schema).map(Transformed::yes))?;
        Ok(checked.data)
    };
    // An order is not a column.
    let node = if matches!(node, LogicalPlan::Sort(_)) {
        node.map_expressions(|order| checked(order).map(Transformed::yes))?.data
    } else {
        with_same_names(node, &checked)?
    };
    let node = compared(node)?;
    computed_without_form(node, &schema)?.recompute_schema()
}

/// What a node compares or combines by itself.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other nodes compare only in their expressions"
)]
fn compared(node: LogicalPlan) -> Result<LogicalPlan> {
    match node {
        LogicalPlan::Join(join) => {
            keeps_columns_of_the_left(&join)?;
            keys(join).map(LogicalPlan::Join)
        }
        LogicalPlan::Union(union) => columns(union),
        LogicalPlan::Sort(mut sort) => {
            let schema = Arc::clone(sort.input.schema());
            sort.expr = sort
                .expr
                .into_iter()
                .map(|order| arguments::sort(order, &schema))
                .collect();
            Ok(LogicalPlan::Sort(sort))
        }
        LogicalPlan::RecursiveQuery(query) => {
            same_columns(query.static_term.schema(), query.recursive_term.schema())?;
            Ok(LogicalPlan::RecursiveQuery(query))
        }
        other => Ok(other),
    }
}

/// The library takes a column in common from the left side, also for rows that have none. Where it could be written out, it was before the
/// query was planned ([`resolve_names`](crate::resolve_names)).
fn keeps_columns_of_the_left(join: &Join) -> Result<()> {
    let others = matches!(join.join_type, JoinType::Right | JoinType::Full);
    if others && join.join_constraint == JoinConstraint::Using {
        return Err(refused(
            "in a right or full join here, the columns of `USING` and `NATURAL` are not one column; write `ON a.x = b.x`, and \
             `coalesce(a.x, b.x)` for the column",
        ));
    }
    Ok(())
}

/// The keys of a join, each in the schema of its side.
fn keys(mut join: Join) -> Result<Join> {
    let (left_schema, right_schema) = (Arc::clone(join.left.schema()), Arc::clone(join.right.schema()));
    let both = merge_schema(&[join.left.as_ref(), join.right.as_ref()]);
    let on = std::mem::take(&mut join.on).into_iter();
    join.on = on
        .map(|(left, right)| key(left, &left_schema, right, &right_schema, &both))
        .collect::<Result<_>>()?;
    Ok(join)
}

fn key(
    left: Expr,
    left_schema: &DFSchema,
    right: Expr,
    right_schema: &DFSchema,
    both: &DFSchema,
) -> Result<(Expr, Expr)> {
    let (one, other) = (shape(&left, left_schema), shape(&right, right_schema));
    if !same_form(&one, &other) {
        compare_pseudonyms::check(&left, &right, both)?;
        if class_of(&left, left_schema)? == class_of(&right, right_schema)? {
            compare_years::check((&left, &one), (&right, &other))?;
        }
        return Err(refused(format!(
            "`{}` is {}, and `{}` is {}: they cannot be joined",
            shown(&left),
            describe(class_of(&left, left_schema)?, &one),
            shown(&right),
            describe(class_of(&right, right_schema)?, &other)
        )));
    }
    let [left, right] = align::pair(left, right, &Operator::Eq.to_string(), both)?;
    Ok((left, right))
}

/// The columns of a set operation.
fn columns(union: Union) -> Result<LogicalPlan> {
    let Some((first, rest)) = union.inputs.split_first() else {
        return Ok(LogicalPlan::Union(union));
    };
    for other in rest {
        same_columns(first.schema(), other.schema())?;
    }
    let inputs = (0..union.inputs.len()).map(|input| converted(&union.inputs, input));
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    Union::try_new_with_loose_types(inputs).map(LogicalPlan::Union)
}

/// One of the inputs of a set operation, with columns that the library combines with those of the others without losing a value.
fn converted(inputs: &[Arc<LogicalPlan>], input: usize) -> Result<Arc<LogicalPlan>> {
    let plan = inputs
        .get(input)
        .ok_or_else(|| refused("a set operation has another number of inputs"))?;
    let columns = plan.schema().iter().enumerate().map(|(at, (qualifier, field))| {
        let column = Expr::from((qualifier, field));
        let together: Vec<&FieldRef> = inputs
            .iter()
            .filter_map(|input| input.schema().fields().get(at))
            .collect();
        let relation = qualifier.cloned();
        if let Some(target) = type_beside(&together, input) {
            return (
                true,
                align::tried(column, target).alias_qualified(relation, field.name()),
            );
        }
        match years_beside(&together, field) {
            Some(years) => {
                let form = Some(FieldMetadata::from(metadata(&years)));
                (true, column.alias_qualified_with_metadata(relation, field.name(), form))
            }
            None => (false, column),
        }
    });
    let (changed, columns): (Vec<bool>, Vec<Expr>) = columns.unzip();
    if !changed.contains(&true) {
        return Ok(Arc::clone(plan));
    }
    LogicalPlanBuilder::from(plan.as_ref().clone())
        .project(columns)?
        .build()
        .map(Arc::new)
}

/// The type that the column of one input gets: dates beside timestamps become timestamps, and lengths of time get one unit. `None` if it
/// stays as it is.
fn type_beside(together: &[&FieldRef], input: usize) -> Option<DataType> {
    let types: Vec<DataType> = together.iter().map(|field| field.data_type().clone()).collect();
    let own = types.get(input)?;
    let has_timestamps = types.iter().any(|other| Class::of(other) == Class::Timestamp);
    if has_timestamps && Class::of(own) == Class::Date {
        return Some(DataType::Timestamp(TimeUnit::Millisecond, None));
    }
    let is_length = |data_type: &DataType| matches!(data_type, DataType::Duration(_));
    let micros = DataType::Duration(TimeUnit::Microsecond);
    let is_other_length = |other: &DataType| is_length(other) && other != own;
    (is_length(own) && *own != micros && types.iter().any(is_other_length)).then_some(micros)
}

/// The form of a column of years beside others; `None` if it has that form, or is not one of years.
fn years_beside(together: &[&FieldRef], field: &FieldRef) -> Option<Shape> {
    let own = shape_of(field);
    let is_year = |shape: &Shape| matches!(shape, Shape::Year(_));
    let years = together.iter().map(|field| shape_of(field)).filter(is_year);
    let common = years.reduce(|one, other| in_common(&one, &other).unwrap_or(one))?;
    (is_year(&own) && own != common).then_some(common)
}

/// Refuses two inputs of a set operation with columns of different classes or forms.
fn same_columns(one: &DFSchema, other: &DFSchema) -> Result<()> {
    for (left, right) in one.fields().iter().zip(other.fields()) {
        let (class, second) = (Class::of(left.data_type()), Class::of(right.data_type()));
        let forms = (shape_of(left), shape_of(right));
        let empty = class == Class::Null || second == Class::Null;
        let times = matches!(
            (class, second),
            (Class::Date, Class::Timestamp) | (Class::Timestamp, Class::Date)
        );
        if empty || (class == second || times) && can_be_one_column(&forms.0, &forms.1) {
            continue;
        }
        return Err(refused(format!(
            "`{}` is {}, and `{}` is {}: they cannot be one column; write a `CAST` of one of them",
            left.name(),
            describe(class, &forms.0),
            right.name(),
            describe(second, &forms.1)
        )));
    }
    Ok(())
}

/// The same node, in which a computed column states that it has no form: the library would hand some forms on, as of `- born`.
fn computed_without_form(node: LogicalPlan, schema: &DFSchema) -> Result<LogicalPlan> {
    if !matches!(
        node,
        LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) | LogicalPlan::Window(_)
    ) {
        return Ok(node);
    }
    let marked = node.map_expressions(|expression| {
        let inherits = shape(&expression, schema) == Shape::Clear
            && !matches!(expression, Expr::GroupingSet(_))
            && expression
                .to_field(schema)
                .is_ok_and(|(_, field)| shape_of(&field) != Shape::Clear);
        Ok(if inherits {
            Transformed::yes(without_form(expression))
        } else {
            Transformed::no(expression)
        })
    })?;
    Ok(marked.data)
}

fn without_form(expression: Expr) -> Expr {
    let metadata = FieldMetadata::new(BTreeMap::from([(FORM.to_owned(), CLEAR.to_owned())]));
    if let Expr::Alias(alias) = expression {
        return Expr::Alias(Alias {
            metadata: Some(metadata),
            ..alias
        });
    }
    let (relation, name) = expression.qualified_name();
    expression.alias_qualified_with_metadata(relation, name, Some(metadata))
}
