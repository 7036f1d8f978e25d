//! Kinds of single fields.

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
