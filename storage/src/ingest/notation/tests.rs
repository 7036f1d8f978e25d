//! Ways of writing numbers, times and truth values.

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
    assert_eq!(notation.date("17.08.1984"), parse_field::date("1984-08-17"));
    assert_eq!(kind(&notation, "17.08.1984"), ColumnKind::Date);
    assert_eq!(kind(&notation, "1984-08-17"), ColumnKind::Date);
    assert_eq!(kind(&notation, "31.02.1984"), ColumnKind::Text);
    let (winter, _) = parse_field::timestamp("1999-12-31T23:30Z").unwrap();
    assert_eq!(notation.timestamp("01.01.2000 00:30"), Some((winter, Zone::Utc)));
    assert_eq!(kind(&notation, "01.01.2000 00:30"), ColumnKind::TimestampUtc);
    // The clock shows this time twice.
    for time in ["2023-10-29T02:30", "29.10.2023 02:30", "26.03.2023 02:30"] {
        assert_eq!(notation.timestamp(time), None, "{time}");
        let reading = notation.classify(time);
        assert!(reading.in_clock_change && reading.kinds.is_none(), "{time}");
    }
}

#[test]
fn a_zone_in_a_form_is_applied_and_the_stated_one_is_not() {
    let notation = Notation {
        dates: vec!["%d.%m.%Y %H:%M %z".parse().unwrap()],
        zone: Some("Europe/Berlin".parse().unwrap()),
        ..Notation::default()
    };
    let (instant, _) = parse_field::timestamp("2000-01-01T05:30Z").unwrap();
    assert_eq!(notation.timestamp("01.01.2000 00:30 -0500"), Some((instant, Zone::Utc)));
    assert_eq!(kind(&notation, "01.01.2000 00:30 -0500"), ColumnKind::TimestampUtc);
    assert_eq!(kind(&notation, "01.01.2000 00:30"), ColumnKind::Text);
}

#[test]
fn values_that_a_file_states_to_be_numbers_keep_their_signs() {
    let german = Notation {
        decimal: DecimalSign::Comma,
        thousands: Some(ThousandsSign::Point),
        dates: vec!["%Y-%d-%m".parse().unwrap(), "%Y%m%d".parse().unwrap()],
        booleans: vec!["1,0".parse().unwrap()],
        ..Notation::default()
    };
    let typed = german.for_typed();
    for (value, number) in [("1.235", 1.235), ("2.5", 2.5), ("1.5e-3", 0.0015), ("-7", -7.0)] {
        assert_eq!(typed.float(value), Some(number), "{value}");
        assert!(typed.classify(value).is_number(), "{value}");
    }
    assert_eq!(typed.date("2020-01-02"), parse_field::date("2020-01-02"));
    assert_eq!(german.date("2020-01-02"), parse_field::date("2020-02-01"));
    // A number may mean a day or a truth value, which only an option states.
    assert_eq!(typed.date("19600120"), parse_field::date("1960-01-20"));
    assert_eq!(kind(&typed, "19600120"), ColumnKind::Date);
    assert_eq!(typed.boolean("1"), Some(true));
}

#[test]
fn a_number_that_a_form_of_dates_fits_can_be_either() {
    let notation = Notation {
        dates: vec!["%Y%m%d".parse().unwrap()],
        ..Notation::default()
    };
    let day = notation.classify("19600120");
    assert_eq!((day.kinds.best(), day.whole), (ColumnKind::Date, Some(19_600_120)));
    let both = day.kinds.and(notation.classify("12345678").kinds);
    assert_eq!(both.best(), ColumnKind::Int);
}

#[test]
fn numbers_of_days_are_dates_or_no_values_at_all() {
    let notation = Notation {
        dates: vec!["excel".parse().unwrap()],
        ..Notation::default()
    };
    for notation in [&notation, &notation.for_typed()] {
        assert_eq!(notation.classify("45292").kinds, Kinds::DATE);
        assert_eq!(notation.date("45292"), parse_field::date("2024-01-01"));
        assert_eq!(notation.date("2024-01-01"), parse_field::date("2024-01-01"));
        for value in ["60", "45292.5", "-1", "0", "2958466", "1e3", "x"] {
            assert_eq!(kind(notation, value), ColumnKind::Text, "{value}");
        }
        for (value, other) in [
            ("2024-01-01", ColumnKind::Date),
            ("2024-01-01T10:30", ColumnKind::Timestamp),
            ("true", ColumnKind::Boolean),
        ] {
            assert_eq!(kind(notation, value), other, "{value}");
        }
    }
}

#[test]
fn signs_that_are_the_same_are_refused() {
    use {DecimalSign as D, ThousandsSign as T};
    for (decimal, thousands, is_refused) in [
        (Some(D::Point), Some(T::Point), true),
        (Some(D::Comma), Some(T::Comma), true),
        (Some(D::Comma), Some(T::Point), false),
        (None, Some(T::Point), false),
        (Some(D::Point), None, false),
    ] {
        assert_eq!(
            check_signs(decimal, thousands).is_err(),
            is_refused,
            "{decimal:?} {thousands:?}"
        );
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
