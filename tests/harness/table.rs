//! A reader of simple tables, independent of the product's importer so that the two can be compared.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A table of text: names and rows of the same width.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Names of the columns.
    pub header: Vec<String>,
    /// The cells; a row is as wide as the header.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// Reads a file of comma-separated values, also one compressed with gzip.
    pub fn read(path: &Path) -> Self {
        let mut file = File::open(path).expect("the table opens");
        let mut text = String::new();
        if path.extension().is_some_and(|extension| extension == "gz") {
            flate2::read::MultiGzDecoder::new(file)
                .read_to_string(&mut text)
                .expect("the table unpacks");
        } else {
            file.read_to_string(&mut text).expect("the table is text");
        }
        Self::parse(&text)
    }

    /// Reads text; quotes as in RFC 4180, no line ends inside quotes.
    pub fn parse(text: &str) -> Self {
        let text = text.trim_start_matches('\u{feff}');
        let mut lines = text.lines().filter(|line| !line.is_empty()).map(cells);
        let header = lines.next().expect("a header");
        let rows: Vec<_> = lines.collect();
        assert!(rows.iter().all(|row| row.len() == header.len()), "a ragged row");
        Self { header, rows }
    }

    /// The position of the column `name`.
    pub fn position(&self, name: &str) -> usize {
        let found = self.header.iter().position(|column| column == name);
        found.unwrap_or_else(|| panic!("there is no column `{name}` in {:?}", self.header))
    }

    /// The cells of one column, top down.
    pub fn column(&self, name: &str) -> Vec<&str> {
        let at = self.position(name);
        self.rows.iter().map(|row| row[at].as_str()).collect()
    }
}

fn cells(line: &str) -> Vec<String> {
    let mut cells = Vec::new();
    let mut cell = String::new();
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell)),
            _ => cell.push(char),
        }
    }
    cells.push(cell);
    cells
}
