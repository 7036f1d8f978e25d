//! Files as people have them: what is guessed is noted, and what cannot be guessed can be stated.

use super::*;
use crate::ingest::notation::{DecimalSign, Notation};

fn notes(text: &str) -> Vec<Note> {
    inspect(text, &TableOptions::default()).unwrap().notes().to_vec()
}

fn proposal_for(text: &str) -> String {
    notes(text)
        .into_iter()
        .find_map(|note| {
            if let Note::Proposal { .. } = note {
                Some(note.to_string())
            } else {
                None
            }
        })
        .unwrap_or_else(|| panic!("nothing is proposed for {text:?}: {:?}", notes(text)))
}

fn shown(text: &str, options: &TableOptions) -> Vec<Vec<Option<String>>> {
    cells(&import(text, options).unwrap().1)
}

#[test]
fn numbers_whose_zeros_differ_stay_as_they_are_written() {
    let codes = "pat,icd9\n1,250.00\n2,250.0\n3,410.10\n";
    let inspection = inspect(codes, &TableOptions::default()).unwrap();
    assert_eq!(kinds(&inspection), [ColumnKind::Int, ColumnKind::Text]);
    assert!(inspection.notes().contains(&Note::KeptDigits {
        column: "icd9".to_owned()
    }));
    let as_numbers = TableOptions {
        kinds: vec![("icd9".to_owned(), ColumnKind::Float)],
        ..TableOptions::default()
    };
    assert_eq!(shown(codes, &as_numbers)[0][1].as_deref(), Some("250.0"));
    // Numbers that a program has filled up are numbers, and this is noted.
    let prices = inspect("pat,dose\n1,2.50\n2,10.00\n", &TableOptions::default()).unwrap();
    assert_eq!(kinds(&prices), [ColumnKind::Int, ColumnKind::Float]);
    let fixed = Note::FixedDecimals {
        column: "dose".to_owned(),
        decimals: 2,
    };
    assert_eq!(prices.notes(), [fixed]);
    let measured = inspect("pat,x\n1,2.5\n2,10.0\n3,7\n4,.5\n5,1e-05\n", &TableOptions::default()).unwrap();
    assert_eq!((kinds(&measured)[1], measured.notes()), (ColumnKind::Float, &[][..]));
}

#[test]
fn a_row_of_a_spreadsheet_without_any_value_is_no_person() {
    let text = "id,age\n1,50\n2,51\n,\n , \n";
    let (inspection, batches) = import(text, &TableOptions::default()).unwrap();
    assert_eq!((inspection.rows(), cells(&batches).len()), (2, 2));
    assert_eq!(inspection.notes(), [Note::RowsWithoutValues { count: 2 }]);
    let one_column = import(
        "a\nx\n\"\"\n",
        &TableOptions {
            header: Header::Present,
            ..TableOptions::default()
        },
    )
    .unwrap();
    assert_eq!(cells(&one_column.1), [vec![Some("x".to_owned())], vec![None]]);
}

#[test]
fn a_header_that_nothing_proves_is_noted() {
    assert_eq!(notes("Smith,Anna,Zurich\nJones,Bob,Bern\n"), [Note::HeaderAssumed]);
    assert_eq!(notes("Smith,Anna,Zurich\n"), [Note::HeaderOnly]);
    assert_eq!(notes("name,age\nJones,5\n"), []);
    let stated = TableOptions {
        header: Header::Present,
        ..TableOptions::default()
    };
    assert_eq!(inspect("Smith,Anna\nJones,Bob\n", &stated).unwrap().notes(), []);
}

#[test]
fn a_field_that_spans_too_many_lines_is_one_refused_row() {
    let text = format!("id,note\n0,first\n1,\"{}\"\n2,short\n", "line\n".repeat(1001));
    let skip = TableOptions {
        refused: Refused::Skip,
        ..TableOptions::default()
    };
    let (inspection, batches) = import(&text, &skip).unwrap();
    assert_eq!(names(&inspection), ["id", "note"]);
    assert_eq!((inspection.rows(), cells(&batches).len()), (2, 2));
    let refused = Reject {
        line: 3,
        reason: Reason::QuotedTooLong { field: 2 },
    };
    assert_eq!(inspection.rejects().listed(), [refused]);
}

#[test]
fn decimal_commas_dates_and_markers_are_right_after_following_the_proposals() {
    let text = "pat;crea;born;seen;smokes;k\n1;0,91;17.08.1984;01.02.2020 10:30;ja;\\N\n2;1,2;31.12.1999;02.02.2020 00:00;nein;4\n";
    let proposed: Vec<String> = notes(text).iter().map(ToString::to_string).collect();
    for option in [
        "--decimal comma",
        "--date-format '%d.%m.%Y'",
        "--date-format '%d.%m.%Y %H:%M'",
        "--boolean ja,nein",
        "--missing '\\N'",
    ] {
        assert!(
            proposed.iter().any(|note| note.contains(option)),
            "{option}: {proposed:?}"
        );
    }
    let options = TableOptions {
        notation: Notation {
            decimal: DecimalSign::Comma,
            dates: vec!["%d.%m.%Y".parse().unwrap(), "%d.%m.%Y %H:%M".parse().unwrap()],
            booleans: vec!["ja,nein".parse().unwrap()],
            ..Notation::default()
        },
        missing_words: vec!["\\N".to_owned()],
        ..TableOptions::default()
    };
    let (inspection, batches) = import(text, &options).unwrap();
    assert_eq!(
        kinds(&inspection)[1..],
        [
            ColumnKind::Float,
            ColumnKind::Date,
            ColumnKind::Timestamp,
            ColumnKind::Boolean,
            ColumnKind::Int
        ]
    );
    assert_eq!(inspection.notes(), []);
    let rows = cells(&batches);
    let row: Vec<_> = rows[0].iter().map(Option::as_deref).collect();
    assert_eq!(
        row,
        [
            Some("1"),
            Some("0.91"),
            Some("1984-08-17"),
            Some("2020-02-01T10:30:00"),
            Some("true"),
            None
        ]
    );
}

#[test]
fn sign_before_decimals_is_not_taken_for_the_delimiter() {
    let options = TableOptions {
        header: Header::Absent { names: Vec::new() },
        notation: Notation {
            decimal: DecimalSign::Comma,
            ..Notation::default()
        },
        ..TableOptions::default()
    };
    let found = inspect("1|0,5|a\n2|1,5|b\n", &options).unwrap();
    assert_eq!(found.delimiter(), Some(Delimiter::Byte(b'|')));
    let quoted = inspect("1,\"0,5\"\n2,\"1,5\"\n", &options).unwrap();
    assert_eq!(
        (quoted.delimiter(), quoted.columns().len()),
        (Some(Delimiter::Byte(b',')), 2)
    );
}

#[test]
fn what_could_be_a_number_a_time_or_missing_is_proposed() {
    for (text, option) in [
        ("a,b\n1,2020/01/31\n2,2020/02/01\n", "--date-format '%Y/%m/%d'"),
        ("a,b\n1,3/29/1982\n2,4/1/1990\n", "--date-format '%m/%d/%Y'"),
        ("a,b\n1,None\n2,5\n", "--missing 'None'"),
        ("a,b\n1,-\n2,5.5\n", "--missing '-'"),
        ("a;b\n1;1.234,50\n2;0,5\n", "--decimal comma --thousands point"),
        ("a,b\n1,<0.1\n2,0.5\n", "limits"),
    ] {
        assert!(proposal_for(text).contains(option), "{text:?}: {}", proposal_for(text));
    }
    assert_eq!(
        kinds(&inspect("a,b\n1,2020-01-01 10:00:00 UTC\n", &TableOptions::default()).unwrap())[1],
        ColumnKind::TimestampUtc
    );
}

#[test]
fn a_stated_kind_that_values_do_not_have_is_refused_with_their_lines() {
    let options = TableOptions {
        kinds: vec![("b".to_owned(), ColumnKind::Float)],
        ..TableOptions::default()
    };
    let error = inspect("a,b\n1,5\n2,never\n3,secret\n", &options).unwrap_err();
    assert!(
        matches!(&error, IngestError::NotOfKind { count: 2, first, .. } if *first == [3, 4]),
        "{error}"
    );
    assert!(!error.to_string().contains("never"), "{error}");
    assert_eq!(
        shown("a,b\n1,9007199254740993\n2,0.5\n", &options)[1][1].as_deref(),
        Some("0.5")
    );
}

#[test]
fn carets_blanks_comments_and_other_quotes_are_read() {
    let caret = inspect("id^age^sex\n1^50^m\n2^60^f\n", &TableOptions::default()).unwrap();
    assert_eq!(names(&caret), ["id", "age", "sex"]);
    let blanks = TableOptions {
        delimiter: Some(Delimiter::Blanks),
        comment: Some(b'#'),
        skip_lines: 1,
        ..TableOptions::default()
    };
    let text = "made by a machine\n id   age\n# units: years\n 1   50\n 2   60\n";
    assert_eq!(shown(text, &blanks)[1][1].as_deref(), Some("60"));
    let inches = TableOptions {
        quotes: false,
        ..TableOptions::default()
    };
    assert_eq!(
        shown("id\tsize\n1\t\"5\n2\t6\"\n", &inches)[0][1].as_deref(),
        Some("\"5")
    );
}

#[test]
fn names_of_any_script_stay_and_others_can_be_stated() {
    let chinese = inspect("病历号,年龄,größe\n1,50,180\n", &TableOptions::default()).unwrap();
    assert_eq!(
        (names(&chinese), chinese.notes()),
        (vec!["病历号", "年龄", "größe"], &[][..])
    );
    let twice = "Record ID,Complete?,BP,Complete?\n1,2,120,2\n";
    let error = inspect(twice, &TableOptions::default()).unwrap_err();
    assert!(matches!(error, IngestError::DuplicateNames { names } if names == [["Complete?", "Complete?"]]));
    let options = TableOptions {
        rename: vec![("#4".to_owned(), "bp_complete".to_owned())],
        ..TableOptions::default()
    };
    assert_eq!(
        names(&inspect(twice, &options).unwrap()),
        ["record_id", "complete", "BP", "bp_complete"]
    );
}
