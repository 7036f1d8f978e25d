//! The SQL types of casts and literals.
//!
//! A timestamp that a query writes has microseconds: nanoseconds, which the library would use, end in the year 2262.

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::{
    error::{DataFusionError, Result},
    logical_expr::planner::TypePlanner,
    sql::sqlparser::ast::{self, ExactNumberInfo, TimezoneInfo},
};
use std::sync::Arc;

/// Most digits of a decimal number.
pub(crate) const MAX_DIGITS: u8 = 38;
/// Digits of `DECIMAL` without any, before and after the point.
const DEFAULT_DECIMAL: (u8, i8) = (38, 10);
/// The zone of timestamps with a zone.
pub(crate) const UTC: &str = "UTC";

/// Plans the types whose meaning differs from that of the library.
#[derive(Debug)]
pub(crate) struct Types;

impl TypePlanner for Types {
    #[expect(clippy::wildcard_enum_match_arm, reason = "other types are those of the library")]
    fn plan_type_field(&self, sql: &ast::DataType) -> Result<Option<FieldRef>> {
        let planned = match sql {
            ast::DataType::Timestamp(digits, zone) => timestamp(*digits, *zone)?,
            ast::DataType::Decimal(digits) | ast::DataType::Numeric(digits) | ast::DataType::Dec(digits) => {
                let (precision, scale) = decimal(*digits).ok_or_else(|| {
                    DataFusionError::Plan(format!(
                        "`{sql}` is not a type: write `DECIMAL(digits, digits after the point)` with up to {MAX_DIGITS} digits"
                    ))
                })?;
                DataType::Decimal128(precision, scale)
            }
            _ => return Ok(None),
        };
        Ok(Some(Arc::new(Field::new("", planned, true))))
    }
}

fn timestamp(digits: Option<u64>, zone: TimezoneInfo) -> Result<DataType> {
    let unit = match digits {
        None | Some(6) => TimeUnit::Microsecond,
        Some(3) => TimeUnit::Millisecond,
        Some(0) => TimeUnit::Second,
        Some(_) => {
            return Err(DataFusionError::Plan(
                "a `TIMESTAMP` has 0, 3 or 6 digits after the second".to_owned(),
            ));
        }
    };
    let zone = match zone {
        TimezoneInfo::None | TimezoneInfo::WithoutTimeZone => None,
        TimezoneInfo::WithTimeZone | TimezoneInfo::Tz => Some(UTC.into()),
    };
    Ok(DataType::Timestamp(unit, zone))
}

/// Precision and scale of a decimal type, if they are valid.
pub(crate) fn decimal(digits: ExactNumberInfo) -> Option<(u8, i8)> {
    let (precision, scale) = match digits {
        ExactNumberInfo::None => return Some(DEFAULT_DECIMAL),
        ExactNumberInfo::Precision(precision) => (precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (precision, scale),
    };
    let precision = u8::try_from(precision)
        .ok()
        .filter(|digits| (1..=MAX_DIGITS).contains(digits))?;
    let scale = i8::try_from(scale).ok()?;
    (scale >= 0 && scale.unsigned_abs() <= precision).then_some((precision, scale))
}
