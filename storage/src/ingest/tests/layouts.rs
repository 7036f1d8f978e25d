//! Files whose layout is not that of a plain table: what can only be meant in one way is read so, with a note, and for the rest the error
//! names what to state.

use super::*;

/// What is proposed instead of reading the file.
#[track_caller]
fn advice(bytes: impl AsRef<[u8]>, options: &TableOptions) -> String {
    match inspect(bytes, options) {
        Err(error @ IngestError::Layout { .. }) => {
            assert_eq!(error.kind(), concordat_protocol::error_kind::ErrorKind::Usage);
            error.to_string()
        }
        Err(error) => panic!("{error}"),
        Ok(found) => panic!("{} rows", found.rows()),
    }
}

/// Rows of a patient number, an age and a number with a decimal comma.
fn rows(delimiter: &str, end: &str) -> String {
    (0..40)
        .map(|row| {
            format!(
                "{}{delimiter}{}{delimiter}{},{}{end}\n",
                1000 + row,
                20 + row,
                10 + row % 5,
                row % 10
            )
        })
        .collect()
}

fn usual() -> TableOptions {
    TableOptions::default()
}

#[test]
fn lines_above_the_table_get_a_proposal_that_reads_it() {
    let table = format!("patnr;age;hb\n{}", rows(";", ""));
    for titles in [
        "Laboratory of the hospital\n",
        "Laboratory\nmade on 2023-12-31 by NN\n\n",
        "Laboratory, ward 4\n",
        "\"Laboratory\nward 4\"\n",
        "a;b\n",
        "Klinikum Nord;;\n",
        "Klinikum Nord;;\nStand 2023-12-31;;\n;;\n",
        "Klinikum Nord\nStand 2023-12-31; ;\n\n",
    ] {
        let text = format!("{titles}{table}");
        let lines = titles.lines().count() as u64;
        let found = advice(&text, &usual());
        assert!(
            found.contains(&format!("`--skip-lines {lines}`")),
            "{titles:?}: {found}"
        );
        let skipped = TableOptions {
            skip_lines: lines,
            ..usual()
        };
        let found = inspect(&text, &skipped).unwrap();
        assert_eq!(
            (names(&found), found.rows()),
            (vec!["patnr", "age", "hb"], 40),
            "{titles:?}"
        );
    }
}

#[test]
fn a_first_line_that_is_stated_to_have_names_is_no_title() {
    let text = format!("Klinikum Nord;;\npatnr;age;hb\n{}", rows(";", ""));
    let stated = TableOptions {
        header: Header::Present,
        ..usual()
    };
    assert_eq!(inspect(&text, &stated).unwrap().rows(), 41);
    // Empty fields in rows below the names are missing values.
    let sparse = format!("patnr;age;hb\n1;;\n2;;\n{}", rows(";", ""));
    assert_eq!(inspect(&sparse, &usual()).unwrap().rows(), 42);
}

#[test]
fn comments_at_the_start_get_a_proposal_that_reads_the_table() {
    let table = format!("patnr;age;hb\n{}", rows(";", ""));
    for comments in [
        "# Export, 2023-12-31\n# Ward 4; only inpatients\n",
        "# Export\n",
        "% made by a machine\n%\n",
    ] {
        let text = format!("{comments}{table}");
        let sign = text.chars().next().unwrap();
        let found = advice(&text, &usual());
        assert!(found.contains(&format!("`--comment '{sign}'`")), "{found}");
        let left_out = TableOptions {
            comment: u8::try_from(sign).ok(),
            ..usual()
        };
        assert_eq!(inspect(&text, &left_out).unwrap().rows(), 40);
    }
    let header = format!("#made\n#by a machine\n#patnr;age;hb\n{}", rows(";", ""));
    assert!(advice(&header, &usual()).contains("`--skip-lines 2`"));
    // The names themselves may begin with the sign.
    let found = inspect("#chrom;pos\nx;1\ny;2\n", &usual()).unwrap();
    assert_eq!(names(&found), ["chrom", "pos"]);
}

#[test]
fn a_line_that_states_the_delimiter_is_left_out() {
    for delimiter in [";", "|", ","] {
        let text = format!("sep={delimiter}\r\na{delimiter}b\r\n1{delimiter}x y\r\n2{delimiter}z\r\n");
        let found = inspect(&text, &usual()).unwrap();
        assert_eq!((names(&found), found.rows()), (vec!["a", "b"], 2), "{text}");
        assert!(found.notes().contains(&Note::SeparatorLine), "{text}");
    }
    let skipped = TableOptions {
        skip_lines: 1,
        ..usual()
    };
    let found = inspect("sep=;\na;b\n1;2\n", &skipped).unwrap();
    assert_eq!((found.rows(), found.notes()), (1, &[][..]));
}

#[test]
fn delimiters_at_the_end_of_rows_only_are_left_out() {
    let text = format!("patnr;age;hb\n{}", rows(";", ";"));
    let (found, batches) = import(&text, &usual()).unwrap();
    assert_eq!((names(&found), found.rows()), (vec!["patnr", "age", "hb"], 40));
    assert!(found.notes().contains(&Note::TrailingDelimiters { count: 40 }));
    assert_eq!(cells(&batches)[39][1].as_deref(), Some("59"));
    // A value in the field that has no name is not left out: the row is refused.
    let beyond = format!("patnr;age;hb\n{}1;2;3;4\n5;6;7\n", rows(";", ";").repeat(10));
    let found = inspect(beyond, &usual()).unwrap();
    let ragged: Vec<_> = found.rejects().listed().iter().map(|reject| reject.reason).collect();
    assert_eq!(ragged, [Reason::Ragged { found: 4, expected: 3 }]);
}

#[test]
fn a_line_of_dashes_below_the_names_is_left_out() {
    for (text, line) in [
        ("patnr;hb\n-----;--\n1000;10\n1001;11\n", 2),
        ("id|name\n--+------\n1|Anna\n2|Ben\n", 2),
        ("\nid,age\n==,===\n1,50\n2,51\n", 3),
    ] {
        let found = inspect(text, &usual()).unwrap();
        assert_eq!((found.rows(), found.columns()[0].kind), (2, ColumnKind::Int), "{text}");
        assert!(
            found.notes().contains(&Note::RulerLine { line }),
            "{text}: {:?}",
            found.notes()
        );
    }
    // Further below it is a row.
    let found = inspect("a,b\n1,2\n--,--\n", &usual()).unwrap();
    assert_eq!((found.rows(), found.columns()[0].kind), (2, ColumnKind::Text));
}

#[test]
fn a_second_line_of_names_is_noted() {
    let units = "patnr;age;hb\n;years;g/dl\n1;50;10\n2;51;11\n";
    let found = inspect(units, &usual()).unwrap();
    assert!(
        found.notes().contains(&Note::SecondHeader { line: 2 }),
        "{:?}",
        found.notes()
    );
    let missing = "patnr;age;hb\n1;unknown;10\n2;51;11\n3;52;12\n";
    let found = inspect(missing, &usual()).unwrap();
    assert!(
        !found
            .notes()
            .iter()
            .any(|note| matches!(note, Note::SecondHeader { .. }))
    );
}

#[test]
fn one_column_of_numbers_with_a_comma_is_a_table_of_one_column() {
    let numbers: String = (0..40).map(|row| format!("{},{}\n", 10 + row, row % 10)).collect();
    let text = format!("hb\n{numbers}");
    let found = inspect(&text, &usual()).unwrap();
    assert_eq!(
        (names(&found), found.rows(), found.rejects().count()),
        (vec!["hb"], 40, 0)
    );
    let stated = TableOptions {
        header: Header::Present,
        ..usual()
    };
    let names_only = inspect("hb\n1,2,3\n4,5,6\n", &stated).unwrap_err();
    assert!(
        matches!(&names_only, IngestError::NotATable { refused: 2, .. }),
        "{names_only}"
    );
    assert!(names_only.to_string().contains("2 lines below"), "{names_only}");
}

#[test]
fn decimal_commas_between_commas_are_named() {
    let rows: String = (0..20)
        .map(|row| format!("{},{row},{}\n", 1000 + row, row % 10))
        .collect();
    let found = advice(format!("patnr,hb\n{rows}"), &usual());
    assert!(found.contains("decimal comma"), "{found}");
}

#[test]
fn names_that_are_fewer_than_fields_are_named() {
    let found = advice("age\thb\na\t50\t10\nb\t51\t11\nc\t52\t12\n", &usual());
    assert!(found.contains("row names"), "{found}");
    let found = advice("2,benign\n1,2,3,4\n1,2,3,4\n1,2,3,4\n", &usual());
    assert!(
        found.contains("--skip-lines 1") && found.contains("--header absent"),
        "{found}"
    );
}

#[test]
fn fields_between_blanks_and_of_fixed_width_get_a_proposal_that_reads_them() {
    for text in [
        "patnr   name        hb\n1000    Anna        10,0\n1001    Ben         10,1\n1002    Cora        10,2\n",
        "59 2 32.1\n48 1 21.6\n",
    ] {
        let found = advice(text, &usual());
        assert!(found.contains("`--delimiter blanks`"), "{found}");
        let blanks = TableOptions {
            delimiter: Some(Delimiter::Blanks),
            ..usual()
        };
        assert_eq!(inspect(text, &blanks).unwrap().columns().len(), 3);
    }
    let sentences = inspect("note\nfine today\nnot so fine\nwell\n", &usual()).unwrap();
    assert_eq!((names(&sentences), sentences.rows()), (vec!["note"], 3));
}

#[test]
fn rows_between_two_open_quotes_are_not_lost() {
    let mut text = "patnr;text;value\n".to_owned();
    for row in 0..40 {
        let word = match row {
            8 => "\"state after",
            20 => "ok\"",
            _ => "ok",
        };
        text.push_str(&format!("{};{word};{row}\n", 1000 + row));
    }
    let found = inspect(&text, &usual()).unwrap();
    assert_eq!(found.rows(), 39);
    let reason = Reason::RowsInQuotes { field: 2, lines: 12 };
    assert_eq!(found.rejects().listed(), [Reject { line: 10, reason }]);
    let trusting = TableOptions {
        quotes_are_stated: true,
        ..usual()
    };
    let found = inspect(&text, &trusting).unwrap();
    assert_eq!((found.rows(), found.rejects().count()), (28, 0));
    assert!(
        found.notes().contains(&Note::LinesLikeRows { count: 1, line: 10 }),
        "{:?}",
        found.notes()
    );
}

#[test]
fn findings_over_several_lines_are_text() {
    let mut text = "patnr,finding,value\n".to_owned();
    for row in 0..40 {
        text.push_str(&format!(
            "{row},\"Chest {row}:\nno effusion, \"\"clear\"\", no change\n\nDr. A\",{row}\n"
        ));
    }
    let found = inspect(&text, &usual()).unwrap();
    assert_eq!((found.rows(), found.rejects().count(), found.notes()), (40, 0, &[][..]));
}

#[test]
fn most_rows_refused_means_another_layout() {
    let error = import("a,b\n1,2\n1,2,3\n1,2,3,4\n1\n", &usual()).unwrap_err();
    let message = error.to_string();
    assert!(
        matches!(error, IngestError::RowsRefused { count: 3, rows: 1, .. }),
        "{message}"
    );
    assert!(
        !message.contains("--skip-refused") && message.contains("--delimiter"),
        "{message}"
    );
}

#[test]
fn encoding_is_proposed_by_the_words_and_doubted_by_them() {
    let dos = b"patnr;name\n1;M\x81ller\n2;Strau\xe1\n3;J\x84ger\n";
    let error = inspect(dos, &usual()).unwrap_err();
    assert!(matches!(error, IngestError::Encoding { line: 2, .. }), "{error}");
    assert!(error.to_string().contains("iconv -f CP850"), "{error}");
    let western = TableOptions {
        encoding: Some(TextEncoding::from_label("windows-1252").unwrap()),
        ..usual()
    };
    let note = Note::ImplausibleCharacters {
        count: 2,
        line: 2,
        encoding: "windows-1252",
    };
    assert!(inspect(dos, &western).unwrap().notes().contains(&note));
    let right = inspect(b"patnr;name\n1;M\xfcller\n2;Strau\xdf\n", &western).unwrap();
    assert!(right.notes().is_empty(), "{:?}", right.notes());
}

/// Three deliveries in one file, each with the names of the columns.
const PUT_TOGETHER: &str = "id,age\n11,50\n12,51\nid,age\n14,53\n id , age\n17,57\n";

#[test]
fn repeated_names_of_columns_are_rows_with_a_note() {
    let (found, batches) = import(PUT_TOGETHER, &usual()).unwrap();
    assert_eq!((found.rows(), cells(&batches).len()), (6, 6));
    assert_eq!(kinds(&found), [ColumnKind::Text, ColumnKind::Text]);
    let note = Note::RepeatedHeader {
        count: 2,
        line: 4,
        numbering: Numbering::Lines,
    };
    assert!(
        note.needs_attention() && found.notes().contains(&note),
        "{:?}",
        found.notes()
    );
    assert!(!found.notes().contains(&Note::HeaderAssumed), "{:?}", found.notes());
}

#[test]
fn repeated_names_are_left_out_as_stated_and_counted() {
    let left_out = TableOptions {
        repeated_header: RepeatedHeader::LeftOut,
        ..usual()
    };
    let (found, batches) = import(PUT_TOGETHER, &left_out).unwrap();
    assert_eq!((found.rows(), cells(&batches).len()), (4, 4));
    assert_eq!(kinds(&found), [ColumnKind::Int, ColumnKind::Int]);
    let note = Note::RepeatedHeaderLeftOut {
        count: 2,
        line: 4,
        numbering: Numbering::Lines,
    };
    assert_eq!(found.notes(), [note]);
    // Rows that have the name of one column only are data, and so is the first line of a file without names.
    let one = inspect("name,age\nname,5\nage,6\n", &left_out).unwrap();
    assert_eq!((one.rows(), one.notes()), (2, &[][..]));
    let without_names = TableOptions {
        header: Header::Absent {
            names: vec!["a".to_owned(), "b".to_owned()],
        },
        ..left_out
    };
    assert_eq!(inspect("a,b\na,b\n", &without_names).unwrap().rows(), 2);
}

#[test]
fn repeated_names_below_the_first_are_no_second_names() {
    let found = inspect("id,age\nid,age\n11,50\n12,51\n", &usual()).unwrap();
    let is_second = |note: &Note| matches!(note, Note::SecondHeader { .. });
    assert!(!found.notes().iter().any(is_second), "{:?}", found.notes());
}
