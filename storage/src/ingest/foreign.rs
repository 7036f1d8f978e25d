//! Files that are not tables, as they are sent by mistake: what they are, and how to bring in what they contain.
//!
//! They are recognized by their first bytes, before and after decompression and decoding. Key files are among them, so that no line of a
//! key is read as the names of columns.

/// A format that cannot be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Foreign {
    /// What it is, with its article.
    pub(super) what: &'static str,
    /// What to do.
    pub(super) remedy: &'static str,
}

/// What to do about a file of which nothing more exact is known.
const EXPORT: &str = "export it as CSV, as Parquet, or as NDJSON (a JSON object on each line)";
const SHEET: &str = "save each sheet as CSV (UTF-8) in the spreadsheet program";
const DOCUMENT: &str = "a document has no rows: export the table itself as CSV";
const ARROW: &str = "write it as Parquet, such as with `pyarrow.parquet.write_table`";
const R: &str = "write it as CSV in R, with `write.csv(readRDS(\"FILE\"), \"FILE.csv\", row.names = FALSE)`";
const R_SPACE: &str =
    "write each table in it as CSV in R, with `load(\"FILE\")` and `write.csv(TABLE, \"FILE.csv\", row.names = FALSE)`";
const SPSS: &str = "write it as CSV, with `SAVE TRANSLATE /TYPE=CSV` in SPSS or `haven::read_sav` and `write.csv` in R";
const SAS: &str = "write it as CSV, with `PROC EXPORT` in SAS or `haven::read_sas` and `write.csv` in R";
const STATA: &str = "write it as CSV, with `export delimited` in Stata or `haven::read_dta` and `write.csv` in R";
const VCF: &str =
    "write the fields that are needed as a table, such as with `bcftools query -H -f '%CHROM\\t%POS\\t%REF\\t%ALT\\n'`";
const HL7: &str = "a message is not a row: export the fields that are needed as CSV from the interface engine";
const FHIR: &str = "write the fields that are needed as a JSON object on each line, such as with \
                    `jq -c '.entry[].resource | {id, gender, birthDate}' FILE > FILE.ndjson`";
const XML: &str = "export the table itself as CSV";
const KEY: &str = "choose the file with the table";

/// First bytes of files, what these are, and what to do.
const FORMATS: &[(&[u8], &str, &str)] = &[
    (b"\x04\x22\x4d\x18", "an LZ4 file", "unpack it with `unlz4`"),
    (b"\x1f\x9d", "a file of `compress`", "unpack it with `uncompress`"),
    (b"LZIP", "an lzip file", "unpack it with `lzip -d`"),
    (
        b"7z\xbc\xaf\x27\x1c",
        "a 7z archive",
        "unpack it, and import the file in it (CSV, Parquet or NDJSON)",
    ),
    (
        b"Rar!\x1a\x07",
        "a RAR archive",
        "unpack it, and import the file in it (CSV, Parquet or NDJSON)",
    ),
    (
        b"\xd0\xcf\x11\xe0",
        "an Excel workbook of the former format or with a password, or another Office document",
        "save it without a password as an Excel workbook (.xlsx) or as CSV",
    ),
    (b"ARROW1\0\0", "an Arrow file", ARROW),
    (b"FEA1", "a Feather file", ARROW),
    (b"ORC\x08", "an ORC file", EXPORT),
    (b"Obj\x01", "an Avro file", EXPORT),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", EXPORT),
    (b"$FL2@(#)", "an SPSS file", SPSS),
    (b"$FL3@(#)", "an SPSS file", SPSS),
    (
        b"\0\0\0\0\0\0\0\0\0\0\0\0\xc2\xea\x81\x60\xb3\x14\x11\xcf",
        "a SAS data set",
        SAS,
    ),
    (b"HEADER RECORD*******", "a SAS transport file", SAS),
    (b"<stata_dta>", "a Stata data set", STATA),
    (b"X\n\0\0\0\x02", "an R object", R),
    (b"X\n\0\0\0\x03", "an R object", R),
    (b"RDX2\n", "an R workspace", R_SPACE),
    (b"RDX3\n", "an R workspace", R_SPACE),
    (b"##fileformat=VCF", "a VCF file", VCF),
    (b"MSH|", "an HL7 message", HL7),
    (b"FHS|", "a file of HL7 messages", HL7),
    (b"BHS|", "a batch of HL7 messages", HL7),
    (b"%PDF-", "a PDF", DOCUMENT),
    (b"{\\rtf", "an RTF document", DOCUMENT),
    (
        b"SQLite format 3\0",
        "a SQLite database",
        "write each table as CSV, with `sqlite3 -header -csv FILE 'SELECT * FROM TABLE' > TABLE.csv`",
    ),
    (
        b"PGDMP",
        "a PostgreSQL dump",
        "restore it, and write each table as CSV with `\\copy`",
    ),
    (b"\x89PNG\r\n", "an image", DOCUMENT),
    (b"\xff\xd8\xff", "an image", DOCUMENT),
    (b"\x7fELF", "a program", KEY),
    (b"-----BEGIN ", "a key, a certificate or a signed text", KEY),
    (b"ssh-rsa ", "a key", KEY),
    (b"ssh-ed25519 ", "a key", KEY),
    (b"AGE-SECRET-KEY-", "a key", KEY),
    (b"# created: ", "a key", KEY),
    (b"age-encryption.org/", "an encrypted file", "decrypt it first"),
    (b"<!doctype html", "an HTML document", XML),
    (b"<html", "an HTML document", XML),
    (b"<head", "an HTML document", XML),
    (b"<table", "an HTML document", XML),
    (b"<?xml", "an XML document", XML),
    (b"<bundle", "a FHIR bundle in XML", XML),
];

/// How many bytes of a file are compared with what is typical of a format.
const LOOKED_AT: usize = 4096;

/// The format of a file that begins with these bytes, if it is one that cannot be imported.
pub(super) fn recognize(start: &[u8]) -> Option<Foreign> {
    let start = start.get(..LOOKED_AT).unwrap_or(start);
    // Markup is recognized below, in any case and by what it contains.
    let exact = FORMATS.iter().filter(|(magic, ..)| !magic.starts_with(b"<"));
    if let Some((_, what, remedy)) = exact.into_iter().find(|(magic, ..)| start.starts_with(magic)) {
        return Some(Foreign { what, remedy });
    }
    if start.get(128..132) == Some(b"DICM") {
        return Some(Foreign {
            what: "a DICOM file",
            remedy: "write the attributes that are needed as CSV, a row for each image or study",
        });
    }
    if start.get(257..262) == Some(b"ustar") {
        return Some(Foreign {
            what: "a tar archive",
            remedy: "unpack it with `tar -xf`, and import the file in it (CSV, Parquet or NDJSON)",
        });
    }
    markup(start).or_else(|| json(start))
}

/// Markup, after blanks and in any case; a document in XML may be of a kind that has a name.
fn markup(start: &[u8]) -> Option<Foreign> {
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    let lower: Vec<u8> = text.iter().take(LOOKED_AT).map(u8::to_ascii_lowercase).collect();
    let is_markup = |magic: &[u8]| magic.starts_with(b"<") && lower.starts_with(magic);
    let (_, what, remedy) = FORMATS.iter().find(|(magic, ..)| is_markup(magic))?;
    let (what, remedy) = if !lower.starts_with(b"<?xml") {
        (*what, *remedy)
    } else if contains(&lower, b"http://hl7.org/fhir") {
        ("a FHIR resource in XML", XML)
    } else if contains(&lower, b"urn:hl7-org:v3") {
        ("an HL7 document in XML", XML)
    } else if contains(&lower, b"office:spreadsheet") {
        ("an Excel workbook in XML", SHEET)
    } else {
        (*what, *remedy)
    };
    Some(Foreign { what, remedy })
}

/// Bundles of FHIR, which are one object over many lines or on one.
fn json(start: &[u8]) -> Option<Foreign> {
    if !start.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let dense: Vec<u8> = start
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    contains(&dense, b"\"resourceType\":\"Bundle\"").then_some(Foreign {
        what: "a FHIR bundle",
        remedy: FHIR,
    })
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(start: &[u8]) -> Option<&'static str> {
        recognize(start).map(|foreign| foreign.what)
    }

    #[test]
    fn formats_are_recognized_by_their_first_bytes() {
        for (start, expected) in [
            (&b"\n <HTML lang=\"de\">"[..], "an HTML document"),
            (b"\xef\xbb\xbf<!DOCTYPE HTML>", "an HTML document"),
            (
                b"<?xml version=\"1.0\"?><Bundle xmlns=\"http://hl7.org/fhir\">",
                "a FHIR resource in XML",
            ),
            (b"{\n  \"resourceType\" : \"Bundle\",", "a FHIR bundle"),
            (b"MSH|^~\\&|ADT|", "an HL7 message"),
            (b"X\n\0\0\0\x03\0\x04", "an R object"),
        ] {
            assert_eq!(what(start), Some(expected), "{}", String::from_utf8_lossy(start));
        }
        let mut dicom = vec![0; 128];
        dicom.extend_from_slice(b"DICM");
        assert_eq!(what(&dicom), Some("a DICOM file"));
    }

    #[test]
    fn tables_are_not_taken_for_anything_else() {
        for start in [
            &b"id,age\n1,50\n"[..],
            b"MSH,PID\n1,2\n",
            b"{\"resourceType\":\"Patient\",\"id\":\"1\"}\n",
            b"<0.1,5\n",
            b"Xylose,Y\n",
            b"",
        ] {
            assert_eq!(what(start), None, "{}", String::from_utf8_lossy(start));
        }
    }
}
