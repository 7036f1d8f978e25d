//! How every format is read: the one way from a file to rows.
//!
//! A format implements [`RowSource`], and [`super::open`] knows all of them. Everything else of an import sees rows of text
//! only, so the same limits, types, rules and rejects apply to each format:
//!
//! 1. The schema pass ([`super::inspection`]) reads all rows for the types of the columns, and all rows that are refused.
//! 2. The batch pass ([`super::batches()`]) opens the file again, reads the same rows, and compares the fingerprints.
//!
//! A value is the text that a CSV file would have for it, with the mark that the file states it to be a number, a time or a truth value if
//! that is so: signs that are stated for text are not applied to it. A missing value is an empty field.

use std::path::Path;

use super::{
    block::Block, compression::Compression, error::IngestError, fingerprint::Fingerprint, note::Note,
    options::TextEncoding, prefetch::Prefetch, row_filter::RowFilter,
};

/// A file of one format, opened for one pass.
pub(super) trait RowSource: Send {
    /// The names of the columns as the file has them.
    fn header(&self) -> &[String];

    /// The next rows, each with as many fields as there are columns, and the rows that were refused between them. An empty
    /// block means that there are no more.
    ///
    /// # Errors
    /// If the file cannot be read any further. A single row that cannot be imported is not an error.
    fn block(&mut self) -> Result<Block, IngestError>;

    /// What is known about the file after all rows were read.
    ///
    /// # Errors
    /// [`IngestError::Changed`] if it was written to in the meantime.
    fn finish(self: Box<Self>) -> Result<Ending, IngestError>;
}

/// What is known about a file after all of it was read.
pub(super) struct Ending {
    pub(super) fingerprint: Fingerprint,
    /// The encoding of the text, if the format is text.
    pub(super) encoding: Option<TextEncoding>,
    /// How the file is compressed, if it is.
    pub(super) compression: Option<Compression>,
    /// Blank lines.
    pub(super) blank_lines: u64,
    /// For each column, whether the file states that its values are text.
    pub(super) stored_as_text: Vec<bool>,
    /// For each column, the cells with an error in them, in a spreadsheet.
    pub(super) errors: Vec<u64>,
    /// What else the steward should know, in the order of the notes.
    pub(super) notes: Vec<Note>,
}

/// A part of a file, or its end, which is the last item.
pub(super) enum Chunk {
    Rows(Block),
    End(Ending),
}

/// Reads the rest of a file on a separate thread.
///
/// # Errors
/// [`IngestError::Interrupted`] if the thread cannot be started.
pub(super) fn chunks(rows: Box<dyn RowSource>, filter: RowFilter, path: &Path) -> Result<Prefetch<Chunk>, IngestError> {
    let rows = Some(rows);
    Prefetch::run(path, Chunks { rows, filter })
}

struct Chunks {
    rows: Option<Box<dyn RowSource>>,
    filter: RowFilter,
}

impl Iterator for Chunks {
    type Item = Result<Chunk, IngestError>;

    /// `None` after an error.
    fn next(&mut self) -> Option<Self::Item> {
        let mut rows = self.rows.take()?;
        match rows.block() {
            Ok(block) if block.is_empty() => Some(rows.finish().map(Chunk::End)),
            Ok(block) => {
                self.rows = Some(rows);
                Some(Ok(Chunk::Rows(block.filtered(&self.filter))))
            }
            Err(error) => Some(Err(error)),
        }
    }
}
