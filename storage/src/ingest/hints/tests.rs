//! What columns of values suggest, and what they do not.

use super::*;

fn hints(values: &[&str], notation: &Notation) -> Hints {
    let options = crate::ingest::TableOptions {
        notation: notation.clone(),
        ..crate::ingest::TableOptions::default()
    };
    let column = ColumnReading::of(&options, |_| false);
    let mut hints = Hints::default();
    for value in values {
        hints.observe(value, notation.classify(value), false, &column);
    }
    hints
}

fn usual(values: &[&str]) -> Hints {
    hints(values, &Notation::default())
}

#[test]
fn points_before_three_digits_are_undecided() {
    for values in [
        &["1.205", "12.005"][..],
        &["5", "105", "1.205"],
        &["120.000", "999.999", "-1.500"],
        &["1.000"],
    ] {
        assert!(usual(values).are_points_undecided(), "{values:?}");
    }
    for values in [
        &["1.205", "0.123"][..],
        &["1.205", "12.05"],
        &["1.205", "1205"],
        &["1.205", "1234.567"],
        &["1.205", "1e3"],
        &["1.205", "x"],
        &[".205"],
        &["5", "105"],
        &[],
    ] {
        assert!(!usual(values).are_points_undecided(), "{values:?}");
    }
}

#[test]
fn numbers_that_the_stated_signs_change_are_found() {
    let german = Notation {
        decimal: DecimalSign::Comma,
        thousands: Some(crate::ingest::ThousandsSign::Point),
        ..Notation::default()
    };
    assert!(hints(&["1.235", "1.346", "7"], &german).are_usual_numbers());
    assert!(hints(&["0.8", "0.813"], &german).are_usual_numbers());
    for values in [&["1.234,5", "1.235"][..], &["5", "7"], &["1.235", "x"], &[]] {
        assert!(!hints(values, &german).are_usual_numbers(), "{values:?}");
    }
}

#[test]
fn one_form_is_found_for_all_dates_of_a_column() {
    let notation = Notation {
        dates: vec!["%m/%d/%Y".parse().unwrap(), "%d/%m/%Y".parse().unwrap()],
        ..Notation::default()
    };
    for (values, found) in [
        (&["05/06/2019", "13/01/2019"][..], FormsFound::One(1, Vec::new())),
        (&["05/06/2019", "01/13/2019"], FormsFound::One(0, Vec::new())),
        (&["05/06/2019", "01/01/2019"], FormsFound::One(0, vec![1])),
        (&["05/05/2019"], FormsFound::One(0, vec![])),
        (&["05/06/2019", "13/01/2019", "01/13/2019"], FormsFound::Several(1)),
        (&["2019-01-01", "x"], FormsFound::None),
    ] {
        assert_eq!(hints(values, &notation).forms(), found, "{values:?}");
    }
}

#[test]
fn numbers_far_from_the_others_may_be_markers() {
    for (values, markers) in [
        (&["151", "160", "9999", "9999", "9999"][..], &["9999"][..]),
        (&["1", "10", "99", "99", "99"], &["99"]),
        (&["110", "120", "-9", "-9", "-9"], &["-9"]),
        (&["1.5", "20.5", "-1", "-1", "-1", "999", "999", "999"], &["-1", "999"]),
        // Repeated too seldom, not far, or not the only ones below zero.
        (&["151", "160", "9999", "9999"], &[]),
        (&["98", "60", "99", "99", "99"], &[]),
        (&["0", "1", "-1", "-1", "-1"], &[]),
        (&["-5", "60", "-9", "-9", "-9"], &[]),
        (&["99", "99", "99"], &[]),
        (&["1e300", "5", "99", "99", "99"], &[]),
    ] {
        assert_eq!(usual(values).possible_markers(), markers, "{values:?}");
    }
}

#[test]
fn days_that_stand_for_missing_ones_are_found_as_written() {
    let german = Notation {
        dates: vec!["%d.%m.%Y".parse().unwrap()],
        ..Notation::default()
    };
    let values = ["02.03.1984", "31.12.9999", "31.12.9999", "31.12.9999", "01.01.1900"];
    assert_eq!(hints(&values, &german).possible_markers(), ["31.12.9999"]);
    let iso = ["1899-12-30", "1899-12-30", "1899-12-30", "1984-03-02"];
    assert_eq!(usual(&iso).possible_markers(), ["1899-12-30"]);
    assert!(!format!("{:?}", usual(&iso)).contains("1899"));
    let quarter = "1899-12-30 00:15:00";
    for (values, markers) in [
        // Times of one day, alone and beside a day.
        (&[quarter, quarter, quarter, "1899-12-30 00:30:00"][..], &[][..]),
        (
            &[quarter, quarter, quarter, "1899-12-30 00:30:00", "1984-03-02 10:00:00"],
            &[],
        ),
        // Far from no others.
        (&["1899-12-30", "1899-12-30", "1899-12-30"], &[]),
        (&[quarter, quarter, quarter, "1984-03-02 10:00:00"], &[quarter]),
    ] {
        assert_eq!(usual(values).possible_markers(), markers, "{values:?}");
    }
    for (day, text) in DAYS.into_iter().zip(["9999-12-31", "1900-01-01", "1899-12-30"]) {
        assert_eq!(parse_field::date(text), Some(day));
    }
}

#[test]
fn numbers_that_are_dates_in_digits_are_found() {
    for (values, form) in [
        (&["19600120", "20160114", "19440714"][..], Some("%Y%m%d")),
        (
            &["19600120143000", "20160114143001", "19440714000000"],
            Some("%Y%m%d%H%M%S"),
        ),
        (&["19600120", "20160114"], None),
        (&["19600120", "20160114", "19440732"], None),
        (&["19600120", "20160114", "12345678"], None),
        (&["19600120", "20160114", "5"], None),
        (&["19600120143000", "20160114143001", "19440714250000"], None),
    ] {
        assert_eq!(usual(values).digits(), form, "{values:?}");
    }
}

#[test]
fn numbers_by_which_spreadsheets_count_days_are_found() {
    for (values, are_days) in [
        (&["45292", "25569", "36526"][..], true),
        (&["20000", "60000", "45292", "45292"], true),
        (&["45292", "25569"], false),
        (&["45292", "25569", "19999"], false),
        (&["45292", "25569", "60001"], false),
        (&["45292", "25569", "36526.5"], false),
        (&["45292", "25569", "x"], false),
        (&[], false),
    ] {
        assert_eq!(usual(values).are_serial_days(), are_days, "{values:?}");
    }
}

#[test]
fn a_last_value_that_is_the_sum_of_the_others_is_found() {
    for (values, is_sum) in [
        (&["10", "20", "30", "60"][..], true),
        (&["10", "0", "20", "30", "60"], true),
        (&["0", "0", "5", "5"], false),
        (&["10", "20", "30"], false),
        (&["10", "20", "30", "61"], false),
        (&["10", "20.5", "30", "60"], false),
        (&["10", "-10", "5", "-5", "0"], false),
    ] {
        assert_eq!(usual(values).ends_with_sum(), is_sum, "{values:?}");
    }
}

#[test]
fn sum_of_decimals_is_compared_digit_by_digit() {
    // In floating point, the first is none.
    assert_ne!(0.1 + 0.2 + 0.3, 0.6);
    for (values, is_sum) in [
        (&["0.1", "0.2", "0.3", "0.6"][..], true),
        (&["1.1", "2.2", "3.3", "6.6"], true),
        (&["1.10", "2.2", "3.35", "6.65"], true),
        (&["1.1", "2.2", "3.3", "6.600"], true),
        (&["-1.5", "2.5", "3.25", "4.25"], true),
        (&["10", "20.5", "30", "60.5"], true),
        // As a program writes what it has added.
        (&["0.1", "0.2", "0.4", "0.7000000000000001"], true),
        (&["1.1", "2.2", "3.3", "6.61"], false),
        (&["1.1", "2.2", "3.3", "6.7"], false),
        (&["1.1", "2.2", "3.3", "7"], false),
        (&["0.1", "0.2", "0.4", "0.7000000001"], false),
        (&["1.5", "1e3", "2.5", "1004.0"], false),
        (&["1.5", "2.5", "4.0"], false),
        (&["10.5", "-10.5", "5.25", "-5.25", "0"], false),
        (&["1.5", "-1.5", "2.5", "-2.5"], false),
    ] {
        assert_eq!(usual(values).ends_with_sum(), is_sum, "{values:?}");
    }
    let german = Notation {
        decimal: DecimalSign::Comma,
        thousands: Some(crate::ingest::ThousandsSign::Point),
        ..Notation::default()
    };
    assert!(hints(&["1.000,5", "2,25", "3,25", "1.006"], &german).ends_with_sum());
    // Too many digits to be added: no sum, and no overflow.
    let small = format!("0.{}1", "0".repeat(60));
    let large = "9".repeat(17) + ".5";
    let values = ["1", "2", &small, "3", &large];
    assert!(!usual(&values).ends_with_sum());
}
