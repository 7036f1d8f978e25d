//! Numbers of different types, compared and combined without changing any of them.
//!
//! There is no type for the values of both a `BIGINT` and a `DOUBLE`. The library converts to `DOUBLE`, in which 100000000000000992 and
//! 100000000000000993 are one number. Here, before the library converts anything:
//!
//! 1. Where both are compared, and the conversion might change a number, they are compared by their positions among all numbers ([`order`]).
//! 2. Where both become one column, each whole number is converted only if it stays the same; otherwise the answer ends with an error.
//! 3. A decimal with digits after the point is the nearest `DOUBLE` beside one, since few decimals are a `DOUBLE`.
//! 4. Decimals that have more digits together than a `DECIMAL` are compared with as many as there are, and are not one column.
//!
//! This is done by [`executable`](crate::executable()), not by [`meaning`](crate::meaning()): the text that is sent to a provider has the
//! comparison as it was written, and the provider does the same.

mod order;

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef},
    compute::kernels::cmp::not_distinct,
    datatypes::{DECIMAL256_MAX_PRECISION, DataType},
};
use datafusion::{
    common::{DFSchema, ExprSchema, ScalarValue},
    error::Result,
    logical_expr::{
        Between, BinaryExpr, Case, Expr, ExprSchemable, Join, LogicalPlan, LogicalPlanBuilder, Operator, Projection,
        TryCast, Union,
        expr::{InList, InSubquery, ScalarFunction},
    },
};

use super::{
    calculation,
    cast_rule::Casts,
    conversion,
    meaning::{literal_value, refused, shown},
    types::MAX_DIGITS,
};
pub(super) use order::{POSITION, positions};

/// Up to this number, and down to its negative, each whole number is a `DOUBLE`: 2^53.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
/// Digits of a decimal number without digits after the point that is below [`MAX_EXACT`].
const EXACT_DIGITS: u8 = 15;
/// Digits after the point where decimals are compared with as many digits as there are.
const WIDE: DataType = DataType::Decimal256(DECIMAL256_MAX_PRECISION, 38);

/// What matters of a number beside others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A whole number that is a `DOUBLE` too.
    Small,
    /// A whole number that may have no `DOUBLE`.
    Whole,
    /// A number with digits after the point.
    Decimal,
    /// A floating point number.
    Float,
    /// A floating point number that the query wrote, such that every whole number compares with it as the nearest `DOUBLE` does.
    PlainFloat,
    /// NULL, or no number.
    Other,
}

/// An operand as far as its number matters.
#[derive(Clone, Debug)]
struct Number {
    kind: Kind,
    data_type: DataType,
}

impl Number {
    fn of(operand: &Expr, schema: &dyn ExprSchema) -> Result<Self> {
        let number = Self::of_type(operand.get_type(schema)?);
        let kind = match (number.kind, literal_value(operand).ok().flatten()) {
            (Kind::Whole, Some(value)) if is_exact(&value) => Kind::Small,
            (Kind::Float, Some(ScalarValue::Float64(Some(value)))) if is_plain(value) => Kind::PlainFloat,
            (kind, _) => kind,
        };
        Ok(Self { kind, ..number })
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other types are not those of numbers in a query"
    )]
    fn of_type(data_type: DataType) -> Self {
        let kind = match &data_type {
            DataType::Int64 | DataType::UInt64 => Kind::Whole,
            small if small.is_integer() => Kind::Small,
            float if float.is_floating() => Kind::Float,
            DataType::Decimal128(digits, 0) if *digits <= EXACT_DIGITS => Kind::Small,
            DataType::Decimal128(_, 0) => Kind::Whole,
            DataType::Decimal128(..) => Kind::Decimal,
            _ => Kind::Other,
        };
        Self { kind, data_type }
    }

    const fn is_float(&self) -> bool {
        matches!(self.kind, Kind::Float | Kind::PlainFloat)
    }

    /// Whether the library would convert a `DOUBLE` beside it to its own type, or to one that both have.
    fn is_to_be_double(&self) -> bool {
        self.data_type.is_decimal() || self.is_float() && self.data_type != DataType::Float64
    }
}

/// Whether the whole number that the query wrote is a `DOUBLE`.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other literals are not taken for small ones"
)]
const fn is_exact(value: &ScalarValue) -> bool {
    match value {
        ScalarValue::Int64(Some(value)) => value.unsigned_abs() <= 1 << f64::MANTISSA_DIGITS,
        ScalarValue::UInt64(Some(value)) => *value <= 1 << f64::MANTISSA_DIGITS,
        _ => false,
    }
}

/// Whether a whole number and the nearest `DOUBLE` of it are on the same side of `value`: those that have none are all beyond
/// [`MAX_EXACT`], or all within the range of decimals.
fn is_plain(value: f64) -> bool {
    value.is_nan() || value.abs() < MAX_EXACT || value.abs() > order::LIMIT
}

/// How numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    /// As the library does it.
    OfLibrary,
    /// As `DOUBLE`.
    Doubles,
    /// By their positions among all numbers.
    Positions,
    /// As decimals with as many digits as there are.
    Wide,
}

impl Comparison {
    fn of(numbers: &[Number]) -> Self {
        let count = |kind: Kind| numbers.iter().filter(|number| number.kind == kind).count();
        if !numbers.iter().any(Number::is_float) {
            return if too_many_digits(numbers) {
                Self::Wide
            } else {
                Self::OfLibrary
            };
        }
        // A decimal beside a floating point number is one too.
        let unknown = count(Kind::Float).saturating_add(count(Kind::Decimal));
        match count(Kind::Whole) {
            0 => Self::Doubles,
            1 if unknown == 0 => Self::Doubles,
            _ => Self::Positions,
        }
    }

    fn operand(self, operand: Expr, number: &Number) -> Expr {
        match (self, number.kind) {
            (Self::OfLibrary, _) | (_, Kind::Other) => operand,
            (Self::Wide, _) => tried(operand, WIDE),
            (Self::Positions, Kind::Decimal) => calculation::position(tried(operand, DataType::Float64)),
            (Self::Positions, _) => calculation::position(operand),
            (Self::Doubles, _) if number.is_to_be_double() => tried(operand, DataType::Float64),
            (Self::Doubles, _) => operand,
        }
    }
}

/// Whether numbers, of which some are decimals, have no decimal type in common.
#[expect(clippy::wildcard_enum_match_arm, reason = "other numbers are not decimals")]
fn too_many_digits(numbers: &[Number]) -> bool {
    let types = numbers.iter().filter(|number| number.kind != Kind::Other);
    let types: Vec<&DataType> = types.map(|number| &number.data_type).collect();
    let digits = types.iter().filter_map(|data_type| match data_type {
        DataType::Decimal128(digits, after) => Some((i16::from(*digits) - i16::from(*after), i16::from(*after))),
        data_type if data_type.is_integer() => Some((20, 0)),
        _ => None,
    });
    let (before, after) = digits.fold((0, 0), |(before, after), (one, other)| {
        (one.max(before), other.max(after))
    });
    let differ = types.windows(2).any(|pair| pair.first() != pair.last());
    types.iter().any(|data_type| data_type.is_decimal()) && differ && before + after > i16::from(MAX_DIGITS)
}

/// The same expression, in which numbers of different types are compared as they are, and become one column as they are.
///
/// # Errors
/// [`QueryError::Invalid`](crate::QueryError::Invalid) below tier `records` if an error for a number that has no `DOUBLE` would reveal it.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other expressions neither compare nor return one of several operands"
)]
pub(super) fn expression(expression: Expr, casts: Casts, schema: &DFSchema) -> Result<Expr> {
    match expression {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(op) => {
            let [left, right] = exactly([*left, *right], schema)?;
            Ok(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))))
        }
        Expr::Between(Between {
            expr,
            negated,
            low,
            high,
        }) => {
            let [expr, low, high] = exactly([*expr, *low, *high], schema)?;
            let (low, high) = (Box::new(low), Box::new(high));
            Ok(Expr::Between(Between::new(Box::new(expr), negated, low, high)))
        }
        Expr::InList(InList { expr, list, negated }) => {
            let (expr, list) = first_and_rest(*expr, list, schema)?;
            Ok(Expr::InList(InList::new(Box::new(expr), list, negated)))
        }
        Expr::InSubquery(query) => in_subquery(query, schema),
        Expr::Case(written) => case(written, casts, schema),
        Expr::ScalarFunction(ScalarFunction { func, args }) => {
            let args = match func.name() {
                "coalesce" | "nvl" | "nullif" | "greatest" | "least" => one_column(args, casts, schema)?,
                "nvl2" => {
                    let mut args = args.into_iter();
                    let condition = args.next();
                    condition
                        .into_iter()
                        .chain(one_column(args.collect(), casts, schema)?)
                        .collect()
                }
                _ => args,
            };
            Ok(Expr::ScalarFunction(ScalarFunction::new_udf(func, args)))
        }
        other => Ok(other),
    }
}

const fn compares(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

/// The same node, in which numbers of different types are compared as they are, and become one column as they are. Its expressions are
/// changed by [`expression`].
///
/// # Errors
/// As [`expression`].
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other nodes compare only in their expressions"
)]
pub(super) fn node(node: LogicalPlan, casts: Casts) -> Result<LogicalPlan> {
    match node {
        LogicalPlan::Join(join) => keys(join).map(LogicalPlan::Join),
        LogicalPlan::Union(union) => inputs(union, casts).map(LogicalPlan::Union),
        other => Ok(other),
    }
}

/// Whether a column of `data_type` has the value of `operand` as it is.
///
/// # Errors
/// If the operand has no type.
pub(super) fn is_held(operand: &Expr, data_type: &DataType, schema: &DFSchema) -> Result<bool> {
    let column = Number::of_type(data_type.clone());
    Ok(match (Number::of(operand, schema)?.kind, column.kind) {
        (Kind::Decimal | Kind::Float | Kind::PlainFloat, Kind::Small | Kind::Whole) => false,
        (Kind::Whole, Kind::Float | Kind::PlainFloat) => false,
        (Kind::Small | Kind::Whole | Kind::Decimal | Kind::Float | Kind::PlainFloat | Kind::Other, _) => true,
    })
}

/// The whole numbers as `DOUBLE`; `None` if one of them has no `DOUBLE`.
///
/// # Errors
/// If they are no numbers.
pub(super) fn as_doubles(values: &ArrayRef) -> Result<Option<ArrayRef>> {
    unchanged(values, &DataType::Float64)
}

/// The values as the type; `None` if one of them would be another one.
///
/// # Errors
/// If there is no conversion between the types.
pub fn unchanged(values: &ArrayRef, to: &DataType) -> Result<Option<ArrayRef>> {
    let converted = conversion::converted(values, to)?;
    let back = conversion::converted(&converted, values.data_type())?;
    let same = not_distinct(&back, values)?;
    Ok((same.true_count() == values.len()).then_some(converted))
}

/// Operands that are compared with each other.
fn compared(operands: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Expr>> {
    let numbers: Result<Vec<Number>> = operands.iter().map(|operand| Number::of(operand, schema)).collect();
    let numbers = numbers?;
    let comparison = Comparison::of(&numbers);
    let operands = operands.into_iter().zip(&numbers);
    Ok(operands
        .map(|(operand, number)| comparison.operand(operand, number))
        .collect())
}

fn exactly<const N: usize>(operands: [Expr; N], schema: &DFSchema) -> Result<[Expr; N]> {
    let compared = compared(operands.to_vec(), schema)?;
    <[Expr; N]>::try_from(compared).map_err(|_| refused("a comparison has another number of operands"))
}

/// An operand, and those that it is compared with.
fn first_and_rest(first: Expr, rest: Vec<Expr>, schema: &DFSchema) -> Result<(Expr, Vec<Expr>)> {
    let mut operands = vec![first];
    operands.extend(rest);
    let mut compared = compared(operands, schema)?.into_iter();
    let first = compared.next().ok_or_else(|| refused("a comparison has an operand"))?;
    Ok((first, compared.collect()))
}

fn in_subquery(query: InSubquery, schema: &DFSchema) -> Result<Expr> {
    let inner = Arc::clone(query.subquery.subquery.schema());
    let Some((qualifier, field)) = inner.iter().next() else {
        return Ok(Expr::InSubquery(query));
    };
    let column = Number::of_type(field.data_type().clone());
    let numbers = [Number::of(&query.expr, schema)?, column];
    let comparison = Comparison::of(&numbers);
    if comparison == Comparison::OfLibrary {
        return Ok(Expr::InSubquery(query));
    }
    let [operand, column] = &numbers;
    let InSubquery {
        expr,
        subquery,
        negated,
    } = query;
    let compared = comparison.operand(Expr::from((qualifier, field)), column);
    let plan = Projection::try_new(vec![compared], Arc::clone(&subquery.subquery))?;
    let subquery = subquery.with_plan(Arc::new(LogicalPlan::Projection(plan)));
    let expr = Box::new(comparison.operand(*expr, operand));
    Ok(Expr::InSubquery(InSubquery::new(expr, subquery, negated)))
}

fn case(case: Case, casts: Casts, schema: &DFSchema) -> Result<Expr> {
    let Case {
        expr,
        when_then_expr,
        else_expr,
    } = case;
    let (whens, mut results): (Vec<Expr>, Vec<Expr>) =
        when_then_expr.into_iter().map(|(when, then)| (*when, *then)).unzip();
    let has_else = else_expr.is_some();
    results.extend(else_expr.map(|result| *result));
    let mut results = one_column(results, casts, schema)?;
    let else_expr = if has_else { results.pop().map(Box::new) } else { None };
    let (expr, whens) = match expr {
        Some(operand) => {
            let (operand, whens) = first_and_rest(*operand, whens, schema)?;
            (Some(Box::new(operand)), whens)
        }
        None => (None, whens),
    };
    let branches = whens.into_iter().zip(results);
    let branches = branches.map(|(when, then)| (Box::new(when), Box::new(then)));
    Ok(Expr::Case(Case::new(expr, branches.collect(), else_expr)))
}

/// The keys of a join.
fn keys(mut join: Join) -> Result<Join> {
    let pairs = std::mem::take(&mut join.on).into_iter();
    let compared = pairs.map(|(left, right)| {
        let [one, other] = [
            Number::of(&left, join.left.schema().as_ref())?,
            Number::of(&right, join.right.schema().as_ref())?,
        ];
        let comparison = Comparison::of(&[one.clone(), other.clone()]);
        Ok((comparison.operand(left, &one), comparison.operand(right, &other)))
    });
    let compared: Vec<(Expr, Expr)> = compared.collect::<Result<_>>()?;
    join.on = compared;
    Ok(join)
}

/// Operands of which one is the result.
fn one_column(operands: Vec<Expr>, casts: Casts, schema: &DFSchema) -> Result<Vec<Expr>> {
    let numbers: Result<Vec<Number>> = operands.iter().map(|operand| Number::of(operand, schema)).collect();
    let numbers = numbers?;
    if !become_doubles(&numbers)? {
        return Ok(operands);
    }
    let operands = operands.into_iter().zip(&numbers);
    operands
        .map(|(operand, number)| double(operand, number, casts))
        .collect()
}

/// Whether numbers of these types are one column of `DOUBLE`, and not all of the operands are.
fn become_doubles(numbers: &[Number]) -> Result<bool> {
    let float = numbers.iter().any(Number::is_float);
    if !float && too_many_digits(numbers) {
        return Err(refused(format!(
            "numbers in one column have more than {MAX_DIGITS} digits together; write a `CAST` of them to one `DECIMAL`"
        )));
    }
    let others = numbers
        .iter()
        .any(|number| !number.is_float() && number.kind != Kind::Other);
    Ok(float && others)
}

/// A number in a column of `DOUBLE`.
fn double(operand: Expr, number: &Number, casts: Casts) -> Result<Expr> {
    match (number.kind, casts) {
        (Kind::Whole, Casts::Strict) => Ok(calculation::as_double(operand)),
        (Kind::Whole, Casts::Refused) => Err(refused(format!(
            "`{0}` is a whole number, and in one column with floating point numbers it may not stay the same; write \
             `CAST({0} AS DOUBLE)` for the nearest one",
            shown(&operand)
        ))),
        (Kind::Small | Kind::Decimal | Kind::Float | Kind::PlainFloat, _) if number.is_to_be_double() => {
            Ok(tried(operand, DataType::Float64))
        }
        (Kind::Small | Kind::Decimal | Kind::Float | Kind::PlainFloat | Kind::Other, _) => Ok(operand),
    }
}

/// The inputs of a set operation, with columns that the library combines without changing a number.
fn inputs(union: Union, casts: Casts) -> Result<Union> {
    let inputs = union.inputs.iter().map(|input| in_union(input, &union.inputs, casts));
    let inputs: Vec<Arc<LogicalPlan>> = inputs.collect::<Result<_>>()?;
    Ok(Union { inputs, ..union })
}

fn in_union(plan: &Arc<LogicalPlan>, inputs: &[Arc<LogicalPlan>], casts: Casts) -> Result<Arc<LogicalPlan>> {
    let mut changed = false;
    let columns = plan.schema().iter().enumerate().map(|(at, (qualifier, field))| {
        let column = Expr::from((qualifier, field));
        let types = inputs.iter().filter_map(|input| input.schema().fields().get(at));
        let together: Vec<Number> = types.map(|field| Number::of_type(field.data_type().clone())).collect();
        if !become_doubles(&together)? {
            return Ok(column);
        }
        changed = true;
        let number = Number::of_type(field.data_type().clone());
        let double = double(column, &number, casts)?;
        Ok(double.alias_qualified(qualifier.cloned(), field.name()))
    });
    let columns: Vec<Expr> = columns.collect::<Result<_>>()?;
    if !changed {
        return Ok(Arc::clone(plan));
    }
    let projected = LogicalPlanBuilder::from(plan.as_ref().clone()).project(columns)?;
    projected.build().map(Arc::new)
}

/// A conversion that each number of the operand has.
fn tried(operand: Expr, target: DataType) -> Expr {
    Expr::TryCast(TryCast::new(Box::new(operand), target))
}

#[cfg(test)]
mod tests;
