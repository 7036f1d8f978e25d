//! What is proposed for columns of text, and what is not.

use super::*;
use crate::ingest::{TableOptions, ThousandsSign, format::Numbering};

fn seen(values: &[&str], options: &TableOptions) -> Option<Proposal> {
    let reading = ColumnReading::of(options, |_| false);
    let mut seen = Alternatives::new();
    // The first line has the names.
    for (value, line) in values.iter().zip(2..) {
        seen.observe(value, reading.text.classify(value), false, line);
    }
    seen.proposal(&reading)
}

fn proposed(values: &[&str]) -> Option<String> {
    seen(values, &TableOptions::default()).map(|proposal| proposal.sentence("x", Numbering::Lines))
}

/// The options that are proposed where German signs are stated.
fn with_german_signs(values: &[&str], thousands: Option<ThousandsSign>) -> Vec<String> {
    let mut options = TableOptions::default();
    options.notation.decimal = crate::ingest::DecimalSign::Comma;
    options.notation.thousands = thousands;
    seen(values, &options).map_or_else(Vec::new, |proposal| proposal.options("x"))
}

#[test]
fn every_way_of_writing_is_proposed_for_the_values_that_it_fits() {
    for (values, option) in [
        (&["0,91", "1,2", "3"][..], "--decimal comma"),
        (&["1.234,5", "0,5"], "--decimal comma --thousands point"),
        (&["1.234.567", "12"], "--decimal comma --thousands point"),
        (&["1'000", "12"], "--thousands apostrophe"),
        (&["1 000", "12"], "--thousands space"),
        (&["17.08.1984", "31.12.1999"], "--date-format '%d.%m.%Y'"),
        (&["3/29/1982", "1/2/1990"], "--date-format '%m/%d/%Y'"),
        (&["17-08-1984 10:30"], "--date-format '%d-%m-%Y %H:%M'"),
        (&["29/01/2023 12:00 AM"], "--date-format '%d/%m/%Y %I:%M %p'"),
        (&["20 January 1960", "3 Feb 2001"], "--date-format '%d %B %Y'"),
        (&["20-JAN-1960"], "--date-format '%d-%b-%Y'"),
        (&["20.01.60", "03.12.99"], "--date-format '%d.%m.%y'"),
        (&["10/29/79", "05/07/52"], "--date-format '%m/%d/%y'"),
        (&["yes", "No", "YES"], "--boolean yes,no"),
        (&["J", "N"], "--boolean j,n"),
    ] {
        let proposal = seen(values, &TableOptions::default()).unwrap();
        assert_eq!(proposal.options("x"), [option], "{values:?}");
        assert!(
            proposal
                .sentence("x", Numbering::Lines)
                .starts_with(&format!("to have it typed, state `{option}`"))
        );
    }
}

#[test]
fn possible_markers_become_part_of_a_proposal() {
    for (values, sentence) in [
        (
            &["\\N", "5", "7"][..],
            "to have it typed, state `--missing '\\N'` if that means that a value is missing (first on line 2)",
        ),
        (
            &["5", "-", "\\N", "7"],
            "to have it typed, state `--missing '\\N'` `--missing '-'` if that means that a value is missing (first on line 3)",
        ),
        (
            &["nan", "0,5"],
            "to have it typed, state `--decimal comma`, and `--missing 'nan'` if that means that a value is missing (first on line 2)",
        ),
        (
            &["Ja", "Nein", "unbekannt"],
            "to have it typed, state `--boolean ja,nein`, and `--missing 'unbekannt'` if that means that a value is missing (first \
             on line 4)",
        ),
        (
            &["0.5", "<0.1", "> 200"],
            "2 of its values are limits such as `<0.1` and keep it text (first on line 3): give them a column of their own",
        ),
    ] {
        assert_eq!(proposed(values).as_deref(), Some(sentence), "{values:?}");
    }
}

#[test]
fn at_most_two_ways_are_proposed() {
    for (values, options) in [
        (
            &["01/02/2020", "03/04/2020"][..],
            ["--date-format 'x=%d/%m/%Y'", "--date-format 'x=%m/%d/%Y'"],
        ),
        (&["1,000", "2,500"], ["--decimal comma", "--thousands comma"]),
        (&["n", "N"], ["--boolean y,n", "--boolean j,n"]),
    ] {
        let proposal = seen(values, &TableOptions::default()).unwrap();
        assert_eq!(proposal.options("x"), options, "{values:?}");
        assert!(
            proposal.sentence("x", Numbering::Lines).contains("whichever is meant"),
            "{values:?}"
        );
    }
}

#[test]
fn proposals_add_to_the_signs_that_are_stated() {
    let point = Some(ThousandsSign::Point);
    for (values, thousands, options) in [
        // These are numbers with the usual signs, which the stated ones hide.
        (&["1.5", "12.25"][..], None, &["--decimal x=point"][..]),
        (&["0.800", "0.813"], point, &["--decimal x=point"]),
        (&["1.234,5", "0,5"], None, &["--decimal x=comma --thousands x=point"]),
        (
            &["120.000", "121.111"],
            None,
            &["--decimal x=point", "--decimal x=comma --thousands x=point"],
        ),
        (&["1 234,5"], None, &["--decimal x=comma --thousands x=space"]),
        (&["12", "x"], point, &[]),
        (&["17.08.1984"], point, &["--date-format '%d.%m.%Y'"]),
    ] {
        assert_eq!(with_german_signs(values, thousands), options, "{values:?}");
    }
}

#[test]
fn what_is_stated_is_not_proposed_again() {
    for digits in [
        "10000000000000000007",
        "0.12345678901234567890",
        "10000000000000000007,5",
    ] {
        assert_eq!(proposed(&["1", "2.5", digits]), None, "{digits}");
        assert_eq!(proposed(&[digits, digits]), None, "{digits}");
        assert_eq!(with_german_signs(&["1", digits], None), [""; 0], "{digits}");
    }
}

#[test]
fn dates_of_several_forms_are_proposed_together() {
    let values = ["20.01.1960", "2016-01-14", "07/14/1944", "03.06.1966"];
    let proposal = seen(&values, &TableOptions::default()).unwrap();
    assert_eq!(
        proposal.options("x"),
        ["--date-format 'x=%d.%m.%Y' --date-format 'x=%m/%d/%Y'"]
    );
    assert!(!proposal.sentence("x", Numbering::Lines).contains("whichever"));
}

#[test]
fn days_that_do_not_exist_are_counted() {
    let values = ["20.01.1960", "31.02.1961", "00.00.0000", "14.01.2016", "03.06.1966"];
    let sentence = proposed(&values).unwrap();
    assert!(
        sentence.contains("`--date-format '%d.%m.%Y'`")
            && sentence.contains("2 of its values are days that do not exist and keep it text (first on line 3)"),
        "{sentence}"
    );
    // Once the form is stated, the days are what is left.
    let mut options = TableOptions::default();
    options.notation.dates = vec!["%d.%m.%Y".parse().unwrap()];
    let proposal = seen(&values, &options).unwrap();
    assert_eq!((proposal.options("x"), proposal.impossible), (Vec::new(), 2));
    let iso = proposed(&["2020-01-31", "2020-02-30", "2020-02-01"]).unwrap();
    assert!(
        iso.starts_with("1 of its values") && iso.contains("first on line 3"),
        "{iso}"
    );
    assert_eq!(proposed(&["99.99.9999", "20.01.1960"]), None);
}

#[test]
fn years_of_two_digits_are_proposed_with_their_century() {
    let options = TableOptions {
        last_year: Some(2026),
        ..TableOptions::default()
    };
    let sentence = seen(&["20.01.60"], &options).unwrap().sentence("x", Numbering::Lines);
    assert!(
        sentence.contains("from 1927 to 2026") && sentence.contains("--last-year"),
        "{sentence}"
    );
    let sentence = proposed(&["20.01.60"]).unwrap();
    assert!(sentence.contains("from 1969 to 2068"), "{sentence}");
}

#[test]
fn ordinary_text_gets_no_proposal() {
    for values in [
        &["anna", "ben"][..],
        &["A1", "B2", "12"],
        &["none", "mild"],
        &["x"],
        &["-"],
        &["5", "6"],
        &["17.08.1984", "x"],
        &["17.08.1984", "5"],
        &["1-2-3"],
        &["yes", "ja"],
        &["true", "5"],
    ] {
        assert_eq!(proposed(values), None, "{values:?}");
    }
}

#[test]
fn typed_values_fit_every_sign_and_no_other_text() {
    let options = TableOptions::default();
    let reading = ColumnReading::of(&options, |_| false);
    let mut mixed = Alternatives::new();
    for (value, is_typed) in [("2.5", true), ("1.234,5", false), ("1.235", true)] {
        mixed.observe(value, reading.notation(is_typed).classify(value), is_typed, 2);
    }
    let proposal = mixed.proposal(&reading).unwrap();
    assert_eq!(proposal.options("x"), ["--decimal comma --thousands point"]);
}
