//! Which sheet and which area of it is read, and what is noted.

use concordat_protocol::error_kind::{ErrorKind, Explain};

use super::*;
use crate::ingest::{Format, Note, Upload};

#[test]
fn the_only_sheet_with_cells_is_read_or_one_is_stated() {
    let empty = data("<row r=\"1\"><c r=\"A1\" s=\"1\"/></row>");
    let one = workbook(&[("Empty", &empty), ("Data", SMALL)], "");
    assert_eq!(inspect(&one, &named()).unwrap().sheet(), Some("Data"));
    let two = workbook(&[("First", SMALL), ("Empty", &empty), ("Second &amp; last", SMALL)], "");
    let error = refused(&two);
    assert!(
        matches!(&error, IngestError::SheetNotStated { sheets, .. } if *sheets == ["First", "Second & last"]),
        "{error}"
    );
    let stated = |name: &str| TableOptions {
        sheet: Some(name.to_owned()),
        ..named()
    };
    assert_eq!(inspect(&two, &stated("Second & last")).unwrap().rows(), 1);
    let error = inspect(&two, &stated("Third")).unwrap_err();
    assert!(
        matches!(&error, IngestError::NoSuchSheet { sheets, .. } if sheets.len() == 3),
        "{error}"
    );
    let none = refused(&workbook(&[("Empty", &empty)], ""));
    assert!(matches!(none, IngestError::Empty { .. }), "{none}");
    let ods = document(&[("a", ""), ("b", &(row(&text("x")) + &row(&float("1"))))]);
    assert_eq!(inspect(&ods, &named()).unwrap().sheet(), Some("b"));
    let csv = inspect(b"a,b\n1,2\n", &stated("Data")).unwrap_err();
    assert!(
        matches!(csv, IngestError::OptionOfAnotherFormat { option: "--sheet", .. }),
        "{csv}"
    );
}

#[test]
fn table_may_be_anywhere_on_its_sheet() {
    let rows = "<row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>Made in 2020</t></is></c></row>\
        <row r=\"4\"><c r=\"C4\" t=\"inlineStr\"><is><t>id</t></is></c><c r=\"D4\" t=\"inlineStr\"><is><t>x</t></is></c></row>\
        <row r=\"5\"><c r=\"C5\"><v>1</v></c><c r=\"D5\" t=\"inlineStr\"><is><t> </t></is></c><c r=\"F5\" t=\"inlineStr\"><is><t> </t></is></c></row>\
        <row r=\"9\"><c r=\"C9\"><v>2</v></c><c r=\"D9\"><v>3</v></c></row>";
    let bytes = workbook(&[("a", &data(rows))], "");
    let options = TableOptions {
        skip_lines: 3,
        ..named()
    };
    let (inspection, _) = import(&bytes, &options).unwrap();
    assert_eq!(inspection.columns().len(), 2);
    assert_eq!(shown(&bytes, &options), [["1", "-"], ["2", "3"]]);
    assert!(
        inspection.notes().contains(&Note::BlankLines { count: 3 }),
        "{:?}",
        inspection.notes()
    );
    let absent = TableOptions {
        header: Header::Absent { names: Vec::new() },
        skip_lines: 4,
        ..TableOptions::default()
    };
    assert_eq!(inspect(&bytes, &absent).unwrap().columns()[0].name, "column_1");
}

#[test]
fn what_is_hidden_merged_or_not_computed_is_noted() {
    let rows = "<cols><col min=\"2\" max=\"3\" hidden=\"1\"/><col min=\"9\" max=\"16384\" hidden=\"1\"/></cols><sheetData>\
        <row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>id</t></is></c><c r=\"B1\" t=\"inlineStr\"><is><t>x</t></is></c></row>\
        <row r=\"2\" hidden=\"1\"><c r=\"A2\"><v>1</v></c><c r=\"B2\"><f>A2+1</f><v></v></c><c r=\"C2\" t=\"str\"><f>A2</f><v></v></c></row>\
        <row r=\"3\"><c r=\"A3\"><v>2</v></c><c r=\"B3\"><f>A3+1</f><v>3</v></c></row></sheetData>\
        <mergeCells count=\"1\"><mergeCell ref=\"A1:A2\"/></mergeCells>";
    let xlsx = workbook(&[("a", rows)], "");
    let spanned = "<table:table-cell office:value-type=\"float\" office:value=\"2\" table:number-rows-spanned=\"2\"/>";
    let rows = [
        "<table:table-column table:number-columns-repeated=\"2\" table:visibility=\"collapse\"/>".to_owned(),
        row(&(text("id") + &text("x"))),
        format!(
            "<table:table-row table:visibility=\"filter\">{}<table:table-cell table:formula=\"of:=1\"/></table:table-row>",
            float("1")
        ),
        row(&(spanned.to_owned() + &float("3"))),
    ];
    let ods = document(&[("a", &rows.concat())]);
    for bytes in [xlsx, ods] {
        let inspection = inspect(&bytes, &named()).unwrap();
        for note in [
            Note::HiddenRows { count: 1 },
            Note::HiddenColumns { count: 2 },
            Note::MergedCells { count: 1 },
            Note::FormulasWithoutResult { count: 1 },
        ] {
            assert!(
                inspection.notes().contains(&note),
                "{note} is not in {:?}",
                inspection.notes()
            );
        }
        assert_eq!(inspection.rows(), 2);
    }
}

#[test]
fn rows_above_the_table_of_a_sheet_get_a_proposal() {
    let text = |cell: &str, text: &str| format!("<c r=\"{cell}\" t=\"inlineStr\"><is><t>{text}</t></is></c>");
    let head = format!("<row r=\"3\">{}{}</row>", text("A3", "PatNr"), text("B3", "Hb"));
    let values = "<row r=\"4\"><c r=\"A4\"><v>1</v></c><c r=\"B4\"><v>10</v></c></row>\
        <row r=\"5\"><c r=\"A5\"><v>2</v></c><c r=\"B5\"><v>11</v></c></row>";
    let titled = format!("<row r=\"1\">{}</row>{head}{values}", text("A1", "Ward 4"));
    let bytes = workbook(&[("a", &data(&titled))], "");
    let error = inspect(&bytes, &TableOptions::default()).unwrap_err();
    assert!(matches!(error, IngestError::Layout { .. }), "{error}");
    assert!(error.to_string().contains("`--skip-lines 2`"), "{error}");
    let skipped = TableOptions {
        skip_lines: 2,
        ..TableOptions::default()
    };
    assert_eq!(inspect(&bytes, &skipped).unwrap().rows(), 2);
    let unclear = workbook(
        &[(
            "a",
            &data(&format!("<row r=\"1\">{}{}</row>", text("A1", "1"), text("B1", ""))),
        )],
        "",
    );
    let error = inspect(&unclear, &TableOptions::default()).unwrap_err();
    assert!(!error.to_string().contains("delimiter"), "{error}");
}

#[test]
fn spreadsheets_are_recognized_or_must_be_the_stated_kind() {
    let xlsx = workbook(&[("a", SMALL)], "");
    let ods = document(&[(
        "a",
        &(row(&(text("id") + &text("x"))) + &row(&(float("1") + &float("2")))),
    )]);
    for (bytes, format) in [(&xlsx, Format::Xlsx), (&ods, Format::Ods)] {
        for stated in Format::ALL {
            let options = TableOptions {
                format: Some(stated),
                ..TableOptions::default()
            };
            match inspect(bytes, &options) {
                Ok(found) => assert_eq!((found.format(), stated), (format, format)),
                Err(error) => assert!(
                    stated != format
                        && matches!(&error, IngestError::OtherFormat { format: found, .. } if *found == format),
                    "{error}"
                ),
            }
        }
    }
    for format in [Format::Xlsx, Format::Ods] {
        let options = TableOptions {
            format: Some(format),
            ..TableOptions::default()
        };
        let error = inspect(b"a,b\n1,2\n", &options).unwrap_err();
        assert!(matches!(error, IngestError::NotOfFormat { .. }), "{error}");
    }
    let types = ("[Content_Types].xml", &b"<Types/>"[..]);
    for (files, what) in [
        (vec![types, ("xl/workbook.bin", b"")], "a binary Excel workbook"),
        (vec![types, ("word/document.xml", b"")], "a Word document"),
        (vec![types, ("ppt/presentation.xml", b"")], "an Office document"),
        (
            vec![("mimetype", b"application/vnd.oasis.opendocument.text")],
            "an OpenDocument document",
        ),
    ] {
        let error = refused(&zip(&files));
        assert!(
            matches!(&error, IngestError::NotText { what: found, .. } if *found == what),
            "{error}"
        );
    }
    let inside = refused(&zip(&[("a.xlsx", &xlsx)]));
    assert!(matches!(inside, IngestError::NotText { .. }), "{inside}");
}

#[test]
fn documents_with_a_password_are_named() {
    let manifest = "<manifest><file-entry><encryption-data/></file-entry></manifest>";
    for files in [
        [("META-INF/manifest.xml", manifest), ("content.xml", "\u{1}\u{2}")],
        [("META-INF/manifest.xml", "<manifest/>"), ("encrypted-package", "x")],
    ] {
        let mut all = vec![("mimetype", &b"application/vnd.oasis.opendocument.spreadsheet"[..])];
        all.extend(files.iter().map(|(name, text)| (*name, text.as_bytes())));
        let error = refused(&zip(&all));
        assert!(error.to_string().contains("password"), "{error}");
        assert_eq!(error.kind(), ErrorKind::Usage);
    }
}

#[test]
fn spreadsheet_that_changes_between_the_passes_is_detected() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let source = Source::at_path(folder.file(&workbook(&[("a", SMALL)], "")));
    let inspection = infer_schema(&source, &named()).unwrap();
    folder.file(&workbook(&[("a", &SMALL.replace("2.5", "3.5"))], ""));
    let result = batches(&source, &inspection).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    assert!(matches!(result, Err(IngestError::Changed { .. })), "{result:?}");
}

#[test]
fn uploaded_spreadsheets_are_read() {
    let rows: String = (2..5000)
        .map(|number| {
            format!(
                "<row r=\"{number}\"><c><v>{number}</v></c><c><v>{}.5</v></c></row>",
                number % 17
            )
        })
        .collect();
    let head = "<row r=\"1\"><c t=\"inlineStr\"><is><t>id</t></is></c><c t=\"inlineStr\"><is><t>x</t></is></c></row>";
    let bytes = workbook(&[("a", &data(&format!("{head}{rows}")))], "");
    let folder = tempfile::tempdir().unwrap();
    let mut upload = Upload::begin(folder.path()).unwrap();
    upload.write(&bytes).unwrap();
    let source = Source::sent("x.xlsx", upload.finish().unwrap());
    let inspection = infer_schema(&source, &TableOptions::default()).unwrap();
    assert_eq!(inspection.fingerprint().blake3, *blake3::hash(&bytes).as_bytes());
    let batches: Result<Vec<_>, _> = batches(&source, &inspection).unwrap().collect();
    assert_eq!(cells(&batches.unwrap()).len(), 4998);
}

#[test]
fn values_of_covered_cells_are_noted() {
    let covered = "<table:covered-table-cell office:value-type=\"float\" office:value=\"2\"/>";
    let spanning =
        "<table:table-cell table:number-columns-spanned=\"2\" office:value-type=\"float\" office:value=\"1\"/>";
    for first in [float("1"), spanning.to_owned()] {
        let bytes = document(&[("a", &(row(&(text("id") + &text("x"))) + &row(&(first + covered))))]);
        let (inspection, _) = import(&bytes, &named()).unwrap();
        assert_eq!(shown(&bytes, &named()), [["1", "2"]]);
        let note = Note::CoveredCells { count: 1 };
        assert!(inspection.notes().contains(&note), "{:?}", inspection.notes());
    }
    let empty = row(&(spanning.to_owned() + "<table:covered-table-cell/>"));
    let bytes = document(&[(
        "a",
        &(row(&(text("id") + &text("x"))) + &empty + &row(&(float("3") + &float("4")))),
    )]);
    let notes = inspect(&bytes, &named()).unwrap().notes().to_vec();
    assert!(
        !notes.iter().any(|note| matches!(note, Note::CoveredCells { .. })),
        "{notes:?}"
    );
}
