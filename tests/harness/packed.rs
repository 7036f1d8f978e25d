//! Zip files and workbooks as people send them.

use flate2::Crc;

/// A zip file in which nothing is compressed.
pub fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for (name, contents) in files {
        let start = short(bytes.len());
        let mut checksum = Crc::new();
        checksum.update(contents);
        let mut fields = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        fields.extend_from_slice(&checksum.sum().to_le_bytes());
        fields.extend_from_slice(&short(contents.len()));
        fields.extend_from_slice(&short(contents.len()));
        fields.extend_from_slice(&short(name.len())[..2]);
        fields.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(b"PK\x03\x04");
        bytes.extend_from_slice(&fields);
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(contents);
        directory.extend_from_slice(b"PK\x01\x02\x14\0");
        directory.extend_from_slice(&fields);
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&start);
        directory.extend_from_slice(name.as_bytes());
    }
    let (start, size) = (short(bytes.len()), short(directory.len()));
    let count = &short(files.len())[..2];
    bytes.extend_from_slice(&directory);
    bytes.extend_from_slice(&[b"PK\x05\x06\0\0\0\0", count, count, &size, &start, &[0, 0]].concat());
    bytes
}

/// An Excel workbook: the name and the rows of each sheet. A cell that is a number is stored as one.
pub fn workbook(sheets: &[(&str, &[&[&str]])]) -> Vec<u8> {
    const RELATIONS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let relation = |id: &str, kind: &str, target: &str| {
        format!("<Relationship Id=\"{id}\" Type=\"{RELATIONS}/{kind}\" Target=\"{target}\"/>")
    };
    let mut listed = String::new();
    let mut related = String::new();
    let mut files = vec![
        ("[Content_Types].xml".to_owned(), "<Types/>".to_owned()),
        (
            "_rels/.rels".to_owned(),
            format!(
                "<Relationships>{}</Relationships>",
                relation("a", "officeDocument", "xl/workbook.xml")
            ),
        ),
    ];
    for (number, (name, rows)) in sheets.iter().enumerate() {
        listed.push_str(&format!(
            "<sheet name=\"{name}\" sheetId=\"{number}\" r:id=\"r{number}\"/>"
        ));
        related.push_str(&relation(
            &format!("r{number}"),
            "worksheet",
            &format!("sheet{number}.xml"),
        ));
        let rows: String = rows.iter().map(|cells| row(cells)).collect();
        let sheet = format!("<worksheet><sheetData>{rows}</sheetData></worksheet>");
        files.push((format!("xl/sheet{number}.xml"), sheet));
    }
    files.push((
        "xl/workbook.xml".to_owned(),
        format!("<workbook><sheets>{listed}</sheets></workbook>"),
    ));
    files.push((
        "xl/_rels/workbook.xml.rels".to_owned(),
        format!("<Relationships>{related}</Relationships>"),
    ));
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_bytes()))
        .collect();
    zip(&files)
}

fn row(cells: &[&str]) -> String {
    let cell = |cell: &&str| match cell.parse::<f64>() {
        Ok(_) => format!("<c><v>{cell}</v></c>"),
        Err(_) => format!("<c t=\"inlineStr\"><is><t>{cell}</t></is></c>"),
    };
    format!("<row>{}</row>", cells.iter().map(cell).collect::<String>())
}

/// A length in four bytes.
fn short(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("a small file").to_le_bytes()
}
