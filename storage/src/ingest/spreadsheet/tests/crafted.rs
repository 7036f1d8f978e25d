//! Files that no program writes.

use concordat_protocol::error_kind::{ErrorKind, Explain};

use super::super::xml::{Item, Xml};
use super::*;
use crate::ingest::{Reason, Refused, compression::archive::Archive};

/// What a file states about its size is not believed.
#[test]
fn spreadsheets_that_state_more_than_they_have_are_read() {
    let strings = format!("<sst {SPACE} count=\"99999999999\" uniqueCount=\"99999999999\"><si><t>id</t></si></sst>");
    let rows = "<dimension ref=\"A1:XFD1048576\"/><sheetData><row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c><c r=\"B1\" t=\"s\"><v>0</v></c>\
                </row><row r=\"2\"><c r=\"A2\"><v>1</v></c></row></sheetData>";
    let bytes = workbook_with(&[("a", rows)], &strings, "");
    let renamed = TableOptions {
        rename: vec![("#2".to_owned(), "b".to_owned())],
        ..named()
    };
    assert_eq!(shown(&bytes, &renamed), [["1", "-"]]);
}

#[test]
fn spreadsheets_with_more_cells_than_bytes_explain_are_refused() {
    let long = "x".repeat(1 << 20);
    let repeated = format!(
        "<table:table-row table:number-rows-repeated=\"1048000\"><table:table-cell office:value-type=\"string\" \
         office:string-value=\"{long}\" table:number-columns-repeated=\"16\"/></table:table-row>"
    );
    let small = "<table:table-row table:number-rows-repeated=\"1048000\"><table:table-cell office:value-type=\"float\" \
                 office:value=\"1\" table:number-columns-repeated=\"16384\"/></table:table-row>";
    let shared: String = (1..3000)
        .map(|number| format!("<row r=\"{number}\"><c t=\"s\"><v>0</v></c></row>"))
        .collect();
    for bytes in [
        document(&[("a", &(row(&text("id")) + &repeated))]),
        document(&[("a", &(row(&text("id")) + small))]),
        workbook(&[("a", &data(&shared))], &format!("<si><t>{long}</t></si>")),
    ] {
        let error = refused(&bytes);
        assert!(matches!(error, IngestError::UnpacksToTooMuch { .. }), "{error}");
    }
}

#[test]
fn long_values_and_rows_of_a_sheet_are_refused_rows() {
    let long = "x".repeat((1 << 20) + 1);
    let wide: String = (0..34)
        .map(|column| format!("<c t=\"inlineStr\"><is><t>{column}{}</t></is></c>", "y".repeat(1 << 19)))
        .collect();
    let rows = format!(
        "<row r=\"1\"><c t=\"inlineStr\"><is><t>id</t></is></c><c t=\"inlineStr\"><is><t>x</t></is></c></row>\
         <row r=\"2\"><c><v>1</v></c><c t=\"inlineStr\"><is><t>{long}</t></is></c></row>\
         <row r=\"3\"><c><v>2</v></c><c t=\"inlineStr\"><is><t>a_x0000_</t></is></c></row>\
         <row r=\"4\"><c><v>3</v></c><c><v>4</v></c></row><row r=\"5\">{wide}</row>"
    );
    let skipping = TableOptions {
        refused: Refused::Skip,
        rename: Vec::new(),
        ..named()
    };
    let inspection = inspect(&workbook(&[("a", &data(&rows))], ""), &skipping);
    let inspection = inspection.unwrap();
    let listed: Vec<_> = inspection
        .rejects()
        .listed()
        .iter()
        .map(|reject| (reject.line, reject.reason))
        .collect();
    assert_eq!(
        listed,
        [
            (2, Reason::FieldTooLong { field: 2 }),
            (3, Reason::ZeroByte),
            (5, Reason::RowTooLong)
        ]
    );
    assert_eq!(inspection.rows(), 1);
    let all = data(
        "<row><c t=\"inlineStr\"><is><t>id</t></is></c><c t=\"inlineStr\"><is><t>x</t></is></c></row>\
         <row r=\"2\"><c t=\"inlineStr\"><is><t>a_x0000_</t></is></c></row>",
    );
    let error = import(&workbook(&[("a", &all)], ""), &skipping)
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(error, IngestError::AllRowsRefused { count: 1, .. }), "{error}");
}

#[test]
fn crafted_spreadsheets_are_refused() {
    let deep = format!("{}{}", "<a>".repeat(300), "</a>".repeat(300));
    let entity = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\">]>";
    for rows in [
        "<row r=\"2\"><c r=\"A2\"><v>1</v></c></row><row r=\"1\"><c r=\"A1\"><v>1</v></c></row>",
        "<row r=\"1\"><c r=\"B1\"><v>1</v></c><c r=\"A1\"><v>1</v></c></row>",
        "<row r=\"1048577\"><c><v>1</v></c></row>",
        "<row r=\"1\"><c r=\"XFE1\"><v>1</v></c></row>",
        "<row r=\"1\"><c r=\"1\"><v>1</v></c></row>",
        "<row r=\"1\"><c t=\"s\"><v>9</v></c></row>",
        "<row r=\"1\"><c t=\"s\"><v>-1</v></c></row>",
        "<row r=\"1\"><c t=\"b\"><v>2</v></c></row>",
        "<row r=\"1\"><c t=\"zzz\"><v>2</v></c></row>",
        "<row r=\"1\"><c t=\"str\"><v>&unknown;</v></c></row>",
        "<row r=\"1\"><c><v>1</v></row>",
        "<row r=\"1\"><c><v>1</v><v>2</v></c></row>",
        "<row r=\"1\"><c><v>1<v>2</v></v></c></row>",
        "<row r=\"1\"><c t=\"inlineStr\"><v>1</v><is><t>2</t></is></c></row>",
        "<row r=\"1\"><c t=\"inlineStr\"><is><t>1</t></is><v>2</v></c></row>",
        "<row r=\"one\"><c><v>1</v></c></row>",
        entity,
        &deep,
    ] {
        let error = refused(&workbook(&[("a", &data(rows))], ""));
        assert!(matches!(error, IngestError::Spreadsheet { .. }), "{rows}: {error}");
        assert_eq!(error.kind(), ErrorKind::Usage);
    }
    let unknown = row("<table:table-cell office:value-type=\"zzz\"/>");
    let wide = row(&("<table:table-cell table:number-columns-repeated=\"16384\"/>".to_owned() + &float("1")));
    let two = row(&(text("id") + &text("x"))) + &row(&float("1"));
    let wide = inspect(&document(&[("a", &(two + &wide))]), &named()).unwrap();
    assert_eq!(wide.columns().len(), 2, "what is beyond the last column is not a cell");
    assert!(matches!(
        refused(&document(&[("a", &unknown)])),
        IngestError::Spreadsheet { .. }
    ));
    let names = format!("<sheet name=\"{}\" r:id=\"r0\"/>", "x".repeat(2000));
    let error = refused(&workbook_with(&[("a", SMALL)], &format!("<sst {SPACE}/>"), &names));
    assert!(matches!(error, IngestError::Spreadsheet { .. }), "{error}");
}

#[test]
fn file_in_a_spreadsheet_is_read_up_to_a_limit() {
    let text = format!("<a>{}</a>", "x".repeat(5 << 20));
    let bytes = zip(&[("a.xml", text.as_bytes()), ("b.xml", b"<a>0123456789</a>")]);
    let folder = Folder(tempfile::tempdir().unwrap());
    let source = Source::at_path(folder.file(&bytes));
    let archive = Archive::open(std::sync::Arc::new(source.random_access().unwrap())).unwrap();
    let read = |name: &str, limit| {
        let mut xml = Xml::new(archive.read(archive.file(name).unwrap()).unwrap(), limit);
        loop {
            match xml.next() {
                Ok(Item::Eof) => return None,
                Ok(_) => {}
                Err(damage) => return Some(damage.of(source.name()).to_string()),
            }
        }
    };
    assert_eq!(read("b.xml", 17), None);
    for (name, limit) in [("b.xml", 16), ("a.xml", u64::MAX)] {
        let error = read(name, limit).unwrap();
        assert!(error.contains("larger than is read"), "{name}: {error}");
    }
}

#[test]
fn spreadsheet_changed_anywhere_is_never_read_as_something_else() {
    let xlsx = workbook(&[("a", SMALL)], "<si><t>shared</t></si>");
    let ods = document(&[(
        "a",
        &(row(&(text("id") + &text("x"))) + &row(&(float("1") + &float("2.5")))),
    )]);
    let expected = [["1", "2.5"]];
    for bytes in [xlsx, ods] {
        assert_eq!(shown(&bytes, &named()), expected);
        for at in (0..bytes.len()).step_by(7) {
            let mut changed = bytes.clone();
            changed[at] ^= 0x20;
            if import(&changed, &named()).is_ok() {
                assert_eq!(shown(&changed, &named()), expected, "byte {at}");
            }
            assert!(import(&bytes[..at], &named()).is_err(), "{at} bytes");
        }
    }
}
