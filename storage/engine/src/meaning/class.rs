//! What kind of value an expression has, as far as comparisons are concerned.

use arrow::{array::Array, datatypes::DataType};
use datafusion::{
    common::{
        Column, DFSchema, ExprSchema, ScalarValue,
        tree_node::{Transformed, TreeNode},
    },
    error::Result,
    logical_expr::{Cast, Expr, ExprSchemable, lit},
    sql::unparser::expr_to_sql,
};

use super::expressions::refused;
pub(crate) use crate::class::Class;
use crate::{
    conversion::{converted, name},
    shown::{Shape, Years, shape_of},
};

/// The class of an expression.
pub(super) fn class_of(expression: &Expr, schema: &DFSchema) -> Result<Class> {
    Ok(Class::of(&expression.get_type(schema)?))
}

/// The form of an expression: that of a bare column, under whatever name, and none for everything that is computed.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is computed has no form")]
pub(crate) fn shape(expression: &Expr, schema: &DFSchema) -> Shape {
    match expression {
        Expr::Alias(alias) if alias.metadata.is_none() => shape(&alias.expr, schema),
        Expr::Column(column) => schema
            .field_from_column(column)
            .map_or(Shape::Clear, |field| shape_of(field)),
        Expr::OuterReferenceColumn(field, _) => shape_of(field),
        Expr::ScalarSubquery(query) => match query.subquery.schema().fields().first() {
            Some(field) => shape_of(field),
            None => Shape::Clear,
        },
        _ => Shape::Clear,
    }
}

/// Whether the expression is a text that the query wrote, and so is read as whatever it is compared with.
pub(super) fn text_literal(expression: &Expr) -> Option<&str> {
    let Expr::Literal(value, _) = unaliased(expression) else {
        return None;
    };
    value.try_as_str().flatten()
}

/// The value of a literal, of a cast of one, and of one with a sign; `None` for everything else.
///
/// # Errors
/// If the literal cannot be cast.
#[expect(clippy::wildcard_enum_match_arm, reason = "other expressions are not literals")]
pub(crate) fn literal_value(expression: &Expr) -> Result<Option<ScalarValue>> {
    match unaliased(expression) {
        Expr::Literal(value, _) => Ok(Some(value.clone())),
        Expr::Negative(operand) => match literal_value(operand)? {
            Some(value) => value.arithmetic_negate().map(Some),
            None => Ok(None),
        },
        Expr::Cast(Cast { expr, field }) => match literal_value(expr)? {
            Some(value) => literal(&value, field.data_type()).map(Some),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

fn unaliased(expression: &Expr) -> &Expr {
    if let Expr::Alias(alias) = expression {
        return unaliased(&alias.expr);
    }
    expression
}

/// What a text of the query is shown as: it may name a person, and messages are kept in logs.
pub(super) const HIDDEN: &str = "…";

/// The expression as a person would write it, without the names of tables and without texts.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other part is shown as it is")]
pub(crate) fn shown(expression: &Expr) -> String {
    let bare = unaliased(expression).clone().transform(|inner| {
        Ok(match inner {
            Expr::Column(column) => Transformed::yes(Expr::Column(Column::new_unqualified(column.name))),
            Expr::Literal(value, _) if value.data_type().is_string() => Transformed::yes(lit(HIDDEN)),
            inner => Transformed::no(inner),
        })
    });
    let text = bare.and_then(|bare| expr_to_sql(&bare.data));
    text.map_or_else(|_| "the expression".to_owned(), |text| text.to_string())
}

/// Whether values of these forms are comparable as they are. A year is a number among others, unless the oldest years are shown as one.
pub(super) fn same_form(one: &Shape, other: &Shape) -> bool {
    match (one, other) {
        (Shape::Band { width, .. }, Shape::Band { width: same, .. }) => width == same,
        (Shape::Pseudonym { origin }, Shape::Pseudonym { origin: same }) => origin == same,
        (Shape::Year(one), Shape::Year(other)) => one.oldest == other.oldest,
        (Shape::Year(years), Shape::Clear) | (Shape::Clear, Shape::Year(years)) => years.oldest.is_none(),
        (Shape::Clear, Shape::Clear) => true,
        (Shape::Band { .. } | Shape::Pseudonym { .. } | Shape::Clear | Shape::Year(_), _) => false,
    }
}

/// Whether values of these forms can be in one column, where none is compared with another: years are numbers among others.
pub(super) fn can_be_one_column(one: &Shape, other: &Shape) -> bool {
    let number = |shape: &Shape| matches!(shape, Shape::Clear | Shape::Year(_));
    number(one) && number(other) || same_form(one, other)
}

/// What an operand is, for people to read.
pub(crate) fn describe(class: Class, shape: &Shape) -> String {
    match shape {
        Shape::Clear => class.label().to_owned(),
        Shape::Band { width, .. } => format!("shown in bands of {} years", width.years()),
        Shape::Year(Years { oldest: None, .. }) => "shown as a year".to_owned(),
        Shape::Year(Years {
            oldest: Some(oldest), ..
        }) => format!("shown as a year, {oldest} and before as one"),
        Shape::Pseudonym { .. } => "shown as a pseudonym".to_owned(),
    }
}

/// The literal as a value of the type, strictly.
///
/// # Errors
/// If it is not one.
pub(crate) fn literal(value: &ScalarValue, target: &DataType) -> Result<ScalarValue> {
    let array = value.to_array()?;
    let failed = || {
        refused(format!(
            "`{}` cannot be cast to {}",
            shown(&Expr::Literal(value.clone(), None)),
            name(target)
        ))
    };
    let converted = converted(&array, target).map_err(|_| failed())?;
    if converted.is_null(0) && !value.is_null() {
        return Err(failed());
    }
    ScalarValue::try_from_array(&converted, 0)
}
