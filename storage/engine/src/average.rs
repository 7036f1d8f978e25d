//! The mean of whole numbers and decimals, exact up to one rounding.
//!
//! The library adds such numbers as 64-bit floating point numbers, where a sum of large ones loses digits: the mean of equal numbers can
//! be another number. Here the sum is exact, and is divided once. The mean of a consortium is divided in the same way from the sums and
//! counts of its members ([`mean_of`]), so that one table and its parts have the same mean.

mod exact;

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array},
    compute::cast,
    datatypes::{DataType, Decimal128Type, Field, FieldRef, Float64Type, Int64Type},
};
use datafusion::{
    error::{DataFusionError, Result},
    functions_aggregate::average::avg_udaf,
    logical_expr::{
        Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, Expr, GroupsAccumulator, ScalarFunctionArgs,
        ScalarUDF, ScalarUDFImpl, Signature, Volatility,
        expr::ScalarFunction,
        function::{AccumulatorArgs, StateFieldsArgs},
    },
};

use super::numeric_aggregates;

use exact::{ExactMeans, SUM_DIGITS, SingleMean, quotient};

/// Name of the function for a mean of a sum and a count; queries cannot use it.
pub(super) const MEAN_OF_PARTS: &str = "mean_of_parts";
/// Digits of the numbers that are added exactly: with 38 digits in the sum, ten thousand million rows fit.
const EXACT_DIGITS: u8 = 28;

/// The aggregate function `avg`, also named `mean`.
pub(crate) fn average() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(Average {
        signature: Signature::user_defined(Volatility::Immutable),
        aliases: vec!["mean".to_owned()],
    }))
}

/// `sum / count` as the mean of `count` numbers with this exact or floating point `sum`; NULL if there are none.
///
/// The sum of whole numbers is of type [`DataType::Decimal128`], as `sum(CAST(x AS DECIMAL(19,0)))` returns it.
#[must_use]
pub fn mean_of(sum: Expr, count: Expr) -> Expr {
    let mean = ScalarUDF::new_from_impl(MeanOf {
        signature: Signature::any(2, Volatility::Immutable),
    });
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(mean), vec![sum, count]))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Average {
    signature: Signature,
    aliases: Vec<String>,
}

impl AggregateUDFImpl for Average {
    fn name(&self) -> &'static str {
        "avg"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [length @ DataType::Duration(_)] => Ok(length.clone()),
            _ => Ok(DataType::Float64),
        }
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [operand] = types else {
            return Err(DataFusionError::Plan("`avg` has one argument".to_owned()));
        };
        if let Some(added) = added_as(operand) {
            return Ok(vec![added]);
        }
        Err(DataFusionError::Plan(
            "`avg` is computed from numbers, and its argument is not one".to_owned(),
        ))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        if scale(args.input_fields).is_none() || args.is_distinct {
            return of_others().state_fields(args);
        }
        let sum = Field::new(format!("{}[sum]", args.name), DataType::Decimal128(SUM_DIGITS, 0), true);
        let count = Field::new(format!("{}[count]", args.name), DataType::Int64, true);
        Ok(vec![Arc::new(sum), Arc::new(count)])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        match scale(args.expr_fields).filter(|_| !args.is_distinct) {
            Some(scale) => Ok(Box::new(SingleMean::new(scale))),
            None => of_others().accumulator(args),
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        match scale(args.expr_fields).filter(|_| !args.is_distinct) {
            Some(scale) => Ok(Box::new(SingleMean::new(scale))),
            None => of_others().create_sliding_accumulator(args),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        match scale(args.expr_fields) {
            Some(scale) => Ok(Box::new(ExactMeans::new(scale))),
            None => of_others().create_groups_accumulator(args),
        }
    }
}

/// The mean of what is not added exactly: floating point numbers and lengths of time.
fn of_others() -> Arc<AggregateUDF> {
    numeric_aggregates::exact(avg_udaf())
}

/// The type as which numbers of `operand` are added; `None` if they are not numbers.
#[expect(clippy::wildcard_enum_match_arm, reason = "other types are not numbers")]
fn added_as(operand: &DataType) -> Option<DataType> {
    match operand {
        DataType::UInt64 => Some(DataType::Decimal128(20, 0)),
        operand if operand.is_integer() => Some(DataType::Int64),
        DataType::Decimal128(digits, scale) if *digits <= EXACT_DIGITS && *scale >= 0 => Some(operand.clone()),
        operand if operand.is_numeric() => Some(DataType::Float64),
        DataType::Duration(_) => Some(operand.clone()),
        DataType::Null => Some(DataType::Float64),
        _ => None,
    }
}

/// The digits after the point, if the numbers are added exactly.
#[expect(clippy::wildcard_enum_match_arm, reason = "other numbers are not added exactly")]
fn scale(fields: &[FieldRef]) -> Option<i8> {
    match fields.first()?.data_type() {
        DataType::Int64 => Some(0),
        DataType::Decimal128(_, scale) => Some(*scale),
        _ => None,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct MeanOf {
    signature: Signature,
}

impl ScalarUDFImpl for MeanOf {
    fn name(&self) -> &'static str {
        MEAN_OF_PARTS
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let operands = ColumnarValue::values_to_arrays(&args.args)?;
        let [sums, counts] = operands.as_slice() else {
            return Err(DataFusionError::Internal("a mean has a sum and a count".to_owned()));
        };
        let counts = cast(counts, &DataType::Int64)?;
        Ok(ColumnarValue::Array(means(sums, &counts)?))
    }
}

fn means(sums: &ArrayRef, counts: &ArrayRef) -> Result<ArrayRef> {
    let counts = counts.as_primitive::<Int64Type>().iter();
    let counts = counts.map(|count| count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0));
    if sums.data_type().is_floating() {
        let sums = cast(sums, &DataType::Float64)?;
        #[expect(clippy::cast_precision_loss, reason = "a number of rows is far below 2^53")]
        let mean = |(sum, count): (Option<f64>, u64)| Some(sum? / (count > 0).then_some(count as f64)?);
        let means: Float64Array = sums
            .as_primitive::<Float64Type>()
            .iter()
            .zip(counts)
            .map(mean)
            .collect();
        return Ok(Arc::new(means));
    }
    let (sums, scale) = exact_sums(sums)?;
    let sums = sums.as_primitive::<Decimal128Type>().iter();
    let mean = |(sum, count): (Option<i128>, u64)| quotient(sum?, count, scale);
    let means: Float64Array = sums.zip(counts).map(mean).collect();
    Ok(Arc::new(means))
}

/// Sums as decimals, with the number of their digits after the point.
#[expect(clippy::wildcard_enum_match_arm, reason = "other sums are whole numbers")]
fn exact_sums(sums: &ArrayRef) -> Result<(ArrayRef, i8)> {
    match sums.data_type() {
        DataType::Decimal128(_, scale) => Ok((Arc::clone(sums), *scale)),
        _ => Ok((cast(sums, &DataType::Decimal128(SUM_DIGITS, 0))?, 0)),
    }
}

#[cfg(test)]
mod tests;
