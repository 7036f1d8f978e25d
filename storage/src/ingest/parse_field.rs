//! Parses a single field.
//!
//! Every field has a set of kinds that it can be parsed as without loss; the kinds of a column are the intersection
//! over its fields. [`classify`] and the parsers below agree: if the set of a field contains a kind, the parser of that
//! kind accepts the field.

use arrow::datatypes::{DataType, TimeUnit};
use chrono::{Datelike, NaiveDate};
use concordat_protocol::schema::ColumnKind;

/// The zone name of [`ColumnKind::TimestampUtc`].
pub(super) const UTC: &str = "UTC";

/// The Arrow type of a column of this kind.
pub(crate) fn data_type(kind: ColumnKind) -> DataType {
    match kind {
        ColumnKind::Int => DataType::Int64,
        ColumnKind::Float => DataType::Float64,
        ColumnKind::Boolean => DataType::Boolean,
        ColumnKind::Date => DataType::Date32,
        ColumnKind::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, None),
        ColumnKind::TimestampUtc => DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into())),
        ColumnKind::Text => DataType::Utf8,
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kinds(u8);

impl Kinds {
    /// Text.
    pub(super) const NONE: Self = Self(0);
    pub(super) const INT: Self = Self(1);
    pub(super) const FLOAT: Self = Self(1 << 1);
    pub(super) const BOOLEAN: Self = Self(1 << 2);
    pub(super) const DATE: Self = Self(1 << 3);
    pub(super) const TIMESTAMP: Self = Self(1 << 4);
    pub(super) const TIMESTAMP_UTC: Self = Self(1 << 5);
    pub(super) const ALL: Self = Self((1 << 6) - 1);

    /// The narrowest kind first, so that whole numbers are not read as floating point. A number is a truth value or a time only where that
    /// was stated.
    const ORDER: [(Self, ColumnKind); 6] = [
        (Self::BOOLEAN, ColumnKind::Boolean),
        (Self::DATE, ColumnKind::Date),
        (Self::TIMESTAMP, ColumnKind::Timestamp),
        (Self::TIMESTAMP_UTC, ColumnKind::TimestampUtc),
        (Self::INT, ColumnKind::Int),
        (Self::FLOAT, ColumnKind::Float),
    ];

    /// Numbers of either kind.
    pub(super) const NUMBERS: Self = Self::INT.or(Self::FLOAT);

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// The set of `kind` alone; text is the empty set.
    pub(super) fn only(kind: ColumnKind) -> Self {
        Self::ORDER
            .into_iter()
            .find(|(_, known)| *known == kind)
            .map_or(Self::NONE, |(set, _)| set)
    }

    pub(super) fn best(self) -> ColumnKind {
        Self::ORDER
            .into_iter()
            .find(|(kind, _)| !self.and(*kind).is_none())
            .map_or(ColumnKind::Text, |(_, kind)| kind)
    }
}

/// A field without leading and trailing blanks, which typed values ignore.
pub(super) fn trim(field: &str) -> &str {
    let bytes = field.as_bytes();
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    if blank(bytes.first()) || blank(bytes.last()) {
        field.trim_matches([' ', '\t'])
    } else {
        field
    }
}

/// Whether a trimmed field is one of the common markers for a missing value; a blank field is not a marker.
pub(super) fn is_marker(trimmed: &str) -> bool {
    trimmed.len() <= 4 && matches!(trimmed, "?" | "NA" | "NaN" | "NULL" | "null" | "N/A" | ".")
}

/// What is known about one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// All kinds that it can be parsed as; `NONE` means text.
    pub(super) kinds: Kinds,
    /// The digits after the point; `None` for a number with an exponent, and for anything but a number.
    pub(super) decimals: Option<usize>,
    /// Whether the last of several decimals is a zero, which a number does not keep.
    pub(super) padded: bool,
    /// Whether it is a number only if the file says so: codes such as `12E4` are written like whole numbers with an exponent, which no
    /// program writes without a sign.
    pub(super) like_code: bool,
    /// Whether it is written as a spreadsheet program shows a long number in a cell (`1E+05`, `1.23E+11`), with the digits that fit there.
    pub(super) shortened: bool,
    /// Whether it is text because floating point does not restore its digits.
    pub(super) inexact: bool,
    /// Whether the program that wrote it may have rounded it to this number, so that it does not identify anyone: it is 2^53 or more and has a
    /// point or an exponent, or is written as `shortened` describes.
    pub(super) rounded: bool,
    /// The whole part of a number without an exponent, if it fits.
    pub(super) whole: Option<i64>,
    /// The day of a date or date-time, counted from 1970-01-01.
    pub(super) day: Option<i32>,
    /// Whether it is a local time that the clocks of the stated zone skip, or show twice.
    pub(super) in_clock_change: bool,
}

impl Reading {
    pub(super) const TEXT: Self = Self::of(Kinds::NONE);

    pub(super) const fn of(kinds: Kinds) -> Self {
        Self {
            kinds,
            decimals: None,
            padded: false,
            like_code: false,
            shortened: false,
            inexact: false,
            rounded: false,
            whole: None,
            day: None,
            in_clock_change: false,
        }
    }

    /// A date.
    pub(super) const fn on(day: i32) -> Self {
        Self {
            day: Some(day),
            ..Self::of(Kinds::DATE)
        }
    }

    /// A date-time.
    pub(super) fn at(instant_ms: i64, zone: Zone) -> Self {
        Self {
            day: i32::try_from(instant_ms.div_euclid(DAY_MS)).ok(),
            ..Self::of(zone.kinds())
        }
    }

    /// Whether it is a number.
    pub(super) const fn is_number(self) -> bool {
        !self.kinds.and(Kinds::NUMBERS).is_none()
    }
}

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// Reads a trimmed, non-blank field in the usual notation.
pub(super) fn classify(trimmed: &str) -> Reading {
    match trimmed.as_bytes().first() {
        Some(b't' | b'f' | b'T' | b'F') if boolean(trimmed).is_some() => Reading::of(Kinds::BOOLEAN),
        Some(b'-' | b'.') => number(trimmed),
        Some(b'0'..=b'9') => {
            let is_like_time = trimmed.as_bytes().get(4) == Some(&b'-');
            let time = is_like_time.then(|| time(trimmed)).flatten();
            time.unwrap_or_else(|| number(trimmed))
        }
        _ => Reading::TEXT,
    }
}

fn time(value: &str) -> Option<Reading> {
    if let Some(day) = date(value) {
        return Some(Reading::on(day));
    }
    timestamp(value).map(|(instant, zone)| Reading::at(instant, zone))
}

/// Whole numbers up to here are exact in floating point, so they may share a column with fractions.
const EXACT: u64 = 1 << 53;
/// The same as a floating point number.
pub(super) const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Reads a number with a decimal point.
pub(super) fn number(value: &str) -> Reading {
    let body = value.strip_prefix('-').unwrap_or(value);
    let whole = body.bytes().take_while(u8::is_ascii_digit).count();
    if whole > 1 && body.starts_with('0') {
        return Reading::TEXT;
    }
    if whole < body.len() {
        return fraction(value, body, whole);
    }
    let parsed = value.parse::<i64>();
    let kinds = match parsed {
        Ok(0) if value.starts_with('-') => Kinds::FLOAT,
        Ok(int) if int.unsigned_abs() <= EXACT => Kinds::INT.or(Kinds::FLOAT),
        Ok(_) => Kinds::INT,
        Err(_) => Kinds::NONE,
    };
    Reading {
        decimals: Some(0),
        whole: parsed.ok(),
        ..Reading::of(kinds)
    }
}

/// A number with a point or an exponent. One that floating point does not restore with all of its digits is text.
fn fraction(value: &str, body: &str, whole: usize) -> Reading {
    let rest = body.get(whole..).unwrap_or_default();
    let (mantissa, exponent) = split_exponent(body);
    let decimals = rest.strip_prefix('.').filter(|_| exponent.is_none());
    let is_number = match (exponent, decimals) {
        (Some(_), _) => float(value).is_some(),
        (None, Some(decimals)) => body.len() > 1 && decimals.bytes().all(|byte| byte.is_ascii_digit()),
        (None, None) => false,
    };
    if !is_number {
        return Reading::TEXT;
    }
    let before = value.len().saturating_sub(rest.len());
    let whole = decimals.and_then(|_| whole_part(value.get(..before)?));
    let shortened = rest.contains("E+");
    let rounded = shortened || is_beyond(body, exponent, whole);
    if !is_kept(body, mantissa, exponent) {
        return Reading {
            inexact: true,
            rounded,
            ..Reading::TEXT
        };
    }
    Reading {
        decimals: decimals.map(str::len),
        whole,
        padded: decimals.is_some_and(|decimals| decimals.len() > 1 && decimals.ends_with('0')),
        shortened,
        rounded,
        like_code: exponent.is_some_and(|power| !power.starts_with(['+', '-'])) && !mantissa.contains('.'),
        ..Reading::of(Kinds::FLOAT)
    }
}

/// The digits of a number, and its exponent.
fn split_exponent(body: &str) -> (&str, Option<&str>) {
    match body.find(['e', 'E']) {
        Some(at) => (body.get(..at).unwrap_or_default(), body.get(at + 1..)),
        None => (body, None),
    }
}

/// Whether a number without sign keeps its digits in floating point.
fn is_kept(body: &str, mantissa: &str, exponent: Option<&str>) -> bool {
    /// Significant digits that a 64-bit number needs at most to be restored (IEEE 754-2019, 5.12.2).
    const DIGITS: usize = 17;
    /// Significant digits that every 64-bit number restores which is not near zero.
    const RESTORED: usize = 15;
    /// Characters of a number without an exponent that is neither too large nor too close to zero for [`RESTORED`] digits.
    const USUAL: usize = 300;
    let digits = mantissa
        .trim_start_matches(['0', '.'])
        .bytes()
        .filter(u8::is_ascii_digit)
        .count();
    if digits <= RESTORED && exponent.is_none() && body.len() <= USUAL {
        return true;
    }
    digits <= DIGITS && is_restored(body)
}

/// Whether floating point restores a number without sign with all the digits that its text has, however many; `false` for any other text.
pub(super) fn is_restored(body: &str) -> bool {
    let (mantissa, exponent) = split_exponent(body);
    float(body).is_some_and(|number| restored::is_restored(mantissa, exponent, number))
}

/// Whether a number without sign is one of those from 2^53 on, for which several whole numbers share a 64-bit number.
fn is_beyond(body: &str, exponent: Option<&str>, whole: Option<i64>) -> bool {
    match (exponent, whole) {
        (None, Some(whole)) => whole.unsigned_abs() >= EXACT,
        // Without an exponent the whole part did not fit into 64 bits.
        (None, None) => true,
        (Some(_), _) => float(body).is_some_and(|number| number >= MAX_EXACT),
    }
}

/// The number before a point, which may have no digits there.
fn whole_part(digits: &str) -> Option<i64> {
    match digits {
        "" | "-" => Some(0),
        digits => digits.parse().ok(),
    }
}

/// A finite number in decimal notation; the words that Rust also parses (`inf`, `nan`) are text here.
pub(super) fn float(value: &str) -> Option<f64> {
    let decimal = value
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    if !decimal {
        return None;
    }
    value.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// `true` or `false`, also as Python and R write them.
pub(super) fn boolean(value: &str) -> Option<bool> {
    match value {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// Days since 1970-01-01 of a `yyyy-mm-dd` in the Gregorian calendar.
pub(super) fn date(value: &str) -> Option<i32> {
    /// 1970-01-01 counted from the first day of year 1, which is day 1.
    const EPOCH: i32 = 719_163;
    let bytes = value.as_bytes();
    (bytes.len() == 10 && bytes.get(4) == Some(&b'-') && bytes.get(7) == Some(&b'-')).then_some(())?;
    let year = value.get(..4)?;
    let month = value.get(5..7)?;
    let day = value.get(8..)?;
    let day = NaiveDate::from_ymd_opt(
        i32::try_from(digits(year, 4)?).ok()?,
        digits(month, 2)?,
        digits(day, 2)?,
    )?;
    Some(day.num_days_from_ce() - EPOCH)
}

/// Whether a date-time states its time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    /// It does not.
    Local,
    /// It does, and was converted to UTC.
    Utc,
}

impl Zone {
    /// The kind of a date-time with or without a zone.
    pub(super) const fn kinds(self) -> Kinds {
        match self {
            Self::Local => Kinds::TIMESTAMP,
            Self::Utc => Kinds::TIMESTAMP_UTC,
        }
    }
}

/// Milliseconds since 1970-01-01T00:00 of an ISO 8601 date-time, with `T` or a space between day and time.
pub(super) fn timestamp(value: &str) -> Option<(i64, Zone)> {
    let days = date(value.get(..10)?)?;
    let rest = value.get(10..)?.strip_prefix(['T', ' '])?;
    let (clock, zone) = zone(rest)?;
    let midnight = i64::from(days) * DAY_MS;
    let time = midnight + time_of_day(clock)?;
    Some(match zone {
        Some(offset_ms) => (time - offset_ms, Zone::Utc),
        None => (time, Zone::Local),
    })
}

/// Splits a trailing `Z`, ` UTC` or `+hh:mm` off; the offset is in milliseconds east of UTC.
fn zone(time: &str) -> Option<(&str, Option<i64>)> {
    if let Some(clock) = time.strip_suffix('Z').or_else(|| time.strip_suffix(" UTC")) {
        return Some((clock, Some(0)));
    }
    let Some(at) = time.find(['+', '-']) else {
        return Some((time, None));
    };
    let sign = if time.get(at..)?.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = time.get(at + 1..)?.split_once(':')?;
    let hours = digits(hours, 2)?;
    let minutes = digits(minutes, 2)?;
    (hours < 24 && minutes < 60).then_some(())?;
    Some((time.get(..at)?, Some(sign * i64::from(hours * 60 + minutes) * 60_000)))
}

/// Milliseconds since midnight of `hh:mm`, `hh:mm:ss` or `hh:mm:ss.f`; more precision than a millisecond is not
/// accepted.
fn time_of_day(clock: &str) -> Option<i64> {
    let (clock, fraction) = clock
        .split_once('.')
        .map_or((clock, None), |(clock, rest)| (clock, Some(rest)));
    let [hours, minutes, seconds] = match fraction {
        Some(_) => split(clock, ':')?,
        None => split(clock, ':').or_else(|| clock.split_once(':').map(|(hours, minutes)| [hours, minutes, "00"]))?,
    };
    let hours = digits(hours, 2)?;
    let minutes = digits(minutes, 2)?;
    let seconds = digits(seconds, 2)?;
    (hours < 24 && minutes < 60 && seconds < 60).then_some(())?;
    let ms = fraction.map_or(Some(0), fraction_ms)?;
    Some(i64::from((hours * 60 + minutes) * 60 + seconds) * 1000 + i64::from(ms))
}

fn fraction_ms(fraction: &str) -> Option<u32> {
    let kept = fraction.len().min(3);
    let (ms, finer) = fraction.split_at_checked(kept)?;
    if ms.is_empty() || finer.bytes().any(|byte| byte != b'0') {
        return None;
    }
    let scale = match kept {
        1 => 100,
        2 => 10,
        _ => 1,
    };
    Some(digits(ms, kept)? * scale)
}

fn split(value: &str, separator: char) -> Option<[&str; 3]> {
    let (first, rest) = value.split_once(separator)?;
    let (second, third) = rest.split_once(separator)?;
    Some([first, second, third])
}

/// A number of exactly `len` digits.
fn digits(value: &str, len: usize) -> Option<u32> {
    (value.len() == len && len < 10).then_some(())?;
    value.bytes().try_fold(0, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + u32::from(byte.wrapping_sub(b'0')))
    })
}

mod restored;
#[cfg(test)]
mod tests;
