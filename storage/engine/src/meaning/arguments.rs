//! Arguments of functions: a conversion that the function needs must not lose a value.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, TimeUnit};
use datafusion::{
    common::DFSchema,
    error::Result,
    logical_expr::{
        AggregateUDF, Cast, Expr, ExprSchemable, SortExpr, WindowFunctionDefinition,
        expr::{AggregateFunction, AggregateFunctionParams, ScalarFunction, WindowFunction, WindowFunctionParams},
        lit,
        type_coercion::functions::{UDFCoercionExt, fields_with_udf},
    },
};

use super::{
    align,
    class::{Class, literal_value, shape, shown, text_literal},
    compare, compare_bands,
    expressions::refused,
    literals, operands,
};
use crate::{error::unread_texts, positions::unchanged, shown::Shape};

/// A function of one row.
pub(super) fn scalar(function: ScalarFunction, schema: &DFSchema) -> Result<Expr> {
    let ScalarFunction { func, args } = function;
    let args = match func.name() {
        "nullif" => compare::equal(args, "nullif", schema)?,
        "coalesce" | "nvl" => alternatives(args, func.name(), schema)?,
        "nvl2" => match args.split_first() {
            Some((condition, rest)) => {
                let rest = alternatives(rest.to_vec(), "nvl2", schema)?;
                std::iter::once(condition.clone()).chain(rest).collect()
            }
            None => args,
        },
        "greatest" | "least" => {
            in_order(&args, func.name(), schema)?;
            align::aligned(args, func.name(), schema)?
        }
        _ => args,
    };
    let args = converted(args, func.as_ref(), schema)?;
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(func, args)))
}

/// An aggregate function.
pub(super) fn aggregate(func: Arc<AggregateUDF>, params: AggregateFunctionParams, schema: &DFSchema) -> Result<Expr> {
    let AggregateFunctionParams {
        args,
        distinct,
        filter,
        order_by,
        null_treatment,
    } = params;
    if matches!(func.name(), "min" | "max") {
        in_order(&args, func.name(), schema)?;
    }
    if let Some(filter) = &filter {
        operands::boolean(filter, "FILTER", schema)?;
    }
    let args = with_fractions(converted(args, func.as_ref(), schema)?, func.name(), schema)?;
    let order_by = order_by.into_iter().map(|order| sort(order, schema)).collect();
    Ok(Expr::AggregateFunction(AggregateFunction::new_udf(
        func,
        args,
        distinct,
        filter,
        order_by,
        null_treatment,
    )))
}

/// A function over a window.
pub(super) fn window(fun: WindowFunctionDefinition, params: WindowFunctionParams, schema: &DFSchema) -> Result<Expr> {
    let WindowFunctionParams { mut args, order_by, .. } = params;
    if matches!(fun.name(), "min" | "max") {
        in_order(&args, fun.name(), schema)?;
    }
    if matches!(fun.name(), "lag" | "lead") {
        args = with_default(args, fun.name(), schema)?;
    }
    let args = match &fun {
        WindowFunctionDefinition::AggregateUDF(function) => converted(args, function.as_ref(), schema)?,
        WindowFunctionDefinition::WindowUDF(function) => converted(args, function.as_ref(), schema)?,
    };
    let order_by = order_by.into_iter().map(|order| sort(order, schema)).collect();
    Ok(Expr::from(WindowFunction {
        fun,
        params: WindowFunctionParams {
            args,
            order_by,
            ..params
        },
    }))
}

/// An item of `ORDER BY`: bands are in the order of their ages.
pub(super) fn sort(order: SortExpr, schema: &DFSchema) -> SortExpr {
    match shape(&order.expr, schema) {
        Shape::Band { width, .. } => SortExpr {
            expr: compare_bands::least_age(width, order.expr),
            ..order
        },
        Shape::Clear | Shape::Year { .. } | Shape::Pseudonym { .. } => order,
    }
}

/// The middle of two whole numbers is not one, so they are taken as numbers with a fraction.
fn with_fractions(args: Vec<Expr>, name: &str, schema: &DFSchema) -> Result<Vec<Expr>> {
    if !matches!(name, "median" | "percentile_cont") {
        return Ok(args);
    }
    let converted = args.into_iter().map(|arg| {
        let whole = arg.get_type(schema)?.is_integer();
        Ok(if whole {
            align::tried(arg, DataType::Float64)
        } else {
            arg
        })
    });
    converted.collect()
}

/// Arguments of which one is returned. Bands and pseudonyms are text among others.
fn alternatives(args: Vec<Expr>, name: &str, schema: &DFSchema) -> Result<Vec<Expr>> {
    align::aligned(args, name, schema)
}

/// The value beside the rows has the class of the others.
fn with_default(args: Vec<Expr>, name: &str, schema: &DFSchema) -> Result<Vec<Expr>> {
    match args.as_slice() {
        [value, offset, default] => {
            let [value, default] = align::pair(value.clone(), default.clone(), name, schema)?;
            if !is_value_of(&default, &value.get_type(schema)?)? {
                return Err(refused(format!(
                    "`{}` cannot be a value of `{}` without a change, which `{name}` returns; write a `CAST` of one of them",
                    shown(&default),
                    shown(&value)
                )));
            }
            Ok(vec![value, offset.clone(), default])
        }
        _ => Ok(args),
    }
}

/// Whether the number that the query wrote is one of this type.
fn is_value_of(written: &Expr, data_type: &DataType) -> Result<bool> {
    let Some(number) = literal_value(written)?.filter(|number| number.data_type().is_numeric()) else {
        return Ok(true);
    };
    Ok(!data_type.is_numeric() || unchanged(&number.to_array()?, data_type)?.is_some())
}

/// Refuses bands where their order as text would decide.
fn in_order(args: &[Expr], name: &str, schema: &DFSchema) -> Result<()> {
    let band = args.iter().find(|arg| matches!(shape(arg, schema), Shape::Band { .. }));
    let Some(column) = band.map(shown) else {
        return Ok(());
    };
    let direction = if matches!(name, "max" | "greatest") {
        " DESC"
    } else {
        ""
    };
    Err(refused(format!(
        "`{column}` is shown in bands, of which `{name}` would return the first or last as text; write `ORDER BY \
         {column}{direction} LIMIT 1`"
    )))
}

/// The arguments, with those converted here for which the library would lose a value.
fn converted<F: UDFCoercionExt>(args: Vec<Expr>, function: &F, schema: &DFSchema) -> Result<Vec<Expr>> {
    let fields: Result<Vec<FieldRef>> = args
        .iter()
        .map(|arg| arg.to_field(schema).map(|(_, field)| field))
        .collect();
    // What the library refuses itself has been refused before.
    let Ok(targets) = fields_with_udf(&fields?, function) else {
        return Ok(args);
    };
    let args = args.into_iter().zip(targets);
    args.map(|(arg, target)| argument(arg, target.data_type(), function.name(), schema))
        .collect()
}

fn argument(arg: Expr, target: &DataType, function: &str, schema: &DFSchema) -> Result<Expr> {
    let data_type = arg.get_type(schema)?;
    let (class, wanted) = (Class::of(&data_type), Class::of(target));
    if data_type == *target || class == Class::Null || wanted == Class::Null {
        return Ok(arg);
    }
    if matches!(shape(&arg, schema), Shape::Year { .. }) && wanted != Class::Number && wanted != Class::Text {
        return Err(refused(format!(
            "`{0}` is shown as a year, which is a number; write `{0}` instead of `{function}` of it",
            shown(&arg)
        )));
    }
    match (class, wanted) {
        (Class::Text, Class::Text) | (_, Class::Text) | (Class::Other, _) | (_, Class::Other) => Ok(arg),
        (Class::Text, _) => text(&arg, target, function),
        (Class::Number, Class::Number) if loses_fraction(&data_type, target) => Err(refused(format!(
            "`{0}` is not a whole number, which `{function}` needs; write `CAST({0} AS BIGINT)`",
            shown(&arg)
        ))),
        (Class::Date, Class::Timestamp) => Ok(align::tried(arg, DataType::Timestamp(TimeUnit::Millisecond, None))),
        (Class::Timestamp, Class::Timestamp) | (Class::Instant, Class::Instant) if is_finer(target) => {
            // An error, not a missing value, for what the finer unit cannot hold.
            Ok(Expr::Cast(Cast::new(Box::new(arg), target.clone())))
        }
        (class, wanted) if class == wanted => Ok(arg),
        (Class::Instant, Class::Timestamp) | (Class::Timestamp, Class::Date) => Ok(arg),
        (class, wanted) => Err(refused(format!(
            "`{}` is {}, and `{function}` needs {}",
            shown(&arg),
            class.label(),
            wanted.label()
        ))),
    }
}

/// A text where a function needs another value: what the query wrote is read, a column has to be cast.
fn text(arg: &Expr, target: &DataType, function: &str) -> Result<Expr> {
    let class = Class::of(target);
    let whole = target.is_integer();
    let Some(text) = text_literal(arg) else {
        return Err(refused(format!(
            "`{0}` is text, and `{function}` needs {1}; write `{function}(TRY_CAST({0} AS {2}))`{3}",
            shown(arg),
            class.label(),
            class.sql_type(),
            unread_texts(&shown(arg), class.label(), class.sql_type())
        )));
    };
    match literals::read(text, class, whole) {
        Some(value) => Ok(lit(value)),
        None => Err(refused(format!(
            "the text is not {}, which `{function}` needs",
            literals::notation(class, whole)
        ))),
    }
}

const fn loses_fraction(from: &DataType, target: &DataType) -> bool {
    let has_fraction = matches!(
        from,
        DataType::Float16 | DataType::Float32 | DataType::Float64 | DataType::Decimal128(..) | DataType::Decimal256(..)
    );
    let whole = matches!(
        target,
        DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::UInt64
    );
    has_fraction && whole
}

const fn is_finer(target: &DataType) -> bool {
    matches!(target, DataType::Timestamp(TimeUnit::Nanosecond, _))
}
