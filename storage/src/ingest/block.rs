//! Blocks of rows of equal width, read by column.

use super::{
    rejects::Reject,
    row::{Row, TYPED_END},
    row_filter::{RowFilter, RowKind},
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
    /// The lines of rows that repeat the names of the columns, whether they were left out or not.
    pub(super) repeated_headers: Vec<u64>,
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
    /// would count as a person. Rows that repeat the names of the columns are noted, and left out if that is stated.
    pub(super) fn filtered(mut self, filter: &RowFilter) -> Self {
        let mut left_out = Vec::new();
        let mut without_values = 0;
        let mut repeated_headers = Vec::new();
        for (number, line) in self.lines().enumerate() {
            let texts = self.fields(number).map(|field| field.text);
            let kind = filter.kind_of(texts, self.width);
            match kind {
                RowKind::Data => {}
                RowKind::WithoutValues => without_values += 1,
                RowKind::Header => repeated_headers.push(line),
            }
            if filter.leaves_out(kind) {
                left_out.push(number);
            }
        }
        if left_out.is_empty() {
            self.repeated_headers = repeated_headers;
            return self;
        }
        let mut kept = Self::new(self.width);
        kept.without_values = without_values;
        kept.repeated_headers = repeated_headers;
        let mut row = Row::default();
        for (number, line) in self
            .lines()
            .enumerate()
            .filter(|(number, _)| left_out.binary_search(number).is_err())
        {
            row.clear(line);
            self.fields(number)
                .for_each(|field| row.push_field(field.text, field.is_typed));
            kept.push(&row);
        }
        kept.rejects = self.rejects;
        kept
    }

    fn fields(&self, row: usize) -> impl Iterator<Item = Field<'_>> + Clone {
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
