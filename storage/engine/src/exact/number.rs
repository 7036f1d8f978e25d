//! What matters of a number beside others, and how numbers are compared.

use arrow::datatypes::{DECIMAL256_MAX_PRECISION, DataType};
use datafusion::{
    common::{ExprSchema, ScalarValue},
    error::Result,
    logical_expr::{Expr, ExprSchemable, TryCast},
};

use crate::{calculation, meaning::literal_value, positions::LIMIT, types::MAX_DIGITS};

/// Up to this number, and down to its negative, each whole number is a `DOUBLE`: 2^53.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
/// Digits of a decimal number without digits after the point that is below [`MAX_EXACT`].
const EXACT_DIGITS: u8 = 15;
/// Digits after the point where decimals are compared with as many digits as there are.
const WIDE: DataType = DataType::Decimal256(DECIMAL256_MAX_PRECISION, 38);

/// What matters of a number beside others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
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
pub(super) struct Number {
    pub(super) kind: Kind,
    data_type: DataType,
}

impl Number {
    /// # Errors
    /// If the operand has no type.
    pub(super) fn of(operand: &Expr, schema: &dyn ExprSchema) -> Result<Self> {
        let number = Self::of_type(operand.get_type(schema)?);
        let kind = match (number.kind, literal_value(operand).ok().flatten()) {
            (Kind::Whole, Some(value)) if is_exact(&value) => Kind::Small,
            (Kind::Float, Some(ScalarValue::Float64(Some(value)))) if is_plain(value) => Kind::PlainFloat,
            (kind, _) => kind,
        };
        Ok(Self { kind, ..number })
    }

    /// A value of a column of this type.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other types are not those of numbers in a query"
    )]
    pub(super) fn of_type(data_type: DataType) -> Self {
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

    pub(super) const fn is_float(&self) -> bool {
        matches!(self.kind, Kind::Float | Kind::PlainFloat)
    }

    /// Whether the library would convert a `DOUBLE` beside it to its own type, or to one that both have.
    pub(super) fn is_to_be_double(&self) -> bool {
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
    value.is_nan() || value.abs() < MAX_EXACT || value.abs() > LIMIT
}

/// How numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
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
    pub(super) fn of(numbers: &[Number]) -> Self {
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

    /// The operand, which is this number, in the form in which it is compared.
    pub(super) fn operand(self, operand: Expr, number: &Number) -> Expr {
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
pub(super) fn too_many_digits(numbers: &[Number]) -> bool {
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

/// A conversion that each number of the operand has.
pub(super) fn tried(operand: Expr, target: DataType) -> Expr {
    Expr::TryCast(TryCast::new(Box::new(operand), target))
}
