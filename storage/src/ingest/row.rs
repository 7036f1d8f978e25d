//! One record of a file.

use memchr::memchr_iter;

use super::limits::MAX_COLUMNS;

/// One record, reused from call to call.
#[derive(Default)]
pub(super) struct Row {
    /// The fields, with one byte after each.
    pub(super) text: String,
    /// Where each field ends.
    pub(super) ends: Vec<usize>,
    /// Fields on the row, including those beyond [`MAX_COLUMNS`], which are not stored.
    pub(super) width: usize,
    /// The line on which the row starts.
    pub(super) line: u64,
}

impl Row {
    pub(super) fn clear(&mut self, line: u64) {
        self.text.clear();
        self.ends.clear();
        self.width = 0;
        self.line = line;
    }

    pub(super) fn push_line(&mut self, line: &str, delimiter: u8) {
        self.text.push_str(line);
        self.text.push(FIELD_END.into());
        let ends = memchr_iter(delimiter, line.as_bytes()).chain(std::iter::once(line.len()));
        self.ends.extend(ends);
        self.width = self.ends.len();
        self.ends.truncate(MAX_COLUMNS);
    }

    /// Ends a field that was written at the end of [`Row::text`].
    pub(super) fn end_field(&mut self) {
        self.width += 1;
        if self.width <= MAX_COLUMNS {
            self.ends.push(self.text.len());
        }
        self.text.push(FIELD_END.into());
    }

    /// Adds a field.
    pub(super) fn push_field(&mut self, field: &str) {
        self.text.push_str(field);
        self.end_field();
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|end| end + 1));
        starts
            .zip(&self.ends)
            .map(|(start, end)| self.text.get(start..*end).unwrap_or_default())
    }
}

/// The byte after each field in [`Row::text`]; which byte it is does not matter.
pub(super) const FIELD_END: u8 = b'\n';
