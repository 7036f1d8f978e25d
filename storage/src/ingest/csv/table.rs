//! The rows of one file, as both passes read them.

use std::path::Path;

use super::{
    records::{Records, Step},
    sniff::Layout,
};
use crate::ingest::{
    block::Block,
    error::IngestError,
    limits::MAX_COLUMNS,
    names::numbered,
    options::{Header, Refused, TableOptions, TextEncoding},
    prefetch::Prefetch,
    rejects::{Reason, Reject},
    row::Row,
    source::{FileText, Fingerprint},
    upload::Source,
};

/// A file that was opened and read up to the end of its header.
pub(crate) struct Table {
    records: Records<FileText>,
    width: usize,
    stop_at_invalid: bool,
    blank_lines: u64,
}

/// The result of [`Table::next`].
enum Next {
    Row,
    Refused(Reject),
    End,
}

/// A part of a file, or its end, which is the last item.
pub(crate) enum Chunk {
    Rows(Block),
    End(Ending),
}

/// What is known about a file after all of it was read.
pub(crate) struct Ending {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) encoding: TextEncoding,
    pub(crate) gzip: bool,
    /// Blank lines.
    pub(crate) blank_lines: u64,
}

/// Reads the table in chunks.
struct ChunkReader {
    table: Option<Table>,
    row: Row,
}

impl Iterator for ChunkReader {
    type Item = Result<Chunk, IngestError>;

    /// `None` after an error.
    fn next(&mut self) -> Option<Self::Item> {
        let mut table = self.table.take()?;
        match table.block(&mut self.row) {
            Ok(block) if block.is_empty() => Some(table.finish().map(Chunk::End)),
            Ok(block) => {
                self.table = Some(table);
                Some(Ok(Chunk::Rows(block)))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

impl Table {
    /// Opens a file and returns the names of its columns from its header or from the options.
    pub(crate) fn open(
        source: &Source,
        options: &TableOptions,
        layout: Layout,
    ) -> Result<(Self, Vec<String>), IngestError> {
        let path = source.name();
        let source = FileText::open(source, options.encoding)?;
        let mut table = Self {
            records: Records::new(source, layout.delimiter),
            width: layout.width,
            stop_at_invalid: options.refused == Refused::Stop,
            blank_lines: 0,
        };
        let header = if layout.header {
            table.header(path)?
        } else {
            names_given(&options.header, path, layout.width)?
        };
        table.width = header.len();
        if table.width > MAX_COLUMNS {
            return Err(IngestError::TooManyColumns { found: table.width });
        }
        Ok((table, header))
    }

    /// Prefetches the chunks of the rest of the file.
    ///
    /// # Errors
    /// [`IngestError::Interrupted`] if the thread cannot be started.
    pub(crate) fn chunks(self, path: &Path) -> Result<Prefetch<Chunk>, IngestError> {
        Prefetch::run(
            path,
            ChunkReader {
                table: Some(self),
                row: Row::default(),
            },
        )
    }

    /// The next rows; an empty block at the end.
    fn block(&mut self, row: &mut Row) -> Result<Block, IngestError> {
        let mut block = Block::new(self.width);
        while !block.is_full() {
            match self.next(row)? {
                Next::Row => block.push(row),
                Next::Refused(reject) => block.rejects.push(reject),
                Next::End => break,
            }
        }
        Ok(block)
    }

    /// Reads the next row that has as many fields as the table has columns.
    fn next(&mut self, row: &mut Row) -> Result<Next, IngestError> {
        loop {
            let reject = match self.records.next(row)? {
                Step::Row if row.width == self.width => return Ok(Next::Row),
                Step::Row => {
                    let reason = Reason::Ragged {
                        found: row.width,
                        expected: self.width,
                    };
                    Reject { line: row.line, reason }
                }
                Step::Blank => {
                    self.blank_lines += 1;
                    continue;
                }
                Step::Refused(reject) => reject,
                Step::End => return Ok(Next::End),
            };
            self.check_encoding(reject)?;
            return Ok(Next::Refused(reject));
        }
    }

    /// The ending, after [`Next::End`].
    fn finish(self) -> Result<Ending, IngestError> {
        let source = self.records.into_source();
        Ok(Ending {
            encoding: source.encoding(),
            gzip: source.is_gzip(),
            blank_lines: self.blank_lines,
            fingerprint: source.finish()?,
        })
    }

    fn header(&mut self, path: &Path) -> Result<Vec<String>, IngestError> {
        let mut row = Row::default();
        loop {
            match self.records.next(&mut row)? {
                Step::Row if row.width > MAX_COLUMNS => return Err(IngestError::TooManyColumns { found: row.width }),
                Step::Row => return Ok(row.fields().map(str::to_owned).collect()),
                Step::Blank => self.blank_lines += 1,
                Step::Refused(reject) => {
                    self.check_encoding(reject)?;
                    return Err(IngestError::HeaderRefused {
                        line: reject.line,
                        reason: reject.reason,
                    });
                }
                Step::End => return Err(IngestError::Empty { path: path.to_owned() }),
            }
        }
    }

    /// Invalid bytes usually mean that the file has another encoding, so they are an error unless rows may be skipped.
    fn check_encoding(&self, reject: Reject) -> Result<(), IngestError> {
        if let (true, Reason::InvalidBytes { offset }) = (self.stop_at_invalid, reject.reason) {
            return Err(IngestError::Encoding {
                line: reject.line,
                offset,
                encoding: self.records.source().encoding().name(),
            });
        }
        Ok(())
    }
}

fn names_given(header: &Header, path: &Path, width: usize) -> Result<Vec<String>, IngestError> {
    if width == 0 {
        return Err(IngestError::Empty { path: path.to_owned() });
    }
    match header {
        Header::Absent { names } if !names.is_empty() && names.len() != width => Err(IngestError::NameCount {
            given: names.len(),
            found: width,
        }),
        Header::Absent { names } if !names.is_empty() => Ok(names.clone()),
        Header::Absent { .. } | Header::Auto | Header::Present => Ok((0..width).map(numbered).collect()),
    }
}
