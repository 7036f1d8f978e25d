//! Forms of dates and date-times, as `strftime` writes them, and the numbers by which spreadsheet programs count days.

use std::str::FromStr;

use chrono::{
    NaiveDate, NaiveDateTime,
    format::{Fixed, Item, Numeric, Parsed, StrftimeItems, parse},
};

use crate::ingest::{
    error::IngestError,
    serial_day::{self, Epoch},
};

/// The last of the hundred years that years of two digits stand for, unless another one is stated: that of POSIX, by which 69 is 1969 and
/// 68 is 2068.
const LAST_YEAR: i32 = 2068;

/// The forms that are numbers of days, by their names.
const SERIAL: [(&str, Epoch); 2] = [("excel", Epoch::Y1900), ("excel-1904", Epoch::Y1904)];

/// The form of a date or a date-time, such as `%d.%m.%Y`; or `excel`, for days that are numbered as Excel does.
///
/// A year has four digits (`%Y`) or two (`%y`), exactly as many as the form has. One of two digits is that of the hundred years that
/// end with a stated year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DateFormat {
    pattern: String,
    items: Vec<Item<'static>>,
    serial: Option<Epoch>,
    has_time: bool,
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
                       `excel` or `excel-1904`",
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
            has_short_year: has(&[Numeric::YearMod100]),
            last_year: LAST_YEAR,
            serial: None,
            items: items.clone(),
        };
        // Every form must restore what it writes; one that lacks the minutes or has a foreign part does not.
        let sample = NaiveDate::from_ymd_opt(2001, 2, 3).and_then(|day| day.and_hms_opt(4, 5, 0));
        let restored = sample.is_some_and(|sample| {
            let written = sample.format(pattern).to_string();
            match format.has_time {
                true => format.time(&written) == Some(sample),
                false => format.date(&written) == Some(sample.date()),
            }
        });
        restored.then_some(format).ok_or_else(refused)
    }
}

impl DateFormat {
    fn of_serial(name: &str, epoch: Epoch) -> Self {
        Self {
            pattern: name.to_owned(),
            items: Vec::new(),
            serial: Some(epoch),
            has_time: false,
            has_short_year: false,
            last_year: LAST_YEAR,
        }
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

    /// The date-time that a text writes in this form.
    pub(in crate::ingest) fn time(&self, value: &str) -> Option<NaiveDateTime> {
        self.parsed(value)?.to_naive_datetime_with_offset(0).ok()
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

/// The length of the characters at the beginning of a text that are of one kind, in bytes.
fn length_while(text: &str, is_of_kind: impl Fn(char) -> bool) -> usize {
    text.chars().take_while(|c| is_of_kind(*c)).map(char::len_utf8).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(pattern: &str, value: &str) -> Option<String> {
        let format: DateFormat = pattern.parse().unwrap();
        format.date(value).map(|day| day.to_string())
    }

    #[test]
    fn forms_without_a_year_or_a_day_are_refused() {
        for pattern in [
            "%m.%Y",
            "%d.%m",
            "%Q",
            "",
            "dd.mm.yyyy",
            "%d.%m.%Y %H",
            "%d.%m.%C",
            "%d.%m.%G",
            "%d.%m.%Y %I:%M",
            "Excel",
            "excel 1904",
        ] {
            assert!(pattern.parse::<DateFormat>().is_err(), "{pattern}");
        }
        for pattern in [
            "%d.%m.%Y",
            "%m/%d/%Y",
            "%Y%m%d",
            "%d %b %Y",
            "%d-%m-%Y %H:%M:%S",
            "%d.%m.%y",
            "%y%m%d",
            "%m/%d/%Y %I:%M %p",
            "%F %T",
        ] {
            pattern
                .parse::<DateFormat>()
                .unwrap_or_else(|error| panic!("{pattern}: {error}"));
        }
    }

    #[test]
    fn numbers_of_days_are_forms_with_names() {
        for (name, value, found) in [
            ("excel", "45292", Some("2024-01-01")),
            ("excel-1904", "45292", Some("2028-01-02")),
            ("excel", "60", None),
            ("excel", "45292.5", None),
            ("excel", "2024-01-01", None),
        ] {
            assert_eq!(day(name, value).as_deref(), found, "{name} {value}");
        }
        let form: DateFormat = "excel".parse().unwrap();
        assert_eq!((form.pattern(), form.time("45292")), ("excel", None));
        assert!(form.is_serial() && form.is_digits() && !form.has_time());
        assert_eq!(
            form.clone().until(2026),
            DateFormat {
                last_year: 2026,
                ..form
            }
        );
    }

    #[test]
    fn a_year_has_exactly_the_digits_of_its_form() {
        for (pattern, value, found) in [
            ("%d.%m.%Y", "20.01.1960", Some("1960-01-20")),
            ("%d.%m.%Y", "20.01.0060", Some("0060-01-20")),
            ("%d.%m.%Y", "20.01.60", None),
            ("%d.%m.%Y", "20.01.960", None),
            ("%d.%m.%Y", "20.01.+1960", None),
            ("%d.%m.%Y", "20.01.-1960", None),
            ("%d.%m.%Y", "20.01.19600", None),
            ("%m/%d/%Y", "3/9/1982", Some("1982-03-09")),
            ("%m/%d/%Y", "05/07/52", None),
            ("%Y%m%d", "19600120", Some("1960-01-20")),
            ("%Y%m%d", "600120", None),
            ("%d%m%Y", "20011960", Some("1960-01-20")),
            ("%d %b %Y", "20 Jan 1960", Some("1960-01-20")),
            ("%d %b %Y", "20 Jan 60", None),
            ("%d.%m.%y", "20.01.60", Some("2060-01-20")),
            ("%d.%m.%y", "20.01.6", None),
            ("%d.%m.%y", "20.01.1960", None),
            ("%y%m%d", "600120", Some("2060-01-20")),
        ] {
            assert_eq!(day(pattern, value).as_deref(), found, "{pattern} {value}");
        }
    }

    #[test]
    fn years_of_two_digits_are_of_the_stated_hundred_years() {
        let posix: DateFormat = "%d.%m.%y".parse().unwrap();
        assert_eq!(posix.short_years(), Some((1969, 2068)));
        let format = posix.until(2026);
        assert_eq!(format.short_years(), Some((1927, 2026)));
        for (value, year) in [
            ("01.02.27", "1927"),
            ("01.02.99", "1999"),
            ("01.02.00", "2000"),
            ("01.02.26", "2026"),
        ] {
            let found = format.date(value).unwrap().to_string();
            assert_eq!(found, format!("{year}-02-01"), "{value}");
        }
        // 1900 was not a leap year, and 2000 was one.
        assert!(format.date("29.02.00").is_some());
        let format = format.until(1999);
        assert!(format.date("29.02.00").is_none() && format.date("28.02.00").is_some());
        let times: DateFormat = "%d.%m.%y %H:%M".parse().unwrap();
        let time = times.until(2026).time("20.01.60 10:30").unwrap();
        assert_eq!(time.to_string(), "1960-01-20 10:30:00");
        assert_eq!("%d.%m.%Y".parse::<DateFormat>().unwrap().short_years(), None);
    }
}
