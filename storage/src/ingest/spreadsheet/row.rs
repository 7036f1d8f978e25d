//! A row of a sheet, and what reads rows.

use super::damage::Damage;
use crate::ingest::{
    compression::Allowance,
    limits::{MAX_FIELD_BYTES, MAX_RECORD_BYTES},
    parse_field::trim,
    rejects::Reason,
};

/// Most rows of a sheet in any program.
pub(super) const MAX_ROWS: u32 = 1_048_576;
/// Most columns of a sheet in any program.
pub(super) const MAX_COLUMNS: u32 = 16_384;

/// What a cell contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text.
    Text,
    /// A number, a time or a truth value.
    Value,
    /// A whole number that its cell shows with zeros before it, and its text is what is shown.
    Code,
    /// An error, such as of a formula that divides by zero; it has no text.
    Error,
}

/// A row with at least one cell.
#[derive(Debug, Default)]
pub(super) struct SheetRow {
    /// Its number, counted from 1, as the spreadsheet program shows it.
    number: u32,
    text: String,
    cells: Vec<Cell>,
    /// The number of the column, counted from 0, of a value that is longer than a field may be.
    too_long: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    column: u32,
    end: usize,
    kind: Kind,
}

impl SheetRow {
    /// Begins a row.
    pub(super) fn begin(&mut self, number: u32) {
        self.number = number;
        self.text.clear();
        self.cells.clear();
        self.too_long = None;
    }

    /// The same row once more, below.
    pub(super) fn repeat(&mut self) {
        self.number += 1;
    }

    /// Adds a cell to the right of all others; columns are counted from 0.
    pub(super) fn push(&mut self, column: u32, kind: Kind, text: &str) -> Result<(), Damage> {
        if column >= MAX_COLUMNS || self.cells.last().is_some_and(|last| last.column >= column) {
            return Err(Damage::UNORDERED);
        }
        if text.len() > MAX_FIELD_BYTES {
            self.too_long.get_or_insert(column);
        } else if self.text.len() <= MAX_RECORD_BYTES {
            self.text.push_str(text);
        }
        self.cells.push(Cell {
            column,
            end: self.text.len(),
            kind,
        });
        Ok(())
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The cells: the column, what it contains, and its text.
    pub(super) fn cells(&self) -> impl Iterator<Item = (u32, Kind, &str)> {
        let starts = std::iter::once(0).chain(self.cells.iter().map(|cell| cell.end));
        starts.zip(&self.cells).map(|(start, cell)| {
            let text = self.text.get(start..cell.end).unwrap_or_default();
            (cell.column, cell.kind, text)
        })
    }

    /// Whether a cell has more than blanks in it.
    pub(super) fn has_values(&self) -> bool {
        self.cells().any(|(_, kind, text)| is_value(kind, text))
    }

    /// Why the row cannot be imported, if it cannot; `first` is the first column of the table.
    pub(super) fn refused(&self, first: u32) -> Option<Reason> {
        if let Some(column) = self.too_long {
            let field = column.saturating_sub(first) as usize + 1;
            return Some(Reason::FieldTooLong { field });
        }
        if self.text.len() > MAX_RECORD_BYTES {
            return Some(Reason::RowTooLong);
        }
        self.text.contains('\0').then_some(Reason::ZeroByte)
    }
}

/// Whether a cell makes the table as large as to contain it.
pub(super) fn is_value(kind: Kind, text: &str) -> bool {
    kind == Kind::Error || !trim(text).is_empty()
}

/// What a sheet has besides the values of its cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Hidden rows with cells.
    pub(super) hidden_rows: u64,
    /// Hidden columns.
    pub(super) hidden_columns: u64,
    /// Areas of several cells that are shown as one.
    pub(super) merged: u64,
    /// Cells with a value that others cover, whether one of these states that or not.
    pub(super) covered: u64,
    /// Formulas of which no result is stored.
    pub(super) without_result: u64,
}

/// A reader of the rows of a sheet.
pub(super) trait Rows: Send {
    /// Reads the next row with at least one cell, below the one before; `false` at the end.
    fn advance(&mut self) -> Result<bool, Damage>;

    /// The row that was read last.
    fn row(&self) -> &SheetRow;

    /// What was seen so far.
    fn seen(&self) -> Seen;
}

/// The rows of a sheet below those that are to be left out, as many as the size of the file allows.
pub(super) struct Sheet {
    rows: Box<dyn Rows>,
    allowance: Allowance,
    packed: u64,
    left_out: u64,
}

impl Sheet {
    /// The rows of a file of `packed` bytes, below row `left_out`.
    pub(super) fn new(rows: Box<dyn Rows>, packed: u64, left_out: u64) -> Self {
        Self {
            rows,
            allowance: Allowance::default(),
            packed,
            left_out,
        }
    }

    /// Reads the next row that has more than blanks in it; `false` at the end.
    pub(super) fn advance(&mut self) -> Result<bool, Damage> {
        while self.rows.advance()? {
            let row = self.rows.row();
            let bytes = row.text.len() as u64 + row.cells.len() as u64;
            self.allowance.spend(bytes, self.packed)?;
            if u64::from(row.number) > self.left_out && row.has_values() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The row that was read last.
    pub(super) fn row(&self) -> &SheetRow {
        self.rows.row()
    }

    pub(super) fn seen(&self) -> Seen {
        self.rows.seen()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_out_of_order_are_damage() {
        let mut row = SheetRow::default();
        row.begin(1);
        row.push(1, Kind::Text, "a").unwrap();
        for column in [0, 1, MAX_COLUMNS] {
            assert!(row.push(column, Kind::Text, "b").is_err(), "{column}");
        }
        row.push(MAX_COLUMNS - 1, Kind::Value, "1").unwrap();
        let cells: Vec<_> = row.cells().collect();
        assert_eq!(cells, [(1, Kind::Text, "a"), (MAX_COLUMNS - 1, Kind::Value, "1")]);
    }

    #[test]
    fn values_and_rows_over_their_limit_are_refused() {
        let mut row = SheetRow::default();
        row.begin(1);
        row.push(3, Kind::Text, &"x".repeat(MAX_FIELD_BYTES + 1)).unwrap();
        assert_eq!(row.refused(2), Some(Reason::FieldTooLong { field: 2 }));
        row.begin(2);
        for column in 0..18 {
            row.push(column, Kind::Text, &"x".repeat(MAX_FIELD_BYTES)).unwrap();
        }
        assert_eq!(row.refused(0), Some(Reason::RowTooLong));
        assert!(row.text.len() <= MAX_RECORD_BYTES + MAX_FIELD_BYTES);
        row.begin(3);
        row.push(0, Kind::Text, "a\0b").unwrap();
        assert_eq!(row.refused(0), Some(Reason::ZeroByte));
        row.begin(4);
        row.push(0, Kind::Text, " ").unwrap();
        assert!(row.refused(0).is_none() && !row.has_values());
    }
}
