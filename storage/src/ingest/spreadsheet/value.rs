//! Numbers and times of cells, as the text that a CSV file would have for them.

use std::fmt::Write;

use crate::ingest::{parse_field, serial_day};

pub(super) use crate::ingest::serial_day::Epoch;

/// Whole numbers up to this one are stored exactly.
const MAX_WHOLE: f64 = parse_field::MAX_EXACT;
/// Milliseconds of a day.
const DAY: i64 = 86_400_000;
/// Most digits that a number format of zeros is followed to.
const MAX_ZEROS: usize = 64;
/// Days up to the end of year 9999.
const LAST_DAY: f64 = 2_958_466.0;

/// How a cell shows its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shape {
    /// As a number.
    #[default]
    Number,
    /// As a date.
    Date,
    /// As a time of day.
    Time,
    /// As both.
    DateTime,
    /// As hours, minutes and seconds, of which there may be more than a day has.
    Elapsed,
    /// As a whole number with zeros before it, up to this many digits.
    Padded(usize),
}

/// The shortest digits that stand for the number. Whole numbers have no point, as the spreadsheet program shows them.
pub(super) fn number(value: f64, text: &mut String) {
    // Writing to a text cannot fail.
    let _ = if value.fract() == 0.0 && value.abs() < MAX_WHOLE {
        write!(text, "{:.0}", value + 0.0)
    } else {
        let written = format!("{value:?}");
        match written.split_once('e') {
            // Without the sign of an exponent it could be a code.
            Some((digits, power)) if !power.starts_with('-') => write!(text, "{digits}e+{power}"),
            Some(_) | None => write!(text, "{written}"),
        }
    };
}

/// Whether the digits of a cell are read as they are stored, because its number may not have them: from 2^53 on those of a whole number, and
/// all that floating point does not restore. Below it a cell has a floating point number, however many digits it is written with.
pub(super) fn keeps_digits(stored: &str, number: f64) -> bool {
    let body = stored.strip_prefix('-').unwrap_or(stored);
    let is_whole = body.bytes().all(|byte| byte.is_ascii_digit());
    number.abs() >= MAX_WHOLE && (is_whole || !parse_field::is_restored(body))
}

/// A number of days and parts of a day, as its cell shows it; as a number if it is not a time.
pub(super) fn serial(value: f64, shape: Shape, epoch: Epoch, text: &mut String) {
    let is_time = !matches!(shape, Shape::Number | Shape::Padded(_)) && (0.0..LAST_DAY).contains(&value);
    let written = is_time.then(|| time(milliseconds(value), shape, epoch)).flatten();
    match written {
        Some(written) => text.push_str(&written),
        None => number(value, text),
    }
}

/// A whole number with the zeros that its cell shows before it, if there are any: a code, such as the number of a case.
pub(super) fn padded(value: f64, shape: Shape) -> Option<String> {
    let Shape::Padded(width) = shape else { return None };
    if value.fract() != 0.0 || !(0.0..MAX_WHOLE).contains(&value) {
        return None;
    }
    let mut digits = String::new();
    number(value, &mut digits);
    (digits.len() < width).then(|| format!("{digits:0>width$}"))
}

/// Spreadsheet programs keep times to the millisecond.
#[expect(clippy::cast_possible_truncation, reason = "at most LAST_DAY days")]
fn milliseconds(days: f64) -> i64 {
    (days * 86_400_000.0).round() as i64
}

fn time(milliseconds: i64, shape: Shape, epoch: Epoch) -> Option<String> {
    let days = milliseconds / DAY;
    let rest = milliseconds % DAY;
    let is_day = days > 0 || (epoch == Epoch::Y1904 && rest == 0);
    match (shape, is_day, rest) {
        (Shape::Number | Shape::Padded(_), ..) => None,
        (Shape::Elapsed, ..) => Some(clock(milliseconds, 1)),
        (Shape::Date, true, 0) => date(days, epoch),
        (Shape::Date, false, 0) => None,
        (Shape::Date | Shape::Time | Shape::DateTime, false, _) => Some(clock(rest, 2)),
        (Shape::Date | Shape::Time | Shape::DateTime, true, _) => {
            Some(format!("{}T{}", date(days, epoch)?, clock(rest, 2)))
        }
    }
}

/// `hh:mm:ss`, with milliseconds if there are any.
fn clock(milliseconds: i64, width: usize) -> String {
    let seconds = milliseconds / 1000;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let mut text = format!("{hours:0width$}:{minutes:02}:{:02}", seconds % 60);
    if milliseconds % 1000 > 0 {
        let _ = write!(text, ".{:03}", milliseconds % 1000);
    }
    text
}

fn date(days: i64, epoch: Epoch) -> Option<String> {
    // The programs count a 29th of February 1900, which was not there. Its cells show it, and it makes its column text.
    if epoch == Epoch::Y1900 && days == 60 {
        return Some("1900-02-29".to_owned());
    }
    serial_day::day(days, epoch).map(|day| day.to_string())
}

impl Shape {
    /// The shape of a number format that is written out, such as `yyyy-mm-dd`. Its first section counts, which is for positive numbers.
    pub(super) fn of_code(code: &str) -> Self {
        let mut parts = Parts::default();
        let mut characters = code.trim().chars();
        if code.to_ascii_lowercase().contains("general") {
            return Self::Number;
        }
        if let Some(width) = zeros(code) {
            return Self::Padded(width);
        }
        while let Some(character) = characters.next() {
            match character.to_ascii_lowercase() {
                ';' => break,
                '"' => drop(characters.by_ref().find(|character| *character == '"')),
                // The character after these is shown, skipped or repeated.
                '\\' | '_' | '*' => drop(characters.next()),
                '[' => {
                    let inside: String = characters.by_ref().take_while(|character| *character != ']').collect();
                    let inside = inside.to_ascii_lowercase();
                    parts.elapsed |=
                        !inside.is_empty() && inside.bytes().all(|byte| matches!(byte, b'h' | b'm' | b's'));
                }
                'y' | 'd' => parts.date = true,
                'h' | 's' => parts.time = true,
                // Months or minutes.
                'm' => parts.either = true,
                _ => {}
            }
        }
        parts.shape()
    }

    /// The shape of a number format that is known by its number (ECMA-376, 18.8.30).
    pub(super) const fn of_number(format: u32) -> Self {
        match format {
            14..=17 | 27..=31 | 34..=36 | 50..=54 | 57 | 58 => Self::Date,
            18..=21 | 32 | 33 | 45 | 47 | 55 | 56 => Self::Time,
            22 => Self::DateTime,
            46 => Self::Elapsed,
            _ => Self::Number,
        }
    }
}

/// The length of a number format of zeros alone; a single one shows no zeros before a number.
fn zeros(code: &str) -> Option<usize> {
    let section = code.split(';').next().unwrap_or_default().trim();
    let is_zeros = (2..=MAX_ZEROS).contains(&section.len()) && section.bytes().all(|byte| byte == b'0');
    is_zeros.then_some(section.len())
}

/// What a number format shows.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    date: bool,
    time: bool,
    either: bool,
    elapsed: bool,
}

impl Parts {
    const fn shape(self) -> Shape {
        match self {
            Self { elapsed: true, .. } => Shape::Elapsed,
            Self {
                date: true, time: true, ..
            } => Shape::DateTime,
            Self { date: true, .. } => Shape::Date,
            Self { time: true, .. } => Shape::Time,
            Self { either: true, .. } => Shape::Date,
            Self { .. } => Shape::Number,
        }
    }
}

/// `PThhHmmMss.sssS` of OpenDocument as `h:mm:ss`; `None` if it is written in another way.
pub(super) fn duration(iso: &str) -> Option<String> {
    let (hours, rest) = iso.strip_prefix("PT")?.split_once('H')?;
    let (minutes, rest) = rest.split_once('M')?;
    let seconds = rest.strip_suffix('S')?;
    let (whole, fraction) = seconds.split_once(['.', ',']).unwrap_or((seconds, ""));
    let hours: u64 = hours.parse().ok()?;
    let minutes: u64 = minutes.parse().ok()?;
    let whole: u64 = whole.parse().ok()?;
    let is_digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
    if minutes > 59 || whole > 59 || !is_digits {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{hours:02}:{minutes:02}:{whole:02}{point}{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: f64, shape: Shape) -> String {
        let mut text = String::new();
        serial(value, shape, Epoch::Y1900, &mut text);
        text
    }

    #[test]
    fn numbers_have_the_shortest_digits() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-17.0, "-17"),
            (0.1, "0.1"),
            (0.1 + 0.2, "0.30000000000000004"),
            (123_456_789_012_345.0, "123456789012345"),
            (1e22, "1e+22"),
            (1.5e-7, "1.5e-7"),
        ] {
            let mut text = String::new();
            number(value, &mut text);
            assert_eq!(text, expected);
            assert_eq!(text.parse::<f64>().unwrap(), value);
        }
    }

    #[test]
    fn digits_that_floating_point_changes_are_read_as_they_are_stored() {
        for (stored, expected) in [
            ("9007199254740993", true),
            ("-9007199254740993", true),
            ("9007199254740993.0", true),
            ("9.007199254740993E+15", true),
            ("1E+22", false),
            ("1.2345678901234567E+19", false),
            ("9007199254740991", false),
            ("0.30000000000000004", false),
            ("0.10000000000000000555", false),
            ("0.1234567890123456789", false),
        ] {
            assert_eq!(keeps_digits(stored, stored.parse().unwrap()), expected, "{stored}");
        }
    }

    #[test]
    fn times_are_written_as_their_cells_show_them() {
        for (value, shape, expected) in [
            (43_831.0, Shape::Date, "2020-01-01"),
            (43_831.0, Shape::DateTime, "2020-01-01T00:00:00"),
            (43_831.5, Shape::Date, "2020-01-01T12:00:00"),
            (43_831.000_011_574, Shape::DateTime, "2020-01-01T00:00:01"),
            (43_831.000_001_447, Shape::DateTime, "2020-01-01T00:00:00.125"),
            (43_831.999_999_999, Shape::DateTime, "2020-01-02T00:00:00"),
            (0.75, Shape::Time, "18:00:00"),
            (1.75, Shape::Time, "1900-01-01T18:00:00"),
            (1.25, Shape::Elapsed, "30:00:00"),
            (1.0, Shape::Date, "1900-01-01"),
            (59.0, Shape::Date, "1900-02-28"),
            (60.0, Shape::Date, "1900-02-29"),
            (61.0, Shape::Date, "1900-03-01"),
            (2_958_465.0, Shape::Date, "9999-12-31"),
            (2_958_466.0, Shape::Date, "2958466"),
            (-1.0, Shape::Date, "-1"),
            (0.0, Shape::Date, "0"),
            (43_831.0, Shape::Number, "43831"),
        ] {
            assert_eq!(shown(value, shape), expected, "{value} {shape:?}");
        }
        let mut text = String::new();
        serial(42_369.0, Shape::Date, Epoch::Y1904, &mut text);
        assert_eq!(text, "2020-01-01");
    }

    #[test]
    fn zeros_are_kept_where_a_number_format_shows_them() {
        for (value, shape, expected) in [
            (11.0, Shape::Padded(7), Some("0000011")),
            (0.0, Shape::Padded(2), Some("00")),
            (1_234_567.0, Shape::Padded(7), None),
            (12_345_678.0, Shape::Padded(7), None),
            (-11.0, Shape::Padded(7), None),
            (1.5, Shape::Padded(7), None),
            (11.0, Shape::Number, None),
        ] {
            assert_eq!(padded(value, shape).as_deref(), expected, "{value} {shape:?}");
        }
        assert_eq!(shown(1.5, Shape::Padded(7)), "1.5");
    }

    #[test]
    fn number_formats_show_dates_times_or_numbers() {
        for (code, expected) in [
            ("General", Shape::Number),
            ("0.00", Shape::Number),
            ("0", Shape::Number),
            ("0000000", Shape::Padded(7)),
            ("00;-00", Shape::Padded(2)),
            ("000-000", Shape::Number),
            ("0.00E+00", Shape::Number),
            ("#,##0\\ \"days\"", Shape::Number),
            ("0\" mmHg\"", Shape::Number),
            ("0\\h", Shape::Number),
            ("[Red]0;-0", Shape::Number),
            ("yyyy-mm-dd", Shape::Date),
            ("DD.MM.YY", Shape::Date),
            ("[$-407]d. mmmm yyyy", Shape::Date),
            ("mmm", Shape::Date),
            ("h:mm", Shape::Time),
            ("h:mm AM/PM", Shape::Time),
            ("mm:ss.0", Shape::Time),
            ("yyyy-mm-dd hh:mm:ss", Shape::DateTime),
            ("[h]:mm:ss", Shape::Elapsed),
            ("[mm]:ss", Shape::Elapsed),
        ] {
            assert_eq!(Shape::of_code(code), expected, "{code}");
        }
        assert_eq!(Shape::of_number(14), Shape::Date);
        assert_eq!(Shape::of_number(0), Shape::Number);
    }

    #[test]
    fn durations_are_hours_minutes_and_seconds() {
        for (iso, expected) in [
            ("PT18H30M00S", Some("18:30:00")),
            ("PT1H02M03.500S", Some("01:02:03.5")),
            ("PT30H00M00,000000S", Some("30:00:00")),
            ("P1D", None),
            ("PT1H99M00S", None),
        ] {
            assert_eq!(duration(iso).as_deref(), expected, "{iso}");
        }
    }
}
