//! Forms of dates and date-times, as `strftime` writes them, and the numbers by which spreadsheet programs count days.

use std::{fmt::Write as _, str::FromStr};

use chrono::{
    FixedOffset, NaiveDate, NaiveDateTime,
    format::{DelayedFormat, Fixed, Item, Numeric, Parsed, StrftimeItems, parse},
};

use crate::ingest::{
    error::IngestError,
    parse_field::Zone,
    serial_day::{self, Epoch},
};

/// The last of the hundred years that years of two digits stand for, unless another one is stated: that of POSIX, by which 69 is 1969 and
/// 68 is 2068.
const LAST_YEAR: i32 = 2068;

/// The distance of the sample from UTC, in seconds: five hours and a half, so that one of whole hours does not restore it.
const SAMPLE_OFFSET: i32 = 19_800;

/// The forms that are numbers of days, by their names.
const SERIAL: [(&str, Epoch); 2] = [("excel", Epoch::Y1900), ("excel-1904", Epoch::Y1904)];

/// The form of a date or a date-time, such as `%d.%m.%Y`; or `excel`, for days that are numbered as Excel does.
///
/// A year has four digits (`%Y`) or two (`%y`), exactly as many as the form has. One of two digits is that of the hundred years that
/// end with a stated year.
///
/// A date-time can have its distance from UTC (`%z`, or `%#z` for one without minutes or `Z`) and is an instant then. Names of zones (`%Z`)
/// are not read: one name stands for different distances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DateFormat {
    pattern: String,
    items: Vec<Item<'static>>,
    serial: Option<Epoch>,
    has_time: bool,
    has_zone: bool,
    has_short_year: bool,
    last_year: i32,
}

impl FromStr for DateFormat {
    type Err = IngestError;

    /// A form needs a day, a month and a year.
    fn from_str(pattern: &str) -> Result<Self, IngestError> {
        if let Some((_, epoch)) = SERIAL.into_iter().find(|(name, _)| *name == pattern) {
            return Ok(Self::of_serial(pattern, epoch));
        }
        let refused = || IngestError::Notation {
            option: "--date-format",
            expected: "a form with `%d`, `%m` (or `%b`, `%B`) and `%Y` (or `%y`), such as `%d.%m.%Y`, and for date-times also `%H` and `%M`; or \
                       `excel` or `excel-1904`; the distance from UTC is `%z` (`+0100`, `+01:00`) or `%#z` (also `+01`, `Z`), with a \
                       time of day; where values have the name of a zone, write the name in place of `%Z` and state the zone with `--zone`",
        };
        let items = StrftimeItems::new(pattern).parse_to_owned().map_err(|_| refused())?;
        let has = |wanted: &[Numeric]| {
            let mut numerics = items.iter();
            numerics.any(|item| matches!(item, Item::Numeric(numeric, _) if wanted.contains(numeric)))
        };
        let mut fixed = items.iter();
        let has_name = fixed.any(|item| matches!(item, Item::Fixed(Fixed::ShortMonthName | Fixed::LongMonthName)));
        let has_month = has(&[Numeric::Month]) || has_name;
        let has_one_year = has(&[Numeric::Year]) != has(&[Numeric::YearMod100]);
        let others = [
            Numeric::YearDiv100,
            Numeric::IsoYear,
            Numeric::IsoYearDiv100,
            Numeric::IsoYearMod100,
        ];
        if !has(&[Numeric::Day]) || !has_month || !has_one_year || has(&others) {
            return Err(refused());
        }
        let format = Self {
            pattern: pattern.to_owned(),
            has_time: has(&[Numeric::Hour, Numeric::Hour12]),
            has_zone: items.iter().any(is_offset),
            has_short_year: has(&[Numeric::YearMod100]),
            last_year: LAST_YEAR,
            serial: None,
            items: items.clone(),
        };
        format.restores_sample().then_some(format).ok_or_else(refused)
    }
}

impl DateFormat {
    fn of_serial(name: &str, epoch: Epoch) -> Self {
        Self {
            pattern: name.to_owned(),
            items: Vec::new(),
            serial: Some(epoch),
            has_time: false,
            has_zone: false,
            has_short_year: false,
            last_year: LAST_YEAR,
        }
    }

    /// Whether it restores what it writes, as every form must; one that lacks the minutes, or has a part of something else, does not. A date
    /// without a time of day is not an instant, whatever its zone.
    fn restores_sample(&self) -> bool {
        let day = NaiveDate::from_ymd_opt(2001, 2, 3);
        let sample = day.and_then(|day| day.and_hms_opt(4, 5, 0));
        let (Some(sample), Some(offset)) = (sample, FixedOffset::east_opt(SAMPLE_OFFSET)) else {
            return false;
        };
        let Some(written) = self.write(sample, offset) else {
            return false;
        };
        match (self.has_time, self.has_zone) {
            (true, true) => {
                self.time(&written) == sample.checked_sub_offset(offset).map(|instant| (instant, Zone::Utc))
            }
            (true, false) => self.time(&written) == Some((sample, Zone::Local)),
            (false, true) => false,
            (false, false) => self.date(&written) == Some(sample.date()),
        }
    }

    /// A date-time as it is written in this form; `None` if it cannot be, as by a form that has a part of which no more is known than how it
    /// is read.
    fn write(&self, time: NaiveDateTime, offset: FixedOffset) -> Option<String> {
        let written = |item: &Item<'static>| match is_offset(item) {
            true => Item::Fixed(Fixed::TimezoneOffset),
            false => item.clone(),
        };
        let items: Vec<Item<'static>> = self.items.iter().map(written).collect();
        let (day, clock) = (Some(time.date()), Some(time.time()));
        let shown = match self.has_zone {
            true => DelayedFormat::new_with_offset(day, clock, &offset, items.iter()),
            false => DelayedFormat::new(day, clock, items.iter()),
        };
        let mut text = String::new();
        // `to_string` panics where the library cannot write a part.
        write!(text, "{shown}").ok()?;
        Some(text)
    }

    /// The form as `strftime` writes it, or its name.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Whether it has a time of day.
    pub(in crate::ingest) const fn has_time(&self) -> bool {
        self.has_time
    }

    /// Whether dates are numbers of days. Any small number could be one, so it is a form of single columns only.
    pub(in crate::ingest) const fn is_serial(&self) -> bool {
        self.serial.is_some()
    }

    /// The first and the last of the hundred years that its years of two digits stand for.
    pub(in crate::ingest) fn short_years(&self) -> Option<(i32, i32)> {
        self.has_short_year
            .then_some((self.last_year.saturating_sub(99), self.last_year))
    }

    /// Whether it writes digits alone, as numbers are written.
    pub(in crate::ingest) fn is_digits(&self) -> bool {
        self.items.iter().all(|item| matches!(item, Item::Numeric(..)))
    }

    /// The same form for the hundred years that end with `last`.
    pub(in crate::ingest) fn until(self, last: i32) -> Self {
        Self {
            last_year: last,
            ..self
        }
    }

    /// Whether a text is written in this form.
    pub(in crate::ingest) fn is_form_of(&self, value: &str) -> bool {
        match self.has_time {
            true => self.time(value).is_some(),
            false => self.date(value).is_some(),
        }
    }

    /// The date that a text writes in this form.
    pub(in crate::ingest) fn date(&self, value: &str) -> Option<NaiveDate> {
        match self.serial {
            Some(epoch) => serial_day::read(value, epoch),
            None => self.parsed(value)?.to_naive_date().ok(),
        }
    }

    /// The date-time that a text writes in this form: the instant in UTC if the form has a zone.
    pub(in crate::ingest) fn time(&self, value: &str) -> Option<(NaiveDateTime, Zone)> {
        let parsed = self.parsed(value)?;
        match self.has_zone {
            true => Some((parsed.to_datetime().ok()?.naive_utc(), Zone::Utc)),
            false => Some((parsed.to_naive_datetime_with_offset(0).ok()?, Zone::Local)),
        }
    }

    fn parsed(&self, value: &str) -> Option<Parsed> {
        self.has_whole_year(value).then_some(())?;
        let mut parsed = Parsed::new();
        parse(&mut parsed, value, self.items.iter()).ok()?;
        if let (true, Some(short)) = (self.has_short_year, parsed.year_mod_100()) {
            let back = self.last_year.saturating_sub(short).rem_euclid(100);
            parsed.set_year(i64::from(self.last_year.saturating_sub(back))).ok()?;
        }
        Some(parsed)
    }

    /// Whether a text has as many digits where the form has its year: the parser of the library takes `60` for the year 60.
    fn has_whole_year(&self, value: &str) -> bool {
        let mut rest = value;
        for item in &self.items {
            let length = match item {
                Item::Literal(text) => text.len(),
                Item::OwnedLiteral(text) => text.len(),
                Item::Space(_) | Item::OwnedSpace(_) => rest.len() - rest.trim_start().len(),
                Item::Fixed(_) if self.has_zone && is_offset(item) => length_while(rest, |c| !c.is_whitespace()),
                Item::Fixed(_) => length_while(rest, char::is_alphabetic),
                Item::Numeric(numeric, _) => {
                    rest = rest.trim_start();
                    let digits = length_while(rest, |c| c.is_ascii_digit());
                    if *numeric == Numeric::Year {
                        return digits >= 4;
                    }
                    if *numeric == Numeric::YearMod100 {
                        return digits >= 2;
                    }
                    digits.min(2)
                }
                Item::Error => return false,
            };
            rest = rest.get(length..).unwrap_or_default();
        }
        false
    }
}

/// Whether a part of a form is the distance from UTC.
fn is_offset(item: &Item<'_>) -> bool {
    let known = matches!(
        item,
        Item::Fixed(
            Fixed::TimezoneOffset
                | Fixed::TimezoneOffsetZ
                | Fixed::TimezoneOffsetColon
                | Fixed::TimezoneOffsetColonZ
                | Fixed::TimezoneOffsetDoubleColon
                | Fixed::TimezoneOffsetTripleColon
        )
    );
    // The library has no public name for the part that only reads.
    known || StrftimeItems::new("%#z").next().as_ref() == Some(item)
}

/// The length of the characters at the beginning of a text that are of one kind, in bytes.
fn length_while(text: &str, is_of_kind: impl Fn(char) -> bool) -> usize {
    text.chars().take_while(|c| is_of_kind(*c)).map(char::len_utf8).sum()
}

#[cfg(test)]
mod tests;
