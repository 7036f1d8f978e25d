//! Forms that are read or refused, and what they read.

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
        "%d.%m.%Y %z",
        "%d.%m.%Y %H:%M %Z",
        "%d.%m.%Y %H:%M %+",
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
fn date_times_with_a_zone_are_instants() {
    for (pattern, value, found) in [
        (
            "%Y-%m-%d %H:%M:%S%z",
            "2023-07-01 01:30:00+0200",
            Some("2023-06-30 23:30:00"),
        ),
        (
            "%Y-%m-%d %H:%M:%S%z",
            "2023-07-01 01:30:00-05:00",
            Some("2023-07-01 06:30:00"),
        ),
        (
            "%Y-%m-%d %H:%M:%S%:z",
            "2023-07-01 01:30:00+05:30",
            Some("2023-06-30 20:00:00"),
        ),
        (
            "%Y-%m-%d %H:%M:%S%#z",
            "2023-07-01 01:30:00+02",
            Some("2023-06-30 23:30:00"),
        ),
        (
            "%Y-%m-%d %H:%M:%S%#z",
            "2023-07-01 01:30:00Z",
            Some("2023-07-01 01:30:00"),
        ),
        ("%d.%m.%y %H:%M %z", "20.01.60 10:30 +0100", Some("2060-01-20 09:30:00")),
        (
            "%a %b %d %H:%M:%S %z %Y",
            "Wed Aug 27 13:08:45 +0200 2008",
            Some("2008-08-27 11:08:45"),
        ),
        ("%Y-%m-%d %H:%M:%S%z", "2023-07-01 01:30:00", None),
        ("%Y-%m-%d %H:%M:%S%z", "2023-07-01 01:30:00 CEST", None),
        ("%Y-%m-%d %H:%M:%S%z", "2023-07-01 01:30:00+9900", None),
    ] {
        let format: DateFormat = pattern.parse().unwrap_or_else(|error| panic!("{pattern}: {error}"));
        let time = format.time(value).map(|(time, zone)| (time.to_string(), zone));
        assert_eq!(
            time,
            found.map(|found| (found.to_owned(), Zone::Utc)),
            "{pattern} {value}"
        );
    }
}

/// Each letter and sign after `%`, with each padding and modifier of the library, in forms of dates and of date-times.
#[test]
fn every_part_of_a_form_is_read_or_refused() {
    let modifiers = [
        "", "-", "_", "0", "^", "#", "E", "O", ".", ":", "::", ":::", "::::", ".3", ".6", ".9", "3", "6", "9", "+",
        "-:", "_#",
    ];
    let (mut forms, mut read) = (0, 0);
    for part in (b' '..=b'~').map(char::from) {
        for modifier in modifiers {
            for rest in ["%d.%m.%Y", "%d.%m.%Y %H:%M", "%Y-%m-%d %I:%M %p", "%b %d %y %T", ""] {
                for pattern in [
                    format!("{rest} %{modifier}{part}"),
                    format!("%{modifier}{part} {rest}"),
                    format!("{rest}%{modifier}{part}%z"),
                ] {
                    let Ok(format) = pattern.parse::<DateFormat>() else {
                        continue;
                    };
                    forms += 1;
                    assert_eq!((format.date(""), format.time("")), (None, None), "{pattern}");
                    for value in ["03.02.2001", "03.02.2001 04:05 +0530", "\u{2212}\u{e9}"] {
                        read += usize::from(format.is_form_of(value));
                    }
                }
            }
        }
    }
    assert!(forms > 20 && read > 2, "{forms} {read}");
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
    let (time, zone) = times.until(2026).time("20.01.60 10:30").unwrap();
    assert_eq!((time.to_string().as_str(), zone), ("1960-01-20 10:30:00", Zone::Local));
    assert_eq!("%d.%m.%Y".parse::<DateFormat>().unwrap().short_years(), None);
}
