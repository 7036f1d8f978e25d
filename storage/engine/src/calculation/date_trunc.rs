//! `date_trunc` of timestamps in their own unit: the library converts them to nanoseconds, which begin in 1677 and end in 2262.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray},
    datatypes::{
        ArrowTimestampType, DataType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampSecondType,
    },
};
use chrono::{DateTime, Datelike, NaiveDate};
use datafusion::{
    common::ScalarValue,
    logical_expr::{ColumnarValue, ScalarFunctionArgs},
};

use crate::types::UTC;

const DAY_SECONDS: i64 = 86_400;

/// What a timestamp is truncated to.
#[derive(Clone, Copy)]
enum Precision {
    /// A number of parts of a second.
    Fraction(i64),
    /// A number of seconds, up to a day.
    Seconds(i64),
    Week,
    Month,
    Quarter,
    Year,
}

impl Precision {
    fn of(name: &str) -> Option<Self> {
        Some(match name.to_lowercase().as_str() {
            "microsecond" => Self::Fraction(1_000_000),
            "millisecond" => Self::Fraction(1_000),
            "second" => Self::Seconds(1),
            "minute" => Self::Seconds(60),
            "hour" => Self::Seconds(3_600),
            "day" => Self::Seconds(DAY_SECONDS),
            "week" => Self::Week,
            "month" => Self::Month,
            "quarter" => Self::Quarter,
            "year" => Self::Year,
            _ => return None,
        })
    }

    /// The begin of the part in which `value` lies; `value` counts parts of a second since 1970, `per_second` of them in each. `None` if
    /// there is no such value.
    fn begin(self, value: i64, per_second: i64) -> Option<i64> {
        let within = |length: i64| value.checked_sub(value.rem_euclid(length));
        let day = |date: NaiveDate| {
            let days = date.signed_duration_since(NaiveDate::default()).num_days();
            days.checked_mul(DAY_SECONDS)?.checked_mul(per_second)
        };
        let date = || DateTime::from_timestamp(value.div_euclid(per_second), 0).map(|at| at.date_naive());
        match self {
            Self::Fraction(parts) => within(per_second.checked_div(parts)?.max(1)),
            Self::Seconds(seconds) => within(seconds.checked_mul(per_second)?),
            Self::Week => {
                let date = date()?;
                day(date.checked_sub_days(chrono::Days::new(u64::from(date.weekday().num_days_from_monday())))?)
            }
            Self::Month => day(date()?.with_day(1)?),
            Self::Quarter => {
                let date = date()?.with_day(1)?;
                day(date.with_month0(date.month0().checked_sub(date.month0() % 3)?)?)
            }
            Self::Year => day(date()?.with_ordinal(1)?),
        }
    }
}

/// The truncated timestamps; `None` if the library computes them: for other types, other zones, and an unknown precision.
pub(super) fn truncated(args: &ScalarFunctionArgs) -> Option<ColumnarValue> {
    let [ColumnarValue::Scalar(precision), values] = args.args.as_slice() else {
        return None;
    };
    let precision = Precision::of(precision.try_as_str().flatten()?)?;
    let is_scalar = matches!(values, ColumnarValue::Scalar(_));
    let values = values.to_array(if is_scalar { 1 } else { args.number_rows }).ok()?;
    let DataType::Timestamp(unit, zone) = values.data_type() else {
        return None;
    };
    if zone.as_deref().is_some_and(|zone| zone != UTC) {
        return None;
    }
    let truncated = match unit {
        TimeUnit::Second => of_unit::<TimestampSecondType>(&values, precision, 1)?,
        TimeUnit::Millisecond => of_unit::<TimestampMillisecondType>(&values, precision, 1_000)?,
        TimeUnit::Microsecond => of_unit::<TimestampMicrosecondType>(&values, precision, 1_000_000)?,
        TimeUnit::Nanosecond => return None,
    };
    if !is_scalar {
        return Some(ColumnarValue::Array(truncated));
    }
    ScalarValue::try_from_array(&truncated, 0)
        .ok()
        .map(ColumnarValue::Scalar)
}

fn of_unit<T: ArrowTimestampType + ArrowPrimitiveType<Native = i64>>(
    values: &ArrayRef,
    precision: Precision,
    per_second: i64,
) -> Option<ArrayRef> {
    let DataType::Timestamp(_, zone) = values.data_type() else {
        return None;
    };
    let values = values.as_primitive_opt::<T>()?;
    let begin: PrimitiveArray<T> = values.unary_opt(|value| precision.begin(value, per_second));
    Some(Arc::new(begin.with_timezone_opt(zone.clone())))
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDateTime;

    use super::*;

    #[test]
    fn timestamps_are_truncated_from_year_1_to_9999() {
        let millis = |text: &str| {
            let at = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").unwrap();
            at.and_utc().timestamp_millis()
        };
        for (at, precision, expected) in [
            ("0001-01-02 03:04:05.678", "month", "0001-01-01 00:00:00"),
            ("0001-01-02 03:04:05.678", "millisecond", "0001-01-02 03:04:05.678"),
            ("1677-09-21 00:12:43.145", "month", "1677-09-01 00:00:00"),
            ("1969-12-31 23:59:59.999", "second", "1969-12-31 23:59:59"),
            ("1969-12-31 23:59:59.999", "minute", "1969-12-31 23:59:00"),
            ("1969-12-31 23:59:59.999", "week", "1969-12-29 00:00:00"),
            ("2024-02-29 23:00:01", "hour", "2024-02-29 23:00:00"),
            ("2024-02-29 23:00:01", "day", "2024-02-29 00:00:00"),
            ("2024-02-29 23:00:01", "quarter", "2024-01-01 00:00:00"),
            ("2262-04-12 00:00:00", "Year", "2262-01-01 00:00:00"),
            ("9999-12-31 23:59:59.999", "quarter", "9999-10-01 00:00:00"),
            ("9999-12-31 23:59:59.999", "week", "9999-12-27 00:00:00"),
        ] {
            let begin = Precision::of(precision).unwrap().begin(millis(at), 1_000);
            assert_eq!(begin, Some(millis(expected)), "{precision} of {at}");
        }
        assert!(Precision::of("century").is_none());
    }
}
