//! Casts that the query wrote: which there are. A number has no unit of time, so there is no cast between numbers and dates or timestamps.

use arrow::{
    compute::can_cast_types,
    datatypes::{DataType, TimeUnit},
};
use datafusion::{
    common::DFSchema,
    error::Result,
    logical_expr::{Cast, Expr, ExprSchemable, TryCast},
};

use super::{
    class::{Class, describe, shape, shown},
    expressions::refused,
};
use crate::{conversion::name, shown::Shape};

/// A `CAST` of the query, if there is such a cast.
pub(super) fn written(cast: Cast, schema: &DFSchema) -> Result<Cast> {
    let target = target(cast.field.data_type());
    check(&cast.expr, &target, schema)?;
    Ok(Cast::new(cast.expr, target))
}

/// A `TRY_CAST` of the query, if there is such a cast.
pub(super) fn tried(cast: TryCast, schema: &DFSchema) -> Result<TryCast> {
    let target = target(cast.field.data_type());
    check(&cast.expr, &target, schema)?;
    Ok(TryCast::new(cast.expr, target))
}

/// The type that is meant: nanoseconds, which end in 2262, are microseconds.
fn target(data_type: &DataType) -> DataType {
    if let DataType::Timestamp(TimeUnit::Nanosecond, zone) = data_type {
        return DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
    }
    data_type.clone()
}

/// Refuses a cast that does not exist, or that a form does not have.
fn check(operand: &Expr, target: &DataType, schema: &DFSchema) -> Result<()> {
    let from = operand.get_type(schema)?;
    let (class, wanted) = (Class::of(&from), Class::of(target));
    let form = shape(operand, schema);
    let column = shown(operand);
    let none = |advice: &str| {
        Err(refused(format!(
            "`{column}` is {}, which cannot be cast to {}{advice}",
            describe(class, &form),
            name(target)
        )))
    };
    match (&form, wanted) {
        (Shape::Band { .. }, Class::Text) | (Shape::Pseudonym { .. }, Class::Text) => return Ok(()),
        (Shape::Band { .. }, _) => return none(&format!("; compare it, as in `{column} >= 50`")),
        (Shape::Pseudonym { .. }, _) => return none(""),
        (Shape::Year { .. }, Class::Number | Class::Text) => return Ok(()),
        (Shape::Year { .. }, _) => return none(&format!("; it is a number, as in `{column} >= 1980`")),
        (Shape::Clear, _) => {}
    }
    let is_time = |class: Class| matches!(class, Class::Date | Class::Timestamp | Class::Instant | Class::Time);
    if matches!(class, Class::Number | Class::Boolean) && is_time(wanted) {
        return none(", because a number has no unit of time");
    }
    if is_time(class) && matches!(wanted, Class::Number | Class::Boolean) {
        return none("; `date_part('epoch', …)` counts seconds");
    }
    if (class, wanted) == (Class::Date, Class::Time) || !can_cast_types(&from, target) {
        return none("");
    }
    Ok(())
}
