//! Kinds of single fields.

use proptest::prelude::*;

use super::*;

fn kind(value: &str) -> ColumnKind {
    classify(value).kinds.best()
}

#[test]
fn values_that_cannot_be_restored_as_written_are_text() {
    for value in [
        "00123",
        "+3612345678",
        "9223372036854775808",
        "007.5",
        "inf",
        "nan",
        "Infinity",
        "1_000",
        "0x10",
        "1e999",
        "yes",
        "tRUE",
        "t",
        "12:30",
        "2020-02-30",
        "2020-1-1",
        "01/02/2020",
        "2020-01-01T24:00",
        "2020-01-01T10:00:00.1234",
        "2020-01-01T10:00:60",
        "2020-01-01T10",
        "1,5",
        "-",
        "--1",
        "1-2",
        "e5",
        "1 2",
        "2020-01-01T10:00:00+25:00",
        "é020-01-01",
        "0.123456789012345678",
        "123456789.0123456789",
        "9007199254740993.0",
        "-9007199254740993.0",
        "9.007199254740993E+15",
        "0.12345678901234567",
        "1e-400",
        "4.94065e-324",
        "2020-é1-01",
    ] {
        assert_eq!(kind(value), ColumnKind::Text, "{value}");
    }
}

#[test]
fn typed_values() {
    assert_eq!(kind("-9223372036854775808"), ColumnKind::Int);
    assert_eq!(kind("0"), ColumnKind::Int);
    for value in [
        "0.5",
        ".5",
        "1.",
        "-1e-3",
        "1.5e-3",
        "123e-5",
        "-0",
        "1.0E10",
        "1e+21",
        "0.10000000000000001",
        "0.30000000000000004",
        "9007199254740994.0",
        "1.7976931348623157e308",
        "5e-324",
        "5.684341886080802e-14",
        "5.684341886080801e-14",
        "0e400",
    ] {
        assert_eq!(kind(value), ColumnKind::Float, "{value}");
    }
    for (value, like_code) in [
        ("1E5", true),
        ("-12e4", true),
        ("1.0E5", false),
        ("1e+5", false),
        ("15", false),
    ] {
        assert_eq!(classify(value).like_code, like_code, "{value}");
    }
    assert_eq!(kind("TRUE"), ColumnKind::Boolean);
    assert_eq!(kind("2020-02-29"), ColumnKind::Date);
    assert_eq!(kind("2020-02-29 10:00"), ColumnKind::Timestamp);
    assert_eq!(kind("2020-02-29T10:00:00Z"), ColumnKind::TimestampUtc);
    assert_eq!(kind("2020-02-29 10:00:00 UTC"), ColumnKind::TimestampUtc);
}

#[test]
fn whole_parts_and_days_are_read_with_the_kinds() {
    for (value, whole) in [
        ("12", Some(12)),
        ("-0", Some(0)),
        ("-12.5", Some(-12)),
        (".5", Some(0)),
        ("-.5", Some(0)),
        ("1e5", None),
        ("1.5e3", None),
        ("x", None),
        ("007", None),
    ] {
        assert_eq!(classify(value).whole, whole, "{value}");
    }
    assert_eq!(classify("1970-01-02").day, Some(1));
    assert_eq!(classify("1969-12-31T23:00").day, Some(-1));
    assert_eq!(classify("5").day, None);
}

#[test]
fn a_large_whole_number_does_not_share_a_column_with_fractions() {
    let half = classify("0.5").kinds;
    assert!(classify("9007199254740993").kinds.and(half).is_none());
    assert_eq!(classify("9007199254740992").kinds.and(half).best(), ColumnKind::Float);
}

#[test]
fn instants() {
    assert_eq!(date("1970-01-01"), Some(0));
    assert_eq!(date("1969-12-31"), Some(-1));
    assert_eq!(timestamp("1970-01-02T00:00:01.5"), Some((86_401_500, Zone::Local)));
    assert_eq!(timestamp("1970-01-01T01:00:00.250000+01:00"), Some((250, Zone::Utc)));
    assert_eq!(timestamp("1969-12-31 23:59-00:01"), Some((0, Zone::Utc)));
}

/// A number as text: digits with a point somewhere, and perhaps an exponent.
fn decimal_texts() -> impl Strategy<Value = String> {
    ("[1-9][0-9]{14,19}", 0..=20_usize, prop::option::of(-330..=300_i32)).prop_map(|(digits, point, exponent)| {
        let (whole, rest) = digits.split_at(point.min(digits.len()));
        let whole = if whole.is_empty() { "0" } else { whole };
        match exponent {
            None => format!("{whole}.{rest}"),
            Some(exponent) => format!("{whole}.{rest}e{exponent}"),
        }
    })
}

/// The digits of a text without zeros around them, and the power of ten of the last; the sign is left out.
fn exact(text: &str) -> (String, i64) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, rest) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{rest}");
    let trimmed = all.trim_end_matches('0');
    let power = exponent.parse::<i64>().unwrap() - rest.len() as i64 + (all.len() - trimmed.len()) as i64;
    (trimmed.trim_start_matches('0').to_owned(), power)
}

/// How many digits a text has from its first one other than zero on.
fn significant(text: &str) -> usize {
    let mantissa = text.split('e').next().unwrap();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_start_matches('0').len()
}

proptest! {
    #[test]
    fn what_is_stored_as_floating_point_prints_back_to_the_same_number(text in decimal_texts()) {
        let is_float = classify(&text).kinds == Kinds::FLOAT;
        if is_float {
            let number = float(&text).unwrap();
            let decimals = significant(&text) - 1;
            let nearest = format!("{number:.decimals$e}");
            let shortest = format!("{number:e}");
            prop_assert!([&nearest, &shortest].iter().any(|printed| exact(printed) == exact(&text)), "{text}");
        } else {
            prop_assert!(classify(&text).inexact || float(&text).is_none(), "{text}");
        }
    }

    /// Texts with equally many digits that are different numbers are never stored as the same one.
    #[test]
    fn no_two_numbers_become_the_same(
        digits in 100_000_000_000_000_u64..18_446_744_073_709_551_000,
        by in 1..40_u64,
        point in 0..=20_usize,
    ) {
        let text = |digits: u64| {
            let digits = digits.to_string();
            let (whole, rest) = digits.split_at(point.min(digits.len()));
            format!("{}.{rest}", if whole.is_empty() { "0" } else { whole })
        };
        let (one, other) = (text(digits), text(digits + by));
        let both = classify(&one).kinds.and(classify(&other).kinds);
        if both == Kinds::FLOAT && significant(&one) == significant(&other) {
            prop_assert_ne!(float(&one), float(&other), "{} {}", one, other);
        }
    }

    /// What a program writes of a double is a double, with the shortest digits and with 17.
    #[test]
    fn doubles_as_programs_write_them_are_floating_point(
        number in prop::num::f64::POSITIVE | prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL
    ) {
        for text in [format!("{number:e}"), format!("{number:.16e}")] {
            prop_assert!(classify(&text).kinds == Kinds::FLOAT, "{text}");
        }
    }
}

#[test]
fn numbers_that_may_have_been_rounded_are_known() {
    for (value, rounded) in [
        ("9007199254740992.0", true),
        ("9007199254740993.0", true),
        ("9.1e15", true),
        ("1.23457E+11", true),
        ("9007199254740993", false),
        ("9007199254740991.0", false),
        ("1.5e3", false),
        ("1E-05", false),
    ] {
        assert_eq!(classify(value).rounded, rounded, "{value}");
    }
}
