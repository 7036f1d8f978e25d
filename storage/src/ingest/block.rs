//! Blocks of rows of equal width, read by column.

use super::{
    missing::MissingRule,
    parse_field::trim,
    rejects::Reject,
    row::{Row, TYPED_END},
};

/// Maximum rows in a block.
pub(super) const BLOCK_ROWS: usize = 8192;
/// A block ends early once its rows contain this many bytes of text, which bounds its memory for any rows.
pub(super) const BLOCK_BYTES: usize = 4 * 1024 * 1024;

/// A field of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) text: &'a str,
    /// Whether the file states that the value is a number, a time or a truth value. Options say how text is written, and do not apply to
    /// the signs of such a value.
    pub(super) is_typed: bool,
}

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

    /// Leaves out the rows of several columns without a single value, and counts them: they are empty lines of a spreadsheet, each of which
    /// would count as a person.
    pub(super) fn without_empty_rows(self, missing: &MissingRule) -> Self {
        let is_empty = |row: &usize| {
            self.fields(*row)
                .all(|field| missing.is_no_value_in_a_row(trim(field.text)))
        };
        let empty: Vec<usize> = match self.width {
            0 | 1 => Vec::new(),
            _ => (0..self.rows()).filter(is_empty).collect(),
        };
        if empty.is_empty() {
            return self;
        }
        let mut kept = Self::new(self.width);
        kept.without_values = empty.len() as u64;
        let mut row = Row::default();
        for (number, line) in self
            .lines()
            .enumerate()
            .filter(|(number, _)| empty.binary_search(number).is_err())
        {
            row.clear(line);
            self.fields(number)
                .for_each(|field| row.push_field(field.text, field.is_typed));
            kept.push(&row);
        }
        kept.rejects = self.rejects;
        kept
    }

    fn fields(&self, row: usize) -> impl Iterator<Item = Field<'_>> {
        (0..self.width).map(move |column| self.field(row * self.width + column))
    }

    /// Adds a row; it must be as wide as the block.
    pub(super) fn push(&mut self, row: &Row) {
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
    pub(super) fn column(&self, index: usize) -> impl Iterator<Item = Field<'_>> {
        (0..self.rows()).map(move |row| self.field(row * self.width + index))
    }

    /// The line on which the last row starts, and its fields.
    pub(super) fn last_row(&self) -> Option<(u64, impl Iterator<Item = Field<'_>>)> {
        let line = self.lines.last()?;
        Some((*line, self.fields(self.rows().saturating_sub(1))))
    }

    /// The lines on which the rows start.
    pub(super) fn lines(&self) -> impl Iterator<Item = u64> {
        self.lines.iter().copied()
    }

    fn field(&self, number: usize) -> Field<'_> {
        let before = number.checked_sub(1).and_then(|before| self.ends.get(before));
        let start = before.map_or(0, |end| *end as usize + 1);
        let end = self.ends.get(number).map_or(0, |end| *end as usize);
        Field {
            text: self.text.get(start..end).unwrap_or_default(),
            is_typed: self.text.as_bytes().get(end) == Some(&TYPED_END),
        }
    }
}
