//! What values mean: numbers and dates that could be read in several ways are read in the one that is stated, or noted.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};

use super::formats::{parquet, table};
use super::*;

/// German signs for all columns.
fn german() -> TableOptions {
    TableOptions {
        notation: Notation {
            decimal: DecimalSign::Comma,
            thousands: Some(ThousandsSign::Point),
            ..Notation::default()
        },
        ..TableOptions::default()
    }
}

/// What is stated for one column.
fn for_column(name: &str, column: ColumnOptions) -> Vec<(String, ColumnOptions)> {
    vec![(name.to_owned(), column)]
}

fn shown(bytes: impl AsRef<[u8]>, options: &TableOptions) -> Vec<Vec<String>> {
    let shown = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
    let rows = cells(&import(bytes, options).unwrap().1);
    rows.into_iter()
        .map(|row| row.into_iter().map(shown).collect())
        .collect()
}

/// The columns of the notes of one kind.
fn columns_of(inspection: &Inspection, is_of_kind: fn(&Note) -> Option<&String>) -> Vec<String> {
    inspection.notes().iter().filter_map(is_of_kind).cloned().collect()
}

fn undecided(note: &Note) -> Option<&String> {
    if let Note::PointsUndecided { column } = note {
        Some(column)
    } else {
        None
    }
}

fn as_thousands(note: &Note) -> Option<&String> {
    if let Note::PointsAsThousands { column } = note {
        Some(column)
    } else {
        None
    }
}

#[test]
fn typed_numbers_are_not_read_through_stated_signs() {
    let ndjson = "{\"kosten\":\"1.234,55\",\"inr\":1.231}\n{\"kosten\":\"2.000,25\",\"inr\":2.232}\n{\"kosten\":\"7,5\",\"inr\":10}\n";
    let costs: ArrayRef = Arc::new(StringArray::from(vec!["1.234,55", "2.000,25", "7,5"]));
    let inr: ArrayRef = Arc::new(Float64Array::from(vec![1.231, 2.232, 10.0]));
    let typed = table(&[("kosten", costs), ("inr", inr)]);
    for bytes in [ndjson.as_bytes().to_vec(), parquet(&typed)] {
        let (inspection, _) = import(&bytes, &german()).unwrap();
        assert_eq!(kinds(&inspection), [ColumnKind::Float, ColumnKind::Float]);
        let expected = [["1234.55", "1.231"], ["2000.25", "2.232"], ["7.5", "10.0"]];
        assert_eq!(shown(&bytes, &german()), expected, "{:?}", inspection.format());
        assert_eq!(columns_of(&inspection, as_thousands), [""; 0]);
    }
}

#[test]
fn columns_of_numbers_and_text_are_read_cell_by_cell() {
    let text = "{\"x\":2.235}\n{\"x\":\"1.234,55\"}\n{\"x\":-3}\n{\"x\":\"k.A.\"}\n{\"x\":null}\n{\"x\":\"-1.000\"}\n";
    let options = TableOptions {
        missing_words: vec!["k.A.".to_owned()],
        ..german()
    };
    // Rows without a value are left out.
    let found = shown(text.replace('}', ",\"n\":1}"), &options);
    let values: Vec<&str> = found.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(values, ["2.235", "1234.55", "-3.0", "-", "-", "-1000.0"]);
}

#[test]
fn typed_numbers_are_days_or_truth_values_where_that_is_stated() {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![19_600_120, 20_160_114]));
    let flags: ArrayRef = Arc::new(Int64Array::from(vec![1, 0]));
    let bytes = parquet(&table(&[("born", numbers), ("smokes", flags)]));
    let mut options = german();
    options.notation.booleans = vec!["1,0".parse().unwrap()];
    let born = ColumnOptions {
        dates: vec!["%Y%m%d".parse().unwrap()],
        ..ColumnOptions::default()
    };
    options.columns = for_column("born", born);
    assert_eq!(
        shown(&bytes, &options),
        [["1960-01-20", "true"], ["2016-01-14", "false"]]
    );
}

#[test]
fn numbers_that_stated_signs_change_are_noted() {
    let text = "patnr;kosten;inr\n1;1.234,55;1.235\n2;2.234,56;1.346\n3;7,25;1.457\n";
    let (found, _) = import(text, &german()).unwrap();
    assert_eq!(columns_of(&found, as_thousands), ["inr"]);
    assert!(found.notes().iter().all(|note| !note.to_string().contains("1.235")));
    let mut options = german();
    let point = ColumnOptions {
        decimal: Some(DecimalSign::Point),
        ..ColumnOptions::default()
    };
    options.columns = for_column("inr", point);
    let (found, _) = import(text, &options).unwrap();
    assert_eq!(found.notes(), []);
    assert_eq!(shown(text, &options)[0], ["1", "1234.55", "1.235"]);
    // Without any option, the comma is proposed for the column alone.
    let found = inspect(text, &TableOptions::default()).unwrap();
    let proposed: Vec<String> = found.notes().iter().map(Note::to_string).collect();
    assert!(
        proposed
            .iter()
            .any(|note| note.contains("--decimal kosten=comma --thousands kosten=point")),
        "{proposed:?}"
    );
}

#[test]
fn points_between_groups_alone_imply_a_decimal_comma() {
    let text = "fall;thrombo;hb\n1;121.111;10,5\n2;122.222;11,0\n";
    let mut options = TableOptions::default();
    options.notation.thousands = Some(ThousandsSign::Point);
    let (found, _) = import(text, &options).unwrap();
    assert!(found.notes().contains(&Note::ImpliedComma), "{:?}", found.notes());
    assert_eq!(shown(text, &options)[0], ["1", "121111", "10.5"]);
    options.notation.thousands = Some(ThousandsSign::Comma);
    options.notation.decimal = DecimalSign::Comma;
    assert!(matches!(inspect(text, &options), Err(IngestError::Notation { .. })));
    // For one column, whatever is stated for the others.
    let thousands = ColumnOptions {
        thousands: Some(ThousandsSign::Point),
        ..ColumnOptions::default()
    };
    let options = TableOptions {
        columns: for_column("thrombo", thousands),
        ..TableOptions::default()
    };
    assert_eq!(shown(text, &options)[1], ["2", "122222", "11,0"]);
    let unknown = TableOptions {
        columns: for_column("thromb", ColumnOptions::default()),
        ..TableOptions::default()
    };
    assert!(matches!(inspect(text, &unknown), Err(IngestError::NoSuchColumn { .. })));
}

#[test]
fn points_before_three_digits_are_noted_whatever_the_kind() {
    for (values, kind) in [
        (&["121.111", "122.222"][..], ColumnKind::Float),
        (&["5", "105", "1.205"], ColumnKind::Float),
        // Zeros at the end alike, and zeros that differ.
        (&["120.000", "121.111"], ColumnKind::Float),
        (&["150", "1.083", "1.390"], ColumnKind::Text),
    ] {
        let rows: String = values.iter().map(|value| format!("7;{value}\n")).collect();
        let text = format!("fall;x\n{rows}");
        let found = inspect(&text, &TableOptions::default()).unwrap();
        assert_eq!(kinds(&found)[1], kind, "{values:?}");
        assert_eq!(columns_of(&found, undecided), ["x"], "{values:?}");
        let stated = TableOptions {
            kinds: vec![("x".to_owned(), ColumnKind::Float)],
            ..TableOptions::default()
        };
        assert_eq!(
            columns_of(&inspect(&text, &stated).unwrap(), undecided),
            ["x"],
            "{values:?}"
        );
        // It is one note, and it ends once the signs of the column are stated.
        assert_eq!(
            found
                .notes()
                .iter()
                .filter(|note| note.to_string().contains("`x`"))
                .count(),
            1
        );
        let confirmed = ColumnOptions {
            decimal: Some(DecimalSign::Point),
            ..ColumnOptions::default()
        };
        let options = TableOptions {
            columns: for_column("x", confirmed),
            ..TableOptions::default()
        };
        assert_eq!(columns_of(&inspect(&text, &options).unwrap(), undecided), [""; 0]);
    }
    for text in [
        "a;x\n1;0.123\n2;1.205\n",
        "a;x\n1;1.205\n2;1205\n",
        "a;x\n1;1.205\n2;1.5\n",
    ] {
        assert_eq!(
            columns_of(&inspect(text, &TableOptions::default()).unwrap(), undecided),
            [""; 0]
        );
    }
}

#[test]
fn years_of_two_digits_are_never_the_first_century() {
    let text = "id;d\n1;20.01.60\n2;03.12.99\n3;29.02.24\n";
    let with = |form: &str, last_year| TableOptions {
        notation: Notation {
            dates: vec![form.parse().unwrap()],
            ..Notation::default()
        },
        last_year,
        ..TableOptions::default()
    };
    assert_eq!(
        kinds(&inspect(text, &with("%d.%m.%Y", None)).unwrap())[1],
        ColumnKind::Text
    );
    for (last, days) in [
        (Some(2026), ["1960-01-20", "1999-12-03", "2024-02-29"]),
        (None, ["2060-01-20", "1999-12-03", "2024-02-29"]),
    ] {
        let options = with("%d.%m.%y", last);
        let found: Vec<String> = shown(text, &options).into_iter().map(|row| row[1].clone()).collect();
        assert_eq!(found, days);
        let last = last.unwrap_or(2068);
        let note = Note::ShortYears {
            column: "d".to_owned(),
            first: last - 99,
            last,
        };
        assert_eq!(inspect(text, &options).unwrap().notes(), [note]);
    }
}

#[test]
fn one_form_of_dates_is_used_for_a_whole_column() {
    let text = "a_dm,b_md,c_amb\n13/01/2019,01/13/2019,01/02/2019\n05/06/2019,06/05/2019,06/02/2019\n";
    for forms in [["%d/%m/%Y", "%m/%d/%Y"], ["%m/%d/%Y", "%d/%m/%Y"]] {
        let mut options = TableOptions::default();
        options.notation.dates = forms.iter().map(|form| form.parse().unwrap()).collect();
        let found = inspect(text, &options).unwrap();
        let note = Note::DateForms {
            column: "c_amb".to_owned(),
            chosen: forms[0].to_owned(),
            others: vec![forms[1].to_owned()],
        };
        assert_eq!(found.notes(), [note]);
        assert_eq!(shown(text, &options)[1][..2], ["2019-06-05", "2019-06-05"], "{forms:?}");
        let stated = ColumnOptions {
            dates: vec!["%m/%d/%Y".parse().unwrap()],
            ..ColumnOptions::default()
        };
        options.columns = for_column("c_amb", stated);
        assert_eq!(inspect(text, &options).unwrap().notes(), []);
        assert_eq!(shown(text, &options)[0][2], "2019-01-02");
    }
    // What is proposed for one column is not stated for the others.
    let found = inspect(text, &TableOptions::default()).unwrap();
    let notes: Vec<String> = found.notes().iter().map(Note::to_string).collect();
    for option in ["'a_dm=%d/%m/%Y'", "'b_md=%m/%d/%Y'", "'c_amb=%d/%m/%Y'"] {
        assert!(notes.iter().any(|note| note.contains(option)), "{option}: {notes:?}");
    }
}

#[test]
fn dates_that_need_several_forms_are_noted_if_ambiguous() {
    let mut options = TableOptions::default();
    options.notation.dates = vec!["%d/%m/%Y".parse().unwrap(), "%m/%d/%Y".parse().unwrap()];
    let found = inspect("id,d\n1,13/01/2019\n2,01/13/2019\n3,02/03/2019\n", &options).unwrap();
    let note = Note::MixedDateForms {
        column: "d".to_owned(),
        count: 1,
    };
    assert_eq!((kinds(&found)[1], found.notes()), (ColumnKind::Date, &[note][..]));
    let clear = inspect("id,d\n1,13/01/2019\n2,01/13/2019\n", &options).unwrap();
    assert_eq!((kinds(&clear)[1], clear.notes()), (ColumnKind::Date, &[][..]));
}

#[test]
fn missing_numbers_within_a_column_are_noted() {
    let text = "patnr,age,apgar\n1,60,99\n2,99,1\n3,102,2\n";
    let options = TableOptions {
        missing_words: vec!["99".to_owned()],
        ..TableOptions::default()
    };
    let note = Note::MissingInRange {
        column: "age".to_owned(),
        word: "99".to_owned(),
        count: 1,
    };
    assert_eq!(inspect(text, &options).unwrap().notes(), [note]);
    let words = ColumnOptions {
        missing_words: vec!["99".to_owned()],
        ..ColumnOptions::default()
    };
    let options = TableOptions {
        columns: for_column("apgar", words),
        ..TableOptions::default()
    };
    let (found, batches) = import(text, &options).unwrap();
    assert_eq!((found.notes(), found.columns()[2].missing), (&[][..], 1));
    let rows = cells(&batches);
    assert_eq!((rows[0][2].as_deref(), rows[1][1].as_deref()), (None, Some("99")));
}

#[test]
fn days_counted_by_a_spreadsheet_are_read_where_stated() {
    let text = "name,visit_date,salary\nAnna,45292,30000\nBen,25569,31000\nEva,61,29000\n";
    let column = || "visit_date".to_owned();
    let noted = inspect(text.replace(",61,", ",36526,"), &TableOptions::default()).unwrap();
    assert_eq!(kinds(&noted)[1], ColumnKind::Int, "nothing is converted for a guess");
    assert_eq!(noted.notes(), [Note::SerialDates { column: column() }]);

    let form = |form: &str| ColumnOptions {
        dates: vec![form.parse().unwrap()],
        ..ColumnOptions::default()
    };
    let with = |name: &str| TableOptions {
        columns: for_column("visit_date", form(name)),
        ..TableOptions::default()
    };
    for (name, days) in [
        ("excel", ["2024-01-01", "1970-01-01", "1900-03-01"]),
        ("excel-1904", ["2028-01-02", "1974-01-02", "1904-03-02"]),
    ] {
        let (found, batches) = import(text, &with(name)).unwrap();
        assert_eq!((kinds(&found)[1], found.notes()), (ColumnKind::Date, &[][..]), "{name}");
        assert_eq!(kinds(&found)[2], ColumnKind::Int, "{name}");
        let read: Vec<_> = cells(&batches).into_iter().map(|row| row[1].clone().unwrap()).collect();
        assert_eq!(read, days, "{name}");
    }
    // A day that was not there, and a time of day, make the column text, and a stated kind refuses them with their lines.
    for other in ["60", "45292.5"] {
        let text = text.replace(",61,", &format!(",{other},"));
        let found = inspect(&text, &with("excel")).unwrap();
        assert!(
            matches!(
                found.notes(),
                [Note::BecameText {
                    from: ColumnKind::Date,
                    line: 4,
                    ..
                }]
            ),
            "{other}: {:?}",
            found.notes()
        );
        let dates = TableOptions {
            kinds: vec![(column(), ColumnKind::Date)],
            ..with("excel")
        };
        assert!(
            matches!(inspect(&text, &dates), Err(IngestError::NotOfKind { count: 1, first, .. }) if first == [4]),
            "{other}"
        );
    }
}

#[test]
fn values_that_may_stand_for_others_are_noted() {
    let text = |values: &[&str]| {
        let rows: String = values
            .iter()
            .enumerate()
            .map(|(row, value)| format!("p{row},{value}\n"))
            .collect();
        format!("name,x\n{rows}")
    };
    let column = || "x".to_owned();
    let maybe = |word: &str| Note::MaybeMissing {
        column: column(),
        words: vec![word.to_owned()],
    };
    for (values, note) in [
        (&["151", "152", "9999", "9999", "9999"][..], maybe("9999")),
        (
            &["1984-03-02", "9999-12-31", "9999-12-31", "9999-12-31"],
            maybe("9999-12-31"),
        ),
        (
            &["19600120", "20160114", "19440714"],
            Note::DatesInDigits {
                column: column(),
                form: "%Y%m%d",
            },
        ),
        (
            &["10", "20", "30", "5", "65"],
            Note::LastRowTotal {
                line: 6,
                numbering: Numbering::Lines,
            },
        ),
        (
            &["10.1", "20.2", "30.3", "5.45", "66.05"],
            Note::LastRowTotal {
                line: 6,
                numbering: Numbering::Lines,
            },
        ),
    ] {
        let found = inspect(text(values), &TableOptions::default()).unwrap();
        assert_eq!(found.notes(), [note], "{values:?}");
        assert!(found.notes()[0].needs_attention());
    }
    let total = inspect("name,x\nAnna,1\nBen,2\nSumme:,4\n", &TableOptions::default()).unwrap();
    assert!(
        matches!(total.notes(), [Note::LastRowTotal { line: 4, .. }]),
        "{:?}",
        total.notes()
    );
    let alone = inspect("name,x\nSumme,4\n", &TableOptions::default()).unwrap();
    assert_eq!(alone.notes(), []);
}

#[test]
fn columns_that_stay_text_have_a_note_that_explains_it() {
    let mut zoned = TableOptions::default();
    zoned.notation.dates = vec!["%d.%m.%Y %H:%M".parse().unwrap()];
    zoned.notation.zone = Some("Europe/Berlin".parse().unwrap());
    let usual = TableOptions::default();
    for (rows, options, part) in [
        ("12 mg\n5 mg\n", &usual, "the unit `mg`"),
        ("30%\n90.2 %\n", &usual, "the unit `%`"),
        ("\"+0,3\"\n\"-0,6\"\n", &usual, "a plus before them"),
        ("\"2,50-\"\n\"7,50\"\n", &usual, "a minus behind them"),
        ("14:30\n02:02\n", &usual, "times of day"),
        ("20. Jan 1960\n25. Mai 1989\n", &usual, "not English"),
        (
            "Ja\nNein\nunbekannt\n",
            &usual,
            "`--boolean ja,nein`, and `--missing 'unbekannt'`",
        ),
        ("01/31/2023 12:00 AM\n", &usual, "`--date-format '%m/%d/%Y %I:%M %p'`"),
        (
            "26.03.2023 02:30\n01.07.2023 12:00\n",
            &zoned,
            "the clocks of Europe/Berlin change, the first on line 2",
        ),
        ("29.10.2023 02:30\n", &zoned, "skipped or shown twice"),
    ] {
        let rows: String = rows.lines().map(|value| format!("7,{value}\n")).collect();
        let found = inspect(format!("n,x\n{rows}"), options).unwrap();
        assert_eq!(kinds(&found)[1], ColumnKind::Text, "{rows}");
        let notes: Vec<String> = found.notes().iter().map(Note::to_string).collect();
        assert!(notes.len() == 1 && notes[0].contains(part), "{part}: {notes:?}");
    }
    let (found, _) = import("n,x\n7,2023-10-29T02:30\n", &zoned).unwrap();
    assert_eq!(kinds(&found)[1], ColumnKind::Text);
}

#[test]
fn following_a_proposal_leads_to_no_other_one() {
    // After `--decimal comma`, a column of other numbers has one short proposal.
    let text = "fall;thrombo;hb\n1;120.000;10,5\n2;121.111;11,0\n";
    let mut options = TableOptions::default();
    options.notation.decimal = DecimalSign::Comma;
    let found = inspect(text, &options).unwrap();
    let notes: Vec<String> = found.notes().iter().map(Note::to_string).collect();
    assert!(
        notes.len() == 1
            && notes[0].contains("`--decimal thrombo=point` or `--decimal thrombo=comma --thousands thrombo=point`"),
        "{notes:?}"
    );
    // No option makes whole numbers of 20 digits numbers.
    let ids = "id,x\n10000000000000000007,1\n10000000000000000020,2\n";
    assert_eq!(inspect(ids, &TableOptions::default()).unwrap().notes(), []);
}

#[test]
fn first_values_are_shown_as_they_are_stored() {
    let text = "a;b;c;d;e\n;1.234,55;20.01.1960;ja;\n7;2;21.01.1960;nein;x y\n";
    let mut options = german();
    options.notation.dates = vec!["%d.%m.%Y".parse().unwrap()];
    options.notation.booleans = vec!["ja,nein".parse().unwrap()];
    let found = inspect(text, &options).unwrap();
    let first: Vec<Option<&str>> = found.first_values().collect();
    assert_eq!(
        first,
        [
            Some("7"),
            Some("1234.55"),
            Some("1960-01-20"),
            Some("true"),
            Some("x y")
        ]
    );
    let long = inspect(format!("a,b\n{},1\n", "é".repeat(100)), &TableOptions::default()).unwrap();
    let first: Vec<Option<&str>> = long.first_values().collect();
    assert_eq!(first[0].unwrap().chars().count(), 41);
    // A value of the file is not for logs.
    assert!(!format!("{long:?}").contains("éé"));
    let secret = "kJ8sQm2Vx9";
    let found = inspect(format!("a,b\n{secret},1\n"), &TableOptions::default()).unwrap();
    assert!(!format!("{found:?}").contains(secret));
}

#[test]
fn whole_numbers_that_a_program_shortened_stay_text() {
    let kept = Note::KeptDigits {
        column: "case".to_owned(),
    };
    let read = |values: &str, options: &TableOptions| {
        let found = inspect(format!("case,x\n{values}"), options).unwrap();
        (found.columns()[0].kind, found.notes().contains(&kept))
    };
    let usual = TableOptions::default();
    for values in ["100002,1\n1E+05,2\n", "1.23457E+11,1\n123456789012,2\n"] {
        assert_eq!(read(values, &usual), (ColumnKind::Text, true), "{values}");
    }
    // Measured values, what R writes of exact numbers, and a column of such numbers alone.
    for values in [
        "0.5,1\n1E+05,2\n",
        "100002,1\n1e+05,2\n",
        "1E+05,1\n2E+06,2\n",
        "7,1\n1E-05,2\n",
    ] {
        assert_eq!(read(values, &usual), (ColumnKind::Float, false), "{values}");
    }
    let stated = TableOptions {
        kinds: vec![("case".to_owned(), ColumnKind::Float)],
        ..TableOptions::default()
    };
    assert_eq!(read("100002,1\n1E+05,2\n", &stated), (ColumnKind::Float, false));
}

#[test]
fn columns_of_text_have_notes_without_their_values() {
    let text = "id,sex\n11,Male\n12,female\n14,male\n17,n/a\n21,female \n";
    let found = inspect(text, &TableOptions::default()).unwrap();
    let words = Note::MissingWordsAsText {
        column: "sex".to_owned(),
        words: vec!["n/a".to_owned()],
        count: 1,
    };
    let spellings = Note::Spellings {
        column: "sex".to_owned(),
        count: 2,
        line: 4,
        numbering: Numbering::Lines,
    };
    for note in [&words, &spellings] {
        assert!(
            note.needs_attention() && found.notes().contains(note),
            "{:?}",
            found.notes()
        );
        assert!(!note.to_string().to_lowercase().contains("male"), "{note}");
    }
    assert!(words.to_string().contains("`--missing sex=n/a`"), "{words}");
    let stated = TableOptions {
        missing_words: vec!["n/a".to_owned()],
        ..TableOptions::default()
    };
    assert!(!inspect(text, &stated).unwrap().notes().contains(&words));
}

#[test]
fn few_texts_before_numbers_are_noted_with_their_line() {
    let rows: String = (0..20)
        .map(|row| format!("{},{}\n", 100 + 7 * row, 3 * row + 1))
        .collect();
    let found = inspect(format!("id,dose\n99,strong\n{rows}"), &TableOptions::default()).unwrap();
    let is_few = |note: &Note| matches!(note, Note::FewTexts { column, count: 1, line: 2, .. } if column == "dose");
    let is_noted = found.notes().iter().any(is_few);
    assert!(is_noted, "{:?}", found.notes());
}
