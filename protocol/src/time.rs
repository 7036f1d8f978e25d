//! Points in time, without a clock. Code that needs the current time receives it as an argument.

use crate::error_kind::{ErrorKind, Explain};
use std::fmt;

use chrono::{DateTime, FixedOffset, NaiveDate, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// Clock skew that peers are allowed, in milliseconds: two minutes, the drift of unsynchronized hospital servers within a month.
pub const MAX_CLOCK_SKEW_MS: i64 = 120_000;

/// Length of an offset such as `+02:00`.
const OFFSET_LEN: usize = 6;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The point `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This point moved by `millis`; saturates at the ends of the range.
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// This point moved by `seconds`; saturates at the ends of the range.
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        self.plus_millis(seconds.saturating_mul(1000))
    }

    /// Milliseconds from `earlier` to this point; negative if this point is the earlier one.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whether a message sent at this time is fresh at `now`: at most `max_age_ms` old and not from the future, give or take
    /// [`MAX_CLOCK_SKEW_MS`].
    ///
    /// # Errors
    /// [`Staleness`] states in which direction it is out of range, and by how much.
    pub const fn fresh_at(self, now: Self, max_age_ms: i64) -> Result<(), Staleness> {
        let age = now.since(self);
        if age > max_age_ms.saturating_add(MAX_CLOCK_SKEW_MS) {
            Err(Staleness::Stale {
                by_ms: age.saturating_sub(max_age_ms),
            })
        } else if age < -MAX_CLOCK_SKEW_MS {
            Err(Staleness::FutureDated {
                by_ms: age.saturating_neg(),
            })
        } else {
            Ok(())
        }
    }

    /// RFC 3339 in UTC, with milliseconds unless they are zero: no two points have the same text.
    pub fn exact(self) -> String {
        self.rfc3339(SecondsFormat::AutoSi)
    }

    fn rfc3339(self, seconds: SecondsFormat) -> String {
        match DateTime::<Utc>::from_timestamp_millis(self.0) {
            Some(time) => time.to_rfc3339_opts(seconds, true),
            None => format!("{}ms", self.0),
        }
    }

    /// Reads `2027-01-31` (midnight UTC) or an RFC 3339 date-time.
    ///
    /// # Errors
    /// [`InvalidTime`] when the text is neither.
    pub fn parse(text: &str) -> Result<Self, InvalidTime> {
        let invalid = || InvalidTime {
            text: text.chars().take(40).collect(),
        };
        if let Ok(date) = text.parse::<NaiveDate>() {
            let midnight = date.and_hms_opt(0, 0, 0).ok_or_else(invalid)?;
            return Ok(Self(midnight.and_utc().timestamp_millis()));
        }
        DateTime::parse_from_rfc3339(text)
            .map(|t| Self(t.timestamp_millis()))
            .map_err(|_| invalid())
    }

    /// Reads the end of a period. A date is meant through the end of that day, in UTC unless an offset follows it, as in
    /// `2027-06-30+02:00` (XML Schema, part 2, `date`): the end is the moment at which the next day begins. An RFC 3339 date-time is that
    /// moment.
    ///
    /// # Errors
    /// [`InvalidTime`] when the text is neither.
    pub fn parse_end(text: &str) -> Result<Self, InvalidTime> {
        let Some((date, offset)) = day(text.trim()) else {
            return Self::parse(text.trim());
        };
        let next = date.succ_opt().and_then(|next| next.and_hms_opt(0, 0, 0));
        let end = next.and_then(|next| next.and_local_timezone(offset).single());
        end.map(|end| Self(end.timestamp_millis())).ok_or_else(|| InvalidTime {
            text: text.chars().take(40).collect(),
        })
    }
}

/// A date, and the zone in which it is meant.
fn day(text: &str) -> Option<(NaiveDate, FixedOffset)> {
    let utc = FixedOffset::east_opt(0)?;
    if let Ok(date) = text.parse() {
        return Some((date, utc));
    }
    let (date, offset) = match text.strip_suffix('Z') {
        Some(date) => (date, utc),
        None => {
            let (date, offset) = text.split_at_checked(text.len().checked_sub(OFFSET_LEN)?)?;
            (date, offset.parse().ok()?)
        }
    };
    Some((date.parse().ok()?, offset))
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with seconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339(SecondsFormat::Secs))
    }
}

/// Why a message is not fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Staleness {
    /// Sent too long ago.
    #[error("it is {by_ms} ms too old")]
    Stale {
        /// How much older than allowed, in milliseconds.
        by_ms: i64,
    },
    /// Sent in the future: one of the two clocks is wrong.
    #[error("it was sent {by_ms} ms in the future; one of the two clocks is wrong")]
    FutureDated {
        /// How far in the future, in milliseconds.
        by_ms: i64,
    },
}

/// A text that is neither a date nor a date-time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a date; write `2027-01-31`, `2027-01-31+01:00` or `2027-01-31T12:00:00Z`")]
pub struct InvalidTime {
    text: String,
}

impl Explain for InvalidTime {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_date_times_are_read_and_shown() {
        let day = Timestamp::parse("2027-01-31").unwrap();
        assert_eq!(day.to_string(), "2027-01-31T00:00:00Z");
        assert_eq!(Timestamp::parse("2027-01-31T01:00:00+01:00").unwrap(), day);
        assert!(Timestamp::parse("next year").is_err());
    }

    #[test]
    fn end_of_a_period_is_the_end_of_its_day() {
        for (text, end) in [
            ("2027-06-30", "2027-07-01T00:00:00Z"),
            ("2027-12-31", "2028-01-01T00:00:00Z"),
            ("2027-06-30Z", "2027-07-01T00:00:00Z"),
            ("2027-06-30+02:00", "2027-06-30T22:00:00Z"),
            ("2027-06-30-05:00", "2027-07-01T05:00:00Z"),
            ("2027-06-30T12:00:00+02:00", "2027-06-30T10:00:00Z"),
        ] {
            assert_eq!(Timestamp::parse_end(text).unwrap().to_string(), end, "{text}");
        }
        for text in [
            "",
            "+02:00",
            "2027-06-31",
            "2027-06-30 +02:00x",
            "2027-06-30+2",
            "ü2027-06-30",
        ] {
            assert!(Timestamp::parse_end(text).is_err(), "{text}");
        }
    }

    #[test]
    fn exact_text_differs_with_every_millisecond() {
        let day = Timestamp::parse("2027-01-31").unwrap();
        assert_eq!(day.exact(), "2027-01-31T00:00:00Z");
        assert_eq!(day.plus_millis(7).exact(), "2027-01-31T00:00:00.007Z");
        assert_eq!(day.plus_millis(500).exact(), "2027-01-31T00:00:00.500Z");
        assert_eq!(
            Timestamp::parse(&day.plus_millis(7).exact()).unwrap(),
            day.plus_millis(7)
        );
        assert_eq!(Timestamp::from_millis(i64::MAX).exact(), format!("{}ms", i64::MAX));
    }

    #[test]
    fn freshness_has_two_ends() {
        let now = Timestamp::from_millis(10_000_000);
        assert!(now.fresh_at(now, 0).is_ok());
        assert!(
            now.plus_millis(-60_000 - MAX_CLOCK_SKEW_MS)
                .fresh_at(now, 60_000)
                .is_ok()
        );
        assert!(matches!(
            now.plus_seconds(-3600).fresh_at(now, 60_000),
            Err(Staleness::Stale { .. })
        ));
        assert!(matches!(
            now.plus_seconds(3600).fresh_at(now, 60_000),
            Err(Staleness::FutureDated { .. })
        ));
    }
}
