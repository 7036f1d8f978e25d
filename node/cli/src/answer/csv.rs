//! Rows as CSV (RFC 4180).
//!
//! A missing value is an empty field, and an empty text is `""`. In a table of one column a missing value is `""` too: an empty field would
//! be an empty line there, which most programs skip, and the row would be lost.

use crate::text::{for_spreadsheet, for_terminal};

/// What a reader of a one-column table has to know if it has both.
const BOTH: &str = "a missing value and an empty text are both `\"\"` in CSV of one column; select a second column, or use JSON, .ndjson, \
                    .arrow or .parquet, to distinguish them";

/// How cells are escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cells {
    /// Not at all.
    Raw,
    /// Characters that control a terminal are replaced.
    ForTerminal,
    /// Formulas and deceptive characters are made harmless (`--spreadsheet-safe`).
    ForSpreadsheet,
}

/// Makes lines of CSV.
#[derive(Debug)]
pub(super) struct Csv {
    cells: Cells,
    /// What the rows of a one-column table had so far.
    has_missing: bool,
    has_empty: bool,
}

impl Csv {
    pub(super) fn new(cells: Cells) -> Self {
        Self {
            cells,
            has_missing: false,
            has_empty: false,
        }
    }

    /// The line with the names of the columns.
    pub(super) fn header(&self, names: &[String]) -> String {
        self.line(names.iter().map(|name| self.field(name)))
    }

    /// The line of a row; `None` is a missing value.
    pub(super) fn row(&mut self, cells: &[Option<String>]) -> String {
        if let [only] = cells {
            self.has_missing |= only.is_none();
            self.has_empty |= only.as_deref() == Some("");
            return self.line([self.field(only.as_deref().unwrap_or_default())].into_iter());
        }
        let field = |cell: &Option<String>| cell.as_deref().map(|cell| self.field(cell)).unwrap_or_default();
        self.line(cells.iter().map(field))
    }

    /// What its reader has to know.
    pub(super) fn note(&self) -> Option<&'static str> {
        (self.has_missing && self.has_empty).then_some(BOTH)
    }

    fn line(&self, fields: impl Iterator<Item = String>) -> String {
        let mut line = fields.collect::<Vec<_>>().join(",");
        line.push('\n');
        line
    }

    /// A value, quoted where that is necessary.
    fn field(&self, cell: &str) -> String {
        let cell = match self.cells {
            Cells::Raw => cell.into(),
            Cells::ForTerminal => for_terminal(cell),
            Cells::ForSpreadsheet => for_spreadsheet(cell),
        };
        if cell.is_empty() || cell.contains(['"', ',', '\n', '\r']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell.into_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(csv: &mut Csv, cells: &[Option<&str>]) -> String {
        let cells: Vec<_> = cells.iter().map(|cell| cell.map(str::to_owned)).collect();
        csv.row(&cells)
    }

    #[test]
    fn csv_of_several_columns_distinguishes_missing_from_empty() {
        let mut csv = Csv::new(Cells::Raw);
        assert_eq!(
            row(&mut csv, &[Some("a,\"b\""), None, Some("")]),
            "\"a,\"\"b\"\"\",,\"\"\n"
        );
        assert_eq!(row(&mut csv, &[None, None]), ",\n");
        assert_eq!(csv.header(&["a b".to_owned(), "c\nd".to_owned()]), "a b,\"c\nd\"\n");
        assert_eq!(csv.note(), None);
    }

    #[test]
    fn csv_of_one_column_has_no_empty_line() {
        let mut csv = Csv::new(Cells::Raw);
        assert_eq!(row(&mut csv, &[Some("1")]), "1\n");
        assert_eq!(row(&mut csv, &[None]), "\"\"\n");
        assert_eq!(csv.note(), None);
        assert_eq!(row(&mut csv, &[Some("")]), "\"\"\n");
        assert_eq!(csv.note(), Some(BOTH));
    }
}
