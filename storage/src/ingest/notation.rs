//! How a file writes numbers, times and truth values, where that is not the usual notation.
//!
//! The usual one is always understood as well, except that a decimal comma replaces the decimal point: `1,234` must not be a number with
//! both. A value that its file states to be a number is never read through signs that were stated for text.

use std::{borrow::Cow, str::FromStr};

use chrono::{NaiveDate, TimeZone};
use chrono_tz::Tz;

use super::{
    error::IngestError,
    parse_field::{self, Kinds, Reading, Zone, classify},
};

mod date_format;

pub use date_format::DateFormat;

/// How values are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notation {
    /// The sign before the decimals of a number.
    pub decimal: DecimalSign,
    /// The sign between groups of three digits of a number, if there is one. Points leave the comma for the decimals.
    pub thousands: Option<ThousandsSign>,
    /// Forms of dates and date-times, tried in this order.
    pub dates: Vec<DateFormat>,
    /// The zone of date-times that state none.
    pub zone: Option<TimeZoneName>,
    /// Words for true and false.
    pub booleans: Vec<BooleanWords>,
}

/// The sign before the decimals of a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DecimalSign {
    /// `0.5`
    #[default]
    Point,
    /// `0,5`
    Comma,
}

impl FromStr for DecimalSign {
    type Err = IngestError;

    fn from_str(label: &str) -> Result<Self, IngestError> {
        match label {
            "point" | "." => Ok(Self::Point),
            "comma" | "," => Ok(Self::Comma),
            _ => Err(IngestError::Notation {
                option: "--decimal",
                expected: "`point` or `comma`",
            }),
        }
    }
}

/// Checks that the decimals and the groups of three digits have signs of their own, as far as both are stated.
///
/// # Errors
/// [`IngestError::Notation`] if they have the same.
pub fn check_signs(decimal: Option<DecimalSign>, thousands: Option<ThousandsSign>) -> Result<(), IngestError> {
    match (decimal, thousands) {
        (Some(DecimalSign::Point), Some(ThousandsSign::Point))
        | (Some(DecimalSign::Comma), Some(ThousandsSign::Comma)) => Err(IngestError::Notation {
            option: "--thousands",
            expected: "another sign than the one before the decimals, which `--decimal` states",
        }),
        (Some(_) | None, _) => Ok(()),
    }
}

/// The sign between groups of three digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThousandsSign {
    /// `1,000`
    Comma,
    /// `1.000`
    Point,
    /// `1 000`, also with a space that does not break.
    Space,
    /// `1'000`
    Apostrophe,
}

impl ThousandsSign {
    /// The word that states it.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Comma => "comma",
            Self::Point => "point",
            Self::Space => "space",
            Self::Apostrophe => "apostrophe",
        }
    }

    fn is(self, sign: char) -> bool {
        match self {
            Self::Comma => sign == ',',
            Self::Point => sign == '.',
            Self::Space => matches!(sign, ' ' | '\u{a0}' | '\u{202f}'),
            Self::Apostrophe => matches!(sign, '\'' | '\u{2019}'),
        }
    }
}

impl FromStr for ThousandsSign {
    type Err = IngestError;

    fn from_str(label: &str) -> Result<Self, IngestError> {
        match label {
            "comma" | "," => Ok(Self::Comma),
            "point" | "." => Ok(Self::Point),
            "space" | " " => Ok(Self::Space),
            "apostrophe" | "'" => Ok(Self::Apostrophe),
            _ => Err(IngestError::Notation {
                option: "--thousands",
                expected: "`comma`, `point`, `space` or `apostrophe`",
            }),
        }
    }
}

/// A time zone of the IANA database, such as `Europe/Berlin` or `UTC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeZoneName(Tz);

impl TimeZoneName {
    /// The name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }
}

impl FromStr for TimeZoneName {
    type Err = IngestError;

    fn from_str(name: &str) -> Result<Self, IngestError> {
        name.parse().map(Self).map_err(|_| IngestError::Notation {
            option: "--zone",
            expected: "a time zone such as `Europe/Berlin` or `UTC`",
        })
    }
}

/// Two words for true and false, compared without regard to case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BooleanWords {
    yes: String,
    no: String,
}

impl FromStr for BooleanWords {
    type Err = IngestError;

    fn from_str(pair: &str) -> Result<Self, IngestError> {
        let words = pair.split_once(',').map(|(yes, no)| (yes.trim(), no.trim()));
        match words {
            Some((yes, no)) if !yes.is_empty() && !no.is_empty() && !yes.eq_ignore_ascii_case(no) => Ok(Self {
                yes: yes.to_lowercase(),
                no: no.to_lowercase(),
            }),
            Some(_) | None => Err(IngestError::Notation {
                option: "--boolean",
                expected: "the word for true, a comma and the word for false, such as `yes,no`",
            }),
        }
    }
}

impl BooleanWords {
    pub(super) fn read(&self, value: &str) -> Option<bool> {
        let word = value.to_lowercase();
        (word == self.yes)
            .then_some(true)
            .or((word == self.no).then_some(false))
    }

    /// The pair as an option states it.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{},{}", self.yes, self.no)
    }
}

impl Notation {
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// Whether numbers are written with the usual signs.
    pub(super) fn has_usual_signs(&self) -> bool {
        self.decimal == DecimalSign::Point && self.thousands.is_none()
    }

    /// How values are read that their file states to be numbers, times or truth values: what the text of a number stands for is known, and
    /// stays open only for numbers that mean a day or a truth value.
    pub(super) fn for_typed(&self) -> Self {
        Self {
            decimal: DecimalSign::Point,
            thousands: None,
            dates: self.dates.iter().filter(|format| format.is_digits()).cloned().collect(),
            ..self.clone()
        }
    }

    /// Whether numbers are stated to be those of days. They are nothing else then.
    pub(super) fn has_serial_days(&self) -> bool {
        self.dates.iter().any(DateFormat::is_serial)
    }

    /// Reads a trimmed, non-blank field.
    pub(super) fn classify(&self, value: &str) -> Reading {
        if self.is_usual() {
            return classify(value);
        }
        if self.boolean_word(value).is_some() {
            // A word such as `1` can be a number too: the column decides.
            return self.or_number(value, Reading::of(Kinds::BOOLEAN));
        }
        if let Some(day) = self.stated_date(value) {
            return match self.has_serial_days() {
                true => Reading::on(day),
                false => self.or_number(value, Reading::on(day)),
            };
        }
        // A number that is not that of a day makes the column text, with its line, and not a column of numbers.
        if self.has_serial_days() && self.read_number(value).is_number() {
            return Reading::TEXT;
        }
        if let Some((time, zone)) = self.unconverted(value) {
            let reading = match (zone, self.zone) {
                (Zone::Local, Some(stated)) => in_zone(time, stated).map_or(
                    Reading {
                        in_clock_change: true,
                        ..Reading::TEXT
                    },
                    |instant| Reading::at(instant, Zone::Utc),
                ),
                (zone, _) => Reading::at(time, zone),
            };
            return self.or_number(value, reading);
        }
        let usual = classify(value);
        if usual.kinds.is_none() || usual.decimals.is_some() || usual.is_number() {
            return self.read_number(value);
        }
        usual
    }

    /// Reads a field that can be something else as a number too, if it is written like one.
    fn or_number(&self, value: &str, reading: Reading) -> Reading {
        let is_like_number = value
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b','));
        let number = match is_like_number {
            true => self.read_number(value),
            false => Reading::TEXT,
        };
        Reading {
            kinds: number.kinds.or(reading.kinds),
            day: reading.day,
            in_clock_change: reading.in_clock_change,
            ..number
        }
    }

    /// Reads a field as a number.
    pub(super) fn read_number(&self, value: &str) -> Reading {
        self.number(value)
            .map_or(Reading::TEXT, |number| parse_field::number(&number))
    }

    /// The whole number of a field.
    pub(super) fn int(&self, value: &str) -> Option<i64> {
        self.number(value)?.parse().ok()
    }

    /// The number of a field.
    pub(super) fn float(&self, value: &str) -> Option<f64> {
        parse_field::float(&self.number(value)?)
    }

    /// The truth value of a field.
    pub(super) fn boolean(&self, value: &str) -> Option<bool> {
        self.boolean_word(value).or_else(|| parse_field::boolean(value))
    }

    /// The days since 1970-01-01 of a field.
    pub(super) fn date(&self, value: &str) -> Option<i32> {
        self.stated_date(value).or_else(|| parse_field::date(value))
    }

    /// The milliseconds since 1970-01-01T00:00 of a field.
    pub(super) fn timestamp(&self, value: &str) -> Option<(i64, Zone)> {
        match (self.unconverted(value)?, self.zone) {
            ((local, Zone::Local), Some(zone)) => Some((in_zone(local, zone)?, Zone::Utc)),
            (stated, _) => Some(stated),
        }
    }

    /// What a field means in each form that is stated, in milliseconds since 1970-01-01T00:00, or `None` in those that it does not have; a
    /// value that the file states not to be text can have only those of digits.
    pub(super) fn in_each_form(&self, value: &str, is_typed: bool) -> impl Iterator<Item = Option<i64>> {
        self.dates.iter().map(move |format| {
            if is_typed && !format.is_digits() {
                return None;
            }
            let time = match format.has_time() {
                true => format.time(value).map(|(time, _)| time),
                false => format.date(value).and_then(|day| day.and_hms_opt(0, 0, 0)),
            };
            time.map(|time| time.and_utc().timestamp_millis())
        })
    }

    /// The milliseconds of a date-time before the zone that is stated for those without one is applied.
    fn unconverted(&self, value: &str) -> Option<(i64, Zone)> {
        let mut stated = self.dates.iter().filter(|format| format.has_time());
        match stated.find_map(|format| format.time(value)) {
            Some((time, zone)) => Some((time.and_utc().timestamp_millis(), zone)),
            None => parse_field::timestamp(value),
        }
    }

    fn stated_date(&self, value: &str) -> Option<i32> {
        let mut formats = self.dates.iter().filter(|format| !format.has_time());
        let day = formats.find_map(|format| format.date(value))?;
        let epoch = NaiveDate::default();
        i32::try_from(day.signed_duration_since(epoch).num_days()).ok()
    }

    fn boolean_word(&self, value: &str) -> Option<bool> {
        self.booleans.iter().find_map(|words| words.read(value))
    }

    /// A number with a decimal point and without signs between its digits; `None` if the field is none.
    pub(super) fn number<'a>(&self, value: &'a str) -> Option<Cow<'a, str>> {
        if self.decimal == DecimalSign::Point && self.thousands.is_none() {
            return Some(Cow::Borrowed(value));
        }
        let sign = match self.decimal {
            DecimalSign::Point => '.',
            DecimalSign::Comma => ',',
        };
        let (whole, rest) = value
            .split_once(sign)
            .map_or((value, None), |(whole, rest)| (whole, Some(rest)));
        let whole = self.without_thousands(whole)?;
        let foreign = |part: &str| part.contains(['.', ',']);
        if foreign(&whole) || rest.is_some_and(foreign) {
            return None;
        }
        Some(match rest {
            None => whole,
            Some(rest) => Cow::Owned(format!("{whole}.{rest}")),
        })
    }

    /// The digits before the decimals; `None` if the groups are not of three digits.
    fn without_thousands<'a>(&self, whole: &'a str) -> Option<Cow<'a, str>> {
        let Some(sign) = self.thousands.filter(|sign| whole.contains(|c| sign.is(c))) else {
            return Some(Cow::Borrowed(whole));
        };
        let digits = whole.strip_prefix('-').unwrap_or(whole);
        let mut groups = digits.split(|c| sign.is(c));
        let first = groups.next().is_some_and(|first| (1..=3).contains(&first.len()));
        let fits = first
            && groups.all(|group| group.len() == 3)
            && whole.chars().all(|c| c == '-' || c.is_ascii_digit() || sign.is(c));
        fits.then(|| Cow::Owned(whole.chars().filter(|c| !sign.is(*c)).collect()))
    }
}

/// The instant of a local time in a zone; `None` if there is none or there are two, as when clocks change.
fn in_zone(local_ms: i64, zone: TimeZoneName) -> Option<i64> {
    let local = chrono::DateTime::from_timestamp_millis(local_ms)?.naive_utc();
    zone.0
        .from_local_datetime(&local)
        .single()
        .map(|instant| instant.timestamp_millis())
}

#[cfg(test)]
mod tests;
