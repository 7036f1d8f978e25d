//! One record of a file.

use memchr::memchr_iter;

use super::limits::MAX_COLUMNS;

/// One record, reused from call to call.
#[derive(Default)]
pub(super) struct Row {
    /// The fields, with one byte after each: [`TYPED_END`] after a value that the file states to be a number, a time or a truth value.
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

    /// Ends a field that was written at the end of [`Row::text`]; `is_typed` if the file states that it is not text.
    pub(super) fn end_field(&mut self, is_typed: bool) {
        self.width += 1;
        if self.width <= MAX_COLUMNS {
            self.ends.push(self.text.len());
        }
        let end = if is_typed { TYPED_END } else { FIELD_END };
        self.text.push(end.into());
    }

    /// Adds a field.
    pub(super) fn push_field(&mut self, field: &str, is_typed: bool) {
        self.text.push_str(field);
        self.end_field(is_typed);
    }

    /// Removes the last field if it is empty and another one is before it.
    pub(super) fn remove_empty_last(&mut self) -> bool {
        let [.., before, last] = self.ends.as_slice() else {
            return false;
        };
        if self.ends.len() != self.width || before + 1 != *last {
            return false;
        }
        let end = before + 1;
        self.ends.pop();
        self.width -= 1;
        // The byte behind the field that is the last one now stays: it is one of ASCII.
        self.text.truncate(end);
        true
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|end| end + 1));
        starts
            .zip(&self.ends)
            .map(|(start, end)| self.text.get(start..*end).unwrap_or_default())
    }
}

/// The byte after a field of text in [`Row::text`]; which byte it is does not matter, unless it is [`TYPED_END`].
pub(super) const FIELD_END: u8 = b'\n';
/// The byte after a field whose value the file states to be a number, a time or a truth value. No delimiter can be this byte.
pub(super) const TYPED_END: u8 = b'\r';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_empty_last_field_is_removed() {
        let fields = |line: &str| {
            let mut row = Row::default();
            row.push_line(line, b';');
            let is_removed = row.remove_empty_last();
            assert_eq!(row.text.len(), row.ends.last().unwrap() + 1, "{line}");
            let fields: Vec<String> = row.fields().map(str::to_owned).collect();
            assert_eq!(fields.len(), row.width, "{line}");
            is_removed.then(|| fields.join("|"))
        };
        assert_eq!(fields("1;ä;").as_deref(), Some("1|ä"));
        assert_eq!(fields(";").as_deref(), Some(""));
        assert_eq!(fields("1;;").as_deref(), Some("1|"));
        for line in ["1;2", "1", "", ";x"] {
            assert_eq!(fields(line), None, "{line}");
        }
    }
}
