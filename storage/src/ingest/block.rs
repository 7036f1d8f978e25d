//! Blocks of rows of equal width, read by column.

use super::{rejects::Reject, row::Row, values::trim};

/// Maximum rows in a block.
pub(super) const BLOCK_ROWS: usize = 8192;
/// A block ends early once its rows contain this many bytes of text, which bounds its memory for any rows.
pub(super) const BLOCK_BYTES: usize = 4 * 1024 * 1024;

/// Consecutive rows of a file, all of the same width, and the rows that were refused between them.
#[derive(Debug, Default)]
pub(super) struct Block {
    text: String,
    ends: Vec<u32>,
    lines: Vec<u64>,
    width: usize,
    /// Rows that were left out because no field has a value.
    pub(super) without_values: u64,
    pub(super) rejects: Vec<Reject>,
}

impl Block {
    pub(super) fn new(width: usize) -> Self {
        Self {
            width,
            ..Self::default()
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.lines.len()
    }

    /// Whether no further row should be added.
    pub(super) fn is_full(&self) -> bool {
        self.rows() >= BLOCK_ROWS || self.text.len() >= BLOCK_BYTES || self.rejects.len() >= BLOCK_ROWS
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.rejects.is_empty() && self.without_values == 0
    }

    /// Adds a row; it must be as wide as the block. A row of several columns without a single value is only counted: it is a line of a
    /// spreadsheet that nobody filled in, and would count as a person.
    pub(super) fn push(&mut self, row: &Row) {
        if self.width > 1 && row.fields().all(|field| trim(field).is_empty()) {
            self.without_values += 1;
            return;
        }
        let before = self.text.len();
        self.text.push_str(&row.text);
        // A block is full long before 4 GiB, however long the last row is.
        let ends = row
            .ends
            .iter()
            .map(|end| u32::try_from(before + end).unwrap_or(u32::MAX));
        self.ends.extend(ends);
        self.lines.push(row.line);
    }

    /// The fields of one column, from the first row to the last.
    pub(super) fn column(&self, index: usize) -> impl Iterator<Item = &str> {
        (0..self.rows()).map(move |row| self.field(row * self.width + index))
    }

    /// The lines on which the rows start.
    pub(super) fn lines(&self) -> impl Iterator<Item = u64> {
        self.lines.iter().copied()
    }

    fn field(&self, number: usize) -> &str {
        let before = number.checked_sub(1).and_then(|before| self.ends.get(before));
        let start = before.map_or(0, |end| *end as usize + 1);
        let end = self.ends.get(number).map_or(0, |end| *end as usize);
        self.text.get(start..end).unwrap_or_default()
    }
}
