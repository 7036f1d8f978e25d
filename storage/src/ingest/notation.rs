//! How a file writes numbers, times and truth values, where that is not the usual notation.
//!
//! The usual one is always understood as well, except that a decimal comma replaces the decimal point: `1,234` must not be a number with
//! both.

use std::{borrow::Cow, str::FromStr};

use chrono::{
    NaiveDate, NaiveDateTime, TimeZone,
    format::{Item, StrftimeItems},
};
use chrono_tz::Tz;

use super::{
    error::IngestError,
    values::{self, Kinds, Reading, Zone, classify},
};

/// How values are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notation {
    /// The sign before the decimals of a number.
    pub decimal: DecimalSign,
    /// The sign between groups of three digits of a number, if there is one.
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

/// The form of a date or a date-time, as `strftime` writes it, such as `%d.%m.%Y`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DateFormat {
    pattern: String,
    has_time: bool,
}

impl DateFormat {
    /// The form as `strftime` writes it.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }
}

impl FromStr for DateFormat {
    type Err = IngestError;

    /// A form needs a day, a month and a year of four digits: the century of a date of birth cannot be guessed.
    fn from_str(pattern: &str) -> Result<Self, IngestError> {
        let refused = || IngestError::Notation {
            option: "--date-format",
            expected: "a form with `%d`, `%m` (or `%b`, `%B`) and `%Y`, such as `%d.%m.%Y`, and for date-times also `%H` and `%M`",
        };
        let items: Vec<Item<'_>> = StrftimeItems::new(pattern).collect();
        let has = |codes: &[&str]| codes.iter().any(|code| pattern.contains(code));
        let has_date = has(&["%d", "%e"]) && has(&["%m", "%b", "%B"]) && has(&["%Y"]) || has(&["%F"]);
        if items.contains(&Item::Error) || !has_date || has(&["%y", "%C", "%G", "%g"]) {
            return Err(refused());
        }
        let has_time = has(&["%H", "%I", "%T", "%R"]);
        let format = Self {
            pattern: pattern.to_owned(),
            has_time,
        };
        // Every form must restore what it writes; one that lacks the minutes or has a foreign part does not.
        let sample = NaiveDate::from_ymd_opt(2001, 2, 3).and_then(|day| day.and_hms_opt(4, 5, 0));
        let restored = sample.is_some_and(|sample| {
            let written = sample.format(pattern).to_string();
            match has_time {
                true => format.time(&written) == Some(sample),
                false => format.date(&written) == Some(sample.date()),
            }
        });
        restored.then_some(format).ok_or_else(refused)
    }
}

impl DateFormat {
    fn date(&self, value: &str) -> Option<NaiveDate> {
        NaiveDate::parse_from_str(value, &self.pattern).ok()
    }

    fn time(&self, value: &str) -> Option<NaiveDateTime> {
        NaiveDateTime::parse_from_str(value, &self.pattern).ok()
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
    fn read(&self, value: &str) -> Option<bool> {
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

    /// Reads a trimmed, non-blank field.
    pub(super) fn classify(&self, value: &str) -> Reading {
        if self.is_usual() {
            return classify(value);
        }
        if self.boolean_word(value).is_some() {
            // A word such as `1` can be a number too: the column decides.
            let usual = self
                .number(value)
                .map_or(Reading::TEXT, |number| values::number(&number));
            return Reading {
                kinds: usual.kinds.or(Kinds::BOOLEAN),
                ..usual
            };
        }
        if self.stated_date(value).is_some() {
            return Reading::of(Kinds::DATE);
        }
        if let Some((_, zone)) = self.timestamp(value) {
            return Reading::of(zone.kinds());
        }
        let usual = classify(value);
        if usual.kinds.is_none() || usual.decimals.is_some() || !usual.kinds.and(Kinds::FLOAT).is_none() {
            return self
                .number(value)
                .map_or(Reading::TEXT, |number| values::number(&number));
        }
        usual
    }

    /// The whole number of a field.
    pub(super) fn int(&self, value: &str) -> Option<i64> {
        self.number(value)?.parse().ok()
    }

    /// The number of a field.
    pub(super) fn float(&self, value: &str) -> Option<f64> {
        values::float(&self.number(value)?)
    }

    /// The truth value of a field.
    pub(super) fn boolean(&self, value: &str) -> Option<bool> {
        self.boolean_word(value).or_else(|| values::boolean(value))
    }

    /// The days since 1970-01-01 of a field.
    pub(super) fn date(&self, value: &str) -> Option<i32> {
        self.stated_date(value).or_else(|| values::date(value))
    }

    /// The milliseconds since 1970-01-01T00:00 of a field.
    pub(super) fn timestamp(&self, value: &str) -> Option<(i64, Zone)> {
        let stated = self.dates.iter().filter(|format| format.has_time);
        let stated = stated.filter_map(|format| format.time(value)).next();
        let local = match stated {
            Some(time) => (time.and_utc().timestamp_millis(), Zone::Local),
            None => values::timestamp(value)?,
        };
        match (local, self.zone) {
            ((instant, Zone::Local), Some(zone)) => Some((in_zone(instant, zone)?, Zone::Utc)),
            (stated, _) => Some(stated),
        }
    }

    fn stated_date(&self, value: &str) -> Option<i32> {
        let mut formats = self.dates.iter().filter(|format| !format.has_time);
        let day = formats.find_map(|format| format.date(value))?;
        let epoch = NaiveDate::default();
        i32::try_from(day.signed_duration_since(epoch).num_days()).ok()
    }

    fn boolean_word(&self, value: &str) -> Option<bool> {
        self.booleans.iter().find_map(|words| words.read(value))
    }

    /// A number with a decimal point and without signs between its digits; `None` if the field is none.
    fn number<'a>(&self, value: &'a str) -> Option<Cow<'a, str>> {
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
mod tests {
    use super::*;
    use concordat_protocol::schema::ColumnKind;

    fn kind(notation: &Notation, value: &str) -> ColumnKind {
        notation.classify(value).kinds.best()
    }

    #[test]
    fn decimal_comma_and_thousands_are_read() {
        let german = Notation {
            decimal: DecimalSign::Comma,
            thousands: Some(ThousandsSign::Point),
            ..Notation::default()
        };
        for (value, number) in [
            ("0,91", 0.91),
            ("1.234,5", 1234.5),
            ("-1.000", -1000.0),
            ("12", 12.0),
            ("1234,5", 1234.5),
        ] {
            assert_eq!(german.float(value), Some(number), "{value}");
            assert_ne!(kind(&german, value), ColumnKind::Text, "{value}");
        }
        for text in ["1.5", "1.2345", "1,2,3", "12.34,5", ".", "1.000.00"] {
            assert_eq!(kind(&german, text), ColumnKind::Text, "{text}");
        }
        let swiss = Notation {
            thousands: Some(ThousandsSign::Apostrophe),
            ..Notation::default()
        };
        assert_eq!(swiss.int("1'234'567"), Some(1_234_567));
        assert_eq!(kind(&swiss, "1'23"), ColumnKind::Text);
    }

    #[test]
    fn stated_forms_of_dates_are_read_and_others_are_not() {
        let notation = Notation {
            dates: vec!["%d.%m.%Y".parse().unwrap(), "%d.%m.%Y %H:%M".parse().unwrap()],
            zone: Some("Europe/Berlin".parse().unwrap()),
            ..Notation::default()
        };
        assert_eq!(notation.date("17.08.1984"), values::date("1984-08-17"));
        assert_eq!(kind(&notation, "17.08.1984"), ColumnKind::Date);
        assert_eq!(kind(&notation, "1984-08-17"), ColumnKind::Date);
        assert_eq!(kind(&notation, "31.02.1984"), ColumnKind::Text);
        let (winter, _) = values::timestamp("1999-12-31T23:30Z").unwrap();
        assert_eq!(notation.timestamp("01.01.2000 00:30"), Some((winter, Zone::Utc)));
        assert_eq!(kind(&notation, "01.01.2000 00:30"), ColumnKind::TimestampUtc);
        // The clock shows this time twice.
        assert_eq!(notation.timestamp("2023-10-29T02:30"), None);
    }

    #[test]
    fn forms_without_a_century_or_a_day_are_refused() {
        for pattern in ["%d.%m.%y", "%m.%Y", "%d.%m", "%Q", "", "dd.mm.yyyy", "%d.%m.%Y %H"] {
            assert!(pattern.parse::<DateFormat>().is_err(), "{pattern}");
        }
        for pattern in ["%d.%m.%Y", "%m/%d/%Y", "%Y%m%d", "%d %b %Y", "%d-%m-%Y %H:%M:%S"] {
            pattern
                .parse::<DateFormat>()
                .unwrap_or_else(|error| panic!("{pattern}: {error}"));
        }
    }

    #[test]
    fn words_for_true_and_false_are_read() {
        let words = Notation {
            booleans: vec!["Ja,Nein".parse().unwrap()],
            ..Notation::default()
        };
        assert_eq!(words.boolean("JA"), Some(true));
        assert_eq!(words.boolean("nein"), Some(false));
        assert_eq!(words.boolean("false"), Some(false));
        assert_eq!(kind(&words, "vielleicht"), ColumnKind::Text);
        assert!("yes".parse::<BooleanWords>().is_err());
        assert!("yes,YES".parse::<BooleanWords>().is_err());
    }
}
