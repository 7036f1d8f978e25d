//! Values as the text that a CSV file would have for them.

use std::fmt::Write;

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use parquet::data_type::{AsBytes, ByteArray, FixedLenByteArray, Int96};

use super::schema::{Reading, Unit};
use crate::ingest::limits::MAX_FIELD_BYTES;

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// It was written.
    Written,
    /// There is none.
    Missing,
    /// It is longer than a field may be.
    TooLong,
    /// It is not UTF-8, or cannot be what its column contains.
    Invalid,
}

/// Days from the first day of year 1, which is day 1, to 1970-01-01.
const EPOCH_DAY: i32 = 719_163;

pub(super) fn boolean(value: &bool, _: Reading, text: &mut String) -> Cell {
    text.push_str(if *value { "true" } else { "false" });
    Cell::Written
}

pub(super) fn int32(value: &i32, reading: Reading, text: &mut String) -> Cell {
    match reading {
        Reading::Unsigned => write(text, value.cast_unsigned()),
        Reading::Date => date(*value, text),
        Reading::Boolean
        | Reading::Int
        | Reading::Float
        | Reading::Time(_)
        | Reading::Timestamp { .. }
        | Reading::Decimal(_)
        | Reading::Text
        | Reading::Uuid => int64(&i64::from(*value), reading, text),
    }
}

pub(super) fn int64(value: &i64, reading: Reading, text: &mut String) -> Cell {
    match reading {
        Reading::Unsigned => write(text, value.cast_unsigned()),
        Reading::Time(unit) => time(*value, unit, text),
        Reading::Timestamp { unit, is_utc } => timestamp(*value, unit, is_utc, text),
        Reading::Decimal(scale) => decimal((*value).into(), scale, text),
        Reading::Boolean | Reading::Int | Reading::Float | Reading::Date | Reading::Text | Reading::Uuid => {
            write(text, value)
        }
    }
}

/// Nanoseconds of a day and a Julian day, without a zone.
pub(super) fn int96(value: &Int96, _: Reading, text: &mut String) -> Cell {
    const JULIAN_DAY_OF_EPOCH: i64 = 2_440_588;
    const DAY_NANOS: i64 = 86_400_000_000_000;
    let [low, high, day] = value.data() else {
        return Cell::Invalid;
    };
    let nanos = (u64::from(*high) << 32 | u64::from(*low)).cast_signed();
    let days = i64::from(*day) - JULIAN_DAY_OF_EPOCH;
    let seconds = days
        .checked_mul(86_400)
        .and_then(|seconds| seconds.checked_add(nanos.div_euclid(1_000_000_000)));
    let within_day = (0..DAY_NANOS).contains(&nanos);
    let instant = seconds.and_then(|seconds| DateTime::from_timestamp(seconds, subsecond(nanos, 1)));
    match instant.filter(|_| within_day) {
        Some(instant) => date_time(instant.naive_utc(), false, text),
        None => Cell::Invalid,
    }
}

/// The shortest digits that stand for the value: widening it to 64 bits first would add some.
pub(super) fn float(value: &f32, _: Reading, text: &mut String) -> Cell {
    write_debug(text, value)
}

pub(super) fn double(value: &f64, _: Reading, text: &mut String) -> Cell {
    write_debug(text, value)
}

pub(super) fn bytes(value: &ByteArray, reading: Reading, text: &mut String) -> Cell {
    // An array without bytes is not set.
    let bytes = if value.is_empty() { &[] } else { value.data() };
    by_bytes(bytes, reading, text)
}

pub(super) fn fixed(value: &FixedLenByteArray, reading: Reading, text: &mut String) -> Cell {
    by_bytes(value.as_bytes(), reading, text)
}

fn by_bytes(bytes: &[u8], reading: Reading, text: &mut String) -> Cell {
    match reading {
        Reading::Decimal(scale) => match big_endian(bytes) {
            Some(number) => decimal(number, scale, text),
            None => Cell::Invalid,
        },
        Reading::Uuid => uuid(bytes, text),
        Reading::Text
        | Reading::Boolean
        | Reading::Int
        | Reading::Unsigned
        | Reading::Float
        | Reading::Date
        | Reading::Time(_)
        | Reading::Timestamp { .. } => utf8(bytes, text),
    }
}

fn utf8(bytes: &[u8], text: &mut String) -> Cell {
    if bytes.len() > MAX_FIELD_BYTES {
        return Cell::TooLong;
    }
    match std::str::from_utf8(bytes) {
        Ok(value) => {
            text.push_str(value);
            Cell::Written
        }
        Err(_) => Cell::Invalid,
    }
}

/// A whole number of up to 16 bytes, the most significant first.
fn big_endian(bytes: &[u8]) -> Option<i128> {
    let (first, _) = bytes.split_first()?;
    let sign = if *first >= 0x80 { -1 } else { 0 };
    (bytes.len() <= 16).then(|| {
        bytes
            .iter()
            .fold(sign, |number: i128, byte| number << 8 | i128::from(*byte))
    })
}

fn decimal(number: i128, scale: u32, text: &mut String) -> Cell {
    let Some(one) = 10_u128.checked_pow(scale) else {
        return Cell::Invalid;
    };
    let sign = if number < 0 { "-" } else { "" };
    let digits = number.unsigned_abs();
    let whole = digits / one;
    let fraction = digits % one;
    if scale == 0 {
        write(text, format_args!("{sign}{whole}"))
    } else {
        let width = usize::try_from(scale).unwrap_or(0);
        write(text, format_args!("{sign}{whole}.{fraction:0width$}"))
    }
}

fn date(days: i32, text: &mut String) -> Cell {
    match days
        .checked_add(EPOCH_DAY)
        .and_then(NaiveDate::from_num_days_from_ce_opt)
    {
        Some(date) => write(text, date),
        None => Cell::Invalid,
    }
}

fn time(value: i64, unit: Unit, text: &mut String) -> Cell {
    let (seconds, nanos) = split(value, unit);
    let time = u32::try_from(seconds)
        .ok()
        .and_then(|seconds| chrono::NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos));
    match time {
        Some(time) => write(text, time),
        None => Cell::Invalid,
    }
}

fn timestamp(value: i64, unit: Unit, is_utc: bool, text: &mut String) -> Cell {
    let (seconds, nanos) = split(value, unit);
    match DateTime::from_timestamp(seconds, nanos) {
        Some(instant) => date_time(instant.naive_utc(), is_utc, text),
        None => Cell::Invalid,
    }
}

/// As `yyyy-mm-ddThh:mm:ss`, with as many digits of a second as it has.
fn date_time(instant: NaiveDateTime, is_utc: bool, text: &mut String) -> Cell {
    let zone = if is_utc { "Z" } else { "" };
    write(text, format_args!("{}T{}{zone}", instant.date(), instant.time()))
}

/// Seconds, and nanoseconds after them.
fn split(value: i64, unit: Unit) -> (i64, u32) {
    let (per_second, nanos) = match unit {
        Unit::Millis => (1_000, 1_000_000),
        Unit::Micros => (1_000_000, 1_000),
        Unit::Nanos => (1_000_000_000, 1),
    };
    (
        value.div_euclid(per_second),
        subsecond(value.rem_euclid(per_second), nanos),
    )
}

/// Nanoseconds of a second.
fn subsecond(parts: i64, nanos: i64) -> u32 {
    let within = (parts * nanos).rem_euclid(1_000_000_000);
    u32::try_from(within).unwrap_or(0)
}

/// As text of five groups of digits.
fn uuid(bytes: &[u8], text: &mut String) -> Cell {
    if bytes.len() != 16 {
        return Cell::Invalid;
    }
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    Cell::Written
}

/// Writing to a text cannot fail.
fn write(text: &mut String, value: impl std::fmt::Display) -> Cell {
    let _ = write!(text, "{value}");
    Cell::Written
}

/// With the sign of an exponent: without one it could be a code.
fn write_debug(text: &mut String, value: impl std::fmt::Debug) -> Cell {
    let written = format!("{value:?}");
    let _ = match written.split_once('e') {
        Some((digits, power)) if !power.starts_with('-') => write!(text, "{digits}e+{power}"),
        Some(_) | None => write!(text, "{written}"),
    };
    Cell::Written
}
