//! Spreadsheets as programs write them, and as none should.

use std::{fs, path::PathBuf};

use arrow::array::RecordBatch;
use tempfile::TempDir;

use crate::ingest::{
    Header, IngestError, Inspection, Source, TableOptions, batches, compression::archive::tests::zip, infer_schema,
    tests::cells,
};

mod crafted;
mod sheets;
mod values;

const SPACE: &str = r#"xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main""#;
const RELATIONS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const PACKAGE: &str = r#"xmlns="http://schemas.openxmlformats.org/package/2006/relationships""#;

/// Styles: 0 is a number, 1 a date, 2 a date-time, 3 a time of day, 4 hours.
const STYLES: &str = "<numFmts><numFmt numFmtId=\"164\" formatCode=\"yyyy\\-mm\\-dd hh:mm\"/></numFmts>\
    <cellStyleXfs><xf numFmtId=\"14\"/></cellStyleXfs>\
    <cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/><xf numFmtId=\"164\"/><xf numFmtId=\"20\"/><xf numFmtId=\"46\"/></cellXfs>";

/// A workbook with these sheets, each with its name and what is in its root element, and these shared strings.
fn workbook(sheets: &[(&str, &str)], strings: &str) -> Vec<u8> {
    workbook_with(sheets, &format!("<sst {SPACE}>{strings}</sst>"), "")
}

fn workbook_with(sheets: &[(&str, &str)], strings: &str, settings: &str) -> Vec<u8> {
    workbook_styled(sheets, strings, settings, STYLES)
}

fn workbook_styled(sheets: &[(&str, &str)], strings: &str, settings: &str, styles: &str) -> Vec<u8> {
    let mut listed = String::new();
    let mut related = format!(
        "<Relationship Id=\"s\" Type=\"{RELATIONS}/sharedStrings\" Target=\"sharedStrings.xml\"/>\
         <Relationship Id=\"t\" Type=\"{RELATIONS}/styles\" Target=\"/xl/styles.xml\"/>"
    );
    let mut files: Vec<(String, String)> = Vec::new();
    for (number, (name, contents)) in sheets.iter().enumerate() {
        listed.push_str(&format!(
            "<sheet name=\"{name}\" sheetId=\"{number}\" r:id=\"r{number}\"/>"
        ));
        related.push_str(&format!(
            "<Relationship Id=\"r{number}\" Type=\"{RELATIONS}/worksheet\" Target=\"worksheets/{number}.xml\"/>"
        ));
        files.push((
            format!("xl/worksheets/{number}.xml"),
            format!("<worksheet {SPACE}>{contents}</worksheet>"),
        ));
    }
    let main = format!("<workbook {SPACE} xmlns:r=\"{RELATIONS}\">{settings}<sheets>{listed}</sheets></workbook>");
    let root = format!("<Relationship Id=\"a\" Type=\"{RELATIONS}/officeDocument\" Target=\"xl/workbook.xml\"/>");
    files.extend([
        ("[Content_Types].xml".to_owned(), "<Types/>".to_owned()),
        (
            "_rels/.rels".to_owned(),
            format!("<Relationships {PACKAGE}>{root}</Relationships>"),
        ),
        ("xl/workbook.xml".to_owned(), main),
        (
            "xl/_rels/workbook.xml.rels".to_owned(),
            format!("<Relationships {PACKAGE}>{related}</Relationships>"),
        ),
        (
            "xl/styles.xml".to_owned(),
            format!("<styleSheet {SPACE}>{styles}</styleSheet>"),
        ),
        ("xl/sharedStrings.xml".to_owned(), strings.to_owned()),
    ]);
    packed(&files)
}

fn packed(files: &[(String, String)]) -> Vec<u8> {
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_bytes()))
        .collect();
    zip(&files)
}

/// A document with these sheets, each with its name and its rows.
fn document(sheets: &[(&str, &str)]) -> Vec<u8> {
    let tables: String = sheets
        .iter()
        .map(|(name, rows)| format!("<table:table table:name=\"{name}\">{rows}</table:table>"))
        .collect();
    let content = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><office:document-content xmlns:office=\"o\" xmlns:table=\"t\" xmlns:text=\"x\" \
         xmlns:calcext=\"c\" xmlns:draw=\"d\"><office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body>\
         </office:document-content>"
    );
    packed(&[
        (
            "mimetype".to_owned(),
            "application/vnd.oasis.opendocument.spreadsheet".to_owned(),
        ),
        ("content.xml".to_owned(), content),
    ])
}

/// The rows of a sheet of a workbook.
fn data(rows: &str) -> String {
    format!("<sheetData>{rows}</sheetData>")
}

fn row(cells: &str) -> String {
    format!("<table:table-row>{cells}</table:table-row>")
}

fn text(value: &str) -> String {
    format!("<table:table-cell office:value-type=\"string\"><text:p>{value}</text:p></table:table-cell>")
}

fn float(value: &str) -> String {
    format!("<table:table-cell office:value-type=\"float\" office:value=\"{value}\"/>")
}

/// A sheet with a header and one row, in a workbook.
const SMALL: &str = "<sheetData><row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>id</t></is></c><c r=\"B1\" t=\"inlineStr\"><is><t>x</t></is></c>\
    </row><row r=\"2\"><c r=\"A2\"><v>1</v></c><c r=\"B2\"><v>2.5</v></c></row></sheetData>";

struct Folder(TempDir);

impl Folder {
    fn file(&self, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join("x.xlsx");
        fs::write(&path, bytes).unwrap();
        path
    }
}

fn inspect(bytes: &[u8], options: &TableOptions) -> Result<Inspection, IngestError> {
    let folder = Folder(tempfile::tempdir().unwrap());
    infer_schema(&Source::at_path(folder.file(bytes)), options)
}

fn import(bytes: &[u8], options: &TableOptions) -> Result<(Inspection, Vec<RecordBatch>), IngestError> {
    let folder = Folder(tempfile::tempdir().unwrap());
    let source = Source::at_path(folder.file(bytes));
    let inspection = infer_schema(&source, options)?;
    let batches = batches(&source, &inspection)?.collect::<Result<Vec<_>, _>>()?;
    Ok((inspection, batches))
}

fn named() -> TableOptions {
    TableOptions {
        header: Header::Present,
        ..TableOptions::default()
    }
}

/// The rows as text, a missing value as a dash.
fn shown(bytes: &[u8], options: &TableOptions) -> Vec<Vec<String>> {
    let (_, batches) = import(bytes, options).unwrap();
    let shown = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
    cells(&batches)
        .into_iter()
        .map(|row| row.into_iter().map(shown).collect())
        .collect()
}

fn refused(bytes: &[u8]) -> IngestError {
    match import(bytes, &named()) {
        Ok((inspection, _)) => panic!("{} rows were read", inspection.rows()),
        Err(error) => error,
    }
}
