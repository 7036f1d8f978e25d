//! Texts that a query wrote, read as what they are compared with: completely, or not at all.

use arrow::datatypes::DataType;
use chrono::{NaiveDate, NaiveTime, Timelike};
use datafusion::common::ScalarValue;

use super::class::Class;

/// Microseconds of a day.
pub(super) const DAY_MICROS: i64 = 86_400_000_000;
/// Microseconds of a second.
const SECOND_MICROS: i64 = 1_000_000;
/// 1970-01-01 counted from the first day of year 1, which is day 1.
const EPOCH_DAY: i32 = 719_163;

/// The value that `text` states, of the class; `whole` if only whole numbers are numbers here. `None` if it does not state one.
pub(crate) fn read(text: &str, class: Class, whole: bool) -> Option<ScalarValue> {
    match class {
        Class::Boolean => boolean(text).map(|value| ScalarValue::Boolean(Some(value))),
        Class::Number => number(text, whole),
        Class::Date => date(text).map(|days| ScalarValue::Date32(Some(days))),
        Class::Timestamp => timestamp(text).and_then(|(micros, zone)| match zone {
            None => Some(ScalarValue::TimestampMicrosecond(Some(micros), None)),
            Some(_) => None,
        }),
        Class::Instant => timestamp(text).and_then(|(micros, zone)| {
            let instant = micros.checked_sub(zone.unwrap_or(0))?;
            Some(ScalarValue::TimestampMicrosecond(
                Some(instant),
                Some(crate::types::UTC.into()),
            ))
        }),
        Class::Time => time(text).map(|micros| ScalarValue::Time64Nanosecond(micros.checked_mul(1000))),
        Class::Interval => ScalarValue::Utf8(Some(text.to_owned()))
            .cast_to(&DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano))
            .ok(),
        Class::Text => Some(ScalarValue::Utf8(Some(text.to_owned()))),
        Class::Null | Class::Other => None,
    }
}

/// How a value of the class is written, for error messages.
pub(crate) const fn notation(class: Class, whole: bool) -> &'static str {
    match class {
        Class::Boolean => "`true` or `false`",
        Class::Number if whole => "a whole number",
        Class::Number => "a number",
        Class::Date => "a date, written `yyyy-mm-dd`",
        Class::Timestamp => "a timestamp, written `yyyy-mm-dd hh:mm:ss`",
        Class::Instant => "a timestamp, written `yyyy-mm-dd hh:mm:ss`, with or without a zone",
        Class::Time => "a time of day, written `hh:mm:ss`",
        Class::Interval => "an interval, written as in `1 day`",
        Class::Null | Class::Text | Class::Other => "a value",
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" => Some(true),
        "false" | "f" => Some(false),
        _ => None,
    }
}

fn number(text: &str, whole: bool) -> Option<ScalarValue> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return text.parse().ok().map(|value| ScalarValue::Int64(Some(value)));
    }
    let plain = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
    if whole || !text.bytes().all(plain) {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    value.is_finite().then_some(ScalarValue::Float64(Some(value)))
}

/// Days since 1970-01-01 of a `yyyy-mm-dd` from year 1 on.
pub(super) fn date(text: &str) -> Option<i32> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let day = NaiveDate::from_ymd_opt(
        i32::try_from(digits(year, 4..=4)?).ok().filter(|year| *year > 0)?,
        digits(month, 2..=2)?,
        digits(day, 2..=2)?,
    )?;
    Some(chrono::Datelike::num_days_from_ce(&day) - EPOCH_DAY)
}

/// Microseconds since 1970-01-01 of a date, or of a date and time, and the offset from UTC in microseconds if it states one.
pub(super) fn timestamp(text: &str) -> Option<(i64, Option<i64>)> {
    let (day, rest) = text.split_at_checked(10)?;
    let midnight = i64::from(date(day)?).checked_mul(DAY_MICROS)?;
    if rest.is_empty() {
        return Some((midnight, None));
    }
    let (clock, zone) = zone(rest.strip_prefix(['T', ' '])?)?;
    Some((midnight.checked_add(time(clock)?)?, zone))
}

/// Splits a trailing `Z`, ` UTC`, `+hh` or `+hh:mm` off; the offset is in microseconds east of UTC.
fn zone(text: &str) -> Option<(&str, Option<i64>)> {
    if let Some(clock) = text.strip_suffix('Z').or_else(|| text.strip_suffix("UTC")) {
        return Some((clock.trim_end_matches(' '), Some(0)));
    }
    let Some(at) = text.find(['+', '-']) else {
        return Some((text, None));
    };
    let (clock, offset) = text.split_at_checked(at)?;
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let offset = offset.get(1..)?;
    let (hours, minutes) = offset.split_once(':').unwrap_or((offset, "00"));
    let hours = digits(hours, 2..=2).filter(|hours| *hours < 24)?;
    let minutes = digits(minutes, 2..=2).filter(|minutes| *minutes < 60)?;
    let seconds = i64::from(hours) * 3600 + i64::from(minutes) * 60;
    Some((clock.trim_end_matches(' '), Some(sign * seconds * SECOND_MICROS)))
}

/// Microseconds since midnight of `hh:mm`, `hh:mm:ss` or `hh:mm:ss.ffffff`.
fn time(text: &str) -> Option<i64> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':');
    let (hour, minute) = (digits(parts.next()?, 2..=2)?, digits(parts.next()?, 2..=2)?);
    let second = parts.next().map_or(Some(0), |second| digits(second, 2..=2))?;
    if parts.next().is_some() || text.ends_with('.') {
        return None;
    }
    let micros = match fraction {
        "" => 0,
        fraction => digits(&format!("{fraction:0<6}"), 6..=6)?,
    };
    let time = NaiveTime::from_hms_opt(hour, minute, second)?;
    Some(i64::from(time.num_seconds_from_midnight()) * SECOND_MICROS + i64::from(micros))
}

fn digits(text: &str, length: std::ops::RangeInclusive<usize>) -> Option<u32> {
    let plain = length.contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}
