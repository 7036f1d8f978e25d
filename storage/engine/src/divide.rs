//! Division that returns NULL where there is no quotient.
//!
//! This is a separate function rather than a `CASE` around the divisor: that would repeat both operands, and the plan
//! of nested divisions would double with each level.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef},
    compute::{
        and_kleene,
        kernels::{cmp::eq, numeric},
        nullif, or_kleene,
    },
    datatypes::DataType,
};
use datafusion::{
    error::{DataFusionError, Result},
    logical_expr::{
        ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
        binary::BinaryTypeCoercer, expr::ScalarFunction,
    },
    scalar::ScalarValue,
};

use super::floats::canonical;

/// Name of the function for `/`; queries cannot use it.
pub(super) const QUOTIENT: &str = "quotient";
/// Name of the function for `%`.
pub(super) const REMAINDER: &str = "remainder";

/// `dividend / divisor` or `dividend % divisor` of numbers of one type; NULL if the divisor is zero, or if the least whole number is divided
/// by -1, because it has no positive counterpart. Whole numbers are truncated toward zero.
pub(super) fn divided(dividend: Expr, operator: Operator, divisor: Expr) -> Expr {
    let division = Division {
        operator,
        signature: Signature::any(2, Volatility::Immutable),
    };
    Expr::ScalarFunction(ScalarFunction::new_udf(
        Arc::new(ScalarUDF::new_from_impl(division)),
        vec![dividend, divisor],
    ))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Division {
    operator: Operator,
    signature: Signature,
}

impl ScalarUDFImpl for Division {
    fn name(&self) -> &str {
        if self.operator == Operator::Modulo {
            REMAINDER
        } else {
            QUOTIENT
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [dividend, divisor] => BinaryTypeCoercer::new(dividend, &self.operator, divisor).get_result_type(),
            _ => Err(two_operands()),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let operands = ColumnarValue::values_to_arrays(&args.args)?;
        let [dividend, divisor] = operands.as_slice() else {
            return Err(two_operands());
        };
        let divisor = divisible(dividend, divisor)?;
        let divided = if self.operator == Operator::Modulo {
            numeric::rem(dividend, &divisor)?
        } else {
            numeric::div(dividend, &divisor)?
        };
        Ok(ColumnarValue::Array(canonical(divided)))
    }
}

fn two_operands() -> DataFusionError {
    DataFusionError::Internal("a division has two operands".to_owned())
}

/// The divisors, or NULL where there is no quotient.
fn divisible(dividend: &ArrayRef, divisor: &ArrayRef) -> Result<ArrayRef> {
    let zero = ScalarValue::new_zero(divisor.data_type())?;
    let mut without = eq(divisor, &zero.to_scalar()?)?;
    if divisor.data_type().is_floating() {
        // The comparison distinguishes the two zeros.
        without = or_kleene(&without, &eq(divisor, &zero.arithmetic_negate()?.to_scalar()?)?)?;
    }
    if let (Some(least), Ok(minus_one)) = (
        least(dividend.data_type()),
        ScalarValue::new_negative_one(divisor.data_type()),
    ) {
        let overflows = and_kleene(
            &eq(divisor, &minus_one.to_scalar()?)?,
            &eq(dividend, &least.to_scalar()?)?,
        )?;
        without = or_kleene(&without, &overflows)?;
    }
    Ok(nullif(divisor, &without)?)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other types have no least number without a positive counterpart"
)]
const fn least(data_type: &DataType) -> Option<ScalarValue> {
    match data_type {
        DataType::Int8 => Some(ScalarValue::Int8(Some(i8::MIN))),
        DataType::Int16 => Some(ScalarValue::Int16(Some(i16::MIN))),
        DataType::Int32 => Some(ScalarValue::Int32(Some(i32::MIN))),
        DataType::Int64 => Some(ScalarValue::Int64(Some(i64::MIN))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::{array::AsArray, array::Int64Array, datatypes::Int64Type};

    #[test]
    fn both_zeros_divide_nothing() {
        let dividend: ArrayRef = Arc::new(arrow::array::Float64Array::from(vec![1.0, 1.0, 1.0]));
        let divisor: ArrayRef = Arc::new(arrow::array::Float64Array::from(vec![0.0, -0.0, 2.0]));
        let divisible = divisible(&dividend, &divisor).unwrap();
        assert_eq!(divisible.null_count(), 2);
        assert!(divisible.is_valid(2));
    }

    #[test]
    fn missing_quotients_are_null_and_others_are_exact() {
        let dividend: ArrayRef = Arc::new(Int64Array::from(vec![
            Some(7),
            Some(7),
            Some(i64::MIN),
            Some(i64::MIN),
            None,
            Some(7),
            Some(-7),
        ]));
        let divisor: ArrayRef = Arc::new(Int64Array::from(vec![
            Some(2),
            Some(0),
            Some(-1),
            Some(2),
            Some(-1),
            None,
            Some(-1),
        ]));
        let divisor = divisible(&dividend, &divisor).unwrap();
        let quotients = numeric::div(&dividend, &divisor).unwrap();
        let quotients: Vec<_> = quotients.as_primitive::<Int64Type>().iter().collect();
        assert_eq!(
            quotients,
            [Some(3), None, None, Some(i64::MIN / 2), None, None, Some(7)]
        );
    }
}
