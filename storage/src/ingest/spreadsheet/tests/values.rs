//! Values of cells.

use concordat_protocol::schema::ColumnKind;

use super::*;
use crate::ingest::{DecimalSign, Format, Note, SubjectRule, ThousandsSign};

#[test]
fn cells_of_a_workbook_are_read_as_they_are_shown() {
    let head = |names: &[&str]| -> String {
        let cell = |name: &&str| format!("<c t=\"inlineStr\"><is><t>{name}</t></is></c>");
        format!("<row>{}</row>", names.iter().map(cell).collect::<String>())
    };
    let rows = head(&["n", "f", "d", "t", "b", "s", "r", "clock", "hours"])
        + "<row r=\"2\"><c r=\"A2\"><v>1</v></c><c r=\"B2\"><v>0.1</v></c><c r=\"C2\" s=\"1\"><v>43831</v></c>\
           <c r=\"D2\" s=\"2\"><v>43831.5</v></c><c r=\"E2\" t=\"b\"><v>1</v></c><c r=\"F2\" t=\"s\"><v>0</v></c>\
           <c r=\"G2\" t=\"str\"><f>A2</f><v>a &amp; b</v></c><c r=\"H2\" s=\"3\"><v>0.75</v></c><c r=\"I2\" s=\"4\"><v>1.25</v></c></row>\
           <row r=\"3\"><c r=\"A3\"><v>20</v></c><c r=\"B3\"><v>1.5E-3</v></c><c r=\"C3\" t=\"d\"><v>2021-02-03</v></c>\
           <c r=\"D3\" s=\"2\"><v>43832</v></c><c r=\"E3\" t=\"b\"><v>0</v></c><c r=\"F3\" t=\"s\"><v>1</v></c>\
           <c r=\"G3\" t=\"e\"><v>#N/A</v></c><c r=\"I3\" s=\"4\"><v>0.5</v></c></row>";
    let strings =
        "<si><t>007</t></si><si><r><t>gr</t></r><r><t xml:space=\"preserve\">öße </t></r><rPh><t>x</t></rPh></si>";
    let bytes = workbook(&[("Data", &data(&rows))], strings);
    let (inspection, _) = import(&bytes, &TableOptions::default()).unwrap();
    use ColumnKind::{Boolean, Date, Float, Int, Text, Timestamp};
    assert_eq!(inspection.format(), Format::Xlsx);
    assert_eq!(inspection.sheet(), Some("Data"));
    assert_eq!(
        kinds(&inspection),
        [Int, Float, Date, Timestamp, Boolean, Text, Text, Text, Text]
    );
    assert_eq!(
        shown(&bytes, &TableOptions::default()),
        [
            [
                "1",
                "0.1",
                "2020-01-01",
                "2020-01-01T12:00:00",
                "true",
                "007",
                "a & b",
                "18:00:00",
                "30:00:00"
            ],
            [
                "20",
                "0.0015",
                "2021-02-03",
                "2020-01-02T00:00:00",
                "false",
                "größe ",
                "-",
                "-",
                "12:00:00"
            ],
        ]
    );
    let errors = Note::ErrorCells {
        column: "r".to_owned(),
        count: 1,
    };
    assert!(inspection.notes().contains(&errors), "{:?}", inspection.notes());
}

#[test]
fn days_are_counted_from_the_epoch_of_the_workbook() {
    let rows = "<row><c t=\"inlineStr\"><is><t>day</t></is></c><c t=\"inlineStr\"><is><t>n</t></is></c></row>\
                <row><c s=\"1\"><v>42369</v></c><c><v>1</v></c></row>";
    let strings = format!("<sst {SPACE}/>");
    let bytes = workbook_with(&[("a", &data(rows))], &strings, "<workbookPr date1904=\"1\"/>");
    assert_eq!(shown(&bytes, &named())[0][0], "2020-01-01");
    let bytes = workbook_with(&[("a", &data(rows))], &strings, "<workbookPr/>");
    assert_eq!(shown(&bytes, &named())[0][0], "2015-12-31");
}

#[test]
fn cells_of_a_document_are_read_as_they_are_shown() {
    let rows = [
        row(&["n", "f", "d", "t", "b", "s", "r", "hours"].map(text).concat()),
        row(&(float("1")
            + &float("0.10")
            + "<table:table-cell office:value-type=\"date\" office:date-value=\"2020-01-01\"/>\
               <table:table-cell office:value-type=\"date\" office:date-value=\"2020-01-01T12:00:00\"/>\
               <table:table-cell office:value-type=\"boolean\" office:boolean-value=\"true\"/>"
            + "<table:table-cell office:value-type=\"string\"><office:annotation><text:p>note</text:p></office:annotation>\
               <draw:frame><text:p>image</text:p></draw:frame><text:p>a<text:s text:c=\"2\"/>b &lt;<text:tab/></text:p><text:p>c</text:p>\
               </table:table-cell>"
            + &text("ok")
            + "<table:table-cell office:value-type=\"time\" office:time-value=\"PT30H00M00S\"/>")),
        row(&(float("20")
            + "<table:table-cell office:value-type=\"percentage\" office:value=\"0.5\"/><table:table-cell/><table:table-cell/>\
               <table:table-cell office:value-type=\"boolean\" office:boolean-value=\"FALSE\"/>"
            + &text("007")
            + "<table:table-cell table:formula=\"of:=1/0\" office:value-type=\"string\" office:string-value=\"\" \
               calcext:value-type=\"error\"><text:p>#DIV/0!</text:p></table:table-cell>")),
    ];
    let bytes = document(&[("Sheet1", &rows.concat())]);
    let (inspection, _) = import(&bytes, &TableOptions::default()).unwrap();
    assert_eq!((inspection.format(), inspection.sheet()), (Format::Ods, Some("Sheet1")));
    assert_eq!(
        shown(&bytes, &TableOptions::default()),
        [
            [
                "1",
                "0.1",
                "2020-01-01",
                "2020-01-01T12:00:00",
                "true",
                "a  b <\t\nc",
                "ok",
                "30:00:00"
            ],
            ["20", "0.5", "-", "-", "false", "007", "-", "-"],
        ]
    );
    let errors = Note::ErrorCells {
        column: "r".to_owned(),
        count: 1,
    };
    assert!(inspection.notes().contains(&errors), "{:?}", inspection.notes());
}

#[test]
fn repeated_cells_and_rows_of_a_document_are_repeated() {
    let rows = [
        row(&(text("a") + &text("b") + &text("c"))),
        "<table:table-row table:number-rows-repeated=\"3\"><table:table-cell table:number-columns-repeated=\"2\" \
         office:value-type=\"float\" office:value=\"7\"/><table:table-cell/></table:table-row>"
            .to_owned(),
        "<table:table-row table:number-rows-repeated=\"5\"><table:table-cell table:number-columns-repeated=\"16384\"/></table:table-row>"
            .to_owned(),
        row(&("<table:table-cell table:number-columns-repeated=\"2\"/>".to_owned() + &float("8"))),
        "<table:table-row table:number-rows-repeated=\"1048566\"><table:table-cell table:number-columns-repeated=\"16384\"/>\
         </table:table-row>"
            .to_owned(),
    ];
    let bytes = document(&[("a", &rows.concat())]);
    assert_eq!(
        shown(&bytes, &named()),
        [["7", "7", "-"], ["7", "7", "-"], ["7", "7", "-"], ["-", "-", "8"]]
    );
    let (inspection, _) = import(&bytes, &named()).unwrap();
    assert!(
        inspection.notes().contains(&Note::BlankLines { count: 5 }),
        "{:?}",
        inspection.notes()
    );
}

fn kinds(inspection: &Inspection) -> Vec<ColumnKind> {
    inspection.columns().iter().map(|column| column.kind).collect()
}

/// The options with German signs for text.
fn german() -> TableOptions {
    let mut options = named();
    options.notation.decimal = DecimalSign::Comma;
    options.notation.thousands = Some(ThousandsSign::Point);
    options.notation.dates = vec!["%Y-%d-%m".parse().unwrap()];
    options
}

#[test]
fn stated_signs_and_forms_are_for_cells_of_text() {
    let head = "<row><c t=\"inlineStr\"><is><t>inr</t></is></c><c t=\"inlineStr\"><is><t>d</t></is></c></row>";
    let rows = "<row><c><v>2.235</v></c><c s=\"1\"><v>43832</v></c></row>\
                <row><c t=\"inlineStr\"><is><t>1.234,50</t></is></c><c t=\"inlineStr\"><is><t>2020-02-01</t></is></c></row>";
    let xlsx = workbook(&[("a", &data(&format!("{head}{rows}")))], "");
    let ods_rows = [
        row(&(text("inr") + &text("d"))),
        row(&(float("2.235") + "<table:table-cell office:value-type=\"date\" office:date-value=\"2020-01-02\"/>")),
        row(&(text("1.234,50") + &text("2020-02-01"))),
    ];
    let ods = document(&[("a", &ods_rows.concat())]);
    for bytes in [xlsx, ods] {
        assert_eq!(
            shown(&bytes, &german()),
            [["2.235", "2020-01-02"], ["1234.5", "2020-01-02"]]
        );
    }
}

#[test]
fn zeros_that_a_cell_shows_before_a_number_are_kept() {
    let styles = STYLES.replace("</cellXfs>", "<xf numFmtId=\"165\"/></cellXfs>");
    let styles = styles.replace(
        "</numFmts>",
        "<numFmt numFmtId=\"165\" formatCode=\"0000000\"/></numFmts>",
    );
    let head = "<row><c t=\"inlineStr\"><is><t>Pat Nr</t></is></c><c t=\"inlineStr\"><is><t>n</t></is></c></row>";
    let rows =
        "<row><c s=\"5\"><v>11</v></c><c><v>11</v></c></row><row><c s=\"5\"><v>1234567</v></c><c><v>12</v></c></row>";
    let strings = format!("<sst {SPACE}/>");
    let xlsx = workbook_styled(&[("a", &data(&format!("{head}{rows}")))], &strings, "", &styles);
    let padded = |shown: &str, value: &str| {
        format!(
            "<table:table-cell office:value-type=\"float\" office:value=\"{value}\"><text:p>{shown}</text:p></table:table-cell>"
        )
    };
    let ods_rows = [
        row(&(text("Pat Nr") + &text("n"))),
        row(&(padded("0000011", "11") + &padded("11", "11"))),
        row(&(padded("1234567", "1234567") + &padded("12.00", "12"))),
    ];
    let ods = document(&[("a", &ods_rows.concat())]);
    for bytes in [xlsx, ods] {
        assert_eq!(shown(&bytes, &named()), [["0000011", "11"], ["1234567", "12"]]);
        let note = Note::ShownZeros {
            column: "pat_nr".to_owned(),
        };
        let (inspection, _) = import(&bytes, &named()).unwrap();
        assert!(inspection.notes().contains(&note), "{:?}", inspection.notes());
    }
}

/// The same column in a workbook and in a document.
fn in_both(values: &[&str]) -> [Vec<u8>; 2] {
    let head = "<row><c t=\"inlineStr\"><is><t>id</t></is></c><c t=\"inlineStr\"><is><t>x</t></is></c></row>";
    let cells: String = values
        .iter()
        .map(|value| format!("<row><c><v>{value}</v></c><c><v>1</v></c></row>"))
        .collect();
    let rows: String = values.iter().map(|value| row(&(float(value) + &float("1")))).collect();
    [
        workbook(&[("a", &data(&format!("{head}{cells}")))], ""),
        document(&[("a", &(row(&(text("id") + &text("x"))) + &rows))]),
    ]
}

#[test]
fn whole_numbers_of_cells_keep_their_digits() {
    use ColumnKind::{Float, Int, Text};
    for (values, kind, expected) in [
        (
            ["9007199254740992", "9007199254740993"],
            Int,
            ["9007199254740992", "9007199254740993"],
        ),
        (["-9007199254740993", "7"], Int, ["-9007199254740993", "7"]),
        (
            ["9007199254740992.0", "9007199254740993.0"],
            Text,
            ["9007199254740992.0", "9007199254740993.0"],
        ),
        (["12345678901234567891", "1"], Text, ["12345678901234567891", "1"]),
        (["0.30000000000000004", "0.5"], Float, ["0.30000000000000004", "0.5"]),
        (["0.10000000000000000555", "2"], Float, ["0.1", "2.0"]),
    ] {
        for bytes in in_both(&values) {
            let (inspection, _) = import(&bytes, &named()).unwrap();
            assert_eq!(inspection.columns()[0].kind, kind, "{values:?}");
            let ids: Vec<String> = shown(&bytes, &named()).into_iter().map(|row| row[0].clone()).collect();
            assert_eq!(ids, expected);
            let is_noted = inspection
                .notes()
                .iter()
                .any(|note| matches!(note, Note::InexactNumbers { .. } | Note::BecameText { .. }));
            assert_eq!(
                is_noted,
                kind == Text && values[0].contains('.'),
                "{:?}",
                inspection.notes()
            );
        }
    }
}

#[test]
fn people_in_cells_with_rounded_numbers_need_attention() {
    let options = TableOptions {
        subject: SubjectRule::Column("id".to_owned()),
        ..named()
    };
    for (value, expected) in [
        ("1.2345678901234567E+19", true),
        ("9007199254740993", false),
        ("12.5", false),
    ] {
        for bytes in in_both(&[value]) {
            let inspection = inspect(&bytes, &options).unwrap();
            let is_noted = inspection
                .notes()
                .iter()
                .any(|note| matches!(note, Note::RoundedSubjects { .. }));
            assert_eq!(is_noted, expected, "{value}");
        }
    }
}
