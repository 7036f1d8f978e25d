//! `--until`: the end of a grant or a training. A date is a whole day, in a zone that is stated in the output.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, FixedOffset, LocalResult, NaiveDate, NaiveDateTime, SecondsFormat, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use clap::Args;
use concordat_documents::problem::Problem;
use concordat_protocol::time::{InvalidTime, Timestamp};

use crate::context::Context;

/// The zone of `--until`.
#[derive(Clone, Copy, Debug, Args)]
pub struct ZoneArgs {
    /// The zone whose day `--until DATE` is through the end of: a name such as `Europe/Zurich`, or an offset such as `+02:00`; UTC by default
    #[arg(long, value_name = "ZONE")]
    zone: Option<Zone>,
}

/// A zone in which a day has a beginning and an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zone {
    Named(Tz),
    Offset(FixedOffset),
}

/// Text that is not a zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a zone; write a name such as `Europe/Zurich` or `UTC`, or an offset such as `+02:00`")]
struct InvalidZone {
    text: String,
}

impl FromStr for Zone {
    type Err = InvalidZone;

    fn from_str(text: &str) -> Result<Self, InvalidZone> {
        let named = text.parse().map(Self::Named).ok();
        let zone = named.or_else(|| text.parse().map(Self::Offset).ok());
        zone.ok_or_else(|| InvalidZone {
            text: text.chars().take(60).collect(),
        })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => write!(f, "{name}"),
            Self::Offset(offset) => write!(f, "UTC{offset}"),
        }
    }
}

impl Zone {
    /// The moment at which the day after `date` begins; `None` at the end of the calendar.
    fn end_of(self, date: NaiveDate) -> Option<DateTime<Utc>> {
        let midnight = date.succ_opt()?.and_hms_opt(0, 0, 0)?;
        match self {
            Self::Named(zone) => first_moment(&zone, midnight),
            Self::Offset(zone) => first_moment(&zone, midnight),
        }
    }
}

/// The first moment of a day that begins at `midnight`: the later one if there are two, and an hour later if clocks are set forward at
/// midnight.
fn first_moment(zone: &impl TimeZone, midnight: NaiveDateTime) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&midnight) {
        LocalResult::Single(moment) | LocalResult::Ambiguous(_, moment) => Some(moment.to_utc()),
        LocalResult::None => {
            let later = midnight.checked_add_signed(TimeDelta::hours(1))?;
            zone.from_local_datetime(&later)
                .earliest()
                .map(|moment| moment.to_utc())
        }
    }
}

/// Text that is an end; the node reads it again.
pub(crate) fn end(text: &str) -> Result<String, InvalidTime> {
    Timestamp::parse_end(text).map(|_| text.to_owned())
}

impl ZoneArgs {
    /// The end as the node reads it. If it is a date, its zone is noted.
    ///
    /// # Errors
    /// `usage` if `until` is not an end, or states a zone itself beside `--zone`.
    pub(crate) fn end(self, until: &str, context: &Context) -> Result<String, Problem> {
        let (text, note) = self.resolve(until)?;
        if let Some(note) = note {
            context.out.note(&note);
        }
        Ok(text)
    }

    fn resolve(self, until: &str) -> Result<(String, Option<String>), Problem> {
        let stated = Timestamp::parse_end(until)?;
        let Ok(date) = until.trim().parse::<NaiveDate>() else {
            return match self.zone {
                Some(_) => Err(Problem::usage(format!(
                    "`--until {until}` is a moment or states its own zone, and `--zone` names another"
                ))
                .help("write a date alone, such as `--until 2027-06-30 --zone Europe/Zurich`")),
                None => Ok((until.to_owned(), None)),
            };
        };
        let Some(zone) = self.zone else {
            let note = format!(
                "through {date} in UTC, that is until {stated}; for another zone add `--zone`, for example `--zone Europe/Zurich`"
            );
            return Ok((until.to_owned(), Some(note)));
        };
        let end = zone
            .end_of(date)
            .ok_or_else(|| Problem::usage(format!("`{date}` is not a date with an end in {zone}")))?;
        let text = end.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let note = format!("through {date} in {zone}, that is until {text}");
        Ok((text, Some(note)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(until: &str, zone: Option<&str>) -> Result<(String, Option<String>), String> {
        let zone = zone.map(|zone| zone.parse().unwrap());
        ZoneArgs { zone }.resolve(until).map_err(|problem| problem.detail)
    }

    #[test]
    fn end_is_a_whole_day_in_the_stated_zone() {
        let (text, note) = resolve("2027-06-30", None).unwrap();
        assert_eq!(text, "2027-06-30");
        assert!(
            note.unwrap()
                .starts_with("through 2027-06-30 in UTC, that is until 2027-07-01T00:00:00Z")
        );
        for (date, zone, until) in [
            ("2027-06-30", "Europe/Zurich", "2027-06-30T22:00:00Z"),
            ("2027-12-31", "Europe/Zurich", "2027-12-31T23:00:00Z"),
            ("2027-06-30", "America/New_York", "2027-07-01T04:00:00Z"),
            ("2027-06-30", "+05:30", "2027-06-30T18:30:00Z"),
            ("2027-06-30", "UTC", "2027-07-01T00:00:00Z"),
            // Clocks are set forward at midnight: the day begins at one.
            ("2024-09-07", "America/Santiago", "2024-09-08T04:00:00Z"),
        ] {
            let (text, note) = resolve(date, Some(zone)).unwrap();
            assert_eq!(text, until, "{zone}");
            assert!(note.unwrap().contains(zone), "{zone}");
        }
    }

    #[test]
    fn end_with_its_own_zone_needs_no_other() {
        for moment in ["2027-06-30T12:00:00+02:00", "2027-06-30+02:00", "2027-06-30Z"] {
            assert_eq!(resolve(moment, None), Ok((moment.to_owned(), None)));
            assert!(
                resolve(moment, Some("UTC"))
                    .unwrap_err()
                    .contains("`--zone` names another")
            );
        }
        assert!("Middle/Earth".parse::<Zone>().is_err());
        assert!(resolve("tomorrow", None).is_err());
    }
}
