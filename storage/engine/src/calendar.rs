//! The days that dates and timestamps have: those of the years 1 to 9999, in which texts and files are read as well.
//!
//! The library computes with more years than it writes in a form that others read: two years before 0001-06-01 is `-0001-06-01` in it.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray},
    datatypes::{
        ArrowNativeType, ArrowTimestampType, DataType, Date32Type, TimeUnit, TimestampMicrosecondType,
        TimestampMillisecondType, TimestampSecondType,
    },
};

const DAY_SECONDS: i64 = 86_400;
/// 0001-01-01, in days since 1970-01-01.
const FIRST_DAY: i64 = -719_162;
/// 10000-01-01, in days since 1970-01-01.
const AFTER_LAST_DAY: i64 = 2_932_897;

/// The dates and timestamps with NULL for those of other years; other values as they are.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other types have no days, and nanoseconds begin in 1677"
)]
pub(crate) fn within_years(values: ArrayRef) -> ArrayRef {
    match values.data_type() {
        DataType::Date32 => within::<Date32Type>(values, 1),
        DataType::Timestamp(TimeUnit::Second, _) => within_of_unit::<TimestampSecondType>(values, 1),
        DataType::Timestamp(TimeUnit::Millisecond, _) => within_of_unit::<TimestampMillisecondType>(values, 1_000),
        DataType::Timestamp(TimeUnit::Microsecond, _) => within_of_unit::<TimestampMicrosecondType>(values, 1_000_000),
        _ => values,
    }
}

fn within_of_unit<T: ArrowTimestampType>(values: ArrayRef, per_second: i64) -> ArrayRef {
    within::<T>(values, DAY_SECONDS.saturating_mul(per_second))
}

/// `per_day` is how many units of the type a day has.
fn within<T: ArrowPrimitiveType>(values: ArrayRef, per_day: i64) -> ArrayRef {
    let known = FIRST_DAY.saturating_mul(per_day)..AFTER_LAST_DAY.saturating_mul(per_day);
    let is_known = |value: T::Native| value.to_i64().is_some_and(|value| known.contains(&value));
    let units = values.as_primitive::<T>();
    // A missing value may have anything in its place.
    if units.values().iter().all(|value| is_known(*value)) {
        return values;
    }
    let zoned: DataType = units.data_type().clone();
    let known: PrimitiveArray<T> = units.unary_opt(|value| is_known(value).then_some(value));
    Arc::new(known.with_data_type(zoned))
}

#[cfg(test)]
mod tests {
    use arrow::{
        array::{Date32Array, Int64Array, TimestampMillisecondArray},
        compute::cast,
    };

    use super::*;

    #[test]
    fn days_of_other_years_are_missing() {
        let days =
            [FIRST_DAY - 1, FIRST_DAY, 0, AFTER_LAST_DAY - 1, AFTER_LAST_DAY].map(|day| i32::try_from(day).unwrap());
        let dates: ArrayRef = Arc::new(Date32Array::from(days.to_vec()));
        let written = cast(&within_years(Arc::clone(&dates)), &DataType::Utf8).unwrap();
        let written: Vec<_> = written.as_string::<i32>().iter().collect();
        assert_eq!(
            written,
            [None, Some("0001-01-01"), Some("1970-01-01"), Some("9999-12-31"), None]
        );

        for unit in [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond] {
            let zoned = DataType::Timestamp(unit, Some("UTC".into()));
            let found = within_years(cast(&dates, &zoned).unwrap());
            assert_eq!(found.data_type(), &zoned);
            let missing: Vec<_> = (0..found.len()).map(|row| found.is_null(row)).collect();
            assert_eq!(missing, [true, false, false, false, true], "{unit:?}");
        }
    }

    #[test]
    fn the_last_instant_of_a_year_is_in_it() {
        let last = AFTER_LAST_DAY * DAY_SECONDS * 1_000 - 1;
        let instants: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![Some(last), None, Some(last + 1)]));
        let found = within_years(instants);
        assert_eq!(
            found
                .as_primitive::<TimestampMillisecondType>()
                .iter()
                .collect::<Vec<_>>(),
            [Some(last), None, None]
        );
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX]));
        assert_eq!(&within_years(Arc::clone(&numbers)), &numbers);
    }
}
