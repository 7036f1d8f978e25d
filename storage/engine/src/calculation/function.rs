//! Functions of the library that fail on some values.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, new_empty_array, new_null_array},
    compute::{concat, nullif},
    datatypes::{DataType, FieldRef, Float64Type},
};
use datafusion::{
    common::{ExprSchema, ScalarValue, config::ConfigOptions},
    error::{DataFusionError, Result},
    logical_expr::{
        ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
        Volatility, expr::ScalarFunction, preimage::PreimageResult, simplify::SimplifyContext,
    },
};

use super::{attempted, date_trunc::truncated};
use crate::{
    calendar::within_years,
    cast_rule::Casts,
    floats::canonical,
    functions::{OWN, WITHIN_DOMAIN, is_infallible},
    meaning::{refused, shown},
};

/// The function with NULL where it fails, or where it has no finite result for finite numbers. What is known not to fail stays as it is.
///
/// # Errors
/// At tier `records` and on the consumer's node, if a literal among the arguments makes it fail on every value.
pub(crate) fn guarded(function: ScalarFunction, casts: Casts, schema: &dyn ExprSchema) -> Result<Expr> {
    let types: Result<Vec<DataType>> = function.args.iter().map(|arg| arg.get_type(schema)).collect();
    let types = types?;
    if !can_fail(&function, &types) && !has_other_years(&function) {
        return Ok(Expr::ScalarFunction(function));
    }
    if casts == Casts::Strict {
        check_literals(&function, schema)?;
    }
    let guarded = Guarded {
        signature: Signature::variadic_any(Volatility::Immutable),
        function: function.func,
    };
    let guarded = Arc::new(ScalarUDF::new_from_impl(guarded));
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(guarded, function.args)))
}

fn can_fail(function: &ScalarFunction, types: &[DataType]) -> bool {
    let func = &function.func;
    let own = OWN.contains(&func.name()) || func.inner().is::<Guarded>();
    // A function that does not compute all of its arguments becomes a `CASE`, and one without arguments has no value to fail on.
    let constant = function.args.is_empty() || func.short_circuits();
    if own || constant || func.signature().volatility == Volatility::Volatile {
        return false;
    }
    WITHIN_DOMAIN.contains(&func.name()) || !is_infallible(function, types)
}

/// Whether the library compares the function by days that no date of ours has: `date_part('year', day) < 10000` by the first day of year 10000.
fn has_other_years(function: &ScalarFunction) -> bool {
    function.func.name() == "date_part" && !function.func.inner().is::<Guarded>()
}

/// Refuses a function that fails without any rows, because of what the query wrote.
fn check_literals(function: &ScalarFunction, schema: &dyn ExprSchema) -> Result<()> {
    let literal = |arg: &Expr| matches!(arg, Expr::Literal(..));
    if !function.args.iter().any(literal) || function.args.iter().all(literal) {
        return Ok(());
    }
    let fields: Result<Vec<FieldRef>> = function
        .args
        .iter()
        .map(|arg| arg.to_field(schema).map(|(_, field)| field))
        .collect();
    let fields = fields?;
    let scalars: Vec<Option<&ScalarValue>> = function.args.iter().map(literal_of).collect();
    let return_field = function.func.return_field_from_args(ReturnFieldArgs {
        arg_fields: &fields,
        scalar_arguments: &scalars,
    });
    let values = scalars.iter().zip(&fields).map(|(scalar, field)| match scalar {
        Some(value) => ColumnarValue::Scalar((*value).clone()),
        None => ColumnarValue::Array(new_empty_array(field.data_type())),
    });
    let empty = ScalarFunctionArgs {
        args: values.collect(),
        arg_fields: fields.clone(),
        number_rows: 0,
        return_field: return_field?,
        config_options: Arc::new(ConfigOptions::default()),
    };
    if attempted(|| function.func.invoke_with_args(empty)).is_some() {
        return Ok(());
    }
    let call = shown(&Expr::ScalarFunction(function.clone()));
    Err(refused(format!(
        "`{call}` has no value for any row; one of its literals is not what `{}` takes",
        function.func.name()
    )))
}

fn literal_of(arg: &Expr) -> Option<&ScalarValue> {
    if let Expr::Literal(value, _) = arg {
        Some(value)
    } else {
        None
    }
}

/// A function under its own name.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Guarded {
    function: Arc<ScalarUDF>,
    signature: Signature,
}

impl ScalarUDFImpl for Guarded {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.function.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let field = self.function.return_field_from_args(args)?;
        Ok(Arc::new(field.as_ref().clone().with_nullable(true)))
    }

    /// Of `date_part` only: for other functions, what the library finds may not hold where they fail.
    fn preimage(&self, args: &[Expr], literal: &Expr, info: &SimplifyContext) -> Result<PreimageResult> {
        if self.function.name() != "date_part" {
            return Ok(PreimageResult::None);
        }
        let found = self.function.preimage(args, literal, info)?;
        if let PreimageResult::Range { interval, .. } = &found {
            for bound in [interval.lower(), interval.upper()] {
                let days = bound.to_array()?;
                if within_years(Arc::clone(&days)).null_count() != days.null_count() {
                    return Ok(PreimageResult::None);
                }
            }
        }
        Ok(found)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let Some(value) = self.value(&args) {
            return Ok(value);
        }
        let is_scalar = |arg: &ColumnarValue| matches!(arg, ColumnarValue::Scalar(_));
        if args.args.iter().all(is_scalar) {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_new_null(
                args.return_field.data_type(),
            )?));
        }
        self.total(&args, 0, args.number_rows).map(ColumnarValue::Array)
    }
}

impl Guarded {
    /// The value of the function, with NULL where it is not finite although all numbers are; `None` if it fails.
    fn value(&self, args: &ScalarFunctionArgs) -> Option<ColumnarValue> {
        if self.function.name() == "date_trunc"
            && let Some(truncated) = truncated(args)
        {
            return Some(truncated);
        }
        let value = attempted(|| self.function.invoke_with_args(args.clone()))?;
        if !args.return_field.data_type().is_floating() {
            return Some(value);
        }
        attempted(|| finite(value, args))
    }

    /// The values of `length` rows from `offset`, with NULL where the function fails.
    fn total(&self, args: &ScalarFunctionArgs, offset: usize, length: usize) -> Result<ArrayRef> {
        let part = sliced(args, offset, length);
        if let Some(value) = self.value(&part) {
            return value.into_array(length);
        }
        if length <= 1 {
            return Ok(new_null_array(args.return_field.data_type(), length));
        }
        let half = length / 2;
        let first = self.total(args, offset, half)?;
        let second = self.total(args, offset.saturating_add(half), length.saturating_sub(half))?;
        Ok(concat(&[first.as_ref(), second.as_ref()])?)
    }
}

fn sliced(args: &ScalarFunctionArgs, offset: usize, length: usize) -> ScalarFunctionArgs {
    let slice = |arg: &ColumnarValue| match arg {
        ColumnarValue::Array(values) => ColumnarValue::Array(values.slice(offset, length)),
        ColumnarValue::Scalar(value) => ColumnarValue::Scalar(value.clone()),
    };
    ScalarFunctionArgs {
        args: args.args.iter().map(slice).collect(),
        number_rows: length,
        ..args.clone()
    }
}

/// The result, with NULL where it is not a finite number although all arguments are: a root of a negative number, a logarithm of zero.
fn finite(value: ColumnarValue, args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let scalar = matches!(value, ColumnarValue::Scalar(_));
    let rows = if scalar { 1 } else { args.number_rows };
    let values = canonical(value.into_array(rows)?);
    let result = is_finite(&values)?;
    if result.iter().flatten().all(|finite| finite) {
        return of_array(values, scalar);
    }
    let mut lost: Vec<bool> = result.iter().map(|finite| finite == Some(false)).collect();
    for arg in args.args.iter().filter(|arg| arg.data_type().is_floating()) {
        let finite = is_finite(&arg.clone().into_array(rows)?)?;
        for (lost, finite) in lost.iter_mut().zip(&finite) {
            *lost &= finite == Some(true);
        }
    }
    of_array(nullif(&values, &BooleanArray::from(lost))?, scalar)
}

fn of_array(values: ArrayRef, scalar: bool) -> Result<ColumnarValue> {
    Ok(if scalar {
        ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?)
    } else {
        ColumnarValue::Array(values)
    })
}

/// Whether each number is finite; NULL if it is missing.
fn is_finite(values: &ArrayRef) -> Result<BooleanArray> {
    let numbers = arrow::compute::cast(values, &DataType::Float64)?;
    let numbers = numbers
        .as_primitive_opt::<Float64Type>()
        .ok_or_else(|| DataFusionError::Internal("these are not numbers".to_owned()))?;
    Ok(numbers.iter().map(|number| number.map(f64::is_finite)).collect())
}
