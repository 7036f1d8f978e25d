//! Lines as programs write them, and as they should not be.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;

use super::object;
use crate::ingest::{
    IngestError, MAX_COLUMNS, MAX_RECORD_BYTES, Note, Reason, Refused, Source, SubjectRule, TableOptions, TextEncoding,
    batches, infer_schema, tests::cells,
};

/// The columns and the cells of a file, and the refused rows.
#[derive(Debug)]
struct Read {
    names: Vec<String>,
    cells: Vec<Vec<Option<String>>>,
    refused: Vec<(u64, Reason)>,
    notes: Vec<Note>,
}

fn read_with(bytes: impl AsRef<[u8]>, options: &TableOptions) -> Result<Read, IngestError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().write_all(bytes.as_ref()).unwrap();
    let source = Source::at_path(file.path());
    let inspection = infer_schema(&source, options)?;
    let batches = batches(&source, &inspection)?.collect::<Result<Vec<_>, _>>()?;
    let rejects = inspection.rejects().listed().iter();
    Ok(Read {
        names: inspection
            .columns()
            .iter()
            .map(|column| format!("{} {}", column.name, column.kind.label()))
            .collect(),
        cells: cells(&batches),
        refused: rejects.map(|reject| (reject.line, reject.reason)).collect(),
        notes: inspection.notes().to_vec(),
    })
}

fn skipping() -> TableOptions {
    TableOptions {
        refused: Refused::Skip,
        ..TableOptions::default()
    }
}

fn read(bytes: impl AsRef<[u8]>) -> Read {
    read_with(bytes, &skipping()).unwrap()
}

fn some(cells: &[&str]) -> Vec<Option<String>> {
    let cell = |cell: &&str| (!cell.is_empty()).then(|| (*cell).to_owned());
    cells.iter().map(cell).collect()
}

#[test]
fn names_that_differ_between_lines_are_nullable_columns() {
    let found = read("{\"a\":1}\n\n{\"b\":\"x\",\"a\":null}\r\n{ }\n \t{\"c\":true , \"a\":2}");
    assert_eq!(found.names, ["a whole numbers", "b text", "c true or false"]);
    let expected = [some(&["1", "", ""]), some(&["", "x", ""]), some(&["2", "", "true"])];
    assert_eq!(found.cells, expected);
    assert_eq!(
        found.notes,
        [Note::BlankLines { count: 1 }, Note::RowsWithoutValues { count: 1 }]
    );
}

#[test]
fn numbers_are_not_rounded() {
    let found = read("{\"n\":9007199254740993,\"big\":1}\n{\"n\":-9223372036854775808,\"big\":18446744073709551616}\n");
    assert_eq!(found.names, ["n whole numbers", "big text"]);
    assert_eq!(found.cells[0], some(&["9007199254740993", "1"]));
    assert_eq!(found.cells[1], some(&["-9223372036854775808", "18446744073709551616"]));
    let found = read("{\"n\":9007199254740993,\"huge\":1}\n{\"n\":0.5,\"huge\":1e999}\n");
    assert_eq!(found.names, ["n text", "huge text"]);
    assert_eq!(found.cells[0], some(&["9007199254740993", "1"]));
    assert_eq!(found.cells[1], some(&["0.5", "1e999"]));
}

#[test]
fn escapes_stand_for_their_characters() {
    let found = read(r#"{"\u0061\n":"\"\\\/\b\f\n\r\té\u00e9\ud83d\ude00","b":1}"#);
    assert_eq!(found.names, ["a text", "b whole numbers"]);
    assert_eq!(found.cells[0][0].as_deref(), Some("\"\\/\u{8}\u{c}\n\r\téé😀"));
}

#[test]
fn lines_that_are_not_objects_are_refused_with_their_place() {
    let not_json = |byte| Reason::NotJson { byte };
    for (line, reason) in [
        ("[1]", Reason::NotAnObject),
        ("\"a\"", Reason::NotAnObject),
        ("null", Reason::NotAnObject),
        ("12", Reason::NotAnObject),
        ("a,b", not_json(1)),
        ("{", not_json(2)),
        ("{\"a\"", not_json(5)),
        ("{\"a\":", not_json(6)),
        ("{\"a\":1", not_json(7)),
        ("{\"a\":1}}", not_json(8)),
        ("{\"a\":1} {\"b\":2}", not_json(9)),
        ("{\"a\":1,}", not_json(8)),
        ("{,\"a\":1}", not_json(2)),
        ("{\"a\":1 \"b\":2}", not_json(8)),
        ("{\"a\" 1}", not_json(6)),
        ("{a:1}", not_json(2)),
        ("{'a':1}", not_json(2)),
        ("{\"a\":01}", not_json(7)),
        ("{\"a\":+1}", not_json(6)),
        ("{\"a\":.5}", not_json(6)),
        ("{\"a\":1.}", not_json(8)),
        ("{\"a\":1e}", not_json(8)),
        ("{\"a\":-}", not_json(7)),
        ("{\"a\":1-2}", not_json(7)),
        ("{\"a\":NaN}", not_json(6)),
        ("{\"a\":nul}", not_json(9)),
        ("{\"a\":True}", not_json(6)),
        ("{\"a\":\"\\x\"}", not_json(7)),
        ("{\"a\":\"\\u12\"}", not_json(7)),
        ("{\"a\":\"\\ud800\"}", not_json(7)),
        ("{\"a\":\"\\udc00\\ud800\"}", not_json(7)),
        ("{\"a\":\"\\ud800\\u0041\"}", not_json(7)),
        ("{\"a\":\"b\tc\"}", not_json(8)),
        ("{\"a\":1,\"b\":2,\"a\":1}", Reason::RepeatedName { field: 1 }),
        ("{\"z\":1,\"z\":2}", Reason::RepeatedName { field: 2 }),
        ("{\"a\":1,\"\\u0061\":2}", Reason::RepeatedName { field: 1 }),
        ("{\"a\":\"\\u0000\"}", Reason::ZeroByte),
        ("{\"a\":\"\0\"}", Reason::ZeroByte),
    ] {
        let found = read(format!("{{\"a\":1,\"b\":2}}\n{line}\n{{\"a\":3,\"b\":4}}\n"));
        assert_eq!(found.refused, [(2, reason)], "{line}");
        assert_eq!(found.cells.len(), 2, "{line}");
        assert_eq!(found.names.len(), 2, "{line}");
    }
}

#[test]
fn nested_values_are_refused_by_their_name() {
    let text = "{\"id\":1,\"codes\":[1,2],\"note\":\"[\"}\n{\"id\":2,\"address\":{\"a\":\"}\"},\"codes\":null}\n";
    let error = read_with(text, &skipping()).unwrap_err();
    let expected = [("codes", "lists"), ("address", "structures")].map(|(name, what)| (name.to_owned(), what));
    assert!(
        matches!(&error, IngestError::Unsupported { columns } if *columns == expected),
        "{error}"
    );
}

#[test]
fn ndjson_lines_and_names_have_the_limits_of_csv() {
    let long = format!(
        "{{\"a\":1}}\n{{\"a\":\"{}\"}}\n{{\"a\":3}}",
        "x".repeat(MAX_RECORD_BYTES)
    );
    let found = read(&long);
    assert_eq!(found.refused, [(2, Reason::RowTooLong)]);
    assert_eq!(found.cells.len(), 2);
    let object = |count: usize| {
        let members: Vec<String> = (0..count).map(|n| format!("\"c{n}\":{n}")).collect();
        format!("{{{}}}\n", members.join(","))
    };
    assert_eq!(read(object(MAX_COLUMNS)).names.len(), MAX_COLUMNS);
    let found = read(format!("{}{}", object(2), object(MAX_COLUMNS + 1)));
    assert_eq!(
        (found.refused, found.names.len()),
        (vec![(2, Reason::TooManyFields)], 2)
    );
    let spread: String = (0..=MAX_COLUMNS).map(|n| format!("{{\"c{n}\":{n}}}\n")).collect();
    let error = read_with(spread, &skipping()).unwrap_err();
    assert!(matches!(error, IngestError::TooManyColumns { .. }), "{error}");
    let names: String = (0..20)
        .map(|n| format!("{{\"{n}{}\":1}}\n", "x".repeat(1024 * 1024)))
        .collect();
    let error = read_with(names, &skipping()).unwrap_err();
    assert!(matches!(error, IngestError::NamesTooLong), "{error}");
}

#[test]
fn ndjson_has_the_encodings_of_csv() {
    let text = "{\"név\":\"Győr\",\"n\":1}\n";
    let utf16: Vec<u8> = "\u{feff}"
        .encode_utf16()
        .chain(text.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let marked = format!("\u{feff}{text}").into_bytes();
    for bytes in [text.as_bytes().to_vec(), utf16, marked, gzip.finish().unwrap()] {
        assert_eq!(read(bytes).cells, [some(&["Győr", "1"])]);
    }
    let western = b"{\"a\":\"Ann\",\"n\":1}\n{\"a\":\"Jos\xe9\",\"n\":2}\n";
    assert_eq!(read(western).refused, [(2, Reason::InvalidBytes { offset: 27 })]);
    let error = read_with(western, &TableOptions::default()).unwrap_err();
    assert!(
        matches!(
            error,
            IngestError::Encoding {
                line: 2,
                offset: 27,
                ..
            }
        ),
        "{error}"
    );
    let options = TableOptions {
        encoding: Some(TextEncoding::from_label("windows-1252").unwrap()),
        ..TableOptions::default()
    };
    assert_eq!(
        read_with(western, &options).unwrap().cells[1][0].as_deref(),
        Some("José")
    );
}

#[test]
fn file_without_any_object_has_no_columns() {
    for text in ["{}\n{}\n", "{\"a\":1,\"a\":2}\n"] {
        let error = read_with(text, &skipping()).unwrap_err();
        assert!(matches!(error, IngestError::NoObjects { .. }), "{error}");
    }
    let stated = TableOptions {
        format: Some(crate::ingest::Format::Ndjson),
        ..TableOptions::default()
    };
    assert!(matches!(read_with("\n", &stated), Err(IngestError::Empty { .. })));
    assert!(matches!(
        read_with("a,b\n1,2\n", &stated),
        Err(IngestError::NoObjects { .. })
    ));
}

/// Parts of JSON in any order, so that some are JSON.
fn nearly_json() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[{},:\"\\[\\] ]",
        Just("{\"a\":".to_owned()),
        Just(",\"b\":".to_owned()),
        Just("}".to_owned()),
        "-?[0-9.eE+-]{1,6}",
        Just("null".to_owned()),
        Just("true".to_owned()),
        "\"[a-z\\\\u0-9é]{0,6}\"",
        "\\\\u[0-9a-fdD]{4}",
    ];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    /// Whatever is accepted can be decoded, and nothing panics.
    #[test]
    fn ndjson_that_is_accepted_is_decoded(lines in prop::collection::vec(nearly_json(), 1..20)) {
        let text = format!("{{\"a\":1,\"b\":2}}\n{}\n", lines.join("\n"));
        match read_with(&text, &skipping()) {
            Ok(found) => {
                let accepted = text.lines().filter(|line| object::read(line, &mut Vec::new()).is_ok()).count();
                prop_assert!(found.cells.len() <= accepted);
            }
            Err(error) => prop_assert!(matches!(
                error,
                IngestError::Unsupported { .. } | IngestError::DuplicateNames { .. }
            ), "{error:?}"),
        }
    }
}

#[test]
fn numbers_of_lines_are_not_rounded() {
    let lines = "{\"id\":9007199254740992.0}\n{\"id\":9007199254740993.0}\n{\"id\":9007199254740994.0}\n";
    let found = read(lines);
    assert_eq!(found.names, ["id text"]);
    let written = ["9007199254740992.0", "9007199254740993.0", "9007199254740994.0"];
    assert_eq!(found.cells, written.map(|value| some(&[value])));
    let is_noted = found
        .notes
        .iter()
        .any(|note| matches!(note, Note::InexactNumbers { line: 2, .. }));
    assert!(is_noted, "{:?}", found.notes);
    let measured = read("{\"x\":0.30000000000000004}\n{\"x\":1e-07}\n");
    assert_eq!(
        (measured.names, measured.notes),
        (vec!["x numbers".to_owned()], Vec::new())
    );
    let options = TableOptions {
        subject: SubjectRule::Column("id".to_owned()),
        ..TableOptions::default()
    };
    for line in ["{\"id\":9.1E15}", "{\"id\":1.23457E+11}", "{\"id\":9007199254740994.0}"] {
        let found = read_with(line, &options).unwrap();
        let is_noted = found
            .notes
            .iter()
            .any(|note| matches!(note, Note::RoundedSubjects { .. }));
        assert!(is_noted, "{line}: {:?}", found.notes);
    }
}
