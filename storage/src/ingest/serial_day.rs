//! Days as spreadsheet programs count them.
//!
//! Excel counts from 1 on the first of January 1900, and counts a 29th of February 1900, which was not there: from the first of March on a
//! number is one higher than the days since then. Workbooks of older Macs count from 0 on the first of January 1904. (ECMA-376 part 1,
//! 18.17.4.1.)

use chrono::{Datelike, Days, NaiveDate};

/// The day from which a workbook counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Epoch {
    /// 1900, as a leap year.
    Y1900,
    /// 1904.
    Y1904,
}

/// The last year that the programs have.
const LAST_YEAR: i32 = 9999;

/// The day with this number; `None` for the 29th of February 1900, and for a number that the programs do not show as a day.
pub(super) fn day(number: i64, epoch: Epoch) -> Option<NaiveDate> {
    let start = match (epoch, number) {
        (Epoch::Y1904, 0..) => NaiveDate::from_ymd_opt(1904, 1, 1)?,
        (Epoch::Y1900, 1..=59) => NaiveDate::from_ymd_opt(1899, 12, 31)?,
        (Epoch::Y1900, 61..) => NaiveDate::from_ymd_opt(1899, 12, 30)?,
        (Epoch::Y1900 | Epoch::Y1904, _) => return None,
    };
    let day = start.checked_add_days(Days::new(u64::try_from(number).ok()?))?;
    (day.year() <= LAST_YEAR).then_some(day)
}

/// The day whose number is written in digits alone, without zeros before them.
pub(super) fn read(value: &str, epoch: Epoch) -> Option<NaiveDate> {
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit()) && (value == "0" || !value.starts_with('0'));
    let number = value.parse().ok().filter(|_| is_number)?;
    day(number, epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(epoch: Epoch, values: &[&str]) -> Vec<Option<String>> {
        let day = |value: &&str| read(value, epoch).map(|day| day.to_string());
        values.iter().map(day).collect()
    }

    #[test]
    fn serial_days_are_those_that_excel_shows() {
        let known = [
            ("1", "1900-01-01"),
            ("2", "1900-01-02"),
            ("31", "1900-01-31"),
            ("59", "1900-02-28"),
            ("61", "1900-03-01"),
            ("366", "1900-12-31"),
            ("367", "1901-01-01"),
            ("25569", "1970-01-01"),
            ("36526", "2000-01-01"),
            ("36585", "2000-02-29"),
            ("45292", "2024-01-01"),
            ("2958465", "9999-12-31"),
        ];
        for (value, day) in known {
            assert_eq!(days(Epoch::Y1900, &[value]), [Some(day.to_owned())], "{value}");
        }
        for (value, day) in [
            ("0", "1904-01-01"),
            ("1", "1904-01-02"),
            ("59", "1904-02-29"),
            ("60", "1904-03-01"),
            ("24107", "1970-01-01"),
            ("43830", "2024-01-01"),
            ("2957003", "9999-12-31"),
        ] {
            assert_eq!(days(Epoch::Y1904, &[value]), [Some(day.to_owned())], "{value}");
        }
    }

    #[test]
    fn serial_days_that_are_none_are_refused() {
        let others = [
            "-1",
            "+1",
            "",
            " 1",
            "1 ",
            "007",
            "45292.5",
            "45292.0",
            "1e4",
            "45,292",
            "x",
            "9223372036854775808",
        ];
        for epoch in [Epoch::Y1900, Epoch::Y1904] {
            assert_eq!(days(epoch, &others), vec![None; others.len()]);
        }
        // The day before the first, the one that was not there, and the one after the last.
        assert_eq!(days(Epoch::Y1900, &["0", "60", "2958466"]), [None, None, None]);
        assert_eq!(days(Epoch::Y1904, &["2957004"]), [None]);
    }

    /// Two programs that count from different days have the same day 1462 apart, since the first of March 1900.
    #[test]
    fn serial_days_of_both_systems_are_1462_apart() {
        for number in 0..100_000 {
            assert_eq!(day(number, Epoch::Y1904), day(number + 1462, Epoch::Y1900), "{number}");
        }
    }
}
