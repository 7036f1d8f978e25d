//! Sums of whole numbers and decimals that do not wrap around.
//!
//! The library adds whole numbers in 64 bits and forgets what does not fit. Here they are added as decimals with ten more digits, enough
//! for ten thousand million rows, and the sum is made a whole number of 64 bits again above the grouping: below tier `records`, that is
//! computed from a released cell, so that its error reveals nothing that the cell does not.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef},
    datatypes::{DECIMAL128_MAX_PRECISION, DataType},
};
use datafusion::{
    common::DFSchema,
    error::{DataFusionError, Result},
    logical_expr::{
        Aggregate, Cast, ColumnarValue, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, ScalarFunctionArgs,
        ScalarUDF, ScalarUDFImpl, Signature, Volatility, Window, WindowFunctionDefinition,
        expr::{AggregateFunction, ScalarFunction, WindowFunction},
    },
};

use super::{QueryError, conversion, meaning::shown};

/// Name of the function for a sum in the type that it has for the query; queries cannot use it.
pub(super) const SUM_WITHIN: &str = "sum_within";
/// Digits of decimals whose sums have as many as there are.
const MAX_PRECISION: u8 = 28;

/// The same node with exact sums, and with columns of the same names and types.
#[expect(clippy::wildcard_enum_match_arm, reason = "other nodes add nothing")]
pub(super) fn exact(node: LogicalPlan) -> Result<LogicalPlan> {
    match node {
        LogicalPlan::Aggregate(aggregate) => {
            let schema = aggregate.input.schema();
            let measures = aggregate
                .aggr_expr
                .iter()
                .map(|measure| widened(measure, schema))
                .collect::<Result<Vec<_>>>()?;
            if measures.iter().all(Option::is_none) {
                return Ok(LogicalPlan::Aggregate(aggregate));
            }
            let (exprs, sums) = replaced(&aggregate.aggr_expr, measures);
            let wide = Aggregate::try_new(Arc::clone(&aggregate.input), aggregate.group_expr.clone(), exprs)?;
            narrowed(LogicalPlan::Aggregate(wide), &aggregate.schema, &sums)
        }
        LogicalPlan::Window(window) => {
            let schema = window.input.schema();
            let measures = window
                .window_expr
                .iter()
                .map(|measure| widened(measure, schema))
                .collect::<Result<Vec<_>>>()?;
            if measures.iter().all(Option::is_none) {
                return Ok(LogicalPlan::Window(window));
            }
            let (exprs, sums) = replaced(&window.window_expr, measures);
            let wide = Window::try_new(exprs, Arc::clone(&window.input))?;
            narrowed(LogicalPlan::Window(wide), &window.schema, &sums)
        }
        other => Ok(other),
    }
}

/// An aggregate over wider numbers, and what it is a sum of.
struct Widened {
    measure: Expr,
    operand: String,
}

/// The expressions with the wider ones in place, and for each what it is a sum of, if it was replaced.
fn replaced(measures: &[Expr], widened: Vec<Option<Widened>>) -> (Vec<Expr>, Vec<Option<String>>) {
    let both = measures.iter().zip(widened);
    both.map(|(measure, widened)| match widened {
        Some(Widened { measure, operand }) => (measure, Some(operand)),
        None => (measure.clone(), None),
    })
    .unzip()
}

/// The sum of wider numbers; `None` for what is not a sum, or of floating point numbers.
#[expect(clippy::wildcard_enum_match_arm, reason = "other expressions are not aggregates")]
fn widened(measure: &Expr, schema: &DFSchema) -> Result<Option<Widened>> {
    match measure {
        Expr::Alias(alias) => Ok(
            widened(&alias.expr, schema)?.map(|Widened { measure, operand }| Widened {
                measure: measure.alias_qualified(alias.relation.clone(), &alias.name),
                operand,
            }),
        ),
        Expr::AggregateFunction(AggregateFunction { func, params }) => {
            let wide = wide_argument(func.name(), &params.args, params.distinct, schema)?;
            Ok(wide.map(|(argument, operand)| {
                let mut params = params.clone();
                params.args = vec![argument];
                let function = AggregateFunction {
                    func: Arc::clone(func),
                    params,
                };
                Widened {
                    measure: Expr::AggregateFunction(function),
                    operand,
                }
            }))
        }
        Expr::WindowFunction(function) => {
            let WindowFunctionDefinition::AggregateUDF(func) = &function.fun else {
                return Ok(None);
            };
            let params = &function.params;
            let wide = wide_argument(func.name(), &params.args, params.distinct, schema)?;
            Ok(wide.map(|(argument, operand)| {
                let mut function = WindowFunction::clone(function);
                function.params.args = vec![argument];
                Widened {
                    measure: Expr::from(function),
                    operand,
                }
            }))
        }
        _ => Ok(None),
    }
}

/// The argument of a sum in a wider type, and its name. A mean of distinct numbers is that of floating point numbers.
#[expect(clippy::wildcard_enum_match_arm, reason = "other numbers are not added exactly")]
fn wide_argument(name: &str, args: &[Expr], distinct: bool, schema: &DFSchema) -> Result<Option<(Expr, String)>> {
    let [argument] = args else { return Ok(None) };
    let data_type = argument.get_type(schema)?;
    let wide = match (name, data_type) {
        ("sum", DataType::Int64) => DataType::Decimal128(19, 0),
        ("sum", DataType::UInt64) => DataType::Decimal128(20, 0),
        ("sum", DataType::Decimal128(precision, scale)) if precision > MAX_PRECISION => {
            DataType::Decimal256(precision, scale)
        }
        ("avg", DataType::Int64 | DataType::Decimal128(..)) if distinct => DataType::Float64,
        _ => return Ok(None),
    };
    let operand = match argument {
        Expr::Cast(cast) => shown(&cast.expr),
        other => shown(other),
    };
    Ok(Some((Expr::Cast(Cast::new(Box::new(argument.clone()), wide)), operand)))
}

/// `wide` with the columns of `schema`; `sums` are for its last columns.
fn narrowed(wide: LogicalPlan, schema: &DFSchema, sums: &[Option<String>]) -> Result<LogicalPlan> {
    let columns = wide.schema().columns();
    let first = columns.len().saturating_sub(sums.len());
    let fields = columns.into_iter().zip(schema.iter()).enumerate();
    let projected = fields.map(|(at, (column, (qualifier, field)))| {
        let sum = at
            .checked_sub(first)
            .and_then(|at| sums.get(at))
            .and_then(Option::as_ref);
        let same = column.relation.as_ref() == qualifier && &column.name == field.name();
        let column = Expr::Column(column);
        match sum {
            Some(operand) => {
                narrow(column, field.data_type(), operand).alias_qualified(qualifier.cloned(), field.name())
            }
            None if same => column,
            None => column.alias_qualified(qualifier.cloned(), field.name()),
        }
    });
    let projected: Vec<Expr> = projected.collect();
    LogicalPlanBuilder::from(wide).project(projected)?.build()
}

/// `sum`, which has more digits than `to`, as a value of the type `to`. It is an error that names `operand`, what is summed, if it does not
/// fit.
#[must_use]
pub fn narrow(sum: Expr, to: &DataType, operand: &str) -> Expr {
    let function = ScalarUDF::new_from_impl(Narrow {
        to: to.clone(),
        operand: operand.to_owned(),
        signature: Signature::any(1, Volatility::Immutable),
    });
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), vec![sum]))
}

/// A sum in the type that it has for the query, which is an error if it does not fit.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Narrow {
    to: DataType,
    operand: String,
    signature: Signature,
}

impl ScalarUDFImpl for Narrow {
    fn name(&self) -> &'static str {
        SUM_WITHIN
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let operands = ColumnarValue::values_to_arrays(&args.args)?;
        let sums = operands
            .first()
            .ok_or_else(|| DataFusionError::Internal("a sum is missing".to_owned()))?;
        // The library's cast of decimals of 256 bits to whole numbers wraps around.
        let narrow = if matches!(sums.data_type(), DataType::Decimal256(..)) && self.to.is_integer() {
            let digits = DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0);
            conversion::converted(&conversion::converted(sums, &digits)?, &self.to)?
        } else {
            conversion::converted(sums, &self.to)?
        };
        if missing(&narrow) > missing(sums) {
            return Err(DataFusionError::External(Box::new(QueryError::SumTooLarge {
                operand: self.operand.clone(),
            })));
        }
        Ok(ColumnarValue::Array(narrow))
    }
}

fn missing(values: &ArrayRef) -> usize {
    values.logical_null_count()
}
